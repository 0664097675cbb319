import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { ResponseStream } from '../../../../proxy/admin/api/event-stream.ts';
import { limits } from '../../../../proxy/core/limits.ts';

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** A stream, and the reader at its other end, who has not read anything yet. */
async function open() {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<{
    stream: ResponseStream;
    response: ServerResponse;
  }>();
  server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    begin({ stream: new ResponseStream(response, end), response });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const reader = await new Promise<IncomingMessage>((resolve) =>
    get({ port, host: '127.0.0.1', agent: false }, resolve),
  );
  return { ...(await begun), reader, ended };
}

test('a reader who does not read costs a bounded buffer, and is told what was left out once there is room', async () => {
  const { stream, response, reader } = await open();
  const sent = 2_000;
  // Forty times what may wait: more than the sockets of both ends take as well.
  for (let n = 0; n < sent; n++)
    stream.send('frame', { n, data: 'x'.repeat((40 * limits.consoleStreamBufferBytesMax) / sent) });
  expect(response.writableLength).toBeLessThanOrEqual(limits.consoleStreamBufferBytesMax);
  let received = '';
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  reader.setEncoding('utf8');
  reader.on('data', (chunk: string) => {
    received += chunk;
    if (received.includes('event: lost')) tell();
  });
  await told;
  const numbers = [...received.matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n));
  const [, lost] = /event: lost\ndata: \{"events":(\d+)\}/.exec(received) ?? [];
  // What came is a beginning without gaps, and the rest was counted.
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, n) => n));
  expect(numbers.length + Number(lost)).toBe(sent);
  stream.send('frame', { n: 'after' });
  const { promise: after, resolve: seen } = Promise.withResolvers<void>();
  reader.on('data', () => received.includes('"after"') && seen());
  await after;
});

test('a reader who leaves ends the stream once, and sending goes nowhere', async () => {
  const { stream, reader, ended } = await open();
  reader.destroy();
  await ended;
  stream.send('frame', {});
  stream.end();
});

test('one event that is too large is left out, and what follows comes', async () => {
  const { stream, reader } = await open();
  stream.send('frame', { data: 'x'.repeat(limits.consoleStreamBufferBytesMax) });
  stream.send('frame', { n: 1 });
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = '';
  reader.setEncoding('utf8');
  reader.on('data', (chunk: string) => {
    received += chunk;
    if (received.includes('"n":1')) resolve();
  });
  await promise;
  expect(received).toBe('event: lost\ndata: {"events":1}\n\nevent: frame\ndata: {"n":1}\n\n');
});

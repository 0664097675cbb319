import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { endAnswer } from '../../../../proxy/protocols/http/end-answer.ts';

const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** What a client gets of an answer that consists of these pieces, and of how many parts it was for the socket. */
async function answered(pieces: readonly Buffer[], length: number | undefined) {
  let parts = 0;
  const server = createServer((request, response) => {
    const { socket } = request;
    const { _write, _writev } = socket;
    socket._write = (...given) => {
      parts += 1;
      _write.apply(socket, given);
    };
    socket._writev = (chunks, done) => {
      parts += chunks.length;
      _writev?.call(socket, chunks, done);
    };
    response.writeHead(200, length === undefined ? {} : { 'content-length': length });
    endAnswer(response, pieces, limits.httpEndBytesMax);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const received = await new Promise<Buffer>((resolve, reject) => {
      get({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }, (answer) => {
        const received: Buffer[] = [];
        answer.on('data', (part: Buffer) => received.push(part));
        answer.on('end', () => resolve(Buffer.concat(received)));
        answer.on('error', reject);
      }).on('error', reject);
    });
    return { received, parts };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test.each([
  ['nothing', []],
  ['one piece', [every]],
  ['several', [every, Buffer.alloc(0), every.subarray(100), Buffer.from('é€')]],
  ['as much as is copied', [Buffer.alloc(limits.httpEndBytesMax, every)]],
  ['one byte more', [Buffer.alloc(limits.httpEndBytesMax, every), Buffer.from([0xff])]],
  ['much', [Buffer.alloc(300_000, every), every]],
])('%s arrives byte for byte, with a length and in chunks', async (_what, pieces) => {
  const all = Buffer.concat(pieces);
  expect((await answered(pieces, all.length)).received.equals(all)).toBe(true);
  expect((await answered(pieces, undefined)).received.equals(all)).toBe(true);
});

test('a small answer is one part, its head included', async () => {
  expect(await answered([every], every.length)).toMatchObject({ parts: 1 });
});

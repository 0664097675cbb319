import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

let upstream: Upstream;
let gateway: HttpGateway;
let heads: readonly string[];

function answer(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end('{"ok":true}');
}

beforeAll(async () => {
  upstream = await startUpstream();
  const { host, port } = upstream;
  gateway = await startHttpGateway({
    upstreams: [{ name: 'crm', host, port, routes: [{ path: '/customers/{id}' }] }],
    limits: { http_sessions_per_connection_max: 2 },
  });
  const tokens = await Promise.all(['one', 'two', 'three'].map((subject) => gateway.token(subject)));
  heads = tokens.map(
    (token) => `GET /customers/7 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  // Tokens that are verified for the first time may overtake one another.
  upstream.answer = (_request, response) => answer(response);
  for (const head of heads) {
    const { socket, until } = open();
    socket.write(head);
    await until(1);
    socket.destroy();
  }
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** A connection that says what comes back: the statuses, and the codes of refusals. */
function open() {
  const socket = connect(gateway.port, '127.0.0.1');
  let answered = '';
  const waiting = new Set<() => void>();
  socket.on('data', (chunk) => {
    answered += chunk.toString('latin1');
    for (const wake of waiting) wake();
  });
  const statuses = () => answered.match(/(?<=HTTP\/1\.1 )\d{3}/g) ?? [];
  return {
    socket,
    statuses,
    codes: () => answered.match(/(?<="code":")\w+/g) ?? [],
    until: (count: number) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (statuses().length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

test('a session in use is not closed for another token: that one is refused', async () => {
  const held: (() => void)[] = [];
  let arrived = () => {};
  const bothArrived = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  upstream.answer = (_request, response) => {
    held.push(() => answer(response));
    if (held.length === 2) arrived();
  };
  const { socket, statuses, codes, until } = open();
  socket.write(heads.join(''));
  await bothArrived;
  while (!JSON.stringify(await gateway.audit()).includes('limit_reached'));
  for (const release of held) release();
  await until(3);
  socket.destroy();
  expect(statuses()).toEqual(['200', '200', '429']);
  expect(codes()[0]).toBe('limit_reached');
  expect(held).toHaveLength(2);
});

test('one that is idle gives way, and the connection goes on', async () => {
  upstream.answer = (_request, response) => answer(response);
  const { socket, statuses, until } = open();
  for (const [index, head] of [...heads, ...heads].entries()) {
    socket.write(head);
    await until(index + 1);
  }
  socket.destroy();
  expect(statuses()).toEqual(Array.from({ length: 6 }, () => '200'));
  const active = async () => /^sallyport_sessions_active\{protocol="http"\} (\d+)/m.exec(await gateway.metrics())?.[1];
  while ((await active()) !== '0');
});

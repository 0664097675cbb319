import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocket, WebSocketServer } from 'ws';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

const server = createServer();
const sockets = new WebSocketServer({ noServer: true });
/** What the upstream was told of each connection. */
const heads: (readonly string[])[] = [];

let upstream: Upstream;
let gateway: HttpGateway;
let token: string;

beforeAll(async () => {
  server.on('upgrade', (request, socket, head) => {
    heads.push(request.rawHeaders);
    sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('message', (data, binary) => client.send(data, { binary }));
    });
  });
  upstream = await startUpstream(server);
  gateway = await startHttpGateway({
    upstreams: [
      {
        ...{ name: 'web', host: upstream.host, port: upstream.port, websockets: true, secret: 'the-secret' },
        credential: { bearer: 'SECRET' },
        routes: [{ path: '/events' }, { path: '/other' }],
      },
    ],
    data: {
      upstreams: { web: { labels: { env: 'prod' } } },
      http: { upstreams: { web: { websockets: ['/events'] } } },
    },
  });
  token = await gateway.token();
});
afterAll(async () => {
  for (const client of sockets.clients) client.terminate();
  await gateway?.stop();
  await upstream?.stop();
});

function open(path: string, authorization = `Bearer ${token}`): WebSocket {
  return new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, { headers: { authorization } });
}

/** The status that an upgrade is refused with. */
function refused(socket: WebSocket): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
    socket.on('open', () => reject(new Error('it was opened')));
    socket.on('error', () => {});
  });
}

test('frames of both kinds go both ways, up to a large one, and the close is the client’s', async () => {
  const socket = open('/events?since=1');
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  for (const sent of ['a text', Buffer.from([0, 1, 2]), 'x'.repeat(300_000)]) {
    const answered = new Promise<readonly [Buffer, boolean]>((resolve) =>
      socket.once('message', (data, binary) => resolve([data as Buffer, binary])),
    );
    socket.send(sent);
    const [data, binary] = await answered;
    expect(data.equals(Buffer.from(sent as Buffer))).toBe(true);
    expect(binary).toBe(typeof sent !== 'string');
  }
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  socket.close(4_000, 'done');
  expect(await closed).toBe(4_000);
  const [head = []] = heads;
  expect(head).toContain('Bearer the-secret');
  expect(head.join()).not.toContain(token);
});

test('an upgrade elsewhere, or without a valid token, is refused and nothing arrives', async () => {
  const before = heads.length;
  expect(await refused(open('/other'))).toBe(403);
  expect(await refused(open('/events', 'Bearer x.y.z'))).toBe(401);
  expect(heads).toHaveLength(before);
});

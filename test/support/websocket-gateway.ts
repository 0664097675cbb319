/**
 * The whole gateway in front of a real WebSocket server whose connections a test takes: `/plain` passes as it is, `/masked` has
 * secrets masked in its texts, `/judged` has the client's messages judged as well, and `/api/rows` has members masked by path.
 */
import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { type HttpGateway, startHttpGateway, startUpstream } from './http-gateway.ts';

/** The server's end of a connection, and the client's. */
export interface Pair {
  readonly client: WebSocket;
  readonly server: WebSocket;
}

/** What a test has. */
export interface WebSocketGateway {
  readonly gateway: HttpGateway;
  readonly token: string;
  /** What the upstream was told of each connection. */
  readonly heads: (readonly string[])[];
  /** Opens a connection that is not expected to be refused. */
  open(path: string): Promise<Pair>;
  /** One that may be. */
  ask(path: string, authorization?: string): WebSocket;
  /** The server's end of the next connection, for a client that is made by hand. */
  next(): Promise<WebSocket>;
  stop(): Promise<void>;
}

/** Starts it. */
export async function startWebSocketGateway(limits?: Readonly<Record<string, number>>): Promise<WebSocketGateway> {
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const heads: (readonly string[])[] = [];
  const waiting: ((socket: WebSocket) => void)[] = [];
  server.on('upgrade', (request, socket, head) => {
    heads.push(request.rawHeaders);
    sockets.handleUpgrade(request, socket, head, (end) => {
      end.on('error', () => {});
      waiting.shift()?.(end);
    });
  });
  const upstream = await startUpstream(server);
  const { host, port } = upstream;
  const shared = { host, port, websockets: true, secret: 'the-secret', credential: { bearer: 'SECRET' } } as const;
  const routes = ['/plain', '/masked', '/judged', '/other'].map((path) => ({ path }));
  const gateway = await startHttpGateway({
    ...(limits && { limits }),
    upstreams: [
      { ...shared, name: 'web', routes },
      { ...shared, name: 'api', prefix: '/api', routes: [{ path: '/rows' }] },
    ],
    data: {
      upstreams: { web: { labels: { env: 'prod' } }, api: { labels: { env: 'prod' } } },
      http: {
        upstreams: {
          web: {
            websockets: ['/plain', '/masked', '/judged'],
            opaque: ['GET /plain'],
            messages: { '/judged': { member: 'type', allow: ['subscribe'] } },
          },
          api: { websockets: ['/rows'], masks: { json: { '$..ssn': { keep_last: { count: 4 } } } } },
        },
      },
    },
  });
  const token = await gateway.token();
  const ask = (path: string, authorization = `Bearer ${token}`) =>
    new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, { headers: { authorization } });
  const next = () => new Promise<WebSocket>((resolve) => waiting.push(resolve));
  return {
    ...{ gateway, token, heads, ask, next },
    async open(path) {
      const taken = next();
      const client = ask(path);
      await new Promise((resolve, reject) => client.once('open', resolve).once('error', reject));
      client.on('error', () => {});
      return { client, server: await taken };
    },
    async stop() {
      await gateway.stop();
      for (const client of sockets.clients) client.terminate();
      await upstream.stop();
    },
  };
}

/** The next message, and whether it was binary. */
export function message(socket: WebSocket): Promise<readonly [text: string, isBinary: boolean]> {
  return new Promise((resolve) =>
    socket.once('message', (data, isBinary) => resolve([(data as Buffer).toString(), isBinary])),
  );
}

/** How it was closed. */
export function closed(socket: WebSocket): Promise<readonly [code: number, reason: string]> {
  return new Promise((resolve) => socket.once('close', (code, reason) => resolve([code, reason.toString()])));
}

/** The status that an upgrade is refused with. */
export function refused(socket: WebSocket): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
    socket.on('open', () => reject(new Error('it was opened')));
    socket.on('error', () => {});
  });
}

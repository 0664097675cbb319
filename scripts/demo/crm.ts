/** The internal API of the HTTP chapter: customers and refunds, for whoever has its key. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { knownCustomer } from './dataset.ts';

/** A server of the demo, on a port of its own. */
export interface DemoServer {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** What the gateway is told of its paths. */
export const crmRoutes = [
  { path: '/customers/{id}', operation_id: 'customer' },
  { path: '/refunds', method: 'POST', operation_id: 'refund' },
  { path: '/admin/users', operation_id: 'users', tags: ['admin'] },
] as const;

/** Starts it. Every request without the key is 401. */
export function startCrm(key: string): Promise<DemoServer> {
  return serve(async (request, response) => {
    const body = await text(request);
    const answer = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    if (request.headers['x-api-key'] !== key) answer(401, { error: 'the key is missing' });
    else if (request.method === 'GET' && request.url === `/customers/${knownCustomer.id}`) {
      answer(200, { ...knownCustomer, balance: 12.5, orders: 3 });
    } else if (request.method === 'POST' && request.url === '/refunds') {
      answer(201, { refunded: Object(JSON.parse(body)).amount });
    } else answer(404, { error: 'there is no such thing' });
  });
}

/** A server of whatever `handle` answers; what it throws is a 500. */
export async function serve(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<DemoServer> {
  const server = createServer((request, response) => {
    handle(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    ...{ host: '127.0.0.1', port },
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The whole body of a request. */
export async function text(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

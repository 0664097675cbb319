import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { limits } from '../core/limits.ts';
import { hostAllowed } from './host.ts';

/** What the listener is asked to show. */
export interface AdminOptions {
  /** Where to listen; a loopback address unless something outside has to scrape. */
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  readonly readiness: () => Readiness;
  /** Host names, without port, a request may be for besides IP addresses and `localhost`. */
  readonly allowedHosts?: readonly string[];
}

/** Whether traffic should come here, and each check that says so by name. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, boolean>>;
}

/** The running listener. */
export interface Admin {
  readonly address: { readonly host: string; readonly port: number };
  /** Ends open connections too. */
  close(): Promise<void>;
}

/** What is sent back. */
interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/**
 * Serves `/healthz` (the process runs), `/readyz` (503 and the failing checks while it should get no traffic) and
 * `/metrics`. Reads only, so GET and HEAD only; nobody is authenticated, so it says nothing about any one subject.
 *
 * @throws whatever listening throws (the port is taken, the host is not one's own).
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const server = createServer(
    {
      maxHeaderSize: limits.adminHeaderBytesMax,
      headersTimeout: limits.adminRequestTimeoutMs,
      requestTimeout: limits.adminRequestTimeoutMs,
      connectionsCheckingInterval: limits.adminRequestTimeoutMs / 2,
      keepAliveTimeout: limits.adminRequestTimeoutMs,
    },
    (request, response) => {
      answer(request, options).then(
        (given) => send(request, response, given),
        () => send(request, response, text(500, 'The page could not be made.')),
      );
    },
  );
  server.maxConnections = limits.adminConnectionsMax;
  // One more than the bound, so that passing it can be seen: Node drops what is beyond without a word.
  server.maxHeadersCount = limits.adminHeadersMax + 1;
  // A client that does not read its answer.
  server.setTimeout(limits.adminRequestTimeoutMs);
  await listen(server, options);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('admin: not listening on an address');
  return {
    address: { host: address.address, port: address.port },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request: IncomingMessage, options: AdminOptions): Promise<Answer> {
  if (request.rawHeaders.length > 2 * limits.adminHeadersMax) return text(431, 'Too many headers.');
  const hosts = request.headersDistinct.host ?? [];
  if (hosts.length !== 1) return text(400, 'One Host header is needed.');
  if (!hostAllowed(hosts[0] ?? '', options.allowedHosts ?? [])) return text(421, 'This host is not served here.');
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'GET and HEAD only.');
  switch (request.url?.split('?', 1)[0]) {
    case '/healthz':
      return text(200, 'ok');
    case '/readyz':
      return ready(options.readiness());
    case '/metrics':
      return { status: 200, type: options.metrics.contentType, body: await options.metrics.text() };
    default:
      return text(404, 'There is /healthz, /readyz and /metrics.');
  }
}

function ready({ ready, checks }: Readiness): Answer {
  const failing = Object.keys(checks).filter((name) => checks[name] !== true);
  // Belt and braces: a failing check is not ready whatever the summary says.
  const status = ready && failing.length === 0 ? 200 : 503;
  return { status, type: 'application/json', body: `${JSON.stringify({ ready: status === 200, failing, checks })}\n` };
}

function text(status: number, sentence: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${sentence}\n` };
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  const headers = {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    // Whatever a refused request still has to send is not waited for.
    ...(status >= 400 && status < 500 ? { connection: 'close' } : {}),
  };
  response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body);
}

async function listen(server: Server, { host, port }: AdminOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

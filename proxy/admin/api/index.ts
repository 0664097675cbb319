import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ApprovalDesk } from '../../core/approvals.ts';
import { limits } from '../../core/limits.ts';
import type { LiveSessions } from '../../core/live.ts';
import type { AuditPort, Clock, IdentityPort, PolicyPort } from '../../core/ports.ts';
import { BrowserSessions } from './browser-sessions.ts';
import { cookieNames } from './cookies.ts';
import type { Evidence } from './evidence.ts';
import { Handler } from './handler.ts';
import { openApi } from './openapi.ts';
import type { RoleGroups } from './roles.ts';
import type { Hook, OpenDocument, Route } from './route.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { evidenceRoutes } from './routes/evidence.ts';
import { overviewRoutes } from './routes/overview.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { SignIn, type SignInOptions } from './sign-in.ts';
import { Table } from './table.ts';

/** What the console shows, and whom. */
export interface ApiOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** PEM; undefined: in clear, on loopback or behind a proxy that speaks TLS. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  /** What browsers call it by; undefined: the address. */
  readonly url: string | undefined;
  readonly roles: RoleGroups;
  /** Verifies bearer tokens of the console's own audience. */
  readonly identity: IdentityPort;
  /** How browsers sign in; undefined: only tokens open anything. */
  readonly signIn: SignInOptions | undefined;
  /** What a program needs to know to get a token: shown to everybody. */
  readonly tokens: { readonly issuer: string; readonly audience: string; readonly deviceClientId: string | undefined };
  readonly desk: ApprovalDesk;
  readonly live: LiveSessions;
  readonly policy: Pick<PolicyPort, 'ready' | 'revisions' | 'onActivate'>;
  readonly audit: AuditPort;
  readonly evidence: Evidence;
  readonly clock: Clock;
  /** Routes of machines that sign what they send. */
  readonly hooks?: readonly Hook[] | undefined;
  /** The folder of the console's files; undefined: the API alone. */
  readonly assets: string | undefined;
  readonly onError: (error: Error) => void;
}

/** The running listener. */
export interface Api {
  readonly address: { readonly host: string; readonly port: number };
  /** What to open in a browser. */
  readonly url: string;
  /** Shows another certificate to new connections; does nothing where there was none at the start. */
  renew(tls: ApiOptions['tls']): void;
  /** Ends open connections too. */
  close(): Promise<void>;
}

/**
 * Serves the API and the console on a listener of its own, apart from the data path in address, audience and cookies.
 * @throws whatever listening throws (the port is taken, the host is not one's own).
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { tls } = options;
  const settings = {
    maxHeaderSize: limits.consoleHeaderBytesMax,
    headersTimeout: limits.consoleRequestTimeoutMs,
    requestTimeout: limits.consoleRequestTimeoutMs,
    connectionsCheckingInterval: limits.consoleRequestTimeoutMs / 2,
    keepAliveTimeout: limits.consoleRequestTimeoutMs,
  };
  let answer = (_request: IncomingMessage, response: ServerResponse): void => void response.writeHead(503).end();
  const listener = (request: IncomingMessage, response: ServerResponse) => answer(request, response);
  const server = tls
    ? createTlsServer({ ...settings, cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' }, listener)
    : createServer(settings, listener);
  server.maxConnections = limits.consoleConnectionsMax;
  // One more than the bound, so that passing it can be seen: Node drops what is beyond without a word.
  server.maxHeadersCount = limits.consoleHeadersMax + 1;
  server.setTimeout(limits.consoleRequestTimeoutMs);
  const address = await listen(server, options);
  const url = new URL(options.url ?? `${tls ? 'https' : 'http'}://${bracketed(address.host)}:${address.port}`);
  const handler = await makeHandler(options, url);
  answer = (request, response) => void handler.answer(request, response);
  return {
    address,
    url: url.origin,
    renew(fresh) {
      if (fresh && 'setSecureContext' in server) {
        server.setSecureContext({ cert: fresh.certificate, key: fresh.key, minVersion: 'TLSv1.2' });
      }
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function makeHandler(options: ApiOptions, url: URL): Promise<Handler> {
  const { desk, live, policy, audit, evidence, clock, roles, identity, hooks = [], tokens } = options;
  const routes: readonly Route[] = [
    ...overviewRoutes(desk, live, policy),
    ...approvalRoutes(desk),
    ...sessionRoutes(live, audit, clock),
    ...evidenceRoutes(evidence, live, audit),
  ];
  const { issuer, audience, deviceClientId } = tokens;
  const about: OpenDocument = {
    path: '/api/about',
    summary: 'Where programs get a token for this API.',
    json: { issuer, audience, device_client_id: deviceClientId ?? null, sign_in: options.signIn !== undefined },
  };
  const description = { path: '/api/openapi.json', summary: 'This document.' };
  const open = [about, { ...description, json: openApi(routes, [about, { ...description, json: null }]) }];
  const doors = {
    ...{ identity, roles },
    browsers: new BrowserSessions(clock),
    cookies: cookieNames(url.protocol === 'https:'),
    origin: url.origin,
  };
  const signIn = options.signIn && new SignIn(options.signIn, { doors, audit, clock, url });
  const { assets, onError } = options;
  return await Handler.create({ table: new Table(routes), open, hooks, doors, signIn, url, assets, clock, onError });
}

async function listen(server: Server, { host, port }: ApiOptions): Promise<{ host: string; port: number }> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('console: not listening on an address');
  return { host: address.address, port: address.port };
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

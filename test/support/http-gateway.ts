/**
 * The whole real gateway in this process in front of real HTTP servers and a real OIDC provider, on free ports. Uses no
 * test framework.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../proxy/config.ts';
import { systemClock } from '../../proxy/core/clock.ts';
import { createLog } from '../../proxy/core/log.ts';
import type { Clock } from '../../proxy/core/ports.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type RunningGateway, startGateway } from '../../proxy/main.ts';
import { consoleConfig, defaultBundle, merge, repositoryData, trailOf } from './gateway.ts';
import { type GatewayFiles, type HttpUpstreamFiles, writeGatewayFiles } from './gateway-files.ts';
import { type Oidc, startOidc, type TokenRequest } from './oidc.ts';

/** How the gateway under test differs from the usual one. */
export interface HttpGatewayOptions {
  readonly upstreams: readonly HttpUpstreamFiles[];
  /** Merged deeply over `data.config` of the repository; `null` removes a key. */
  readonly data?: JsonObject;
  readonly bundle?: string;
  readonly limits?: Readonly<Record<string, number>>;
  readonly tls?: boolean;
  /** A forward proxy besides, and which of the upstreams it opens tunnels up to. */
  readonly forward?: { readonly inspects: boolean; readonly tls?: boolean; readonly upstreams: readonly string[] };
  /** Further keys of the listener. */
  readonly listener?: JsonObject;
  /** Further top-level keys of the configuration. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly clock?: Clock;
  readonly oidc?: Oidc;
  /** With a console beside. */
  readonly console?: boolean;
}

/** A gateway under test. */
export interface HttpGateway {
  readonly port: number;
  /** Of the forward proxy; 0 when there is none. */
  readonly forwardPort: number;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly files: GatewayFiles;
  readonly oidc: Oidc;
  readonly gateway: RunningGateway;
  readonly log: readonly string[];
  token(subject?: string, request?: Partial<TokenRequest>): Promise<string>;
  audit(): Promise<readonly JsonObject[]>;
  metrics(): Promise<string>;
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one. Takes a third of a second. */
export async function startHttpGateway(options: HttpGatewayOptions): Promise<HttpGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-http-'));
  const oidc = options.oidc ?? (await startOidc());
  const files = await writeGatewayFiles({
    directory,
    issuer: oidc.issuer,
    audience: oidc.audience,
    bundle: options.bundle ?? defaultBundle,
    data: merge(await repositoryData(), options.data ?? {}),
    ...(options.limits && { limits: options.limits }),
    ...((options.config || options.console) && {
      config: { ...options.config, ...(options.console && { console: consoleConfig(oidc.issuer, {}) }) },
    }),
    upstreams: [],
    http: {
      upstreams: options.upstreams,
      ...(options.tls && { tls: options.tls }),
      ...(options.listener && { listener: options.listener }),
    },
    ...(options.forward && { forward: options.forward }),
  });
  const log: string[] = [];
  const gateway = await startGateway(await loadConfig(files.configFile), {
    log: createLog(options.clock ?? systemClock, (line) => log.push(line)),
    ...(options.clock && { clock: options.clock }),
  });
  const [{ port } = { port: 0 }, { port: forwardPort } = { port: 0 }] = gateway.listeners;
  return {
    ...{ port, forwardPort, files, oidc, gateway, log },
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    token: (subject = 'test-agent', request = {}) => oidc.token({ subject, groups: ['support'], ...request }),
    audit: () => trailOf(gateway, files.auditFile),
    metrics: async () => await (await fetch(`http://${gateway.admin.host}:${gateway.admin.port}/metrics`)).text(),
    reload: () => gateway.reload(),
    async stop() {
      await gateway.close();
      if (options.oidc === undefined) await oidc.stop();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** A request as an upstream received it. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

/** A server that keeps what it receives. */
export interface Upstream {
  readonly host: string;
  readonly port: number;
  readonly received: Received[];
  /** Answers; `ok` as JSON unless it is replaced. */
  answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;
  stop(): Promise<void>;
}

/** Starts one on a free port. */
export async function startUpstream(server: Server = createServer()): Promise<Upstream> {
  const received: Received[] = [];
  const upstream: { -readonly [Name in keyof Upstream]: Upstream[Name] } = {
    ...{ host: '127.0.0.1', port: 0, received },
    answer: (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"ok":true}');
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  server.on('request', (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (chunk: Buffer) => pieces.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request;
      const headers = rawHeaders.flatMap((name, index) =>
        index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1] ?? ''] as const] : [],
      );
      const body = Buffer.concat(pieces);
      received.push({ method, url, headers, body });
      upstream.answer(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  upstream.port = (server.address() as AddressInfo).port;
  return upstream;
}

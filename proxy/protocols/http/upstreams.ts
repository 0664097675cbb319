import type { JsonObject } from '../../core/types.ts';

/** What the gateway shows an upstream in the place of the agent's token. Never leaves the gateway otherwise. */
export type HttpCredential =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | {
      readonly kind: 'client_credentials' | 'token_exchange';
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly scope: string | undefined;
      readonly audience: string | undefined;
      readonly resource: string | undefined;
      /** The gateway's own token, which says in an exchange who acts; undefined when none is shown. */
      readonly actor: { readonly scope: string | undefined; readonly resource: string | undefined } | undefined;
    };

/** An HTTP API or MCP server the gateway holds credentials for. */
export interface HttpUpstream {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly tls:
    | { readonly mode: 'disable' }
    | { readonly mode: 'verify-full'; readonly ca: string | undefined; readonly serverName: string | undefined };
  /** PEM of a client certificate and its key. */
  readonly clientCertificate: { readonly certificate: string; readonly key: string } | undefined;
  /** `/crm`, which is taken off the path before it is judged; or a host of its own. Neither: everything else. */
  readonly prefix: string | undefined;
  readonly ownHost: string | undefined;
  readonly credential: HttpCredential;
  readonly routes: readonly {
    readonly path: string;
    readonly method: string | undefined;
    readonly operationId: string | undefined;
    readonly tags: readonly string[];
  }[];
  readonly openapi: JsonObject | undefined;
  /** The path of its MCP endpoint, behind the prefix. */
  readonly mcp: string | undefined;
  readonly websockets: boolean;
}

/** Where a host and a path lead. */
export interface Mapped {
  readonly upstream: HttpUpstream;
  /** The path behind the prefix, with its leading slash. */
  readonly path: string;
}

/** Finds the upstream of a host and a canonical path: by a host of its own first, then by the longest prefix. */
export function findUpstream(
  upstreams: readonly HttpUpstream[],
  host: string,
  path: string,
  tunnel: string | undefined,
): Mapped | undefined {
  const reachable = tunnel === undefined ? upstreams : upstreams.filter(({ name }) => name === tunnel);
  const hosted = reachable.filter(({ ownHost }) => ownHost !== undefined && ownHost === nameOf(host));
  const candidates = hosted.length > 0 ? hosted : reachable.filter(({ ownHost }) => ownHost === undefined || tunnel);
  let best: Mapped | undefined;
  for (const upstream of candidates) {
    const { prefix = '' } = upstream;
    if (path !== prefix && !path.startsWith(`${prefix}/`)) continue;
    if (best === undefined || prefix.length > (best.upstream.prefix ?? '').length) {
      best = { upstream, path: path.slice(prefix.length) || '/' };
    }
  }
  return best;
}

/** A host without its port. */
export function nameOf(host: string): string {
  return host.replace(/:\d+$/, '');
}

/** The `Host` that an upstream is asked by: its own name for itself, or its address. */
export function hostOf({ host, port, tls, ownHost }: HttpUpstream): string {
  if (ownHost !== undefined) return ownHost;
  const usual = tls.mode === 'disable' ? 80 : 443;
  const name = host.includes(':') ? `[${host}]` : host;
  return port === usual ? name : `${name}:${port}`;
}

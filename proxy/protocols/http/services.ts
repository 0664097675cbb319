import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import type { Pool } from 'undici';
import { UpstreamCredential } from './credentials.ts';
import { type AllowedHeaders, allowHeaders } from './headers.ts';
import type { HttpAdapterOptions } from './index.ts';
import { McpSessions, Sealer, ToolPins } from './mcp/index.ts';
import { openFirstUses } from './mcp-pins.ts';
import { createPool } from './pool.ts';
import { createRoutes, type Routes } from './routes.ts';
import type { HttpUpstream } from './upstreams.ts';

/** What belongs to one upstream, for all connections. */
export interface UpstreamServices {
  readonly pool: Pool;
  readonly credential: UpstreamCredential;
  /** Undefined when it has no routes: then none is unknown. */
  readonly routes: Routes | undefined;
}

/** What the connections of a listener share. */
export class Services {
  readonly options: HttpAdapterOptions;
  /** Every name that a request may ask for. */
  readonly hosts: readonly string[];
  /** What of a request's headers may go on, besides what always may. */
  readonly headers: AllowedHeaders;
  /** What is known of MCP servers and of whom they talk to. */
  readonly mcp: { readonly pins: ToolPins; readonly sessions: McpSessions; readonly sealer: Sealer };
  readonly #upstreams = new Map<string, UpstreamServices>();

  /** @throws Error when routes, or the file of pins, cannot be read */
  constructor(options: HttpAdapterOptions) {
    this.options = options;
    const { upstreams, hosts, url, clock, limits, mcpPins } = options;
    const known = [
      ...hosts,
      ...upstreams.flatMap(({ ownHost }) => ownHost ?? []),
      ...(url === undefined ? [] : [new URL(url).hostname]),
      ...['localhost', '127.0.0.1', '[::1]'],
    ];
    this.hosts = [...new Set(known.map((host) => (isIP(host) === 6 ? `[${host}]` : host.toLowerCase())))];
    const allowed = allowHeaders(['mcp-*', 'last-event-id']);
    if ('error' in allowed) throw new Error(allowed.error);
    this.headers = allowed;
    const now = () => clock.nowMs();
    this.mcp = {
      pins: new ToolPins({ clock: now, firstUses: mcpPins === undefined ? undefined : openFirstUses(mcpPins) }),
      sessions: new McpSessions({ clock: now, randomBytes }),
      sealer: new Sealer(randomBytes(32)),
    };
    for (const upstream of upstreams) {
      this.#upstreams.set(upstream.name, {
        pool: createPool(upstream, limits),
        credential: new UpstreamCredential(upstream.credential, clock, limits),
        routes: routesOf(upstream),
      });
    }
  }

  /** What belongs to a configured upstream. */
  of(upstream: HttpUpstream): UpstreamServices {
    const services = this.#upstreams.get(upstream.name);
    if (services === undefined) throw new Error('an upstream that is not of this listener');
    return services;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#upstreams.values()].map(({ pool }) => pool.destroy()));
  }
}

function routesOf({ name, routes, openapi }: HttpUpstream): Routes | undefined {
  if (routes.length === 0 && openapi === undefined) return undefined;
  const made = createRoutes({
    templates: routes.map(({ path, method, operationId, tags }) => ({
      path,
      ...(method !== undefined && { method }),
      ...(operationId !== undefined && { operation_id: operationId }),
      tags,
    })),
    ...(openapi && { openapi }),
  });
  if ('error' in made) throw new Error(`upstream ${name}: ${made.error}`);
  return made.routes;
}

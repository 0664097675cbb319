import type { SecureContext } from 'node:tls';
import type { Limits } from '../../core/limits.ts';
import type { Masker } from '../../core/masker.ts';
import type { Clock, Connection, Gateway, ProtocolAdapter } from '../../core/ports.ts';
import { HttpConnection } from './connection.ts';
import { HttpFront } from './front.ts';
import { supports } from './plan.ts';
import { Services } from './services.ts';
import type { HttpUpstream } from './upstreams.ts';

export type { HttpUpstream } from './upstreams.ts';

/** What one HTTP listener is made of. */
export interface HttpAdapterOptions {
  /** The gateway's certificate towards clients as it is now; undefined: in clear, on loopback. */
  readonly tls: () => SecureContext | undefined;
  /** Host names that it may be asked for by; those of its upstreams are added. */
  readonly hosts: readonly string[];
  /** How clients know it, without a slash at the end; without it what they ask for. */
  readonly url: string | undefined;
  /** Methods that may have a body besides POST, PUT and PATCH. */
  readonly bodyMethods: readonly string[];
  /** `%2F` may stand in a segment of a path. */
  readonly encodedSlashes: boolean;
  /** Issuers of tokens, for what the gateway says about itself (RFC 9728). */
  readonly issuers: readonly string[];
  readonly upstreams: readonly HttpUpstream[];
  /** A file that remembers the first use of tools of MCP servers; undefined: they are remembered while this runs. */
  readonly mcpPins: string | undefined;
  readonly masker: Masker;
  readonly clock: Clock;
  readonly limits: Limits;
}

/** The adapter of one HTTP listener. @throws Error when a route or an OpenAPI document cannot be used */
export function createHttpAdapter(options: HttpAdapterOptions): ProtocolAdapter {
  return new HttpAdapter(options);
}

class HttpAdapter implements ProtocolAdapter {
  readonly protocol = 'http';
  readonly supports = supports;
  readonly #options: HttpAdapterOptions;
  readonly #front: HttpFront;
  readonly #services: Services;

  constructor(options: HttpAdapterOptions) {
    this.#options = options;
    this.#front = new HttpFront(options.limits);
    this.#services = new Services(options);
  }

  async serve(connection: Connection, gateway: Gateway): Promise<void> {
    const handler = new HttpConnection(connection, gateway, this.#services);
    await this.#front.serve(connection, this.#options.tls(), handler);
    await handler.close();
  }

  async close(): Promise<void> {
    this.#front.close();
    await this.#services.close();
  }
}

import type { LookupAddress } from 'node:dns';
import type { Connection, Gateway, ProtocolAdapter } from '../../../core/ports.ts';
import { HttpConnection } from '../connection.ts';
import { HttpFront } from '../front.ts';
import type { HttpAdapterOptions } from '../index.ts';
import { supports } from '../plan.ts';
import { Services } from '../services.ts';
import { ForwardConnection } from './connection.ts';
import { type Authority, LeafCertificates } from './leaf.ts';
import { withoutPrefixes } from './upstreams.ts';

/** What a forward proxy is made of, besides what any HTTP listener is. */
export interface ForwardAdapterOptions extends HttpAdapterOptions {
  /** What policy and the trail call the proxy itself: the upstream of its `connect`. */
  readonly name: string;
  /** Signs what TLS clients of the upstreams are shown; undefined: those are not served. */
  readonly certificateAuthority: Authority | undefined;
  /** For tests: how names of other destinations are looked up. */
  readonly resolve?: ((host: string) => Promise<readonly LookupAddress[]>) | undefined;
}

/** What its connections share. */
export interface ForwardParts {
  readonly name: string;
  readonly services: Services;
  readonly front: HttpFront;
  readonly leaves: LeafCertificates | undefined;
  readonly resolve: ForwardAdapterOptions['resolve'];
}

/** The adapter of a forward proxy's listener. @throws Error when a route or an OpenAPI document cannot be used */
export function createForwardAdapter(options: ForwardAdapterOptions): ProtocolAdapter {
  return new ForwardAdapter(options);
}

class ForwardAdapter implements ProtocolAdapter {
  readonly protocol = 'http';
  readonly supports = supports;
  readonly #options: ForwardAdapterOptions;
  readonly #parts: ForwardParts;

  constructor(options: ForwardAdapterOptions) {
    const { name, certificateAuthority, clock, limits, resolve } = options;
    this.#options = { ...options, upstreams: withoutPrefixes(options.upstreams) };
    this.#parts = {
      name,
      services: new Services(this.#options),
      front: new HttpFront(limits),
      leaves: certificateAuthority && new LeafCertificates(certificateAuthority, clock, limits),
      resolve,
    };
  }

  async serve(connection: Connection, gateway: Gateway): Promise<void> {
    const { front, services } = this.#parts;
    // A tunnel of another protocol that leads to one of the upstreams: what is inside brings its own token.
    const tunnelled = connection.upstream !== undefined;
    const handler = tunnelled
      ? new HttpConnection(connection, gateway, services)
      : new ForwardConnection(connection, gateway, this.#parts);
    await front.serve(connection, tunnelled ? undefined : this.#options.tls(), handler);
    await handler.close();
  }

  async close(): Promise<void> {
    this.#parts.front.close();
    await this.#parts.services.close();
  }
}

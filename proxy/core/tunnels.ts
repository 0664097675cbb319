/** Tunnels that lead to a known upstream: its own adapter serves what is inside, so that nothing goes dark. */
import type { Duplex } from 'node:stream';
import { GatewayError } from './errors.ts';
import type { Limits } from './limits.ts';
import type { Gateway, ProtocolAdapter, SessionHandle } from './ports.ts';
import type { Credential, Fault, Identity, JsonObject, SessionInit } from './types.ts';

/** An upstream that a tunnel may lead to. */
interface Entry {
  readonly host: string;
  readonly port: number;
  readonly adapter: ProtocolAdapter;
}

/** The upstreams by name and by address, each with the adapter that serves it. */
export class Tunnels {
  readonly #entries = new Map<string, Entry>();
  readonly #limits: Pick<Limits, 'tunnelsMax'>;
  #open = 0;

  constructor(limits: Pick<Limits, 'tunnelsMax'>) {
    this.#limits = limits;
  }

  /** Adds an upstream. One that several listeners serve belongs to the first of them. */
  add(upstream: string, entry: Entry): void {
    if (!this.#entries.has(upstream)) this.#entries.set(upstream, entry);
  }

  /** The upstream that goes by this name, at any port, or has this address. */
  find(host: string, port: number): string | undefined {
    const name = host.toLowerCase();
    if (this.#entries.has(host)) return host;
    return [...this.#entries].find(([, entry]) => entry.host.toLowerCase() === name && entry.port === port)?.[0];
  }

  /**
   * Serves what is inside a tunnel as a connection to the upstream, to its end. The tunnel ends with the session it
   * is part of, and only the subject of that session gets in. Never rejects.
   */
  async serve(
    tunnel: { readonly socket: Duplex; readonly clientAddress: string },
    upstream: string,
    outer: { readonly session: SessionHandle; readonly gateway: Gateway },
  ): Promise<void> {
    const { socket } = tunnel;
    const end = () => socket.destroy();
    const entry = this.#entries.get(upstream);
    if (entry === undefined || this.#open >= this.#limits.tunnelsMax || outer.session.signal.aborted) {
      end();
      return;
    }
    this.#open += 1;
    outer.session.signal.addEventListener('abort', end, { once: true });
    try {
      await entry.adapter.serve({ ...tunnel, upstream }, new SameSubject(outer.gateway, outer.session.identity));
    } finally {
      outer.session.signal.removeEventListener('abort', end);
      this.#open -= 1;
      end();
    }
  }
}

/** The gateway as the inside of a tunnel sees it: sessions are for the subject of the tunnel alone. */
class SameSubject implements Gateway {
  readonly #gateway: Gateway;
  readonly #subject: Identity;

  constructor(gateway: Gateway, subject: Identity) {
    this.#gateway = gateway;
    this.#subject = subject;
  }

  get config(): JsonObject {
    return this.#gateway.config;
  }

  authenticate(credential: Credential): Promise<Identity> {
    return this.#gateway.authenticate(credential);
  }

  /** @throws GatewayError `credential_invalid` for another subject */
  async open(init: SessionInit) {
    const { identity } = init;
    // The gateway's own sessions (a catalog, a login shell) are about the upstream, not about who asked for it first.
    const same = identity.issuer === this.#subject.issuer && identity.id === this.#subject.id;
    if (identity.type !== 'gateway' && !same) {
      throw new GatewayError('credential_invalid', 'The credential is not of the subject that the tunnel belongs to.');
    }
    return this.#gateway.open(init);
  }

  reject(about: { protocol: string; clientAddress: string; fault: Fault; identity?: Identity }) {
    return this.#gateway.reject(about);
  }

  issued(about: Parameters<Gateway['issued']>[0]): void {
    this.#gateway.issued(about);
  }

  upstreamAt(host: string, port: number): string | undefined {
    return this.#gateway.upstreamAt(host, port);
  }

  handOver(...tunnel: Parameters<Gateway['handOver']>): Promise<void> {
    return this.#gateway.handOver(...tunnel);
  }
}

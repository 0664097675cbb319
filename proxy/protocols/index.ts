/** The protocols that the gateway speaks: adding one is a folder and a line here. */
import type { SecureContext } from 'node:tls';
import type { UpstreamMaterials } from '../config/materials.ts';
import type { ListenerConfig, PostgresUpstreamConfig } from '../config/types.ts';
import type { Limits } from '../core/limits.ts';
import type { Masker } from '../core/masker.ts';
import type { Clock, ProtocolAdapter } from '../core/ports.ts';
import { createPostgresAdapter, type PostgresUpstream } from './postgres/index.ts';

/** What every adapter is made of, whatever its protocol. */
export interface AdapterParts {
  /** The listener's certificate and key as they are now; others after a reload. */
  readonly tls: () => SecureContext;
  readonly upstreams: ListenerConfig['upstreams'];
  /** What the configuration of each upstream refers to, by its name. */
  readonly materials: ReadonlyMap<string, UpstreamMaterials>;
  readonly masker: Masker;
  readonly clock: Clock;
  readonly limits: Limits;
}

const adapters: Readonly<Record<ListenerConfig['protocol'], (parts: AdapterParts) => ProtocolAdapter>> = {
  postgres: (parts) => createPostgresAdapter({ ...parts, upstreams: parts.upstreams.map(postgresUpstream(parts)) }),
};

/** The adapter for one listener. */
export function createAdapter(protocol: ListenerConfig['protocol'], parts: AdapterParts): ProtocolAdapter {
  return adapters[protocol](parts);
}

/** An upstream as its adapter wants it: what was configured, with what the configuration refers to in its place. */
function postgresUpstream({ materials }: AdapterParts): (upstream: PostgresUpstreamConfig) => PostgresUpstream {
  return ({ name, address, tls, databases, searchPath }) => {
    const known = materials.get(name);
    if (known === undefined) throw new Error(`the materials of upstream ${name} were not loaded`);
    return {
      name,
      ...address,
      tls: tls.mode === 'disable' ? tls : { mode: tls.mode, ca: known.ca, serverName: tls.serverName },
      databases,
      searchPath,
      logins: known.logins,
    };
  };
}

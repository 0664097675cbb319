/** The protocols that the gateway speaks: adding one is a folder and a line here. */
import type { SecureContext } from 'node:tls';
import type { UpstreamMaterials } from '../config/materials.ts';
import type { ListenerConfig } from '../config/types.ts';
import type { Limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Masker } from '../core/masker.ts';
import type { Clock, ProtocolAdapter } from '../core/ports.ts';
import { createPostgresAdapter } from './postgres/index.ts';

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
  readonly log: Log;
}

const adapters: Readonly<Record<ListenerConfig['protocol'], (parts: AdapterParts) => ProtocolAdapter>> = {
  postgres: createPostgresAdapter,
};

/** The adapter for one listener. */
export function createAdapter(protocol: ListenerConfig['protocol'], parts: AdapterParts): ProtocolAdapter {
  return adapters[protocol](parts);
}

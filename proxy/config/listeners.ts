import type { ConfigDocument, KeyPath } from './document.ts';
import type { RawListener } from './schema.ts';
import type {
  Address,
  ListenerConfig,
  PostgresUpstreamConfig,
  SecretReference,
  SshUpstreamConfig,
  UpstreamConfig,
} from './types.ts';

/** How relative things of the file are read. */
export interface Readers {
  path(relative: string): string;
  secret(reference: string): SecretReference;
  address(written: string, at: KeyPath): Address;
}

/** How long a certificate lasts that an agent logs in with, unless the configuration says otherwise. */
const defaultLifetimeSeconds = 600;

/** One of `listeners[]`, with its upstreams in the place of their names; what is wrong is noted in the document. */
export function readListener(
  document: ConfigDocument,
  listener: RawListener,
  at: KeyPath,
  { read, upstreams }: { readonly read: Readers; readonly upstreams: ReadonlyMap<string, UpstreamConfig> },
): ListenerConfig {
  const listen = read.address(listener.listen, [...at, 'listen']);
  const named = listener.upstreams.flatMap((name, position): UpstreamConfig[] => {
    const upstream = upstreams.get(name);
    const here = [...at, 'upstreams', position];
    if (upstream === undefined) document.add(here, `there is no upstream called ${name}`);
    else if (upstream.protocol !== listener.protocol) document.add(here, `is reached by ${upstream.protocol}`);
    if (listener.upstreams.indexOf(name) !== position) document.add(here, 'is listed twice');
    return upstream === undefined ? [] : [upstream];
  });
  if (listener.protocol === 'ssh') {
    const { key, lifetime_seconds: lifetimeSeconds = defaultLifetimeSeconds } = listener.certificate_authority;
    return {
      protocol: listener.protocol,
      listen,
      hostKeys: listener.host_keys.map(read.secret),
      certificateAuthority: { key: read.secret(key), lifetimeSeconds },
      upstreams: named.filter((one): one is SshUpstreamConfig => one.protocol === 'ssh'),
    };
  }
  return {
    protocol: listener.protocol,
    listen,
    tls: { certificate: read.path(listener.tls.certificate), key: read.secret(listener.tls.key) },
    upstreams: named.filter((one): one is PostgresUpstreamConfig => one.protocol === 'postgres'),
  };
}

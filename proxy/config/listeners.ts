import type { ConfigDocument, KeyPath } from './document.ts';
import type { RawListener } from './schema.ts';
import type {
  Address,
  HttpUpstreamConfig,
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
  if (listener.protocol === 'http') {
    const { tls, hosts = [], url } = listener;
    if (tls === undefined && !isLoopback(listen.host)) document.add(at, 'needs tls: only loopback may be in clear');
    const mapped = named.filter((one): one is HttpUpstreamConfig => one.protocol === 'http');
    if (new Set(mapped.map(({ prefix, host }) => JSON.stringify([prefix, host]))).size < mapped.length) {
      document.add([...at, 'upstreams'], 'has two with the same prefix and host');
    }
    return {
      protocol: listener.protocol,
      listen,
      tls: tls && { certificate: read.path(tls.certificate), key: read.secret(tls.key) },
      hosts,
      url,
      upstreams: mapped,
    };
  }
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

/** Whether what listens there can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

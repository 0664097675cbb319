import type { HttpUpstream } from '../upstreams.ts';
import type { Destination } from './dial.ts';

/** Upstreams as a client of a forward proxy asks for them: by their own address, at which no prefix tells them apart. */
export function withoutPrefixes(upstreams: readonly HttpUpstream[]): readonly HttpUpstream[] {
  return upstreams.map((upstream) => ({ ...upstream, prefix: undefined }));
}

/**
 * The upstream that is asked for: by the name it has for itself at the port that is usual for it, by its address, or by
 * what the gateway calls it, at any port.
 */
export function upstreamFor({ host, port }: Destination, upstreams: readonly HttpUpstream[]): HttpUpstream | undefined {
  return (
    upstreams.find(({ ownHost, tls }) => ownHost === host && port === (tls.mode === 'disable' ? 80 : 443)) ??
    upstreams.find((upstream) => upstream.host.toLowerCase() === host && upstream.port === port) ??
    upstreams.find(({ name }) => name.toLowerCase() === host)
  );
}

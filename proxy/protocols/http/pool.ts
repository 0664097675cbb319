/** Connections to one upstream, kept alive and bounded; one request at a time on each. */
import { isIP } from 'node:net';
import { buildConnector, Pool } from 'undici';
import type { Limits } from '../../core/limits.ts';
import type { HttpUpstream } from './upstreams.ts';

/** Makes the pool of an upstream. Nothing is connected before the first request. */
export function createPool(upstream: HttpUpstream, limits: Limits): Pool {
  const { host, port, tls } = upstream;
  const name = host.includes(':') ? `[${host}]` : host;
  return new Pool(`${tls.mode === 'disable' ? 'http' : 'https'}://${name}:${port}`, {
    connections: limits.httpUpstreamConnectionsMax,
    pipelining: 1,
    connect: connector(upstream, limits),
    headersTimeout: limits.httpAnswerTimeoutMs,
    bodyTimeout: limits.httpPieceTimeoutMs,
    maxHeaderSize: limits.httpHeaderBytesMax,
  });
}

/**
 * Whose certificate it must be is configured. undici would take the name from each request's `Host` instead, which is what
 * the upstream calls itself, not where it is.
 */
function connector({ host, tls, clientCertificate }: HttpUpstream, limits: Limits): buildConnector.connector {
  const timeout = limits.httpConnectTimeoutMs;
  if (tls.mode === 'disable') return buildConnector({ timeout });
  const connect = buildConnector({
    timeout,
    minVersion: 'TLSv1.2',
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(clientCertificate && { cert: clientCertificate.certificate, key: clientCertificate.key }),
  });
  // An address is no name to ask for (RFC 6066 section 3); the certificate is compared with the address itself.
  const servername = tls.serverName ?? (isIP(host) === 0 ? host : '');
  return (options, callback) => connect({ ...options, servername }, callback);
}

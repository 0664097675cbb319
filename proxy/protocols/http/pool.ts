/** Connections to one upstream, kept alive and bounded; one request at a time on each. */
import { Pool } from 'undici';
import type { Limits } from '../../core/limits.ts';
import type { HttpUpstream } from './upstreams.ts';

/** Makes the pool of an upstream. Nothing is connected before the first request. */
export function createPool(upstream: HttpUpstream, limits: Limits): Pool {
  const { host, port, tls, clientCertificate } = upstream;
  const name = host.includes(':') ? `[${host}]` : host;
  const secure =
    tls.mode === 'disable'
      ? {}
      : {
          ...(tls.ca !== undefined && { ca: tls.ca }),
          servername: tls.serverName ?? host,
          ...(clientCertificate && { cert: clientCertificate.certificate, key: clientCertificate.key }),
        };
  return new Pool(`${tls.mode === 'disable' ? 'http' : 'https'}://${name}:${port}`, {
    connections: limits.httpUpstreamConnectionsMax,
    pipelining: 1,
    connect: { ...secure, timeout: limits.httpConnectTimeoutMs },
    headersTimeout: limits.httpAnswerTimeoutMs,
    bodyTimeout: limits.httpPieceTimeoutMs,
    maxHeaderSize: limits.httpHeaderBytesMax,
  });
}

/** Where a client of MCP learns whose tokens it needs (RFC 9728). */
import type { JsonObject } from '../../core/types.ts';
import type { CanonicalRequest } from './contract.ts';
import { protectedResourceMetadata, protectedResourcePath } from './mcp/index.ts';
import type { Services } from './services.ts';

/** The metadata of a protected resource, when that is what a request asks for (RFC 9728). */
export function metadataFor(
  request: CanonicalRequest,
  { options }: Services,
  scheme: 'http' | 'https',
): JsonObject | undefined {
  if (request.method !== 'GET') return undefined;
  for (const upstream of options.upstreams) {
    if (upstream.mcp === undefined) continue;
    const path = `${upstream.prefix ?? ''}${upstream.mcp}`;
    if (request.path !== protectedResourcePath(path)) continue;
    return protectedResourceMetadata({
      resource: `${options.url ?? `${scheme}://${request.host}`}${path}`,
      authorizationServers: options.issuers,
      scopes: [],
    });
  }
  return undefined;
}

/** Where that is for the endpoint that a request is for. */
export function metadataUrl(request: CanonicalRequest, { options }: Services, scheme: 'http' | 'https'): string {
  return `${options.url ?? `${scheme}://${request.host}`}${protectedResourcePath(request.path)}`;
}

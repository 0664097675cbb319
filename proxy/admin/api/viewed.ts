import type { AuditPort } from '../../core/ports.ts';
import type { ApiRequest } from './route.ts';

/**
 * Notes in the trail that somebody looks at what an agent saw.
 * @throws GatewayError `audit_unavailable`: it must then not be shown.
 */
export function viewed(audit: AuditPort, request: ApiRequest, what: 'live' | 'recording', session: string): void {
  const { visitor, clientAddress } = request;
  const { issuer, id } = visitor.principal;
  const own = { session, what, by: { issuer, id }, channel: visitor.channel, client_address: clientAddress };
  audit.write({ event: 'viewed', members: '', own });
}

/** Refusals in HTTP's own words: RFC 9457 problem documents, and RFC 6750 for who is not logged in. */
import type { ServerResponse } from 'node:http';
import type { RefusalCode } from '../../core/errors.ts';
import type { Refusal } from '../../core/types.ts';

/** The status of each code of the gateway. A policy's own code is 403. */
const statuses: Partial<Record<RefusalCode, number>> = {
  credential_missing: 401,
  credential_invalid: 401,
  credential_expired: 401,
  identity_unavailable: 503,
  policy_unavailable: 503,
  policy_input_too_large: 413,
  operation_malformed: 400,
  operation_too_large: 413,
  operation_unsupported: 501,
  operation_unparseable: 400,
  upstream_unavailable: 502,
  upstream_unknown: 404,
  audit_unavailable: 503,
  record_unavailable: 503,
  limit_reached: 429,
  draining: 503,
  internal_error: 500,
  store_unavailable: 503,
};

const statusByCode: ReadonlyMap<string, number> = new Map(Object.entries(statuses));

/** The status that a refusal with this code carries. */
export function statusOf(code: string): number {
  return statusByCode.get(code) ?? 403;
}

/** A refusal as a problem document (RFC 9457); what an agent can do is in `hint`. */
export function problemOf(refusal: Refusal, status: number = statusOf(refusal.code)) {
  const { code, policy, message, hint, decisionId, reasons } = refusal;
  return {
    type: `urn:sallyport:refusal:${code}`,
    title: message,
    status,
    detail: `${message} ${hint}`,
    code,
    policy: policy ?? null,
    decision_id: decisionId,
    ...(refusal.approval !== undefined && { approval: refusal.approval }),
    hint,
    reasons: reasons.map((reason) => ({ policy: reason.policy, code: reason.code, message: reason.message })),
  };
}

/** How a refusal is sent. */
export interface ProblemOptions {
  readonly status?: number | undefined;
  /** The whole value of WWW-Authenticate, for 401. */
  readonly challenge?: string | undefined;
  /** The request's body was not read: the connection must not be used again. */
  readonly close?: boolean | undefined;
}

/** How a token may be shown to a forward proxy (RFC 9110 section 11.7.1). */
export const proxyChallenges = ['Bearer', 'Basic realm="sallyport"'];

/** Answers a request with a refusal. What was already answered is cut off instead: it must not look complete. */
export function sendProblem(response: ServerResponse, refusal: Refusal, options: ProblemOptions = {}): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = options.status ?? statusOf(refusal.code);
  const body = Buffer.from(JSON.stringify(problemOf(refusal, status)));
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': String(body.length),
    'cache-control': 'no-store',
    ...(status === 401 && { 'www-authenticate': options.challenge ?? 'Bearer' }),
    ...(status === 407 && { 'proxy-authenticate': proxyChallenges }),
    ...((status === 429 || status === 503) && { 'retry-after': '5' }),
    ...(options.close && { connection: 'close' }),
  });
  response.end(body);
}

/** `Bearer` with what is wrong (RFC 6750 section 3), and where to learn more (RFC 9728 section 5.1). */
export function challenge(code: string, metadata: string | undefined): string {
  const parts = code === 'credential_missing' ? [] : [`error="invalid_token"`, `error_description="${code}"`];
  if (metadata !== undefined) parts.push(`resource_metadata="${metadata}"`);
  return parts.length === 0 ? 'Bearer' : `Bearer ${parts.join(', ')}`;
}

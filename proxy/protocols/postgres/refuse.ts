/**
 * Refusals in PostgreSQL's own words: an ErrorResponse for what the gateway says itself, and the way to make the
 * upstream fail in the place of a statement that it must not see.
 */
import type { RefusalCode } from '../../core/errors.ts';
import type { Refusal } from '../../core/types.ts';
import { backend, type ErrorFields, frontend } from './codec.ts';

/** What an error is made of. */
export interface ErrorWords {
  readonly severity: 'ERROR' | 'FATAL' | 'NOTICE';
  /** Five characters. @see https://www.postgresql.org/docs/18/errcodes-appendix.html */
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

/** The SQLSTATE of each code of the gateway. A policy's own code is 42501, insufficient_privilege. */
const sqlstates: Partial<Record<RefusalCode, string>> = {
  // 28000 invalid_authorization_specification
  credential_missing: '28000',
  credential_invalid: '28000',
  credential_expired: '28000',
  quarantined: '28000',
  // 57P03 cannot_connect_now: come back later
  identity_unavailable: '57P03',
  upstream_unavailable: '57P03',
  // 3D000 invalid_catalog_name
  upstream_unknown: '3D000',
  // 54000 program_limit_exceeded
  policy_input_too_large: '54000',
  operation_too_large: '54000',
  // 53400 configuration_limit_exceeded
  limit_reached: '53400',
  operation_malformed: '08P01',
  operation_unsupported: '0A000',
  operation_unparseable: '42601',
  // 58030 io_error
  audit_unavailable: '58030',
  record_unavailable: '58030',
  // 57P01 admin_shutdown
  session_ended: '57P01',
  draining: '57P01',
  internal_error: 'XX000',
  // 57014 query_canceled
  approval_abandoned: '57014',
  store_unavailable: '58030',
};

const insufficientPrivilege = '42501';

const sqlstateByCode: ReadonlyMap<string, string> = new Map(Object.entries(sqlstates));

/** The SQLSTATE a refusal with this code carries. */
export function sqlstateOf(code: string): string {
  return sqlstateByCode.get(code) ?? insufficientPrivilege;
}

/** An ErrorResponse. NUL, which would end a field early, is dropped from every text. */
export function errorResponse(words: ErrorWords): Buffer {
  return backend.errorResponse(errorFields(words));
}

/** A refusal as an ErrorResponse: FATAL when it ends the session. The detail is JSON for machines. */
export function refusalResponse(refusal: Refusal, severity?: ErrorWords['severity']): Buffer {
  return backend.errorResponse(refusalFields(refusal, severity));
}

/** A NoticeResponse in which the gateway says why nothing happens yet. */
export function holdNotice(text: string): Buffer {
  const fields = errorFields({ severity: 'NOTICE', sqlstate: '00000', message: `sallyport: ${text}` });
  return backend.noticeResponse(fields);
}

/** The fields of {@link refusalResponse}, for who writes the message in another's place. */
export function refusalFields(refusal: Refusal, severity?: ErrorWords['severity']): ErrorFields {
  return errorFields({
    severity: severity ?? (refusal.endSession ? 'FATAL' : 'ERROR'),
    sqlstate: sqlstateOf(refusal.code),
    message: `${refusal.message} (${refusal.code})`,
    detail: JSON.stringify({
      code: refusal.code,
      policy: refusal.policy ?? null,
      decision_id: refusal.decisionId,
      ...(refusal.approval !== undefined && { approval: refusal.approval }),
      reasons: refusal.reasons.map(({ policy, code, message }) => ({ policy, code, message })),
      hint: refusal.hint,
    }),
    hint: refusal.hint,
  });
}

/** The fields of {@link errorResponse}. */
export function errorFields(words: ErrorWords): ErrorFields {
  const fields: [string, string | undefined][] = [
    ['S', words.severity],
    // V is the severity that no server setting translates.
    ['V', words.severity],
    ['C', words.sqlstate],
    ['M', words.message],
    ['D', words.detail],
    ['H', words.hint],
  ];
  return new Map(
    fields.flatMap(([code, text]) => (text === undefined ? [] : [[code, text.replaceAll('\0', '')] as const])),
  );
}

/*
 * The deny primitive. Instead of answering for the server, the gateway replaces a denied message by one that the
 * server itself must fail at: skipping to Sync, rolling back and the transaction state stay PostgreSQL's own. The
 * server's error is then rewritten, found again by a name that carries a nonce.
 */

/**
 * The fields of the error that stands for a denied message.
 *
 * @param detail - what the parser said, for the client that sent the text and nobody else
 */
export function denialFields(refusal: Refusal, detail: string | undefined): ErrorFields {
  const message = detail === undefined ? refusal.message : `${refusal.message} ${detail}`;
  return refusalFields({ ...refusal, message }, 'ERROR');
}

/** The name of a statement that cannot exist. `nonce` is unguessable, of letters and digits, and used once. */
export function denyName(nonce: string): string {
  return `sallyport_deny_${nonce}`;
}

/** In the place of a denied Parse, Bind, Execute, Describe or Close: a Describe that fails with 26000. */
export function denyDescribe(nonce: string): Buffer {
  return frontend.describe('S', denyName(nonce));
}

/** In the place of a denied Query: one word that is a syntax error, 42601, in any state of a transaction. */
export function denyQuery(nonce: string): Buffer {
  return frontend.query(denyName(nonce));
}

/** Whether this error of the upstream is the answer to the denial with `nonce`, and no other. */
export function isDenial(fields: ErrorFields, nonce: string): boolean {
  const sqlstate = fields.get('C');
  return (sqlstate === '26000' || sqlstate === '42601') && (fields.get('M') ?? '').includes(denyName(nonce));
}

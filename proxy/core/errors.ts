/**
 * A fault with a stable code. Expected outcomes are return values; this is for what went wrong.
 * The message is a sentence for people and never carries a credential or a value that could be masked.
 */
export class GatewayError extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'GatewayError';
    this.code = code;
  }
}

/**
 * The codes the gateway itself refuses with, and what an agent can do about each. Policies have codes
 * of their own. Codes are a public contract: they are in refusals, audit events and metrics.
 */
export const refusalCodes = {
  // identity
  credential_missing: 'Send your OIDC access token as the credential.',
  credential_invalid: 'Get a token from the configured issuer for this gateway’s audience and try again.',
  credential_expired: 'Get a fresh token and reconnect.',
  identity_unavailable: 'The identity provider could not be reached. Try again later.',
  // policy
  policy_unavailable: 'No policy bundle is active. Tell the platform team.',
  policy_undefined: 'No policy allows this. Ask the policy owner if it should be allowed.',
  policy_error: 'The policy failed to evaluate. Tell the policy owner, with the decision id.',
  policy_result_invalid: 'The policy returned something outside the decision contract. Tell the policy owner.',
  policy_input_too_large: 'The operation has too many facts to judge. Split it up.',
  mask_unknown: 'The policy names a mask that does not exist. Tell the policy owner.',
  mask_unsupported: 'The policy asks for a mask this protocol cannot apply. Tell the policy owner.',
  mask_unprovable: 'Ask for it in a form that masks can be applied to: columns by themselves, whole JSON, text.',
  obligation_unsupported: 'The policy asks for an obligation this protocol cannot honour. Tell the policy owner.',
  // approvals
  approval_unavailable: 'This operation needs an approval, and can have none here. Ask its owner.',
  approval_pending:
    'Ask the approvers for it, then send the identical operation again as the same subject: it runs once it is approved. A changed one needs an approval of its own.',
  approval_denied: 'The approvers refused it. Do not send it again; ask them what to do instead.',
  approval_expired: 'Nobody decided in time, or the approval was not used in time. Send it again to ask anew.',
  approval_outdated: 'Send the identical operation again.',
  approval_abandoned: 'The client left or cancelled while it was held. Its request stands: send it again.',
  approval_unknown: 'There is no such approval.',
  approval_closed: 'It was decided already, or its time is over.',
  approval_not_yours: 'Only members of the groups that it names may decide.',
  approval_self: 'Nobody decides on their own request, nor on one made on their behalf.',
  approval_reason_required: 'Give a reason.',
  approval_already_voted: 'You have decided already; another approver is needed.',
  store_unavailable: 'The store of approvals cannot be reached, so nothing that needs one runs. Try again later.',
  // operation
  operation_malformed: 'The operation could not be read. Correct it and try again.',
  operation_too_large: 'The operation is larger than the configured bound. Split it up.',
  operation_unsupported: 'This operation is not available through the gateway.',
  operation_unparseable: 'The operation could not be parsed. Correct it and try again.',
  operation_incomplete:
    'Check that every name in it exists and is written out in full, and that nothing in it is only known once it runs; else use a simpler form.',
  tool_changed: 'The tool is no longer what was accepted. Ask the platform team to look at it and to accept it again.',
  tool_unlisted: 'Nobody accepted this tool yet. Ask the platform team to look at it.',
  // plumbing
  audit_unavailable: 'The audit trail cannot be written, so nothing is forwarded. Try again later.',
  record_unavailable: 'The session cannot be recorded, so nothing is forwarded. Try again later.',
  upstream_unavailable: 'The upstream could not be reached. Try again later.',
  upstream_unknown: 'Ask the platform team which upstreams exist.',
  limit_reached: 'A bound of the gateway was reached. Try again with less at once.',
  session_ended: 'The session was ended. Reconnect if you may.',
  quarantined: 'This subject is quarantined. Ask a person.',
  draining: 'The gateway is shutting down. Reconnect.',
  internal_error: 'The gateway failed. Tell the platform team, with the decision id.',
} as const;

/** A code of {@link refusalCodes}. */
export type RefusalCode = keyof typeof refusalCodes;

/** Anything thrown, as a `GatewayError`: libraries throw strings and plain objects too. */
export function asGatewayError(thrown: unknown, code: RefusalCode, message: string): GatewayError {
  return thrown instanceof GatewayError ? thrown : new GatewayError(code, message, { cause: thrown });
}

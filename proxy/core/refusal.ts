/** From faults and decisions to refusals; pure. */
import { GatewayError, type RefusalCode, refusalCodes } from './errors.ts';
import type { Decision, Fault, Reason, Refusal, SessionInit } from './types.ts';

/** Obligations the gate itself carries out, whatever the protocol. */
const gateObligations: ReadonlySet<string> = new Set(['end_session', 'rate']);

/** Runs an adapter's pure function: whatever it throws is a fault, never an allow. */
export function guarded<Plan>(run: () => { plan: Plan } | { fault: Fault }): { plan: Plan } | { fault: Fault } {
  try {
    return run();
  } catch {
    return { fault: new GatewayError('internal_error', 'The gateway could not carry the decision out.') };
  }
}

/** What of a decision this adapter cannot carry out: a refusal, never silence. */
export function unsupportedIn(decision: Decision, supports: SessionInit['supports']): Fault | undefined {
  const { masks } = decision;
  for (const target of ['columns', 'json', 'text'] as const) {
    if (masks[target].size > 0 && !supports.masks.includes(target)) {
      return { code: 'mask_unsupported', message: `This protocol cannot apply masks on ${target}.` };
    }
  }
  const unknown = decision.obligations.find(
    ({ type }) => !gateObligations.has(type) && !supports.obligations.includes(type),
  );
  if (unknown === undefined) return undefined;
  return { code: 'obligation_unsupported', message: `This protocol cannot honour the obligation ${unknown.type}.` };
}

/** Nobody can be asked: there is no approval here that could be given, or that could be bound to the operation. */
export const approvalUnavailable: Fault = {
  code: 'approval_unavailable',
  message: 'This operation needs an approval that it cannot have here.',
};

/** Why a decision that is no allow refuses: the first reason speaks. */
export function notAllowed(decision: Decision): Fault {
  const [first] = decision.reasons;
  if (first !== undefined) return first;
  return decision.effect === 'require_approval'
    ? approvalUnavailable
    : { code: 'policy_undefined', message: 'No policy allows this.' };
}

/** A fault as what the client is told, with what it can do next. */
export function refusalOf(decisionId: string, fault: Fault, reasons: readonly Reason[], endSession: boolean): Refusal {
  const { approval } = fault;
  const first = approval === undefined ? undefined : reasons[0];
  const policy = (first ?? reasons.find(({ code }) => code === fault.code))?.policy;
  const hint = isRefusalCode(fault.code)
    ? refusalCodes[fault.code]
    : 'Change the operation so that the policy allows it, or ask its owner.';
  return { decisionId, code: fault.code, policy, message: fault.message, hint, reasons, approval, endSession };
}

function isRefusalCode(code: string): code is RefusalCode {
  return Object.hasOwn(refusalCodes, code);
}

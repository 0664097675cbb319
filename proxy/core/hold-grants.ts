/** Which approvals an operation can rest on, and what they satisfy. Pure. */
import type { Approval, ApprovalKey, Grant } from './approvals.ts';
import type { Decision, JsonObject } from './types.ts';

/** The approved ones that together satisfy the most, none without need; those for exactly this operation first. */
export function grantsAmong(known: readonly Approval[], { digest, shape }: ApprovalKey): readonly Approval[] {
  const approved = known.filter((one) => one.state === 'approved');
  const exact = approved.filter((one) => one.digest === digest);
  const alike = approved.filter((one) => one.digest !== digest && shape !== undefined && one.shape === shape);
  const satisfied = new Set<string>();
  return [...exact, ...alike].filter((one) => {
    const fresh = one.grants.map(pair).filter((grant) => !satisfied.has(grant));
    for (const grant of fresh) satisfied.add(grant);
    return fresh.length > 0;
  });
}

/** Whether an approval is for exactly this operation, and for something that this decision asks for. */
export function isFor(approval: Approval, { digest }: ApprovalKey, decision: Decision): boolean {
  const asked = new Set(grantsOf(decision).map(pair));
  return approval.digest === digest && approval.grants.some((grant) => asked.has(pair(grant)));
}

/** What an approval would have to satisfy. */
export function grantsOf({ reasons }: Decision): readonly Grant[] {
  return reasons.map(({ policy, code }) => ({ policy, code }));
}

function pair({ policy, code }: Grant): string {
  return JSON.stringify([policy, code]);
}

/** Grants as policy reads them. */
export function documents(grants: readonly Grant[]): readonly JsonObject[] {
  return grants.map(({ policy, code }) => ({ policy, code }));
}

/** `context.approval` of the decision contract. */
export function approvalDocument(granting: readonly Approval[]): JsonObject {
  const [first] = granting;
  const vote = first?.votes.findLast(({ verdict }) => verdict === 'approve');
  return {
    id: first?.id ?? '',
    ...(vote && { approved_by: vote.approver.id, approved_at: new Date(vote.atMs).toISOString() }),
    ...(first && { expires_at: new Date(Math.min(...granting.map((one) => one.expiresAtMs))).toISOString() }),
    grants: documents(granting.flatMap((one) => one.grants)),
  };
}

/** What becomes of an approval: who may decide, when a grant holds, what a use leaves. Pure; the store serialises them. */
import type { Approval, ApprovalUse, ApprovalVote } from '../core/approvals.ts';
import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Principal } from '../core/types.ts';

/**
 * Counts one vote.
 * @throws GatewayError `approval_not_yours`, `approval_self`, `approval_closed`, `approval_already_voted` or
 * `approval_reason_required`
 */
export function voted(approval: Approval, vote: ApprovalVote): Approval {
  const { approver, verdict } = vote;
  if (!approver.groups.some((group) => approval.groups.includes(group))) {
    throw new GatewayError('approval_not_yours', `Only members of ${approval.groups.join(', ')} decide on this.`);
  }
  // Whatever groups they are in: administrators included.
  if (membersOf(approval).some((member) => same(member, approver))) {
    throw new GatewayError('approval_self', 'The requester, and whoever it acts for, cannot decide on this.');
  }
  demandOpen(approval, vote.atMs);
  if (approval.votes.some((earlier) => same(earlier.approver, approver))) {
    throw new GatewayError('approval_already_voted', 'This approver has decided already.');
  }
  if (approval.reasonRequired && vote.reason.trim() === '') {
    throw new GatewayError('approval_reason_required', 'The policy wants a reason.');
  }
  const votes = [...approval.votes, { ...vote, reason: bounded(vote.reason), channel: bounded(vote.channel) }];
  if (verdict === 'deny') return { ...approval, votes, state: 'denied' };
  // One vote each: every vote is another approver's.
  return { ...approval, votes, state: votes.length >= approval.quorum ? 'approved' : 'pending' };
}

/**
 * Approved by its own requester, where policy offers that for emergencies.
 * @throws GatewayError `approval_not_yours`, `approval_closed` or `approval_reason_required`
 */
export function brokenGlass(approval: Approval, own: Omit<ApprovalVote, 'verdict'>): Approval {
  if (!approval.breakGlass || !membersOf(approval).some((member) => same(member, own.approver))) {
    throw new GatewayError('approval_not_yours', 'Breaking the glass is not offered here, or not to this person.');
  }
  demandOpen(approval, own.atMs);
  if (own.reason.trim() === '')
    throw new GatewayError('approval_reason_required', 'Breaking the glass needs a reason.');
  const vote: ApprovalVote = { ...own, verdict: 'approve', reason: bounded(own.reason), brokeGlass: true };
  return { ...approval, votes: [...approval.votes, vote], state: 'approved' };
}

function membersOf({ subject, chain }: Approval): readonly Principal[] {
  return [subject, ...chain];
}

function demandOpen({ state, expiresAtMs }: Approval, nowMs: number): void {
  if (state === 'pending' && nowMs < expiresAtMs) return;
  throw new GatewayError('approval_closed', `This approval is ${state === 'pending' ? 'expired' : state}.`);
}

/** With one more use; undefined when there is none to take. */
export function taken(approval: Approval, use: Omit<ApprovalUse, 'outcome'>): Approval | undefined {
  if (approval.state !== 'approved' || use.atMs >= approval.expiresAtMs) return undefined;
  if (approval.used.length >= approval.uses) return undefined;
  const used = [...approval.used, { ...use, outcome: 'running' as const }];
  return { ...approval, used, state: used.length >= approval.uses ? 'used' : 'approved' };
}

/** With the outcome of a use. One that was given up as unknown may be known after all; the use stays spent. */
export function finished(approval: Approval, decisionId: string, outcome: ApprovalUse['outcome']): Approval {
  return withUses(approval, (use) =>
    use.decisionId === decisionId && (use.outcome === 'running' || use.outcome === 'unknown')
      ? { ...use, outcome }
      : use,
  );
}

/** With what a gateway that is gone left running given up as unknown. */
export function orphaned(approval: Approval, isGone: (gateway: string) => boolean): Approval {
  return withUses(approval, (use) =>
    use.outcome === 'running' && isGone(use.gateway) ? { ...use, outcome: 'unknown' } : use,
  );
}

/** Closed, once its time is over. */
export function expired(approval: Approval, nowMs: number): Approval {
  const open = approval.state === 'pending' || approval.state === 'approved';
  return open && nowMs >= approval.expiresAtMs ? { ...approval, state: 'expired' } : approval;
}

function withUses(approval: Approval, change: (use: ApprovalUse) => ApprovalUse): Approval {
  const used = approval.used.map(change);
  return used.some((use, at) => use !== approval.used[at]) ? { ...approval, used } : approval;
}

/** Identities are pairs. */
function same(one: Pick<Principal, 'issuer' | 'id'>, other: Pick<Principal, 'issuer' | 'id'>): boolean {
  return one.issuer === other.issuer && one.id === other.id;
}

function bounded(text: string): string {
  return text.slice(0, limits.approvalReasonLengthMax).toWellFormed();
}

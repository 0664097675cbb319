/** What a client is told about an operation that is held, and why one was refused. Pure. */
import type { Approval } from './approvals.ts';
import type { Decision, Fault } from './types.ts';

/** Whom it was asked of. */
export function pendingWords({ id, groups, quorum }: Approval): string {
  const who = quorum > 1 ? `${quorum} members of ${groups.join(', ')}` : groups.join(', ');
  return `Approval ${id} was asked of ${who}.`;
}

/** It must be asked for first; the client may send it again. */
export function pendingFault({ reasons }: Decision, approval: Approval): Fault {
  const why = reasons[0]?.message ?? 'This operation needs an approval.';
  const until = new Date(approval.expiresAtMs).toISOString();
  return {
    code: 'approval_pending',
    message: `${why} ${pendingWords(approval)} It holds until ${until}.`,
    approval: approval.id,
  };
}

/** Somebody said no. */
export function deniedFault({ id, votes }: Approval): Fault {
  const vote = votes.findLast(({ verdict }) => verdict === 'deny');
  const why = vote === undefined || vote.reason === '' ? '' : ` Reason: ${vote.reason}`;
  return { code: 'approval_denied', message: `Approval ${id} was denied.${why}`, approval: id };
}

/** What would run is not surely what was judged. */
export function outdatedFault(ids: readonly string[]): Fault {
  const message = 'What the operation refers to, or the policy, changed while it was held.';
  return { code: 'approval_outdated', message, approval: ids[0] };
}

/** The client did not wait for the answer. */
export function abandonedFault(approval: Approval | undefined): Fault {
  return {
    code: 'approval_abandoned',
    message: 'The client left while the operation was held.',
    approval: approval?.id,
  };
}

/** Nobody decided in time. */
export function expiredFault({ id }: Approval): Fault {
  return { code: 'approval_expired', message: `Approval ${id} has expired.`, approval: id };
}

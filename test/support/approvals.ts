/** People who decide, for tests: approvers of one issuer, and the requests that they are asked. */
import type { Approval, ApprovalDesk } from '../../proxy/core/approvals.ts';
import type { JsonObject, Principal } from '../../proxy/core/types.ts';

const issuer = 'https://people.example';

/** Two members of the group that is asked, and somebody who is in another one. */
export const ana: Principal = { issuer, id: 'ana', groups: ['dba'] };
export const bo: Principal = { issuer, id: 'bo', groups: ['dba'] };
export const eve: Principal = { issuer, id: 'eve', groups: ['sales'] };

/** The next request that is filed. */
export function nextRequest(desk: ApprovalDesk): Promise<Approval> {
  return new Promise((resolve) => {
    const stop = desk.onChange((id) => {
      void desk.get(id).then((approval) => {
        if (approval?.state !== 'pending' || approval.votes.length > 0) return;
        stop();
        resolve(approval);
      });
    });
  });
}

/** Somebody's word on a request. */
export function vote(
  desk: ApprovalDesk,
  id: string,
  { approver = ana, verdict = 'approve' }: { approver?: Principal; verdict?: 'approve' | 'deny' } = {},
): Promise<Approval> {
  return desk.decide(id, { approver, verdict, reason: 'looked at it', channel: 'test', clientAddress: '127.0.0.1' });
}

/**
 * What a token's claims say for the policy of `test/bypass/bundle`: allowed, once somebody approves.
 *
 * @param actions - those that need it; without them all but `connect`
 */
export function heldBy(access: JsonObject, ...actions: string[]): JsonObject {
  const request = { code: 'needs_a_person', message: 'Somebody must look at it.', access_request: access };
  return { says: { allow: true, require_approval: [request], ...(actions.length > 0 && { actions }) } };
}

let made = 0;

/** A pending request of an agent that acts for somebody, that differs from others as given. */
export function anApproval(given: Partial<Approval> = {}): Approval {
  made += 1;
  const id = String(made).padStart(26, '0');
  return {
    ...{ id, state: 'pending', digest: id.padStart(64, '0'), protocol: 'postgres', upstream: 'orders', labels: {} },
    ...{ session: 's', clientAddress: '127.0.0.1', application: 'test', action: 'delete' },
    subject: { issuer, id: 'bot', groups: ['support'] },
    chain: [{ issuer, id: 'carl', groups: ['data'] }],
    resource: { type: 'database', id: 'orders/app' },
    operation: { text: 'DELETE' },
    reasons: [{ policy: 'changes', code: 'delete_approval', message: 'DELETE needs approval.' }],
    ...{ history: {}, estimate: {}, groups: ['dba'], quorum: 1, uses: 1, reasonRequired: true, mode: 'return' },
    ...{ breakGlass: false, grants: [{ policy: 'changes', code: 'delete_approval' }] },
    ...{ requestedAtMs: 0, expiresAtMs: Number.MAX_SAFE_INTEGER, votes: [], used: [] },
    ...given,
  };
}

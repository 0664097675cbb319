import { describe, expect, test } from '@jest/globals';
import { brokenGlass, expired, finished, orphaned, taken, voted } from '../../../proxy/approval/rules.ts';
import type { Approval, ApprovalVote } from '../../../proxy/core/approvals.ts';
import { anApproval, ana, bo, eve } from '../../support/approvals.ts';

const nowMs = 1_000;
const pending = anApproval({ quorum: 1, expiresAtMs: 2_000 });
const ballot = (vote: Partial<ApprovalVote> = {}): ApprovalVote => ({
  ...{ approver: ana, verdict: 'approve', reason: 'fine', channel: 'test', clientAddress: '', atMs: nowMs },
  ...vote,
});
const code = (vote: () => unknown): string => {
  try {
    vote();
  } catch (error) {
    return String(Object(error).code);
  }
  return 'none';
};

describe('a vote', () => {
  test('approves, and denies', () => {
    expect(voted(pending, ballot())).toMatchObject({ state: 'approved', votes: [{ approver: { id: 'ana' } }] });
    expect(voted(pending, ballot({ verdict: 'deny' }))).toMatchObject({ state: 'denied' });
  });

  test('counts towards a quorum of distinct people', () => {
    const first = voted({ ...pending, quorum: 2 }, ballot());
    expect(first.state).toBe('pending');
    expect(code(() => voted(first, ballot()))).toBe('approval_already_voted');
    expect(voted(first, ballot({ approver: bo }))).toMatchObject({ state: 'approved' });
    expect(voted(first, ballot({ approver: bo, verdict: 'deny' }))).toMatchObject({ state: 'denied' });
  });

  test('is not for who is in none of its groups', () => {
    expect(code(() => voted(pending, ballot({ approver: eve })))).toBe('approval_not_yours');
  });

  test.each([
    ['the requester', pending.subject],
    ['whom it acts for', pending.chain[0] ?? ana],
  ])('is not for %s, whatever groups they are in', (_, member) => {
    const administrator = { ...member, groups: ['dba', 'admin'] };
    expect(code(() => voted(pending, ballot({ approver: administrator })))).toBe('approval_self');
    expect(code(() => voted(pending, ballot({ approver: administrator, verdict: 'deny' })))).toBe('approval_self');
  });

  test('of somebody of the same name at another issuer is somebody else’s', () => {
    const namesake = { ...pending.subject, issuer: 'https://other.example', groups: ['dba'] };
    expect(voted(pending, ballot({ approver: namesake })).state).toBe('approved');
  });

  test('needs a reason where policy wants one', () => {
    expect(code(() => voted(pending, ballot({ reason: ' ' })))).toBe('approval_reason_required');
    expect(voted({ ...pending, reasonRequired: false }, ballot({ reason: '' })).state).toBe('approved');
  });

  test.each(['approved', 'denied', 'expired', 'used', 'withdrawn'] as const)(
    'comes too late when it is %s',
    (state) => {
      expect(code(() => voted({ ...pending, state }, ballot()))).toBe('approval_closed');
    },
  );

  test('comes too late when its time is over, whether anybody noted it or not', () => {
    expect(code(() => voted(pending, ballot({ atMs: 2_000 })))).toBe('approval_closed');
  });
});

describe('breaking the glass', () => {
  const own = {
    approver: pending.subject,
    reason: 'the shop is down',
    channel: 'test',
    clientAddress: '',
    atMs: nowMs,
  };
  const offered: Approval = { ...pending, breakGlass: true, quorum: 2 };

  test('lets the requester through, and whom it acts for, with a reason', () => {
    for (const approver of [pending.subject, ...pending.chain]) {
      expect(brokenGlass(offered, { ...own, approver })).toMatchObject({
        ...{ state: 'approved', votes: [{ brokeGlass: true, reason: 'the shop is down' }] },
      });
    }
    expect(code(() => brokenGlass(offered, { ...own, reason: '' }))).toBe('approval_reason_required');
  });

  test('is for nobody else, not where it is not offered, and not too late', () => {
    expect(code(() => brokenGlass(offered, { ...own, approver: ana }))).toBe('approval_not_yours');
    expect(code(() => brokenGlass(pending, own))).toBe('approval_not_yours');
    expect(code(() => brokenGlass({ ...offered, state: 'denied' }, own))).toBe('approval_closed');
    expect(code(() => brokenGlass(offered, { ...own, atMs: 2_000 }))).toBe('approval_closed');
  });
});

describe('a use', () => {
  const use = { decisionId: 'd', gateway: 'g', atMs: nowMs };
  const approved: Approval = { ...pending, state: 'approved' };

  test('is taken as often as policy says, and not once more', () => {
    const once = taken({ ...approved, uses: 2 }, use);
    expect(once).toMatchObject({ state: 'approved', used: [{ outcome: 'running' }] });
    const twice = taken(once ?? approved, { ...use, decisionId: 'e' });
    expect(twice).toMatchObject({ state: 'used' });
    expect(taken(twice ?? approved, use)).toBeUndefined();
  });

  test.each(['pending', 'denied', 'expired', 'used', 'withdrawn'] as const)('is not there when it is %s', (state) => {
    expect(taken({ ...approved, state }, use)).toBeUndefined();
  });

  test('is not there once its time is over', () => {
    expect(taken(approved, { ...use, atMs: 2_000 })).toBeUndefined();
  });

  test('is unknown when its gateway is gone, and stays spent', () => {
    const running = taken(approved, use) ?? approved;
    expect(orphaned(running, () => false)).toBe(running);
    const left = orphaned(running, (gateway) => gateway === 'g');
    expect(left).toMatchObject({ state: 'used', used: [{ outcome: 'unknown' }] });
    expect(taken(left, use)).toBeUndefined();
    expect(finished(left, 'd', 'ok')).toMatchObject({ state: 'used', used: [{ outcome: 'ok' }] });
  });

  test('keeps its first outcome', () => {
    const done = finished(taken(approved, use) ?? approved, 'd', 'error');
    expect(finished(done, 'd', 'ok')).toBe(done);
  });
});

test('what is pending or granted expires; what is decided does not', () => {
  expect(expired(pending, 1_999)).toBe(pending);
  expect(expired(pending, 2_000).state).toBe('expired');
  expect(expired({ ...pending, state: 'approved' }, 2_000).state).toBe('expired');
  expect(expired({ ...pending, state: 'denied' }, 2_000).state).toBe('denied');
});

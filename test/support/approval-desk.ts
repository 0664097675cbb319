/**
 * A stand-in for the approval service: an honest `ApprovalDesk` in memory, with the rules of the contract and nothing behind
 * it (no store, no gate, no expiry by itself). For tests of what stands in front of a desk. Uses no test framework.
 */
import type { Approval, ApprovalDesk, ApprovalVote } from '../../proxy/core/approvals.ts';
import type { Principal } from '../../proxy/core/types.ts';

/** The desk, and how a test puts something on it. */
export interface MemoryDesk extends ApprovalDesk {
  /** Files a request: what is left out is that of a `DELETE` an agent wants to run. Settles with its last state. */
  file(approval?: Partial<Approval>): { readonly id: string; readonly decided: Promise<Approval> };
}

/** What the desk refuses with: a code that the API knows. */
class DeskError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const same = (one: Principal, other: Principal) => one.issuer === other.issuer && one.id === other.id;

/** An empty desk. */
export function memoryDesk(nowMs: () => number = Date.now): MemoryDesk {
  const approvals = new Map<string, Approval>();
  const waiting = new Map<string, (approval: Approval) => void>();
  const listeners = new Set<(id: string) => void>();
  let filed = 0;
  const put = (approval: Approval) => {
    approvals.set(approval.id, approval);
    for (const listener of listeners) listener(approval.id);
    if (approval.state !== 'pending') waiting.get(approval.id)?.(approval);
    return approval;
  };
  return {
    file(given = {}) {
      const id = `01K${String(++filed).padStart(23, '0')}`;
      const decided = new Promise<Approval>((resolve) => waiting.set(id, resolve));
      put({ ...heldDelete(id, nowMs()), ...given, id });
      return { id, decided };
    },
    async list({ states, limit, after }) {
      return [...approvals.values()]
        .toSorted((a, b) => (a.id < b.id ? 1 : -1))
        .filter(({ id, state }) => (states?.includes(state) ?? true) && (after === undefined || id < after))
        .slice(0, limit);
    },
    get: async (id) => approvals.get(id),
    async decide(id, vote) {
      const approval = approvals.get(id);
      if (approval === undefined) throw new DeskError('approval_unknown', 'There is no such request for approval.');
      if (approval.state !== 'pending')
        throw new DeskError('approval_closed', 'Somebody else decided, or it is too late.');
      if ([approval.subject, ...approval.chain].some((one) => same(one, vote.approver)))
        throw new DeskError('approval_self', 'Nobody approves their own request.');
      if (!approval.groups.some((group) => vote.approver.groups.includes(group)))
        throw new DeskError('approval_not_yours', `This is for ${approval.groups.join(', ')} to decide.`);
      if (approval.reasonRequired && vote.reason === '')
        throw new DeskError('approval_reason_required', 'A reason is needed.');
      if (approval.votes.some(({ approver }) => same(approver, vote.approver)))
        throw new DeskError('approval_already_voted', 'You have decided already.');
      const votes: ApprovalVote[] = [...approval.votes, { ...vote, atMs: nowMs() }];
      const approvers = votes.filter(({ verdict }) => verdict === 'approve').length;
      const open = approvers >= approval.quorum ? 'approved' : 'pending';
      return put({ ...approval, votes, state: vote.verdict === 'deny' ? 'denied' : open });
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function heldDelete(id: string, nowMs: number): Approval {
  return {
    id,
    state: 'pending',
    digest: 'b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c',
    protocol: 'postgres',
    upstream: 'orders',
    labels: { env: 'prod' },
    session: '01K0000000000000000000SESS',
    subject: { issuer: 'https://idp.example', id: 'triage-bot', groups: ['support'] },
    chain: [{ issuer: 'https://idp.example', id: 'ben', groups: ['support'] }],
    clientAddress: '10.0.0.7',
    application: 'psql',
    action: 'delete',
    resource: { type: 'database', id: 'orders/app' },
    operation: {
      text: "DELETE FROM public.tickets WHERE status = 'spam' AND created_at < now() - interval '90 days'",
      relations: [{ schema: 'public', name: 'tickets', access: ['delete', 'select'] }],
    },
    reasons: [
      { policy: 'changes', code: 'delete_needs_approval', message: 'A person looks at every DELETE in production.' },
    ],
    history: {
      upstreams: ['orders'],
      labels_read: ['pii'],
      rows_read: 812,
      denials: 1,
      approvals: 0,
      window_seconds: 3600,
    },
    estimate: { rows: 1204 },
    groups: ['dba'],
    quorum: 1,
    uses: 1,
    reasonRequired: false,
    mode: 'wait',
    breakGlass: false,
    requestedAtMs: nowMs,
    expiresAtMs: nowMs + 900_000,
    votes: [],
    used: [],
  };
}

/**
 * The real approval service on a store in memory, and requests that no operation is behind. For tests of what stands in front of
 * the desk. Uses no test framework.
 */
import { Approvals } from '../../proxy/approval/index.ts';
import type { Approval, ApprovalDesk } from '../../proxy/core/approvals.ts';
import { systemClock, ulids } from '../../proxy/core/clock.ts';
import { limits } from '../../proxy/core/limits.ts';
import { openEmbeddedStore } from '../../proxy/store/index.ts';

/** The desk, and how a test puts something on it. */
export interface FilledDesk extends ApprovalDesk {
  /** Files a request: what is left out is that of a `DELETE` an agent wants to run. Settles with its last state. */
  file(approval?: Partial<Approval>): { readonly id: string; readonly decided: Promise<Approval> };
  close(): Promise<void>;
}

/** An empty desk. */
export function openDesk(): FilledDesk {
  const ids = ulids(systemClock);
  const store = openEmbeddedStore({ path: ':memory:', gateway: 'test' });
  const desk = new Approvals({
    ...{ store, clock: systemClock, ids, gateway: 'test', limits },
    ...{ audit: { append: () => {} }, metrics: { approval: () => {} } },
  });
  return {
    file(given = {}) {
      const id = ids.session();
      const decided = new Promise<Approval>((resolve) => {
        const stop = desk.onChange((changed) => {
          if (changed !== id) return;
          void desk.get(id).then((approval) => {
            if (approval === undefined || approval.state === 'pending') return;
            stop();
            resolve(approval);
          });
        });
      });
      void store.file({ ...heldDelete(id, systemClock.nowMs()), digest: id.padStart(64, '0'), ...given, id });
      return { id, decided };
    },
    list: (query) => desk.list(query),
    get: (id) => desk.get(id),
    decide: (id, vote) => desk.decide(id, vote),
    breakGlass: (...asked) => desk.breakGlass(...asked),
    onChange: (listener) => desk.onChange(listener),
    async close() {
      await desk.close();
      await store.close();
    },
  };
}

function heldDelete(id: string, nowMs: number): Approval {
  return {
    id,
    state: 'pending',
    grants: [{ policy: 'changes', code: 'delete_needs_approval' }],
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

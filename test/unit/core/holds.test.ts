/** What the gate holds, with a policy that a test words and a real store. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Approvals } from '../../../proxy/approval/index.ts';
import type { ApprovalStore } from '../../../proxy/core/approvals.ts';
import { systemClock, ulids } from '../../../proxy/core/clock.ts';
import { Gate } from '../../../proxy/core/gate.ts';
import { limits } from '../../../proxy/core/limits.ts';
import type { AuditEvent, MetricsPort, PolicyPort, PolicyQuery } from '../../../proxy/core/ports.ts';
import type { Session } from '../../../proxy/core/session.ts';
import { Tunnels } from '../../../proxy/core/tunnels.ts';
import type { AccessRequest, Decision, HoldTerms, Identity, OperationFacts } from '../../../proxy/core/types.ts';
import { createHistory } from '../../../proxy/history/index.ts';
import { openEmbeddedStore } from '../../../proxy/store/index.ts';
import { anApproval, ana, nextRequest, vote } from '../../support/approvals.ts';

const decision = (effect: Decision['effect'], over: Partial<Decision> = {}): Decision => ({
  ...{ effect, reasons: [], shadow: [], obligations: [], labels: [], accessRequest: undefined, quarantine: undefined },
  ...{ masks: { columns: new Map(), json: new Map(), text: new Map() }, bundleRevision: 'b', dataRevision: 'd' },
  ...over,
});
const access: AccessRequest = {
  ...{ groups: ['dba'], quorum: 1, ttlSeconds: 60, uses: 1, reasonRequired: false },
  ...{ mode: 'return', waitSeconds: 60, reuse: 'none', breakGlass: false },
};
const allow = decision('allow');
const deny = decision('deny', { reasons: [{ policy: 'p', code: 'no', message: 'No.' }] });
const needs = (code: string, over: Partial<AccessRequest> = {}) =>
  decision('require_approval', {
    reasons: [{ policy: 'p', code, message: 'Somebody must look.' }],
    accessRequest: { ...access, ...over },
  });
const granted = (query: PolicyQuery, code: string) => JSON.stringify(query.approval ?? '').includes(`"${code}"`);

let say: (query: PolicyQuery) => Decision;
let epoch: number;
let auditFails: boolean;
let events: AuditEvent[];
let store: ApprovalStore;
let desk: Approvals;
let gate: Gate;
let session: Session;
let given: AbortSignal | undefined;

const nothing = () => {};
const metrics: MetricsPort = {
  ...{ decision: () => ({ inc: nothing }), refusal: nothing, approval: nothing },
  ...{ decisionSeconds: () => ({ observe: nothing }), upstreamSeconds: () => ({ observe: nothing }) },
  ...{ maskedCells: () => ({ inc: nothing }), approvalWaitSeconds: () => ({ observe: nothing }) },
  ...{ sessionOpened: nothing, sessionClosed: nothing },
};
const policy: PolicyPort = {
  get epoch() {
    return epoch;
  },
  ...{ revisions: { bundle: 'b', data: 'd' }, ready: true, config: {}, onActivate: () => nothing },
  decide: (query) => ({ decision: query.facts.action.name === 'connect' ? allow : say(query) }),
};
const identity: Identity = {
  ...{ type: 'agent', issuer: 'https://idp.example', id: 'bot', groups: [], claims: {}, chain: [] },
  expiresAtMs: Number.POSITIVE_INFINITY,
};
const facts: OperationFacts<undefined> = {
  action: { name: 'delete', properties: {} },
  resource: { type: 'thing', id: 'x', properties: {} },
  complete: true,
  enforce: () => ({ plan: undefined }),
  describe: () => ({ text: 'delete x' }),
};

beforeEach(async () => {
  [epoch, auditFails, events] = [1, false, []];
  store = openEmbeddedStore({ path: ':memory:', gateway: 'g' });
  const ids = ulids(systemClock);
  const audit = {
    ready: true,
    write: (event: AuditEvent) => {
      if (auditFails) throw new Error('the disk is full');
      events.push(event);
    },
    append: (event: AuditEvent) => void events.push(event),
  };
  desk = new Approvals({ store, audit, metrics, clock: systemClock, ids, gateway: 'g', limits });
  const recorder = { frame: nothing, failed: false, drained: undefined, close: async () => {} };
  gate = new Gate({
    ...{ policy, audit, metrics, approvals: desk, clock: systemClock, ids, limits },
    recorder: { open: () => recorder },
    identity: { ready: true, authenticate: () => Promise.resolve(identity) },
    history: createHistory({ clock: systemClock }),
    tunnels: new Tunnels(limits),
  });
  const opened = await gate.open({
    ...{ protocol: 'test', upstream: 'orders', identity, clientAddress: '127.0.0.1', application: 'test' },
    ...{ requested: {}, supports: { masks: [], obligations: [] } },
  });
  if ('refusal' in opened) throw new Error(opened.refusal.message);
  session = opened.session;
});
afterEach(async () => {
  await desk.close();
  await store.close();
});

async function outcome(hold?: HoldTerms): Promise<string> {
  const answer = await session.authorize({ facts, ...(hold && { hold: () => hold }) });
  if ('refusal' in answer) return answer.refusal.code;
  answer.permit.complete({ status: 'ok' });
  return 'permitted';
}

/** Refused as pending; its request, approved. */
async function approved(): Promise<string> {
  const asked = nextRequest(desk);
  expect(await outcome()).toBe('approval_pending');
  const { id } = await asked;
  await vote(desk, id);
  return id;
}

describe('a decision that needs nobody', () => {
  test('is an answer at once, not a promise', () => {
    say = () => allow;
    expect(session.authorize({ facts })).toHaveProperty('permit');
    say = () => deny;
    expect(session.authorize({ facts })).toHaveProperty('refusal');
  });
});

describe('a grant', () => {
  test('lets its operation through once', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a'));
    const id = await approved();
    expect(await outcome()).toBe('permitted');
    expect(await desk.get(id)).toMatchObject({ state: 'used', used: [{ outcome: 'ok' }] });
    expect(await outcome()).toBe('approval_pending');
  });

  test('does not lift a deny of the policy that is in force then, and is not used up by it', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a'));
    const id = await approved();
    say = (query) => (query.approval === undefined ? needs('a') : deny);
    expect(await outcome()).toBe('no');
    expect(await desk.get(id)).toMatchObject({ state: 'approved', used: [] });
  });

  test('does not keep a policy from quarantining whoever comes with it', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a'));
    await approved();
    const quarantine = { scope: 'subject', ttlSeconds: 60, message: 'Stop.' } as const;
    say = (query) => (query.approval === undefined ? needs('a') : { ...deny, quarantine });
    expect(await outcome()).toBe('no');
    expect(session.signal.aborted).toBe(true);
    expect(await outcome()).toBe('quarantined');
  });

  test('is not used up by what the adapter cannot carry out', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a'));
    const id = await approved();
    const obligations = [{ id: 'o', type: 'max_rows', properties: { value: 1 } }];
    say = (query) => (granted(query, 'a') ? decision('allow', { obligations }) : needs('a'));
    expect(await outcome()).toBe('obligation_unsupported');
    expect(await desk.get(id)).toMatchObject({ used: [] });
  });

  test('is spent when the trail cannot be written: nothing says that it was not', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a'));
    const id = await approved();
    auditFails = true;
    expect(await outcome()).toBe('audit_unavailable');
    expect(await desk.get(id)).toMatchObject({ state: 'used', used: [{ outcome: 'aborted' }] });
  });

  test('goes to one of many that want it at once', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a'));
    await approved();
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => outcome()));
    expect(outcomes.filter((one) => one === 'permitted')).toHaveLength(1);
    expect(outcomes.filter((one) => one === 'approval_pending')).toHaveLength(5);
  });

  test('is taken before the decision is audited', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a'));
    await approved();
    events = [];
    expect(await outcome()).toBe('permitted');
    expect(events.map(({ event, own }) => own.what ?? event)).toEqual(['used', 'decided', 'completed']);
  });
});

describe('a request', () => {
  test('is not made of people when their word would not be enough', async () => {
    say = (query) => (query.approval === undefined ? needs('a') : deny);
    expect(await outcome()).toBe('no');
    expect(await desk.list({ limit: 10 })).toEqual([]);
  });

  test('is made of one group after another, and takes a use of each', async () => {
    say = (query) => {
      if (!granted(query, 'a')) return needs('a');
      return granted(query, 'b') ? allow : needs('b', { groups: ['legal'] });
    };
    const first = await approved();
    const asked = nextRequest(desk);
    expect(await outcome()).toBe('approval_pending');
    const second = await asked;
    expect(second).toMatchObject({ groups: ['legal'], grants: [{ policy: 'p', code: 'b' }] });
    await vote(desk, second.id, { approver: { ...ana, groups: ['legal'] } });
    expect(await outcome()).toBe('permitted');
    for (const id of [first, second.id]) expect(await desk.get(id)).toMatchObject({ state: 'used' });
  });

  test('is not made for what is only prepared, which goes through', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a'));
    expect(session.authorize({ facts, hold: () => ({ mayWait: false, prepares: true }) })).toHaveProperty('permit');
    say = (query) => (query.approval === undefined ? needs('a') : deny);
    expect(session.authorize({ facts, hold: () => ({ mayWait: false, prepares: true }) })).toHaveProperty('refusal');
    expect(await desk.list({ limit: 10 })).toEqual([]);
  });

  test('tells what the adapter found out, which is asked once for it', async () => {
    say = () => needs('a');
    let asked = 0;
    const estimate = async () => ({ rows: ++asked });
    const filed = nextRequest(desk);
    expect(await outcome({ mayWait: false, estimate })).toBe('approval_pending');
    expect(await outcome({ mayWait: false, estimate })).toBe('approval_pending');
    expect((await filed).estimate).toEqual({ rows: 1 });
    expect(asked).toBe(1);
  });

  test.each<[string, NonNullable<HoldTerms['estimate']>]>([
    ['fails', () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    [
      'never comes, and learns that it is not waited for',
      (signal) => {
        given = signal;
        return new Promise(() => {});
      },
    ],
  ])('is filed without an estimate that %s', async (_what, estimate) => {
    given = undefined;
    say = () => needs('a');
    const filed = nextRequest(desk);
    expect(await outcome({ mayWait: false, estimate })).toBe('approval_pending');
    expect((await filed).estimate).toEqual({});
    expect((given as AbortSignal | undefined)?.aborted).not.toBe(false);
  });

  test('cannot be bound to what is not known beforehand', async () => {
    say = () => needs('a');
    expect(await outcome({ mayWait: true, bound: () => undefined })).toBe('approval_unavailable');
  });

  test('can have its glass broken where policy offers it, and says so', async () => {
    say = (query) => (granted(query, 'a') ? allow : needs('a', { breakGlass: true }));
    const asked = nextRequest(desk);
    await outcome();
    const { id, subject } = await asked;
    await desk.breakGlass(id, { approver: subject, reason: 'down', channel: 'test', clientAddress: '' });
    expect(events.at(-1)).toMatchObject({ event: 'approval', own: { what: 'broken_glass', reason: 'down' } });
    expect(await outcome()).toBe('permitted');
  });
});

describe('a wait', () => {
  const waits: HoldTerms = { mayWait: true };
  beforeEach(() => {
    say = (query) => (granted(query, 'a') ? allow : needs('a', { mode: 'wait' }));
  });

  test('ends with the session', async () => {
    const asked = nextRequest(desk);
    const waiting = outcome(waits);
    await asked;
    gate.drain();
    expect(await waiting).toBe('draining');
  });

  test('ends with the client', async () => {
    const gone = new AbortController();
    const asked = nextRequest(desk);
    const waiting = outcome({ ...waits, signal: gone.signal });
    const { id } = await asked;
    gone.abort();
    expect(await waiting).toBe('approval_abandoned');
    expect(await desk.get(id)).toMatchObject({ state: 'pending' });
  });

  test('does not let through what may mean something else by now', async () => {
    const asked = nextRequest(desk);
    const waiting = outcome(waits);
    const { id } = await asked;
    epoch += 1;
    await vote(desk, id);
    expect(await waiting).toBe('approval_outdated');
    expect(await desk.get(id)).toMatchObject({ state: 'approved', used: [] });
    // Sent again, it is what it says.
    expect(await outcome(waits)).toBe('permitted');
  });

  test('tells the client whom it waits for', async () => {
    const said: string[] = [];
    const asked = nextRequest(desk);
    const waiting = outcome({ ...waits, notice: (text) => said.push(text) });
    const { id } = await asked;
    await vote(desk, id);
    expect(await waiting).toBe('permitted');
    expect(said).toEqual([`Approval ${id} was asked of dba. Waiting for it.`]);
  });
});

test('without a store there is no approval', async () => {
  say = () => needs('a');
  await store.close();
  expect(await outcome()).toBe('store_unavailable');
});

test('what is audited of an approval fits a line of the trail, however large it is, and keeps who said what', async () => {
  const approvers = Array.from({ length: limits.approvalQuorumMax }, (_, at) => ({ ...ana, id: `approver-${at}` }));
  const operation = { text: 'x'.repeat(limits.approvalOperationBytesMax - 100) };
  const filed = await desk.file(anApproval({ operation, quorum: approvers.length, expiresAtMs: Date.now() + 60_000 }));
  for (const approver of approvers) {
    const reason = '\u20ac'.repeat(limits.consoleReasonLengthMax);
    await desk.decide(filed.id, { approver, verdict: 'approve', reason, channel: 'test', clientAddress: '::1' });
  }
  await desk.take(filed.id, 'd.1');
  const told = events.filter(({ event }) => event === 'approval');
  for (const { own } of told) expect(Buffer.byteLength(JSON.stringify(own))).toBeLessThan(limits.auditEventBytesMax);
  expect(told[0]?.own).toMatchObject({ what: 'filed', operation: { undescribed: 'too_large' } });
  expect(told.at(-1)?.own).toMatchObject({
    what: 'used',
    votes: approvers.map(({ id }) => expect.objectContaining({ approver: { issuer: ana.issuer, id } })),
  });
});

import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { Activity, LiveSessions } from '../../../proxy/core/live.ts';
import type { AuditEvent, AuditPort, Authorization, RecordFrame } from '../../../proxy/core/ports.ts';
import type { Identity, Refusal, SessionInit } from '../../../proxy/core/types.ts';

const refusal: Authorization = {
  refusal: { decisionId: '1', code: 'x', policy: undefined, message: '', hint: '', reasons: [], endSession: false },
};
const bytes = (decisionId: string, count: number): RecordFrame => ({
  decisionId,
  kind: 'stdout',
  data: new Uint8Array(count),
});

describe('what a session did', () => {
  test('counts operations and refusals, however they were answered', async () => {
    const activity = new Activity();
    expect(activity.judged(refusal)).toBe(refusal);
    await activity.judged(Promise.resolve(refusal));
    const failing = activity.judged(Promise.reject<Authorization>(new Error('a fault')));
    await expect(failing).rejects.toThrow('a fault');
    expect(activity).toMatchObject({ operations: 3, refusals: 2 });
  });

  test('counts bytes while they come, and what an operation says at its end when that is more', () => {
    const activity = new Activity();
    activity.recorded(bytes('a', 100));
    activity.recorded(bytes('b', 10));
    expect(activity.bytes).toBe(110);
    activity.completed('a', { status: 'ok', bytes: 5_000 });
    activity.completed('b', { status: 'ok', bytes: 3 });
    activity.completed('c', { status: 'ok' });
    expect(activity.bytes).toBe(5_010);
  });

  test('keeps a bounded number of operations apart, and loses no byte by that', () => {
    const activity = new Activity();
    for (let n = 0; n < limits.consoleRunningOperationsMax * 3; n++) activity.recorded(bytes(`${n}`, 1));
    expect(activity.bytes).toBe(limits.consoleRunningOperationsMax * 3);
  });

  test('is shown to a bounded number of watchers, until each stops', () => {
    const activity = new Activity();
    const seen: string[] = [];
    const stops = Array.from({ length: limits.consoleWatchersPerSessionMax }, (_, at) =>
      activity.watch(({ kind }) => seen.push(`${at} ${kind}`)),
    );
    expect(activity.watch(() => {})).toBeUndefined();
    for (const stop of stops.slice(1)) stop?.();
    activity.recorded(bytes('a', 1));
    expect(seen).toEqual(['0 stdout']);
  });
});

class TestSession {
  readonly activity = new Activity();
  readonly startedAtMs = 0;
  readonly id: string;
  readonly init: SessionInit;
  ended: Refusal | undefined;
  constructor(id: string, type: Identity['type'] = 'agent') {
    this.id = id;
    const identity: Identity = { type, issuer: 'i', id: `of-${id}`, groups: [], claims: {}, chain: [], expiresAtMs: 1 };
    const supports = { masks: [], obligations: [] };
    this.init = { protocol: 'p', upstream: 'u', identity, clientAddress: '', application: '', requested: {}, supports };
  }
  end(refusal: Refusal): void {
    this.ended = refusal;
  }
}

function setUp(...sessions: TestSession[]) {
  const trail: AuditEvent[] = [];
  const port = { ready: true, broken: false };
  const audit: AuditPort = {
    write(event) {
      if (port.broken) throw new Error('full');
      trail.push(event);
    },
    append: (event) => void trail.push(event),
    ready: true,
  };
  const live = new LiveSessions(new Map(sessions.map((one) => [one.id, one])), audit);
  return { live, trail, port };
}

const ending = { by: { issuer: 'i', id: 'paul', groups: [] }, reason: '', channel: 'cli', clientAddress: '::1' };

describe('open sessions', () => {
  test('are those of agents: nobody ends what the gateway asks for itself', () => {
    const own = new TestSession('own', 'gateway');
    const { live } = setUp(new TestSession('a'), own, new TestSession('b'));
    expect(live.list().map(({ id }) => id)).toEqual(['b', 'a']);
    expect(live.get('own')).toBeUndefined();
    expect(live.watch('own', () => {})).toBeUndefined();
    expect(live.end('own', ending)).toBe(false);
    expect(own.ended).toBeUndefined();
  });

  test('end with the reason, and tell those who listen', () => {
    const session = new TestSession('a');
    const { live, trail } = setUp(session);
    const changed: string[] = [];
    const stop = live.onChange((id) => changed.push(id));
    expect(live.end('a', { ...ending, reason: 'astray' })).toBe(true);
    expect(session.ended).toMatchObject({
      code: 'session_ended',
      message: 'A person ended this session: astray',
      endSession: true,
    });
    expect(trail).toMatchObject([
      { event: 'ended', own: { session: 'a', by: { issuer: 'i', id: 'paul' }, reason: 'astray' } },
    ]);
    expect(live.get('a')?.ending).toBe(true);
    stop();
    live.changed('a');
    expect(changed).toEqual(['a']);
  });

  test('end even while the trail cannot be written: who did it comes into it later', () => {
    const session = new TestSession('a');
    const { live, trail, port } = setUp(session);
    port.broken = true;
    expect(live.end('a', ending)).toBe(true);
    expect(session.ended?.message).toBe('A person ended this session.');
    expect(trail).toMatchObject([{ event: 'ended' }]);
  });
});

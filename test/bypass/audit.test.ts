/** Ways to act without leaving a trace, or to take the trace away afterwards. */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type Audit, openAudit, trailFiles, verifyAudit } from '../../proxy/audit/index.ts';
import { ulids } from '../../proxy/core/clock.ts';
import { Gate } from '../../proxy/core/gate.ts';
import { limits } from '../../proxy/core/limits.ts';
import type { MetricsPort, PolicyPort, SessionHandle } from '../../proxy/core/ports.ts';
import { Tunnels } from '../../proxy/core/tunnels.ts';
import type { Decision, OperationFacts } from '../../proxy/core/types.ts';
import { createHistory } from '../../proxy/history/index.ts';
import { createRecorder, type Recorder, readRecording } from '../../proxy/record/index.ts';

const key = Buffer.alloc(32, 7);
const clock = { ms: Date.parse('2026-11-22T09:00:00Z'), nowMs: () => clock.ms, monotonicMs: () => clock.ms };

let directory = '';
let file = '';
let audit: Audit;
let recorder: Recorder;
let session: SessionHandle;

/** Allows everything, so that what refuses here is the trail and nothing else. */
const allow: Decision = {
  effect: 'allow',
  reasons: [],
  shadow: [],
  masks: { columns: new Map(), json: new Map(), text: new Map() },
  obligations: [],
  labels: [],
  accessRequest: undefined,
  quarantine: undefined,
  bundleRevision: 'b1',
  dataRevision: 'd1',
};
const policy: PolicyPort = {
  epoch: 1,
  revisions: { bundle: 'b1', data: 'd1' },
  ready: true,
  decide: () => ({ decision: allow }),
  config: {},
  onActivate: () => () => {},
};
const nothing = () => {};
const metrics: MetricsPort = {
  decision: () => ({ inc: nothing }),
  refusal: nothing,
  decisionSeconds: () => ({ observe: nothing }),
  upstreamSeconds: () => ({ observe: nothing }),
  maskedCells: () => ({ inc: nothing }),
  sessionOpened: nothing,
  sessionClosed: nothing,
  approval: nothing,
  approvalWaitSeconds: () => ({ observe: nothing }),
};

function facts(text: string): OperationFacts<undefined> {
  return {
    action: { name: 'select', properties: {} },
    resource: { type: 'database', id: 'orders/app', properties: {} },
    complete: true,
    enforce: () => ({ plan: undefined }),
    describe: () => ({ text }),
  };
}

function openTrail(): Promise<Audit> {
  return openAudit({ file, key, rotateBytes: 1 << 20, keep: 10, clock, instance: 'gateway-1', host: 'test' });
}

beforeEach(async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  directory = mkdtempSync(join(tmpdir(), 'sallyport-bypass-'));
  file = join(directory, 'audit.log');
  audit = await openTrail();
  recorder = createRecorder({ directory: join(directory, 'records'), clock, onError: nothing });
  const gate = new Gate({
    policy,
    audit,
    recorder,
    metrics,
    identity: { ready: true, authenticate: () => Promise.reject(new Error('not asked here')) },
    history: createHistory({ clock, windowSeconds: 60 }),
    clock,
    ids: ulids(clock),
    tunnels: new Tunnels(limits),
    limits,
  });
  const opened = await gate.open({
    protocol: 'postgres',
    upstream: 'orders',
    identity: {
      type: 'agent',
      issuer: 'https://idp',
      id: 'bot',
      groups: [],
      claims: {},
      chain: [],
      expiresAtMs: Infinity,
    },
    clientAddress: '127.0.0.1',
    application: 'test',
    requested: {},
    supports: { masks: [], obligations: [] },
  });
  if ('refusal' in opened) throw new Error(opened.refusal.message);
  session = opened.session;
});

afterEach(async () => {
  jest.useRealTimers();
  await recorder.close();
  await audit.close().catch(nothing);
  rmSync(directory, { recursive: true, force: true });
});

async function authorize(text: string) {
  return session.authorize({ facts: facts(text) });
}

/** Lets the gateway look after its trail, as it does once a second. */
function lookAfterTrail(): void {
  clock.ms += limits.auditCheckIntervalMs;
  jest.advanceTimersByTime(limits.auditTickMs);
}

/** Makes the trail unwritable the way an operator or an attacker could, and lets the gateway meet it. */
function breakTrail(): void {
  chmodSync(file, 0o700);
  lookAfterTrail();
  expect(audit.ready).toBe(false);
}

describe('an operation that cannot be audited', () => {
  test('gets no permit, though policy allows it', async () => {
    expect(await authorize('select 1')).toHaveProperty('permit');
    breakTrail();
    expect(await authorize('select 2')).toMatchObject({ refusal: { code: 'audit_unavailable' } });
  });

  test('gets none for as long as it takes, and none retroactively', async () => {
    breakTrail();
    for (let attempt = 0; attempt < 20; attempt++) {
      clock.ms += limits.auditRetryMsMax;
      expect(await authorize('select 2')).toMatchObject({ refusal: { code: 'audit_unavailable' } });
    }
    chmodSync(file, 0o600);
    clock.ms += limits.auditRetryMsMax;
    expect(await authorize('select 3')).toHaveProperty('permit');
    const allowed = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"effect":"allow"') && !line.includes('audit_unavailable'));
    expect(allowed.some((line) => line.includes('select 2'))).toBe(false);
    expect(allowed.some((line) => line.includes('select 3'))).toBe(true);
  });

  test('is in the file before its permit exists', async () => {
    const answer = await authorize('select 4');
    const written = readFileSync(file, 'utf8');
    if (!('permit' in answer)) throw new Error('refused');
    expect(written).toContain(answer.permit.decisionId);
  });

  test('that is too large for the trail is refused instead of left out', async () => {
    expect(await authorize('x'.repeat(limits.auditEventBytesMax))).toHaveProperty('refusal');
  });
});

describe('an operation that cannot be recorded', () => {
  test('gets no permit once the recording of its session failed', async () => {
    while (session.drained === undefined) session.record({ kind: 'rows', data: Buffer.alloc(60_000) });
    for (let extra = 0; extra < 40; extra++) session.record({ kind: 'rows', data: Buffer.alloc(60_000) });
    expect(await authorize('select 1')).toMatchObject({ refusal: { code: 'record_unavailable' } });
  });
});

describe('a trail that somebody worked on', () => {
  async function verdict(change: (lines: string[]) => string[]): Promise<boolean> {
    for (const text of ['select 1', 'select secret', 'select 3']) await authorize(text);
    await audit.close();
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    writeFileSync(file, `${change(lines).join('\n')}\n`);
    return (await verifyAudit([file], { key })).ok;
  }

  test('verifies when nothing was done to it', async () => {
    expect(await verdict((lines) => lines)).toBe(true);
  });

  test.each([
    [
      'a statement was rewritten',
      (lines: string[]) => lines.map((line) => line.replace('select secret', 'select public')),
    ],
    ['a subject was rewritten', (lines: string[]) => lines.map((line) => line.replace('"id":"bot"', '"id":"ana"'))],
    [
      'an allow became a deny',
      (lines: string[]) => lines.map((line) => line.replace('"effect":"allow"', '"effect":"deny"')),
    ],
    ['a line was removed', (lines: string[]) => lines.filter((line) => !line.includes('select secret'))],
    [
      'two lines changed places',
      (lines: string[]) => [...lines.slice(0, 2), ...lines.slice(2, 4).reverse(), ...lines.slice(4)],
    ],
    ['a line was repeated', (lines: string[]) => lines.flatMap((line, at) => (at === 2 ? [line, line] : [line]))],
    ['a line was made up', (lines: string[]) => [...lines, (lines.at(-1) ?? '').replace(/"seq":\d+/, '"seq":99')]],
    [
      'a member was given twice',
      (lines: string[]) => lines.map((line) => line.replace('{"seq"', '{"effect":"deny","seq"')),
    ],
    ['its beginning was removed', (lines: string[]) => lines.slice(2)],
    [
      'it was numbered anew',
      (lines: string[]) =>
        lines.filter((_, at) => at !== 2).map((line, at) => line.replace(/"seq":\d+/, `"seq":${at + 1}`)),
    ],
  ])('does not verify when %s', async (_, change) => {
    expect(await verdict(change)).toBe(false);
  });

  test('does not verify against a known head when its end was cut off', async () => {
    await authorize('select secret');
    await audit.close();
    const { head } = audit;
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    writeFileSync(file, `${lines.slice(0, -2).join('\n')}\n`);
    expect((await verifyAudit([file], { key, expected: head })).ok).toBe(false);
  });

  test('is not continued when lines were added to it while the gateway runs', async () => {
    appendFileSync(file, '{"seq":1000,"event":"decided"}\n');
    lookAfterTrail();
    expect(audit.ready).toBe(false);
    expect(await authorize('select 1')).toMatchObject({ refusal: { code: 'audit_unavailable' } });
  });

  test('is not continued when its last line was changed while the gateway was down', async () => {
    await audit.close();
    writeFileSync(file, readFileSync(file, 'utf8').replace(/trail_closed(?=[^\n]*\n$)/, 'trail_clozed'));
    await expect(openTrail()).rejects.toThrow(/does not verify/);
  });

  test('shows for ever that it was emptied', async () => {
    await authorize('select secret');
    truncateSync(file, 0);
    lookAfterTrail();
    expect(readFileSync(file, 'utf8')).toContain('recovered');
    const result = await verifyAudit(trailFiles(file), { key });
    expect(result.startsAfter).toBeGreaterThan(1);
  });
});

describe('a sink that would be somebody else’s file', () => {
  // CVE-2025-6000: an audit log with chosen content, written where it is executed.
  test('is never an executable one', async () => {
    const plugin = join(directory, 'plugin');
    writeFileSync(plugin, '#!/bin/sh\n', { mode: 0o700 });
    file = plugin;
    await expect(openTrail()).rejects.toThrow(/is executable/);
    expect(readFileSync(plugin, 'utf8')).toBe('#!/bin/sh\n');
  });

  test('is never behind a link, for the trail as for a recording', async () => {
    const target = join(directory, 'authorized_keys');
    file = join(directory, 'link.log');
    symlinkSync(target, file);
    await expect(openTrail()).rejects.toThrow(/symbolic link/);
    symlinkSync(target, join(directory, 'records', '2026-11-22', 'S1.sprec'));
    expect(() => recorder.open({ id: 'S1', protocol: 'postgres', header: {} })).toThrow(
      expect.objectContaining({ code: 'record_unavailable' }),
    );
    expect(existsSync(target)).toBe(false);
  });
});

test('a recording that somebody cut or changed does not read as a whole one', async () => {
  session.record({ kind: 'rows', data: Buffer.from('secret') });
  await session.close({ status: 'ok' });
  const recording = join(directory, 'records', '2026-11-22', `${session.id}.sprec`);
  const whole = readFileSync(recording);
  const read = async (bytes: Buffer) => {
    writeFileSync(recording, bytes);
    const kinds: string[] = [];
    for await (const frame of readRecording(recording)) kinds.push(frame.kind);
    return kinds;
  };
  expect((await read(whole)).at(-1)).toBe('end');
  expect((await read(whole.subarray(0, -1))).at(-1)).toBe('cut');
  const changed = Buffer.from(whole);
  changed.write('public', changed.indexOf('secret'));
  await expect(read(changed)).rejects.toThrow(/damaged/);
});

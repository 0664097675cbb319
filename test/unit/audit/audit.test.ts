import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { trailFiles, verifyAudit } from '../../../proxy/audit/index.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { completed, decided, key, openTrail, SteppedClock, scratch } from './support.ts';

type Parsed = Record<string, unknown> & { seq: number; event: string };

function linesOf(...files: string[]): Parsed[] {
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line)),
  );
}

describe('writing', () => {
  test('a written event is in the file when write returns, with what was appended before it', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file);
    audit.append(completed(1));
    expect(linesOf(file)).toHaveLength(1);
    audit.write(decided(2));
    expect(linesOf(file).map(({ seq, event, decision_id }) => [seq, event, decision_id])).toEqual([
      [1, 'trail_opened', undefined],
      [2, 'completed', 'd.1'],
      [3, 'decided', 'd.2'],
    ]);
  });

  test('members come as they were serialised, and what differs behind them', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file);
    audit.write({ event: 'decided', members: '"a":{"b":[1,2]},"c":"é"', own: { d: null, e: 'x"y\nz' } });
    expect(linesOf(file)[1]).toEqual({
      seq: 2,
      time: '2026-11-22T09:00:00.000Z',
      event: 'decided',
      a: { b: [1, 2] },
      c: 'é',
      d: null,
      e: 'x"y\nz',
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      mac: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  test('an appended event carries the time it was appended, not that of the write', async () => {
    const file = join(scratch(), 'audit.log');
    const clock = new SteppedClock();
    const audit = await openTrail(file, { clock });
    audit.append(completed(1));
    clock.ms += 25;
    audit.write(decided(2));
    expect(linesOf(file).map(({ time }) => time)).toEqual([
      '2026-11-22T09:00:00.000Z',
      '2026-11-22T09:00:00.000Z',
      '2026-11-22T09:00:00.025Z',
    ]);
  });

  test('an appended event is written within a tick when nothing else is', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      const file = join(scratch(), 'audit.log');
      const audit = await openTrail(file);
      audit.append(completed(1));
      jest.advanceTimersByTime(limits.auditTickMs);
      expect(linesOf(file).at(-1)).toMatchObject({ event: 'completed', decision_id: 'd.1' });
    } finally {
      jest.useRealTimers();
    }
  });

  test('appended events that reach the bound of the queue are written at once', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file);
    for (let index = 0; index <= limits.auditPendingEventsMax; index++) audit.append(completed(index));
    expect(linesOf(file)).toHaveLength(1 + limits.auditPendingEventsMax);
  });

  test('appended events of the largest size are written at once when their bytes reach the bound', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file, { rotateBytes: 64 << 20 });
    const large = { event: 'completed' as const, members: '', own: { text: '€'.repeat(21_000) } };
    const count = Math.ceil(limits.auditPendingBytesMax / 63_000) + 1;
    for (let index = 0; index < count; index++) audit.append(large);
    expect(statSync(file).size).toBeGreaterThan(900_000);
    audit.write(decided('last'));
    expect(linesOf(file)).toHaveLength(count + 2);
    expect((await verifyAudit([file], { key })).ok).toBe(true);
  });

  test('an event of exactly the bound is written and one byte more is a fault of the gateway', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file);
    const own = (bytes: number) => ({ text: 'x'.repeat(bytes - '"text":""'.length) });
    audit.write({ event: 'decided', members: '', own: own(limits.auditEventBytesMax) });
    expect(() => audit.write({ event: 'decided', members: '', own: own(limits.auditEventBytesMax + 1) })).toThrow(
      expect.objectContaining({ code: 'internal_error' }),
    );
    expect(audit.ready).toBe(true);
    expect((await verifyAudit([file], { key })).lines).toBe(2);
  });

  test.each(['seq', 'time', 'event', 'hash', 'mac'])(
    'an event that brings its own %s is a fault of the gateway',
    async (name) => {
      const audit = await openTrail(join(scratch(), 'audit.log'));
      expect(() => audit.write(decided(1, { [name]: 1 }))).toThrow(expect.objectContaining({ code: 'internal_error' }));
    },
  );

  test('members with a raw line feed cannot become a second line', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file);
    const members = '"a":1}\n{"seq":3';
    expect(() => audit.write({ event: 'decided', members, own: {} })).toThrow(
      expect.objectContaining({ code: 'internal_error' }),
    );
    expect(linesOf(file)).toHaveLength(1);
  });

  test('an unfit event that nothing waits for leaves what fits of it and why', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file);
    audit.append({
      event: 'completed',
      members: `"x":"${'x'.repeat(limits.auditEventBytesMax)}"`,
      own: { decision_id: 'd.1' },
    });
    audit.append({ event: 'completed', members: '', own: { x: 'x'.repeat(limits.auditEventBytesMax) } });
    audit.write(decided(2));
    expect(linesOf(file).slice(1, 3)).toEqual([
      expect.objectContaining({ event: 'completed', decision_id: 'd.1', unfit: expect.stringContaining('larger') }),
      expect.objectContaining({ event: 'completed', unfit: expect.stringContaining('larger') }),
    ]);
    expect((await verifyAudit([file], { key })).ok).toBe(true);
  });

  test('what is not on stable storage yet is told, and is none after a flush', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      const lag: [number, number][] = [];
      const onLag = (events: number, bytes: number) => lag.push([events, bytes]);
      const audit = await openTrail(join(scratch(), 'audit.log'), { onLag });
      await audit.flush();
      audit.write(decided(1));
      audit.append(completed(1));
      jest.advanceTimersByTime(limits.auditTickMs);
      expect(lag.at(-1)?.[0]).toBe(2);
      await audit.flush();
      jest.advanceTimersByTime(limits.auditTickMs);
      expect(lag.at(-1)).toEqual([0, 0]);
    } finally {
      jest.useRealTimers();
    }
  });

  test('with sync each, nothing waits for the background', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      const lag: number[] = [];
      const audit = await openTrail(join(scratch(), 'audit.log'), {
        sync: 'each',
        onLag: (events) => lag.push(events),
      });
      audit.write(decided(1));
      jest.advanceTimersByTime(limits.auditTickMs);
      expect(lag).toEqual([0]);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('the file', () => {
  test('is readable and writable by its owner alone, in a directory made for it', async () => {
    const directory = join(scratch(), 'made', 'for-it');
    await openTrail(join(directory, 'audit.log'));
    expect(statSync(join(directory, 'audit.log')).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test('is continued by the next start, which says so', async () => {
    const file = join(scratch(), 'audit.log');
    const first = await openTrail(file);
    first.write(decided(1));
    await first.close();
    const { head } = first;
    const second = await openTrail(file, { instance: 'gateway-2' });
    second.write(decided(2));
    const [, , closed, opened, last] = linesOf(file);
    expect(closed).toMatchObject({ seq: 3, event: 'trail_closed' });
    expect(opened).toMatchObject({
      seq: 4,
      event: 'trail_opened',
      reason: 'started',
      instance: 'gateway-2',
      previous: head,
    });
    expect(last).toMatchObject({ seq: 5, decision_id: 'd.2' });
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, lines: 5, closed: false });
  });

  test('is put aside when it is full, and the chain goes through all files', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file, { rotateBytes: 2_000 });
    for (let index = 0; index < 50; index++) audit.write(decided(index));
    await audit.close();
    const files = trailFiles(file);
    expect(files.length).toBeGreaterThan(4);
    expect(linesOf(...files).map(({ seq }) => seq)).toEqual(Array.from({ length: audit.head.seq }, (_, at) => at + 1));
    for (const name of files) expect(linesOf(name)[0]).toMatchObject({ event: 'trail_opened' });
    expect(await verifyAudit(files, { key })).toMatchObject({
      ok: true,
      closed: true,
      startsAfter: 0,
      head: audit.head,
    });
  });

  test('older full files than are kept are deleted, and the rest still verifies from where it starts', async () => {
    const file = join(scratch(), 'audit.log');
    const audit = await openTrail(file, { rotateBytes: 1_000, keep: 2 });
    for (let index = 0; index < 50; index++) audit.write(decided(index));
    await audit.flush();
    expect(trailFiles(file)).toHaveLength(3);
    const result = await verifyAudit(trailFiles(file), { key });
    expect(result).toMatchObject({ ok: true, head: audit.head });
    expect(result.startsAfter).toBeGreaterThan(0);
  });

  test('a gateway that stopped between putting a file aside and starting the next one continues the chain', async () => {
    const directory = scratch();
    const file = join(directory, 'audit.log');
    const first = await openTrail(file);
    first.write(decided(1));
    await first.close();
    const { renameSync } = await import('node:fs');
    renameSync(file, `${file}.${String(first.head.seq).padStart(16, '0')}`);
    const second = await openTrail(file);
    expect(second.head.seq).toBe(first.head.seq + 1);
    expect(await verifyAudit(trailFiles(file), { key })).toMatchObject({ ok: true, lines: 4 });
  });

  test('a closed trail takes nothing more', async () => {
    const audit = await openTrail(join(scratch(), 'audit.log'));
    await audit.close();
    expect(audit.ready).toBe(false);
    expect(() => audit.write(decided(1))).toThrow(expect.objectContaining({ code: 'audit_unavailable' }));
  });
});

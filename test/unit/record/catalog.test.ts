import { appendFileSync, existsSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import type { RecorderPort } from '../../../proxy/core/ports.ts';
import { type RecordingEntry, RecordingIndex, recordingKey, startRetention } from '../../../proxy/record/index.ts';
import { expired } from '../../../proxy/record/retention.ts';
import { survey } from '../../../proxy/record/survey.ts';
import { fileOf, later, recorderAt, SteppedClock, scratch, sessionId } from './support.ts';

const key = recordingKey(Buffer.alloc(32, 5));
const idOf = (number: number) => `${sessionId.slice(0, -2)}0${number}`;

let directory = '';
let clock = new SteppedClock();

beforeEach(() => {
  directory = scratch();
  clock = new SteppedClock();
});

function begin(recorder: RecorderPort, number: number, about: { subject?: string; upstream?: string } = {}) {
  const { subject = 'triage-bot', upstream = 'orders' } = about;
  return recorder.open({
    id: idOf(number),
    protocol: 'postgres',
    header: {
      upstream,
      subject: { id: subject, on_behalf_of: [{ id: 'ana' }] },
      application: 'psql',
      client_address: '10.0.0.7',
      started_at: new Date(clock.ms).toISOString(),
    },
  });
}

const judged = (relation: string, ...labels: string[]) => ({
  kind: 'judged',
  data: {
    effect: 'allow',
    action: 'select',
    resource: { type: 'database', id: 'orders/app' },
    labels,
    operation: { relations: [relation] },
  },
});

/** Three sessions, an hour apart: one that read customers, one that was refused, one that is open. */
async function filled() {
  const { recorder, index } = recorderAt(directory, clock, key);
  const first = begin(recorder, 1);
  first.frame(judged('public.customers', 'pii'));
  await first.close({ status: 'ok' });
  clock.ms += 3_600_000;
  const second = begin(recorder, 2, { subject: 'other-bot', upstream: 'billing' });
  second.frame(judged('public.invoices'));
  second.frame({ kind: 'refused', data: { code: 'pii_range', policy: 'pii', message: '' } });
  await second.close({ status: 'error', code: 'session_ended' });
  clock.ms += 3_600_000;
  const third = begin(recorder, 3);
  third.frame(judged('public.orders'));
  return { recorder, index };
}

describe('the index of recordings', () => {
  test('says of a session what was recorded', async () => {
    const { index } = await filled();
    expect(index.get(idOf(2))).toEqual({
      session: idOf(2),
      file: `2026-11-22/${idOf(2)}.sprec`,
      protocol: 'postgres',
      upstream: 'billing',
      subjects: ['other-bot', 'ana'],
      own: false,
      application: 'psql',
      client_address: '10.0.0.7',
      started_at: '2026-11-22T10:00:00.000Z',
      ended_at: '2026-11-22T10:00:00.000Z',
      outcome: 'error',
      code: 'session_ended',
      operations: 1,
      refusals: ['pii_range'],
      labels: [],
      resources: ['public.invoices', 'orders/app'],
      bytes: readFileSync(join(directory, `2026-11-22/${idOf(2)}.sprec`)).length,
      key_id: key.id,
    });
    expect(index.get(idOf(3))).toMatchObject({ outcome: 'open', ended_at: null });
  });

  test.each([
    [{}, [3, 2, 1]],
    [{ subject: 'triage-bot' }, [3, 1]],
    [{ subject: 'ana' }, [3, 2, 1]],
    [{ upstream: 'billing' }, [2]],
    [{ protocol: 'ssh' }, []],
    [{ resource: 'public.customers' }, [1]],
    [{ label: 'pii' }, [1]],
    [{ outcome: 'open' }, [3]],
    [{ code: 'pii_range' }, [2]],
    [{ code: 'session_ended' }, [2]],
    [{ sinceMs: Date.parse('2026-11-22T10:00:00Z') }, [3, 2]],
    [{ untilMs: Date.parse('2026-11-22T10:00:00Z') }, [1]],
    [{ limit: 2 }, [3, 2]],
    [{ before: idOf(2) }, [1]],
    [{ subject: 'triage-bot', label: 'pii', outcome: 'error' }, []],
  ])('%j finds sessions %j', async (query, expected) => {
    const { index } = await filled();
    const again = new RecordingIndex(directory, () => {});
    for (const one of [index, again]) {
      expect(one.query(query).map(({ session }) => session)).toEqual(expected.map(idOf));
    }
  });

  test('is the same when it is built again from the recordings', async () => {
    const { index, recorder } = await filled();
    await recorder.close();
    const before = index.query({});
    rmSync(index.file);
    const built = new RecordingIndex(directory, () => {});
    await built.settle([key]);
    expect(built.query({}).map((entry) => ({ ...entry, ended_at: null }))).toEqual(
      before.map((entry) => ({ ...entry, ended_at: null })),
    );
    expect(new RecordingIndex(directory, () => {}).query({})).toEqual(built.query({}));
  });

  test('calls a session cut that a gateway left open, with what can be read of it', async () => {
    const { recorder } = recorderAt(directory, clock, key);
    const session = begin(recorder, 1);
    session.frame(judged('public.customers', 'pii'));
    await session.close({ status: 'ok' });
    const file = fileOf(directory, idOf(1));
    truncateSync(file, readFileSync(file).length - 3);
    const lines = readFileSync(join(directory, 'index.jsonl'), 'utf8').split('\n');
    truncateSync(join(directory, 'index.jsonl'), (lines[0] ?? '').length + 1);
    const index = new RecordingIndex(directory, () => {});
    expect(index.get(idOf(1))).toMatchObject({ outcome: 'open' });
    await index.settle([key]);
    expect(index.get(idOf(1))).toMatchObject({ outcome: 'cut', ended_at: null });
  });

  test('that is being built when sessions begin has them too, and leaves no half of itself when it is stopped', async () => {
    const { recorder } = await filled();
    await recorder.close();
    rmSync(join(directory, 'index.jsonl'));
    const stopped = new RecordingIndex(directory, () => {});
    const stop = new AbortController();
    const building = stopped.settle([key], stop.signal);
    const entry = { ...(await survey(directory, `2026-11-22/${idOf(1)}.sprec`, [key])), session: idOf(9) };
    stopped.put(entry as RecordingEntry);
    stop.abort();
    await building;
    expect(existsSync(stopped.file)).toBe(false);
    const built = new RecordingIndex(directory, () => {});
    const done = built.settle([key]);
    built.put(entry as RecordingEntry);
    await done;
    const sessions = [9, 3, 2, 1].map(idOf);
    expect(built.query({}).map(({ session }) => session)).toEqual(sessions);
    expect(new RecordingIndex(directory, () => {}).query({}).map(({ session }) => session)).toEqual(sessions);
  });

  test('knows a recording that it has no key for by its header', async () => {
    const { index, recorder } = await filled();
    await recorder.close();
    rmSync(index.file);
    const built = new RecordingIndex(directory, () => {});
    await built.settle([]);
    expect(built.get(idOf(1))).toMatchObject({
      upstream: 'orders',
      subjects: ['triage-bot', 'ana'],
      outcome: 'cut',
      labels: [],
    });
  });

  test('passes over a line that a crash cut off', async () => {
    const { index } = await filled();
    appendFileSync(index.file, '{"session":"01J');
    expect(new RecordingIndex(directory, () => {}).query({})).toHaveLength(3);
  });
});

describe('retention', () => {
  test('names what is too old and what is too much, the oldest first, and never an open session', async () => {
    const { index } = await filled();
    const rules = { days: undefined, bytesMax: undefined };
    const names = (days: number | undefined, bytesMax: number | undefined, nowMs = clock.ms) =>
      expired(index.oldestFirst, { days, bytesMax }, nowMs).map(({ session }) => session);
    expect(expired(index.oldestFirst, rules, clock.ms)).toEqual([]);
    expect(names(1, undefined)).toEqual([]);
    expect(names(1, undefined, clock.ms + 86_400_000 - 5_000_000)).toEqual([idOf(1)]);
    expect(names(1, undefined, clock.ms + 10 * 86_400_000)).toEqual([idOf(1), idOf(2)]);
    const total = index.oldestFirst.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(names(undefined, total)).toEqual([]);
    expect(names(undefined, total - 1)).toEqual([idOf(1)]);
    expect(names(undefined, 0)).toEqual([idOf(1), idOf(2)]);
  });

  test('leaves what is still to be uploaded alone, up to a bound', async () => {
    const { index } = await filled();
    index.uploaded(idOf(2), '2026-11-22T12:00:00.000Z');
    const names = (days: number | undefined, bytesMax: number | undefined, nowMs = clock.ms) =>
      expired(index.oldestFirst, { days, bytesMax, upload: true }, nowMs).map(({ session }) => session);
    const day = 86_400_000;
    expect(names(1, undefined, clock.ms + 10 * day)).toEqual([idOf(2)]);
    expect(names(1, undefined, clock.ms + (limits.recordUploadHoldDays + 2) * day)).toEqual([idOf(1), idOf(2)]);
    const total = index.oldestFirst.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(names(undefined, total - 1)).toEqual([idOf(2)]);
    const half = Math.ceil(total / limits.recordUploadHoldBytesFactor);
    expect(names(undefined, half)).toEqual([idOf(2)]);
    expect(names(undefined, half - 1)).toEqual([idOf(1), idOf(2)]);
    expect(new RecordingIndex(directory, () => {}).get(idOf(2))?.uploaded_at).toBe('2026-11-22T12:00:00.000Z');
  });

  test('what is gone is not brought back by the end of its upload', async () => {
    const { index } = await filled();
    const [oldest] = index.oldestFirst;
    if (oldest !== undefined) index.remove(oldest);
    index.uploaded(idOf(1), '2026-11-22T12:00:00.000Z');
    expect(index.get(idOf(1))).toBeUndefined();
  });

  test('removes the recording, and the index forgets it for good', async () => {
    const { index } = await filled();
    const removed: string[] = [];
    const about = { clock, removed: ({ session }: { session: string }) => removed.push(session), onError: () => {} };
    later(startRetention(index, { days: undefined, bytesMax: 0 }, about));
    expect(removed).toEqual([idOf(1), idOf(2)]);
    expect(existsSync(join(directory, `2026-11-22/${idOf(1)}.sprec`))).toBe(false);
    expect(new RecordingIndex(directory, () => {}).query({}).map(({ session }) => session)).toEqual([idOf(3)]);
  });
});

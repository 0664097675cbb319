import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { type Frame, parseRecording, RecordingDamaged, readRecording } from '../../../proxy/record/index.ts';
import { collect, fileOf, readPieces, recorderAt, SteppedClock, scratch, sessionId, sessionInit } from './support.ts';

describe('a recording', () => {
  test('gives back every frame, in order, with its time and its decision', async () => {
    const directory = scratch();
    const clock = new SteppedClock();
    const { recorder } = recorderAt(directory, clock);
    const session = recorder.open(sessionInit());
    session.frame({
      decisionId: 'd.1',
      kind: 'statement',
      data: { text: 'select é', parameters: [null, { type: 23 }] },
    });
    clock.ms += 1_500;
    session.frame({ decisionId: 'd.1', kind: 'rows', data: Buffer.from([0, 1, 255]) });
    clock.ms += 2 ** 33;
    session.frame({ kind: 'note', data: {} });
    await session.close({ status: 'ok' });
    const statement = JSON.stringify({ text: 'select é', parameters: [null, { type: 23 }] });
    // length, kind, decision, time, flags, payload
    const fixed = 4 + 1 + 1 + 6 + 1;
    const frameBytes =
      3 * fixed + 'statementd.1rowsd.1note'.length + Buffer.byteLength(statement) + 3 + Buffer.byteLength('{}');
    expect(await collect(readRecording(fileOf(directory)))).toEqual([
      {
        kind: 'header',
        timeMs: 0,
        data: {
          format: 'sprec',
          version: 1,
          session: sessionId,
          protocol: 'postgres',
          upstream: 'orders',
          subject: { id: 'triage-bot' },
        },
      },
      { kind: 'statement', timeMs: 0, decisionId: 'd.1', data: { text: 'select é', parameters: [null, { type: 23 }] } },
      { kind: 'rows', timeMs: 1_500, decisionId: 'd.1', data: Buffer.from([0, 1, 255]) },
      { kind: 'note', timeMs: 1_500 + 2 ** 33, data: {} },
      {
        kind: 'end',
        timeMs: 1_500 + 2 ** 33,
        data: { outcome: { status: 'ok' }, totals: { frames: 3, bytes: frameBytes, truncated: 0 } },
      },
    ]);
  });

  test('is a file of its owner alone, in the folder of its day', async () => {
    const directory = join(scratch(), 'made');
    const { recorder } = recorderAt(directory);
    await recorder.open(sessionInit()).close({});
    const file = join(directory, '2026-11-22', `${sessionId}.sprec`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, '2026-11-22')).mode & 0o777).toBe(0o700);
  });

  test('does not follow what becomes of the bytes it was given', async () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    const session = recorder.open(sessionInit());
    const bytes = Buffer.from('seen');
    session.frame({ kind: 'rows', data: bytes });
    bytes.fill('x');
    await session.close({});
    expect((await collect(readRecording(fileOf(directory))))[1]?.data).toEqual(Buffer.from('seen'));
  });

  test('bytes longer than a frame go on in the next frame, all of them', async () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    const session = recorder.open(sessionInit());
    const bytes = Buffer.alloc(limits.recordFrameBytesMax * 2 + 7, 'abcdefg');
    session.frame({ decisionId: 'd.1', kind: 'rows', data: bytes });
    await session.close({});
    const frames = (await collect(readRecording(fileOf(directory)))).filter(({ kind }) => kind === 'rows');
    expect(frames).toHaveLength(3);
    expect(Buffer.concat(frames.map(({ data }) => (data instanceof Uint8Array ? data : Buffer.alloc(0))))).toEqual(
      bytes,
    );
  });

  test('JSON longer than a frame is left out, and how long it was is kept', async () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    const session = recorder.open(sessionInit());
    session.frame({ kind: 'statement', data: { text: '€'.repeat(limits.recordFrameBytesMax) } });
    session.frame({ kind: 'statement', data: { text: '€'.repeat(21_000) } });
    await session.close({});
    const [, long, fits, end] = await collect(readRecording(fileOf(directory)));
    expect(long).toMatchObject({ data: {}, truncatedFrom: 3 * limits.recordFrameBytesMax + '{"text":""}'.length });
    expect(fits).toMatchObject({ data: { text: '€'.repeat(21_000) } });
    expect(end).toMatchObject({ data: { totals: { truncated: 1, frames: 2 } } });
  });

  test('what was recorded is in the file within the flush interval', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      const directory = scratch();
      const { recorder } = recorderAt(directory);
      const session = recorder.open(sessionInit());
      session.frame({ kind: 'rows', data: Buffer.alloc(100) });
      const header = statSync(fileOf(directory)).size;
      jest.advanceTimersByTime(limits.recordFlushMs);
      while (statSync(fileOf(directory)).size === header) await new Promise((resolve) => setImmediate(resolve));
      const frames = await collect(readRecording(fileOf(directory)));
      expect(frames.map(({ kind }) => kind)).toEqual(['header', 'rows', 'cut']);
    } finally {
      jest.useRealTimers();
    }
  });

  test('a frame after the close is not in it, and closing twice is closing once', async () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    const session = recorder.open(sessionInit());
    const closing = session.close({ status: 'ok' });
    session.frame({ kind: 'rows', data: Buffer.alloc(1) });
    await Promise.all([closing, session.close({ status: 'error' })]);
    const frames = await collect(readRecording(fileOf(directory)));
    expect(frames.map(({ kind }) => kind)).toEqual(['header', 'end']);
  });

  test('a recorder that closes ends what is still open as aborted', async () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    recorder.open(sessionInit()).frame({ kind: 'rows', data: Buffer.alloc(1) });
    await recorder.close();
    const frames = await collect(readRecording(fileOf(directory)));
    expect(frames.at(-1)).toMatchObject({ kind: 'end', data: { outcome: { status: 'aborted' } } });
    expect(() => recorder.open(sessionInit('other'))).toThrow(expect.objectContaining({ code: 'record_unavailable' }));
  });
});

describe('a slow disk', () => {
  test('makes the session ask for a pause, which ends when the bytes are written', async () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    const session = recorder.open(sessionInit());
    expect(session.drained).toBeUndefined();
    let sent = 0;
    while (session.drained === undefined) {
      session.frame({ kind: 'rows', data: Buffer.alloc(4_096) });
      sent += 1;
    }
    expect(sent * 4_096).toBeLessThan(limits.recordBufferBytesMax + 2 * 4_096);
    expect(session.drained).toBe(session.drained);
    await session.drained;
    expect(session.drained).toBeUndefined();
    await session.close({});
    const frames = await collect(readRecording(fileOf(directory)));
    expect(frames.filter(({ kind }) => kind === 'rows')).toHaveLength(sent);
  });

  test('fails the recording of a session that does not pause, before memory runs out', async () => {
    const directory = scratch();
    const { recorder, errors } = recorderAt(directory);
    const session = recorder.open(sessionInit());
    let sent = 0;
    while (!session.failed) {
      session.frame({ kind: 'rows', data: Buffer.alloc(65_536) });
      sent += 65_536;
    }
    expect(sent).toBeLessThanOrEqual(limits.recordBufferBytesHardMax + 2 * 65_536);
    expect(errors).toHaveLength(1);
    expect(session.drained).toBeUndefined();
    await session.close({});
  });

  test('of one session makes every session pause once all together wait for too much', async () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    const sessions = Array.from({ length: 300 }, (_, index) => recorder.open(sessionInit(`s${index}`)));
    for (const session of sessions) {
      for (let sent = 0; sent < limits.recordBufferBytesMax; sent += 65_536)
        session.frame({ kind: 'rows', data: Buffer.alloc(64_000) });
    }
    const quiet = recorder.open(sessionInit('quiet'));
    expect(quiet.drained).toBeInstanceOf(Promise);
    await quiet.drained;
    expect(quiet.drained).toBeUndefined();
    expect(sessions.some(({ failed }) => failed)).toBe(false);
  });
});

describe('reading', () => {
  async function recorded(): Promise<Buffer> {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    const session = recorder.open(sessionInit());
    session.frame({ decisionId: 'd.1', kind: 'statement', data: { text: 'select 1' } });
    session.frame({ decisionId: 'd.1', kind: 'rows', data: Buffer.alloc(limits.recordSegmentBytes, 1) });
    session.frame({ decisionId: 'd.1', kind: 'statement', data: { text: 'x'.repeat(70_000) } });
    session.frame({ decisionId: 'd.2', kind: 'rows', data: Buffer.alloc(100, 2) });
    await session.close({ status: 'ok' });
    return readFileSync(fileOf(directory));
  }

  /** Segment edges: [start, end) of each, behind the header line. */
  function segments(bytes: Buffer): [number, number][] {
    const edges: [number, number][] = [];
    for (let at = bytes.indexOf(10) + 1; at < bytes.length; ) {
      const end = at + 12 + bytes.readUInt32BE(at + 8) + 32;
      edges.push([at, end]);
      at = end;
    }
    return edges;
  }

  test('gives the same frames wherever the bytes are split', async () => {
    const bytes = await recorded();
    const whole = await readPieces(bytes);
    expect(whole).toHaveLength(6);
    const expected = fingerprint(whole);
    const interesting = new Set<number>();
    for (let at = 1; at < 400; at++) interesting.add(at).add(bytes.length - at);
    for (const [start, end] of segments(bytes))
      for (let at = -60; at < 60; at++) interesting.add(start + at).add(end + at);
    for (const at of interesting)
      if (at > 0 && at < bytes.length) expect(fingerprint(await readPieces(bytes, at))).toBe(expected);
    expect(fingerprint(await readPieces(bytes, ...Array.from({ length: 500 }, (_, at) => at + 1)))).toBe(expected);
  });

  test('a recording that stops at any byte gives its whole segments and says that it was cut', async () => {
    const bytes = await recorded();
    const edges = segments(bytes);
    const headerEnd = bytes.indexOf(10) + 1;
    const all = await readPieces(bytes);
    const cuts = new Set([headerEnd, headerEnd + 1]);
    for (const [start, end] of edges)
      for (const at of [start, start + 5, start + 12, start + 13, end - 33, end - 1, end]) cuts.add(at);
    for (const cut of cuts) {
      if (cut === bytes.length) continue;
      const frames = await readPieces(bytes.subarray(0, cut));
      const whole = edges.filter(([, end]) => end <= cut);
      const unfinished = cut - (whole.at(-1)?.[1] ?? headerEnd);
      expect(frames.at(-1)).toMatchObject({
        kind: 'cut',
        data: { segments: whole.length, bytes_of_unfinished_segment: unfinished },
      });
      expect(frames.slice(0, -1)).toEqual(all.slice(0, frames.length - 1));
      if (whole.length > 0) expect(frames.length).toBeGreaterThan(2);
    }
  });

  test('a recording without a whole header is not one', async () => {
    const bytes = await recorded();
    for (const cut of [0, 1, bytes.indexOf(10)])
      await expect(readPieces(bytes.subarray(0, cut))).rejects.toThrow(RecordingDamaged);
    await expect(readPieces(Buffer.from('{"format":"other"}\n'))).rejects.toThrow(/not a recording/);
    await expect(readPieces(Buffer.from('[]\n'))).rejects.toThrow(/not an object/);
    await expect(readPieces(Buffer.from('hello\n'))).rejects.toThrow(/not JSON/);
    await expect(readPieces(Buffer.from('{"format":"sprec","version":2}\n'))).rejects.toThrow(/version 2/);
  });

  test('a flipped bit anywhere behind the header is found, and frames before it are still given', async () => {
    const bytes = await recorded();
    const edges = segments(bytes);
    for (const [index, [start, end]] of edges.entries()) {
      for (const at of [start, start + 4, start + 7, start + 12, start + 20, end - 40, end - 32, end - 1]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ 1;
        const given: string[] = [];
        const reading = (async () => {
          for await (const frame of parseRecording(oneChunk(changed))) given.push(frame.kind);
        })();
        await expect(reading).rejects.toThrow(`segment ${index} is damaged`);
        expect(given[0]).toBe('header');
        if (index > 0) expect(given.length).toBeGreaterThan(1);
      }
    }
  });

  test('a changed header, a segment taken out, doubled or in another place is damage', async () => {
    const bytes = await recorded();
    const headerEnd = bytes.indexOf(10) + 1;
    const parts = segments(bytes).map(([start, end]) => bytes.subarray(start, end));
    const [first = Buffer.alloc(0), second = Buffer.alloc(0), ...rest] = parts;
    const header = bytes.subarray(0, headerEnd);
    const other = Buffer.from(header.toString().replace('triage-bot', 'triage-b0t'));
    for (const changed of [
      [other, ...parts],
      [header, second, ...rest],
      [header, first, ...rest],
      [header, first, first, second, ...rest],
      [header, second, first, ...rest],
      [bytes, rest.at(-1) ?? first],
    ]) {
      await expect(readPieces(Buffer.concat(changed))).rejects.toThrow(RecordingDamaged);
    }
  });

  test('a segment that claims more than a reader takes is refused before anything is read', async () => {
    const bytes = await recorded();
    bytes.writeUInt32BE(limits.recordSegmentBytesMax + 1, bytes.indexOf(10) + 1 + 8);
    await expect(readPieces(bytes)).rejects.toThrow(/segment 0 is damaged/);
  });
});

/** Comparing frames of this size one by one takes longer than reading them. */
function fingerprint(frames: readonly Frame[]): string {
  const plain = frames.map(({ data, ...rest }) => [rest, data instanceof Uint8Array ? hash('sha256', data) : data]);
  return hash('sha256', JSON.stringify(plain));
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createRecorder,
  type Library,
  openLibrary,
  RecordingIndex,
  type RecordingKey,
  recordingKey,
} from '../../../proxy/record/index.ts';

const nowMs = Date.parse('2026-03-01T23:59:59Z');
let directory: string;
let index: RecordingIndex;
let library: Library;
const key = recordingKey(Buffer.alloc(32, 7));
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-library-'));
  index = new RecordingIndex(directory, () => {});
  library = openLibrary(directory, index, [key]);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

interface Session {
  readonly day?: number;
  readonly protocol?: string;
  readonly upstream?: string;
  readonly subject?: object;
  readonly key?: RecordingKey;
}

/** Records a session of one command, on a day of its own. */
async function record(
  id: string,
  { day = 0, protocol = 'ssh', upstream = 'web1', subject = {}, key }: Session = {},
): Promise<string> {
  const clock = { nowMs: () => nowMs + day * 86_400_000, monotonicMs: () => 0 };
  const recorder = createRecorder({ directory, clock, key, index, onError: () => {} });
  const started_at = new Date(clock.nowMs()).toISOString();
  const who = { type: 'agent', issuer: 'i', id: 'bot', ...subject };
  const header = { id, upstream, subject: who, client_address: '::1', application: 'x', started_at };
  const recording = recorder.open({ id, protocol, header });
  recording.frame({ decisionId: `${id}.1`, kind: 'command', data: { kind: 'exec', text: 'id', pty: null } });
  recording.frame({ decisionId: `${id}.1`, kind: 'stdout', data: Buffer.from('uid=0\n') });
  await recording.close({ status: 'ok' });
  await recorder.close();
  return join(directory, started_at.slice(0, 10), `${id}.sprec`);
}

const ids = (query = {}) => library.recordings({ limit: 10, ...query }).map(({ session }) => session);

async function collect<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const all: Value[] = [];
  for await (const value of values) all.push(value);
  return all;
}

describe('recordings', () => {
  test('are listed newest first over days, page by page', async () => {
    await record('01A');
    await record('01B', { day: 1 });
    await record('01C', { day: 1 });
    expect(ids()).toEqual(['01C', '01B', '01A']);
    expect(ids({ limit: 2 })).toEqual(['01C', '01B']);
    expect(ids({ before: '01B' })).toEqual(['01A']);
  });

  test('are found by who, on whose behalf, where and how', async () => {
    await record('01A', { subject: { id: 'triage', on_behalf_of: [{ issuer: 'i', id: 'ben' }] } });
    await record('01B', { protocol: 'postgres', upstream: 'orders' });
    expect(ids({ subject: 'triage' })).toEqual(['01A']);
    expect(ids({ subject: 'ben' })).toEqual(['01A']);
    expect(ids({ upstream: 'orders' })).toEqual(['01B']);
    expect(ids({ protocol: 'ssh' })).toEqual(['01A']);
    expect(ids({ subject: 'nobody' })).toEqual([]);
  });

  test('of the gateway itself are there when asked for', async () => {
    await record('01A', { subject: { type: 'gateway' } });
    expect(ids()).toEqual([]);
    expect(ids({ own: true })).toEqual(['01A']);
  });

  test('are those of the index that are still there', async () => {
    const file = await record('01A');
    expect(library.recording('01A')).toMatchObject({ session: '01A', upstream: 'web1' });
    for (const id of ['../01A', '01Y', '']) expect(library.recording(id)).toBeUndefined();
    await rm(file);
    expect(library.recording('01A')).toBeUndefined();
    expect(await collect(library.frames('01A'))).toEqual([]);
    expect(await library.cast('01A', 3)).toBe('nothing');
  });

  test('a line of the index that names a file outside of the directory is none', async () => {
    const file = await record('01A');
    const line = (await readFile(join(directory, 'index.jsonl'), 'utf8')).split('\n')[0] ?? '';
    for (const name of ['../2026-03-01/01A.sprec', file, '2026-03-01/../../x.sprec']) {
      await writeFile(join(directory, 'index.jsonl'), JSON.stringify({ ...JSON.parse(line), file: name }));
      expect(new RecordingIndex(directory, () => {}).get('01A')).toBeUndefined();
    }
  });
});

describe('one recording', () => {
  test('is read as frames, bytes as base64', async () => {
    await record('01A');
    const frames = await collect(library.frames('01A'));
    expect(frames.map(({ kind }) => kind)).toEqual(['header', 'command', 'stdout', 'end']);
    expect(frames[2]).toMatchObject({
      base64: true,
      data: Buffer.from('uid=0\n').toString('base64'),
      decisionId: '01A.1',
    });
  });

  test('that is damaged says so behind what is whole', async () => {
    const file = await record('01A');
    await appendFile(file, Buffer.alloc(100, 1));
    const frames = await collect(library.frames('01A'));
    expect(frames.at(-1)).toMatchObject({ kind: 'damaged', data: { message: expect.stringContaining('damaged') } });
    await truncate(file, 250);
    expect((await collect(library.frames('01A'))).at(-1)).toMatchObject({ kind: 'cut' });
  });

  test('is an asciicast where there was something to show', async () => {
    await record('01A');
    const lines = await library.cast('01A', 3);
    if (typeof lines === 'string') throw new Error(lines);
    expect(JSON.parse((await collect(lines))[0] ?? '')).toMatchObject({ version: 3 });
    expect(await library.cast('01Z', 3)).toBe('nothing');
  });

  test('that is encrypted is found, and read with its key only', async () => {
    await record('01A', { key });
    expect(library.recording('01A')).toMatchObject({ key_id: key.id });
    expect((await collect(library.frames('01A'))).map(({ kind }) => kind)).toEqual([
      'header',
      'command',
      'stdout',
      'end',
    ]);
    expect(typeof (await library.cast('01A', 3))).toBe('object');
    const without = openLibrary(directory, index);
    expect((await collect(without.frames('01A'))).map(({ kind }) => kind)).toEqual(['header', 'locked']);
    expect(await without.cast('01A', 3)).toBe('locked');
  });
});

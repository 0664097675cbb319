import { appendFile, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createRecorder } from '../../../proxy/record/index.ts';
import { type Library, openLibrary } from '../../../proxy/record/library.ts';

const nowMs = Date.parse('2026-03-01T23:59:59Z');
let directory: string;
let library: Library;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-library-'));
  library = openLibrary(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Records a session of one command, on a day of its own. */
async function record(
  id: string,
  { day = 0, protocol = 'ssh', upstream = 'web1', subject = {} } = {},
): Promise<string> {
  const clock = { nowMs: () => nowMs + day * 86_400_000, monotonicMs: () => 0 };
  const recorder = createRecorder({ directory, clock, onError: () => {} });
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

const ids = async (query = {}) => (await library.recordings({ limit: 10, ...query })).map(({ id }) => id);

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
    expect(await ids()).toEqual(['01C', '01B', '01A']);
    expect(await ids({ limit: 2 })).toEqual(['01C', '01B']);
    expect(await ids({ after: '01B' })).toEqual(['01A']);
  });

  test('are found by who, on whose behalf, where and how', async () => {
    await record('01A', { subject: { id: 'triage', on_behalf_of: [{ issuer: 'i', id: 'ben' }] } });
    await record('01B', { protocol: 'postgres', upstream: 'orders' });
    expect(await ids({ subject: 'triage' })).toEqual(['01A']);
    expect(await ids({ subject: 'ben' })).toEqual(['01A']);
    expect(await ids({ upstream: 'orders' })).toEqual(['01B']);
    expect(await ids({ protocol: 'ssh' })).toEqual(['01A']);
    expect(await ids({ subject: 'nobody' })).toEqual([]);
  });

  test('of the gateway itself are there when asked for', async () => {
    await record('01A', { subject: { type: 'gateway' } });
    expect(await ids()).toEqual([]);
    expect(await ids({ own: 'include' })).toEqual(['01A']);
  });

  test('are nothing but recordings, in nothing but their directory', async () => {
    await record('01A');
    await mkdir(join(directory, '2026-03-05'), { recursive: true });
    await writeFile(join(directory, '2026-03-05', '01X.sprec'), 'no header');
    await writeFile(join(directory, '01Y.sprec'), '{"format":"sprec","version":1}\n');
    expect(await ids()).toEqual(['01A']);
    for (const id of ['../01Y', '..%2f01Y', '01Y', '']) expect(await library.recording(id)).toBeUndefined();
    expect(await openLibrary(join(directory, 'none')).recordings({ limit: 1 })).toEqual([]);
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
    expect(JSON.parse((await collect(lines ?? (async function* () {})()))[0] ?? '')).toMatchObject({ version: 3 });
    await record('01B', { protocol: 'postgres' });
    expect(await library.cast('01Z', 3)).toBeUndefined();
  });
});

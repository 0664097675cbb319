import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { readRecording } from '../../../proxy/record/index.ts';
import { collect, fileOf, later, recorderAt, SteppedClock, scratch, sessionId, sessionInit } from './support.ts';

const unavailable = expect.objectContaining({ code: 'record_unavailable' });

describe('a session that cannot be recorded is refused', () => {
  test('when the directory cannot be made, until it can', () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      const directory = join(scratch(), 'records');
      writeFileSync(directory, 'in the way');
      const clock = new SteppedClock();
      const { recorder, errors } = recorderAt(directory, clock);
      expect(recorder.ready).toBe(false);
      expect(errors).toHaveLength(1);
      expect(() => recorder.open(sessionInit())).toThrow(unavailable);
      expect(errors).toHaveLength(1);
      rmSync(directory);
      clock.ms += limits.recordRetryMs;
      jest.advanceTimersByTime(limits.recordFlushMs);
      expect(recorder.ready).toBe(true);
      expect(recorder.open(sessionInit()).failed).toBe(false);
    } finally {
      jest.useRealTimers();
    }
  });

  test('when its file is there already, which stays as it is', () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    recorder.open(sessionInit());
    expect(() => recorder.open(sessionInit())).toThrow(unavailable);
  });

  test('when a link stands where its file belongs', () => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    recorder.open(sessionInit('first'));
    const target = join(directory, 'target');
    symlinkSync(target, fileOf(directory));
    expect(() => recorder.open(sessionInit())).toThrow(unavailable);
    expect(existsSync(target)).toBe(false);
  });

  test.each(['', '../../etc/passwd', 'a/b', 'a.b', 'x'.repeat(65)])('when its id %j names no plain file', (id) => {
    const directory = scratch();
    const { recorder } = recorderAt(directory);
    expect(() => recorder.open(sessionInit(id))).toThrow(expect.objectContaining({ code: 'internal_error' }));
    expect(recorder.ready).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
  });
});

test('a frame that cannot be kept fails the recording and throws nothing', async () => {
  const { recorder, errors } = recorderAt(scratch());
  const session = recorder.open(sessionInit());
  session.frame({ kind: 'k'.repeat(256), data: {} });
  expect(session.failed).toBe(true);
  expect(errors).toHaveLength(1);
  await session.close({});
});

const mountable = (() => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-mount-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]).status === 0;
  if (mounted) spawnSync('umount', ['-l', directory]);
  rmSync(directory, { recursive: true, force: true });
  return mounted;
})();

(mountable ? test : test.skip)(
  'a disk that fills up fails its sessions, wakes who waits, and leaves what was written readable (needs the right to mount a tmpfs)',
  async () => {
    const directory = scratch();
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory]);
    later(() => spawnSync('umount', ['-l', directory]));
    const clock = new SteppedClock();
    const { recorder, errors } = recorderAt(directory, clock);
    const session = recorder.open(sessionInit());
    while (session.drained === undefined) session.frame({ kind: 'rows', data: Buffer.alloc(30_000, 1) });
    while (!session.failed) {
      await session.drained;
      session.frame({ kind: 'rows', data: Buffer.alloc(30_000, 1) });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(recorder.ready).toBe(false);
    expect(errors[0]?.cause).toMatchObject({ code: 'ENOSPC' });
    expect(() => recorder.open(sessionInit('refused'))).toThrow(unavailable);
    session.frame({ kind: 'rows', data: Buffer.alloc(1) });
    await session.close({ status: 'ok' });
    const frames = await collect(readRecording(fileOf(directory)));
    expect(frames.length).toBeGreaterThan(3);
    expect(frames.at(-1)?.kind).toBe('cut');
    rmSync(fileOf(directory));
    clock.ms += limits.recordRetryMs;
    await recorder.open(sessionInit('next')).close({ status: 'ok' });
    expect(recorder.ready).toBe(true);
    expect((await collect(readRecording(fileOf(directory, 'next')))).map(({ kind }) => kind)).toEqual([
      'header',
      'end',
    ]);
  },
);

test('a directory that is deleted under it costs no session that is open, and is made again for the next', async () => {
  const directory = join(scratch(), 'records');
  mkdirSync(directory);
  const { recorder, errors } = recorderAt(directory);
  const session = recorder.open(sessionInit());
  rmSync(directory, { recursive: true });
  session.frame({ kind: 'rows', data: Buffer.alloc(10) });
  await session.close({ status: 'ok' });
  expect(session.failed).toBe(false);
  await recorder.open(sessionInit('next')).close({ status: 'ok' });
  expect(existsSync(fileOf(directory, 'next'))).toBe(true);
  expect(errors).toEqual([]);
});

const unprivileged = process.getuid?.() !== 0;

(unprivileged ? test : test.skip)(
  'a directory without the right to write refuses new sessions (needs not to be root)',
  () => {
    const directory = scratch();
    chmodSync(directory, 0o500);
    later(() => chmodSync(directory, 0o700));
    const { recorder } = recorderAt(directory);
    expect(recorder.ready).toBe(false);
    expect(() => recorder.open(sessionInit())).toThrow(unavailable);
  },
);

test('after kill -9 every segment that was flushed is readable, and the reader says that the end is missing', async () => {
  const directory = scratch();
  const writer = join(import.meta.dirname, 'writer.ts');
  const child = spawn(process.execPath, ['--no-warnings', writer, directory, sessionId], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  later(() => child.kill('SIGKILL'));
  let flushed = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    flushed = Number(text.trim().split('\n').at(-1));
    if (flushed >= 2_000) child.kill('SIGKILL');
  });
  await once(child, 'close');
  const frames = await collect(readRecording(fileOf(directory)));
  const kept = frames.filter(({ kind }) => kind === 'statement');
  expect(kept.length).toBeGreaterThanOrEqual(2_000);
  expect(kept.map(({ data }) => (data instanceof Uint8Array ? -1 : data.id))).toEqual(kept.map((_, index) => index));
  expect(frames.at(-1)?.kind).toBe('cut');
});

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type Audit, trailFiles, verifyAudit } from '../../../proxy/audit/index.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { completed, decided, key, later, openTrail, SteppedClock, scratch } from './support.ts';

const unavailable = expect.objectContaining({ code: 'audit_unavailable' });

let file = '';
let clock = new SteppedClock();
let errors: Error[] = [];

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  file = join(scratch(), 'audit.log');
  clock = new SteppedClock();
  errors = [];
});

afterEach(() => {
  jest.useRealTimers();
});

function open(): Promise<Audit> {
  return openTrail(file, { clock, onError: (error) => errors.push(error) });
}

/** Lets the background look after the file. */
function tick(): void {
  clock.ms += limits.auditCheckIntervalMs;
  jest.advanceTimersByTime(limits.auditTickMs);
}

function events(): Record<string, unknown>[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('a file that must not be written', () => {
  test('a symbolic link is refused', async () => {
    writeFileSync(`${file}.real`, '');
    symlinkSync(`${file}.real`, file);
    await expect(open()).rejects.toThrow(/symbolic link/);
    expect(statSync(`${file}.real`).size).toBe(0);
  });

  test.each([0o100, 0o010, 0o001])('an executable file (mode %i) is refused and stays as it is', async (bit) => {
    writeFileSync(file, '');
    chmodSync(file, 0o600 | bit);
    await expect(open()).rejects.toThrow(/is executable/);
    expect(statSync(file).size).toBe(0);
  });

  test('a file with a second name is refused', async () => {
    writeFileSync(file, '');
    linkSync(file, `${file}.other`);
    await expect(open()).rejects.toThrow(/more than one name/);
  });

  test('a directory is refused', async () => {
    mkdirSync(file);
    await expect(open()).rejects.toThrow(/EISDIR/);
  });

  test('a pipe is refused without waiting for it', async () => {
    spawnSync('mkfifo', [file]);
    await expect(open()).rejects.toThrow(/ENXIO/);
  });

  test('a device is refused', async () => {
    file = '/dev/full';
    await expect(open()).rejects.toThrow(/not a regular file/);
    rmSync('/dev/full.lock', { force: true });
  });

  test('a file that others may read is taken away from them', async () => {
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    await open();
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('a trail of another key is refused, and the error says which', async () => {
    await (await open()).close();
    const other = Buffer.alloc(32, 8);
    await expect(openTrail(file, { key: other })).rejects.toThrow(/audit key/);
    const size = statSync(file).size;
    await expect(openTrail(file, { key: other })).rejects.toThrow(/audit key/);
    expect(statSync(file).size).toBe(size);
  });

  test('a trail whose last line was changed is refused', async () => {
    const audit = await open();
    audit.write(decided(1));
    await audit.close();
    writeFileSync(file, readFileSync(file, 'utf8').replace('trail_closed', 'trail_Closed'));
    await expect(open()).rejects.toThrow(/does not verify/);
  });

  test('a file of something else is refused', async () => {
    writeFileSync(file, 'root:x:0:0:root:/root:/bin/bash\n', { mode: 0o600 });
    await expect(open()).rejects.toThrow(/does not verify/);
  });

  test('a trail that is open is not opened twice', async () => {
    await open();
    await expect(open()).rejects.toThrow(/already open/);
  });

  test('a trail that another live process writes is refused, and one of a dead process taken over', async () => {
    const parent = process.ppid;
    const started = readFileSync(`/proc/${parent}/stat`, 'utf8').split(') ')[1]?.split(' ')[19];
    writeFileSync(`${file}.lock`, `${parent} ${started}\n`);
    await expect(open()).rejects.toThrow(new RegExp(`process ${parent}`));
    writeFileSync(`${file}.lock`, `${parent} 1\n`);
    await expect(open()).resolves.toMatchObject({ ready: true });
  });

  test('a refused start leaves no lock behind', async () => {
    mkdirSync(file);
    await expect(open()).rejects.toThrow();
    expect(() => statSync(`${file}.lock`)).toThrow(/ENOENT/);
  });
});

describe('a file that changes under the trail', () => {
  test('a file that was moved away is followed by a new one, and both are one chain', async () => {
    const audit = await open();
    audit.write(decided(1));
    renameSync(file, `${file}.moved`);
    audit.write(decided(2));
    tick();
    audit.write(decided(3));
    await audit.close();
    expect(events()[0]).toMatchObject({
      event: 'trail_opened',
      reason: 'recovered',
      failure: `${file} was moved away`,
    });
    expect(await verifyAudit([`${file}.moved`, file], { key })).toMatchObject({ ok: true, closed: true, lines: 6 });
  });

  test('a file that was deleted is followed by a new one that names what is missing', async () => {
    const audit = await open();
    audit.write(decided(1));
    unlinkSync(file);
    audit.write(decided(2));
    tick();
    expect(audit.ready).toBe(true);
    await audit.close();
    expect(events()[0]).toMatchObject({ previous: { seq: 3 } });
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, startsAfter: 3 });
  });

  test('a file that was emptied shows a gap for ever', async () => {
    const audit = await open();
    audit.write(decided(1));
    truncateSync(file, 0);
    tick();
    expect(audit.ready).toBe(true);
    await audit.close();
    expect(await verifyAudit([file], { key })).toMatchObject({ startsAfter: 2 });
  });

  test('a file that became executable is written no more, until it is not', async () => {
    const audit = await open();
    chmodSync(file, 0o700);
    tick();
    expect(audit.ready).toBe(false);
    expect(() => audit.write(decided(1))).toThrow(unavailable);
    chmodSync(file, 0o600);
    clock.ms += limits.auditRetryMsMax;
    audit.write(decided(2));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true });
  });

  test.each([
    ['lines were appended', () => appendFileSync(file, '{"forged":true}\n')],
    ['lines were cut off', () => truncateSync(file, statSync(file).size - 10)],
    [
      'another file with lines was put in its place',
      () => {
        renameSync(file, `${file}.moved`);
        writeFileSync(file, readFileSync(`${file}.moved`), { mode: 0o600 });
      },
    ],
  ])('a file to which %s by someone else is not continued', async (_, change) => {
    const audit = await open();
    audit.write(decided(1));
    change();
    const left = readFileSync(file);
    tick();
    for (let attempt = 0; attempt < 3; attempt++) {
      clock.ms += limits.auditRetryMsMax;
      expect(() => audit.write(decided(2))).toThrow(unavailable);
      expect(audit.ready).toBe(false);
    }
    expect(readFileSync(file)).toEqual(left);
    expect(errors.map(({ message }) => message)).toContainEqual(expect.stringContaining('someone else'));
  });

  test('a full file that cannot be put aside refuses, and goes on when it can', async () => {
    const audit = await openTrail(file, { clock, rotateBytes: 700 });
    while (statSync(file).size < 700) audit.write(decided(1));
    const blocking = `${file}.${String(audit.head.seq).padStart(16, '0')}`;
    writeFileSync(blocking, 'in the way');
    expect(() => audit.write(decided(3))).toThrow(unavailable);
    expect(audit.ready).toBe(false);
    rmSync(blocking);
    clock.ms += limits.auditRetryMsMax;
    audit.write(decided(4));
    await audit.close();
    expect(await verifyAudit(trailFiles(file), { key })).toMatchObject({ ok: true, closed: true });
    expect(readFileSync(trailFiles(file)[0] ?? '', 'utf8')).toContain('exists already');
  });

  test('a descriptor that was closed refuses, and the trail opens the file again', async () => {
    const audit = await open();
    const descriptor = readdirSync('/proc/self/fd').find((fd) => targetOf(fd) === file);
    closeSync(Number(descriptor));
    expect(() => audit.write(decided(1))).toThrow(unavailable);
    while (errors.length < 2) await new Promise((resolve) => setImmediate(resolve));
    clock.ms += limits.auditRetryMsMin;
    audit.write(decided(2));
    expect(events().map(({ decision_id, failure }) => decision_id ?? failure)).toEqual([
      undefined,
      'write: EBADF',
      'd.2',
    ]);
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true });
  });

  test('a directory that disappeared refuses, and is not made anew behind the operator', async () => {
    const directory = join(scratch(), 'audit');
    const audit = await openTrail(join(directory, 'audit.log'), { clock });
    rmSync(directory, { recursive: true });
    tick();
    expect(audit.ready).toBe(false);
    clock.ms += limits.auditRetryMsMax;
    expect(() => audit.write(decided(1))).toThrow(unavailable);
  });
});

describe('while it cannot be written', () => {
  async function broken(): Promise<Audit> {
    const audit = await open();
    chmodSync(file, 0o700);
    tick();
    expect(audit.ready).toBe(false);
    return audit;
  }

  function repair(): void {
    chmodSync(file, 0o600);
    clock.ms += limits.auditRetryMsMax;
  }

  test('it does not try again before its time', async () => {
    const audit = await broken();
    const before = errors.length;
    for (let attempt = 0; attempt < 100; attempt++) expect(() => audit.write(decided(attempt))).toThrow(unavailable);
    expect(errors).toHaveLength(before);
    clock.ms += limits.auditRetryMsMax;
    expect(() => audit.write(decided(1))).toThrow(unavailable);
    expect(errors).toHaveLength(before + 1);
  });

  test('what was appended stays, and what was refused does not turn up later', async () => {
    const audit = await broken();
    audit.append(completed(1));
    expect(() => audit.write(decided(2))).toThrow(unavailable);
    audit.append(completed(3));
    repair();
    audit.write(decided(4));
    expect(events().map(({ event, decision_id }) => decision_id ?? event)).toEqual([
      'trail_opened',
      'trail_opened',
      'd.1',
      'd.3',
      'd.4',
    ]);
    expect(events()[1]).toMatchObject({ reason: 'recovered', failure: `${file} is executable`, refused: 1, lost: 0 });
  });

  test('it comes back without traffic', async () => {
    const audit = await broken();
    audit.append(completed(1));
    repair();
    jest.advanceTimersByTime(limits.auditTickMs);
    expect(audit.ready).toBe(true);
    expect(events().at(-1)).toMatchObject({ decision_id: 'd.1' });
  });

  test('the queue is bounded, and what it could not hold is counted in the trail', async () => {
    const audit = await broken();
    for (let id = 0; id < limits.auditPendingEventsMax + 5; id++) audit.append(completed(id));
    repair();
    audit.write(decided('last'));
    expect(events()[1]).toMatchObject({ reason: 'recovered', lost: 5 });
    expect(events()).toHaveLength(2 + limits.auditPendingEventsMax + 1);
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true });
  });

  test('flush and close say so, and close lets go of the trail all the same', async () => {
    const audit = await broken();
    await expect(audit.flush()).rejects.toEqual(unavailable);
    await expect(audit.close()).rejects.toEqual(unavailable);
    chmodSync(file, 0o600);
    await expect(open()).resolves.toMatchObject({ ready: true });
  });
});

function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return '';
  }
}

/** A file system of 64 KiB, empty but for a filler that takes most of it. */
function mountTiny(): string {
  const directory = scratch();
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
  if (status !== 0) throw new Error('cannot mount a tmpfs');
  later(() => spawnSync('umount', ['-l', directory]));
  writeFileSync(join(directory, 'filler'), Buffer.alloc(40_960));
  return directory;
}

/** What this machine lets a test do: mount a file system, and make a file on it append-only. */
function probe(): { mount: boolean; appendOnly: boolean } {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-mount-'));
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]).status === 0;
  const probed = join(directory, 'probe');
  writeFileSync(probed, '');
  const appendOnly = mount && spawnSync('chattr', ['+a', probed]).status === 0;
  if (appendOnly) spawnSync('chattr', ['-a', probed]);
  if (mount) spawnSync('umount', ['-l', directory]);
  rmSync(directory, { recursive: true, force: true });
  return { mount, appendOnly };
}

const can = probe();
const testWithMount = can.mount ? test : test.skip;
const testWithAppendOnly = can.appendOnly ? test : test.skip;

describe('a disk that is full', () => {
  testWithMount(
    'refuses, keeps whole lines only, and continues the chain once there is room (needs the right to mount a tmpfs)',
    async () => {
      const directory = mountTiny();
      file = join(directory, 'audit.log');
      const audit = await open();
      let id = 0;
      expect(() => {
        for (;;) {
          audit.append(completed(id));
          id += 1;
          audit.write(decided(id, { text: 'x'.repeat(999) }));
        }
      }).toThrow(unavailable);
      expect(audit.ready).toBe(false);
      expect(readFileSync(file).at(-1)).toBe(10);
      expect((await verifyAudit([file], { key })).ok).toBe(true);
      rmSync(join(directory, 'filler'));
      clock.ms += limits.auditRetryMsMin;
      audit.write(decided('after'));
      const written = events();
      expect(written.filter((event) => event.event === 'completed')).toHaveLength(id);
      expect(written.filter((event) => event.decision_id === `d.${id}` && event.event === 'decided')).toEqual([]);
      expect(written).toContainEqual(
        expect.objectContaining({ reason: 'recovered', failure: 'write: ENOSPC', refused: 1 }),
      );
      await audit.close();
      expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, closed: true });
    },
  );

  testWithMount('at the start refuses to start (needs the right to mount a tmpfs)', async () => {
    const directory = mountTiny();
    file = join(directory, 'audit.log');
    writeFileSync(`${file}.lock`, `${process.pid} 0\n`);
    writeFileSync(file, '', { mode: 0o600 });
    spawnSync('sh', ['-c', `cat /dev/zero > ${join(directory, 'more')}`]);
    await expect(open()).rejects.toThrow(/ENOSPC/);
  });

  testWithAppendOnly(
    'of a file that may only be appended to keeps the fragment, and the trail accounts for it (needs chattr)',
    async () => {
      const directory = mountTiny();
      file = join(directory, 'audit.log');
      const audit = await open();
      spawnSync('chattr', ['+a', file]);
      later(() => spawnSync('chattr', ['-a', file]));
      expect(() => {
        for (let id = 0; ; id++) audit.write(decided(id, { text: 'x'.repeat(999) }));
      }).toThrow(unavailable);
      const torn = readFileSync(file).at(-1) !== 10;
      rmSync(join(directory, 'filler'));
      clock.ms += limits.auditRetryMsMin;
      audit.write(decided('after'));
      await audit.close();
      expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, closed: true, tornLines: torn ? 1 : 0 });
      expect(torn).toBe(true);
    },
  );
});

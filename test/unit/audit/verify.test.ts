import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { trailFiles, verifyAudit } from '../../../proxy/audit/index.ts';
import { completed, decided, key, openTrail, scratch } from './support.ts';

const zeros = '0'.repeat(64);

let file = '';
let lines: string[] = [];

/** opened, completed, decided, completed, decided, closed */
beforeEach(async () => {
  file = join(scratch(), 'audit.log');
  const audit = await openTrail(file);
  for (const id of [1, 2]) {
    audit.append(completed(id - 1));
    audit.write(decided(id, { text: 'select 1' }));
  }
  await audit.close();
  lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
});

function put(changed: readonly string[]): void {
  writeFileSync(file, `${changed.join('\n')}\n`);
}

describe('an intact trail', () => {
  test('verifies, with its last line as head', async () => {
    const { seq, hash } = JSON.parse(lines.at(-1) ?? '');
    expect(await verifyAudit([file], { key })).toEqual({
      ok: true,
      defect: undefined,
      lines: 6,
      head: { seq, hash },
      startsAfter: 0,
      closed: true,
      tornLines: 0,
      tornTailBytes: 0,
      heads: 0,
      unsignedLines: 0,
    });
  });

  test('does not verify under another key, and says that this is why', async () => {
    const result = await verifyAudit([file], { key: Buffer.alloc(32, 8) });
    expect(result).toMatchObject({ ok: false, defect: { kind: 'other_key', line: 1 } });
  });

  test('verifies against a head kept elsewhere, also one that is not the last', async () => {
    const { seq, hash } = JSON.parse(lines[2] ?? '');
    expect(await verifyAudit([file], { key, expected: { seq, hash } })).toMatchObject({ ok: true });
  });
});

describe('a changed trail', () => {
  test('one flipped bit anywhere is found, in the line it is in or the next', async () => {
    const whole = readFileSync(file);
    const lineOf = (offset: number) => whole.subarray(0, offset).toString('latin1').split('\n').length;
    for (let offset = 0; offset < whole.length; offset++) {
      for (const bit of [0x01, 0x20]) {
        const changed = Buffer.from(whole);
        changed[offset] = (changed[offset] ?? 0) ^ bit;
        writeFileSync(file, changed);
        const { ok, defect } = await verifyAudit([file], { key });
        if (offset === whole.length - 1) continue; // The last newline is no part of any line.
        expect({ offset, bit, ok }).toEqual({ offset, bit, ok: false });
        const found = defect?.line ?? 0;
        expect([lineOf(offset), lineOf(offset) + 1]).toContain(found);
      }
    }
  }, 60_000);

  test('a line that was taken out leaves a gap', async () => {
    for (const [index, name] of [1, 2, 3, 4].entries()) {
      put(lines.filter((_, at) => at !== name));
      const result = await verifyAudit([file], { key });
      expect(result).toMatchObject({ ok: false, defect: { kind: 'gap', line: index + 2 } });
    }
  });

  test('a first line that was taken out leaves a trail without an opening', async () => {
    put(lines.slice(1));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'gap', line: 1 } });
  });

  test('two lines that changed places are out of order', async () => {
    const [a = '', b = '', c = '', d = '', ...rest] = lines;
    put([a, b, d, c, ...rest]);
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'gap', line: 3 } });
  });

  test('a line that is there twice is a repetition', async () => {
    const [a = '', b = '', ...rest] = lines;
    put([a, b, b, ...rest]);
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'gap', line: 3 } });
  });

  test('lines that were taken out and the rest numbered anew do not verify', async () => {
    const kept = lines.filter((_, at) => at !== 2);
    put(kept.map((line, at) => line.replace(/^\{"seq":\d+/, `{"seq":${at + 1}`)));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'altered', line: 3 } });
  });

  test('a line of another trail under the same key does not fit in', async () => {
    const other = join(scratch(), 'audit.log');
    const audit = await openTrail(other, { instance: 'gateway-2' });
    audit.append(completed(0));
    audit.write(decided(1, { text: 'select 2' }));
    await audit.close();
    const foreign = readFileSync(other, 'utf8').split('\n');
    put(lines.map((line, at) => (at === 2 ? (foreign[2] ?? '') : line)));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'altered', line: 3 } });
  });

  test('lines cut from the end show against an expected head, and only there', async () => {
    const { seq, hash } = JSON.parse(lines.at(-1) ?? '');
    put(lines.slice(0, -2));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, closed: false, lines: 4 });
    expect(await verifyAudit([file], { key, expected: { seq, hash } })).toMatchObject({
      ok: false,
      defect: { kind: 'head_missing' },
    });
  });

  test.each([
    ['an empty line', ''],
    ['a line of text', 'nothing'],
    ['a line of JSON without a seal', '{"seq":7,"time":"2026-11-22T09:00:00.000Z","event":"decided"}'],
    [
      'a line with a made-up seal',
      `{"seq":7,"time":"2026-11-22T09:00:00.000Z","event":"decided","hash":"${zeros}","mac":"${zeros}"}`,
    ],
    ['a line of JSON that is no object', `["hash":"${zeros}","mac":"${zeros}"]`],
  ])('%s does not pass, at the end, in the middle or in front', async (_, line) => {
    for (const at of [6, 3, 0]) {
      put(lines.toSpliced(at, 0, line));
      expect({ at, ...(await verifyAudit([file], { key })) }).toMatchObject({
        at,
        ok: false,
        defect: { line: at + 1 },
      });
    }
  });

  test('a fragment at the very end is not proven, and said to be there', async () => {
    writeFileSync(file, `${lines.join('\n')}\n{"seq":7,"ti`);
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, closed: false, tornTailBytes: 12 });
  });

  test('a fragment behind another line that is none is not taken for a write that was cut off', async () => {
    writeFileSync(file, `${lines.join('\n')}\nnothing\n{"seq":7,"ti`);
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'malformed', line: 7 } });
  });

  test('a file without a single line does not verify', async () => {
    truncateSync(file, 0);
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'empty' } });
    expect(await verifyAudit([], { key })).toMatchObject({ ok: false, defect: { kind: 'empty' } });
  });

  test('a file that cannot be read is a defect, not a crash', async () => {
    rmSync(file);
    expect(await verifyAudit([file], { key })).toMatchObject({
      ok: false,
      defect: { kind: 'unreadable', message: 'open: ENOENT' },
    });
  });
});

describe('a trail of several files', () => {
  let files: string[] = [];

  beforeEach(async () => {
    const base = join(scratch(), 'audit.log');
    const audit = await openTrail(base, { rotateBytes: 700 });
    for (let id = 0; id < 12; id++) audit.write(decided(id));
    await audit.close();
    files = trailFiles(base);
    expect(files.length).toBeGreaterThan(3);
  });

  test('verifies in order', async () => {
    expect(await verifyAudit(files, { key })).toMatchObject({ ok: true, startsAfter: 0 });
  });

  test('a file missing in the middle is a gap in the one behind it', async () => {
    const result = await verifyAudit(files.toSpliced(1, 1), { key });
    expect(result).toMatchObject({ ok: false, defect: { kind: 'gap', file: files[2], line: 1 } });
  });

  test('files in another order are a gap', async () => {
    const [a = '', b = '', ...rest] = files;
    expect(await verifyAudit([b, a, ...rest], { key })).toMatchObject({ ok: false, defect: { kind: 'gap', file: a } });
  });

  test('a missing first file is not a defect but said', async () => {
    const result = await verifyAudit(files.slice(1), { key });
    expect(result).toMatchObject({ ok: true });
    expect(result.startsAfter).toBeGreaterThan(0);
  });

  test('lines cut from the end of a file in the middle are a gap', async () => {
    const second = files[1] ?? '';
    writeFileSync(second, `${readFileSync(second, 'utf8').split('\n').slice(0, -2).join('\n')}\n`);
    expect(await verifyAudit(files, { key })).toMatchObject({ ok: false, defect: { kind: 'gap', file: files[2] } });
  });
});

describe('a trail that was cut off by a crash', () => {
  test('at any byte of its last two lines goes on, and accounts for what was torn', async () => {
    const whole = readFileSync(file);
    const first = whole.length - (lines.at(-1)?.length ?? 0) - (lines.at(-2)?.length ?? 0) - 2;
    const goesOn = async (cut: number) => {
      const copy = join(dirname(file), `cut-${cut}`, basename(file));
      mkdirSync(dirname(copy), { mode: 0o700 });
      writeFileSync(copy, whole.subarray(0, cut), { mode: 0o600 });
      const before = await verifyAudit([copy], { key });
      const audit = await openTrail(copy);
      await audit.close();
      const after = await verifyAudit([copy], { key });
      const atEdge = whole[cut - 1] === 10 || whole[cut] === 10;
      expect({ cut, before: before.ok, torn: before.tornTailBytes > 0 }).toEqual({ cut, before: true, torn: !atEdge });
      expect({ cut, after: after.ok, torn: after.tornLines }).toEqual({ cut, after: true, torn: atEdge ? 0 : 1 });
      rmSync(dirname(copy), { recursive: true });
    };
    // Several at once: most of it is waiting for the disk.
    const cuts = Array.from({ length: whole.length - first + 1 }, (_, index) => first + index);
    while (cuts.length > 0) await Promise.all(cuts.splice(0, 16).map(goesOn));
  }, 60_000);

  test('in its very first line starts again at 1 and keeps the fragment', async () => {
    truncateSync(file, 20);
    const audit = await openTrail(file);
    await audit.close();
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, lines: 2, tornLines: 1 });
  });

  test('in the first line of a new file continues the file before it', async () => {
    copyFileSync(file, `${file}.0000000000000006`);
    truncateSync(file, 20);
    const audit = await openTrail(file);
    expect(audit.head.seq).toBe(7);
    await audit.close();
    expect(await verifyAudit(trailFiles(file), { key })).toMatchObject({ ok: true, lines: 8, tornLines: 1 });
  });

  test('a fragment that is changed or removed after it was accounted for is found', async () => {
    truncateSync(file, readFileSync(file).length - 30);
    await (await openTrail(file)).close();
    const torn = readFileSync(file, 'utf8').split('\n');
    expect((await verifyAudit([file], { key })).ok).toBe(true);
    put(torn.slice(0, -1).map((line, at) => (at === 5 ? line.replace('trail', 'Trail') : line)));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'malformed', line: 6 } });
    put(torn.slice(0, -1).toSpliced(5, 1));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: false, defect: { kind: 'malformed', line: 6 } });
  });
});

test('a file may be moved somewhere else and still verifies', async () => {
  const elsewhere = join(scratch(), 'archived');
  renameSync(file, elsewhere);
  expect((await verifyAudit([elsewhere], { key })).ok).toBe(true);
});

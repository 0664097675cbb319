import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from '@jest/globals';
import { followAudit, TrailReader } from '../../../proxy/audit/follow.ts';
import { decided, later, openTrail, scratch } from './support.ts';

let file = '';

beforeEach(() => {
  file = join(scratch(), 'audit.jsonl');
});

async function drain(reader: TrailReader): Promise<number[]> {
  const seqs: number[] = [];
  for (let lines = await reader.read(); lines.length > 0; lines = await reader.read()) {
    seqs.push(...lines.map(({ seq }) => seq));
  }
  return seqs;
}

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('a reader hands out every line once, through rotations, from where it was told to begin', async () => {
  const reader = new TrailReader(file, 0);
  later(() => reader.close());
  expect(await drain(reader)).toEqual([]);
  const audit = await openTrail(file, { rotateBytes: 2000 });
  const seen: number[] = [];
  for (let id = 1; id <= 60; id++) {
    audit.write(decided(id));
    if (id % 7 === 0) seen.push(...(await drain(reader)));
  }
  await audit.close();
  seen.push(...(await drain(reader)));
  const last = audit.head.seq;
  expect(seen).toEqual(upTo(1, last));
  const second = new TrailReader(file, 33);
  later(() => second.close());
  expect(await drain(second)).toEqual(upTo(34, last));
});

test('a file that is put aside while it is being opened costs no line', async () => {
  const audit = await openTrail(file, { rotateBytes: 600 });
  const seen: number[] = [];
  for (let id = 1; id <= 60; id++) {
    // Begun before these lines are written, and with them a rotation, finished after.
    const reader = new TrailReader(file, seen.at(-1) ?? 0);
    const reading = reader.read();
    for (const part of ['a', 'b', 'c']) audit.write(decided(`${id}${part}`));
    seen.push(...(await reading).map(({ seq }) => seq), ...(await drain(reader)));
    await reader.close();
  }
  expect(seen).toEqual(upTo(1, audit.head.seq));
});

test('a line that is not whole yet is waited for', async () => {
  const audit = await openTrail(file);
  await audit.close();
  const reader = new TrailReader(file, audit.head.seq);
  later(() => reader.close());
  appendFileSync(file, '{"seq":3,"time"');
  expect(await drain(reader)).toEqual([]);
  appendFileSync(file, ':"x"}\n');
  expect(await drain(reader)).toEqual([3]);
});

test('following gives the lines that are added and match, until it is stopped', async () => {
  const audit = await openTrail(file);
  audit.write(decided(1, { session: 'A' }));
  const stop = new AbortController();
  let waits = 0;
  const wait = async () => {
    waits += 1;
    if (waits === 1) for (const id of [2, 3]) audit.write(decided(id, { session: id === 2 ? 'B' : 'A' }));
    else stop.abort();
  };
  const found: string[] = [];
  const following = followAudit(file, { from: 2, filter: { session: 'A' }, signal: stop.signal, wait });
  for await (const line of following) found.push(JSON.parse(line).decision_id);
  expect(found).toEqual(['d.3']);
});

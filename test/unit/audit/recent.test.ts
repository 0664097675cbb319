import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Audit, openAudit } from '../../../proxy/audit/index.ts';
import { recentAudit } from '../../../proxy/audit/recent.ts';
import { systemClock } from '../../../proxy/core/clock.ts';

let directory: string;
let file: string;
let audit: Audit;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-recent-'));
  file = join(directory, 'audit.jsonl');
  audit = await openAudit({
    ...{ file, key: Buffer.alloc(32, 1), rotateBytes: 2_000, keep: 10, clock: systemClock, instance: 'i', host: 'h' },
  });
});
afterEach(async () => {
  await audit.close();
  await rm(directory, { recursive: true, force: true });
});

const decided = (n: number, members = {}) =>
  audit.write({ event: 'decided', members: '', own: { n, subject: { type: 'agent', id: 'a' }, ...members } });
const numbers = async (options = {}, filter = {}) =>
  (await recentAudit(file, { event: 'decided', ...filter }, { limit: 100, own: false, ...options })).map(({ n }) => n);

test('the last lines come first, over rotated files, and a page ends where the next begins', async () => {
  for (let n = 0; n < 40; n++) decided(n);
  expect(await numbers()).toEqual(Array.from({ length: 40 }, (_, at) => 39 - at));
  const [, second] = await recentAudit(file, { event: 'decided' }, { limit: 2, own: false });
  expect(await numbers({ limit: 2, before: Number(second?.seq) })).toEqual([37, 36]);
});

test('what the gateway asked for itself, and what does not match, is left out', async () => {
  decided(1, { effect: 'allow' });
  decided(2, { subject: { type: 'gateway', id: 'sallyport' }, effect: 'allow' });
  decided(3, { effect: 'deny' });
  audit.write({ event: 'closed', members: '', own: {} });
  expect(await numbers()).toEqual([3, 1]);
  expect(await numbers({ own: true })).toEqual([3, 2, 1]);
  expect(await numbers({}, { effect: 'deny' })).toEqual([3]);
});

test('a line that is still being written is left out, and no seal is given away', async () => {
  decided(1);
  await appendFile(file, '{"seq":99,"time":"2026');
  const [only] = await recentAudit(file, { event: 'decided' }, { limit: 9, own: false });
  expect(only).toMatchObject({ n: 1 });
  expect(only).not.toHaveProperty('mac');
});

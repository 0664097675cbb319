import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { trailFiles, verifyAudit } from '../../../proxy/audit/index.ts';
import { key, later, openTrail, scratch } from './support.ts';

const writer = join(import.meta.dirname, 'writer.ts');

/** Runs the writer until it has said so many decisions, then kills it. @returns everything it said */
async function writeAndKill(
  file: string,
  decisions: number,
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const child = spawn(process.execPath, ['--no-warnings', writer, file, 'kill'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  later(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > decisions) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
}

test('after kill -9 every decision whose write returned is in the trail, which verifies and goes on', async () => {
  const file = join(scratch(), 'audit.log');
  let expectedDecisions = 0;
  for (const decisions of [1, 700, 2_345]) {
    const lastSaid = await writeAndKill(file, decisions);
    expect(lastSaid).toBeGreaterThanOrEqual(decisions);
    expectedDecisions += lastSaid;
    const result = await verifyAudit(trailFiles(file), { key });
    expect(result).toMatchObject({ ok: true, closed: false });
    const written = trailFiles(file)
      .map((name) => readFileSync(name, 'utf8'))
      .join('');
    const decided = written.split('"event":"decided"').length - 1;
    // The one that was under way when the signal came may be there too.
    expect(decided - expectedDecisions).toBeGreaterThanOrEqual(0);
    expect(decided - expectedDecisions).toBeLessThanOrEqual(1);
    expectedDecisions = decided;
  }
  const audit = await openTrail(file);
  await audit.close();
  expect(await verifyAudit(trailFiles(file), { key })).toMatchObject({ ok: true, closed: true, startsAfter: 0 });
}, 60_000);

test('after kill -9 the public key still proves all but the lines behind the last head, and those once the trail went on', async () => {
  const file = join(scratch(), 'audit.log');
  const { privateKey: signingKey, publicKey } = generateKeyPairSync('ed25519');
  const env = { SIGNING_KEY: String(signingKey.export({ type: 'pkcs8', format: 'pem' })) };
  await writeAndKill(file, 1_500, env);
  // Rotated at 200 kB, so there is a head at the end of a file at least.
  const killed = await verifyAudit(trailFiles(file), { publicKeys: [publicKey] });
  expect(killed).toMatchObject({ ok: true, closed: false });
  expect(killed.heads).toBeGreaterThan(0);
  const audit = await openTrail(file, { signingKey });
  await audit.close();
  const continued = await verifyAudit(trailFiles(file), { publicKeys: [publicKey], key });
  expect(continued).toMatchObject({ ok: true, closed: true, unsignedLines: 0, startsAfter: 0 });
}, 60_000);

const prlimit = spawnSync('prlimit', ['--version']).status === 0;

// A write that reaches RLIMIT_FSIZE is cut short like one that fills a disk, and needs no right to mount one.
(prlimit ? test : test.skip)(
  'a write cut short by a full disk leaves whole lines, refuses, and the trail comes back',
  async () => {
    const file = join(scratch(), 'audit.log');
    const script = `ulimit -S -f 5 && exec ${process.execPath} --no-warnings ${writer} ${file} full`;
    const output: unknown = JSON.parse(execFileSync('sh', ['-c', script], { encoding: 'utf8' }));
    expect(output).toMatchObject({
      refusals: ['audit_unavailable', 'audit_unavailable', 'audit_unavailable'],
      readyWhileFull: false,
    });
    const { refusedIds, lastId } = output as { refusedIds: number[]; lastId: number };
    const written = readFileSync(file, 'utf8');
    const lines = written
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const id of refusedIds) {
      expect(lines.filter((line) => line.event === 'decided' && line.decision_id === `d.${id}`)).toEqual([]);
      expect(lines.filter((line) => line.event === 'completed' && line.decision_id === `d.${id}`)).toHaveLength(1);
    }
    expect(lines).toContainEqual(expect.objectContaining({ event: 'decided', decision_id: `d.${lastId}` }));
    expect(lines).toContainEqual(
      expect.objectContaining({
        event: 'trail_opened',
        reason: 'recovered',
        failure: 'write: EFBIG',
        refused: 3,
        lost: 0,
      }),
    );
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, closed: true, tornLines: 0 });
  },
);

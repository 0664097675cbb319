import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { run } from '../../../proxy/cli/audit.ts';
import { decided, key, openTrail, SteppedClock, scratch } from '../audit/support.ts';

let file = '';
let keyFile = '';

async function audit(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const stdout = { write: (text: string) => (out += text) };
  const stderr = { write: (text: string) => (err += text) };
  return { code: await run(args, { stdout, stderr, env: {} }), out, err };
}

beforeEach(async () => {
  const directory = scratch();
  file = join(directory, 'audit.log');
  keyFile = join(directory, 'key');
  writeFileSync(keyFile, Buffer.concat([key, Buffer.from('\n')]), { mode: 0o600 });
  const clock = new SteppedClock();
  const trail = await openTrail(file, { clock, rotateBytes: 1_200 });
  const agent = (id: string, ...onBehalfOf: string[]) => ({
    subject: {
      type: 'agent',
      issuer: 'https://idp',
      id,
      on_behalf_of: onBehalfOf.map((one) => ({ issuer: 'https://idp', id: one })),
    },
  });
  trail.write(decided(1, agent('triage-bot', 'ana')));
  clock.ms += 60_000;
  trail.write({
    event: 'decided',
    members: '"effect":"deny"',
    own: { decision_id: 'd.2', code: 'pii_range', ...agent('other-bot') },
  });
  clock.ms += 60_000;
  trail.write(decided(3, { reasons: [{ policy: 'pii', code: 'pii_masked' }], session: 'S1', ...agent('triage-bot') }));
  trail.write(decided(4, { text: 'select \u009b31m\u202e' }));
  await trail.close();
});

describe('audit verify', () => {
  test('exits with 0 when the trail holds, over all of its files', async () => {
    const { code, out } = await audit('verify', '--file', file, '--key', `file:${keyFile}`);
    expect(code).toBe(0);
    expect(out).toMatch(/^verified {6}\d+ lines in 2 file\(s\)/);
  });

  test('exits with 1 and the place when it does not', async () => {
    writeFileSync(file, readFileSync(file, 'utf8').replace('d.4', 'd.5'));
    const { code, out } = await audit('verify', '--file', file, '--key', `file:${keyFile}`);
    expect(code).toBe(1);
    expect(out).toMatch(/^NOT VERIFIED {2}.*audit\.log:\d+: .*altered/);
  });

  test('exits with 1 under another key', async () => {
    writeFileSync(keyFile, Buffer.alloc(32, 9));
    expect((await audit('verify', '--file', file, '--key', `file:${keyFile}`)).code).toBe(1);
  });

  test('exits with 1 when the expected head is not there', async () => {
    const last = JSON.parse((await audit('verify', '--json', '--file', file, '--key', `file:${keyFile}`)).out).head;
    const args = ['verify', '--file', file, '--key', `file:${keyFile}`, '--expect-hash', last.hash, '--expect-seq'];
    expect((await audit(...args, String(last.seq))).code).toBe(0);
    expect((await audit(...args, String(last.seq + 1))).code).toBe(1);
  });

  test('says when it was called wrongly', async () => {
    await expect(audit('verify', '--file', file)).rejects.toThrow(/--public-key/);
    await expect(audit('verify', '--key', 'env:X')).rejects.toThrow(/--file/);
    await expect(audit('verify', '--file', file, '--key', `file:${keyFile}`, '--expect-seq', '3')).rejects.toThrow(
      /together/,
    );
    await expect(audit('forge')).rejects.toThrow(/verify, head, tail or query/);
    await expect(audit('verify', '--file', `${file}.none`, '--key', 'env:X')).rejects.toThrow(/no trail/);
  });
});

describe('audit tail and query', () => {
  const ids = (out: string) =>
    out
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).decision_id);

  test('tail prints the last lines, also across files', async () => {
    expect(ids((await audit('tail', '--file', file, '--lines', '4')).out)).toEqual([
      'd.3',
      undefined,
      'd.4',
      undefined,
    ]);
  });

  test.each([
    [
      ['--subject', 'triage-bot'],
      ['d.1', 'd.3'],
    ],
    [['--subject', 'ana'], ['d.1']],
    [['--effect', 'deny'], ['d.2']],
    [['--code', 'pii_range'], ['d.2']],
    [['--code', 'pii_masked'], ['d.3']],
    [['--session', 'S1'], ['d.3']],
    [
      ['--event', 'decided', '--since', '2026-11-22T10:01:30+01:00'],
      ['d.3', 'd.4'],
    ],
    [['--event', 'decided', '--lines', '1'], ['d.4']],
    [['--subject', 'triage-bot', '--effect', 'deny'], []],
  ])('query %j finds %j', async (args, expected) => {
    expect(ids((await audit('query', '--file', file, ...args)).out)).toEqual(expected);
  });

  test('what an agent wrote cannot drive the terminal, and the line is still the same JSON', async () => {
    const { out } = await audit('query', '--file', file, '--event', 'decided', '--lines', '1');
    expect(out).not.toMatch(/[\u009b\u202e]/);
    expect(JSON.parse(out).text).toBe('select \u009b31m\u202e');
  });

  test('an unreadable time or count is an error', async () => {
    await expect(audit('query', '--file', file, '--since', 'yesterday')).rejects.toThrow(/--since/);
    await expect(audit('tail', '--file', file, '--lines', '0')).rejects.toThrow(/--lines/);
  });
});

describe('audit with signed heads', () => {
  let publicKey = '';
  let signed = '';

  beforeEach(async () => {
    const directory = scratch();
    signed = join(directory, 'signed.jsonl');
    publicKey = join(directory, 'public.pem');
    const pair = generateKeyPairSync('ed25519');
    writeFileSync(publicKey, pair.publicKey.export({ type: 'spki', format: 'pem' }));
    const trail = await openTrail(signed, { signingKey: pair.privateKey });
    trail.write(decided(1));
    await trail.close();
  });

  test('verify needs the public key alone, and holds the trail against a head that was kept', async () => {
    const kept = `${signed}.head`;
    writeFileSync(kept, (await audit('head', '--file', signed)).out);
    const args = ['verify', '--file', signed, '--public-key', publicKey, '--head', kept];
    const { code, out } = await audit(...args);
    expect(out).toMatch(/signed {8}1 head\(s\); behind the last of them 0 line\(s\)/);
    expect(code).toBe(0);
    const lines = readFileSync(signed, 'utf8').split('\n');
    writeFileSync(signed, `${lines.slice(0, 2).join('\n')}\n`);
    expect((await audit(...args)).out).toMatch(/head_missing/);
  });

  test('a kept head that nobody signed is no proof', async () => {
    const kept = `${signed}.head`;
    writeFileSync(kept, (await audit('head', '--file', signed)).out.replace('"seq":3', '"seq":2'));
    await expect(audit('verify', '--file', signed, '--public-key', publicKey, '--head', kept)).rejects.toThrow(
      /none of the public keys/,
    );
  });

  test('a trail that nobody signs has no head to keep', async () => {
    await expect(audit('head', '--file', file)).rejects.toThrow(/signing_key/);
  });
});

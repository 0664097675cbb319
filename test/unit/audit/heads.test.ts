import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { parseHead } from '../../../proxy/audit/head.ts';
import { readPublicKey, readSigningKey, trailFiles, verifyAudit } from '../../../proxy/audit/index.ts';
import { lineStart, serialiseEvent } from '../../../proxy/audit/line.ts';
import { genesisHash, Sealer } from '../../../proxy/audit/seal.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { decided, key, openTrail, SteppedClock, scratch } from './support.ts';

const { privateKey: signingKey, publicKey } = generateKeyPairSync('ed25519');
const publicKeys = [publicKey];

let file = '';

beforeEach(() => {
  file = join(scratch(), 'audit.jsonl');
});

const parsed = () =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

/** Seals the lines anew, as somebody could who has stolen the key that seals them. */
function reseal(lines: readonly string[]): void {
  const sealer = new Sealer(key, 4096);
  const target = Buffer.alloc(8192);
  let previous = genesisHash;
  const sealed = lines.map((line, index) => {
    const { seq: _seq, time, event, hash: _hash, mac: _mac, ...own } = JSON.parse(line);
    if (own.previous !== undefined && index === 0) own.previous = { seq: 0, hash: genesisHash };
    const entry = serialiseEvent({ event, members: '', own }, time, 4096);
    previous = sealer.seal(previous, lineStart(index + 1, entry), entry, target, 0);
    return target.toString('utf8', 0, sealer.lastBytes);
  });
  writeFileSync(file, sealed.join(''));
}

async function closedTrail(count: number): Promise<string[]> {
  const audit = await openTrail(file, { signingKey });
  for (let id = 1; id <= count; id++) audit.write(decided(id));
  await audit.close();
  return readFileSync(file, 'utf8').split('\n').slice(0, -1);
}

describe('signed heads', () => {
  test('the last line of a closed trail is a head that covers all before it, and the public key alone verifies them', async () => {
    await closedTrail(3);
    const lines = parsed();
    expect(lines.map(({ event }) => event)).toEqual([
      'trail_opened',
      'decided',
      'decided',
      'decided',
      'trail_closed',
      'head',
    ]);
    expect(parseHead(lines[5])).toMatchObject({ seq: 5, hash: lines[4].hash, file: 'audit.jsonl' });
    expect(await verifyAudit([file], { publicKeys })).toMatchObject({
      ok: true,
      closed: true,
      heads: 1,
      unsignedLines: 0,
    });
  });

  test('are written when lines have waited long enough, and not for a trail that rests', async () => {
    jest.useFakeTimers();
    try {
      const clock = new SteppedClock();
      const audit = await openTrail(file, { signingKey, clock });
      const heads = () => parsed().filter(({ event }) => event === 'head').length;
      audit.write(decided(1));
      jest.advanceTimersByTime(limits.auditTickMs);
      expect(heads()).toBe(0);
      clock.ms += limits.auditHeadMs;
      jest.advanceTimersByTime(limits.auditTickMs);
      expect(heads()).toBe(1);
      clock.ms += 10 * limits.auditHeadMs;
      jest.advanceTimersByTime(10 * limits.auditTickMs);
      expect(heads()).toBe(1);
      for (let id = 0; id < limits.auditHeadEventsMax; id++) audit.write(decided(id));
      jest.advanceTimersByTime(limits.auditTickMs);
      expect(heads()).toBe(2);
    } finally {
      jest.useRealTimers();
    }
  });

  test('end each file, so that every one can be verified by itself', async () => {
    const audit = await openTrail(file, { signingKey, rotateBytes: 1500 });
    for (let id = 1; id <= 12; id++) audit.write(decided(id));
    await audit.close();
    const files = trailFiles(file);
    expect(files.length).toBeGreaterThan(2);
    for (const one of files)
      expect(await verifyAudit([one], { publicKeys })).toMatchObject({ ok: true, unsignedLines: 0 });
    expect(await verifyAudit(files, { publicKeys, key })).toMatchObject({ ok: true, startsAfter: 0 });
  });

  test('say how many lines stand behind the last of them', async () => {
    const lines = await closedTrail(2);
    const audit = await openTrail(file, { signingKey });
    audit.write(decided(9));
    expect(await verifyAudit([file], { publicKeys })).toMatchObject({ ok: true, closed: false, unsignedLines: 2 });
    expect(parsed()).toHaveLength(lines.length + 2);
  });

  test('a trail without a signing key has none, and does not verify with a public key', async () => {
    const audit = await openTrail(file);
    audit.write(decided(1));
    await audit.close();
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true, heads: 0 });
    expect(await verifyAudit([file], { publicKeys })).toMatchObject({ ok: false, defect: { kind: 'unsigned' } });
  });
});

describe('somebody who has the key that seals lines, but not the one that signs heads', () => {
  test('cannot change a line that a head covers', async () => {
    const lines = await closedTrail(4);
    reseal(lines.map((line) => line.replace('d.2', 'd.7')));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true });
    expect(await verifyAudit([file], { publicKeys })).toMatchObject({
      ok: false,
      defect: { kind: 'forged_head', line: 7 },
    });
  });

  test('cannot take one out, nor put one in', async () => {
    const lines = await closedTrail(4);
    reseal(lines.toSpliced(2, 1));
    expect(await verifyAudit([file], { publicKeys })).toMatchObject({ defect: { kind: 'forged_head' } });
    reseal(lines.toSpliced(2, 0, lines[2] ?? ''));
    expect(await verifyAudit([file], { publicKeys })).toMatchObject({ defect: { kind: 'forged_head' } });
  });

  test('cannot leave all heads out', async () => {
    const lines = await closedTrail(4);
    reseal(lines.filter((line) => !line.includes('"event":"head"')));
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true });
    expect(await verifyAudit([file], { publicKeys })).toMatchObject({ defect: { kind: 'unsigned' } });
  });

  test('cannot sign with a key of their own', async () => {
    const { privateKey: forged } = generateKeyPairSync('ed25519');
    const audit = await openTrail(file, { signingKey: forged });
    audit.write(decided(1));
    await audit.close();
    expect(await verifyAudit([file], { publicKeys })).toMatchObject({ defect: { kind: 'forged_head' } });
  });

  test('cannot cut the end off where somebody kept the last head', async () => {
    const lines = await closedTrail(4);
    const expected = parseHead(JSON.parse(lines.at(-1) ?? ''));
    expect(await verifyAudit([file], { publicKeys, expected })).toMatchObject({ ok: true });
    const earlier = await openTrail(file, { signingKey });
    await earlier.close();
    expect(await verifyAudit([file], { publicKeys, expected })).toMatchObject({ ok: true });
    writeFileSync(file, `${lines.slice(0, 4).join('\n')}\n`);
    expect(await verifyAudit([file], { key })).toMatchObject({ ok: true });
    expect(await verifyAudit([file], { key, expected })).toMatchObject({ ok: false, defect: { kind: 'head_missing' } });
  });
});

test('without any key what was changed by accident shows all the same', async () => {
  const lines = await closedTrail(2);
  writeFileSync(file, `${lines.join('\n').replace('d.1', 'd.3')}\n`);
  expect(await verifyAudit([file], {})).toMatchObject({ ok: false, defect: { kind: 'altered', line: 2 } });
});

test('a key of another kind signs and verifies nothing', () => {
  const pem = (one: KeyObject, type: 'pkcs8' | 'spki') => String(one.export({ type, format: 'pem' }));
  expect(readSigningKey(pem(signingKey, 'pkcs8')).equals(signingKey)).toBe(true);
  expect(readPublicKey(pem(publicKey, 'spki')).equals(publicKey)).toBe(true);
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  expect(() => readSigningKey(pem(other.privateKey, 'pkcs8'))).toThrow(/not of Ed25519/);
  expect(() => readPublicKey(pem(other.publicKey, 'spki'))).toThrow(/not of Ed25519/);
  expect(() => readSigningKey('none')).toThrow(/no private key in PEM/);
});

import { createHash, createHmac, randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { lineStart, parseLine, serialiseEvent } from '../../../proxy/audit/line.ts';
import { checkKey, expectedHash, expectedMac, genesisHash, keyId, Sealer } from '../../../proxy/audit/seal.ts';

function sealOnce(key: Uint8Array, members: string): { line: Buffer; hash: string } {
  const target = Buffer.alloc(4096);
  const sealer = new Sealer(key, 2048);
  const entry = serialiseEvent({ event: 'decided', members, own: { n: 1 } }, '2026-01-01T00:00:00.000Z', 2048);
  const hash = sealer.seal(genesisHash, lineStart(1, entry), entry, target, 10);
  return { line: target.subarray(10, 10 + sealer.lastBytes), hash };
}

test.each([32, 63, 64, 65, 200])('a seal under a key of %d bytes is the HMAC-SHA256 of node:crypto', (bytes) => {
  const key = randomBytes(bytes);
  const { line, hash } = sealOnce(key, '"text":"Zürich €𝄞"');
  const open = line.subarray(0, line.indexOf(',"hash":"'));
  const mac = createHmac('sha256', key).update(hash).digest('hex');
  expect(hash).toBe(createHash('sha256').update(genesisHash).update(open).digest('hex'));
  expect(line.toString()).toMatch(new RegExp(`"hash":"${hash}","mac":"${mac}"}\n$`));
  expect([expectedHash(genesisHash, open), expectedMac(key, hash)]).toEqual([hash, mac]);
});

test('a sealed line is one line of JSON that parses back to what went in', () => {
  const { line, hash } = sealOnce(Buffer.alloc(32), '"text":"a\\nb","list":[1]');
  expect(line.indexOf(10)).toBe(line.length - 1);
  expect(JSON.parse(line.toString())).toEqual({
    seq: 1,
    time: '2026-01-01T00:00:00.000Z',
    event: 'decided',
    text: 'a\nb',
    list: [1],
    n: 1,
    hash,
    mac: expect.any(String),
  });
  expect(parseLine(line.subarray(0, -1))).toMatchObject({ seq: 1, event: 'decided', hash });
});

test('a sealer that is used again carries nothing over from a longer line', () => {
  const sealer = new Sealer(Buffer.alloc(32, 1), 2048);
  const target = Buffer.alloc(4096);
  const entryOf = (text: string) =>
    serialiseEvent({ event: 'decided', members: '', own: { text } }, '2026-01-01T00:00:00.000Z', 2048);
  const short = entryOf('b');
  const alone = new Sealer(Buffer.alloc(32, 1), 2048).seal(genesisHash, lineStart(2, short), short, target, 0);
  const long = entryOf('a'.repeat(500));
  sealer.seal(genesisHash, lineStart(1, long), long, target, 0);
  expect(sealer.seal(genesisHash, lineStart(2, short), short, target, 0)).toBe(alone);
});

test('a key id tells keys apart and is not part of the key', () => {
  const key = Buffer.from('0123456789abcdef0123456789abcdef');
  expect(keyId(key)).toMatch(/^[0-9a-f]{16}$/);
  expect(keyId(key)).not.toBe(keyId(Buffer.alloc(32, 1)));
  expect(key.toString('hex')).not.toContain(keyId(key));
});

test('a key of fewer than 32 bytes is refused', () => {
  expect(() => checkKey(Buffer.alloc(31))).toThrow(/31 bytes/);
  expect(() => checkKey(Buffer.alloc(32))).not.toThrow();
});

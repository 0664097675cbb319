import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import type { Identity } from '../../../../proxy/core/types.ts';
import { parseCertificate } from '../../../../proxy/protocols/ssh/certificate.ts';
import { type IssueRequest, issueCertificate } from '../../../../proxy/protocols/ssh/issue.ts';
import { IssuedKeys } from '../../../../proxy/protocols/ssh/issued-keys.ts';
import { publicKeyOf } from '../../../../proxy/protocols/ssh/private-key.ts';
import { fingerprint, parsePublicKeyLine, publicKeyLine } from '../../../../proxy/protocols/ssh/public-key.ts';
import { wireString } from '../../../../proxy/protocols/ssh/wire.ts';

const authority = generateKeyPairSync('ed25519').privateKey;
let nowMs = Date.UTC(2026, 10, 27, 12);
const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };

const identity = (): Identity => ({
  ...{ type: 'agent', issuer: 'https://idp.example', id: 'triage-bot', groups: [], claims: {}, chain: [] },
  expiresAtMs: nowMs + 300_000,
});

function newKey() {
  const { blob } = publicKeyOf(generateKeyPairSync('ed25519').privateKey);
  return { blob, line: publicKeyLine('ssh-ed25519', blob, 'an agent’s key') };
}

function issue(overrides: Partial<IssueRequest> = {}) {
  return issueCertificate({
    ...{ identity: identity(), token: 'a.b.c', publicKeyLine: newKey().line, authority, principals: ['web'] },
    ...{ lifetimeSeconds: 900, issued: new IssuedKeys(clock), clock, random: randomBytes },
    ...overrides,
  });
}

describe('a token and a key', () => {
  test('are exchanged for a certificate of that key, on one line', () => {
    const key = newKey(); // with a comment beyond ASCII, as bytes
    const result = issue({ publicKeyLine: `${Buffer.from(key.line).toString('latin1')}\r` });
    const line = 'line' in result ? result.line : '';
    expect(line).toMatch(/^ssh-ed25519-cert-v01@openssh\.com \S+ https:\/\/idp\.example#triage-bot$/);
    expect(result).toMatchObject({ key: fingerprint(key.blob), expiresAtMs: nowMs + 300_000 });
    const parsed = parseCertificate(Buffer.from(line.split(' ')[1] ?? '', 'base64'));
    expect(parsed).toHaveProperty('certificate.publicKey.blob', key.blob);
  });

  test('are exchanged again when both are the same', () => {
    const issued = new IssuedKeys(clock);
    const publicKeyLine = newKey().line;
    expect(issue({ issued, publicKeyLine })).toHaveProperty('line');
    expect(issue({ issued, publicKeyLine })).toHaveProperty('line');
  });
});

describe('a token that was exchanged', () => {
  const refused = { fault: { code: 'credential_invalid', message: expect.stringMatching(/already exchanged/) } };

  test('is worth nothing with another key', () => {
    const issued = new IssuedKeys(clock);
    issue({ issued });
    expect(issue({ issued })).toEqual(refused);
    expect(issue({ issued, token: 'a.z.c' })).toHaveProperty('line');
  });

  test('is recognised with its signature written otherwise', () => {
    const issued = new IssuedKeys(clock);
    issue({ issued, token: 'header.payload.signaturA' });
    expect(issue({ issued, token: 'header.payload.signaturB' })).toEqual(refused);
  });

  test('is not bound by an exchange that failed', () => {
    const issued = new IssuedKeys(clock);
    expect(issue({ issued, principals: [''] })).toHaveProperty('fault');
    expect(issue({ issued, publicKeyLine: 'x' })).toHaveProperty('fault');
    expect(issue({ issued })).toHaveProperty('line');
  });

  test('is known to be, until it expires: then it is no password any more', () => {
    const issued = new IssuedKeys(clock);
    expect(issued.isBound('a.b.c')).toBe(false);
    issue({ issued, identity: { ...identity(), expiresAtMs: nowMs + 60_000 } });
    expect([issued.isBound('a.b.c'), issued.isBound('a.b.d'), issued.isBound('a.z.c')]).toEqual([true, true, false]);
    nowMs += 60_000;
    expect(issued.isBound('a.b.c')).toBe(false);
  });

  test('is remembered until it expires, and no longer', () => {
    const issued = new IssuedKeys(clock);
    const [first, second] = [newKey().blob, newKey().blob];
    const endMs = nowMs + 60_000;
    expect(issued.bind('a.b.c', first, endMs)).toBeUndefined();
    nowMs = endMs - 1;
    expect(issued.bind('a.b.c', second, endMs)).toMatchObject({ code: 'credential_invalid' });
    nowMs = endMs;
    expect(issued.bind('a.b.c', second, endMs + 1)).toBeUndefined();
  });

  test('is never forgotten for another: with too many of them nothing is exchanged until one expires', () => {
    const issued = new IssuedKeys(clock);
    const key = Buffer.from('a key');
    const startMs = nowMs;
    for (let index = 0; index < limits.sshExchangedTokensMax; index++) {
      const endMs = startMs + 60_000 + (index === 7 ? 0 : 60_000);
      expect(issued.bind(`${index}.b.c`, key, endMs)).toBeUndefined();
    }
    expect(issued.bind('new.b.c', key, startMs + 120_000)).toMatchObject({ code: 'limit_reached' });
    expect(issued.bind('0.b.c', key, startMs + 120_000)).toBeUndefined();
    expect(issued.bind('0.b.c', Buffer.from('other'), startMs + 120_000)).toMatchObject({ code: 'credential_invalid' });
    nowMs = startMs + 60_000;
    expect(issued.bind('new.b.c', key, startMs + 120_000)).toBeUndefined();
    expect(issued.bind('newer.b.c', key, startMs + 120_000)).toMatchObject({ code: 'limit_reached' });
  });
});

test.each([
  ['nothing', () => ''],
  ['two lines', () => `${newKey().line}\n${newKey().line}\n`],
  ['a key that is not Ed25519', ecdsaLine],
  ['a certificate', certificateLine],
  ['options before it', () => `no-pty ${newKey().line}`],
  ['more than a line may have', () => `${newKey().line}${'x'.repeat(8 * 1024)}`],
])('a public key line with %s is refused', (_, line) => {
  expect(issue({ publicKeyLine: line() })).toHaveProperty('fault.code', 'operation_malformed');
});

function ecdsaLine(): string {
  const { x = '', y = '' } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  const blob = Buffer.concat(['ecdsa-sha2-nistp256', 'nistp256', point].map((value) => wireString(value)));
  const line = publicKeyLine('ecdsa-sha2-nistp256', blob);
  expect(parsePublicKeyLine(line)).toBeDefined();
  return line;
}

function certificateLine(): string {
  const result = issue();
  return 'line' in result ? result.line : '';
}

test('a token that expires meanwhile is refused', () => {
  expect(issue({ identity: { ...identity(), expiresAtMs: nowMs } })).toHaveProperty('fault.code', 'credential_expired');
});

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { Identity } from '../../../../proxy/core/types.ts';
import { parseCertificate } from '../../../../proxy/protocols/ssh/certificate.ts';
import {
  certifyIdentity,
  type IdentityCertificateRequest,
  identityFromCertificate,
  identityOption,
} from '../../../../proxy/protocols/ssh/identity-certificate.ts';
import { publicKeyOf } from '../../../../proxy/protocols/ssh/private-key.ts';
import { signCertificate } from '../../../../proxy/protocols/ssh/sign-certificate.ts';
import { wireString } from '../../../../proxy/protocols/ssh/wire.ts';

const authority = generateKeyPairSync('ed25519').privateKey;
const agent = publicKeyOf(generateKeyPairSync('ed25519').privateKey);
const nowMs = Date.UTC(2026, 10, 27, 12);

const identity: Identity = {
  type: 'agent',
  issuer: 'https://idp.example',
  id: 'triage-bot',
  groups: ['support', 'on, call'],
  claims: { scope: 'ssh', nested: { list: [1, 'two', null, true, { deep: '\u0085\ud800' }] }, 7: 'digits come first' },
  chain: [{ issuer: 'https://idp.example', id: 'ana@example.org', groups: ['data'] }],
  expiresAtMs: nowMs + 300_500,
};

function certify(overrides: Partial<IdentityCertificateRequest> = {}) {
  return certifyIdentity({
    ...{ identity, publicKey: agent, authority, principals: ['web', 'db'], nowMs, lifetimeSeconds: 900 },
    random: randomBytes,
    ...overrides,
  });
}

const expected = { authority: publicKeyOf(authority).blob, principal: 'web', nowMs };

function parsed(blob: Buffer | undefined) {
  const result = parseCertificate(blob ?? Buffer.alloc(0));
  if ('fault' in result) throw new Error(result.fault.message);
  return result.certificate;
}

function certified(overrides: Partial<IdentityCertificateRequest> = {}) {
  const result = certify(overrides);
  if ('fault' in result) throw new Error(result.fault.message);
  return parsed(result.blob);
}

/** What is read from a certificate of the authority that carries this text, or these options. */
function read(text: string | Buffer, more: { options?: [string, Buffer][]; extensions?: [string, Buffer][] } = {}) {
  const blob = signCertificate(authority, {
    ...{ type: 'user', publicKey: agent, serial: 1n, keyId: 'x', principals: ['web'], nonce: randomBytes(32) },
    ...{ validAfter: 0n, validBefore: BigInt(nowMs / 1000 + 60) },
    criticalOptions: new Map([[identityOption, wireString(text)], ...(more.options ?? [])]),
    extensions: new Map(more.extensions),
  });
  return identityFromCertificate(parsed(blob), expected);
}

describe('a certified identity', () => {
  test('comes back as it was, but for its end, which is the certificate’s', () => {
    const result = identityFromCertificate(certified(), expected);
    expect(result).toEqual({ identity: { ...identity, expiresAtMs: nowMs + 300_000 } });
  });

  test('ends with the token when that is earlier, else after its lifetime', () => {
    expect(certified().validBefore).toBe(BigInt(nowMs / 1000 + 300));
    expect(certified({ lifetimeSeconds: 60 }).validBefore).toBe(BigInt(nowMs / 1000 + 60));
    const long = { ...identity, expiresAtMs: nowMs + 24 * 3600_000 };
    expect(certified({ identity: long, lifetimeSeconds: 24 * 3600 }).validBefore).toBe(BigInt(nowMs / 1000 + 3_600));
  });

  test('begins a little earlier, for clocks that are behind', () => {
    expect(certified().validAfter).toBe(BigInt(nowMs / 1000 - 60));
  });

  test('is good for the upstreams of its listener, permits nothing and says in its key id who it is', () => {
    const { principals, extensions, keyId } = certified();
    expect(principals).toEqual(['web', 'db']);
    expect(extensions.size).toBe(0);
    expect(keyId).toBe('https://idp.example#triage-bot');
  });

  test('has a serial number of its own each time', () => {
    expect(certified().serial).not.toBe(certified().serial);
    expect(certified({ random: (size) => Buffer.alloc(size, 1) }).serial).toBe(0x0101_0101_0101_0101n);
  });

  test('cannot be changed by whoever reads it', () => {
    const result = identityFromCertificate(certified(), expected);
    const found = 'identity' in result ? result.identity : undefined;
    const parts = [found, found?.groups, found?.claims, found?.claims.nested, found?.chain, found?.chain[0]?.groups];
    expect(parts.map(Object.isFrozen)).toEqual(Array(6).fill(true));
  });

  test('whose claims have a member called __proto__ keeps it a claim', () => {
    const claims = JSON.parse('{"__proto__":{"admin":true}}');
    const result = identityFromCertificate(certified({ identity: { ...identity, claims } }), expected);
    expect('identity' in result && Object.keys(result.identity.claims)).toEqual(['__proto__']);
  });
});

test('an identity is not taken from another authority, for another upstream, or too late', () => {
  const certificate = certified();
  const stranger = publicKeyOf(generateKeyPairSync('ed25519').privateKey).blob;
  const faults = [{ authority: stranger }, { principal: 'web,db' }, { nowMs: nowMs + 300_000 }].map((other) =>
    identityFromCertificate(certificate, { ...expected, ...other }),
  );
  expect(faults).toEqual([
    { fault: expect.objectContaining({ code: 'credential_invalid' }) },
    { fault: expect.objectContaining({ code: 'credential_invalid' }) },
    { fault: expect.objectContaining({ code: 'credential_expired' }) },
  ]);
});

describe('an identity is not certified', () => {
  test('when nothing is left of its token’s life', () => {
    for (const expiresAtMs of [0, nowMs - 1, nowMs, nowMs + 999, Number.NaN]) {
      const result = certify({ identity: { ...identity, expiresAtMs }, nowMs: nowMs + 1 });
      expect(result).toHaveProperty('fault.code', 'credential_expired');
    }
  });

  test('when it does not fit into a certificate', () => {
    const claims = { long: 'x'.repeat(16 * 1024) };
    expect(certify({ identity: { ...identity, claims } })).toHaveProperty('fault.code', 'limit_reached');
    const principals = Array.from({ length: 257 }, (_, index) => `host${index}`);
    expect(certify({ principals })).toHaveProperty('fault.code', 'limit_reached');
  });

  test('when it is the gateway’s own, or never ends', () => {
    for (const expiresAtMs of [identity.expiresAtMs, Number.POSITIVE_INFINITY]) {
      expect(certify({ identity: { ...identity, type: 'gateway', expiresAtMs } })).toHaveProperty('fault');
    }
    expect(certify({ identity: { ...identity, expiresAtMs: Number.POSITIVE_INFINITY } })).toHaveProperty('fault');
  });
});

describe('an identity is read only as it is written', () => {
  const member = { issuer: 'https://idp.example', id: 'a', groups: [], claims: {}, chain: [] };
  const good = { ...member, token_expires_at_ms: nowMs + 60_000 };
  const text = JSON.stringify(good);
  const refused = { fault: { code: 'credential_invalid', message: 'The certificate does not carry an identity.' } };

  test('which this one is', () => {
    expect(read(text)).toHaveProperty('identity.id', 'a');
  });

  test.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['another value', '[]'],
    ['null', 'null'],
    ['a member missing', JSON.stringify(member)],
    ['an unknown member', JSON.stringify({ ...good, admin: true })],
    ['a type, which is not for it to say', JSON.stringify({ type: 'gateway', ...good })],
    ['a member twice', text.replace('"id":"a"', '"id":"b","id":"a"')],
    ['members in another order', JSON.stringify(Object.fromEntries(Object.entries(good).toReversed()))],
    ['blanks', JSON.stringify(good, undefined, 1)],
    ['escapes that need not be', text.replace('"a"', '"\\u0061"')],
    ['an id that is no text', JSON.stringify({ ...good, id: 7 })],
    ['an id with a control character', JSON.stringify({ ...good, id: 'a\n' })],
    ['an empty issuer', JSON.stringify({ ...good, issuer: '' })],
    ['a name that is too long', JSON.stringify({ ...good, id: 'a'.repeat(513) })],
    ['groups that are no list', JSON.stringify({ ...good, groups: 'support' })],
    ['a group that is no text', JSON.stringify({ ...good, groups: [null] })],
    ['too many groups', JSON.stringify({ ...good, groups: Array(513).fill('g') })],
    ['claims that are a list', JSON.stringify({ ...good, claims: [] })],
    ['claims that are nested too deeply', JSON.stringify({ ...good, claims: JSON.parse(nested(20)) })],
    ['too many claims', JSON.stringify({ ...good, claims: { many: Array(1_001).fill(1) } })],
    ['a chain of something else', JSON.stringify({ ...good, chain: ['ana'] })],
    ['a chain with unknown members', JSON.stringify({ ...good, chain: [{ ...member }] })],
    [
      'a chain that is too long',
      JSON.stringify({ ...good, chain: Array(10).fill({ issuer: 'i', id: 'a', groups: [] }) }),
    ],
    ['an end that is no number', JSON.stringify({ ...good, token_expires_at_ms: null })],
    ['an end that is no whole number', JSON.stringify({ ...good, token_expires_at_ms: nowMs + 60_000.5 })],
    ['an end without end', text.replace(String(nowMs + 60_000), '1e999')],
    ['an end before that of the certificate', JSON.stringify({ ...good, token_expires_at_ms: nowMs + 59_999 })],
    ['bytes that are not UTF-8', Buffer.from(text.replace('"a"', '"\xff"'), 'latin1')],
    ['more bytes than it may have', JSON.stringify({ ...good, claims: { long: 'x'.repeat(16 * 1024) } })],
  ])('and not with %s', (_, wrong) => {
    expect(read(wrong)).toEqual(refused);
  });

  test('and not next to another option or an extension', () => {
    const beside = read(text, { options: [['force-command', wireString('ls')]] });
    expect(beside).toHaveProperty('fault.code', 'credential_invalid');
    expect(read(text, { extensions: [['permit-pty', Buffer.alloc(0)]] })).toEqual(refused);
  });

  test('and not where the option is missing, or has more than one string in it', () => {
    expect(read(text, { options: [[identityOption, Buffer.alloc(0)]] })).toEqual(refused);
    const twice = Buffer.concat([wireString(text), wireString(text)]);
    expect(read(text, { options: [[identityOption, twice]] })).toEqual(refused);
  });
});

function nested(depth: number): string {
  return `{"a":${depth === 0 ? '1' : nested(depth - 1)}}`;
}

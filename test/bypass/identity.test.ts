/** Ways to be somebody else. Each of them worked against some gateway once. */
import { createPublicKey, generateKeyPairSync, type JsonWebKey, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { CompactEncrypt, decodeJwt, type JWK } from 'jose';
import { limits } from '../../proxy/core/limits.ts';
import { type Oidc, startOidc } from '../support/oidc.ts';
import {
  anotherOidc,
  closeIdentities,
  forge,
  goodClaims,
  hs256,
  identityFor,
  rs256,
  without,
} from '../unit/identity/fixture.ts';

let oidc: Oidc;
let key: JWK;
beforeAll(async () => {
  oidc = await startOidc();
  key = oidc.keys[0] ?? {};
});
afterEach(closeIdentities);
afterAll(() => oidc.stop());

const publicKey = () => createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
const header = (more: object = {}) => ({ alg: 'RS256', typ: 'at+jwt', kid: key.kid, ...more });
const invalid = { code: 'credential_invalid' };

test('the forge makes tokens that are accepted when nothing is wrong with them', async () => {
  const { accept } = await identityFor(oidc);
  expect((await accept(forge(header(), goodClaims(oidc), rs256(key)))).id).toBe('triage-bot');
});

describe('the algorithm', () => {
  test.each(['none', 'None', 'NONE', 'nOnE', ''])('%p is refused, signed or not', async (alg) => {
    const { refuse } = await identityFor(oidc);
    expect(await refuse(forge(header({ alg }), goodClaims(oidc), () => ''))).toMatchObject(invalid);
    expect(await refuse(forge(header({ alg }), goodClaims(oidc), rs256(key)))).toMatchObject(invalid);
  });

  test('HS256 with the public key as the secret is refused, in every encoding of that key', async () => {
    const { refuse } = await identityFor(oidc);
    const secrets = [
      publicKey().export({ type: 'spki', format: 'pem' }),
      publicKey().export({ type: 'pkcs1', format: 'pem' }),
      publicKey().export({ type: 'spki', format: 'der' }),
      JSON.stringify(publicKey().export({ format: 'jwk' })),
      Buffer.from(key.n ?? '', 'base64url'),
      '',
    ];
    for (const secret of secrets) {
      expect(await refuse(forge(header({ alg: 'HS256' }), goodClaims(oidc), hs256(secret)))).toMatchObject(invalid);
    }
  });

  test('one that the issuer could use but was not allowed is refused', async () => {
    const { refuse } = await identityFor(oidc, { algorithms: ['ES256'] });
    expect(await refuse(await oidc.token({ subject: 'triage-bot' }))).toMatchObject({
      ...invalid,
      message: 'The token’s algorithm is not allowed.',
    });
  });

  test('a key is not used with an algorithm of another kind', async () => {
    const { refuse } = await identityFor(oidc);
    expect(await refuse(forge(header({ alg: 'ES256' }), goodClaims(oidc), rs256(key)))).toMatchObject(invalid);
    expect(await refuse(forge(header({ alg: 'EdDSA' }), goodClaims(oidc), rs256(key)))).toMatchObject(invalid);
  });

  test('an ECDSA signature of zeros is refused', async () => {
    const { refuse } = await identityFor(oidc);
    const { kid } = oidc.keys.find(({ alg }) => alg === 'ES256') ?? {};
    const zeros = forge(header({ alg: 'ES256', kid }), goodClaims(oidc), () => Buffer.alloc(64));
    expect(await refuse(zeros)).toMatchObject(invalid);
  });
});

describe('the key', () => {
  const mine = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const myPublic = mine.publicKey.export({ format: 'jwk' });
  const bySelf = (input: Buffer) => sign('sha256', input, mine.privateKey);

  test('an attacker’s own is refused under the issuer’s key id', async () => {
    const { refuse } = await identityFor(oidc);
    expect(await refuse(forge(header(), goodClaims(oidc), bySelf))).toMatchObject(invalid);
  });

  test('one that comes in the header (jwk, x5c) is not looked at', async () => {
    const { refuse } = await identityFor(oidc);
    const der = mine.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    for (const brought of [{ jwk: myPublic }, { jwk: myPublic, kid: undefined }, { x5c: [der] }]) {
      expect(await refuse(forge(header(brought), goodClaims(oidc), bySelf))).toMatchObject(invalid);
    }
  });

  test('one that the header points to (jku, x5u) is not fetched', async () => {
    const { refuse, clock } = await identityFor(oidc);
    clock.aheadMs = limits.jwksCooldownMs;
    let asked = 0;
    const server = createServer((_request, response) => {
      asked++;
      response.end(JSON.stringify({ keys: [{ ...myPublic, kid: 'mine', alg: 'RS256' }] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    for (const pointer of [{ jku: url }, { x5u: url }]) {
      expect(await refuse(forge(header({ ...pointer, kid: 'mine' }), goodClaims(oidc), bySelf))).toMatchObject(invalid);
    }
    server.close();
    expect(asked).toBe(0);
  });

  test.each([
    '../../../../dev/null',
    '/dev/null',
    "x' UNION SELECT 'secret",
    '',
    '__proto__',
    'constructor',
    7,
    null,
    ['a'],
  ])('the key id %p leads nowhere', async (kid) => {
    const { refuse } = await identityFor(oidc);
    for (const secret of ['', 'secret']) {
      expect(await refuse(forge(header({ alg: 'HS256', kid }), goodClaims(oidc), hs256(secret)))).toMatchObject(
        invalid,
      );
    }
    expect(await refuse(forge(header({ kid }), goodClaims(oidc), bySelf))).toMatchObject(invalid);
  });

  test('of one trusted issuer does not sign for another', async () => {
    const other = await anotherOidc();
    const { refuse, accept } = await identityFor([oidc, other]);
    expect(await refuse(await other.sign({ ...goodClaims(oidc) }))).toMatchObject(invalid);
    expect((await accept(await other.sign(goodClaims(other)))).issuer).toBe(other.issuer);
  });

  test('that was withdrawn verifies nothing', async () => {
    const rotating = await anotherOidc();
    const { accept, refuse, clock } = await identityFor(rotating);
    const token = await rotating.token({ subject: 'triage-bot' });
    await accept(token);
    await rotating.rotateKeys();
    clock.aheadMs = limits.jwksCooldownMs;
    await accept(await rotating.token({ subject: 'triage-bot' }));
    expect(await refuse(token)).toMatchObject(invalid);
  });

  test('an unknown one, asked for again and again, does not make the gateway hammer the issuer', async () => {
    const victim = await anotherOidc();
    const { refuse, clock } = await identityFor(victim);
    clock.aheadMs = limits.jwksCooldownMs;
    for (let number = 0; number < 50; number++) {
      expect(await refuse(forge(header({ kid: `k${number}` }), goodClaims(victim), bySelf))).toMatchObject(invalid);
    }
    expect(victim.requests('/jwks')).toBe(2);
  });
});

describe('the header', () => {
  test.each([
    ['an extension nobody knows', { crit: ['exp2'], exp2: 1 }],
    ['b64 turned off', { crit: ['b64'], b64: false }],
    ['an empty list', { crit: [] }],
    ['something that is no list', { crit: 'exp' }],
    ['a name that is not there', { crit: ['absent'] }],
  ])('with crit naming %s is refused', async (_what, more) => {
    const { refuse } = await identityFor(oidc);
    expect(await refuse(forge(header(more), goodClaims(oidc), rs256(key)))).toMatchObject(invalid);
  });

  test.each(['JWT', 'id+jwt', 'logout+jwt', 'dpop+jwt', 'token-introspection+jwt', 'at+jwt2', '', undefined])(
    'of type %p is not an access token',
    async (typ) => {
      const { refuse } = await identityFor(oidc);
      expect(await refuse(forge(header({ typ }), goodClaims(oidc), rs256(key)))).toMatchObject(invalid);
    },
  );

  test.each(['id+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'at+jwt2'])(
    'of type %p is refused even where types are not demanded',
    async (typ) => {
      const { refuse } = await identityFor(oidc, { typ: 'any' });
      expect(await refuse(forge(header({ typ }), goodClaims(oidc), rs256(key)))).toMatchObject(invalid);
    },
  );

  test.each(['null', '[]', '"RS256"', '{"alg":', '\u0000'])('that reads %p is refused', async (raw) => {
    const { refuse } = await identityFor(oidc);
    expect(await refuse(forge(raw, goodClaims(oidc), rs256(key)))).toMatchObject(invalid);
  });
});

describe('another kind of token', () => {
  test('the provider’s own ID token is refused', async () => {
    const { refuse } = await identityFor(oidc);
    expect(await refuse(await oidc.idToken('triage-bot'))).toMatchObject(invalid);
  });

  test.each(['nonce', 'at_hash', 'c_hash', 's_hash', 'events'])(
    'one with %s is refused even where types are not demanded',
    async (claim) => {
      const { refuse } = await identityFor(oidc, { typ: 'any' });
      expect(await refuse(await oidc.sign({ ...goodClaims(oidc), [claim]: 'x' }, { typ: 'JWT' }))).toMatchObject(
        invalid,
      );
    },
  );

  test.each(['ID', 'Refresh', 'Offline', 'Logout'])('one whose typ claim says %s is refused likewise', async (typ) => {
    const { refuse } = await identityFor(oidc, { typ: 'any' });
    expect(await refuse(await oidc.sign({ ...goodClaims(oidc), typ }, { typ: 'JWT' }))).toMatchObject(invalid);
  });

  test('one bound to a key (DPoP, mutual TLS) is no bearer token', async () => {
    const { refuse } = await identityFor(oidc);
    for (const cnf of [{ jkt: 'x' }, { 'x5t#S256': 'x' }, null]) {
      expect(await refuse(await oidc.sign({ ...goodClaims(oidc), cnf }))).toMatchObject(invalid);
    }
  });

  test('an encrypted one is refused', async () => {
    const { refuse } = await identityFor(oidc);
    const encrypted = await new CompactEncrypt(Buffer.from(await oidc.token({ subject: 'triage-bot' })))
      .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT' })
      .encrypt(publicKey());
    expect(await refuse(encrypted)).toMatchObject(invalid);
  });
});

describe('the issuer', () => {
  test.each([
    ['an unknown one', () => 'https://evil.example'],
    ['a trailing slash', (issuer: string) => `${issuer}/`],
    ['other letter case', (issuer: string) => issuer.toUpperCase()],
    ['a path', (issuer: string) => `${issuer}/realm`],
    ['another name of the same host', (issuer: string) => issuer.replace('127.0.0.1', 'localhost')],
    ['a list', (issuer: string) => [issuer]],
    ['nothing', () => undefined],
    ['an object', () => ({})],
    ['__proto__', () => '__proto__'],
  ])('with %s is refused', async (_what, change) => {
    const { refuse } = await identityFor(oidc);
    const token = forge(header(), { ...goodClaims(oidc), iss: change(oidc.issuer) }, rs256(key));
    expect(await refuse(token)).toMatchObject(invalid);
  });
});

describe('the audience', () => {
  test('of another service of the same issuer is refused', async () => {
    const { refuse } = await identityFor(oidc);
    const token = await oidc.token({ subject: 'triage-bot', audience: 'https://billing.example' });
    expect(decodeJwt(token).aud).toBe('https://billing.example');
    expect(await refuse(token)).toMatchObject({ ...invalid, message: 'The token is for another audience.' });
  });

  test.each([
    ['a longer one', (audience: string) => `${audience}.evil.example`],
    ['a shorter one', (audience: string) => audience.slice(0, -1)],
    ['a list without it', () => ['https://a.example', 'https://b.example']],
    ['a joined list', (audience: string) => `https://a.example ${audience}`],
    ['a list in a list', (audience: string) => [[audience]]],
    ['an object', (audience: string) => ({ [audience]: true })],
    ['true', () => true],
    ['null', () => null],
  ])('with %s is refused', async (_what, change) => {
    const { refuse } = await identityFor(oidc);
    const token = forge(header(), { ...goodClaims(oidc), aud: change(oidc.audience) }, rs256(key));
    expect(await refuse(token)).toMatchObject(invalid);
  });
});

describe('the client', () => {
  test.each([
    ['is not listed', { client_id: 'evil-bot' }],
    ['is listed as one but not as the other', { client_id: 'triage-bot', azp: 'evil-bot' }],
    ['is listed as the other but not as the one', { client_id: 'evil-bot', azp: 'triage-bot' }],
    ['is not named', { client_id: undefined }],
    ['is a list', { client_id: ['triage-bot'] }],
    ['is null', { client_id: null }],
  ])('that %s is refused', async (_what, change) => {
    const { refuse } = await identityFor(oidc, { authorizedParties: ['triage-bot', 'other-bot'] });
    expect(await refuse(forge(header(), { ...goodClaims(oidc), ...change }, rs256(key)))).toMatchObject({
      ...invalid,
      message: 'The token was issued to a client that is not allowed here.',
    });
  });
});

describe('the time', () => {
  test.each(['exp', 'iat', 'sub', 'aud', 'iss'])('a token without %s is refused', async (claim) => {
    const { refuse } = await identityFor(oidc);
    expect(await refuse(forge(header(), without(oidc, claim), rs256(key)))).toMatchObject(invalid);
  });

  test.each([
    ['exp is a string', { exp: '9999999999' }],
    ['exp is for ever', { exp: 1e308 }],
    ['exp is infinite', { exp: 'Infinity' }],
    ['exp is null', { exp: null }],
    ['iat is in the future', { iat: 9_999_999_999, exp: 9_999_999_999 }],
    ['iat is a string', { iat: '1' }],
    ['iat is long ago and exp years ahead', { iat: 1, exp: 9_999_999_999 }],
    ['nbf is in the future', { nbf: 9_999_999_999 }],
    ['nbf is a string', { nbf: '1' }],
  ])('a token whose %s is refused', async (_what, change) => {
    const { refuse } = await identityFor(oidc);
    const raw = JSON.stringify({ ...goodClaims(oidc), ...change }).replace('"Infinity"', '1e309');
    expect(await refuse(forge(header(), raw, rs256(key)))).toMatchObject(invalid);
  });

  test('a token that expired is refused, also when it was accepted before', async () => {
    const { accept, refuse, clock } = await identityFor(oidc);
    const token = await oidc.token({ subject: 'triage-bot', lifetimeSeconds: 30 });
    await accept(token);
    clock.aheadMs = 36_000;
    expect(await refuse(token)).toMatchObject({ code: 'credential_expired' });
  });
});

describe('the actor', () => {
  const delegated = (act: unknown) => forge(header(), { ...goodClaims(oidc), sub: 'ana', act }, rs256(key));

  test('does not get the groups of the person it acts for', async () => {
    const { accept } = await identityFor(oidc);
    const identity = await accept(
      await oidc.token({ subject: 'triage-bot', groups: [], onBehalfOf: { sub: 'ana', groups: ['dba'] } }),
    );
    expect(identity.groups).toEqual([]);
  });

  test('may not be named out of another issuer, not even a trusted one', async () => {
    const other = await anotherOidc();
    const { refuse } = await identityFor([oidc, other]);
    for (const iss of [other.issuer, 'https://evil.example', '', null, 1]) {
      expect(await refuse(delegated({ sub: 'admin', iss }))).toMatchObject(invalid);
      expect(await refuse(delegated({ sub: 'triage-bot', act: { sub: 'admin', iss } }))).toMatchObject(invalid);
    }
  });

  test.each([
    null,
    true,
    'triage-bot',
    7,
    [],
    [{ sub: 'triage-bot' }],
    {},
    { sub: '' },
    { sub: 7 },
    { sub: null },
    { sub: ['a'] },
  ])('that reads %j is refused rather than passed over', async (act) => {
    const { refuse } = await identityFor(oidc);
    expect(await refuse(delegated(act))).toMatchObject(invalid);
    expect(await refuse(delegated({ sub: 'triage-bot', act }))).toMatchObject(invalid);
  });

  test('at the end of a chain past the bound is refused, at the bound accepted', async () => {
    const { accept, refuse } = await identityFor(oidc);
    const nested = (depth: number): object =>
      depth === 1 ? { sub: 'a1' } : { sub: `a${depth}`, act: nested(depth - 1) };
    expect((await accept(delegated(nested(limits.actorChainMax)))).chain).toHaveLength(limits.actorChainMax);
    expect(await refuse(delegated(nested(limits.actorChainMax + 1)))).toMatchObject(invalid);
  });
});

describe('names', () => {
  test.each(['', 'a\u0000b', 'triage-bot\n', 'a\u001b[2Jb', '\ud800', 'x'.repeat(513), 'é'.repeat(257)])(
    'a subject or group %j is refused',
    async (name) => {
      const { refuse } = await identityFor(oidc);
      expect(await refuse(forge(header(), { ...goodClaims(oidc), sub: name }, rs256(key)))).toMatchObject(invalid);
      expect(await refuse(forge(header(), { ...goodClaims(oidc), groups: [name] }, rs256(key)))).toMatchObject(invalid);
    },
  );

  test('a comma or a space inside a group does not make two of it', async () => {
    const { accept } = await identityFor(oidc);
    const token = forge(header(), { ...goodClaims(oidc), groups: ['support,dba', 'support dba'] }, rs256(key));
    expect((await accept(token)).groups).toEqual(['support,dba', 'support dba']);
  });

  test.each(['dba', 'support,dba', { 0: 'dba' }, 7, true, [['dba']], [null]])(
    'groups that read %j are refused',
    async (groups) => {
      const { refuse } = await identityFor(oidc);
      expect(await refuse(forge(header(), { ...goodClaims(oidc), groups }, rs256(key)))).toMatchObject(invalid);
    },
  );
});

describe('the size and shape', () => {
  test('a token past the bound is refused unread', async () => {
    const { refuse } = await identityFor(oidc);
    const token = forge(header(), { ...goodClaims(oidc), filler: 'x'.repeat(limits.tokenBytesMax) }, rs256(key));
    expect(await refuse(token)).toMatchObject({ ...invalid, message: 'The token is too large.' });
    expect(await refuse('.'.repeat(10 * 1024 * 1024))).toMatchObject({
      ...invalid,
      message: 'The token is too large.',
    });
  });

  test('claims nested past the bound are refused rather than cut', async () => {
    const { refuse } = await identityFor(oidc);
    const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`);
    expect(await refuse(forge(header(), { ...goodClaims(oidc), deep }, rs256(key)))).toMatchObject(invalid);
  });

  test('more claims than the bound are refused rather than cut', async () => {
    const { refuse } = await identityFor(oidc);
    const many = Array.from({ length: limits.claimsMembersMax }, () => 0);
    expect(await refuse(forge(header(), { ...goodClaims(oidc), many }, rs256(key)))).toMatchObject(invalid);
  });

  test('a claim named __proto__ stays a claim', async () => {
    const { accept } = await identityFor(oidc);
    const raw = JSON.stringify(goodClaims(oidc)).replace(/}$/, ',"__proto__":{"groups":["dba"],"admin":true}}');
    const identity = await accept(forge(header(), raw, rs256(key)));
    expect(identity.groups).toEqual(['support']);
    expect(identity.claims.admin).toBeUndefined();
    expect(Object.keys(identity.claims)).toContain('__proto__');
  });

  test('what is not exactly a compact JWS is refused', async () => {
    const { refuse } = await identityFor(oidc);
    const token = await oidc.token({ subject: 'triage-bot' });
    const [head = '', body = '', signature = ''] = token.split('.');
    const wrong = [
      `Bearer ${token}`,
      ` ${token}`,
      `${token}\n`,
      `${token}\u0000`,
      `${token}=`,
      `${token}.`,
      `${token}.${token}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${head}..${signature}`,
      `.${body}.${signature}`,
      `${head}.${body}.${signature}é`,
      JSON.stringify({ protected: head, payload: body, signature }),
      'not a token',
    ];
    for (const candidate of wrong) expect(await refuse(candidate)).toMatchObject(invalid);
  });

  test('a token changed anywhere is refused', async () => {
    const { refuse, accept } = await identityFor(oidc);
    const token = await oidc.token({ subject: 'triage-bot' });
    await accept(token);
    // The last character of a part may hold bits that mean nothing, so the flip is in the first six.
    for (let at = 0; at < token.length; at += 7) {
      if (token[at] === '.' || token[at + 1] === '.' || at === token.length - 1) continue;
      const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      expect(await refuse(changed)).toMatchObject(invalid);
    }
  });
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../proxy/core/clock.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { createIdentity } from '../../../proxy/identity/index.ts';
import { type Oidc, startOidc } from '../../support/oidc.ts';
import { makeCertificates } from '../../support/tls.ts';
import { anotherOidc, closeIdentities, goodClaims, identityFor } from './fixture.ts';

let oidc: Oidc;
beforeEach(async () => {
  oidc = await startOidc();
});
afterEach(async () => {
  await closeIdentities();
  await oidc.stop();
});

describe('rotation', () => {
  test('is followed at the first token with the new key, once the cool-down has passed', async () => {
    const { accept, clock, events } = await identityFor(oidc);
    await oidc.rotateKeys();
    const token = await oidc.token({ subject: 'triage-bot' });
    clock.aheadMs = limits.jwksCooldownMs;
    expect((await accept(token)).id).toBe('triage-bot');
    expect(events.at(-1)?.event).toBe('jwks_rotated');
    expect(oidc.requests('/jwks')).toBe(2);
  });

  test('keeps tokens of a key that stays in the set', async () => {
    const { accept, clock } = await identityFor(oidc);
    const before = await oidc.token({ subject: 'triage-bot' });
    await oidc.rotateKeys({ keepOld: true });
    const after = await oidc.token({ subject: 'triage-bot' });
    clock.aheadMs = limits.jwksCooldownMs;
    await accept(after);
    expect((await accept(before)).id).toBe('triage-bot');
  });

  test('takes the cached tokens of a withdrawn key along', async () => {
    const { accept, refuse, clock } = await identityFor(oidc);
    const before = await oidc.token({ subject: 'triage-bot' });
    await accept(before);
    await oidc.rotateKeys();
    clock.aheadMs = limits.jwksCooldownMs;
    await accept(await oidc.token({ subject: 'other-bot' }));
    expect((await refuse(before)).code).toBe('credential_invalid');
  });

  test('is noticed in the background, without a token', async () => {
    const { next } = await identityFor(oidc, { jwksRefreshMs: 10 });
    const rotated = next('jwks_rotated');
    await oidc.rotateKeys();
    expect((await rotated).issuer).toBe(oidc.issuer);
  });
});

describe('the cool-down', () => {
  test('lets a flood of unknown keys cause one fetch', async () => {
    const { refuse, clock, events } = await identityFor(oidc);
    clock.aheadMs = limits.jwksCooldownMs;
    const madeUp = (number: number) => oidc.sign(goodClaims(oidc), { kid: `made-up-${number}` });
    const tokens = await Promise.all(Array.from({ length: 200 }, (_, number) => madeUp(number)));
    for (const error of await Promise.all(tokens.map(refuse))) expect(error.code).toBe('credential_invalid');
    await refuse(await madeUp(200));
    expect(oidc.requests('/jwks')).toBe(2);
    expect(events.filter(({ event }) => event === 'jwks_cooldown').length).toBeGreaterThan(0);
  });

  test('holds back every fetch right after one', async () => {
    const { refuse } = await identityFor(oidc);
    await refuse(await oidc.sign(goodClaims(oidc), { kid: 'made-up' }));
    expect(oidc.requests('/jwks')).toBe(1);
  });
});

describe('an outage of the provider', () => {
  test('goes unnoticed by known keys until they are stale, then refuses everything', async () => {
    const { accept, refuse, clock, identity } = await identityFor(oidc);
    const token = await oidc.sign({
      ...goodClaims(oidc),
      exp: Math.floor(Date.now() / 1000) + limits.tokenLifetimeSecondsMax,
    });
    oidc.setOutage(true);
    clock.aheadMs = limits.jwksStaleMs - 60_000;
    expect((await accept(token)).id).toBe('triage-bot');
    expect(identity.ready).toBe(true);
    clock.aheadMs = limits.jwksStaleMs + 60_000;
    expect((await refuse(token)).code).toBe('identity_unavailable');
    expect(identity.ready).toBe(false);
  });

  test('is told apart from a bad token when the key is unknown', async () => {
    const { refuse, clock } = await identityFor(oidc);
    oidc.setOutage(true);
    clock.aheadMs = limits.jwksCooldownMs;
    expect((await refuse(await oidc.sign(goodClaims(oidc), { kid: 'made-up' }))).code).toBe('identity_unavailable');
  });

  test('ends by itself', async () => {
    const { accept, clock, identity, next } = await identityFor(oidc, { jwksRefreshMs: 10, jwksStaleMs: 60_000 });
    const failed = next('jwks_failed');
    oidc.setOutage(true);
    await failed;
    clock.aheadMs = 120_000;
    expect(identity.ready).toBe(false);
    oidc.setOutage(false);
    await next('jwks_refreshed');
    expect(identity.ready).toBe(true);
    clock.aheadMs = 0;
    expect((await accept(await oidc.token({ subject: 'triage-bot' }))).id).toBe('triage-bot');
  });

  test('before the gateway started leaves it up, not ready, refusing, and trying', async () => {
    const token = await oidc.token({ subject: 'triage-bot' });
    oidc.setOutage(true);
    const { accept, refuse, identity, next, events } = await identityFor(oidc);
    expect(events.map(({ event }) => event)).toEqual(['discovery_failed']);
    expect(identity.ready).toBe(false);
    expect((await refuse(token)).code).toBe('identity_unavailable');
    const refreshed = next('jwks_refreshed');
    oidc.setOutage(false);
    await refreshed;
    expect(identity.ready).toBe(true);
    expect((await accept(token)).id).toBe('triage-bot');
  });

  test('of one of two issuers refuses that one’s tokens and makes the gateway not ready', async () => {
    const other = await anotherOidc();
    other.setOutage(true);
    const { accept, refuse, identity } = await identityFor([oidc, other]);
    expect(identity.ready).toBe(false);
    expect((await accept(await oidc.token({ subject: 'triage-bot' }))).id).toBe('triage-bot');
    expect((await refuse(await other.sign(goodClaims(other)))).code).toBe('identity_unavailable');
  });
});

describe('a provider over https', () => {
  test('is verified against the CA that was configured, and against nothing else', async () => {
    const [trusted, stranger] = await Promise.all([makeCertificates(), makeCertificates()]);
    const secure = await anotherOidc({
      issuerHost: 'localhost',
      tls: { key: trusted.server.key, certificate: trusted.server.certificate, ca: trusted.ca },
    });
    const good = await identityFor(secure, { ca: trusted.ca, allowInsecureHttp: false });
    expect((await good.accept(await secure.token({ subject: 'triage-bot' }))).issuer).toBe(secure.issuer);
    expect((await identityFor(secure, { ca: stranger.ca, allowInsecureHttp: false })).identity.ready).toBe(false);
    expect((await identityFor(secure, { allowInsecureHttp: false })).identity.ready).toBe(false);
  });
});

describe('a provider that answers wrongly', () => {
  let answer: (path: string) => { status?: number; headers?: Record<string, string>; body: unknown };
  const server = createServer((request, response) => {
    const { status = 200, headers = {}, body } = answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  });
  let issuer: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
  });

  const discovered = (path: string) => path.startsWith('/.well-known/');
  const metadata = (more: object = {}) => ({ issuer, jwks_uri: `${issuer}/jwks`, ...more });
  const outcome = async (): Promise<string[]> => {
    const events: string[] = [];
    const identity = await createIdentity({
      clock: systemClock,
      issuers: [{ issuer, audience: 'https://gateway.example', allowInsecureHttp: true }],
      onEvent: ({ event, error }) => events.push(error === undefined ? event : `${event}: ${error}`),
    });
    identity.close();
    return events;
  };

  test.each([
    [
      'a document of another issuer',
      () => ({ body: metadata({ issuer: 'https://evil.example' }) }),
      /^discovery_failed/,
    ],
    ['a document without a key set', () => ({ body: { issuer } }), /^discovery_failed: .*names no key set/],
    [
      'a redirect',
      () => ({ status: 302, headers: { location: `${issuer}/elsewhere` }, body: {} }),
      /^discovery_failed/,
    ],
    [
      'an endless document',
      () => ({ body: metadata({ filler: 'x'.repeat(limits.identityResponseBytesMax) }) }),
      /too large/,
    ],
    [
      'a key set outside https and loopback',
      (path: string) => ({ body: discovered(path) ? metadata({ jwks_uri: 'http://203.0.113.1/jwks' }) : {} }),
      /not https/,
    ],
    [
      'a key set that is a list',
      (path: string) => ({ body: discovered(path) ? metadata() : [] }),
      /^jwks_failed: .*not a JWK Set/,
    ],
    [
      'a key set with status 500',
      (path: string) => (discovered(path) ? { body: metadata() } : { status: 500, body: { keys: [] } }),
      /^jwks_failed: .*500/,
    ],
    [
      'too many keys',
      (path: string) => ({
        body: discovered(path)
          ? metadata()
          : { keys: Array.from({ length: limits.jwksKeysMax + 1 }, () => ({ kty: 'RSA' })) },
      }),
      /^jwks_failed: .*more than/,
    ],
  ])('with %s has no keys', async (_what, wrong, event) => {
    answer = wrong;
    expect((await outcome()).at(-1)).toMatch(event);
  });
});

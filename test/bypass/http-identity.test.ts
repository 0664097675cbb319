/** Ways to be somebody else, as bearer tokens over HTTP: `identity.test.ts` has each in full, this is what a client sees. */
import { createPublicKey, generateKeyPairSync, type JsonWebKey, sign } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { JWK } from 'jose';
import { limits } from '../../proxy/core/limits.ts';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { type Oidc, startOidc } from '../support/oidc.ts';
import { forge, goodClaims, hs256, MovableClock, rs256 } from '../unit/identity/fixture.ts';

let oidc: Oidc;
let upstream: Upstream;
let gateway: HttpGateway;
let key: JWK;
let clock: MovableClock;

const path = '/customers/7';

beforeAll(async () => {
  [oidc, upstream] = await Promise.all([startOidc(), startUpstream()]);
  clock = new MovableClock();
  key = oidc.keys[0] ?? {};
  const { issuer, audience } = oidc;
  const trusted = { issuer, audience, allow_insecure_http: true, authorized_parties: ['triage-bot'] };
  gateway = await startHttpGateway({
    ...{ oidc, clock, config: { identity: { issuers: [trusted] } } },
    upstreams: [{ name: 'crm', host: upstream.host, port: upstream.port, routes: [{ path: '/customers/{id}' }] }],
  });
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await oidc?.stop();
});
beforeEach(() => {
  upstream.received.length = 0;
});

const ask = (token: string) => fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
const header = (more: object = {}) => ({ alg: 'RS256', typ: 'at+jwt', kid: key.kid, ...more });
const claims = (more: object = {}) => ({ ...goodClaims(oidc), ...more });
const nowSeconds = () => Math.floor(Date.now() / 1000);

test('the forge makes tokens that are accepted when nothing is wrong with them', async () => {
  expect((await ask(forge(header(), claims(), rs256(key)))).status).toBe(200);
  expect(upstream.received).toHaveLength(1);
});

const mine = generateKeyPairSync('rsa', { modulusLength: 2048 });
const byMe = (input: Buffer) => sign('sha256', input, mine.privateKey);
const publicKey = () => createPublicKey({ key: key as JsonWebKey, format: 'jwk' });

describe('a token is refused before anything arrives, with a challenge and in the trail:', () => {
  test.each([
    ['no algorithm', () => forge(header({ alg: 'none' }), claims(), () => '')],
    ['no algorithm, in other letters', () => forge(header({ alg: 'nOnE' }), claims(), () => '')],
    [
      'HS256 with the public key as the secret',
      () => forge(header({ alg: 'HS256' }), claims(), hs256(publicKey().export({ type: 'spki', format: 'pem' }))),
    ],
    ['a key id that is a path', () => forge(header({ alg: 'HS256', kid: '../../dev/null' }), claims(), hs256(''))],
    ['a key id of nobody', () => forge(header({ kid: 'mine' }), claims(), byMe)],
    ['another key under the issuer’s key id', () => forge(header(), claims(), byMe)],
    [
      'a key of its own',
      () => forge(header({ jwk: mine.publicKey.export({ format: 'jwk' }), kid: undefined }), claims(), byMe),
    ],
    ['another audience', () => forge(header(), claims({ aud: 'https://billing.example' }), rs256(key))],
    ['another issuer', () => forge(header(), claims({ iss: 'https://evil.example' }), rs256(key))],
    ['another client', () => forge(header(), claims({ client_id: 'evil-bot' }), rs256(key))],
    ['another authorized party', () => forge(header(), claims({ azp: 'evil-bot' }), rs256(key))],
    ['a time to come', () => forge(header(), claims({ nbf: nowSeconds() + 3600 }), rs256(key))],
    ['no time to end', () => forge(header(), claims({ exp: undefined }), rs256(key))],
    ['another type', () => forge(header({ typ: 'id+jwt' }), claims(), rs256(key))],
    ['a changed subject', () => forge(header(), claims(), rs256(key)).replace(/\.[^.]+\./, `.${admin()}.`)],
    ['no dots', () => 'a-token'],
  ])('%s', async (_what, make) => {
    const token = make();
    const before = (await gateway.audit()).length;
    const answer = await ask(token);
    expect(answer.status).toBe(401);
    // RFC 6750 section 3
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer error="invalid_token", error_description="credential_invalid"',
    );
    const problem = (await answer.json()) as { code: string; decision_id: string };
    expect(problem.code).toBe('credential_invalid');
    expect(upstream.received).toEqual([]);
    // The trail is in order: what was decided later is written later.
    await ask(forge(header(), claims(), rs256(key)));
    const events = (await gateway.audit()).slice(before);
    const rejected = { event: 'rejected', code: 'credential_invalid', decision_id: problem.decision_id };
    expect(events).toEqual(expect.arrayContaining([expect.objectContaining(rejected)]));
    expect(JSON.stringify({ events, problem, log: gateway.log })).not.toContain(token);
  });

  test('one that expired, also on a connection on which it was accepted', async () => {
    const token = forge(header(), claims({ exp: nowSeconds() + 30 }), rs256(key));
    expect((await ask(token)).status).toBe(200);
    clock.aheadMs = 36_000;
    const answer = await ask(token);
    clock.aheadMs = 0;
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/);
    expect(await answer.json()).toMatchObject({ code: 'credential_expired' });
    expect(upstream.received).toHaveLength(1);
  });

  test('none at all, whose challenge names no error', async () => {
    const answer = await fetch(`${gateway.url}${path}`);
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const basic = await fetch(`${gateway.url}${path}`, { headers: { authorization: 'Basic YTpi' } });
    expect([basic.status, basic.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect(upstream.received).toEqual([]);
  });
});

describe('the issuer’s keys', () => {
  test('that are new are fetched once the cooldown is over, and the old ones let nobody in', async () => {
    const old = forge(header(), claims({ jti: 'old' }), rs256(key));
    await oidc.rotateKeys();
    clock.aheadMs = limits.jwksCooldownMs + 1_000;
    expect((await ask(await oidc.token({ subject: 'triage-bot', groups: ['support'] }))).status).toBe(200);
    expect((await ask(old)).status).toBe(401);
    expect(upstream.received).toHaveLength(1);
  });

  test('are used while it is out, as long as they are not stale, and then nobody is let in', async () => {
    const token = () => oidc.sign(claims({ exp: nowSeconds() + limits.tokenLifetimeSecondsMax }));
    const [one, other, third] = await Promise.all([token(), oidc.sign(claims({ jti: 'b' })), token()]);
    oidc.setOutage(true);
    expect((await ask(other)).status).toBe(200);
    clock.aheadMs = limits.jwksStaleMs - 60_000;
    expect((await ask(one)).status).toBe(200);
    clock.aheadMs = limits.jwksStaleMs + 60_000;
    const refused = await ask(third);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await refused.json()).toMatchObject({ code: 'identity_unavailable' });
    oidc.setOutage(false);
    clock.aheadMs = 0;
    expect(upstream.received).toHaveLength(2);
  });
});

function admin(): string {
  return Buffer.from(JSON.stringify(claims({ sub: 'admin' }))).toString('base64url');
}

import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createRemoteJWKSet, decodeJwt, type JWTPayload, jwtVerify } from 'jose';
import { systemClock } from '../../proxy/core/clock.ts';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { type Oidc, startOidc } from '../support/oidc.ts';

const crm = 'https://crm.example';
const lifetimeSeconds = 200;

let oidc: Oidc;
let upstream: Upstream;
let gateway: HttpGateway;
let ana: string;
let ben: string;
let aheadMs = 0;
/** Who the upstream took its caller for, by each token that it accepted. */
const accepted: JWTPayload[] = [];

beforeAll(async () => {
  oidc = await startOidc({ audiences: [crm, 'https://other.example', 'https://gateway.sallyport.example'] });
  const clientSecret = oidc.register({ subject: 'the-gateway', groups: ['gateways'], lifetimeSeconds });
  const keys = createRemoteJWKSet(new URL(`${oidc.issuer}/jwks`));
  upstream = await startUpstream();
  upstream.answer = (request, response) => {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    jwtVerify(token, keys, { issuer: oidc.issuer, audience: crm, typ: 'at+jwt', requiredClaims: ['sub'] }).then(
      ({ payload }) => {
        accepted.push(payload);
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
      },
      () => {
        const challenge = 'Bearer error="invalid_token"';
        response.writeHead(401, { 'www-authenticate': challenge, 'content-type': 'application/json' }).end('{}');
      },
    );
  };
  const { host, port } = upstream;
  const asked = { token_url: `${oidc.issuer}/token`, client_id: 'the-gateway', client_secret: 'SECRET' };
  const credentials = {
    resource: { token_exchange: { ...asked, resource: crm } },
    audience: { token_exchange: { ...asked, audience: crm } },
    acting: { token_exchange: { ...asked, resource: crm, actor: { resource: 'https://gateway.sallyport.example' } } },
    unknown: { token_exchange: { ...asked, resource: 'https://nobody.example' } },
    other: { token_exchange: { ...asked, resource: 'https://other.example' } },
    own: { client_credentials: { ...asked, resource: crm } },
  };
  gateway = await startHttpGateway({
    oidc,
    clock: { nowMs: () => systemClock.nowMs() + aheadMs, monotonicMs: () => systemClock.monotonicMs() + aheadMs },
    upstreams: Object.entries(credentials).map(([name, credential]) => ({
      ...{ name, host, port, prefix: `/${name}`, credential, secret: clientSecret, routes: [{ path: '/a' }] },
    })),
    data: {
      upstreams: Object.fromEntries(Object.keys(credentials).map((name) => [name, { labels: { env: 'prod' } }])),
    },
  });
  ana = await gateway.token('ana', { lifetimeSeconds: 3600 });
  ben = await gateway.token('ben', { lifetimeSeconds: 3600 });
});
afterAll(async () => {
  await gateway?.stop();
  await oidc?.stop();
  await upstream?.stop();
});
beforeEach(() => {
  accepted.length = 0;
  upstream.received.length = 0;
  oidc.setOutage(false);
});

async function ask(name: string, token: string): Promise<Response> {
  return await fetch(`${gateway.url}/${name}/a`, { headers: { authorization: `Bearer ${token}` } });
}

const shown = () => upstream.received.map(({ headers }) => new Map(headers).get('authorization') ?? '');

test.each(['resource', 'audience'])(
  'a token is exchanged for one of the agent at the upstream, by %s',
  async (name) => {
    expect((await ask(name, ana)).status).toBe(200);
    expect(accepted).toMatchObject([{ sub: 'ana', aud: crm, act: { sub: 'the-gateway' } }]);
    expect(JSON.stringify(upstream.received)).not.toContain(ana);
  },
);

test('the gateway shows a token of its own where it is to say who acts', async () => {
  expect((await ask('acting', ana)).status).toBe(200);
  expect(accepted).toMatchObject([{ sub: 'ana', aud: crm, act: { sub: 'the-gateway', groups: ['gateways'] } }]);
});

test('who acted before stays in the token', async () => {
  const delegated = await gateway.token('robot', { onBehalfOf: { sub: 'cleo' } });
  expect((await ask('acting', delegated)).status).toBe(200);
  expect(accepted).toMatchObject([{ sub: 'cleo', act: { sub: 'the-gateway', act: { sub: 'robot' } } }]);
});

test('an exchanged token is its subject’s alone, and kept until it is about to end', async () => {
  for (const token of [ana, ben, ana, ben]) expect((await ask('resource', token)).status).toBe(200);
  expect(accepted.map(({ sub }) => sub)).toEqual(['ana', 'ben', 'ana', 'ben']);
  const [first, second, third, fourth] = shown();
  expect([third, fourth]).toEqual([first, second]);
  aheadMs += lifetimeSeconds * 1000;
  expect((await ask('resource', ana)).status).toBe(200);
  expect(shown().at(-1)).not.toBe(first);
});

test('requests that come together wait for one token', async () => {
  const token = await gateway.token('dora', { lifetimeSeconds: 3600 });
  const before = oidc.requests('/token');
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask('resource', token)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
  expect(oidc.requests('/token')).toBe(before + 1);
  aheadMs += lifetimeSeconds * 1000;
  await Promise.all(Array.from({ length: 8 }, () => ask('resource', token)));
  expect(oidc.requests('/token')).toBe(before + 2);
});

test('without the provider there is no request, unless a token is there already', async () => {
  expect((await ask('resource', ana)).status).toBe(200);
  const token = await gateway.token('eve', { lifetimeSeconds: 3600 });
  const other = await gateway.token('frank', { lifetimeSeconds: 3600 });
  expect((await ask('audience', token)).status).toBe(200);
  upstream.received.length = 0;
  oidc.setOutage(true);
  expect((await ask('audience', token)).status).toBe(200);
  const refused = await ask('audience', other);
  expect(refused.status).toBe(502);
  expect(await refused.json()).toMatchObject({ code: 'upstream_unavailable' });
  expect(upstream.received).toHaveLength(1);
  oidc.setOutage(false);
  expect((await ask('audience', other)).status).toBe(200);
  expect(await completed()).toContain('upstream_unavailable');
});

test('a provider that exchanges for nobody of that name is a refusal', async () => {
  const refused = await ask('unknown', ana);
  expect(refused.status).toBe(502);
  expect(await refused.json()).toMatchObject({ code: 'upstream_unavailable' });
  expect(upstream.received).toEqual([]);
});

test('a token for somebody else is refused by the upstream, and the provider is not asked for more of them', async () => {
  const before = oidc.requests('/token');
  for (let again = 0; again < 3; again++) {
    const answer = await ask('other', ana);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBeNull();
  }
  expect(oidc.requests('/token')).toBe(before + 1);
  expect(shown().map((value) => decodeJwt(value.replace('Bearer ', '')).aud)).not.toContain(crm);
  expect(await completed()).toContain('401');
});

test('a token of the gateway’s own that was withdrawn is asked for anew by the next request', async () => {
  expect((await ask('own', ana)).status).toBe(200);
  const before = oidc.requests('/token');
  const answer = upstream.answer;
  // Nothing says what this is, so that the agent is not given it.
  upstream.answer = (_request, response) => response.writeHead(401).end('withdrawn');
  aheadMs += 10_000;
  // It is sent once: nobody judged a second request.
  expect((await ask('own', ana)).status).toBe(502);
  expect(upstream.received).toHaveLength(2);
  upstream.answer = answer;
  expect((await ask('own', ben)).status).toBe(200);
  const [first, second, third] = shown();
  expect(second).toBe(first);
  expect(third).not.toBe(first);
  expect(oidc.requests('/token')).toBe(before + 1);
  expect(accepted.at(-1)).toMatchObject({ client_id: 'the-gateway', aud: crm });
});

/** How operations ended: that is written with the next event of a session. */
async function completed(): Promise<readonly unknown[]> {
  const events = await gateway.audit();
  return events.filter(({ event }) => event === 'completed').map(({ code }) => code);
}

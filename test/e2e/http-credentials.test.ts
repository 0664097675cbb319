import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { type Oidc, startOidc } from '../support/oidc.ts';

let upstream: Upstream;
let gateway: HttpGateway;
let oidc: Oidc;
let token: string;

beforeAll(async () => {
  upstream = await startUpstream();
  oidc = await startOidc();
  const { host, port } = upstream;
  const clientSecret = oidc.register({ subject: 'the-gateway' });
  const asked = { token_url: `${oidc.issuer}/token`, client_id: 'the-gateway', client_secret: 'SECRET' };
  const routes = [{ path: '/a' }];
  const withCredential = [
    ['bearer', { bearer: 'SECRET' }, 'a-bearer-secret'],
    ['basic', { basic: { user: 'gateway', password: 'SECRET' } }, 'a:password'],
    ['key', { header: { name: 'x-api-key', value: 'SECRET' } }, 'an-api-key'],
    ['minted', { client_credentials: { ...asked, resource: 'https://crm.example' } }, clientSecret],
    ['wrong', { client_credentials: { ...asked, resource: 'https://crm.example' } }, 'not-the-secret-of-anybody'],
  ] as const;
  gateway = await startHttpGateway({
    oidc,
    upstreams: withCredential.map(([name, credential, secret]) => ({
      ...{ name, host, port, prefix: `/${name}`, credential, secret, routes },
    })),
    data: { upstreams: Object.fromEntries(withCredential.map(([name]) => [name, { labels: { env: 'prod' } }])) },
  });
  token = await gateway.token();
});
afterAll(async () => {
  await gateway?.stop();
  await oidc?.stop();
  await upstream?.stop();
});
beforeEach(() => {
  upstream.received.length = 0;
});

async function ask(path: string): Promise<Response> {
  return await fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
}

const sent = (name: string) => upstream.received.map(({ headers }) => new Map(headers).get(name));

test.each([
  ['/bearer/a', 'authorization', 'Bearer a-bearer-secret'],
  ['/basic/a', 'authorization', `Basic ${Buffer.from('gateway:a:password').toString('base64')}`],
  ['/key/a', 'x-api-key', 'an-api-key'],
])('%s is asked with a credential of the gateway', async (path, name, value) => {
  expect((await ask(path)).status).toBe(200);
  expect(sent(name)).toEqual([value]);
  expect(upstream.received[0]?.url).toBe('/a');
});

test('a token is asked for once, and again when it is about to end', async () => {
  const before = oidc.requests('/token');
  for (const path of ['/minted/a', '/minted/a']) expect((await ask(path)).status).toBe(200);
  const [first = '', second] = sent('authorization');
  expect(second).toBe(first);
  expect(oidc.requests('/token')).toBe(before + 1);
  const claims = decodeJwt(first.replace('Bearer ', ''));
  expect(claims).toMatchObject({ aud: 'https://crm.example', client_id: 'the-gateway' });
  expect(first).not.toContain(token);
});

test('without a token for the upstream there is no request, and the agent is told so', async () => {
  const answer = await ask('/wrong/a');
  expect(answer.status).toBe(502);
  expect(await answer.json()).toMatchObject({ code: 'upstream_unavailable' });
  expect(upstream.received).toEqual([]);
  // How an operation ended is written with the next event, or when the session is over.
  await ask('/wrong/a');
  const events = await gateway.audit();
  expect(events.some(({ event, code }) => event === 'completed' && code === 'upstream_unavailable')).toBe(true);
});

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

let upstream: Upstream;
let usual: HttpGateway;
let taking: HttpGateway;

beforeAll(async () => {
  upstream = await startUpstream();
  const { host, port } = upstream;
  const routes = [{ path: '/projects/{name}' }, { path: '/search' }];
  const options = {
    upstreams: [{ name: 'crm', host, port, routes }],
    data: { upstreams: { crm: { labels: { env: 'prod' } } } },
  };
  usual = await startHttpGateway(options);
  const listener = { body_methods: ['GET'], encoded_slashes: true };
  taking = await startHttpGateway({ ...options, listener, oidc: usual.oidc });
});
afterAll(async () => {
  await taking?.stop();
  await usual?.stop();
  await upstream?.stop();
});

async function ask(gateway: HttpGateway, path: string, body?: string): Promise<number> {
  const headers = { authorization: `Bearer ${await gateway.token()}`, 'content-type': 'application/json' };
  const answer = await request(`${gateway.url}${path}`, { method: 'GET', headers, ...(body && { body }) });
  await answer.body.dump();
  return answer.statusCode;
}

test('encoded slashes go on as they came, where the listener takes them, and to the route that they are a name in', async () => {
  expect(await ask(usual, '/projects/group%2Fname')).toBe(400);
  expect(upstream.received).toEqual([]);
  expect(await ask(taking, '/projects/group%2fname')).toBe(200);
  expect(upstream.received.at(-1)).toMatchObject({ url: '/projects/group%2Fname' });
  expect(await ask(taking, '/projects%2Fname')).toBe(403);
  expect(upstream.received).toHaveLength(1);
  const routed = (await taking.audit()).filter(({ operation }) => JSON.stringify(operation)?.includes('%2Fname'));
  expect(JSON.stringify(routed)).toMatch(/\/projects\/\{name\}/);
});

test('a GET has a body where the listener takes one, which goes on as it was judged', async () => {
  const body = '{"query":{"match_all":{}}}';
  expect(await ask(usual, '/search', body)).toBe(400);
  expect(await ask(taking, '/search', body)).toBe(200);
  expect(upstream.received.at(-1)?.body.toString()).toBe(body);
  expect(await ask(taking, '/search', '{"query":1,"query":2}')).toBe(400);
});

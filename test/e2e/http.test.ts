import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

const secret = 'the-api-key-of-the-gateway';
/** As data.config of the repository has it: refunds are bounded, social security numbers keep their last digits. */
const customer = { id: 7, name: 'Ada', ssn: '078-05-1120', balance: 10.1 };

let upstream: Upstream;
let gateway: HttpGateway;
let token: string;

beforeAll(async () => {
  upstream = await startUpstream();
  gateway = await startHttpGateway({
    upstreams: [
      {
        ...{ name: 'crm', host: upstream.host, port: upstream.port, secret },
        credential: { header: { name: 'x-api-key', value: 'SECRET' } },
        routes: [{ path: '/customers/{id}' }, { path: '/refunds', method: 'POST' }, { path: '/admin/users' }],
      },
    ],
  });
  token = await gateway.token();
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});
beforeEach(() => {
  upstream.received.length = 0;
  upstream.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', etag: '"a"', 'set-cookie': 'session=1' });
    response.end(JSON.stringify(customer));
  };
});

/** A request with the agent's token. */
function ask(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
  return fetch(`${gateway.url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } });
}

/** A POST of JSON. */
function post(path: string, value: unknown): Promise<Response> {
  return ask(path, { method: 'POST', body: JSON.stringify(value), headers: { 'content-type': 'application/json' } });
}

function decisions(events: readonly JsonObject[]): readonly JsonObject[] {
  return events.filter(({ event }) => event === 'decided');
}

describe('a permitted request', () => {
  test('goes on with the credential of the gateway instead of the token of the agent', async () => {
    const answer = await ask('/customers/7?fields=name');
    expect(answer.status).toBe(200);
    expect(upstream.received).toHaveLength(1);
    const { method, url, headers } = upstream.received[0] ?? { headers: [] };
    expect([method, url]).toEqual(['GET', '/customers/7?fields=name']);
    expect(headers).toContainEqual(['x-api-key', secret]);
    expect(JSON.stringify(headers)).not.toContain(token);
  });

  test('is answered with what policy has masked, and the rest as it was', async () => {
    const answer = await ask('/customers/7');
    const text = await answer.text();
    expect(JSON.parse(text)).toEqual({ ...customer, ssn: expect.stringMatching(/^\*+1120$/) });
    expect(text).not.toContain(customer.ssn);
    expect(answer.headers.get('set-cookie')).toBeNull();
    expect(answer.headers.get('etag')).toBeNull();
  });

  test('may carry a body, which goes on as it came', async () => {
    const answer = await post('/refunds', { amount: 20, reason: 'broken' });
    expect(answer.status).toBe(200);
    expect(upstream.received[0]?.body.toString()).toBe('{"amount":20,"reason":"broken"}');
  });

  test('leaves a decision and a recording, and neither holds a secret', async () => {
    await (await ask('/customers/7')).text();
    // One that the agent put into the path itself.
    const written = `ghp_${'a1B2'.repeat(9)}`;
    await (await ask(`/customers/${written}?q=${written}`)).text();
    const audit = JSON.stringify(decisions(await gateway.audit()));
    expect(audit).toContain('/customers/{id}');
    const recordings = (await readdir(gateway.files.recordDirectory, { recursive: true })).filter((name) =>
      name.includes('.'),
    );
    expect(recordings.length).toBeGreaterThan(0);
    for (const name of recordings) {
      const content = await readFile(join(gateway.files.recordDirectory, name), 'latin1').catch(() => '');
      for (const text of [token, secret, customer.ssn, written]) expect(content).not.toContain(text);
    }
    for (const text of [token, secret, customer.ssn, written]) expect(audit).not.toContain(text);
  });
});

describe('a refusal', () => {
  test.each([
    ['a method that writes', '/customers/7', { method: 'DELETE' }, 403],
    ['a route that is not known', '/other', {}, 403],
    ['an administrative route', '/admin/users', {}, 403],
  ])('for %s is a problem document, and the upstream hears nothing', async (_what, path, init, status) => {
    const answer = await ask(path, init);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const problem = (await answer.json()) as JsonObject;
    expect(problem).toMatchObject({ status, decision_id: expect.any(String), hint: expect.any(String) });
    expect(upstream.received).toHaveLength(0);
  });

  test('reaches a member of the body', async () => {
    expect((await post('/refunds', { amount: 501 })).status).toBe(403);
    expect((await post('/refunds', { amount: '20' })).status).toBe(403);
    expect(upstream.received).toHaveLength(0);
  });

  test('of a body that two readers take differently is 400', async () => {
    const body = '{"amount":20,"amount":9000}';
    const answer = await ask('/refunds', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
    expect(answer.status).toBe(400);
    expect(upstream.received).toHaveLength(0);
  });

  test.each([
    ['no token', undefined],
    ['no valid token', 'Bearer abc.def.ghi'],
    ['another scheme', 'Basic YTpi'],
  ])('for %s is 401 with a challenge', async (_what, authorization) => {
    const answer = await fetch(`${gateway.url}/customers/7`, { headers: { ...(authorization && { authorization }) } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(upstream.received).toHaveLength(0);
  });
});

describe('an answer', () => {
  test('in gzip is decoded and masked', async () => {
    upstream.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(gzipSync(JSON.stringify(customer)));
    };
    const text = await (await ask('/customers/7')).text();
    expect(text).toContain('1120');
    expect(text).not.toContain(customer.ssn);
  });

  test('that is a stream of events comes event by event, each masked', async () => {
    let more = () => {};
    upstream.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(customer)}\n\n`);
      more = () => response.end('data: [DONE]\n\n');
    };
    const answer = await ask('/customers/7');
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    const first = await reader?.read();
    // The upstream has not said more yet: nothing was held back for it.
    expect(first?.value).toMatch(/^data: \{"id":7,"name":"Ada","ssn":"\*+1120","balance":10.1\}\n\n$/);
    more();
    expect((await reader?.read())?.value).toBe('data: [DONE]\n\n');
    expect((await reader?.read())?.done).toBe(true);
  });

  test('of an upstream that is gone is 502, and the decision says so', async () => {
    upstream.answer = (request) => request.socket.destroy();
    const answer = await ask('/customers/7');
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ code: 'upstream_unavailable' });
  });

  test('is no longer asked for once the client is gone', async () => {
    const closed = new Promise<void>((resolve) => {
      upstream.answer = (incoming, response) => {
        incoming.socket.once('close', () => resolve());
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('[1,', () => asked.destroy());
      };
    });
    const headers = { authorization: `Bearer ${token}` };
    const asked = request(`${gateway.url}/customers/7`, { headers });
    asked.on('error', () => {});
    asked.end();
    await closed;
  });
});

test('a gateway that stops ends idle connections at once, and lets an answer end', async () => {
  const own = await startHttpGateway({
    upstreams: [{ name: 'crm', host: upstream.host, port: upstream.port }],
    data: {
      http: { upstreams: { crm: { paths: ['/'] } } },
    },
  });
  const agent = await own.token();
  const idle = await fetch(`${own.url}/idle`, { headers: { authorization: `Bearer ${agent}` } });
  await idle.text();
  const begun = performance.now();
  await own.stop();
  // Far below the 10 s that a drain waits for connections.
  expect(performance.now() - begun).toBeLessThan(5_000);
});

test('requests that come together on a new connection share one session, which ends with it', async () => {
  const { host, port } = upstream;
  const own = await startHttpGateway({
    upstreams: [{ name: 'crm', host, port, routes: [{ path: '/customers/{id}' }] }],
  });
  const head = `GET /customers/7 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${await own.token()}\r\n\r\n`;
  // The token is known already: nothing keeps the requests apart.
  const warm = connect(own.port, '127.0.0.1');
  await new Promise((resolve) => warm.once('data', resolve).write(head));
  warm.destroy();
  const socket = connect(own.port, '127.0.0.1');
  let answered = '';
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      answered += chunk.toString();
      if (answered.split('HTTP/1.1 200').length === 6) resolve();
    });
    socket.write(head.repeat(5));
  });
  socket.destroy();
  const ofSessions = async (name: string) =>
    new RegExp(`^${name}\\{protocol="http"\\} (\\d+)`, 'm').exec(await own.metrics())?.[1];
  expect(await ofSessions('sallyport_sessions_total')).toBe('2');
  while ((await ofSessions('sallyport_sessions_active')) !== '0');
  await own.stop();
});

test('an upstream that policy does not know is refused, and counted once', async () => {
  const { host, port } = upstream;
  const own = await startHttpGateway({ upstreams: [{ name: 'unlabelled', host, port }] });
  const answer = await fetch(`${own.url}/a`, { headers: { authorization: `Bearer ${await own.token()}` } });
  expect(answer.status).toBe(403);
  await answer.text();
  const counted = (await own.metrics()).match(/^sallyport_refusals_total\{protocol="http".*\} \d+$/gm) ?? [];
  expect(counted.map((line) => line.split(' ').at(-1))).toEqual(['1']);
  await own.stop();
});

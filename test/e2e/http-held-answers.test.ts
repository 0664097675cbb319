import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

const ssn = '078-05-1120';
const row = `{"ssn":"${ssn}"}`;
const json = 'application/json';
/** More than is held. */
const long = `[${`${row},`.repeat(6_000)}`;

let upstream: Upstream;
let gateway: HttpGateway;
let token: string;

beforeAll(async () => {
  upstream = await startUpstream();
  gateway = await startHttpGateway({
    upstreams: [{ name: 'crm', host: upstream.host, port: upstream.port, routes: [{ path: '/customers/{id}' }] }],
    data: { limits: { max_bytes: 400_000 } },
  });
  token = await gateway.token();
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

function ask(): Promise<Response> {
  return fetch(`${gateway.url}/customers/7`, { headers: { authorization: `Bearer ${token}` } });
}

/** The upstream answers all of it at once. */
function answers(contentType: string, body: string): void {
  upstream.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': contentType });
    response.end(body);
  };
}

/** The upstream begins an answer; the rest is the test's. */
function begins(contentType: string, first: string): Promise<ServerResponse> {
  return new Promise((resolve) => {
    upstream.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': contentType });
      response.write(first);
      resolve(response);
    };
  });
}

/** The next piece of an answer. */
function reader(answer: Response) {
  const pieces = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  return async () => (await pieces?.read())?.value;
}

test('an answer that is masked whole says how long it is', async () => {
  answers(json, `[${row},${row}]`);
  const answer = await ask();
  const text = await answer.text();
  expect(JSON.parse(text)).toHaveLength(2);
  expect(text).not.toContain(ssn);
  expect(answer.headers.get('content-length')).toBe(String(text.length));
  answers(json, `${long}${row}]`);
  expect((await ask()).headers.has('content-length')).toBe(false);
});

describe('an answer that cannot be masked', () => {
  test.each([
    ['from its beginning', json, 'no json'],
    ['in the middle of what is held', json, `[${row},${row},oops]`],
    ['at its end', json, `[${row}`],
    ['in its first event', 'text/event-stream', `data: ${row} oops\n\n`],
    ['in its first line', 'application/x-ndjson', `${row} oops\n`],
  ])('%s is a refusal in words, and nothing of it is given', async (_what, type, body) => {
    answers(type, body);
    const answer = await ask();
    expect(answer.status).toBe(502);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const problem = (await answer.json()) as JsonObject;
    expect(problem).toMatchObject({ status: 502, code: 'mask_unprovable', decision_id: expect.any(String) });
    let completed: JsonObject | undefined;
    while (completed === undefined) {
      const events = await gateway.audit();
      completed = events.find((one) => one.event === 'completed' && one.decision_id === problem.decision_id);
    }
    expect(completed).toMatchObject({ status: 'error', code: 'mask_unprovable' });
  });

  test.each([
    ['behind what is held', json, `${long} oops`],
    ['in a later event', 'text/event-stream', `data: ${row}\n\ndata: ${row} oops\n\n`],
  ])('%s is cut off, and never ends as if it were whole', async (_what, type, body) => {
    // In two pieces, because what is in one is masked at once.
    const split = body.length - 20;
    const begun = begins(type, body.slice(0, split));
    const answer = await ask();
    expect(answer.status).toBe(200);
    (await begun).end(body.slice(split));
    await expect(answer.text()).rejects.toThrow();
  });
});

test('an answer that is larger than policy allows is a refusal in words while it is held', async () => {
  const small = await startHttpGateway({
    upstreams: [{ name: 'crm', host: upstream.host, port: upstream.port, routes: [{ path: '/customers/{id}' }] }],
    data: { limits: { max_bytes: 1_000 } },
  });
  answers(json, JSON.stringify('x'.repeat(2_000)));
  const answer = await fetch(`${small.url}/customers/7`, {
    headers: { authorization: `Bearer ${await small.token()}` },
  });
  expect([answer.status, ((await answer.json()) as JsonObject).code]).toEqual([502, 'limit_reached']);
  await small.stop();
});

describe('an answer that can be', () => {
  test('is whole, held or not', async () => {
    for (const body of ['', '{}', `[${row}]`, `${long}${row}]`]) {
      answers(json, body);
      const answer = await ask();
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe(body.replaceAll(ssn, '***1120'));
    }
  });

  test.each([
    ['an event', 'text/event-stream', `data: ${row}\n\n`],
    ['a comment', 'text/event-stream', ': still here\n'],
    ['a line', 'application/x-ndjson', `${row}\n`],
  ])('is given at once where it is a stream: %s', async (_what, type, first) => {
    const begun = begins(type, first);
    const answer = await ask();
    const next = reader(answer);
    // The upstream has said no more.
    expect(await next()).toBe(first.replace(ssn, '***1120'));
    (await begun).end();
  });

  test('is not held for longer than a moment where it comes slowly', async () => {
    const slow = begins(json, `[${row},`);
    const shown = await ask();
    const next = reader(shown);
    expect(await next()).toBe('[{"ssn":"***1120"},');
    (await slow).end('1]');
    expect(await next()).toBe('1]');
  });
});

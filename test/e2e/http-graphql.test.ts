import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

let upstream: Upstream;
let gateway: HttpGateway;
let token: string;

beforeAll(async () => {
  upstream = await startUpstream();
  upstream.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"data":{"customer":{"name":"Ada","email":"ada@example.com"},"who":{"mail":"ada@example.com"}}}');
  };
  gateway = await startHttpGateway({
    upstreams: [{ name: 'graph', host: upstream.host, port: upstream.port, routes: [{ path: '/graphql' }] }],
    data: {
      upstreams: { graph: { labels: { env: 'prod' } } },
      http: {
        upstreams: {
          graph: {
            graphql: { routes: ['/graphql'], mutations: ['addNote'], introspection: false, refuse: ['customer.ssn'] },
            masks: { json: { '$.data.customer.email': { email: {} } } },
          },
        },
      },
    },
  });
  token = await gateway.token();
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});
beforeEach(() => {
  upstream.received.length = 0;
});

async function ask(document: object, type = 'application/json'): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': type };
  return await fetch(`${gateway.url}/graphql`, { method: 'POST', body: JSON.stringify(document), headers });
}

test('a query is answered, with its fields masked', async () => {
  const answer = await ask({ query: '{ customer(id: 1) { name email } }' });
  expect(answer.status).toBe(200);
  const text = await answer.text();
  expect(text).toContain('"name":"Ada"');
  expect(JSON.parse(text).data.customer.email).toBe('***@example.com');
});

test('a field by another name is masked as well', async () => {
  const answer = await ask({ query: '{ who: customer(id: 1) { mail: email } }' });
  expect(answer.status).toBe(200);
  expect(JSON.parse(await answer.text()).data.who.mail).toBe('***@example.com');
});

test('a mutation that is named may be asked for', async () => {
  expect((await ask({ query: 'mutation { addNote(text: "a") { id } }' })).status).toBe(200);
});

test.each([
  ['a field that nobody may have', { query: '{ customer(id: 1) { ssn } }' }],
  ['the same by another name', { query: '{ customer(id: 1) { name: ssn } }' }],
  ['the same in a fragment', { query: '{ customer(id: 1) { ...f } } fragment f on Customer { ssn }' }],
  ['a mutation that is not named', { query: 'mutation { dropAll { id } }' }],
  ['the schema', { query: '{ __schema { types { name } } }' }],
  ['a subscription', { query: 'subscription { customer { name } }' }],
  ['several operations without a name', { query: 'query a { customer { name } } query b { customer { ssn } }' }],
  ['a hash alone', { extensions: { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } } }],
  ['a batch', [{ query: '{ customer { name } }' }]],
  ['what is no GraphQL', { query: '{ customer( }' }],
])('%s is refused, and nothing arrives', async (_what, document) => {
  const answer = await ask(document);
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(upstream.received).toEqual([]);
});

test('of another type it is refused as well', async () => {
  expect((await ask({ query: '{ customer { ssn } }' }, 'text/plain')).status).toBeGreaterThanOrEqual(400);
  expect(upstream.received).toEqual([]);
});

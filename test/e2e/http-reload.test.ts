/** What was made of a request is good for the policy that it was made under: the next policy judges the same request anew. */
import { writeFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import { merge, repositoryData } from '../support/gateway.ts';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

const ssn = '078-05-1120';
const open: JsonObject = {
  upstreams: { crm: { write: ['DELETE /customers/{id}'], approve: null, masks: { json: null, text: {} } } },
};

let upstream: Upstream;
let gateway: HttpGateway;
let token: string;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

beforeAll(async () => {
  upstream = await startUpstream();
  upstream.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ssn }));
  };
  gateway = await startHttpGateway({
    upstreams: [{ name: 'crm', host: upstream.host, port: upstream.port, routes: [{ path: '/customers/{id}' }] }],
    data: { http: open },
  });
  token = await gateway.token();
});
afterAll(async () => {
  agent.destroy();
  await gateway?.stop();
  await upstream?.stop();
});

/** A request on the one connection; false is for one that had to open another. */
async function ask(method: string): Promise<{ status: number | undefined; reused: boolean; body: string }> {
  const headers = { authorization: `Bearer ${token}` };
  const sent = request(`${gateway.url}/customers/7`, { method, agent, headers });
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('response', resolve).on('error', reject).end();
  });
  let body = '';
  for await (const piece of answer) body += piece;
  return { status: answer.statusCode, reused: sent.reusedSocket, body };
}

async function activate(http: JsonObject): Promise<void> {
  await writeFile(gateway.files.dataFile, JSON.stringify(merge(await repositoryData(), { http })));
  await gateway.reload();
}

test('the same request on the same connection is answered as the policy of the moment says', async () => {
  expect(await ask('GET')).toMatchObject({ status: 200, body: expect.stringContaining(ssn) });
  expect(await ask('GET')).toMatchObject({ status: 200, body: expect.stringContaining(ssn), reused: true });
  expect(await ask('DELETE')).toMatchObject({ status: 200, reused: true });

  await activate({});
  expect(await ask('GET')).toMatchObject({ status: 200, body: '{"ssn":"***1120"}', reused: true });
  const held = await ask('DELETE');
  expect(held).toMatchObject({ status: 403, reused: true });
  expect(JSON.parse(held.body)).toMatchObject({ code: 'approval_pending' });

  // What a request is understood as is the policy's to say as well.
  await activate({ upstreams: { crm: { graphql: { routes: ['/customers/{id}'] } } } });
  expect(JSON.parse((await ask('GET')).body)).toMatchObject({ code: 'operation_unsupported' });

  await activate(open);
  expect(await ask('GET')).toMatchObject({ status: 200, body: expect.stringContaining(ssn) });
  expect(await ask('DELETE')).toMatchObject({ status: 200, reused: true });
});

/** What people do to sessions holds on every protocol: they see what its client sees, masked, and end it in its own words. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseEvents, type ServerEvent } from '../../proxy/cli/api.ts';
import { describeTools } from '../clients/tools.ts';
import { apiClient } from '../support/api-client.ts';
import { consoleAudience } from '../support/gateway.ts';
import { type HttpGateway, startHttpGateway } from '../support/http-gateway.ts';
import type { Oidc } from '../support/oidc.ts';
import { closed, connectSsh, startSsh } from '../support/ssh-client.ts';
import { type SshGateway, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd, ordinaryAccount } from '../support/sshd.ts';

/** What an administrator does: finds the one session of a subject, watches it, ends it. */
async function administrator(oidc: Oidc, url: string) {
  const token = await oidc.token({ subject: 'paul', groups: ['platform'], audience: consoleAudience });
  const ask = await apiClient(url, token);
  const find = async (subject: string): Promise<string> => {
    const { body } = await ask('GET', '/api/sessions');
    return body.sessions.find((one: { subject: { id: string } }) => one.subject.id === subject).id;
  };
  const watch = async (id: string): Promise<AsyncGenerator<ServerEvent>> => {
    const { body } = await fetch(`${url}/api/sessions/${id}/live`, { headers: { authorization: `Bearer ${token}` } });
    if (body === null) throw new Error('nothing to watch');
    const events = parseEvents(body);
    // The first says that the watch has begun.
    expect((await events.next()).value).toMatchObject({ event: 'counts' });
    return events;
  };
  const end = (id: string) => ask('DELETE', `/api/sessions/${id}`, { body: { reason: 'that is enough' } });
  return { find, watch, end };
}

/** Bytes of a kind of frame as text, until the session closes. */
async function textUntilClosed(events: AsyncGenerator<ServerEvent>, kind: string): Promise<string> {
  let text = '';
  for await (const { event, data } of events) {
    if (event === 'closed') return text;
    if (data.kind === kind && typeof data.data === 'string') text += Buffer.from(data.data, 'base64').toString('utf8');
  }
  throw new Error('the stream ended before the session');
}

describeTools(['ssh'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  beforeAll(async () => {
    gateway = await startSshGateway({ sshdOptions: { account: ordinaryAccount() }, console: {} });
  });
  afterAll(() => gateway.stop());

  test('over SSH a command is watched, and ended with words on standard error', async () => {
    const client = await connectSsh({ ...gateway, token: await gateway.token('runner') });
    const gone = closed(client);
    const { find, watch, end } = await administrator(gateway.oidc, gateway.gateway.console ?? '');
    // A session begins with the first channel.
    const { ended: first } = await startSsh(client, 'true');
    await first;
    const id = await find('runner');
    const seen = textUntilClosed(await watch(id), 'stdout');
    const { channel, ended } = await startSsh(client, 'echo AKIAIOSFODNN7EXAMPLE and more; sleep 300');
    await new Promise<void>((resolve) => channel.once('data', () => resolve()));
    const startedMs = performance.now();
    expect(await end(id)).toMatchObject({ status: 200 });
    expect(await ended).toMatchObject({ code: 126, stderr: expect.stringContaining('that is enough') });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    await gone;
    expect(await seen).toMatch(/and more/);
    expect(await seen).not.toContain('AKIAIOSFODNN7EXAMPLE');
  });
});

let upstream: Server;
let answer: (response: ServerResponse) => void;
let gateway: HttpGateway;
beforeAll(async () => {
  upstream = createServer((_request, response) => answer(response)).listen(0, '127.0.0.1');
  await new Promise((resolve) => upstream.once('listening', resolve));
  const { port } = upstream.address() as AddressInfo;
  gateway = await startHttpGateway({
    console: true,
    upstreams: [{ name: 'crm', host: '127.0.0.1', port, routes: [{ path: '/customers/{id}' }] }],
  });
});
afterAll(async () => {
  await gateway.stop();
  upstream.closeAllConnections();
  upstream.close();
});

test('over HTTP an answer is watched, and cut off; the next request begins a session of its own', async () => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<ServerResponse>();
  const json = (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{}');
  };
  answer = json;
  const headers = { authorization: `Bearer ${await gateway.token('caller')}` };
  const call = () => fetch(`${gateway.url}/customers/7`, { headers });
  const first = await call();
  expect(`${first.status} ${await first.text()}`).toBe('200 {}');
  const { find, watch, end } = await administrator(gateway.oidc, gateway.gateway.console ?? '');
  const id = await find('caller');
  const seen = textUntilClosed(await watch(id), 'body');
  answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"words":"come one by one"}\n\n');
    begin(response);
  };
  const streaming = await call();
  await begun;
  const startedMs = performance.now();
  expect(await end(id)).toMatchObject({ status: 200 });
  await expect(streaming.text()).rejects.toThrow();
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  expect(await seen).toContain('come one by one');
  answer = json;
  expect((await call()).status).toBe(200);
});

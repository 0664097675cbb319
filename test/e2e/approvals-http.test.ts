/** Requests and calls of tools that wait for a person, through curl and the official MCP client. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { JsonObject } from '../../proxy/core/types.ts';
import { testWith } from '../clients/tools.ts';
import { heldBy, nextRequest, vote } from '../support/approvals.ts';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { startSessionServer, type TestServer } from '../support/mcp-servers.ts';
import { spoken } from '../support/ssh-gateway.ts';

let upstream: Upstream;
let tools: TestServer;
let gateway: HttpGateway;
let calls = 0;

beforeAll(async () => {
  upstream = await startUpstream();
  tools = await startSessionServer({
    tools: [
      {
        definition: { name: 'close_account', inputSchema: { type: 'object' } },
        call: () => {
          calls += 1;
          return { content: [{ type: 'text', text: 'closed' }] };
        },
      },
    ],
  });
  gateway = await startHttpGateway({
    bundle: spoken.bundle,
    data: { modes: null, masks: null, sql: null, ssh: null, limits: null, http: null, mcp: null },
    upstreams: [
      { name: 'crm', prefix: '/crm', host: upstream.host, port: upstream.port },
      { name: 'tools', prefix: '/tools', host: tools.url.hostname, port: Number(tools.url.port), mcp: '/mcp' },
    ],
    limits: { mcp_keep_alive_ms: 20 },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await tools?.close();
  await upstream?.stop();
});

const waits: JsonObject = { groups: ['dba'], mode: 'wait', wait_seconds: 60 };
const tokenOf = (subject: string, access: JsonObject, ...actions: string[]) =>
  gateway.token(subject, { claims: heldBy(access, ...actions) });

/** curl, to its end: status and body. */
function curl(token: string, path: string, ...args: string[]) {
  const child = spawn('curl', [
    ...['-sS', '-w', '\n%{http_code}', '-H', `Authorization: Bearer ${token}`, ...args],
    `${gateway.url}${path}`,
  ]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = new Promise<{ status: number; body: string }>((resolve) => {
    child.once('close', () => {
      const at = output.lastIndexOf('\n');
      resolve({ status: Number(output.slice(at + 1)), body: output.slice(0, at) });
    });
  });
  return { child, ended };
}

/** Until the trail has the decision on what was held. */
async function decided(approval: string, code: string): Promise<void> {
  for (;;) {
    const events = await gateway.audit();
    if (events.some((event) => event.event === 'decided' && event.approval === approval && event.code === code)) return;
  }
}

const withCurl = testWith(['curl']);

describe('a request', () => {
  withCurl('waits, and is answered once it is approved', async () => {
    const { approvals } = gateway.gateway;
    const asked = nextRequest(approvals);
    const { ended } = curl(await tokenOf('waits', waits), '/crm/customers/1', '-X', 'DELETE');
    const approval = await asked;
    expect(approval).toMatchObject({ protocol: 'http', action: 'DELETE', operation: { path: '/customers/1' } });
    expect(upstream.received).toEqual([]);
    await vote(approvals, approval.id);
    expect(await ended).toEqual({ status: 200, body: '{"ok":true}' });
    expect(upstream.received).toHaveLength(1);
  });

  withCurl('that is sent again is the same only with the same body', async () => {
    const { approvals } = gateway.gateway;
    const token = await tokenOf('returns', { groups: ['dba'] });
    // Policy sees the parts of a form by their names only.
    const type = 'Content-Type: multipart/form-data; boundary=x';
    const part = (text: string) => `--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n${text}\r\n--x--\r\n`;
    const post = (text: string) => curl(token, '/crm/notes', '-H', type, '--data-binary', part(text)).ended;
    const first = await post('one');
    expect(first.status).toBe(403);
    const problem: JsonObject = JSON.parse(first.body);
    expect(problem).toMatchObject({ code: 'approval_pending', approval: expect.any(String) });
    await vote(approvals, String(problem.approval));
    expect(JSON.parse((await post('two')).body)).toMatchObject({ code: 'approval_pending' });
    expect((await post('one')).status).toBe(200);
    expect(upstream.received.at(-1)?.body.toString()).toBe(part('one'));
    expect((await post('one')).status).toBe(403);
  });

  withCurl(
    'that is sent again under another name of the try is the same; with any other header it is not',
    async () => {
      const token = await tokenOf('traced', { groups: ['dba'] });
      const trace = (digit: string) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`;
      const send = async (...fields: string[]) => {
        const { body, status } = await curl(
          token,
          '/crm/refunds',
          ...fields.flatMap((field) => ['-H', field]),
          ...['-H', 'Content-Type: application/json', '-d', '{"amount":300}'],
        ).ended;
        const { code, approval }: JsonObject = JSON.parse(body);
        return { status, code, approval };
      };
      const first = await send(`traceparent: ${trace('a')}`, 'x-request-id: 7f-1');
      expect(first).toMatchObject({ status: 403, code: 'approval_pending' });
      await vote(gateway.gateway.approvals, String(first.approval));
      for (const other of [
        ['traceparent: now with words'],
        ['x-request-id: 7f-1; drop=all'],
        [`x-request-id: ${'7'.repeat(65)}`],
        ['idempotency-key: 7f-1'],
        [`traceparent: ${trace('a')}`, 'prefer: return=minimal'],
      ]) {
        const held = await send(...other);
        expect(held).toMatchObject({ status: 403, code: 'approval_pending' });
        expect(held.approval).not.toBe(first.approval);
      }
      expect(await send(`traceparent: ${trace('b')}`, 'x-correlation-id: 7f-2')).toMatchObject({ status: 200 });
      expect(upstream.received.at(-1)?.headers).toContainEqual(['traceparent', trace('b')]);
      expect(await send()).toMatchObject({ code: 'approval_pending' });
    },
  );

  withCurl('shows its approvers what it says, without what nobody may keep', async () => {
    const secret = 'AKIAIOSFODNN7MARKERX';
    const token = await tokenOf('shows', { groups: ['dba'] });
    const sent = JSON.stringify({ amount: 300, note: secret });
    const { body } = await curl(token, '/crm/refunds?b=2&a=1', '-H', 'Content-Type: application/json', '-d', sent)
      .ended;
    const { approval } = JSON.parse(body);
    const found = await gateway.gateway.approvals.get(approval);
    expect(found?.operation.content).toContain('"amount":300');
    expect(JSON.stringify(found)).not.toContain(secret);
    // Another order of its parameters is another request: who knows what the upstream makes of it.
    const other = await curl(token, '/crm/refunds?a=1&b=2', '-H', 'Content-Type: application/json', '-d', sent).ended;
    expect(JSON.parse(other.body).approval).not.toBe(approval);
  });

  withCurl('whose body is not read before it is forwarded can have no approval', async () => {
    const token = await tokenOf('streams', { groups: ['dba'] });
    const { body } = await curl(token, '/crm/notes', '-H', 'Content-Type: application/octet-stream', '-d', 'x').ended;
    expect(JSON.parse(body)).toMatchObject({ code: 'approval_unavailable' });
  });

  withCurl('whose client leaves is not forwarded, whatever is decided afterwards', async () => {
    const { approvals } = gateway.gateway;
    const before = upstream.received.length;
    const asked = nextRequest(approvals);
    const { child, ended } = curl(await tokenOf('leaves', waits), '/crm/customers/2', '-X', 'DELETE');
    const { id } = await asked;
    child.kill('SIGKILL');
    await ended;
    await decided(id, 'approval_abandoned');
    await vote(approvals, id);
    expect(upstream.received).toHaveLength(before);
    expect(await approvals.get(id)).toMatchObject({ state: 'approved', used: [] });
  });
});

describe('a call of a tool', () => {
  /** A client of the official SDK, whose messages but calls of tools need nobody. */
  async function connect(token: string): Promise<Client> {
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${gateway.url}/tools/mcp`), {
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      }),
    );
    return client;
  }

  test('waits on a stream that comments keep alive, and is answered on it', async () => {
    const { approvals } = gateway.gateway;
    const client = await connect(await tokenOf('caller', waits, 'tools/call'));
    const asked = nextRequest(approvals);
    const calling = client.callTool({ name: 'close_account', arguments: { id: 7 } });
    const approval = await asked;
    expect(approval).toMatchObject({ action: 'tools/call', operation: { arguments: '{"id":7}' } });
    expect(calls).toBe(0);
    await vote(approvals, approval.id);
    expect(await calling).toMatchObject({ content: [{ type: 'text', text: 'closed' }] });
    expect(calls).toBe(1);
    await client.close();
  });

  test('keeps a silent client: the stream is there at once, and comments come while it waits', async () => {
    const { approvals } = gateway.gateway;
    const token = await tokenOf('stream', waits, 'tools/call');
    const post = (body: JsonObject, headers: Record<string, string> = {}) =>
      fetch(`${gateway.url}/tools/mcp`, {
        method: 'POST',
        headers: {
          ...{ authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          ...{ accept: 'application/json, text/event-stream', ...headers },
        },
        body: JSON.stringify({ jsonrpc: '2.0', ...body }),
      });
    const clientInfo = { name: 'raw', version: '1' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    const begun = await post({ id: 1, method: 'initialize', params });
    await begun.text();
    const session = {
      'mcp-session-id': begun.headers.get('mcp-session-id') ?? '',
      'mcp-protocol-version': '2025-11-25',
    };
    await post({ method: 'notifications/initialized' }, session);
    const asked = nextRequest(approvals);
    const answer = await post(
      { id: 2, method: 'tools/call', params: { name: 'close_account', arguments: {} } },
      session,
    );
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const { id } = await asked;
    let text = '';
    let voted = false;
    for await (const chunk of answer.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (voted || text.split(':').length < 4) continue;
      voted = true;
      await vote(approvals, id);
    }
    expect(text).toMatch(/^(:[^\n]*\n\n){3,}/);
    expect(text).toContain('"closed"');
  });

  test('that is denied fails as a result that its model reads', async () => {
    const { approvals } = gateway.gateway;
    const client = await connect(await tokenOf('refused', waits, 'tools/call'));
    const asked = nextRequest(approvals);
    const calling = client.callTool({ name: 'close_account', arguments: { id: 8 } });
    const { id } = await asked;
    await vote(approvals, id, { verdict: 'deny' });
    const answer = await calling;
    expect(answer).toMatchObject({ isError: true });
    expect(JSON.stringify(answer.content)).toContain(id);
    await client.close();
  });
});

import { describe, expect, test } from '@jest/globals';
import { refusalOf } from '../../../../../proxy/core/refusal.ts';
import type { Identity, Json, JsonObject } from '../../../../../proxy/core/types.ts';
import type { Header } from '../../../../../proxy/protocols/http/contract.ts';
import {
  bearerChallenge,
  type Mask,
  McpExchange,
  type McpMessage,
  type McpSession,
  McpSessions,
  mcpOperations,
  type Outgoing,
  protectedResourceMetadata,
  protectedResourcePath,
  readMcpRequest,
  refuseFault,
  refuseMessage,
  Sealer,
  type ServerRequest,
  sessionUnknown,
  ToolPins,
} from '../../../../../proxy/protocols/http/mcp/index.ts';
import { canonicalRequest } from './proxied.ts';

const identity = (id: string): Identity => ({
  ...{ type: 'agent', issuer: 'https://idp.example', id, groups: [], claims: {}, chain: [] },
  expiresAtMs: Number.POSITIVE_INFINITY,
});
const owner = (id = 'ana') => ({ identity: identity(id), upstream: 'tools' });
const sealer = new Sealer(new Uint8Array(32).fill(7));

function sessions(nowMs: () => number = () => 0) {
  let count = 0;
  return new McpSessions({ clock: nowMs, randomBytes: (length) => new Uint8Array(length).fill(count++ % 256) });
}

const envelope = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

function posted(method: string, params: JsonObject = {}, id: Json = 1, stateless = true): McpMessage {
  const name = params.name ?? params.uri;
  const headers: Header[] = [
    ['content-type', 'application/json'],
    ...(stateless
      ? ([
          ['mcp-protocol-version', '2026-07-28'],
          ['mcp-method', method],
        ] as const)
      : []),
    ...(stateless && typeof name === 'string' ? [['mcp-name', name] as const] : []),
  ];
  const whole = stateless ? { ...params, _meta: envelope } : params;
  const read = readMcpRequest(canonicalRequest('POST', headers), { jsonrpc: '2.0', id, method, params: whole });
  if ('fault' in read) throw new Error(read.fault.message);
  return read.message;
}

function streamed(lastEventId?: string): McpMessage {
  const headers: Header[] = lastEventId === undefined ? [] : [['last-event-id', lastEventId]];
  const read = readMcpRequest(canonicalRequest('GET', headers), undefined);
  if ('fault' in read) throw new Error(read.fault.message);
  return read.message;
}

interface About {
  readonly session?: McpSession;
  readonly as?: string;
  readonly serverRequests?: ReadonlySet<ServerRequest>;
  readonly pins?: ToolPins;
  readonly mask?: Mask;
}

function exchanged(message: McpMessage, { session, as, serverRequests, pins, mask }: About = {}): McpExchange {
  return new McpExchange({
    ...{ message, owner: owner(as), session, sealer, serverRequests, config: {}, decisionId: 'd-9' },
    mask: mask ?? ((value) => value),
    pins: pins ?? new ToolPins({ clock: () => 0 }),
  });
}

function begun(exchange: McpExchange): Outgoing {
  const outgoing = exchange.begin();
  if ('fault' in outgoing) throw new Error(outgoing.fault.message);
  return outgoing;
}

describe('answers', () => {
  test('go to the request they belong to, once', () => {
    const exchange = exchanged(posted('tools/call', { name: 'add' }));
    begun(exchange);
    const answer = { jsonrpc: '2.0', id: 1, result: { resultType: 'complete', content: [] } };
    for (const id of [2, '1', 'x']) {
      expect(exchange.judge({ ...answer, id })).toMatchObject({ kind: 'drop', fault: { code: 'operation_malformed' } });
    }
    expect(exchange.judge(answer)).toEqual({ kind: 'forward', value: answer, unchanged: true });
    expect(exchange.answered).toBe(true);
    expect(exchange.judge(answer)).toMatchObject({ kind: 'drop' });
  });

  test('an id that waits for its answer is not used twice in one session', () => {
    const session = sessions().open(owner(), 'up');
    if (session === undefined) throw new Error('no session');
    const first = exchanged(posted('ping', {}, 5, false), { session });
    begun(first);
    expect(exchanged(posted('ping', {}, 5, false), { session }).begin()).toMatchObject({ status: 400, id: 5 });
    expect(exchanged(posted('ping', {}, '5', false), { session }).begin()).toMatchObject({
      headers: expect.anything(),
    });
    first.end();
    expect(exchanged(posted('ping', {}, 5, false), { session }).begin()).toMatchObject({ headers: expect.anything() });
  });

  test.each<[string, Json]>([
    ['a batch', [{ jsonrpc: '2.0', id: 1, result: {} }]],
    ['an answer with more in it', { jsonrpc: '2.0', id: 1, result: {}, method: 'ping', x: 1 }],
    ['a result that is no object', { jsonrpc: '2.0', id: 1, result: [] }],
    ['an error without a code', { jsonrpc: '2.0', id: 1, error: { message: 'x' } }],
  ])('%s is dropped', (_, said) => {
    const exchange = exchanged(posted('tools/list'));
    begun(exchange);
    expect(exchange.judge(said).kind).toBe('drop');
  });

  test('an error that names no request is the answer to what was just sent', () => {
    const exchange = exchanged(posted('tools/list'));
    begun(exchange);
    const said = { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'Unsupported' } };
    expect(exchange.judge(said)).toEqual({ kind: 'forward', value: said, unchanged: true });
    expect(exchange.answered).toBe(true);
  });

  test('what a server lets others keep is nobody else’s, and for a bounded time', () => {
    const read = (result: JsonObject) => {
      const exchange = exchanged(posted('resources/read', { uri: 'a:b' }));
      begun(exchange);
      const verdict = exchange.judge({ jsonrpc: '2.0', id: 1, result });
      return verdict.kind === 'forward' ? verdict.value.result : undefined;
    };
    const contents: Json = [];
    expect(read({ contents, cacheScope: 'public', ttlMs: 9e9 })).toEqual({
      contents,
      cacheScope: 'private',
      ttlMs: 60_000,
    });
    expect(read({ contents, ttlMs: -1 })).toEqual({ contents, cacheScope: 'private', ttlMs: 0 });
    expect(read({ contents, ttlMs: 'long' })).toEqual({ contents, cacheScope: 'private', ttlMs: 0 });
  });

  test('capabilities that nothing of passes are not advertised', () => {
    const exchange = exchanged(posted('server/discover'));
    begun(exchange);
    const capabilities = { tools: {}, tasks: {}, experimental: { x: {} }, extensions: {} };
    const result = { resultType: 'complete', supportedVersions: ['2099-01-01', '2026-07-28'], capabilities };
    expect(exchange.judge({ jsonrpc: '2.0', id: 1, result })).toMatchObject({
      ...{ kind: 'forward', unchanged: false },
      value: { result: { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, cacheScope: 'private' } },
    });
  });

  test('a revision that the gateway does not understand is not agreed on', () => {
    const hello = { protocolVersion: '2099-01-01', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
    const exchange = exchanged(posted('initialize', hello, 1, false));
    begun(exchange);
    const result = { protocolVersion: '2099-01-01', capabilities: {}, serverInfo: { name: 's', version: '1' } };
    const verdict = exchange.judge({ jsonrpc: '2.0', id: 1, result });
    expect(verdict).toMatchObject({ kind: 'refuse', fault: { code: 'operation_unsupported' } });
    expect(verdict).toMatchObject({ value: { id: 1, error: { data: { decision_id: 'd-9' } } } });
  });
});

describe('lists', () => {
  const tool = (name: string, description = '') => ({ name, description, inputSchema: { type: 'object' } });

  function list(result: JsonObject, pins = new ToolPins({ clock: () => 0 }), method = 'tools/list') {
    const exchange = exchanged(posted(method), { pins });
    begun(exchange);
    return exchange.judge({ jsonrpc: '2.0', id: 1, result });
  }

  test('are taken apart, and put together again with what may be shown', () => {
    const verdict = list({
      tools: [tool('a'), { ...tool('b'), execution: {} }],
      nextCursor: 'n',
      cacheScope: 'public',
    });
    if (verdict.kind !== 'list') throw new Error(verdict.kind);
    expect(verdict.items.map(({ target }) => target)).toEqual([{ tool: 'a' }, { tool: 'b' }]);
    expect(verdict.keep(new Set(verdict.items.slice(1)))).toEqual({
      ...{ jsonrpc: '2.0', id: 1 },
      result: { tools: [tool('b')], nextCursor: 'n', cacheScope: 'private', ttlMs: 0 },
    });
    expect(verdict.keep(new Set())).toMatchObject({ result: { tools: [] } });
  });

  test('show no tool that changed, on any page', () => {
    const pins = new ToolPins({ clock: () => 0 });
    list({ tools: [tool('a')], nextCursor: 'n' }, pins);
    const verdict = list({ tools: [tool('a', 'and another thing'), tool('b')] }, pins);
    expect(verdict).toMatchObject({
      ...{ kind: 'list', items: [{ target: { tool: 'b' } }] },
      withheld: [{ name: 'a', fault: { code: 'tool_changed' } }],
    });
  });

  test.each<[string, JsonObject]>([
    ['two tools of one name', { tools: [tool('a'), tool('a')] }],
    ['no list', { tools: { a: 1 } }],
    ['nothing', {}],
    ['something without a name', { tools: [{ title: 'a' }] }],
    ['more than is read at once', { tools: Array.from({ length: 1_001 }, (_, index) => tool(`t${index}`)) }],
  ])('with %s are refused whole', (_, result) => {
    expect(list(result)).toMatchObject({ kind: 'refuse', value: { error: { code: -32000 } } });
  });

  test('names nobody can see are withheld', () => {
    expect(list({ tools: [tool('a\u200bb'), tool('x'.repeat(257))] })).toMatchObject({
      ...{ items: [], withheld: [{ fault: { code: 'operation_malformed' } }, {}] },
    });
    const templates = { resourceTemplates: [{ uriTemplate: 'a:{x}' }, { uriTemplate: 'a:../{x}' }] };
    expect(list(templates, undefined, 'resources/templates/list')).toMatchObject({
      ...{ items: [{ target: { resourceUri: 'a:{x}' } }], withheld: [{ name: 'a:../{x}' }] },
    });
  });
});

describe('what servers say by themselves', () => {
  const note = (method: string, params?: JsonObject) => ({ jsonrpc: '2.0', method, ...(params && { params }) });

  test('passes where it is known', () => {
    const exchange = exchanged(posted('tools/list'));
    expect(exchange.judge(note('notifications/tools/list_changed')).kind).toBe('forward');
    expect(exchange.judge(note('notifications/progress', { progressToken: 1, progress: 1 })).kind).toBe('forward');
    expect(exchange.judge(note('notifications/elicitation/complete', { elicitationId: 'x' })).kind).toBe('drop');
    expect(exchange.judge(note('notifications/claude/run', {})).kind).toBe('drop');
    expect(exchange.judge(note('notifications/cancelled', { requestId: 1 })).kind).toBe('drop');
    expect(exchange.judge(note('notifications/resources/updated', { uri: 'a:b' })).kind).toBe('drop');
  });

  test('a question is answered by the gateway, and in the stateless era by nobody', () => {
    const ask = { jsonrpc: '2.0', id: 4, method: 'roots/list' };
    expect(exchanged(posted('tools/list')).judge(ask)).toMatchObject({ kind: 'drop' });
    const session = sessions().open(owner(), 'up');
    if (session === undefined) throw new Error('no session');
    expect(exchanged(streamed(), { session }).judge(ask)).toMatchObject({
      ...{ kind: 'answer', value: { jsonrpc: '2.0', id: 4, error: { code: -32601 } } },
    });
    const serverRequests = new Set(['roots/list'] as const);
    const allowed = exchanged(streamed(), { session, serverRequests });
    expect(allowed.judge(ask)).toEqual({ kind: 'forward', value: ask, unchanged: true });
    expect(allowed.judge(ask)).toMatchObject({ kind: 'drop' });
    expect(allowed.judge({ ...ask, id: 5, method: 'tools/call' })).toMatchObject({ kind: 'answer' });
  });

  test('an error that sends the person to a page is a refusal', () => {
    const exchange = exchanged(posted('tools/call', { name: 'add' }));
    begun(exchange);
    const error = { code: -32042, message: 'visit', data: { elicitations: [{ url: 'https://evil.example' }] } };
    const verdict = exchange.judge({ jsonrpc: '2.0', id: 1, error });
    expect(verdict).toMatchObject({ kind: 'refuse', value: { result: { isError: true } } });
    expect(JSON.stringify(verdict)).not.toMatch(/evil/);
  });
});

describe('masks', () => {
  const hide: Mask = (value) => JSON.parse(JSON.stringify(value).replaceAll('4111', '****'));

  test('apply to whatever the server says, in whichever form', () => {
    const session = sessions().open(owner(), 'up');
    const serverRequests = new Set(['sampling/createMessage'] as const);
    const said: JsonObject[] = [
      { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: '4111' }] } },
      { jsonrpc: '2.0', id: 1, error: { code: 1, message: '4111', data: '4111' } },
      { jsonrpc: '2.0', id: null, error: { code: 1, message: '4111' } },
      { jsonrpc: '2.0', method: 'notifications/message', params: { data: '4111' } },
      { jsonrpc: '2.0', id: 2, method: 'sampling/createMessage', params: { systemPrompt: '4111' } },
    ];
    for (const one of said) {
      const about = { ...(session && { session }), serverRequests, mask: hide };
      const exchange = exchanged(posted('tools/call', { name: 'add' }, 1, false), about);
      begun(exchange);
      const verdict = exchange.judge(one);
      expect(verdict).toMatchObject({ kind: 'forward', unchanged: false });
      expect(JSON.stringify(verdict)).toContain('****');
      expect(JSON.stringify(verdict)).not.toContain('4111');
      exchange.end();
    }
    const exchange = exchanged(posted('tools/list'), { mask: hide });
    begun(exchange);
    const listed = exchange.judge({ jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'a', description: '4111' }] } });
    expect(listed.kind === 'list' && JSON.stringify(listed.keep(new Set(listed.items)))).toContain('****');
  });

  test('of a call apply to its answer on the stream that is taken up again', () => {
    const session = sessions().open(owner(), 'up');
    if (session === undefined) throw new Error('no session');
    const call = exchanged(posted('tools/call', { name: 'add' }, 1, false), { session, mask: hide });
    begun(call);
    const lastEventId = call.sealEventId('e');
    call.end();
    const resumed = exchanged(streamed(lastEventId), { session });
    begun(resumed);
    expect(resumed.judge({ jsonrpc: '2.0', id: 1, result: { content: ['4111'] } })).toMatchObject({
      ...{ kind: 'forward', value: { result: { content: ['****'] } } },
    });
  });
});

describe('questions inside an answer', () => {
  const ask = (inputRequests: JsonObject, requestState?: Json): JsonObject => ({
    ...{ jsonrpc: '2.0', id: 1 },
    result: { resultType: 'input_required', inputRequests, ...(requestState !== undefined && { requestState }) },
  });
  const who = { who: { method: 'elicitation/create', params: { message: 'Who?' } } };
  const serverRequests: ReadonlySet<ServerRequest> = new Set(['elicitation/create']);

  function asked(about: About, said: JsonObject, method = 'tools/call', params: JsonObject = { name: 'add' }) {
    const exchange = exchanged(posted(method, params), about);
    begun(exchange);
    return exchange.judge(said);
  }

  test('are refused, whichever of them is not let', () => {
    expect(asked({}, ask(who))).toMatchObject({ kind: 'refuse', value: { result: { isError: true } } });
    const both = { ...who, more: { method: 'sampling/createMessage', params: {} } };
    expect(asked({ serverRequests }, ask(both)).kind).toBe('refuse');
    expect(asked({ serverRequests }, ask({ who: { ...who.who, id: 1 } })).kind).toBe('refuse');
    expect(asked({ serverRequests }, ask({})).kind).toBe('refuse');
    expect(asked({ serverRequests }, ask(who), 'tools/list', {}).kind).toBe('refuse');
    expect(asked({}, ask({}, 'later')).kind).toBe('forward');
  });

  function state(about: About): string {
    const verdict = asked(about, ask(who, 'inner'));
    if (verdict.kind !== 'forward') throw new Error(verdict.kind);
    return String(Object(verdict.value.result).requestState);
  }

  const retried = (requestState: string, inputResponses: JsonObject, as = 'ana', name = 'add') =>
    exchanged(posted('tools/call', { name, requestState, inputResponses }), { as, serverRequests }).begin();

  test('are answered by whom they were put to, for the same tool, and with nothing else', () => {
    const sealed = state({ serverRequests });
    expect(sealed).not.toContain('inner');
    const fine = retried(sealed, { who: { action: 'accept' } });
    expect(fine).toMatchObject({ body: { params: { requestState: 'inner', inputResponses: { who: {} } } } });
    expect(retried(sealed, { who: {} }, 'eve')).toMatchObject({ status: 400 });
    expect(retried(sealed, { who: {} }, 'ana', 'drop')).toMatchObject({ status: 400 });
    expect(retried(sealed, { admin: {} })).toMatchObject({ status: 400 });
    expect(retried(`${sealed}A`, { who: {} })).toMatchObject({ status: 400 });
    expect(retried('inner', { who: {} })).toMatchObject({ status: 400 });
  });

  test('a state that the server did not give is not made up for it', () => {
    const verdict = asked({ serverRequests }, ask(who));
    const sealed = verdict.kind === 'forward' ? String(Object(verdict.value.result).requestState) : '';
    const again = retried(sealed, { who: {} });
    if ('fault' in again) throw new Error(again.fault.message);
    expect(again.body?.params).not.toHaveProperty('requestState');
  });
});

describe('sessions', () => {
  test('event ids belong to a session of one owner', () => {
    const store = sessions();
    const [mine, other] = [store.open(owner(), 'up-1'), store.open(owner(), 'up-2')];
    if (mine === undefined || other === undefined) throw new Error('no session');
    const sealed = exchanged(streamed(), { session: mine }).sealEventId('stream_1');
    expect(begun(exchanged(streamed(sealed), { session: mine })).headers).toContainEqual(['last-event-id', 'stream_1']);
    expect(exchanged(streamed(sealed), { session: other }).begin()).toMatchObject({ status: 400 });
    expect(exchanged(streamed(sealed), { session: mine, as: 'eve' }).begin()).toMatchObject({ status: 400 });
    expect(exchanged(streamed('stream_1'), { session: mine }).begin()).toMatchObject({ status: 400 });
  });

  test('are found by their owner alone: same subject, same chain, same upstream', () => {
    const store = sessions();
    const session = store.open(owner(), 'up');
    const id = session?.id ?? '';
    expect(store.find(id, owner())).toBe(session);
    expect(store.find(id, owner('eve'))).toBeUndefined();
    expect(store.find(id, { ...owner(), upstream: 'crm' })).toBeUndefined();
    const behalf = { ...identity('ana'), chain: [{ issuer: 'https://idp.example', id: 'bo', groups: [] }] };
    expect(store.find(id, { identity: behalf, upstream: 'tools' })).toBeUndefined();
    expect(store.find('up', owner())).toBeUndefined();
  });

  test('one subject’s sessions push each other out, and nobody else’s', () => {
    let now = 0;
    const store = sessions(() => now++);
    const others = store.open(owner('bo'), 'theirs');
    const first = store.open(owner(), 'first');
    for (let index = 0; index < 64; index++) store.open(owner(), `up-${index}`);
    expect(store.find(first?.id ?? '', owner())).toBeUndefined();
    expect(store.find(others?.id ?? '', owner('bo'))).toBe(others);
  });

  test('one that nobody used for hours is over', () => {
    let now = 0;
    const store = sessions(() => now);
    const session = store.open(owner(), 'up');
    now = 4 * 3600_000;
    expect(store.find(session?.id ?? '', owner())).toBe(session);
    now += 4 * 3600_000 + 1;
    expect(store.find(session?.id ?? '', owner())).toBeUndefined();
  });

  test('a session keeps to the revision that was agreed on', () => {
    const session = sessions().open(owner(), 'up');
    if (session === undefined) throw new Error('no session');
    session.version = '2025-06-18';
    const read = readMcpRequest(canonicalRequest('GET', [['mcp-protocol-version', '2025-11-25']]), undefined);
    if ('fault' in read) throw new Error('refused');
    expect(exchanged(read.message, { session }).begin()).toMatchObject({ status: 400 });
  });
});

describe('refusals', () => {
  const refusal = refusalOf('d-1', { code: 'policy_undefined', message: 'No policy allows this.' }, [], false);

  test('of a call are results, of other requests errors, of anything else HTTP’s', () => {
    expect(refuseMessage(posted('tools/call', { name: 'add' }), refusal)).toEqual({
      status: 200,
      body: {
        ...{ jsonrpc: '2.0', id: 1 },
        result: {
          ...{ resultType: 'complete', isError: true },
          content: [{ type: 'text', text: expect.stringMatching(/policy_undefined.*No policy.*Ask the.*d-1/) }],
          _meta: { 'sallyport/refusal': expect.objectContaining({ code: 'policy_undefined', decision_id: 'd-1' }) },
        },
      },
    });
    expect(refuseMessage(posted('prompts/list'), refusal)).toMatchObject({
      ...{ status: 200, body: { id: 1, error: { code: -32000, data: { code: 'policy_undefined' } } } },
    });
    expect(refuseMessage(streamed(), refusal)).toMatchObject({ status: 403, body: { id: null } });
    expect(sessionUnknown(posted('ping', {}, 3, false))).toMatchObject({ status: 404, body: { id: 3 } });
  });

  test('of what could not be read carry the words of JSON-RPC and the number of the decision', () => {
    const read = readMcpRequest(canonicalRequest('POST', [['content-type', 'application/json']]), []);
    if ('message' in read) throw new Error('accepted');
    expect(refuseFault(read, 'd-2')).toMatchObject({
      ...{ status: 400, body: { jsonrpc: '2.0', id: null, error: { code: -32600, data: { decision_id: 'd-2' } } } },
    });
  });

  test('a client without a token learns where to get one', () => {
    const resourceMetadata = `https://gw.example${protectedResourcePath('/crm/mcp')}`;
    expect(bearerChallenge({ resourceMetadata })).toBe(
      'Bearer resource_metadata="https://gw.example/.well-known/oauth-protected-resource/crm/mcp"',
    );
    const about = {
      resourceMetadata,
      error: 'invalid_token',
      description: 'a "bad"\r\none',
      scopes: ['a', 'b'],
    } as const;
    expect(bearerChallenge(about)).toMatch(/error="invalid_token", error_description="a \?bad\?\?\?one", scope="a b"$/);
    const resource = 'https://gw.example/crm/mcp';
    expect(protectedResourceMetadata({ resource, authorizationServers: ['https://idp.example'], scopes: [] })).toEqual({
      ...{ resource, authorization_servers: ['https://idp.example'], bearer_methods_supported: ['header'] },
    });
  });
});

test('a subscription is an operation for each of its resources', () => {
  const notifications = { toolsListChanged: true, resourceSubscriptions: ['a:b', 'a:c'] };
  const operations = mcpOperations(posted('subscriptions/listen', { notifications }), { upstream: 'crm', labels: {} });
  expect(operations.map(({ action, resource }) => [action.name, resource.type, resource.id])).toEqual([
    ['subscriptions/listen', 'mcp_server', 'crm'],
    ['resources/subscribe', 'resource', 'crm/a:b'],
    ['resources/subscribe', 'resource', 'crm/a:c'],
  ]);
});

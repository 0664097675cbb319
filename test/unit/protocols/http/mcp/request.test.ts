import { describe, expect, test } from '@jest/globals';
import type { Json } from '../../../../../proxy/core/types.ts';
import type { Header } from '../../../../../proxy/protocols/http/contract.ts';
import { encodeValue } from '../../../../../proxy/protocols/http/mcp/headers.ts';
import {
  type McpFault,
  type McpMessage,
  type ReadOptions,
  readMcpRequest,
} from '../../../../../proxy/protocols/http/mcp/index.ts';
import { canonicalRequest } from './proxied.ts';

const json: Header = ['content-type', 'application/json'];
const envelope = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

function read(body: Json, headers: readonly Header[] = [], options: ReadOptions = {}) {
  return readMcpRequest(canonicalRequest('POST', [json, ...headers]), body, options);
}

function message(result: { readonly message: McpMessage } | McpFault): McpMessage {
  if ('fault' in result) throw new Error(result.fault.message);
  return result.message;
}

function refused(result: { readonly message: McpMessage } | McpFault): McpFault {
  if ('message' in result) throw new Error('it was accepted');
  return result;
}

const call = (params: object, method = 'tools/call') => ({ jsonrpc: '2.0', id: 1, method, params }) as unknown as Json;
const statelessHeaders = (method: string, name?: string): Header[] => [
  ['mcp-protocol-version', '2026-07-28'],
  ['mcp-method', method],
  ...(name === undefined ? [] : [['mcp-name', name] as const]),
];

describe('golden messages', () => {
  test('a call of the session era, without headers of its own', () => {
    expect(message(read(call({ name: 'add', arguments: { a: 1 } }), [['mcp-session-id', 'abc']]))).toEqual({
      kind: 'request',
      id: 1,
      method: 'tools/call',
      era: 'session',
      version: undefined,
      sessionId: 'abc',
      target: { tool: 'add', arguments: { a: 1 } },
      subscriptions: [],
      paramHeaders: [],
      headers: [json, ['accept', 'application/json, text/event-stream']],
      value: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1 } } },
    });
  });

  test('a call of the stateless era; a session id means nothing there', () => {
    const params = { name: 'añadir', arguments: {}, _meta: envelope };
    const headers = statelessHeaders('tools/call', '=?base64?YcOxYWRpcg==?=');
    expect(message(read(call(params), [...headers, ['mcp-session-id', 'abc']]))).toMatchObject({
      era: 'stateless',
      version: '2026-07-28',
      sessionId: undefined,
      target: { tool: 'añadir' },
      headers: [json, ['accept', 'application/json, text/event-stream'], ...headers],
    });
  });

  test('a stream, its resumption and the end of a session', () => {
    const headers: Header[] = [
      ['mcp-session-id', 'abc'],
      ['mcp-protocol-version', '2025-11-25'],
      ['last-event-id', 'x.y'],
    ];
    expect(message(readMcpRequest(canonicalRequest('GET', headers), undefined))).toMatchObject({
      ...{ kind: 'stream', era: 'session', sessionId: 'abc', lastEventId: 'x.y' },
      headers: [
        ['accept', 'text/event-stream'],
        ['mcp-protocol-version', '2025-11-25'],
      ],
    });
    expect(message(readMcpRequest(canonicalRequest('DELETE', headers), undefined))).toMatchObject({ kind: 'end' });
  });

  test('an answer to a request of the server, and a notification', () => {
    expect(message(read({ jsonrpc: '2.0', id: 'q', result: { roots: [] } }))).toMatchObject({
      ...{ kind: 'response', id: 'q', value: { jsonrpc: '2.0', id: 'q', result: { roots: [] } } },
    });
    const error = { code: -1, message: 'no' };
    expect(message(read({ jsonrpc: '2.0', id: 2, error }))).toMatchObject({ value: { jsonrpc: '2.0', id: 2, error } });
    expect(message(read({ jsonrpc: '2.0', method: 'notifications/initialized' }))).toMatchObject({
      ...{ kind: 'notification', value: { jsonrpc: '2.0', method: 'notifications/initialized' } },
    });
  });

  test.each<[string, object, object]>([
    ['resources/read', { uri: 'file:///a/b.md' }, { resourceUri: 'file:///a/b.md' }],
    ['resources/subscribe', { uri: 'db://main/t?x=1' }, { resourceUri: 'db://main/t?x=1' }],
    ['prompts/get', { name: 'p', arguments: { a: 'b' } }, { prompt: 'p', arguments: { a: 'b' } }],
    [
      'completion/complete',
      { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'x', value: 'y' } },
      { prompt: 'p', arguments: { x: 'y' } },
    ],
    [
      'completion/complete',
      {
        ref: { type: 'ref/resource', uri: 'repo://{owner}/{name}' },
        argument: { name: 'name', value: 's' },
        context: { arguments: { owner: 'o' } },
      },
      { resourceUri: 'repo://{owner}/{name}', arguments: { owner: 'o', name: 's' } },
    ],
    ['tools/list', { cursor: 'whatever \u0000 the server likes' }, {}],
    ['ping', {}, {}],
    ['logging/setLevel', { level: 'debug' }, {}],
  ])('%s is about %j', (method, params, target) => {
    expect(message(read(call(params, method)))).toMatchObject({ kind: 'request', method, target });
  });
});

describe('only what was understood goes on', () => {
  test('members of _meta that are not the protocol’s do not, nor what a client offers and nobody would keep', () => {
    const offer = { sampling: {}, roots: {}, elicitation: { url: {} }, tasks: {}, experimental: { x: {} } };
    const _meta = {
      ...envelope,
      'io.modelcontextprotocol/clientCapabilities': offer,
      'io.modelcontextprotocol/clientInfo': { name: 'c', version: '1', tenant: 'root' },
      'vendor/tenant': 'root',
      baggage: 'a=b',
      progressToken: 5,
      traceparent: '00-1',
    };
    const read1 = message(read(call({ _meta }, 'tools/list'), statelessHeaders('tools/list')));
    expect(read1).toMatchObject({ kind: 'request' });
    expect(read1.kind === 'request' && read1.value.params).toEqual({
      _meta: {
        ...envelope,
        'io.modelcontextprotocol/clientInfo': { name: 'c', version: '1' },
        ...{ progressToken: 5, traceparent: '00-1' },
      },
    });
  });

  test('an allowed capability does', () => {
    const hello = {
      protocolVersion: '2025-11-25',
      capabilities: { sampling: {}, roots: {} },
      clientInfo: { name: 'c' },
    };
    const options = { serverRequests: new Set(['sampling/createMessage'] as const) };
    const initialize = message(read(call(hello, 'initialize'), [], options));
    expect(initialize.kind === 'request' && initialize.value.params?.capabilities).toEqual({ sampling: {} });
  });
});

describe('hostile messages', () => {
  test.each<[string, Json]>([
    ['a batch', [call({}, 'ping')]],
    ['an empty batch', []],
    ['no object', 'ping'],
    ['another version', { jsonrpc: '1.0', id: 1, method: 'ping' }],
    ['no version', { id: 1, method: 'ping' }],
    ['a request that is an answer too', { jsonrpc: '2.0', id: 1, method: 'ping', result: {} }],
    ['an answer that is an error too', { jsonrpc: '2.0', id: 1, result: {}, error: { code: 1, message: '' } }],
    ['a member that is not known', { jsonrpc: '2.0', id: 1, method: 'ping', tenant: 'x' }],
    ['an id that is null', { jsonrpc: '2.0', id: null, method: 'ping' }],
    ['an id that is a fraction', { jsonrpc: '2.0', id: 1.5, method: 'ping' }],
    ['an id past the safe integers', { jsonrpc: '2.0', id: 2 ** 53, method: 'ping' }],
    ['an id that is an object', { jsonrpc: '2.0', id: {}, method: 'ping' }],
    ['an id that is too long', { jsonrpc: '2.0', id: 'x'.repeat(257), method: 'ping' }],
    ['parameters in order', { jsonrpc: '2.0', id: 1, method: 'ping', params: [] }],
    ['a method that is no name', { jsonrpc: '2.0', id: 1, method: 'pi\u200bng' }],
    ['an answer to nothing', { jsonrpc: '2.0', id: null, error: { code: 1, message: '' } }],
  ])('%s is refused with 400', (_, body) => {
    expect(refused(read(body))).toMatchObject({ status: 400, rpc: { code: -32600 }, id: null });
  });

  test.each([
    'tasks/get',
    'sampling/createMessage',
    'tools/delete',
    'TOOLS/CALL',
    'tools/call ',
    'constructor',
    '__proto__',
    'server/discover',
    'subscriptions/listen',
  ])('the method %j does not pass in the session era', (method) => {
    expect(refused(read(call({}, method)))).toMatchObject({
      ...{ fault: { code: 'operation_unsupported' }, rpc: { code: -32601 }, status: 200, id: 1 },
    });
  });

  test.each(['initialize', 'ping', 'resources/subscribe', 'logging/setLevel', 'tasks/get'])(
    'the method %s does not pass in the stateless era',
    (method) => {
      expect(refused(read(call({ _meta: envelope }, method), statelessHeaders(method)))).toMatchObject({
        ...{ rpc: { code: -32601 }, status: 404 },
      });
    },
  );

  test.each<[string, string, object]>([
    ['no name', 'tools/call', {}],
    ['a name with an invisible character', 'tools/call', { name: 'add\u200b' }],
    ['half of a character', 'tools/call', { name: 'add\ud800' }],
    ['a name that is too long', 'tools/call', { name: 'a'.repeat(257) }],
    ['arguments in order', 'tools/call', { name: 'add', arguments: [] }],
    ['a member that policy would not see', 'tools/call', { name: 'add', tool: 'drop' }],
    ['a task', 'tools/call', { name: 'add', task: { ttl: 1 } }],
    ['a member of a later revision', 'tools/call', { name: 'add', requestState: 'x' }],
    ['an inherited member', 'tools/call', { name: 'add', constructor: 1 }],
    ['an address that climbs', 'resources/read', { uri: 'file:///docs/../etc/passwd' }],
    ['arguments that are no texts', 'prompts/get', { name: 'p', arguments: { a: 1 } }],
    ['a reference to something else', 'completion/complete', { ref: { type: 'ref/tool', name: 'x' }, argument: {} }],
  ])('%s is refused', (_, method, params) => {
    const fault = refused(read(call(params, method)));
    expect(fault).toMatchObject({ fault: { code: 'operation_malformed' }, rpc: { code: -32602 }, id: 1 });
  });

  test('nothing but JSON is read, at nothing but the endpoint itself', () => {
    const body = call({}, 'ping');
    expect(refused(readMcpRequest(canonicalRequest('POST', [['content-type', 'text/plain']]), body)).status).toBe(415);
    expect(refused(readMcpRequest(canonicalRequest('POST', [json], 'read_only=false'), body)).status).toBe(400);
    expect(refused(readMcpRequest(canonicalRequest('PUT', [json]), body)).status).toBe(405);
    expect(refused(readMcpRequest(canonicalRequest('DELETE', []), undefined)).status).toBe(400);
    const stateless: Header[] = [['mcp-protocol-version', '2026-07-28']];
    expect(refused(readMcpRequest(canonicalRequest('GET', stateless), undefined)).status).toBe(405);
  });

  test('a subscription names its resources, a bounded number of them', () => {
    const listen = (resourceSubscriptions: string[]) =>
      read(
        call({ _meta: envelope, notifications: { resourceSubscriptions } }, 'subscriptions/listen'),
        statelessHeaders('subscriptions/listen'),
      );
    expect(message(listen(['a:b', 'a:b', 'a:c']))).toMatchObject({ subscriptions: ['a:b', 'a:c'] });
    expect(refused(listen(['file:///a/%2e%2e/b'])).rpc.code).toBe(-32602);
    expect(refused(listen(Array.from({ length: 101 }, (_, index) => `a:${index}`))).rpc.code).toBe(-32602);
  });
});

describe('headers must say what the body says', () => {
  const params = { name: 'add', arguments: {}, _meta: envelope };
  const mismatch = { status: 400, rpc: { code: -32020 }, id: 1 };

  test.each<[string, Header[]]>([
    ['another method', statelessHeaders('tools/list', 'add')],
    ['another tool', statelessHeaders('tools/call', 'drop')],
    ['another case', statelessHeaders('tools/call', 'Add')],
    ['no tool', statelessHeaders('tools/call')],
    [
      'no method',
      [
        ['mcp-protocol-version', '2026-07-28'],
        ['mcp-name', 'add'],
      ],
    ],
    [
      'no version',
      [
        ['mcp-method', 'tools/call'],
        ['mcp-name', 'add'],
      ],
    ],
    [
      'the version of another era',
      [['mcp-protocol-version', '2025-11-25'], ...statelessHeaders('tools/call', 'add').slice(1)],
    ],
    ['base64 with bits to spare', statelessHeaders('tools/call', '=?base64?YWRk=?=')],
    ['base64 that is not UTF-8', statelessHeaders('tools/call', '=?base64?/w==?=')],
  ])('%s: refused', (_, headers) => {
    expect(refused(read(call(params), headers))).toMatchObject(mismatch);
  });

  test('where they need not be there, they must agree if they are', () => {
    const body = call({ name: 'add' });
    expect(message(read(body, [['mcp-method', 'tools/call']]))).toMatchObject({ era: 'session' });
    expect(refused(read(body, [['mcp-method', 'tools/list']]))).toMatchObject(mismatch);
    expect(refused(read(body, [['mcp-name', 'drop']]))).toMatchObject(mismatch);
    expect(refused(read(call({}, 'ping'), [['mcp-name', 'drop']]))).toMatchObject(mismatch);
    expect(refused(read(body, [['mcp-param-region', 'x']]))).toMatchObject(mismatch);
  });

  test('a header that is there twice, or that nobody knows, is refused', () => {
    const twice: Header[] = [
      ['mcp-method', 'tools/call'],
      ['mcp-method', 'tools/call'],
    ];
    expect(refused(read(call(params), twice)).status).toBe(400);
    expect(refused(read(call({}, 'ping'), [['mcp-tool', 'add']])).status).toBe(400);
    expect(refused(read(call({}, 'ping'), [['mcp-session-id', 'a b']])).status).toBe(400);
    expect(refused(read(call({}, 'ping'), [['mcp-session-id', '']])).status).toBe(400);
  });

  test('a header of the stateless era does not make a request stateless', () => {
    expect(refused(read(call({ name: 'add' }), statelessHeaders('tools/call', 'add')))).toMatchObject({
      ...{ status: 400, rpc: { code: -32602 } },
    });
  });

  test('a revision that is not understood is refused with those that are', () => {
    const later = { ...envelope, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' };
    expect(refused(read(call({ _meta: later }, 'server/discover')))).toMatchObject({
      ...{ status: 400, id: 1 },
      rpc: {
        code: -32022,
        data: { supported: expect.arrayContaining(['2026-07-28', '2025-11-25']), requested: '2099-01-01' },
      },
    });
    expect(refused(read(call({}, 'ping'), [['mcp-protocol-version', '2024-11-05']])).rpc.code).toBe(-32022);
  });

  test('what is encoded is decoded again', () => {
    for (const name of ['add', 'añadir', ' led', '=?base64?eA==?=', '\u{1F600}', 'a b']) {
      const headers = statelessHeaders('tools/call', encodeValue(name));
      expect(message(read(call({ name, _meta: envelope }), headers))).toMatchObject({ target: { tool: name } });
    }
  });
});

import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { connectFacts, subjectDocument } from '../../../proxy/core/documents.ts';
import { createMasker } from '../../../proxy/core/masker.ts';
import type { Identity, JsonObject, OperationFacts } from '../../../proxy/core/types.ts';
import { inputOf, projectionOf } from '../../../proxy/policy/input.ts';
import type { CanonicalRequest, ParsedBody } from '../../../proxy/protocols/http/contract.ts';
import { requestFacts } from '../../../proxy/protocols/http/facts.ts';
import { listOperation, type McpRequest, mcpOperations } from '../../../proxy/protocols/http/mcp/index.ts';
import { messageFacts } from '../../../proxy/protocols/http/websocket/facts.ts';
import type { ClassifiedStatement } from '../../../proxy/protocols/postgres/classification.ts';
import { sqlFacts } from '../../../proxy/protocols/postgres/facts.ts';
import { Labels } from '../../../proxy/protocols/postgres/labels.ts';
import { commandFacts, fileFacts, forwardFacts, type Place, probeFacts } from '../../../proxy/protocols/ssh/facts.ts';
import type { ShellClassification } from '../../../proxy/protocols/ssh/shell/index.ts';
import { readJson, root, TestClock } from '../policy/support.ts';

/** The documents that the gateway makes are those that `rego/schemas/input.json` promises to authors of policy. */
const isInput = new Ajv({ allowUnionTypes: true }).compile(await readJson(`${root}rego/schemas/input.json`));
const config = await readJson(`${root}rego/data/config.json`);

const identity: Identity = {
  type: 'agent',
  issuer: 'https://idp.example',
  id: 'triage-bot',
  groups: ['support'],
  claims: { azp: 'x', nested: { any: ['thing'] } },
  chain: [
    { issuer: 'https://idp.example', id: 'ana', groups: ['data'] },
    { issuer: 'https://idp.example', id: 'scheduler', groups: [] },
  ],
  expiresAtMs: Number.POSITIVE_INFINITY,
};

function inputFor(facts: OperationFacts): JsonObject {
  const query = {
    subject: subjectDocument(identity),
    facts,
    session: { id: 's', client_address: '10.0.0.7', application: 'psql', started_at: '2026-11-22T09:00:00Z' },
    history: () => ({
      upstreams: ['orders'],
      first_use: false,
      labels_read: ['pii'],
      rows_read: 1,
      denials: 0,
      approvals: 0,
      window_seconds: 3600,
    }),
    variable: () => ({
      text: 'select 1',
      parameters: [
        { type: 25, value: 'a' },
        { type: 23, value: null },
      ],
    }),
  };
  return inputOf(query, projectionOf([[]]), new TestClock());
}

function expectInput(input: JsonObject): void {
  expect([isInput(input), isInput.errors ?? null]).toEqual([true, null]);
}

test('connecting', () => {
  const facts = connectFacts(
    {
      protocol: 'postgres',
      upstream: 'orders',
      identity,
      clientAddress: '10.0.0.7',
      application: 'psql',
      requested: { database: 'app', login: 'agent' },
      supports: { masks: [], obligations: [] },
    },
    { env: 'prod' },
  );
  expectInput(inputFor(facts));
});

test('an SQL operation, with everything a statement can say of itself', () => {
  const column = { schema: 'public', relation: 'customers', column: 'email' };
  const statement: ClassifiedStatement = {
    verb: 'set',
    effects: ['set', 'select', 'update'],
    hasWhere: true,
    limit: 5,
    functions: [{ schema: 'pg_catalog', name: 'now', volatility: 'stable' }],
    relations: [
      {
        schema: 'public',
        name: 'customers',
        kind: 'table',
        access: 'read_write',
        via: 'public.customer_overview',
        columns: [{ name: 'email', uses: ['output', 'equality'] }],
        wholeRow: true,
      },
    ],
    objects: ['channel:news'],
    output: [
      { name: 'email', from: [column], exact: true, unknown: false, through: [] },
      { name: 'x', from: [], exact: false, unknown: true, through: [] },
    ],
    control: { type: 'set', name: 'timezone', value: undefined, local: true },
    settings: [],
    start: 0,
    end: 8,
    literals: [],
    parameters: new Map(),
    incomplete: ['something'],
    changesCatalog: false,
  };
  const facts = sqlFacts(
    { fingerprint: 'f', statements: [statement], via: 'extended', inTransaction: true },
    { upstream: 'orders', database: 'app', login: 'agent', labels: new Labels(config, 'orders'), hash: () => 'hmac:0' },
  );
  const input = inputFor(facts);
  expectInput(input);
  // The labels of the data are in it, for columns that are named and for those that a whole row brings along.
  expect(JSON.stringify(input)).toContain('"name":"email","labels":["pii","email"]');
  expect(JSON.stringify(input)).toContain('"name":"ssn","labels":["pii","us_ssn"]');
});

describe('what happens on a host', () => {
  const place: Place = {
    target: {
      upstream: {
        name: 'web1',
        host: '10.0.0.20',
        port: 22,
        hostKeys: [],
        hostAuthorities: [],
        commandPath: '/usr/bin:/bin',
        logins: new Map(),
      },
      login: 'agent',
      credentials: { user: 'agent', password: 'x' },
    },
    shell: 'bash',
    config,
    masker: createMasker({ key: Buffer.alloc(32, 7) }),
    upstreamAt: () => 'orders',
  };
  const classification: ShellClassification = {
    commands: [
      {
        name: 'cat',
        path: '/bin/cat',
        argv: ['/bin/cat', 'x'],
        dynamic: true,
        assigned: ['LANG'],
        redirects: [{ fd: 1, op: 'append', target: '/tmp/agent/x' }],
        wrappers: ['sudo'],
        runAs: 'postgres',
        subcommands: ['show'],
        files: [{ path: '/var/log/x', access: 'read', tree: true }],
        known: true,
      },
      {
        name: 'uptime',
        path: 'uptime',
        argv: ['uptime'],
        dynamic: false,
        assigned: [],
        redirects: [],
        wrappers: [],
        runAs: undefined,
        subcommands: [],
        files: [],
        known: false,
      },
    ],
    destinations: [{ host: '10.0.0.30', port: 5432, via: 'psql', dynamic: false }],
    incomplete: ['dynamic_word'],
    canonical: undefined,
    script: undefined,
    transfer: { protocol: 'rsync', direction: 'upload', paths: ['/tmp/agent'] },
  };

  test.each(['exec', 'shell'] as const)('%s, with everything a command can say of itself', (name) => {
    const operation = { name, text: 'cat x', classification, pty: true, environment: ['LANG'] };
    expectInput(inputFor(commandFacts(operation, place)));
  });

  test('a file operation, with and without a second path', () => {
    const open = {
      operation: 'open',
      path: '/x',
      resolved: '/y',
      target: '',
      targetResolved: '',
      flags: ['read', 'write'],
      details: ['set_id'],
      direction: 'upload',
    } as const;
    const rename = { ...open, operation: 'rename', target: '/z', targetResolved: '/z', direction: 'none' } as const;
    expectInput(inputFor(fileFacts(open, place)));
    expectInput(inputFor(fileFacts(rename, place)));
  });

  test('a forward, and the question of the gateway itself', () => {
    const direct = { kind: 'direct', destination: { host: '10.0.0.30', port: 5432 } } as const;
    const remote = { kind: 'remote', listen: { host: '', port: 8080 } } as const;
    expectInput(inputFor(forwardFacts(direct, place)));
    expectInput(inputFor(forwardFacts(remote, place)));
    expectInput(inputFor(probeFacts('echo x', place)));
  });
});

describe('what is asked over HTTP', () => {
  const request: CanonicalRequest = {
    method: 'POST',
    host: 'crm.example',
    path: '/customers/7/notes',
    segments: ['customers', '7', 'notes'],
    queryText: 'tag=a&tag=b&__proto__=c',
    query: [
      ['tag', 'a'],
      ['tag', 'b'],
      ['__proto__', 'c'],
    ],
    headers: [['accept', 'application/json']],
    contentType: 'application/json',
    contentTypeHeader: 'application/json',
    contentLength: 2,
    token: undefined,
    upgrade: undefined,
  };
  const upstream = {
    name: 'crm',
    host: '10.0.0.50',
    port: 8080,
    tls: { mode: 'disable' },
    clientCertificate: undefined,
    prefix: undefined,
    ownHost: undefined,
    credential: { kind: 'none' },
    routes: [],
    openapi: undefined,
    mcp: undefined,
    websockets: true,
  } as const;
  const graphql = {
    kind: 'graphql',
    value: { query: '{ customer { mail: email } }' },
    operations: [
      {
        type: 'query',
        name: '',
        fields: [
          { path: 'customer', arguments: { id: '7', page: { first: 5 } } },
          { path: 'customer.email', arguments: {} },
        ],
        aliases: { 'customer.mail': 'customer.email' },
      },
    ],
  } as const;
  const bodies: readonly ParsedBody[] = [
    { kind: 'none' },
    { kind: 'json', value: { amount: 5, lines: [{ sku: null }] } },
    { kind: 'json', value: 'text' },
    { kind: 'json', value: null },
    { kind: 'form', fields: [['amount', '5']] },
    { kind: 'multipart', parts: [{ name: 'file', bytes: 5, contentType: 'image/png' }] },
    graphql,
    { kind: 'opaque', bytes: 5 },
    { kind: 'opaque', bytes: undefined },
  ];

  test.each(bodies.map((body) => [body.kind, body] as const))('a request with a body: %s', (_kind, body) => {
    const operation = { request, path: request.path, segments: request.segments, routed: true, body };
    const route = { template: '/customers/{id}/notes', parameters: { id: '7' }, operationId: 'addNote', tags: ['a'] };
    const nowhere = { template: '', parameters: {}, operationId: undefined, tags: [] };
    const place = { upstream, config, masker: createMasker({ key: Buffer.alloc(32, 7) }) };
    expectInput(inputFor(requestFacts({ ...operation, route }, place)));
    expectInput(inputFor(requestFacts({ ...operation, route: nowhere, upgrade: 'websocket' }, place)));
  });

  test('messages over a WebSocket: JSON, another text, a binary one', () => {
    const route = { template: '/events', parameters: {}, operationId: undefined, tags: [] };
    const masker = createMasker({ key: Buffer.alloc(32, 7) });
    const upgrade = requestFacts(
      {
        request,
        path: '/events',
        segments: ['events'],
        routed: true,
        route,
        body: { kind: 'none' },
        upgrade: 'websocket',
      },
      { upstream, config, masker },
    );
    for (const text of ['{"type":"subscribe"}', 'null', 'subscribe']) {
      expectInput(inputFor(messageFacts({ kind: 'text', payload: Buffer.from(text) }, upgrade, masker)));
    }
    expectInput(inputFor(messageFacts({ kind: 'binary', payload: Buffer.from([1]) }, upgrade, masker)));
  });

  test('messages of MCP: a call, a list and one tool of it, a resource, a prompt', () => {
    const status = { state: 'accepted', sha256: '0'.repeat(64), definition: {} } as const;
    const place = { upstream: 'tools', labels: { env: 'prod' }, tool: status };
    const message = { kind: 'request', era: 'stateless', subscriptions: ['file:///docs/b'] } as const;
    const asked = (method: string, target: McpRequest['target']) => {
      const rest = { version: '2026-07-28', sessionId: undefined, headers: [], id: 1, paramHeaders: [], value: {} };
      return mcpOperations({ ...rest, ...message, method, target }, place);
    };
    const operations = [
      ...asked('tools/call', { tool: 'refund', arguments: { amount: 5 } }),
      ...asked('tools/list', {}),
      ...asked('resources/read', { resourceUri: 'file:///docs/a' }),
      ...asked('prompts/get', { prompt: 'summarise', arguments: { id: '7' } }),
      listOperation(
        { era: 'session', method: 'tools/list', target: { tool: 'refund' }, definition: {}, status },
        place,
      ),
    ];
    for (const { action, resource, complete } of operations) {
      const enforce = () => ({ plan: undefined });
      expectInput(inputFor({ action, resource, complete, enforce, describe: () => ({}) }));
    }
  });
});

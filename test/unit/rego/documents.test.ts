import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { connectFacts, subjectDocument } from '../../../proxy/core/documents.ts';
import { createMasker } from '../../../proxy/core/masker.ts';
import type { Identity, JsonObject, OperationFacts } from '../../../proxy/core/types.ts';
import { inputOf, projectionOf } from '../../../proxy/policy/input.ts';
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

import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import type { Json } from '../../../../../proxy/core/types.ts';
import { parseBody } from '../../../../../proxy/protocols/http/bodies/parse.ts';
import type { GraphqlOperation, Header } from '../../../../../proxy/protocols/http/contract.ts';

function send(request: Json, query: readonly Header[] = []) {
  return parseBody('application/json', Buffer.from(JSON.stringify(request)), { graphql: true, query });
}

/** The operation that a request would run. */
function operationOf(query: string, more: Readonly<Record<string, Json>> = {}): GraphqlOperation {
  const parsed = send({ query, ...more });
  if ('fault' in parsed) throw new Error(parsed.fault.message);
  if (parsed.kind !== 'graphql' || parsed.operations[0] === undefined) throw new Error('no operation');
  expect(parsed.operations).toHaveLength(1);
  return parsed.operations[0];
}

function refusal(query: string, more: Readonly<Record<string, Json>> = {}) {
  const parsed = send({ query, ...more });
  return 'fault' in parsed ? parsed.status : undefined;
}

const paths = (operation: GraphqlOperation) => operation.fields.map(({ path }) => path);

describe('a GraphQL operation', () => {
  test('is its type, its name and the paths of its fields', () => {
    expect(operationOf('query Orders { customer { orders { total } } me { __typename } }')).toEqual({
      type: 'query',
      name: 'Orders',
      fields: ['customer', 'customer.orders', 'customer.orders.total', 'me', 'me.__typename'].map((path) => ({
        path,
        arguments: {},
      })),
      aliases: {},
    });
    expect(operationOf('mutation { drop }')).toMatchObject({ type: 'mutation', name: '' });
    expect(operationOf('subscription { ticks }')).toMatchObject({ type: 'subscription' });
  });

  test('names fields as the schema does, whatever the aliases', () => {
    const operation = operationOf('{ safe: customer { x: email mail: email email } again: customer { id } }');
    expect(paths(operation)).toEqual(['customer', 'customer.email', 'customer.id']);
    expect(operation.aliases).toEqual({
      safe: 'customer',
      'safe.x': 'customer.email',
      'safe.mail': 'customer.email',
      'safe.email': 'customer.email',
      again: 'customer',
      'again.id': 'customer.id',
    });
  });

  test('has what its fragments spread, at their place', () => {
    const operation = operationOf(
      `query { customer { ...Person ... on Vip { discount } ... @include(if: true) { note } } }
       fragment Person on Customer { mail: email address { ...Street } }
       fragment Street on Address { street }`,
    );
    expect(paths(operation)).toEqual([
      'customer',
      'customer.email',
      'customer.address',
      'customer.address.street',
      'customer.discount',
      'customer.note',
    ]);
    expect(operation.aliases).toEqual({ 'customer.mail': 'customer.email' });
  });

  test('has a field once for each set of arguments', () => {
    const { fields } = operationOf('{ a: user(id: 1) { name } b: user(id: 2) { name } c: user(id: 1) { name } }');
    expect(fields).toEqual([
      { path: 'user', arguments: { id: 1 } },
      { path: 'user.name', arguments: {} },
      { path: 'user', arguments: { id: 2 } },
    ]);
  });

  test('has the values of arguments, with variables and their defaults put in', () => {
    const query = `query ($id: ID!, $size: Int = 10, $given: Int = 1, $none: Int, $null: Int = 5) {
      x(id: $id, size: $size, given: $given, none: $none, null: $null, list: [1, $size, [$none]], on: true,
        text: "a\\u00e9", block: """ b """, kind: ADMIN, nothing: null, deep: {a: {b: $given}, c: $none}, f: -1.5e2)
    }`;
    expect(operationOf(query, { variables: { id: 'u1', given: 7, null: null, other: 1 } }).fields).toEqual([
      {
        path: 'x',
        arguments: {
          ...{ id: 'u1', size: 10, given: 7, null: null, list: [1, 10, [null]], on: true, text: 'aé', block: ' b ' },
          ...{ kind: 'ADMIN', nothing: null, deep: { a: { b: 7 } }, f: -150 },
        },
      },
    ]);
  });

  test('can have names that objects have of themselves', () => {
    const operation = operationOf('query ($constructor: Int) { __proto__: x(__proto__: 1, a: $constructor) }');
    expect(JSON.stringify(operation.fields)).toBe('[{"path":"x","arguments":{"__proto__":1}}]');
    expect(Object.entries(operation.aliases)).toEqual([['__proto__', 'x']]);
  });

  test('is the one that is chosen', () => {
    const query = 'query A { a } mutation B { b }';
    expect(operationOf(query, { operationName: 'B' })).toMatchObject({ type: 'mutation', name: 'B' });
    expect(paths(operationOf(query, { operationName: 'A' }))).toEqual(['a']);
    expect(operationOf('query A { a }', { operationName: null }).name).toBe('A');
  });

  test.each<[string, string, Readonly<Record<string, Json>>?]>([
    ['of several when none is chosen', 'query A { a } mutation B { b }'],
    ['of several when the empty name is chosen', 'query A { a } mutation B { b }', { operationName: '' }],
    ['that is not there', 'query A { a }', { operationName: 'B' }],
    ['that is there twice', 'query A { a } mutation A { b }', { operationName: 'A' }],
    ['beside one without a name', 'query A { a } { b }', { operationName: 'A' }],
    ['of which there is none', 'fragment F on X { a }'],
    ['beside a type', '{ a } type X { a: Int }'],
    ['beside an extension of a type', '{ a } extend type X { a: Int }'],
    ['that spreads what is not there', '{ ...F }'],
    ['that spreads itself', '{ ...F } fragment F on X { a ...F }'],
    ['that spreads itself by way of another', '{ ...F } fragment F on X { ...G } fragment G on X { b { ...F } }'],
    ['with a fragment twice', '{ ...F } fragment F on X { a } fragment F on X { b }'],
    ['with a variable that it does not have', '{ a(x: $y) }'],
    ['with a variable that it does not have in a directive', '{ a @include(if: $y) }'],
    ['with a variable that it was given but does not have', '{ a(x: $y) }', { variables: { y: 1 } }],
    ['with a variable twice', 'query ($a: Int, $a: Int) { a }'],
    ['with an argument twice', '{ a(x: 1, x: 2) }'],
    ['with a member of an argument twice', '{ a(x: {y: 1, y: 2}) }'],
    ['with a number that servers read differently', '{ a(x: 9007199254740993) }'],
    ['with a fraction that servers read differently', '{ a(x: 0.10000000000000000001) }'],
    ['with one name for two fields', '{ a: x a: y }'],
    ['with one name for two fields by way of types', '{ u { ... on A { n: x } ... on B { n: y } } }'],
    ['with a directive of the server’s own', '{ a @export(as: "x") }'],
    ['that is deferred', '{ ... @defer { a } }'],
    ['with a directive on the operation', 'query @live { a }'],
    ['with a directive on a fragment', '{ ...F } fragment F on X @x { a }'],
    ['with a directive on a variable', 'query ($a: Int @x) { a }'],
    ['with variables in a fragment', '{ ...F } fragment F($a: Int) on X { a }'],
    ['that is not GraphQL', 'SELECT 1'],
    ['that does not end', '{ a'],
    ['with nothing selected', '{ }'],
    ['with a control character', '{ a(x: "\u0007\n") }'],
  ])('%s is refused', (_, query, more = {}) => {
    expect(refusal(query, more)).toBe(400);
  });

  test('has bounds on its tokens, its depth and the fields that come of it', () => {
    const { httpGraphqlNestingMax, httpGraphqlTokensMax, httpGraphqlFieldsMax } = limits;
    const nested = (depth: number) => `${'{a'.repeat(depth)}${'}'.repeat(depth)}`;
    expect(refusal(nested(httpGraphqlNestingMax))).toBeUndefined();
    expect(refusal(nested(httpGraphqlNestingMax + 1))).toBe(413);
    expect(refusal('{a'.repeat(100_000))).toBe(413);
    expect(refusal(`{ a(x: ${'['.repeat(100_000)}) }`)).toBe(413);
    expect(refusal(`query ($x: ${'['.repeat(100_000)}) { a }`)).toBe(413);
    expect(refusal(`{ a(x: "${'{'.repeat(1_000)}") }`)).toBeUndefined();
    expect(refusal(`{ a(x: [${'1 '.repeat(httpGraphqlTokensMax)}]) }`)).toBe(413);
    expect(refusal(`{${'a '.repeat(httpGraphqlFieldsMax)}}`)).toBeUndefined();
    expect(refusal(`{${'a '.repeat(httpGraphqlFieldsMax + 1)}}`)).toBe(413);
    // Thirty fragments, each spreading the next twice: a billion fields.
    const bomb = Array.from({ length: 30 }, (_, at) => `fragment F${at} on X { ...F${at + 1} ...F${at + 1} }`).join(
      ' ',
    );
    expect(refusal(`{ ...F0 } ${bomb} fragment F30 on X { a }`)).toBe(413);
  });
});

describe('a GraphQL request', () => {
  test('is told whole, besides its operation', () => {
    const request = { query: '{ a }', variables: { x: 1 }, operationName: null, extensions: {} };
    expect(send(request)).toMatchObject({ kind: 'graphql', value: request });
  });

  const hash = (text: string) => createHash('sha256').update(text).digest('hex');

  test.each<[string, Json]>([
    [
      'with the hash of a document alone',
      { extensions: { persistedQuery: { version: 1, sha256Hash: hash('{ a }') } } },
    ],
    [
      'with the hash of another document',
      { query: '{ a }', extensions: { persistedQuery: { sha256Hash: hash('{ b }') } } },
    ],
    ['with something for a hash', { query: '{ a }', extensions: { persistedQuery: true } }],
    ['with the number of a document', { id: '1' }],
    ['with a document and the number of another', { query: '{ a }', documentId: '1' }],
    ['with two spellings of its members', { query: '{ a }', Query: '{ b }' }],
    ['in a batch', [{ query: '{ a }' }]],
    ['that is no object', 'x'],
    ['that is nothing', null],
    ['without a document', {}],
    ['with an empty document', { query: '' }],
    ['with a list of documents', { query: ['{ a }'] }],
    ['with variables as text', { query: '{ a }', variables: '{}' }],
    ['with a list of variables', { query: '{ a }', variables: [] }],
    ['with a number for a name', { query: '{ a }', operationName: 1 }],
    ['with text for extensions', { query: '{ a }', extensions: 'x' }],
  ])('%s is refused', (_, request) => {
    expect(send(request)).toMatchObject({ status: 400 });
  });

  test('may have the hash of its own document, to be remembered by it', () => {
    const extensions = { persistedQuery: { version: 1, sha256Hash: hash('{ a }') } };
    expect(send({ query: '{ a }', extensions })).toMatchObject({ kind: 'graphql' });
  });

  test('may be a document alone', () => {
    expect(parseBody('application/graphql; charset=utf-8', Buffer.from('{ a }'))).toMatchObject({
      kind: 'graphql',
      value: { query: '{ a }' },
      operations: [{ type: 'query' }],
    });
    expect(parseBody('application/graphql', Buffer.from([0x7b, 0xe9, 0x7d]))).toMatchObject({ status: 400 });
    expect(parseBody('application/graphql', Buffer.from('{ a }'), { query: [['query', '{ b }']] })).toMatchObject({
      status: 400,
    });
  });

  test('may be in the query of the target', () => {
    const ask = (...query: Header[]) => parseBody('', new Uint8Array(), { graphql: true, query });
    expect(ask(['query', 'query ($x: Int) { a(x: $x) }'], ['variables', '{"x": 1}'], ['other', ''])).toMatchObject({
      operations: [{ fields: [{ path: 'a', arguments: { x: 1 } }] }],
    });
    expect(ask(['query', '{ a }'], ['query', '{ b }'])).toMatchObject({ status: 400 });
    expect(ask(['query', '{ a }'], ['variables', '{"x": 1, "x": 2}'])).toMatchObject({ status: 400 });
    expect(ask(['query', '{ a }'], ['variables', '"{}"'])).toMatchObject({ status: 400 });
    expect(ask(['query', '{ a }'], ['documentId', '1'])).toMatchObject({ status: 400 });
    expect(ask(['extensions', JSON.stringify({ persistedQuery: { sha256Hash: hash('{ a }') } })])).toMatchObject({
      status: 400,
    });
    expect(ask()).toMatchObject({ status: 400 });
  });

  test('in the body and in the query of the target at once is refused: servers differ on which counts', () => {
    for (const name of ['query', 'operationName', 'variables', 'extensions', 'id', 'documentId']) {
      expect(send({ query: '{ a }' }, [[name, 'x']])).toMatchObject({ status: 400 });
    }
    expect(send({ query: '{ a }' }, [['trace', '1']])).toMatchObject({ kind: 'graphql' });
  });

  test.each([
    'text/plain',
    '',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
  ])('of type %j is refused: some servers would read it all the same', (type) => {
    expect(parseBody(type, Buffer.from('{"query": "{ a }"}'), { graphql: true })).toMatchObject({ status: 415 });
  });

  test('never has its document in a refusal', () => {
    for (const query of ['{ a(x: "s3cr3t" }', '{ s3cr3t', 's3cr3t', '{ a(s3cr3t: $s3cr3t) }', '{ ...s3cr3t }']) {
      const parsed = send({ query });
      expect('fault' in parsed).toBe(true);
      expect(JSON.stringify(parsed)).not.toContain('s3cr3t');
    }
  });
});

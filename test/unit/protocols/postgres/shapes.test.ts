import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Classification } from '../../../../proxy/protocols/postgres/classification.ts';
import { type CatalogClassifier, createClassifier } from '../../../../proxy/protocols/postgres/classify.ts';
import { literalsOf } from '../../../../proxy/protocols/postgres/redact.ts';
import { type Shaped, Shapes } from '../../../../proxy/protocols/postgres/shapes.ts';
import { connectUpstream, UpstreamSession } from '../../../../proxy/protocols/postgres/upstream.ts';
import { type PostgresServer, startPostgres } from '../../../support/postgres.ts';

let server: PostgresServer;
let database: string;
let classifier: CatalogClassifier;
let link: UpstreamSession;

beforeAll(async () => {
  server = await startPostgres();
  database = await server.createDatabase();
  await server.psql('CREATE TABLE t (id int, name text, data jsonb, at date); CREATE SEQUENCE q', { database });
  link = new UpstreamSession(
    await connectUpstream({
      host: server.host,
      port: server.port,
      tls: { mode: 'verify-full', ca: server.ca, serverName: 'localhost' },
      user: server.user,
      password: server.password,
      database,
      parameters: { client_encoding: 'UTF8' },
      connectTimeoutMs: 10_000,
    }),
  );
  classifier = await createClassifier({
    query: (sql) => link.query(sql),
    serverMajor: 18,
    searchPath: ['public'],
    database,
    user: 'postgres',
    clock: { monotonicMs: () => performance.now() },
  });
});

afterAll(async () => {
  await classifier?.close();
  link?.close();
  await server?.stop();
});

/** Classifies the texts in turn; tells for each whether the classifier was asked. */
function classifyAll(texts: readonly string[]): { readonly shaped: Shaped; readonly fresh: boolean }[] {
  const shapes = new Shapes(100, 4096);
  return texts.map((text) => {
    let fresh = false;
    const shaped = shapes.classify(Buffer.from(text), 1, (sql) => {
      fresh = true;
      return classifier.classify(sql);
    });
    if (shaped instanceof Promise) throw new Error('too long for this test');
    return { shaped, fresh };
  });
}

function facts(classification: Classification) {
  if ('fault' in classification) return classification;
  const { fingerprint, statements } = classification;
  return {
    fingerprint,
    statements: statements.map(({ start: _start, end: _end, literals, ...rest }) => ({
      ...rest,
      literals: literals.map(({ meets }) => meets),
    })),
  };
}

describe('texts that share a classification', () => {
  test.each([
    ['SELECT name FROM t WHERE id = 1', 'SELECT name FROM t WHERE id = 123456'],
    ["SELECT id FROM t WHERE name = 'a'", "SELECT id FROM t WHERE name = 'it''s; DROP TABLE t --'"],
    ["INSERT INTO t (id, name) VALUES (1, 'a'), (2, 'b')", "INSERT INTO t (id, name) VALUES (30, 'xyz'), (4, '')"],
    ["UPDATE t SET name = 'a' WHERE id = 1", "UPDATE t SET name = 'bcd' WHERE id = 22"],
    ['SELECT id FROM t WHERE id IN (1, 2, 3)', 'SELECT id FROM t WHERE id IN (44, 5, 666)'],
    ["SELECT data->>'a' FROM t WHERE id BETWEEN 1 AND 2", "SELECT data->>'secret' FROM t WHERE id BETWEEN 10 AND 200"],
  ])('%s and %s', (one, other) => {
    const [first, second] = classifyAll([one, other]);
    expect([first?.fresh, second?.fresh]).toEqual([true, false]);
    const alone = classifier.classify(Buffer.from(other)) as Classification;
    expect(facts(second?.shaped.classification as Classification)).toEqual(facts(alone));
    // The places are those of the text at hand, so that the right bytes are redacted.
    if ('fault' in alone) throw new Error('the text must classify');
    const places = alone.statements.flatMap(literalsOf).map(({ start, end }) => ({ start, end }));
    expect(second?.shaped.constants).toEqual(places);
  });
});

describe('texts that must be told apart', () => {
  test.each([
    ['a position in ORDER BY', 'SELECT id, name FROM t ORDER BY 1', 'SELECT id, name FROM t ORDER BY 2'],
    ['a position in GROUP BY', 'SELECT id, name FROM t GROUP BY 1, 2', 'SELECT id, name FROM t GROUP BY 2, 1'],
    ['a LIMIT', 'SELECT id FROM t WHERE id = 1 LIMIT 1', 'SELECT id FROM t WHERE id = 1 LIMIT 9'],
    ['an argument of a function', "SELECT nextval('q') WHERE 1 = 1", "SELECT nextval('t') WHERE 1 = 1"],
    ['a setting', "SELECT set_config('a.b', 'x', true)", "SELECT set_config('search_path', 'x', true)"],
    ['a cast', "SELECT 't'::regclass WHERE 1 = 2", "SELECT 'q'::regclass WHERE 1 = 2"],
    ['an integer and a bigint', 'SELECT name FROM t WHERE id = 1', 'SELECT name FROM t WHERE id = 12345678901'],
    ['an integer and a numeric', 'SELECT name FROM t WHERE id = 1', 'SELECT name FROM t WHERE id = 1.5'],
    ['a number and a string', 'SELECT name FROM t WHERE id = 1', "SELECT name FROM t WHERE id = '1'"],
    ['a plain and an escape string', "SELECT id FROM t WHERE name = 'a'", "SELECT id FROM t WHERE name = E'a'"],
    ['a table inside a comment', 'SELECT 1 FROM t', 'SELECT 1 /* 1 */ FROM t'],
    ['a setting by SET', "SET application_name = 'a'", "SET application_name = 'b'"],
    ['a prepared statement', 'PREPARE p AS SELECT 1', 'PREPARE p AS SELECT 2'],
  ])('%s', (_what, one, other) => {
    const [first, second] = classifyAll([one, other]);
    expect([first?.fresh, second?.fresh]).toEqual([true, true]);
  });
});

test('another epoch of the catalog forgets them', () => {
  const shapes = new Shapes(10, 4096);
  let asked = 0;
  const classify = (sql: Uint8Array) => {
    asked += 1;
    return classifier.classify(sql);
  };
  for (const epoch of [1, 1, 2]) void shapes.classify(Buffer.from('SELECT name FROM t WHERE id = 1'), epoch, classify);
  expect(asked).toBe(2);
});

test('past the bound all are forgotten, and memory stays flat', () => {
  const shapes = new Shapes(2, 4096);
  let asked = 0;
  const ask = (sql: string) =>
    shapes.classify(Buffer.from(sql), 1, (text) => {
      asked += 1;
      return classifier.classify(text);
    });
  for (const name of ['id', 'name', 'at', 'id']) void ask(`SELECT ${name} FROM t WHERE id = 7`);
  expect(asked).toBe(4);
});

/**
 * What is worked out from a labelled column tells about it though nobody selects it: by the number of rows, by an error,
 * by what a conversion leaves of it. Each of these read whole values, letter by letter.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Attacker, openAttacker, personal } from './leaks/attacker.ts';

let attacker: Attacker;
beforeAll(async () => {
  attacker = await openAttacker({
    data: personal({ 'public.cards': ['number', 'code', 'label'], 'scratch.contacts': ['phone'] }),
    schemaSql: `
      CREATE TABLE cards (id integer PRIMARY KEY, number numeric, code bigint, label varchar);
      INSERT INTO cards VALUES (1, 4111111111111111, 8102030405060708, 'abc');
      GRANT SELECT ON cards TO :role;
      CREATE TABLE scratch.contacts (id integer PRIMARY KEY, phone text);
      INSERT INTO scratch.contacts VALUES (1, '+43 1 5550101'), (2, '+43 1 5550102');
      ALTER TABLE scratch.contacts OWNER TO :role;`,
  });
});
afterAll(() => attacker?.close());

async function expectRefused(sql: string): Promise<void> {
  expect(await attacker.query(sql)).toEqual({ rows: [], error: 'pii_use' });
}

describe('the number of rows', () => {
  const functions = [
    'generate_series(1, ascii(substr(c.ssn, 1, 1))) g',
    'string_to_table(c.email, NULL) g',
    'unnest(string_to_array(c.email, NULL)) g',
    'unnest(string_to_array(c.email, NULL), ARRAY[1]) g',
    'ROWS FROM (generate_series(1, length(c.name)), generate_series(1, 2)) g',
    `JSON_TABLE(to_jsonb(string_to_array(c.email, NULL)), '$[*]' COLUMNS (o FOR ORDINALITY)) g`,
    `XMLTABLE('/r/x' PASSING (('<r>' || repeat('<x/>', length(c.name)) || '</r>')::xml) COLUMNS o FOR ORDINALITY) g`,
  ];
  for (const each of functions) {
    test(`of ${each} is not told`, () => expectRefused(`SELECT 1 FROM customers c, ${each} WHERE c.id = 1`));
  }

  test('of a set-returning function that is not selected is not told', () =>
    expectRefused('SELECT id FROM (SELECT id, generate_series(1, ascii(ssn)) FROM customers WHERE id = 1) q'));

  test('of a star over a function that is not selected is not told', () =>
    expectRefused('SELECT id FROM (SELECT id, (jsonb_each(to_jsonb(ssn))).* FROM customers WHERE id = 1) q'));
});

describe('an error of what is not selected', () => {
  const risky = '1 / (ascii(ssn) - 57)';
  for (const sql of [
    `WITH q AS MATERIALIZED (SELECT id, ${risky} FROM customers WHERE id = 1) SELECT id FROM q`,
    `SELECT id FROM (SELECT id, (${risky})::text || random() FROM customers WHERE id = 1) q`,
    `SELECT c.id FROM customers c, LATERAL (VALUES (${risky})) v WHERE c.id = 1`,
    `SELECT 1 FROM customers c, LATERAL to_date(c.ssn, 'YYYY-MM') d WHERE c.id = 1`,
  ]) {
    test(`is not told: ${sql}`, () => expectRefused(sql));
  }
});

describe('a conversion that a set operation makes', () => {
  for (const sql of [
    `SELECT v FROM (SELECT number AS v FROM cards UNION ALL SELECT 1::real) q WHERE v = 4.1111e15::real`,
    `SELECT v FROM (SELECT code AS v FROM cards UNION ALL SELECT 1::oid) q`,
    `SELECT v FROM (SELECT label AS v FROM cards UNION ALL SELECT 'x'::name) q WHERE v = 'abc'`,
  ]) {
    test(`does not count as the unchanged column: ${sql}`, () => expectRefused(sql));
  }

  test('is none where the other side is a literal: the column can be looked up, and is masked', async () => {
    const sql = `SELECT v FROM (SELECT label AS v FROM cards UNION ALL SELECT 'x') q WHERE v = 'abc'`;
    expect(await attacker.query(sql)).toEqual({ rows: [[null]], error: undefined });
  });
});

describe('a lookup by equality', () => {
  const days = `generate_series('1930-01-01'::date, '2020-01-01', '1 day')`;
  for (const sql of [
    `SELECT g FROM customers, ${days} g WHERE date_of_birth = g AND id = 1`,
    `SELECT g FROM customers JOIN ${days} g ON date_of_birth = g`,
    `SELECT id FROM customers WHERE date_of_birth IN (SELECT ${days}::date)`,
    `SELECT id FROM customers WHERE date_of_birth = ANY (ARRAY(SELECT ${days}::date))`,
    `SELECT v FROM customers, (SELECT '987-65-' || g AS v FROM generate_series(1000, 9999) g) x WHERE ssn = v`,
    `WITH x(v) AS (VALUES ('987-65-4321'), ('none')) SELECT v FROM customers, x WHERE ssn = v`,
    `DELETE FROM scratch.notes n USING customers c, ${days} g WHERE c.date_of_birth = g AND n.id = 1 RETURNING g`,
  ]) {
    test(`compares with constants, not with every value there could be: ${sql}`, () => expectRefused(sql));
  }

  test('may compute its constant', async () => {
    const sql = `SELECT id, ssn FROM customers WHERE ssn = format('%s-%s', '987-65', 4321)`;
    expect(await attacker.query(sql)).toEqual({ rows: [['1', '***4321']], error: undefined });
  });
});

describe('an index on working data', () => {
  for (const sql of [
    'CREATE UNIQUE INDEX ON scratch.contacts ((left(phone, 9)))',
    'CREATE UNIQUE INDEX ON scratch.contacts (phone)',
    'CREATE INDEX ON scratch.contacts ((1 / (length(phone) - 12)))',
    `CREATE INDEX ON scratch.contacts (id) WHERE phone < '+5'`,
  ]) {
    test(`does not test a labelled column: ${sql}`, () => expectRefused(sql));
  }

  test('sorts one without a word', async () => {
    expect((await attacker.query('CREATE INDEX ON scratch.contacts (phone)')).error).toBeUndefined();
  });
});

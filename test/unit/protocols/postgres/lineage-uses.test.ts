import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { literalsOf, openShop, type Shop, usesOf } from './lineage-fixture.ts';

let shop: Shop;
beforeAll(async () => {
  shop = await openShop();
}, 60_000);
afterAll(() => shop?.close());

async function useOf(sql: string, column = 'customers.email'): Promise<string[]> {
  const statement = await shop.one(sql);
  expect(statement.incomplete).toEqual([]);
  const found = usesOf(statement).find((each) => each.startsWith(`${column}:`));
  return found?.slice(column.length + 2).split(' ') ?? [];
}

describe('a column is looked up by equality', () => {
  test.each([
    "SELECT id FROM customers WHERE email = 'x'",
    'SELECT id FROM customers WHERE email = $1',
    "SELECT id FROM customers WHERE 'x' = email AND id > 3",
    "SELECT id FROM customers WHERE email IN ('x', $1)",
    'SELECT id FROM customers WHERE email = ANY ($1)',
    "SELECT id FROM customers WHERE email = ANY (ARRAY['x', 'y'])",
    "SELECT id FROM customers WHERE email = 'x'::text",
    "SELECT id FROM customers WHERE email = lower('X')",
    "SELECT id FROM customers WHERE email OPERATOR(pg_catalog.=) 'x'",
    "SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email = 'x'",
    "SELECT o.id FROM orders o WHERE o.customer_id IN (SELECT id FROM customers WHERE email = 'x')",
    "SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM customers c WHERE c.id = o.customer_id AND c.email = 'x')",
    "SELECT id FROM (SELECT id, email AS e FROM customers) s WHERE s.e = 'x'",
    "WITH s AS (SELECT * FROM customers) SELECT id FROM s WHERE email = 'x'",
    "UPDATE customers SET name = 'y' WHERE email = 'x'",
    "DELETE FROM customers WHERE email = 'x'",
    "SELECT count(*) FROM customers WHERE email = 'x'",
  ])('%s', async (sql) => {
    // A server without operators of its own makes up its mind about parameters, too.
    expect(await useOf(sql.replaceAll('$1', "'p'").replace("ANY ('p')", "ANY ('{p}'::text[])"))).toEqual(['equality']);
  });
});

describe('a column is tested in another way', () => {
  test.each([
    "SELECT id FROM customers WHERE email LIKE 'x%'",
    "SELECT id FROM customers WHERE email ~ 'x'",
    "SELECT id FROM customers WHERE email > 'x'",
    "SELECT id FROM customers WHERE email <> 'x'",
    "SELECT id FROM customers WHERE email NOT IN ('x')",
    "SELECT id FROM customers WHERE email BETWEEN 'a' AND 'b'",
    'SELECT id FROM customers WHERE email IS NULL',
    "SELECT id FROM customers WHERE email = 'x' OR id = 1",
    "SELECT id FROM customers WHERE NOT email = 'x'",
    "SELECT id FROM customers WHERE NOT (email <> 'x')",
    "SELECT id FROM customers WHERE (email = 'x') IS TRUE",
    "SELECT id FROM customers WHERE lower(email) = 'x'",
    "SELECT id FROM customers WHERE email || '' = 'x'",
    "SELECT id FROM customers WHERE left(email, 1) = 'x'",
    "SELECT id FROM customers WHERE email::bytea = 'x'",
    'SELECT id FROM customers WHERE email COLLATE "C" = \'x\'',
    'SELECT id FROM customers WHERE email = \'x\' COLLATE "C"',
    'SELECT id FROM customers WHERE email = name',
    "SELECT id FROM customers WHERE email = 'x' || name",
    "SELECT id FROM customers WHERE (email, id) = ('x', 1)",
    "SELECT id FROM customers WHERE email IN (SELECT 'x')",
    "SELECT id FROM customers WHERE email = (SELECT 'x')",
    "SELECT id FROM customers WHERE email = ALL (ARRAY['x'])",
    "SELECT id FROM customers WHERE email IS NOT DISTINCT FROM 'x'",
    "SELECT id FROM customers WHERE email = ANY (VALUES ('x'), ('y'))",
    'SELECT id FROM customers WHERE email = $1',
    "SELECT id FROM customers WHERE email |=| 'x'",
    "SELECT id FROM customers WHERE email OPERATOR(public.|=|) 'x'",
    'SELECT id FROM customers WHERE email = random()::text',
    "SELECT o.id FROM orders o JOIN customers c ON c.email = 'x'",
    "SELECT id FROM customers GROUP BY id HAVING max(email) = 'x'",
    "SELECT count(*) FROM customers JOIN (VALUES ('x')) v (email) USING (email)",
    "SELECT count(*) FROM customers NATURAL JOIN (VALUES ('x')) v (email)",
    'SELECT id FROM customers LIMIT (SELECT length(max(email)) FROM customers)',
    'SELECT count(*) FROM customers c, generate_series(1, length(c.email))',
    'SELECT generate_series(1, length(email)) FROM customers',
    "SELECT id FROM (SELECT id, email FROM customers UNION ALL SELECT id, note FROM orders) s WHERE email = 'x'",
    "MERGE INTO orders o USING customers c ON c.id = o.id WHEN MATCHED AND c.email = 'x' THEN DELETE",
    "SELECT id FROM customers WHERE CASE email WHEN 'x' THEN true END",
    "SELECT sum(CASE WHEN email = 'x' THEN 1 END) FROM customers",
    "SELECT count(*) FILTER (WHERE email = 'x') FROM customers",
    "SELECT (SELECT count(*) FROM orders WHERE note = customers.email || 'x') FROM customers",
    'SELECT id FROM customers WHERE id IN (SELECT 1 FROM orders WHERE note > email)',
  ])('%s', async (sql) => {
    expect(await useOf(sql)).toContain('predicate');
  });
});

describe('a column is', () => {
  test.each([
    ['ordered by', 'order', 'SELECT id FROM customers ORDER BY email'],
    ['ordered by its position', 'order', 'SELECT email FROM customers ORDER BY 1'],
    ['ordered by its alias', 'order', 'SELECT email AS id FROM customers ORDER BY id'],
    ['ordered by inside an aggregate', 'order', 'SELECT array_agg(id ORDER BY email) FROM customers'],
    ['ordered by inside a window', 'order', 'SELECT row_number() OVER (ORDER BY email) FROM customers'],
    ['ordered by in a subquery', 'order', 'SELECT id FROM (SELECT id FROM customers ORDER BY email LIMIT 1) s'],
    ['ordered by with an operator', 'order', 'SELECT id FROM customers ORDER BY email USING >'],
    [
      'ordered by after a union',
      'order',
      'SELECT email FROM customers UNION ALL SELECT note FROM orders ORDER BY email',
    ],
    ['grouped by', 'group', 'SELECT count(*) FROM customers GROUP BY email'],
    ['grouped by its position', 'group', 'SELECT email FROM customers GROUP BY 1'],
    ['grouped by in a cube', 'group', 'SELECT count(*) FROM customers GROUP BY CUBE (id, (name, email))'],
    ['partitioned by', 'group', 'SELECT count(*) OVER (PARTITION BY email) FROM customers'],
    ['distinguished', 'group', 'SELECT DISTINCT email FROM customers'],
    ['distinguished on', 'group', 'SELECT DISTINCT ON (email) id FROM customers'],
    ['counted distinctly', 'group', 'SELECT count(DISTINCT email) FROM customers'],
    ['compared by a union', 'group', 'SELECT email FROM customers UNION SELECT note FROM orders'],
    ['compared by INTERSECT ALL', 'group', "SELECT email FROM customers INTERSECT ALL VALUES ('x')"],
    ['joined', 'join', 'SELECT o.id FROM orders o JOIN customers c ON o.note = c.email'],
    ['joined in WHERE', 'join', 'SELECT o.id FROM orders o, customers c WHERE o.note = c.email'],
    ['joined with itself', 'join', 'SELECT a.id FROM customers a JOIN customers b ON a.email = b.email'],
    ['joined by USING', 'join', 'SELECT id FROM customers JOIN customers c USING (email, id)'],
    ['joined by IN', 'join', 'SELECT id FROM orders WHERE note IN (SELECT email FROM customers)'],
    ['stored by INSERT', 'sink', 'INSERT INTO audit (what) SELECT email FROM customers'],
    ['stored by VALUES', 'sink', 'INSERT INTO audit (what) VALUES ((SELECT email FROM customers LIMIT 1))'],
    ['stored by UPDATE', 'sink', 'UPDATE orders SET note = c.email FROM customers c'],
    ['stored by UPDATE of several columns', 'sink', 'UPDATE orders SET (id, note) = (SELECT id, email FROM customers)'],
    [
      'stored by MERGE',
      'sink',
      'MERGE INTO orders o USING customers c ON c.id = o.id WHEN NOT MATCHED THEN INSERT (id, note) VALUES (c.id, c.email)',
    ],
    [
      'stored by ON CONFLICT',
      'sink',
      'INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = (SELECT max(email) FROM customers)',
    ],
    ['stored by CREATE TABLE AS', 'sink', 'CREATE TABLE copied AS SELECT email FROM customers'],
    ['stored by SELECT INTO', 'sink', 'SELECT email INTO copied FROM customers'],
    ['published by a view', 'sink', 'CREATE VIEW copied AS SELECT email FROM customers'],
    ['stored by a materialized view', 'sink', 'CREATE MATERIALIZED VIEW copied AS SELECT email FROM customers'],
    ['stored in a setting', 'sink', "SELECT set_config('my.x', email, false) FROM customers"],
    ['stored in a sequence', 'sink', "SELECT setval('numbers', length(email)) FROM customers"],
    ['stored in a large object', 'sink', 'SELECT lo_from_bytea(0, email::bytea) FROM customers'],
    ['sent as a notification', 'sink', "SELECT pg_notify('c', email) FROM customers"],
    ['slept by', 'sink', 'SELECT pg_sleep(length(email)) FROM customers'],
    ['given to a volatile function', 'sink', 'SELECT keep(email) FROM customers'],
    [
      'computed with where nobody reads the result',
      'derived',
      'SELECT id FROM (SELECT id, upper(email) FROM customers) s',
    ],
  ])('%s', async (_what, use, sql) => {
    expect(await useOf(sql)).toContain(use);
  });

  test('not used by EXISTS over a star, nor by a count over a subquery that merely has it', async () => {
    expect(await useOf('SELECT id FROM orders WHERE EXISTS (SELECT * FROM customers)')).toEqual([]);
    expect(await useOf('SELECT count(*) FROM (SELECT email FROM customers) s')).toEqual([]);
  });

  test('used as its view’s columns are, whether the view hands it on or computes with it', async () => {
    const ssn = (sql: string) => useOf(sql, 'customers.ssn');
    expect(await ssn("SELECT id FROM customer_view WHERE ssn = 'x'")).toEqual(['equality']);
    expect(await useOf("SELECT id FROM customer_view WHERE mail = 'x'")).toEqual(['predicate']);
    expect(await useOf('SELECT mail FROM order_view')).toEqual(['derived']);
    expect(await ssn('SELECT id FROM customer_view')).toEqual([]);
  });

  test('used in relatives as in the relation that is named', async () => {
    const statement = await shop.one("SELECT payload FROM events_2024 WHERE at = '2024-01-01'");
    expect(statement.relations.map(({ name, via }) => [name, via])).toEqual([
      ['events_2024', ''],
      ['events', 'public.events_2024'],
    ]);
    expect(usesOf(statement)).toContain('events.at: equality');
  });

  test('made of what a generated column is made of', async () => {
    expect(await useOf("SELECT 1 FROM initials WHERE initial = 'x'", 'initials.name')).toEqual(['predicate']);
    expect(await useOf('SELECT 1 FROM initials ORDER BY initial', 'initials.name')).toEqual(['order']);
  });

  test('not stored by EXCLUDED, which is the row that was to be inserted', async () => {
    const sql =
      "INSERT INTO customers (id, email) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET email = excluded.email";
    expect(await useOf(sql)).toEqual([]);
  });
});

describe('the constants of a statement', () => {
  const meetings = async (sql: string) => literalsOf(await shop.one(sql), sql);

  test('meet what they are compared with, stored in or combined with', async () => {
    expect(
      await meetings("SELECT 'a' || name, 7 FROM customers WHERE email = 'b' AND ssn LIKE E'c\\'%' LIMIT 5"),
    ).toEqual(["'a' ~ customers.name", '7 ~', "'b' ~ customers.email", "E'c\\'%' ~ customers.ssn", '5 ~']);
    expect(await meetings("INSERT INTO customers (id, email) VALUES (-1, 'a'), (2, $t$b$t$)")).toEqual([
      '-1 ~ customers.id',
      "'a' ~ customers.email",
      '2 ~ customers.id',
      '$t$b$t$ ~ customers.email',
    ]);
    expect(await meetings("UPDATE customers SET (name, email) = ('n', 'e') WHERE ssn = '1'")).toEqual([
      "'n' ~ customers.email customers.name",
      "'e' ~ customers.email customers.name",
      "'1' ~ customers.ssn",
    ]);
  });

  test('meet columns through subqueries, joins and views', async () => {
    expect(await meetings("SELECT 1 FROM (VALUES ('secret')) v (x) JOIN customers c ON c.ssn = v.x")).toContain(
      "'secret' ~ customers.ssn",
    );
    expect(await meetings("WITH w AS (SELECT 'secret' AS x) SELECT 1 FROM customers, w WHERE ssn = x")).toContain(
      "'secret' ~ customers.ssn",
    );
    expect(await meetings("SELECT 1 FROM customer_view WHERE ssn = 'secret'")).toContain(
      "'secret' ~ customer_view.ssn customers.ssn",
    );
    expect(await meetings("SELECT CASE WHEN ssn = 'a' THEN 'b' END FROM customers")).toEqual([
      "'a' ~ customers.ssn",
      "'b' ~ customers.ssn",
    ]);
  });

  test('may have met anything where nobody knows', async () => {
    expect(await meetings("SELECT keep('secret')")).toEqual(["'secret' ~ ?"]);
    expect(await meetings("EXECUTE p ('secret')")).toEqual(["'secret' ~ ?"]);
    expect(await meetings("ALTER ROLE r PASSWORD 'secret'")).toEqual(["'secret' ~ ?"]);
    expect(await meetings("DO $$ 'secret' $$")).toEqual(["$$ 'secret' $$ ~ ?"]);
    expect(await meetings("NOTIFY c, 'secret'")).toEqual(["'secret' ~ ?"]);
  });

  test('are found wherever they stand', async () => {
    expect(
      (
        await meetings(
          `SELECT /* 'no' /* $$no$$ */ */ 'y''es'\n 'more' -- 'no'\n, U&'\\0041', 0x1F, 1_000.5e-3, B'01', "a'b".id FROM customers "a'b" WHERE id = 1`,
        )
      ).map((each) => each.split(' ~')[0]),
    ).toEqual(["'y''es'\n 'more'", "U&'\\0041'", '0x1F', '1_000.5e-3', "B'01'", '1']);
  });

  test('are placed by bytes, not characters', async () => {
    expect(await meetings("SELECT 'é€😀', 'x' FROM customers WHERE name = 'ß'")).toEqual([
      "'é€😀' ~",
      "'x' ~",
      "'ß' ~ customers.name",
    ]);
  });
});

test('parameters meet columns as constants do, and each of them is listed', async () => {
  const sql = 'SELECT $3 FROM customers WHERE email = $1 AND id BETWEEN $2 AND 5 LIMIT $4';
  const { parameters } = await shop.one(sql);
  const met = [...parameters].map(([index, meets]) => [
    index,
    meets === 'unknown' ? '?' : meets.map(({ column }) => column),
  ]);
  expect(new Map(met as [number, unknown][])).toEqual(
    new Map<number, unknown>([
      [1, '?'],
      [2, ['id']],
      [3, []],
      [4, []],
    ]),
  );
});

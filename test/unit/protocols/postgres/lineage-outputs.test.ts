import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openShop, outputsOf, type Shop } from './lineage-fixture.ts';

let shop: Shop;
beforeAll(async () => {
  shop = await openShop();
}, 60_000);
afterAll(() => shop?.close());

describe('the origin of an output column', () => {
  test.each<[string, string, string[]]>([
    ['a column', 'SELECT ssn FROM customers', ['ssn = customers.ssn']],
    ['an alias', 'SELECT ssn AS name FROM customers', ['name = customers.ssn']],
    ['an alias of the table', 'SELECT c.s FROM customers c (a, b, d, s)', ['s = customers.ssn']],
    [
      'a quoted and escaped name',
      'SELECT "ssn", U&"\\0073sn" FROM customers',
      ['ssn = customers.ssn', 'ssn = customers.ssn'],
    ],
    [
      'the star',
      'SELECT * FROM orders',
      ['id = orders.id', 'customer_id = orders.customer_id', 'total = orders.total', 'note = orders.note'],
    ],
    ['TABLE', 'TABLE emails', ['email = customers.email', 'count ←']],
    [
      'the database and schema spelled out',
      'SELECT public.customers.ssn FROM public.customers',
      ['ssn = customers.ssn'],
    ],
    ['a concatenation', "SELECT 'x' || ssn FROM customers", ['?column? ← customers.ssn']],
    ['a cast', 'SELECT ssn::bytea FROM customers', ['ssn ← customers.ssn']],
    ['a cast in function notation', 'SELECT text(ssn) FROM customers', ['text ← customers.ssn']],
    ['a collation', 'SELECT ssn COLLATE "C" FROM customers', ['ssn ← customers.ssn']],
    [
      'the whole row',
      'SELECT customers FROM customers',
      ['customers ← customers.created customers.email customers.id customers.name customers.ssn customers.tags'],
    ],
    [
      'the row as an argument',
      'SELECT row_to_json(c) FROM orders c',
      ['row_to_json ← orders.customer_id orders.id orders.note orders.total'],
    ],
    [
      'the starred row as an argument',
      'SELECT to_jsonb(c.*) FROM orders c',
      ['to_jsonb ← orders.customer_id orders.id orders.note orders.total'],
    ],
    ['a row constructor', 'SELECT ROW(ssn, 1) FROM customers', ['row ← customers.ssn']],
    ['a field of the row', 'SELECT (c).ssn FROM customers c', ['ssn = customers.ssn']],
    ['a column in function notation', 'SELECT ssn(customers) FROM customers', ['ssn = customers.ssn']],
    ['a column that is called like a table', 'SELECT name FROM customers name', ['name = customers.name']],
    ['a field of a composite column', 'SELECT (home).city FROM people', ['city ← people.home']],
    ['all fields of a composite column', 'SELECT (home).* FROM people', ['city ← people.home', 'zip ← people.home']],
    ['a field of a row in a column', 'SELECT (p.card).ssn FROM people p', ['ssn ← people.card']],
    ['an element', 'SELECT tags[1], tags[1:2] FROM customers', ['tags ← customers.tags', 'tags ← customers.tags']],
    ['jsonb subscripting', "SELECT payload['a'] FROM events", ['payload ← events.payload']],
    ['a CASE', "SELECT CASE WHEN ssn = '1' THEN name END FROM customers", ['case ← customers.name customers.ssn']],
    [
      'COALESCE and GREATEST',
      'SELECT coalesce(ssn, name), greatest(ssn) FROM customers',
      ['coalesce ← customers.name customers.ssn', 'greatest ← customers.ssn'],
    ],
    ['NULLIF', "SELECT nullif(ssn, 'x') FROM customers", ['nullif ← customers.ssn']],
    [
      'an aggregate',
      'SELECT string_agg(ssn, name ORDER BY email) FROM customers',
      ['string_agg ← customers.email customers.name customers.ssn'],
    ],
    ['count(*)', 'SELECT count(*) FROM customers', ['count ←']],
    ['a filtered count', "SELECT count(*) FILTER (WHERE ssn LIKE '1%') FROM customers", ['count ← customers.ssn']],
    [
      'an ordered-set aggregate',
      'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY total) FILTER (WHERE id > 1) FROM orders',
      ['percentile_disc ← orders.id orders.total'],
    ],
    [
      'a window function',
      'SELECT rank() OVER (PARTITION BY name ORDER BY ssn) FROM customers',
      ['rank ← customers.name customers.ssn'],
    ],
    [
      'a named window',
      'SELECT lag(email) OVER w FROM customers WINDOW w AS (ORDER BY ssn)',
      ['lag ← customers.email customers.ssn'],
    ],
    ['a scalar subquery', 'SELECT (SELECT ssn FROM customers LIMIT 1)', ['ssn = customers.ssn']],
    [
      'a correlated scalar subquery',
      'SELECT (SELECT c.name FROM customers c WHERE c.id = o.customer_id) FROM orders o',
      ['name ← customers.id customers.name orders.customer_id'],
    ],
    ['EXISTS', "SELECT EXISTS (SELECT * FROM customers WHERE ssn = '1')", ['exists ← customers.ssn']],
    [
      'EXISTS over a set-returning function',
      'SELECT EXISTS (SELECT unnest(tags) FROM customers)',
      ['exists ← customers.tags'],
    ],
    ['IN', 'SELECT note IN (SELECT ssn FROM customers) FROM orders', ['?column? ← customers.ssn orders.note']],
    ['ARRAY of a subquery', 'SELECT ARRAY(SELECT ssn FROM customers)', ['array ← customers.ssn']],
    ['a subquery', 'SELECT x FROM (SELECT ssn AS x FROM customers) s', ['x = customers.ssn']],
    ['the row of a subquery', 'SELECT s FROM (SELECT ssn FROM customers) s', ['s ← customers.ssn']],
    ['a WITH query', 'WITH s (x) AS MATERIALIZED (SELECT ssn FROM customers) SELECT x FROM s', ['x = customers.ssn']],
    [
      'a WITH query that hides a table',
      'WITH orders AS (SELECT ssn AS note FROM customers) SELECT note FROM orders',
      ['note = customers.ssn'],
    ],
    [
      'a recursive query',
      'WITH RECURSIVE r (a, b) AS (SELECT id, name FROM customers UNION ALL SELECT r.a, c.ssn FROM r JOIN customers c ON c.id = r.a) SELECT a, b FROM r',
      ['a = customers.id', 'b ← customers.name customers.ssn'],
    ],
    [
      'a recursive query that passes a value on round by round',
      'WITH RECURSIVE r (n, a, b, c) AS (SELECT 1, name, email, ssn FROM customers UNION ALL SELECT n + 1, b, c, a FROM r WHERE n < 9) SELECT a FROM r',
      ['a ← customers.email customers.name customers.ssn'],
    ],
    [
      'SEARCH and CYCLE',
      'WITH RECURSIVE r (a, b) AS (SELECT id, ssn FROM customers UNION ALL SELECT a, b FROM r) SEARCH DEPTH FIRST BY b SET ord CYCLE a SET looped USING path SELECT ord, looped, path FROM r',
      ['ord ← customers.ssn', 'looped ← customers.id', 'path ← customers.id'],
    ],
    [
      'a union',
      'SELECT name FROM customers UNION ALL SELECT ssn FROM customers',
      ['name ← customers.name customers.ssn'],
    ],
    [
      'a union of one column with itself',
      'SELECT ssn FROM customers UNION ALL SELECT ssn FROM customers',
      ['ssn = customers.ssn'],
    ],
    ['EXCEPT', 'SELECT name FROM customers EXCEPT SELECT ssn FROM customers', ['name ← customers.name customers.ssn']],
    [
      'VALUES with a subquery in it',
      "VALUES ('x'), ((SELECT ssn FROM customers LIMIT 1))",
      ['column1 = customers.ssn'],
    ],
    ['a USING column', 'SELECT id FROM customers JOIN orders USING (id)', ['id ← customers.id orders.id']],
    ['a natural join', 'SELECT id FROM customers NATURAL LEFT JOIN orders', ['id ← customers.id orders.id']],
    ['the alias of a join', 'SELECT j.ssn FROM (customers c JOIN orders o ON true) j', ['ssn = customers.ssn']],
    [
      'the alias of a USING list',
      'SELECT u.id FROM customers JOIN orders USING (id) AS u',
      ['id ← customers.id orders.id'],
    ],
    ['LATERAL', 'SELECT l.x FROM customers c, LATERAL (SELECT c.ssn AS x) l', ['x = customers.ssn']],
    [
      'a name that means an outer column where a sibling is out of sight',
      'SELECT (SELECT s.ssn FROM orders ssn, (SELECT ssn) s LIMIT 1) FROM customers',
      ['ssn = customers.ssn'],
    ],
    ['a function in FROM', "SELECT x FROM customers c, string_to_table(c.ssn, '') x", ['x ← customers.ssn']],
    ['WITH ORDINALITY', "SELECT * FROM unnest(ARRAY['a']) WITH ORDINALITY AS u (v, n)", ['v ←', 'n ←']],
    [
      'ROWS FROM',
      'SELECT * FROM customers c, ROWS FROM (unnest(c.tags), generate_series(1, c.id)) AS r (t, n)',
      expect.arrayContaining(['t ← customers.tags', 'n ← customers.id']) as unknown as string[],
    ],
    [
      'unnest of several arrays',
      'SELECT u.* FROM customers c, unnest(c.tags, ARRAY[c.ssn]) u (a, b)',
      ['a ← customers.tags', 'b ← customers.ssn'],
    ],
    [
      'a column definition list',
      'SELECT x.a FROM events e, jsonb_to_record(e.payload) AS x (a text)',
      ['a ← events.payload'],
    ],
    [
      'JSON functions that make columns',
      'SELECT k.key, k.value FROM events e, jsonb_each(e.payload) k',
      ['key ← events.payload', 'value ← events.payload'],
    ],
    [
      'JSON_TABLE',
      "SELECT j.* FROM events e, JSON_TABLE(e.payload, '$' COLUMNS (NESTED PATH '$.b' COLUMNS (b text PATH '$'), a text PATH '$.a')) j",
      ['a ← events.payload', 'b ← events.payload'],
    ],
    [
      'JSON constructors',
      "SELECT JSON_OBJECT('k': ssn), JSON_ARRAYAGG(name ORDER BY email) FROM customers GROUP BY ssn",
      ['json_object ← customers.ssn', 'json_arrayagg ← customers.email customers.name'],
    ],
    [
      'XMLTABLE',
      "SELECT x.a FROM customers c, XMLTABLE('/r' PASSING (c.ssn::xml) COLUMNS a text) x",
      ['a ← customers.ssn'],
    ],
    ['XMLFOREST', 'SELECT xmlforest(ssn AS s) FROM customers', ['xmlforest ← customers.ssn']],
    [
      'a function of the shop’s own',
      'SELECT keep(ssn), twice(id) FROM customers',
      ['keep ← customers.ssn ?', 'twice ← customers.id ?'],
    ],
    [
      'a function that reads whatever it is told',
      "SELECT query_to_xml('SELECT ssn FROM customers', true, true, '')",
      ['query_to_xml ← ?'],
    ],
    [
      'a sequence',
      "SELECT currval('numbers'), lastval(), nextval('numbers')",
      ['currval ← ?', 'lastval ← ?', 'nextval ← ?'],
    ],
    [
      'an operator of the shop’s own over the server’s own function',
      "SELECT note |=| 'x' FROM orders",
      ['?column? ← orders.note'],
    ],
    [
      'an operator that is the shop’s own for some types of a parameter',
      'SELECT note = $1 FROM orders',
      ['?column? ← orders.note ?'],
    ],
    ['an operator that is the shop’s own', 'SELECT note = 5 FROM orders', ['?column? ← orders.note ?']],
    [
      'a cast of the shop’s own',
      'SELECT (c::address).city FROM customers c',
      [expect.stringMatching(/^city ← .*\?$/) as unknown as string],
    ],
    ['a view', 'SELECT ssn, mail FROM customer_view', ['ssn = customers.ssn', 'mail ← customers.email']],
    [
      'a view of a view',
      'SELECT ssn, mail, total FROM order_view',
      ['ssn = customers.ssn', 'mail ← customers.email', 'total = orders.total'],
    ],
    ['a materialized view', 'SELECT email FROM emails', ['email = customers.email']],
    [
      'the server’s statistics',
      'SELECT histogram_bounds FROM pg_stats',
      [expect.stringContaining('pg_statistic.stavalues1') as unknown as string],
    ],
    ['other sessions’ statements', 'SELECT query FROM pg_stat_activity', ['query ← ?']],
    ['a generated column', 'SELECT initial FROM initials', ['initial ← initials.initial initials.name']],
    [
      'system columns',
      'SELECT ctid, tableoid FROM customers',
      ['ctid = customers.ctid', 'tableoid = customers.tableoid'],
    ],
    [
      'RETURNING',
      "UPDATE customers SET name = 'x' WHERE id = 1 RETURNING ssn, name",
      ['ssn = customers.ssn', 'name = customers.name'],
    ],
    [
      'RETURNING of old and new rows',
      'DELETE FROM customers WHERE id = 1 RETURNING WITH (OLD AS before) before.ssn, new.name',
      ['ssn = customers.ssn', 'name = customers.name'],
    ],
    [
      'RETURNING inside WITH',
      'WITH d AS (DELETE FROM customers WHERE id = 1 RETURNING ssn) SELECT * FROM d',
      ['ssn = customers.ssn'],
    ],
    [
      'MERGE RETURNING',
      'MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED THEN DO NOTHING RETURNING merge_action(), c.ssn, o.note',
      ['merge_action ←', 'ssn = customers.ssn', 'note = orders.note'],
    ],
    ['EXPLAIN', "EXPLAIN SELECT id FROM customers WHERE ssn = '1'", ['QUERY PLAN ← customers.id customers.ssn']],
    [
      'COPY of a table',
      'COPY orders TO STDOUT',
      ['id = orders.id', 'customer_id = orders.customer_id', 'total = orders.total', 'note = orders.note'],
    ],
    ['COPY leaves generated columns out', 'COPY initials TO STDOUT', ['name = initials.name']],
    ['COPY of a query', 'COPY (SELECT ssn FROM customers) TO STDOUT', ['ssn = customers.ssn']],
    ['SHOW', 'SHOW work_mem', ['work_mem ←']],
  ])('%s', async (_what, sql, outputs) => {
    const statement = await shop.one(sql);
    expect(statement.incomplete).toEqual([]);
    expect(outputsOf(statement)).toEqual(outputs);
  });

  test('has the names of views and relatives by which policy may know it', async () => {
    const through = async (sql: string) =>
      (await shop.one(sql)).output?.[0]?.through.map(({ relation, column }) => `${relation}.${column}`).sort();
    expect(await through('SELECT ssn FROM order_view')).toEqual(['customer_view.ssn', 'order_view.ssn']);
    expect(await through('SELECT payload FROM events_2024')).toEqual(['events.payload']);
    expect(await through('SELECT payload FROM events')).toEqual(['events_2024.payload']);
    expect(await through('SELECT secret FROM children')).toEqual(['parents.secret']);
    expect(await through('SELECT secret FROM parents')).toEqual(['children.secret']);
  });

  test('is missing where there is no result', async () => {
    expect((await shop.one('DELETE FROM orders WHERE id = 1')).output).toBeUndefined();
    expect((await shop.one('SELECT 1 INTO fresh')).output).toBeUndefined();
  });
});

/**
 * Statements that use one labelled expression in one place: each place where a value can show without being selected, by
 * the rows there are, their order, an error, or what is stored.
 */
import { condition, expression, type Scope } from './expressions.ts';
import type { Queries } from './queries.ts';
import type { Random } from './random.ts';
import { type Kind, tables } from './schema.ts';

const readable = tables.filter(({ columns }) => columns.some(({ labelled }) => labelled));

/** Makes one. */
export function dare(random: Random, queries: Queries): string {
  const table = random.pick(readable);
  const scope: Scope = {
    columns: queries.visible({ alias: 'p', columns: table.columns }),
    rows: [{ sql: 'p', labelled: true }],
    depth: random.int(0, 2),
    daring: 0.85,
    subquery: (kind, inner) => `(SELECT ${expression(random, kind, { ...inner, depth: 0 })})`,
  };
  const of = (kind: Kind) => expression(random, kind, scope);
  const any = () => of(random.pick<Kind>(['int', 'text', 'date', 'numeric']));
  const bit = () => condition(random, scope);
  const from = `${table.name} p`;
  const key = table.columns.some(({ name }) => name === 'id') ? 'id' : 'k';
  const one = `p.${key} = ${random.int(1, 7)}`;
  // An error for some values and none for others; rows in the number of a value.
  const risky = random.make(
    any,
    () => `1 / (${of('int')} % 2)`,
    () => `1 / (length(${of('text')}) % ${random.int(2, 4)})`,
    () => `1 / (ascii(${of('text')}) % 2)`,
    () => `(${of('text')})::integer`,
    () => `(${of('text')})::date`,
  );
  const rows = random.make(
    () => `generate_series(1, ${of('int')} % 7)`,
    () => `generate_series(1, ascii(${of('text')}))`,
    () => `string_to_table(${of('text')}, NULL)`,
    () => `regexp_split_to_table(${of('text')}, '')`,
    () => `regexp_matches(${of('text')}, 'q|h', 'g')`,
    () => `unnest(${of('texts')})`,
    () => `unnest(${of('texts')}, ARRAY[1])`,
    () => `jsonb_each(${of('json')})`,
    () => `jsonb_object_keys(${of('json')})`,
    () => `jsonb_path_query(${of('json')}, '$.**')`,
    () => `JSON_TABLE(${of('json')}, '$.*' COLUMNS (o FOR ORDINALITY))`,
    () => `ROWS FROM (generate_series(1, length(${of('text')})), generate_series(1, 2))`,
    () =>
      `XMLTABLE('/r/x' PASSING (('<r>' || repeat('<x/>', length(${of('text')})) || '</r>')::xml) COLUMNS o FOR ORDINALITY)`,
    () => `to_date(${of('text')}, 'YYYY')`,
    () => `generate_subscripts(${of('texts')}, 1)`,
  );
  const numbers = random.pick(['7310000, 7330000', '-2930000, -2910000']);
  const days = random.pick([`date '1931-01-01', '1931-12-31', '1 day'`, `date '2047-01-01', '2047-12-31', '1 day'`]);
  const column = random.pick(table.columns.filter(({ labelled }) => labelled));
  return random.make(
    () => `SELECT p.${key} FROM ${from}, ${rows} AS r WHERE ${one}`,
    () => `SELECT count(*) FROM ${from} LEFT JOIN LATERAL ${rows} AS r ON true`,
    () => `SELECT ${key} FROM (SELECT p.${key}, ${risky} FROM ${from}) q`,
    () =>
      `SELECT q.${key} FROM (SELECT p.${key}, ${rows.startsWith('JSON') || rows.startsWith('ROWS') || rows.startsWith('XML') ? risky : rows} FROM ${from}) q`,
    () => `WITH q AS MATERIALIZED (SELECT p.${key}, ${risky} AS x FROM ${from} WHERE ${one}) SELECT ${key} FROM q`,
    // What is volatile is worked out though nobody reads it.
    () => `SELECT ${key} FROM (SELECT p.${key}, (${risky})::text || random() FROM ${from} WHERE ${one}) q`,
    () =>
      `WITH RECURSIVE q AS (SELECT 1 AS n, ${risky} AS x FROM ${from} WHERE ${one} UNION ALL SELECT 2, x FROM q WHERE n < 2) SELECT n FROM q`,
    () => `SELECT p.${key} FROM ${from}, LATERAL (VALUES (${risky})) v`,
    () => `SELECT p.${key} FROM ${from}, LATERAL (SELECT ${risky} OFFSET 0) v`,
    () => `SELECT p.${key} FROM ${from} WHERE EXISTS (SELECT ${risky})`,
    () => `SELECT p.${key} FROM ${from} WHERE ${bit()}`,
    () => `SELECT p.${key} FROM ${from} WHERE (SELECT ${bit()})`,
    () => `SELECT p.${key} FROM ${from} WHERE p.${key} = ANY (ARRAY(SELECT ${of('int')}))`,
    () =>
      `SELECT p.${key} FROM ${from} WHERE p.${column.name} IN (SELECT o.${column.name} FROM ${table.name} o WHERE o.${key} < 4)`,
    () =>
      `SELECT p.${key} FROM ${from} WHERE (p.${column.name}, 1) > (${random.pick(['NULL', 'p.' + column.name])}, 0)`,
    // Every value there could be, compared by equality: a lookup that finds.
    () => `SELECT g FROM ${from}, generate_series(${numbers}) g WHERE g = ${of('int')}`,
    () => `SELECT g::date FROM ${from}, generate_series(${days}) g WHERE ${of('date')} = g::date`,
    () => `SELECT p.${key} FROM ${from} WHERE ${of('date')} IN (SELECT generate_series(${days})::date)`,
    () => `SELECT p.${key} FROM ${from} WHERE ${of('date')} = ANY (ARRAY(SELECT generate_series(${days})::date))`,
    () =>
      `WITH g(v) AS (SELECT v::date FROM generate_series(${days}) v) SELECT p.${key} FROM ${from} JOIN g ON g.v = ${of('date')}`,
    () =>
      `SELECT p.${key} FROM ${from}, LATERAL (SELECT v FROM generate_series(${numbers}) v WHERE v = ${of('int')}) g`,
    () => `SELECT p.${key} FROM ${from} ORDER BY ${any()}`,
    () => `SELECT p.${key}, p.${column.name} FROM ${from} ORDER BY 2`,
    () => `SELECT p.${key} FROM ${from} ORDER BY p.${column.name} USING <`,
    () => `SELECT p.${key}, p.${column.name} AS z FROM ${from} ORDER BY z LIMIT 1`,
    () => `SELECT p.${key} FROM ${from} LIMIT (SELECT ${of('int')} % 5 FROM ${from} WHERE ${one} LIMIT 1)`,
    () => `SELECT p.${key} FROM ${from} OFFSET (SELECT length(${of('text')}) % 5 FROM ${from} WHERE ${one} LIMIT 1)`,
    () => `SELECT count(*) FROM ${from} GROUP BY ${any()}`,
    () => `SELECT count(*) FROM ${from} GROUP BY GROUPING SETS ((${any()}), (p.${key}))`,
    () => `SELECT count(*) FROM ${from} GROUP BY p.${key} HAVING max(${of('int')}) > 0 ORDER BY 1`,
    () => `SELECT count(*) FILTER (WHERE ${bit()}) FROM ${from}`,
    () => `SELECT array_agg(p.${key} ORDER BY ${any()}) FROM ${from}`,
    () => `SELECT count(DISTINCT ${any()}) FROM ${from}`,
    () => `SELECT p.${key}, row_number() OVER (ORDER BY ${any()}) FROM ${from}`,
    () => `SELECT p.${key}, count(*) OVER (PARTITION BY ${any()}) FROM ${from}`,
    () => `SELECT p.${key}, rank() OVER w FROM ${from} WINDOW w AS (ORDER BY ${any()})`,
    () => `SELECT p.${key}, count(*) OVER (w ORDER BY p.${key}) FROM ${from} WINDOW w AS (PARTITION BY ${any()})`,
    () => `SELECT rank(1) WITHIN GROUP (ORDER BY ${of('int')}) FROM ${from}`,
    () => `SELECT DISTINCT ON (${any()}) p.${key} FROM ${from}`,
    () => `SELECT count(*) FROM (SELECT DISTINCT p.${column.name} FROM ${from}) q`,
    () =>
      `SELECT count(*) FROM (SELECT p.${column.name} FROM ${from} ${random.pick(['UNION', 'INTERSECT', 'EXCEPT'])} SELECT NULL) q`,
    () => `SELECT CASE WHEN ${bit()} THEN 1 ELSE 2 END FROM ${from}`,
    () => `SELECT p.${key} FROM ${from} JOIN plain o ON ${bit()}`,
    () => `SELECT o.id FROM plain o LEFT JOIN ${from} ON ${of('text')} = o.word`,
    () => `SELECT p.${key} FROM ${from} JOIN ${table.name} o USING (${column.name})`,
    () => `SELECT count(*) FROM ${from} NATURAL JOIN ${table.name} o`,
    () =>
      `SELECT p.${key} FROM ${table.name} p TABLESAMPLE bernoulli (${random.int(1, 90)}) REPEATABLE ((SELECT ${of('int')} FROM ${from} LIMIT 1))`,
    () => `SELECT (SELECT count(*) FROM plain o WHERE o.amount > ${of('int')}) FROM ${from}`,
    () => `SELECT ARRAY(SELECT ${any()}) FROM ${from}`,
    () => `SELECT (ARRAY['a', 'b', 'c', 'd'])[1 + length(${of('text')}) % 4] FROM ${from}`,
    () => `SELECT nullif(p.${column.name}, p.${column.name}) IS NULL FROM ${from}`,
    () => `SELECT p IS NOT NULL, p = p FROM ${from}`,
    () => `SELECT (p.*)::text, to_json(p), row_to_json(p.*) FROM ${from}`,
    () => `SELECT ${column.name}(p) FROM ${from}`,
    () => `SELECT (q.r).${column.name} FROM (SELECT p AS r FROM ${from}) q`,
    () => `SELECT (q.r).f2 FROM (SELECT ROW(p.${key}, p.${column.name}) AS r FROM ${from}) q`,
    () => `SELECT x.${column.name} FROM ${from}, LATERAL (SELECT p.${column.name} UNION ALL SELECT NULL) x`,
    () =>
      `SELECT coalesce(x.${column.name}, o.${column.name}) FROM ${from.replace(' p', ' x')} FULL JOIN ${table.name} o ON x.${key} = o.${key}`,
    () => `SELECT set_config('leak.x', (${of('text')})::text, false) FROM ${from}`,
    () => `SELECT pg_notify('x', ${of('text')}) FROM ${from}`,
    () => `SELECT has_table_privilege(${of('text')}, 'SELECT') FROM ${from}`,
    () => `SELECT pg_input_is_valid(${of('text')}, 'integer') FROM ${from}`,
    () =>
      `WITH RECURSIVE r AS (SELECT p.${key} AS n, p.${column.name} AS v FROM ${from} UNION SELECT n + 1, v FROM r WHERE n < 4) SELECT count(*) FROM r`,
    () => `WITH RECURSIVE r AS (SELECT p.${key} AS n, p.${column.name} AS v FROM ${from} UNION ALL SELECT n + 1, v FROM r WHERE n < 3)
      SEARCH BREADTH FIRST BY v SET o SELECT n FROM r ORDER BY o`,
    () => `WITH RECURSIVE r AS (SELECT p.${key} AS n, p.${column.name} AS v FROM ${from} UNION ALL SELECT n, v FROM r)
      CYCLE v SET c USING t SELECT n FROM r WHERE NOT c`,
    () => `INSERT INTO scratch.notes (k) SELECT p.${key} FROM ${from} WHERE ${bit()} RETURNING k`,
    () => `INSERT INTO scratch.notes (t) SELECT ${of('text')} FROM ${from} RETURNING t`,
    () =>
      `INSERT INTO scratch.notes (k) SELECT length(p.${column.name}::text) FROM ${from}; SELECT k, t FROM scratch.notes`,
    () =>
      `INSERT INTO scratch.contacts (id, city) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET city = 'y' WHERE contacts.phone > 'm' RETURNING id`,
    () => `UPDATE scratch.notes n SET k = 1 FROM ${from} WHERE n.id = p.${key} AND ${bit()} RETURNING n.id`,
    () =>
      `UPDATE scratch.notes n SET (k, t) = (SELECT ${of('int')}, ${of('text')} FROM ${from} WHERE ${one} LIMIT 1) WHERE n.id = 1`,
    () => `DELETE FROM scratch.notes n USING ${from} WHERE n.id = p.${key} AND ${bit()} RETURNING n.id`,
    () =>
      `MERGE INTO scratch.notes n USING ${from} ON n.id = p.${key} WHEN MATCHED AND ${bit()} THEN DELETE RETURNING n.id`,
    () =>
      `MERGE INTO scratch.notes n USING ${from} ON n.id = p.${key} WHEN MATCHED THEN UPDATE SET t = ${of('text')} RETURNING n.t`,
    () =>
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT p.${key} FROM ${from} WHERE ${bit()}`,
    () => `EXPLAIN SELECT ${any()} FROM ${from}`,
    () => `COPY (SELECT ${any()} FROM ${from}) TO STDOUT`,
    () => `COPY (SELECT p.${key} FROM ${from} WHERE ${bit()}) TO STDOUT`,
    () => `CREATE TABLE scratch.copied AS SELECT p.${column.name} FROM ${from}`,
    () => `SELECT p.${column.name} INTO scratch.copied FROM ${from}`,
    () => `DECLARE d CURSOR WITH HOLD FOR SELECT p.${key} FROM ${from} WHERE ${bit()}`,
    () => `SELECT p.${key} FROM ${from} WHERE p.${column.name}::text = 'nobody'`,
    () => `SELECT p.${key} FROM ${from} WHERE p.${column.name} IS NULL`,
    () => `SELECT max(q.n) FROM (SELECT p.${column.name}, count(*) AS n FROM ${from} GROUP BY 1) q`,
    () => `SELECT xmlforest(p.${column.name}), JSON_OBJECT('k': p.${column.name}) FROM ${from}`,
    () => `SELECT p.${key} FROM ${from} FOR UPDATE`,
    () => `SELECT p.${key} FROM (SELECT * FROM ${from} ORDER BY ${any()} LIMIT 2) p`,
  );
}

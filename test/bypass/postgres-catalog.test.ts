/** What the catalog makes a harmless-looking statement do: rules, cascades, children, domains, defaults, policies. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { frontend } from '../support/wire-client.ts';
import { tell } from './postgres-agent.ts';
import { openStage, type Stage } from './postgres-stage.ts';

/** Everything here was made by somebody with rights, in the schema where agents may write. */
const schemaSql = `
CREATE TABLE scratch.ruled (id integer PRIMARY KEY);
CREATE RULE also AS ON INSERT TO scratch.ruled DO ALSO DELETE FROM ledger;
CREATE TABLE scratch.replaced (id integer PRIMARY KEY);
CREATE RULE instead AS ON UPDATE TO scratch.replaced DO INSTEAD DELETE FROM ledger;
INSERT INTO scratch.replaced VALUES (1);
CREATE VIEW scratch.window_to_orders AS SELECT * FROM orders;
CREATE VIEW scratch.window_twice AS SELECT * FROM scratch.window_to_orders WHERE id < 100;
CREATE VIEW scratch.guarded AS SELECT 1 AS id;
CREATE FUNCTION scratch.instead_of() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM purge(); RETURN NEW; END';
CREATE TRIGGER guards INSTEAD OF UPDATE ON scratch.guarded FOR EACH ROW EXECUTE FUNCTION scratch.instead_of();
CREATE TABLE scratch.parent (id integer PRIMARY KEY, note text);
INSERT INTO scratch.parent VALUES (1, 'a'), (2, 'b');
CREATE TABLE child_of_parent (id integer PRIMARY KEY, parent integer REFERENCES scratch.parent ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO child_of_parent VALUES (1, 1), (2, 2);
CREATE TABLE scratch.base (id integer, note text);
CREATE TABLE inherits_base () INHERITS (scratch.base);
INSERT INTO inherits_base VALUES (1, 'elsewhere');
CREATE TABLE scratch.parted (id integer, note text) PARTITION BY RANGE (id);
CREATE TABLE part_elsewhere PARTITION OF scratch.parted FOR VALUES FROM (0) TO (100);
INSERT INTO part_elsewhere VALUES (1, 'elsewhere');
CREATE TABLE scratch.parted_here (id integer) PARTITION BY RANGE (id);
CREATE TABLE scratch.part_here PARTITION OF scratch.parted_here FOR VALUES FROM (0) TO (100);
CREATE TRIGGER purges AFTER INSERT ON scratch.part_here FOR EACH ROW EXECUTE FUNCTION purge_trigger();
CREATE TABLE scratch.domained (id integer, n purging);
CREATE TYPE holds_domain AS (n purging);
CREATE TABLE scratch.checked (id integer CHECK (purge() >= 0));
CREATE TABLE scratch.generated (id integer, n integer GENERATED ALWAYS AS (harmless_looking()) STORED);
CREATE TABLE scratch.indexed (id integer);
CREATE INDEX ON scratch.indexed ((id + harmless_looking()));
CREATE TABLE scratch.policed (id integer);
INSERT INTO scratch.policed VALUES (1);
CREATE POLICY p ON scratch.policed USING (purge() >= 0);
ALTER TABLE scratch.policed ENABLE ROW LEVEL SECURITY;
ALTER TABLE scratch.policed FORCE ROW LEVEL SECURITY;
CREATE VIEW calls AS SELECT purge() AS n;
CREATE VIEW calls_twice AS SELECT n FROM calls;
CREATE FUNCTION purge_mood(mood) RETURNS integer LANGUAGE sql AS 'SELECT purge()';
CREATE CAST (mood AS integer) WITH FUNCTION purge_mood(mood) AS IMPLICIT;
`;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ schemaSql });
});
afterAll(() => stage?.close());

/** Whatever is told, it is a refusal of the gateway's, and nothing happened. */
function harmless(cases: readonly string[]): void {
  for (const sql of cases) {
    test(sql, async () => {
      const before = await side();
      const agent = await stage.agent();
      for (const told of [await agent.told(sql), await agent.toldExtended(sql)]) {
        expect(told).toMatchObject({ types: 'EZ', code: expect.stringMatching(/^[a-z_]+$/), status: 'I' });
      }
      expect(stage.carried(sql)).toBe(false);
      expect(await side()).toEqual(before);
      expect(await agent.rows('SELECT 1')).toEqual([['1']]);
      await agent.end();
    });
  }
}

/** What only a side effect would change. */
async function side(): Promise<unknown> {
  return [
    await stage.state(),
    await stage.gateway.sql(`SELECT (SELECT count(*) FROM child_of_parent) AS children,
      (SELECT string_agg(note, ',') FROM inherits_base) AS inherited, (SELECT string_agg(note, ',') FROM part_elsewhere) AS parted`),
  ];
}

describe('a rule, a trigger or a view writes somewhere else', () => {
  harmless([
    'INSERT INTO scratch.ruled VALUES (1)',
    'UPDATE scratch.replaced SET id = 2 WHERE id = 1',
    "UPDATE scratch.window_to_orders SET status = 'x' WHERE id = 1",
    "UPDATE scratch.window_twice SET status = 'x' WHERE id = 1",
    'DELETE FROM scratch.window_twice WHERE id = 1',
    "INSERT INTO scratch.window_to_orders VALUES (-1, 1, 'x', 1, 'EUR', now())",
    'MERGE INTO scratch.window_to_orders o USING (VALUES (1)) v(id) ON o.id = v.id WHEN MATCHED THEN DELETE',
    'UPDATE scratch.guarded SET id = 2 WHERE id = 1',
    'COPY scratch.window_to_orders FROM STDIN',
    'COPY scratch.ruled FROM STDIN',
  ]);
});

describe('a key or a child reaches out of working data', () => {
  harmless([
    'DELETE FROM scratch.parent WHERE id = 1',
    'UPDATE scratch.parent SET id = 3 WHERE id = 1',
    'TRUNCATE scratch.parent CASCADE',
    'DROP TABLE scratch.parent CASCADE',
    "UPDATE scratch.base SET note = 'x' WHERE id = 1",
    'DELETE FROM scratch.base WHERE id = 1',
    'TRUNCATE scratch.base',
    "UPDATE scratch.parted SET note = 'x' WHERE id = 1",
    "INSERT INTO scratch.parted VALUES (2, 'x')",
    'DELETE FROM scratch.parted WHERE id = 1',
    'TRUNCATE scratch.parted',
    'INSERT INTO scratch.parted_here VALUES (1)',
    'COPY scratch.parted_here FROM STDIN',
    'DROP TABLE scratch.parted',
    'DROP TABLE scratch.base CASCADE',
  ]);
});

describe('a type or an expression of the catalog runs a function', () => {
  harmless([
    'INSERT INTO scratch.domained VALUES (1, 1)',
    'UPDATE scratch.domained SET n = 1 WHERE id = 1',
    'COPY scratch.domained FROM STDIN',
    'INSERT INTO scratch.checked VALUES (1)',
    'INSERT INTO scratch.generated VALUES (1)',
    'INSERT INTO scratch.indexed VALUES (1)',
    'SELECT n FROM calls',
    'SELECT n FROM calls_twice',
    'SELECT 1::purging',
    "SELECT '1'::purging",
    "SELECT purging '1'",
    "SELECT '{1}'::purging[]",
    "SELECT '(1)'::holds_domain",
    'SELECT ROW(1)::holds_domain',
    "SELECT CAST('1' AS purging)",
    'SELECT NULL::purging',
    'SELECT json_populate_record(NULL::holds_domain, \'{"n": 1}\')',
    'SELECT jsonb_populate_recordset(NULL::holds_domain, \'[{"n": 1}]\')',
    'SELECT * FROM json_to_record(\'{"n": 1}\') AS x(n purging)',
    'SELECT * FROM jsonb_to_recordset(\'[{"n": 1}]\') AS x(n purging)',
    "SELECT * FROM json_table('[1]', '$[*]' COLUMNS (n purging PATH '$'))",
    "SELECT json_value('1', '$' RETURNING purging)",
    "SELECT * FROM xmltable('/a' PASSING '<a>1</a>' COLUMNS n purging PATH '.')",
    'PREPARE p(purging) AS SELECT 1',
    'PREPARE p(holds_domain) AS SELECT 1',
    "SELECT 'enum-canary-calm'::mood + 1",
    "SELECT abs('enum-canary-calm'::mood)",
    'SELECT a FROM (VALUES (1)) v(a) ORDER BY ROW(a, a)::pair USING OPERATOR(public.<)',
  ]);

  test.each(['purging', 'holds_domain', 'purging[]'])('a parameter that Parse says is a %s', async (type) => {
    const before = await side();
    const [row] = await stage.gateway.sql(`SELECT '${type}'::regtype::oid::int AS oid`);
    const value = type === 'purging' ? '1' : type === 'holds_domain' ? '(1)' : '{1}';
    const agent = await stage.agent();
    for (const sql of [
      'SELECT $1',
      'SELECT 1 WHERE $1 IS NULL',
      'SELECT status FROM orders WHERE id = 1 OR $1 IS NULL',
    ]) {
      agent.client.send(
        frontend.parse(sql, '', [Number(row?.oid)]),
        frontend.bind({ values: [value] }),
        frontend.execute(),
        frontend.sync(),
      );
      const told = tell(await agent.client.untilReady());
      expect({ sql, told, side: await side() }).toEqual({
        sql,
        told: { types: 'EZ', sqlstate: expect.any(String), code: expect.stringMatching(/^[a-z_]+$/), status: 'I' },
        side: before,
      });
    }
  });
});

test('what the same objects may be used for still works', async () => {
  const agent = await stage.agent();
  expect(await agent.rows('SELECT count(*)::text FROM scratch.window_twice WHERE id = 1')).toEqual([['1']]);
  expect(await agent.rows('SELECT note FROM scratch.parent WHERE id = 1')).toEqual([['a']]);
  expect(await agent.rows('SELECT note FROM scratch.base')).toEqual([['elsewhere']]);
  expect(await agent.rows("SELECT t FROM vault WHERE t = 'x'")).toEqual([]);
});

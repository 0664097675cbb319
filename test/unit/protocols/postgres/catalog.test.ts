import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { limits } from '../../../../proxy/core/limits.ts';
import { type CatalogLimits, openCatalog } from '../../../../proxy/protocols/postgres/catalog.ts';
import type { CatalogQuery } from '../../../../proxy/protocols/postgres/classification.ts';
import { type ClassifierLimits, createClassifier } from '../../../../proxy/protocols/postgres/classify.ts';
import { textArray } from '../../../../proxy/protocols/postgres/lineage/build-snapshot.ts';
import { type PostgresServer, startPostgres } from '../../../support/postgres.ts';
import { openClient, queryOn } from './lineage-fixture.ts';

let server: PostgresServer;
let database: string;
let client: pg.Client;
beforeAll(async () => {
  server = await startPostgres();
  database = await server.createDatabase();
  client = await openClient(server, database);
}, 60_000);
afterAll(async () => {
  await client?.end();
  await server?.stop();
});

/** A clock that goes when told. */
function clock() {
  let now = 0;
  return { monotonicMs: () => now, pass: (ms: number) => (now += ms) };
}

/** Checks come as often as the event loop lets them. */
const eager: CatalogLimits = { ...limits, catalogCheckIntervalMs: 0 };
/** Checks do not come by themselves. */
const idle: CatalogLimits = { ...limits, catalogCheckIntervalMs: 1_000_000 };

const ddl = (sql: string) => server.psql(sql, { database });

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

function classifier(query: CatalogQuery, bounds: ClassifierLimits = limits, time: { monotonicMs(): number } = clock()) {
  return createClassifier({
    query,
    serverMajor: 18,
    searchPath: ['public'],
    database,
    user: server.user,
    clock: time,
    limits: bounds,
  });
}

describe('the catalog', () => {
  test('is asked for without unqualified names: nobody’s objects can stand in for the server’s', async () => {
    await ddl(
      "CREATE FUNCTION hashtext(text) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE pg_class (relname text)",
    );
    const catalog = await openCatalog(queryOn(client), clock(), idle);
    expect(catalog.current?.snapshot.relations.get('pg_catalog')?.get('pg_class')?.columns.length).toBeGreaterThan(20);
    catalog.close();
    await ddl('DROP FUNCTION public.hashtext(text); DROP TABLE public.pg_class');
  });

  test('knows relations, their columns, relatives, triggers and rules', async () => {
    await ddl(`CREATE TABLE "Über" (id int, "we""ird" text, gone int);
      ALTER TABLE "Über" DROP COLUMN gone;
      CREATE TABLE part (id int) PARTITION BY LIST (id); CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1)`);
    const catalog = await openCatalog(queryOn(client), clock(), idle);
    const own = catalog.current?.snapshot.relations.get('public');
    expect(own?.get('Über')?.columns.map(({ name, attnum }) => [name, attnum])).toEqual([
      ['id', 1],
      ['we"ird', 2],
    ]);
    expect(own?.get('part')?.children.map(({ name }) => name)).toEqual(['part_1']);
    expect(own?.get('part_1')?.parents.map(({ name }) => name)).toEqual(['part']);
    catalog.close();
  });

  test('does not see other sessions’ temporary relations', async () => {
    await client.query('CREATE TEMP TABLE mine (id int)');
    const catalog = await openCatalog(queryOn(client), clock(), idle);
    const schemas = [...(catalog.current?.snapshot.relations.keys() ?? [])];
    expect(schemas.filter((schema) => schema.startsWith('pg_temp'))).toEqual([]);
    catalog.close();
    await client.query('DROP TABLE mine');
  });

  test('refuses to be larger than its bounds', async () => {
    await expect(openCatalog(queryOn(client), clock(), { ...idle, catalogRowsMax: 10 })).rejects.toThrow('bounds');
    await expect(openCatalog(queryOn(client), clock(), { ...idle, catalogBytesMax: 10 })).rejects.toThrow('bounds');
  });

  test('fails to open where it cannot be read', async () => {
    await expect(openCatalog(() => Promise.reject(new Error('no')), clock(), idle)).rejects.toThrow('no');
    await expect(openCatalog(async () => [['nonsense']], clock(), idle)).rejects.toThrow();
  });
});

describe('a change', () => {
  test('that was announced is seen by the next statement', async () => {
    const own = await classifier(queryOn(client), { ...limits, ...idle });
    const unknown = own.classify(Buffer.from('SELECT a FROM announced'));
    expect(unknown).toMatchObject({ statements: [{ incomplete: ['unknown_column', 'unknown_relation'] }] });
    const { epoch } = own;
    await ddl('CREATE TABLE announced (a int)');
    const told = own.invalidate();
    // Asked at once, it waits for the reading that has begun.
    expect(await own.classify(Buffer.from('SELECT a FROM announced'))).toMatchObject({
      statements: [{ incomplete: [] }],
    });
    await told;
    expect(own.epoch).toBeGreaterThan(epoch);
    await own.close();
  });

  test('is not missed when it comes while the catalog is being read', async () => {
    const ask = queryOn(client);
    let during: (() => Promise<unknown>) | undefined;
    const own = await classifier(
      async (sql) => {
        const rows = await ask(sql);
        if (sql.includes('pg_inherits') && during !== undefined) {
          const change = during;
          during = undefined;
          await change();
        }
        return rows;
      },
      { ...limits, ...idle },
    );
    let second: Promise<void> | undefined;
    during = async () => {
      await ddl('CREATE TABLE meanwhile (a int)');
      second = own.invalidate();
    };
    await own.invalidate();
    expect(await own.classify(Buffer.from('SELECT a FROM meanwhile'))).toMatchObject({
      statements: [{ incomplete: [] }],
    });
    await second;
    await own.close();
  });

  test.each([
    ['a table', 'CREATE TABLE fresh_1 (a int)'],
    ['a column', 'ALTER TABLE fresh_1 ADD COLUMN b int'],
    ['a column’s name', 'ALTER TABLE fresh_1 RENAME b TO c'],
    ['a column’s type', 'ALTER TABLE fresh_1 ALTER c TYPE text'],
    ['a view', 'CREATE VIEW fresh_2 AS SELECT a FROM fresh_1'],
    ['a view’s definition', 'CREATE OR REPLACE VIEW fresh_2 AS SELECT a + 1 AS a FROM fresh_1'],
    ['a function', "CREATE FUNCTION fresh_3() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'"],
    ['a function’s volatility', 'ALTER FUNCTION fresh_3() VOLATILE'],
    ['an operator', 'CREATE OPERATOR <<<> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)'],
    ['a type', "CREATE TYPE fresh_4 AS ENUM ('a')"],
    ['a domain’s check', 'CREATE DOMAIN fresh_5 AS int CHECK (VALUE > fresh_3())'],
    ['a rule', 'CREATE RULE r AS ON INSERT TO fresh_1 DO INSTEAD NOTHING'],
    ['a default', 'ALTER TABLE fresh_1 ALTER a SET DEFAULT fresh_3()'],
    ['a policy', 'ALTER TABLE fresh_1 ALTER a DROP DEFAULT; CREATE POLICY p ON fresh_1 USING (fresh_3() = 1)'],
    ['an inheritance', 'CREATE TABLE fresh_6 () INHERITS (fresh_1)'],
    ['a schema', 'CREATE SCHEMA fresh_7'],
    [
      'an object in the server’s own schema',
      'SET allow_system_table_mods = on; CREATE VIEW pg_catalog.fresh_8 AS SELECT 1 AS a',
    ],
    ['what is gone', 'DROP TABLE fresh_6; DROP VIEW pg_catalog.fresh_8'],
  ])('made by others is noticed: %s', async (_what, sql) => {
    const catalog = await openCatalog(queryOn(client), clock(), eager);
    const { epoch } = catalog;
    await ddl(sql);
    await until(() => catalog.epoch > epoch);
    catalog.close();
  });

  test('that changes nothing does not make anything be judged again', async () => {
    const catalog = await openCatalog(queryOn(client), clock(), idle);
    const { epoch } = catalog;
    await ddl('ANALYZE; TRUNCATE announced');
    await catalog.invalidate();
    expect(catalog.epoch).toBe(epoch);
    catalog.close();
  });
});

describe('a catalog that cannot be read', () => {
  test('is believed for a bounded time, then nothing is classified until it can be read again', async () => {
    const time = clock();
    let fails = false;
    const ask = queryOn(client);
    const own = await classifier(
      (sql) => (fails ? Promise.reject(new Error('down')) : ask(sql)),
      { ...limits, ...idle },
      time,
    );
    const text = Buffer.from('SELECT 1');
    fails = true;
    time.pass(limits.catalogStaleMs);
    expect(own.classify(text)).toHaveProperty('statements');
    time.pass(1);
    expect(await own.classify(text)).toMatchObject({ fault: { code: 'upstream_unavailable' } });
    fails = false;
    await own.invalidate();
    expect(await own.classify(text)).toHaveProperty('statements');
    await own.close();
  });

  test('refuses at once after a change was announced, and recovers by itself', async () => {
    let fails = false;
    const ask = queryOn(client);
    const own = await classifier((sql) => (fails ? Promise.reject(new Error('down')) : ask(sql)), {
      ...limits,
      ...eager,
    });
    fails = true;
    await own.invalidate();
    const text = Buffer.from('SELECT 1');
    expect(await own.classify(text)).toMatchObject({ fault: { code: 'upstream_unavailable' } });
    fails = false;
    let answer = await own.classify(text);
    while ('fault' in answer) {
      await new Promise((resolve) => setImmediate(resolve));
      answer = await own.classify(text);
    }
    expect(answer.statements).toHaveLength(1);
    await own.close();
  });
});

describe('names', () => {
  test('are looked up along the path, the server’s own first', async () => {
    await ddl(`CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.t (a int); CREATE TABLE two.t (b int); CREATE TABLE two.u (c int);
      CREATE SCHEMA "${server.user}"; CREATE TABLE "${server.user}".mine (d int); CREATE TABLE one.pg_type (oid int)`);
    const own = await createClassifier({
      query: queryOn(client),
      serverMajor: 18,
      searchPath: ['$user', 'one', 'two'],
      database,
      user: server.user,
      clock: clock(),
    });
    const relation = async (name: string) => {
      const found = await own.classify(Buffer.from(`SELECT 1 FROM ${name}`));
      return 'statements' in found ? found.statements[0]?.relations.map(({ schema }) => schema) : [];
    };
    expect(await relation('t')).toEqual(['one']);
    expect(await relation('u')).toEqual(['two']);
    expect(await relation('two.t')).toEqual(['two']);
    expect(await relation('mine')).toEqual([server.user]);
    expect(await relation('pg_type')).toEqual(['pg_catalog']);
    expect(await relation('announced')).toEqual([]);
    await own.close();
  });
});

test('a schema that the login may not use is passed over, as the server does', async () => {
  await ddl(`CREATE ROLE narrow LOGIN PASSWORD 'narrow'; CREATE SCHEMA closed; CREATE TABLE closed.w (a int); CREATE SCHEMA open;
    CREATE TABLE open.w (b int); GRANT USAGE ON SCHEMA open TO narrow; GRANT SELECT ON open.w TO narrow`);
  const limited = await openClient({ ...server, user: 'narrow', password: 'narrow' }, database);
  const own = await createClassifier({
    query: queryOn(limited),
    serverMajor: 18,
    searchPath: ['closed', 'open'],
    database,
    user: 'narrow',
    clock: clock(),
    limits: { ...limits, ...idle },
  });
  const found = async () => {
    const answer = await own.classify(Buffer.from('SELECT 1 FROM w'));
    return 'statements' in answer ? answer.statements[0]?.relations.map(({ schema }) => schema) : [];
  };
  await limited.query('SET search_path = closed, open');
  await limited.query('SELECT b FROM w');
  expect(await found()).toEqual(['open']);
  await ddl('GRANT USAGE ON SCHEMA closed TO narrow');
  await own.invalidate();
  expect(await found()).toEqual(['closed']);
  await own.close();
  await limited.end();
});

test('arrays of text are read as PostgreSQL writes them', () => {
  expect(textArray('{a,"b c","d\\"e","f\\\\g",""}')).toEqual(['a', 'b c', 'd"e', 'f\\g', '']);
  expect(textArray('{}')).toEqual([]);
});

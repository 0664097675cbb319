import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { createClassifier } from '../../../../proxy/protocols/postgres/classify.ts';
import { openShop, queryOn, type Shop } from './lineage-fixture.ts';

let shop: Shop;
beforeAll(async () => {
  shop = await openShop();
}, 60_000);
afterAll(() => shop?.close());

describe('what a statement does', () => {
  test.each<[string, string, string[]]>([
    ['SELECT 1', 'select', ['select']],
    ['VALUES (1)', 'select', ['select']],
    ['TABLE orders', 'select', ['select']],
    ['SELECT 1 INTO fresh', 'select_into', ['ddl', 'insert', 'select']],
    ["INSERT INTO audit VALUES (now(), 'x')", 'insert', ['insert']],
    ['INSERT INTO orders VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 2', 'insert', ['update', 'insert']],
    ['UPDATE orders SET total = 1', 'update', ['update']],
    ['DELETE FROM orders', 'delete', ['delete']],
    ['WITH d AS (DELETE FROM orders RETURNING 1) SELECT * FROM d', 'select', ['delete', 'select']],
    ['MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN DELETE', 'merge', ['delete', 'merge']],
    ['TRUNCATE orders', 'truncate', ['truncate']],
    ['COPY orders TO STDOUT', 'copy_to', ['copy', 'select']],
    ['COPY orders FROM STDIN', 'copy_from', ['insert', 'copy']],
    ['CALL work(1)', 'call', ['call']],
    ['DO $$ BEGIN END $$', 'do', ['call']],
    ['SET work_mem = 1', 'set', ['set']],
    ['RESET ALL', 'reset', ['set']],
    ['SHOW work_mem', 'show', ['select']],
    ['BEGIN', 'begin', ['transaction']],
    ['SAVEPOINT s', 'savepoint', ['transaction']],
    ['SET TRANSACTION READ ONLY', 'set_transaction', ['transaction']],
    ["PREPARE TRANSACTION 'x'", 'prepare', ['utility', 'transaction']],
    ['EXPLAIN DELETE FROM orders', 'explain', ['delete', 'explain']],
    ['EXPLAIN ANALYZE DELETE FROM orders', 'explain_analyze', ['delete', 'explain']],
    ['LISTEN c', 'listen', ['listen']],
    ["NOTIFY c, 'x'", 'notify', ['listen']],
    ['LOCK orders', 'lock_table', ['utility']],
    ['VACUUM orders', 'vacuum', ['utility']],
    ['CHECKPOINT', 'checkpoint', ['utility']],
    ['CREATE TABLE fresh (a int)', 'create_table', ['ddl']],
    ['CREATE TABLE fresh AS SELECT 1', 'create_table_as', ['ddl', 'insert', 'select']],
    ['CREATE VIEW fresh AS SELECT 1', 'create_view', ['ddl', 'select']],
    ['CREATE INDEX ON orders (total)', 'create_index', ['ddl']],
    ['DROP TABLE orders', 'drop_table', ['ddl']],
    ['DROP DATABASE shop', 'drop_database', ['ddl']],
    ['ALTER TABLE orders ADD COLUMN a int', 'alter_table', ['ddl']],
    ['ALTER SYSTEM SET work_mem = 1', 'alter_system', ['ddl']],
    ['CREATE EXTENSION dblink', 'create_extension', ['ddl']],
    ['GRANT SELECT ON orders TO public', 'grant', ['grant']],
    ['REVOKE SELECT ON orders FROM public', 'revoke', ['grant']],
    ['GRANT a TO b', 'grant_role', ['grant']],
    ["CREATE ROLE r PASSWORD 'x'", 'create_role', ['grant']],
    ['ALTER TABLE orders OWNER TO r', 'alter_table', ['ddl']],
    ['REFRESH MATERIALIZED VIEW emails', 'refresh_materialized_view', ['ddl']],
    ['DISCARD ALL', 'discard_all', ['set']],
  ])('%s', async (sql, verb, effects) => {
    const statement = await shop.one(sql);
    expect([statement.verb, statement.effects]).toEqual([verb, effects]);
  });

  test('is told of each of several statements', async () => {
    const statements = await shop.all('SELECT 1; DROP TABLE orders ;DELETE FROM orders');
    expect(statements.map(({ verb, start, end }) => [verb, start, end])).toEqual([
      ['select', 0, 8],
      ['drop_table', 10, 28],
      ['delete', 29, 47],
    ]);
  });

  test('is nothing at all in an empty query string', async () => {
    expect(await shop.all('')).toEqual([]);
    expect(await shop.all(' ; -- x')).toEqual([]);
  });

  test('includes what is named: databases, roles, extensions, functions, files, channels', async () => {
    const objects = async (sql: string) => (await shop.one(sql)).objects;
    expect(await objects('DROP DATABASE "Shop"')).toEqual(['database:Shop']);
    expect(await objects('GRANT boss TO clerk')).toEqual(['role:boss', 'role:clerk']);
    expect(await objects('CREATE EXTENSION postgres_fdw')).toEqual(['extension:postgres_fdw']);
    expect(await objects("COPY orders TO '/tmp/x'")).toEqual(['server_file:/tmp/x']);
    expect(await objects('LISTEN secrets')).toEqual(['channel:secrets']);
    expect(await objects('DROP FUNCTION public.keep(text)')).toEqual(['function:public.keep']);
  });
});

describe('WHERE', () => {
  test.each<[boolean | undefined, string]>([
    [undefined, 'SELECT 1'],
    [undefined, 'INSERT INTO orders VALUES (1)'],
    [true, 'DELETE FROM orders WHERE id = 1'],
    [true, 'DELETE FROM orders USING customers c WHERE c.id = customer_id'],
    [true, 'UPDATE orders SET total = 1 WHERE id IN (SELECT 1)'],
    [true, 'DELETE FROM orders WHERE CURRENT OF c'],
    [false, 'DELETE FROM orders'],
    [false, 'DELETE FROM orders WHERE true'],
    [false, 'DELETE FROM orders WHERE 1 = 1'],
    [false, 'DELETE FROM orders WHERE id = id'],
    [false, 'DELETE FROM orders WHERE id = 1 OR true'],
    [false, 'DELETE FROM orders WHERE now() > now()'],
    [false, 'UPDATE orders SET total = 1 WHERE EXISTS (SELECT 1)'],
    [false, 'WITH d AS (DELETE FROM orders) UPDATE customers SET name = $1 WHERE id = 1'],
    [false, 'EXPLAIN ANALYZE DELETE FROM orders'],
    [false, 'PREPARE p AS DELETE FROM orders'],
  ])('restricts: %s for %s', async (restricts, sql) => {
    expect((await shop.one(sql)).hasWhere).toBe(restricts);
  });
});

test('a constant limit is told, and only that of the whole statement', async () => {
  const limit = async (sql: string) => (await shop.one(sql)).limit;
  expect(await limit('SELECT 1 LIMIT 10')).toBe(10);
  expect(await limit('SELECT 1 FROM orders FETCH FIRST 3 ROWS ONLY')).toBe(3);
  expect(await limit('SELECT 1 FROM (SELECT 1 LIMIT 10) s')).toBeUndefined();
  expect(await limit('SELECT 1 LIMIT $1')).toBeUndefined();
  expect(await limit('SELECT 1 LIMIT ALL')).toBeUndefined();
  expect(await limit('SELECT 1 LIMIT 1 + 1')).toBeUndefined();
});

describe('the functions of a statement', () => {
  const functions = async (sql: string) =>
    (await shop.one(sql)).functions.map(({ schema, name, volatility }) => `${schema}.${name} ${volatility}`).sort();

  test('are those it names, wherever it names them', async () => {
    expect(
      await functions(
        "SELECT upper(note), f.* FROM orders, lateral keep('x') f WHERE total > abs(1) ORDER BY length(note)",
      ),
    ).toEqual([
      'pg_catalog.abs immutable',
      'pg_catalog.length immutable',
      'pg_catalog.upper immutable',
      'public.keep volatile',
    ]);
    expect(await functions("SELECT pg_read_file('x')")).toEqual(['pg_catalog.pg_read_file volatile']);
    expect(await functions('INSERT INTO audit VALUES (clock_timestamp())')).toEqual([
      'pg_catalog.clock_timestamp volatile',
    ]);
    expect(await functions("SELECT * FROM pg_ls_dir('.')")).toEqual(['pg_catalog.pg_ls_dir volatile']);
    expect(await functions('CREATE INDEX ON orders (twice(id))')).toEqual(['public.twice immutable']);
    expect(await functions('CALL work(1)')).toEqual(['public.work volatile']);
    expect(await functions('EXECUTE p (twice(1))')).toEqual(['public.twice immutable']);
  });

  test('are those behind operators, casts and types of the database’s own', async () => {
    expect(await functions('SELECT note = 5 FROM orders')).toEqual(['public.same_text immutable']);
    expect(await functions('SELECT c::address FROM customers c')).toEqual(['public.to_shape volatile']);
    expect(await functions("SELECT 'x'::code")).toEqual(['public.check_code immutable']);
    expect(await functions("SELECT code 'x'")).toEqual(['public.check_code immutable']);
  });

  test('are those that views, triggers and generated columns run unnamed', async () => {
    expect(await functions('SELECT mail FROM customer_view')).toEqual(['pg_catalog.upper immutable']);
    expect(await functions('INSERT INTO watched VALUES (1)')).toEqual(['public.log_order volatile']);
    expect(await functions('SELECT * FROM watched')).toEqual([]);
  });

  test('are the ones of all overloads it may be', async () => {
    expect(await functions('SELECT public.twice(1)')).toEqual(['public.twice immutable']);
    expect(await functions('SELECT rows_of($1)')).toEqual(['public.rows_of volatile']);
  });
});

describe('a statement that is not fully accounted for says why', () => {
  test.each([
    ['unknown_relation', 'SELECT * FROM nowhere'],
    ['unknown_relation', 'SELECT * FROM other.orders'],
    ['unknown_relation', 'SELECT * FROM elsewhere.public.orders'],
    ['unknown_relation', 'SELECT * FROM pg_temp.orders'],
    ['unknown_relation', 'INSERT INTO nowhere VALUES (1)'],
    ['unknown_column', 'SELECT nothing FROM orders'],
    ['unknown_column', 'SELECT c.id FROM orders'],
    ['unknown_column', 'SELECT customers.keep FROM customers'],
    ['unknown_column', 'INSERT INTO orders (nothing) VALUES (1)'],
    ['unknown_column', 'SELECT * FROM orders, (SELECT orders.id) s'],
    ['ambiguous_column', 'SELECT id FROM orders, customers'],
    ['unknown_function', 'SELECT nothing(1)'],
    ['unknown_function', "SELECT dblink('x', 'SELECT 1')"],
    ['unknown_function', "SELECT pg_temp.upper('x')"],
    ['unknown_operator', 'SELECT 1 <<<>>> 2'],
    ['unknown_type', "SELECT 'x'::nothing"],
    ['unknown_columns', 'SELECT * FROM json_to_record($1)'],
    ['rule_on_relation', 'INSERT INTO ruled VALUES (1)'],
    ['server_file', "COPY orders FROM '/etc/passwd'"],
    ['server_file', "COPY orders TO PROGRAM 'sh'"],
    ['server_file', "LOAD 'x'"],
    ['opaque_body', 'DO $$ BEGIN END $$'],
    ['cascade', 'TRUNCATE customers CASCADE'],
    ['temporary_shadows', 'CREATE TEMP TABLE customers (id int, ssn text)'],
    ['temporary_shadows', 'CREATE TEMPORARY VIEW orders AS SELECT 1'],
    ['temporary_shadows', 'CREATE TEMP SEQUENCE numbers'],
    ['temporary_shadows', 'SELECT 1 INTO TEMP orders'],
    ['temporary_shadows', 'CREATE TEMP TABLE pg_class AS SELECT 1'],
    ['temporary_shadows', 'CREATE TEMP TABLE text (a int)'],
    ['temporary_shadows', 'CREATE TABLE pg_temp.orders (a int)'],
    ['temporary_shadows', 'CREATE DOMAIN pg_temp.text AS int'],
    ['setting_changes_meaning', 'SET search_path = elsewhere, public'],
    ['setting_changes_meaning', "SET LOCAL search_path TO 'elsewhere'"],
    ['setting_changes_meaning', "SELECT set_config('search_path', 'elsewhere', true)"],
    ['setting_changes_meaning', "SELECT set_config('SEARCH_PATH', 'elsewhere', true)"],
    ['setting_unknown', "SELECT pg_catalog.set_config(setting_name => 'role', new_value => 'x', is_local => false)"],
    ['setting_changes_meaning', 'SET standard_conforming_strings = off'],
    ['setting_changes_meaning', "SET NAMES 'latin1'"],
    ['setting_changes_meaning', 'SET ROLE boss'],
    ['setting_changes_meaning', 'SET SESSION AUTHORIZATION boss'],
    ['setting_changes_meaning', 'SET search_path FROM CURRENT'],
    ['setting_unknown', "SELECT set_config(note, 'x', false) FROM orders"],
    ['unknown_prepared_statement', 'EXPLAIN EXECUTE p'],
    ['unknown_prepared_statement', 'CREATE TABLE fresh AS EXECUTE p'],
    ['binary_cursor', 'DECLARE c BINARY CURSOR FOR SELECT 1'],
  ])('%s: %s', async (why, sql) => {
    expect((await shop.one(sql)).incomplete).toContain(why);
  });

  test.each([
    'RESET search_path',
    'RESET ROLE',
    "SELECT set_config('search_path', '', false)",
    "SET search_path TO ''",
    "SET application_name = 'x'",
    'SET standard_conforming_strings = on',
    "SET client_encoding = 'UTF8'",
    'CREATE TEMP TABLE something_new (a int)',
    'SELECT * FROM pg_catalog.pg_class',
    'SELECT * FROM information_schema.columns',
  ])('and one that is does not: %s', async (sql) => {
    expect((await shop.one(sql)).incomplete).toEqual([]);
  });
});

describe('what the relay must know of a statement', () => {
  const control = async (sql: string) => (await shop.one(sql)).control;

  test('PREPARE holds the statement that EXECUTE will run', async () => {
    const prepared = await control('PREPARE p (int) AS SELECT ssn FROM customers WHERE id = $1');
    expect(prepared).toMatchObject({ type: 'prepare', name: 'p' });
    if (prepared.type !== 'prepare') throw new Error();
    expect(prepared.statement.output?.[0]?.from).toEqual([{ schema: 'public', relation: 'customers', column: 'ssn' }]);
    expect([...prepared.statement.parameters.keys()]).toEqual([1]);
  });

  test('EXECUTE says where its arguments stand', async () => {
    expect(await control("EXECUTE p ('a', 1 + 1)")).toEqual({
      type: 'execute',
      name: 'p',
      arguments: [
        { start: 11, end: 14, meets: 'unknown' },
        { start: 0, end: 22, meets: 'unknown' },
      ],
    });
  });

  test('cursors and prepared statements are known by name', async () => {
    expect(await control('DECLARE c CURSOR WITH HOLD FOR SELECT 1')).toEqual({
      type: 'declare',
      name: 'c',
      hold: true,
    });
    expect(await control('FETCH ALL FROM c')).toEqual({ type: 'fetch', name: 'c', move: false });
    expect(await control('MOVE 5 c')).toEqual({ type: 'fetch', name: 'c', move: true });
    expect(await control('CLOSE ALL')).toEqual({ type: 'close', name: undefined });
    expect(await control('DEALLOCATE p')).toEqual({ type: 'deallocate', name: 'p' });
    expect(await control('DISCARD TEMP')).toEqual({ type: 'discard', what: 'temp' });
  });

  test('COPY resolves its options', async () => {
    const options = async (sql: string) => {
      const found = await control(sql);
      return found.type === 'copy_out' || found.type === 'copy_in' ? found.options : undefined;
    };
    const text = {
      format: 'text',
      delimiter: '\t',
      nullText: '\\N',
      header: false,
      quote: '"',
      escape: '"',
      unknown: false,
    };
    expect(await options('COPY orders TO STDOUT')).toEqual(text);
    expect(await options("COPY orders FROM STDIN (FORMAT csv, HEADER, QUOTE '!')")).toEqual({
      ...text,
      format: 'csv',
      delimiter: ',',
      nullText: '',
      header: true,
      quote: '!',
      escape: '!',
    });
    expect(await options("COPY orders TO STDOUT WITH CSV DELIMITER ';' NULL 'x'")).toMatchObject({
      format: 'csv',
      delimiter: ';',
      nullText: 'x',
    });
    expect(await options('COPY orders TO STDOUT (FORMAT binary)')).toMatchObject({ format: 'binary' });
    expect(await options('COPY orders TO STDOUT (HEADER false)')).toMatchObject({ header: false });
    expect(await options("COPY orders TO STDOUT (ENCODING 'latin1')")).toMatchObject({ unknown: true });
    expect(await options('COPY orders TO STDOUT (FORMAT novel)')).toMatchObject({ unknown: true });
    expect(await options('COPY orders TO STDOUT (novel true)')).toMatchObject({ unknown: true });
  });

  test('statements that change what names mean say so', async () => {
    const changes = async (sql: string) => (await shop.one(sql)).changesCatalog;
    expect(await changes('CREATE TABLE fresh (a int)')).toBe(true);
    expect(await changes('ALTER TABLE orders RENAME note TO ssn')).toBe(true);
    expect(await changes('DO $$ BEGIN END $$')).toBe(true);
    expect(await changes('CALL work(1)')).toBe(true);
    expect(await changes('SELECT 1')).toBe(false);
    expect(await changes('DELETE FROM orders')).toBe(false);
  });
});

describe('access to a relation', () => {
  const access = async (sql: string) =>
    (await shop.one(sql)).relations.map(
      (each) => `${each.name} ${each.kind} ${each.access}${each.via && ` via ${each.via}`}`,
    );

  test('is told apart by what is done with it', async () => {
    expect(await access('SELECT * FROM orders')).toEqual(['orders table read']);
    expect(await access('INSERT INTO orders VALUES (1)')).toEqual(['orders table write']);
    expect(await access('UPDATE orders SET total = 1')).toEqual(['orders table read_write']);
    expect(await access('SELECT * FROM orders FOR UPDATE')).toEqual(['orders table read_write']);
    expect(await access('SELECT * FROM (SELECT * FROM orders) o FOR SHARE')).toEqual(['orders table read_write']);
    expect(await access('DROP TABLE orders')).toEqual(['orders table define']);
    expect(await access('ALTER TABLE nowhere ADD a int')).toEqual(['nowhere table define']);
    expect(await access('CREATE TEMP TABLE fresh (a int)')).toEqual(['fresh temporary define']);
    expect(await access('COPY orders FROM STDIN')).toEqual(['orders table write']);
    expect(await access('LOCK orders IN ACCESS SHARE MODE')).toEqual(['orders table read']);
  });

  test('reaches what is under a view, by reading and by writing', async () => {
    expect(await access('SELECT id FROM customer_view')).toEqual([
      'customer_view view read',
      'customers table read via public.customer_view',
    ]);
    expect(await access("UPDATE customer_view SET name = 'x' WHERE id = 1")).toEqual([
      'customer_view view read_write',
      'customers table read_write via public.customer_view',
    ]);
  });
});

describe('the cache', () => {
  test('answers the same text with the same object, and another one with another', async () => {
    const first = shop.classifier.classify(Buffer.from('SELECT 1 AS cached'));
    expect(shop.classifier.classify(Buffer.from('SELECT 1 AS cached'))).toBe(first);
    expect(shop.classifier.classify(Buffer.from('SELECT 2 AS cached'))).not.toBe(first);
    // One byte differs, and no character set makes it the same.
    expect(shop.classifier.classify(Buffer.from("SELECT 'é'"))).not.toBe(
      shop.classifier.classify(Buffer.from("SELECT 'è'")),
    );
  });

  test('knows a text by its bytes at that time, not by the buffer they were in', () => {
    const text = Buffer.from('SELECT 1 AS a');
    const first = shop.classifier.classify(text);
    text.write('b', text.length - 1);
    expect(shop.classifier.classify(text)).not.toBe(first);
  });

  test('forgets the oldest when it is full', async () => {
    const small = await createClassifier({
      query: queryOn(shop.client),
      serverMajor: 18,
      searchPath: ['public'],
      database: shop.database,
      user: 'x',
      clock: { monotonicMs: () => performance.now() },
      limits: { ...limits, classificationCacheEntriesMax: 2 },
    });
    const [a, b, c] = ['SELECT 1', 'SELECT 2', 'SELECT 3'].map((sql) => Buffer.from(sql)) as [Buffer, Buffer, Buffer];
    const first = small.classify(a);
    expect(small.classify(b)).toBe(small.classify(b));
    expect(small.classify(a)).toBe(first);
    small.classify(c);
    expect(small.classify(a)).not.toBe(first);
    await small.close();
  });
});

describe('hostile texts', () => {
  const code = async (sql: string) => {
    const classification = await shop.classifier.classify(Buffer.from(sql));
    return 'fault' in classification ? classification.fault.code : 'classified';
  };

  test('nested deeper than the walkers go are refused', async () => {
    expect(await code(`SELECT ${Array(2_500).fill('1').join('+')}`)).toBe('operation_too_large');
    expect(await code(`SELECT ${Array(12_000).fill('1').join('+')}`)).toBe('operation_too_large');
    expect(await code(`SELECT ${'(SELECT '.repeat(800)}1${')'.repeat(800)}`)).toBe('operation_too_large');
    expect(await code(`SELECT ${Array(200).fill('1').join('+')}`)).toBe('classified');
  });

  test('of too many statements are refused', async () => {
    expect(await code('SELECT 1;'.repeat(limits.sqlStatementsMax + 1))).toBe('operation_too_large');
  });

  test('whose columns multiply from query to query are given up', async () => {
    const doubling = Array.from({ length: 40 }, (_, at) => `w${at + 1} AS (SELECT * FROM w${at} a, w${at} b)`);
    const [statement] = await shop.all(
      `WITH w0 AS (SELECT * FROM customers), ${doubling.join(', ')} SELECT * FROM w40`,
    );
    expect(statement?.incomplete).toContain('too_complex');
  });

  test('of recursion inside recursion are given up or answered, in bounded time', async () => {
    let sql = 'SELECT id, name FROM customers';
    for (let at = 0; at < 12; at++) {
      sql =
        `WITH RECURSIVE r${at} (a, b) AS (${sql} UNION ALL SELECT a, b FROM r${at} WHERE a IN (${sql})) SELECT a, b FROM r${at}`.slice(
          0,
          200_000,
        );
    }
    const [statement] = await shop.all('SELECT 1');
    expect(statement?.incomplete).toEqual([]);
    expect(['classified', 'operation_too_large', 'operation_unparseable']).toContain(await code(sql));
  });

  test('that name what JavaScript objects have are names like any other', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect((await shop.one(`SELECT "${name}" FROM orders`)).incomplete).toEqual(['unknown_column']);
      expect((await shop.one(`SELECT * FROM "${name}"`)).incomplete).toEqual(['unknown_relation']);
      expect((await shop.one(`SELECT "${name}"(1)`)).incomplete).toEqual(['unknown_function']);
      expect((await shop.one(`SELECT 1 AS "${name}"`)).output?.[0]?.name).toBe(name);
    }
  });
});

describe('the fingerprint', () => {
  const fingerprint = async (sql: string) => {
    const classification = await shop.classifier.classify(Buffer.from(sql));
    return 'fingerprint' in classification ? classification.fingerprint : undefined;
  };

  test('is the same for statements that differ in constants, white space, comments and case', async () => {
    const shape = await fingerprint("SELECT id FROM orders WHERE note = 'a' AND id IN (1, 2)");
    expect(shape).toMatch(/^[0-9a-f]{32}$/);
    expect(await fingerprint("select  ID from orders /* x */ where note='other' and id in (7,8,9)")).toBe(shape);
  });

  test('differs where anything else does', async () => {
    const shapes = await Promise.all(
      [
        'SELECT id FROM orders',
        'SELECT id FROM customers',
        'SELECT note FROM orders',
        'SELECT id FROM orders LIMIT 1',
        'DELETE FROM orders',
        'SELECT id FROM orders; SELECT 1',
      ].map(fingerprint),
    );
    expect(new Set(shapes).size).toBe(shapes.length);
  });

  test('does not help to guess a password', async () => {
    expect(await fingerprint("ALTER ROLE r PASSWORD 'a'")).toBe(await fingerprint("ALTER ROLE r PASSWORD 'b'"));
  });
});

test('a RowDescription’s numbers are resolved for tables alone', async () => {
  const oid = async (name: string) => {
    const { rows } = await shop.client.query<{ oid: string }>(`SELECT 'public.${name}'::regclass::oid::int8 AS oid`);
    return Number(rows[0]?.oid);
  };
  const { classifier } = shop;
  expect(classifier.columnByOid(await oid('customers'), 4)).toEqual({
    schema: 'public',
    relation: 'customers',
    column: 'ssn',
  });
  expect(classifier.columnByOid(await oid('customers'), 0)).toBeUndefined();
  expect(classifier.columnByOid(await oid('customer_view'), 1)).toBeUndefined();
  expect(classifier.columnByOid(1, 1)).toBeUndefined();
  expect(classifier.typeOf({ schema: 'public', relation: 'customers', column: 'ssn' })).toBe(25);
  expect(classifier.typeOf({ schema: 'public', relation: 'customers', column: 'nothing' })).toBeUndefined();
});

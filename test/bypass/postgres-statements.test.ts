/** Statements that do more than they seem to, or hide what they do. Each went through some gateway once. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { frontend } from '../support/wire-client.ts';
import { tell } from './postgres-agent.ts';
import { longName } from './postgres-schema.ts';
import { expectRefused, openStage, type Stage } from './postgres-stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage?.close());

type Case = readonly [sql: string, code: string, sqlstate?: string];

/** One test a case. */
function refused(cases: readonly Case[]): void {
  for (const [sql, code, sqlstate] of cases) {
    test(`${sql} is refused as ${code}`, async () => {
      await expectRefused(stage, sql.replaceAll(':victim', stage.victim), code, sqlstate);
    });
  }
}

describe('destruction', () => {
  refused([
    ['DROP DATABASE :victim', 'drop_database'],
    ['drop /* */ database/**/if exists :victim', 'drop_database'],
    ['DROP TABLE customers', 'ddl_refused'],
    ['-- \nDROP TABLE customers', 'ddl_refused'],
    ['/* /* nested */ SELECT 1; */ DROP TABLE IF EXISTS "customers"', 'ddl_refused'],
    ['DROP TABLE scratch.notes, customers', 'ddl_refused'],
    ['DROP SCHEMA scratch CASCADE', 'ddl_refused'],
    ['DROP OWNED BY CURRENT_USER', 'ddl_refused'],
    ['TRUNCATE customers CASCADE', 'ddl_refused'],
    ['TRUNCATE scratch.notes, orders', 'ddl_refused'],
    ['ALTER TABLE customers DROP COLUMN ssn', 'ddl_refused'],
    ['ALTER TABLE customers RENAME COLUMN ssn TO city2', 'ddl_refused'],
    ['ALTER TABLE scratch.people RENAME COLUMN ssn TO number', 'ddl_refused'],
    ['CREATE INDEX ON customers (ssn)', 'ddl_refused'],
    ['DELETE FROM scratch.notes', 'change_without_where'],
    ['DELETE FROM scratch.notes WHERE true', 'change_without_where'],
    ['DELETE FROM scratch.notes WHERE 1 = 1', 'change_without_where'],
    ['DELETE FROM scratch.notes WHERE id = id', 'change_without_where'],
    ['DELETE FROM scratch.notes n WHERE n.id = n.id', 'change_without_where'],
    ['DELETE FROM scratch.notes USING orders WHERE true', 'change_without_where'],
    ["UPDATE scratch.notes SET note = 'x'", 'change_without_where'],
    ['WITH d AS (DELETE FROM scratch.notes RETURNING id) SELECT id FROM d WHERE id = 1', 'change_without_where'],
    ["WITH d AS (DELETE FROM customers WHERE id = 1 RETURNING id) SELECT 'read' FROM d", 'write_outside_working_data'],
    ['SELECT 1 FROM (VALUES (1)) v; DELETE FROM orders WHERE id = 1', 'write_outside_working_data'],
    ["UPDATE customers SET city = 'x' WHERE id = 1", 'write_outside_working_data'],
    ["UPDATE customer_contacts SET phone = 'x' WHERE id = 1", 'write_outside_working_data'],
    [
      "INSERT INTO scratch.notes (author, note) VALUES ('a', 'b'); UPDATE orders SET status = 'x' WHERE id = 1",
      'write_outside_working_data',
    ],
    [
      'MERGE INTO customers c USING (SELECT 1 AS id) s ON c.id = s.id WHEN MATCHED THEN DELETE',
      'write_outside_working_data',
    ],
    ["INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET city = 'x'", 'write_outside_working_data'],
    ['COPY (DELETE FROM orders WHERE id = 1 RETURNING id) TO STDOUT', 'write_outside_working_data'],
    ['EXPLAIN ANALYZE DELETE FROM orders WHERE id = 1', 'write_outside_working_data'],
    ['EXPLAIN (ANALYZE true) UPDATE orders SET total_cents = 1 WHERE id = 1', 'write_outside_working_data'],
    ['PREPARE p AS DELETE FROM orders WHERE id = 1', 'write_outside_working_data'],
    ['COPY orders FROM STDIN', 'write_outside_working_data'],
    ['LOCK TABLE orders IN ACCESS EXCLUSIVE MODE', 'write_outside_working_data'],
  ]);
});

describe('more than one statement in a string', () => {
  refused([
    ['SELECT 1; COMMIT; DROP TABLE customers', 'ddl_refused'],
    ['BEGIN READ ONLY; SELECT 1; COMMIT; DROP TABLE customers; BEGIN', 'ddl_refused'],
    ['SELECT 1;;;DELETE FROM scratch.notes', 'change_without_where'],
    ["SELECT ';'; SELECT $$;$$; SELECT $a$';$a$; DROP TABLE customers --'", 'ddl_refused'],
    ["SELECT E'\\'; SELECT 1; --'; DROP TABLE customers; --'", 'ddl_refused'],
  ]);

  test('an allowed one in front of a refused one does not run', async () => {
    const agent = await stage.agent();
    const sql = "INSERT INTO scratch.notes (author, note) VALUES ('m', 'in front'); DROP TABLE customers";
    expect(await agent.told(sql)).toMatchObject({ types: 'EZ', code: 'ddl_refused', status: 'I' });
    expect(await stage.gateway.sql("SELECT 1 FROM scratch.notes WHERE note = 'in front'")).toEqual([]);
  });

  test('COMMIT and ROLLBACK in a string do not get a refused one out of its transaction', async () => {
    const agent = await stage.agent();
    expect(await agent.statusAfter('BEGIN')).toBe('T');
    await agent.told("INSERT INTO scratch.notes (author, note) VALUES ('m', 'uncommitted')");
    expect(await agent.told('COMMIT; DROP TABLE customers; BEGIN')).toMatchObject({ code: 'ddl_refused', status: 'E' });
    expect(await agent.statusAfter('COMMIT')).toBe('I');
    expect(await stage.gateway.sql("SELECT 1 FROM scratch.notes WHERE note = 'uncommitted'")).toEqual([]);
  });
});

describe('a name written so that it is not recognised', () => {
  refused([
    ['SELECT id FROM api_secrets', 'secret_relation'],
    ['SELECT id FROM API_Secrets', 'secret_relation'],
    ['TABLE api_secrets', 'secret_relation'],
    ['TABLE ONLY public."api_secrets"', 'secret_relation'],
    ['SELECT id FROM "public"."api_secrets" AS orders', 'secret_relation'],
    ['SELECT id FROM U&"api\\005fsecrets"', 'secret_relation'],
    ['SELECT id FROM U&"api!005fsecrets" UESCAPE \'!\'', 'secret_relation'],
    ['SELECT id FROM api_secrets/**/*', 'secret_relation'],
    ['SELECT(id)FROM(SELECT*FROM"api_secrets")x', 'secret_relation'],
    ['WITH orders AS (SELECT * FROM api_secrets) SELECT id FROM orders', 'secret_relation'],
    ['SELECT 1 WHERE EXISTS (SELECT FROM api_secrets)', 'secret_relation'],
    ['SELECT (SELECT count(*) FROM api_secrets)', 'secret_relation'],
    ['SELECT 1 ORDER BY (SELECT id FROM api_secrets LIMIT 1)', 'secret_relation'],
    ['SELECT 1 LIMIT (SELECT count(*) FROM api_secrets)', 'secret_relation'],
    ['VALUES ((SELECT min(id) FROM api_secrets))', 'secret_relation'],
    ['SELECT id FROM orders UNION SELECT id FROM api_secrets', 'secret_relation'],
    ['SELECT o.id FROM orders o LEFT JOIN api_secrets s USING (id)', 'secret_relation'],
    ['SELECT o.id FROM orders o, LATERAL (SELECT id FROM api_secrets) s', 'secret_relation'],
    ['SELECT value FROM keys', 'secret_relation'],
    ['SELECT id FROM keys', 'secret_relation'],
    [`SELECT id FROM ${longName}`, 'secret_relation'],
    [`SELECT id FROM ${longName}_and_more`, 'secret_relation'],
    [`SELECT id FROM public.${longName}yyyy`, 'secret_relation'],
    ['SELECT token FROM mixed', 'secret_column'],
    ['SELECT m FROM mixed m', 'secret_column'],
    ['SELECT * FROM mixed', 'secret_column'],
    ["SELECT title FROM mixed WHERE token LIKE 'd%'", 'secret_column'],
    ['COPY api_secrets TO STDOUT', 'secret_relation'],
    ['COPY mixed TO STDOUT', 'secret_column'],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT * FROM api_secrets', 'secret_relation'],
    ['EXPLAIN SELECT * FROM api_secrets', 'secret_relation'],
    ['CREATE TABLE scratch.copy AS SELECT * FROM api_secrets', 'secret_relation'],
    ['CREATE TABLE scratch.copy (LIKE api_secrets INCLUDING ALL)', 'ddl_refused'],
    ['INSERT INTO scratch.lines SELECT secret FROM api_secrets', 'secret_relation'],
    ["DELETE FROM scratch.lines USING api_secrets WHERE secret LIKE line || '%'", 'secret_relation'],
  ]);

  test('the qualification by the database’s own name is understood', async () => {
    const { database } = stage.gateway;
    await expectRefused(stage, `SELECT id FROM ${database}.public.api_secrets`, 'secret_relation');
  });
});

describe('a text that the parser would not read as the server does', () => {
  test('a comment of 9 MB in front of a DROP ends the connection before anything is forwarded', async () => {
    const before = await stage.state();
    const agent = await stage.agent();
    agent.client.send(frontend.query(`/*${'x'.repeat(9 * 1024 * 1024)}*/DROP TABLE customers`));
    expect(tell(await agent.client.untilClosed())).toMatchObject({ types: 'E', code: 'operation_too_large' });
    expect(stage.carried('xxxxxxxxxxxxxxxx')).toBe(false);
    expect(await stage.state()).toBe(before);
  });

  test('a comment of 300 KB in front of a DROP is refused, and the connection goes on', async () => {
    const before = await stage.state();
    const agent = await stage.agent();
    const sql = `/*${'y'.repeat(300 * 1024)}*/DROP TABLE customers`;
    expect(await agent.told(sql)).toEqual({ types: 'EZ', sqlstate: '54000', code: 'operation_too_large', status: 'I' });
    expect(await agent.toldExtended(sql)).toMatchObject({ types: 'EZ', code: 'operation_too_large', status: 'I' });
    expect(await agent.rows('SELECT 1')).toEqual([['1']]);
    expect(stage.carried('yyyyyyyyyyyyyyyy')).toBe(false);
    expect(await stage.state()).toBe(before);
  });

  test('a comment of 100 KB hides nothing, for a worker parses what is behind it', async () => {
    await expectRefused(stage, `/*${'z'.repeat(100 * 1024)}*/DROP TABLE customers`, 'ddl_refused');
  });

  test.each([
    ['NUL', Buffer.from('SELECT 1\0; DROP TABLE customers\0')],
    ['no end', Buffer.from('DROP TABLE customers')],
  ])('a query string with %s ends the connection', async (_title, body) => {
    const agent = await stage.agent();
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length + 4);
    agent.client.send(Buffer.from('Q'), length, body);
    expect(tell(await agent.client.untilClosed())).toMatchObject({ types: 'E', code: 'operation_malformed' });
    expect(stage.carried(body)).toBe(false);
  });

  test('bytes that are no UTF-8 are refused', async () => {
    const agent = await stage.agent();
    const sql = Buffer.concat([Buffer.from("SELECT 'bad "), Buffer.of(0xc0, 0xaf, 0xff), Buffer.from("'")]);
    const length = Buffer.alloc(4);
    length.writeInt32BE(sql.length + 5);
    agent.client.send(Buffer.concat([Buffer.from('Q'), length, sql, Buffer.of(0)]));
    expect(tell(await agent.client.untilReady())).toMatchObject({
      types: 'EZ',
      code: 'operation_malformed',
      status: 'I',
    });
    expect(await agent.rows('SELECT 1')).toEqual([['1']]);
    expect(stage.carried(sql)).toBe(false);
  });

  refused([
    ['SELEC * FROM orders', 'operation_unparseable', '42601'],
    ["SELECT 'unterminated", 'operation_unparseable', '42601'],
    ['START_REPLICATION SLOT s LOGICAL 0/0', 'operation_unparseable', '42601'],
    ['IDENTIFY_SYSTEM', 'operation_unparseable', '42601'],
  ]);

  test('texts that break the parser are refused every time, and the next one is judged as ever', async () => {
    const agent = await stage.agent();
    const bombs = [
      `SELECT ${'1+'.repeat(12_000)}1`,
      `SELECT ${'('.repeat(7_000)}1${')'.repeat(7_000)}`,
      `SELECT ${'NOT '.repeat(12_000)}true`,
      `${'SELECT ('.repeat(3_000)}1${')'.repeat(3_000)}`,
      `SELECT ${'- '.repeat(20_000)}1`,
      `SELECT ${'ARRAY['.repeat(5_000)}1${']'.repeat(5_000)}`,
      `SELECT 1 FROM orders WHERE ${'id = 1 OR '.repeat(8_000)} id = 2`,
    ];
    for (let round = 0; round < 4; round++) {
      for (const bomb of bombs) {
        const { types, status, code } = await agent.told(bomb);
        // Deep and yet harmless: what can be judged may run, what cannot may not.
        expect(status).toBe('I');
        if (types === 'EZ') expect(code).toMatch(/^operation_(unparseable|too_large|incomplete)$/);
        expect(stage.carried(bomb)).toBe(types !== 'EZ');
        expect(await agent.told(`${bomb}; DROP TABLE customers`)).toMatchObject({ types: 'EZ' });
        expect(await agent.told('DROP TABLE customers')).toMatchObject({ code: 'ddl_refused' });
      }
      expect(await agent.rows('SELECT 1')).toEqual([['1']]);
    }
  });
});

describe('settings that change what SQL means', () => {
  refused([
    ['SET standard_conforming_strings = off', 'setting_refused'],
    ["SELECT set_config('standard_conforming_strings', 'off', false)", 'setting_refused'],
    ["SELECT set_config(E'standard_conforming\\x5fstrings', 'off', false)", 'setting_refused'],
    ["SELECT set_config('Standard_Conforming_Strings', 'off', true)", 'setting_refused'],
    ["SELECT set_config(lower('SEARCH_PATH'), 'scratch', false)", 'operation_incomplete'],
    ["SELECT set_config(status, 'off', false) FROM orders", 'operation_incomplete'],
    ["SELECT pg_catalog.set_config('search_path', 'scratch', false)", 'setting_refused'],
    ['SET backslash_quote = on', 'setting_refused'],
    ["SET client_encoding = 'LATIN1'", 'setting_refused'],
    ["SET NAMES 'SJIS'", 'setting_refused'],
    ['SET search_path = scratch', 'setting_refused'],
    ['SET LOCAL search_path = scratch, public', 'setting_refused'],
    ["SET SCHEMA 'scratch'", 'setting_refused'],
    ['SET ROLE postgres', 'role_change'],
    ['SET SESSION AUTHORIZATION DEFAULT', 'role_change'],
    ['SET SESSION AUTHORIZATION postgres', 'role_change'],
    ["SELECT set_config('role', 'postgres', false)", 'role_change'],
    ['SET session_replication_role = replica', 'setting_refused'],
    ["SET local_preload_libraries = 'x'", 'setting_refused'],
    ['SET lo_compat_privileges = on', 'setting_refused'],
    ['SET log_statement = none', 'setting_refused'],
    ['SET my.own = 1', 'setting_refused'],
    ["UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'", 'write_outside_working_data'],
    ["ALTER SYSTEM SET log_min_messages = 'error'", 'ddl_refused'],
    ["ALTER ROLE CURRENT_USER SET search_path = 'scratch'", 'privilege_change'],
    ["ALTER DATABASE :victim SET search_path = 'scratch'", 'ddl_refused'],
    ["LOAD 'plpgsql'", 'operation_incomplete'],
    ['SELECT quiet()', 'function_refused'],
  ]);

  test('set_config and, in the same pipeline, a Parse that would then be read differently do not run', async () => {
    const before = await stage.state();
    const agent = await stage.agent();
    const hidden = "SELECT '\\'' , purge() --'";
    agent.client.send(
      frontend.parse("SELECT set_config('standard_conforming_strings', 'off', false)"),
      frontend.bind(),
      frontend.execute(),
      frontend.parse(hidden),
      frontend.bind(),
      frontend.execute(),
      frontend.sync(),
    );
    expect(tell(await agent.client.untilReady())).toMatchObject({ types: 'EZ', code: 'setting_refused' });
    expect(agent.client.parameters.get('standard_conforming_strings')).toBe('on');
    expect(stage.carried(hidden)).toBe(false);
    expect(await stage.state()).toBe(before);
  });

  test('one that changes all the same ends the connection', async () => {
    const trusting = await openStage({
      data: { sql: { functions: ['public.quiet'] } },
    });
    try {
      const agent = await trusting.agent();
      agent.client.send(frontend.query('SELECT quiet()'));
      const answer = await agent.client.untilClosed();
      expect(tell(answer)).toMatchObject({ sqlstate: '42501', code: 'mask_unprovable' });
      expect(agent.client.parameters.get('standard_conforming_strings')).toBe('on');
    } finally {
      await trusting.close();
    }
  });
});

describe('names that stand for something else', () => {
  refused([
    ['CREATE TEMP TABLE customers AS SELECT 1 AS id', 'ddl_refused'],
    ['CREATE TABLE pg_temp.customers (id integer, ssn text)', 'ddl_refused'],
    ['CREATE TEMP TABLE harmless (id integer)', 'ddl_refused'],
    ['SELECT 1 AS id INTO TEMP customers', 'ddl_refused'],
    ['CREATE TEMP VIEW customers2 AS SELECT * FROM customers', 'ddl_refused'],
    ['CREATE VIEW scratch.customers AS SELECT * FROM public.customers', 'ddl_refused'],
    ['CREATE RULE r AS ON INSERT TO scratch.lines DO ALSO DELETE FROM ledger', 'ddl_refused'],
    ['ALTER TABLE scratch.notes SET SCHEMA public', 'ddl_refused'],
    ['ALTER TABLE customers RENAME TO scratch_customers', 'ddl_refused'],
    ['CREATE TABLE scratch.child () INHERITS (customers)', 'ddl_refused'],
    ['CREATE TABLE scratch.part PARTITION OF members FOR VALUES FROM (100) TO (200)', 'ddl_refused'],
  ]);
});

describe('functions with effects, or that show what no table does', () => {
  refused([
    ['SELECT purge()', 'function_refused'],
    ['SELECT * FROM purge()', 'function_refused'],
    ['SELECT * FROM ROWS FROM (purge(), generate_series(1, 2)) AS f', 'function_refused'],
    ['SELECT id FROM orders WHERE purge() > 0', 'function_refused'],
    ['SELECT id FROM orders ORDER BY purge()', 'function_refused'],
    ['SELECT id FROM orders LIMIT purge()', 'function_refused'],
    ['SELECT CASE WHEN false THEN purge() END', 'function_refused'],
    ['SELECT count(*) FILTER (WHERE purge() > 0) FROM orders', 'function_refused'],
    ['SELECT "purge"()', 'function_refused'],
    ['SELECT public . purge ( )', 'function_refused'],
    ['SELECT harmless_looking()', 'function_refused'],
    ['SELECT peek(1)', 'function_refused'],
    ['SELECT ssn FROM peek_rows()', 'function_refused'],
    ["SELECT run('DROP TABLE customers')", 'function_refused'],
    ["SELECT 'a' === 'b'", 'function_refused'],
    ["SELECT 'a'::text OPERATOR(public.===) 'b'::text", 'function_refused'],
    ["SELECT 1 WHERE 'a'::text === ANY (ARRAY['b'])", 'function_refused'],
    ["SELECT ROW('a', 'b')::pair::integer", 'function_refused'],
    ["SELECT CAST(ROW('a', 'b')::pair AS integer)", 'function_refused'],
    ['SELECT purge_all(id) FROM orders', 'function_refused'],
    ['SELECT purge_all(id) OVER () FROM orders', 'function_refused'],
    ['SELECT 1::purging', 'function_refused'],
    ['INSERT INTO scratch.defaults (id) VALUES (1)', 'function_refused'],
    ['INSERT INTO scratch.triggered VALUES (1)', 'function_refused'],
    ['COPY scratch.triggered FROM STDIN', 'function_refused'],
    ['COPY (SELECT purge()) TO STDOUT', 'function_refused'],
    ['EXPLAIN ANALYZE SELECT purge()', 'function_refused'],
    ['PREPARE p AS SELECT purge()', 'function_refused'],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT purge()', 'function_refused'],
    ["SELECT pg_read_file('postgresql.conf')", 'function_refused'],
    ["SELECT * FROM pg_read_file('postgresql.conf')", 'function_refused'],
    ["SELECT pg_read_binary_file('PG_VERSION')", 'function_refused'],
    ["SELECT * FROM pg_ls_dir('.')", 'function_refused'],
    ['SELECT * FROM pg_ls_waldir()', 'function_refused'],
    ["SELECT pg_stat_file('postgresql.conf')", 'function_refused'],
    ["SELECT lo_import('postgresql.conf')", 'function_refused'],
    ["SELECT lo_export(1, 'x')", 'function_refused'],
    ["SELECT lo_from_bytea(0, 'x')", 'function_refused'],
    ['SELECT lo_creat(-1)', 'function_refused'],
    ['SELECT lo_get(1)', 'function_refused'],
    ["SELECT query_to_xml('SELECT ssn FROM customers', true, true, '')", 'function_refused'],
    ["SELECT table_to_xml('customers', true, true, '')", 'function_refused'],
    ["SELECT schema_to_xml('public', true, true, '')", 'function_refused'],
    ["SELECT database_to_xml(true, true, '')", 'function_refused'],
    ["SELECT cursor_to_xml('c', 1, true, true, '')", 'function_refused'],
    ["SELECT ts_stat('SELECT to_tsvector(ssn) FROM customers')", 'function_refused'],
    ["SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, to_tsquery(ssn) FROM customers')", 'function_refused'],
    ["SELECT dblink('dbname=postgres', 'SELECT 1')", 'operation_incomplete'],
    ['SELECT pg_terminate_backend(pg_backend_pid())', 'function_refused'],
    ['SELECT pg_cancel_backend(1)', 'function_refused'],
    ['SELECT pg_reload_conf()', 'function_refused'],
    ['SELECT pg_sleep(1)', 'function_refused'],
    ['SELECT pg_advisory_lock(1)', 'function_refused'],
    ["SELECT nextval('scratch.notes_id_seq')", 'function_refused'],
    ["SELECT setval('scratch.notes_id_seq', 1000)", 'function_refused'],
    ["SELECT pg_create_physical_replication_slot('s')", 'function_refused'],
    ["SELECT pg_logical_emit_message(true, 'a', 'b')", 'function_refused'],
    ['SELECT pg_stat_get_activity(NULL)', 'function_refused'],
    ['SELECT pg_stat_get_backend_activity(1)', 'function_refused'],
    ['SELECT pg_stat_reset()', 'function_refused'],
    ['SELECT pg_export_snapshot()', 'function_refused'],
    ["SELECT currval('scratch.notes_id_seq')", 'function_refused'],
    ["SELECT brin_summarize_new_values('customers_pkey')", 'function_refused'],
  ]);

  test('FunctionCall is refused without a Sync, and the connection goes on', async () => {
    const before = await stage.state();
    const [row] = await stage.gateway.sql("SELECT 'purge'::regproc::oid::int AS oid");
    const agent = await stage.agent();
    const call = frontend.functionCall(Number(row?.oid), []);
    agent.client.send(call);
    expect(tell(await agent.client.untilReady())).toEqual({
      types: 'EZ',
      sqlstate: '0A000',
      code: 'operation_unsupported',
      status: 'I',
    });
    await agent.statusAfter('BEGIN');
    agent.client.send(call);
    expect(tell(await agent.client.untilReady())).toMatchObject({ types: 'EZ', status: 'E' });
    expect(await agent.statusAfter('ROLLBACK')).toBe('I');
    expect(stage.carried(call)).toBe(false);
    expect(await stage.state()).toBe(before);
  });
});

describe('code, privileges and other servers', () => {
  refused([
    ['DO $$ BEGIN PERFORM purge(); END $$', 'operation_incomplete'],
    ['CALL purge_procedure()', 'function_refused'],
    ["CREATE FUNCTION scratch.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'", 'ddl_refused'],
    ['CREATE PROCEDURE scratch.p() LANGUAGE sql AS $$ DELETE FROM ledger $$', 'ddl_refused'],
    ['CREATE TRIGGER t AFTER INSERT ON scratch.lines EXECUTE FUNCTION purge_trigger()', 'ddl_refused'],
    ['CREATE OPERATOR scratch.@@@ (RIGHTARG = text, FUNCTION = upper)', 'ddl_refused'],
    ['CREATE CAST (pair AS bigint) WITH INOUT AS IMPLICIT', 'ddl_refused'],
    ['CREATE AGGREGATE scratch.a(integer) (SFUNC = int4pl, STYPE = integer)', 'ddl_refused'],
    ['CREATE DOMAIN scratch.d AS integer CHECK (purge() > 0)', 'ddl_refused'],
    ['CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION purge_trigger()', 'ddl_refused'],
    ['CREATE EXTENSION file_fdw', 'ddl_refused'],
    ['CREATE FOREIGN DATA WRAPPER w', 'ddl_refused'],
    ['CREATE SERVER s FOREIGN DATA WRAPPER w', 'ddl_refused'],
    ['IMPORT FOREIGN SCHEMA public FROM SERVER s INTO scratch', 'ddl_refused'],
    ["CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false)", 'ddl_refused'],
    ['CREATE PUBLICATION p FOR ALL TABLES', 'ddl_refused'],
    ['CREATE LANGUAGE plpythonu', 'ddl_refused'],
    ['CREATE TABLE scratch.bomb (id integer DEFAULT purge())', 'function_refused'],
    ['CREATE TABLE scratch.bomb (id integer CHECK (purge() > 0))', 'function_refused'],
    ['CREATE INDEX ON scratch.notes (harmless_looking())', 'function_refused'],
    ['CREATE TABLE scratch.bomb (id integer GENERATED ALWAYS AS (harmless_looking()) STORED)', 'function_refused'],
    ['GRANT SELECT ON customers TO PUBLIC', 'privilege_change'],
    ['GRANT postgres TO CURRENT_USER', 'privilege_change'],
    ['REVOKE ALL ON scratch.notes FROM PUBLIC', 'privilege_change'],
    ['ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC', 'privilege_change'],
    ['ALTER TABLE scratch.notes OWNER TO postgres', 'ddl_refused'],
    ['REASSIGN OWNED BY CURRENT_USER TO postgres', 'ddl_refused'],
    ["CREATE ROLE intruder LOGIN PASSWORD 'x'", 'privilege_change'],
    ["ALTER ROLE CURRENT_USER PASSWORD 'x'", 'privilege_change'],
    ['ALTER TABLE customers ENABLE ROW LEVEL SECURITY', 'ddl_refused'],
    ["SECURITY LABEL ON TABLE customers IS 'x'", 'ddl_refused'],
    ["COMMENT ON TABLE customers IS 'x'", 'ddl_refused'],
    ["COPY (SELECT 1) TO PROGRAM 'touch sallyport-was-here'", 'server_side_copy'],
    ["COPY scratch.lines FROM PROGRAM 'id'", 'server_side_copy'],
    ["COPY scratch.lines FROM '/etc/passwd'", 'server_side_copy'],
    ["COPY orders TO '/dev/null'", 'server_side_copy'],
    ['CHECKPOINT', 'policy_undefined'],
    ["PREPARE TRANSACTION 'x'", 'policy_undefined'],
    ['CLUSTER customers USING customers_pkey', 'write_outside_working_data'],
    ['REINDEX TABLE customers', 'write_outside_working_data'],
    ['VACUUM FULL customers', 'write_outside_working_data'],
    ['REFRESH MATERIALIZED VIEW frozen', 'ddl_refused'],
  ]);
});

describe('the catalog’s own copies of values', () => {
  refused([
    ['SELECT most_common_vals FROM pg_stats', 'system_relation'],
    ["SELECT histogram_bounds FROM pg_stats WHERE tablename = 'customers'", 'system_relation'],
    ['SELECT * FROM pg_catalog.pg_statistic', 'system_relation'],
    ['SELECT stavalues1 FROM pg_statistic', 'system_relation'],
    ['SELECT * FROM pg_stats_ext', 'function_refused'],
    ['SELECT * FROM pg_stats_ext_exprs', 'system_relation'],
    ['SELECT * FROM pg_statistic_ext_data', 'system_relation'],
    ['SELECT query FROM pg_stat_activity', 'function_refused'],
    ['SELECT count(*) FROM pg_stat_activity', 'function_refused'],
    ['SELECT * FROM pg_shadow', 'system_relation'],
    ['SELECT rolpassword FROM pg_authid', 'system_relation'],
    ['SELECT a FROM pg_authid a', 'system_relation'],
    ['TABLE pg_authid', 'system_relation'],
    ['SELECT * FROM pg_user_mappings', 'system_relation'],
    ['SELECT * FROM pg_largeobject', 'system_relation'],
    ['SELECT * FROM pg_hba_file_rules', 'function_refused'],
    ['SELECT subconninfo FROM pg_subscription', 'system_relation'],
    ["UPDATE pg_class SET relrowsecurity = false WHERE relname = 'customers'", 'write_outside_working_data'],
  ]);
});

test('what agents may do still works, so that none of the above is refused by accident', async () => {
  const agent = await stage.agent();
  expect(await agent.rows('SELECT status FROM orders WHERE id = 1')).toHaveLength(1);
  expect(
    await agent.rows("SET application_name = 'bypass'; SET statement_timeout = '5s'; SHOW statement_timeout"),
  ).toEqual([['5s']]);
  expect(await agent.rows("INSERT INTO scratch.lines VALUES ('kept') RETURNING line")).toEqual([['kept']]);
  expect(await agent.rows("DELETE FROM scratch.lines WHERE line = 'kept' RETURNING line")).toEqual([['kept']]);
  expect(await agent.rows('BEGIN; SELECT 1; COMMIT')).toEqual([['1']]);
  expect(await agent.rows('CREATE TABLE scratch.made (id integer)')).toEqual([]);
  expect(await agent.rows('DROP TABLE scratch.made')).toEqual([]);
  expect(await agent.rows("SELECT count(*) FROM pg_class WHERE relname = 'customers'")).toEqual([['1']]);
  expect(stage.carried("INSERT INTO scratch.lines VALUES ('kept')")).toBe(true);
});

test('nothing that no agent may see was received, audited, recorded, logged or counted', async () => {
  expect(await stage.kept()).toEqual([]);
});

/** What the stage's database holds beside the shop, and which of it is labelled. */
import type { JsonObject } from '../../proxy/core/types.ts';

/** A name of exactly 63 bytes: longer ones mean the same. */
export const longName = `secret_${'x'.repeat(56)}`;

const pii = (...columns: string[]) => ({
  columns: Object.fromEntries(columns.map((column) => [column, ['pii']])),
});

/** The columns of `vault` that are labelled: one of each kind of type. */
export const vaultColumns = 't v c d i2 i4 i8 f4 f8 n b dt ts tz tm iv u j jb ba ip arr ia p m r mo bits'.split(' ');

/** Merged over the repository's `data.config`. */
export const stageData: JsonObject = {
  upstreams: {
    orders: {
      schemas: {
        public: {
          vault: pii(...vaultColumns),
          members: pii('ssn'),
          [longName]: { labels: ['secret'] },
          mixed: { columns: { token: ['secret'] } },
        },
        scratch: { people: { columns: { ssn: ['pii', 'us_ssn'] } } },
      },
    },
  },
  sql: { functions: ['scratch.shout'] },
};

/** Loaded behind the shop. The gateway's login becomes a superuser: the server itself would refuse nothing. */
export const stageSql = `
ALTER ROLE :role SUPERUSER;
CREATE TYPE mood AS ENUM ('enum-canary-calm', 'enum-canary-cross');
CREATE TYPE pair AS (left_part text, right_part text);
CREATE DOMAIN hidden_text AS text CHECK (VALUE <> '');
CREATE TABLE vault (
  id integer PRIMARY KEY, title text NOT NULL, t text, v varchar(40), c char(20), d hidden_text, i2 smallint, i4 integer,
  i8 bigint, f4 real, f8 double precision, n numeric, b boolean, dt date, ts timestamp, tz timestamptz, tm time,
  iv interval, u uuid, j json, jb jsonb, ba bytea, ip inet, arr text[], ia integer[], p pair, m mood, r int4range,
  mo money, bits bit(32)
);
INSERT INTO vault VALUES (
  1, 'first', 'text-canary-1', 'varchar-canary-1', 'char-canary-1', 'domain-canary-1', 30461, 1930461357, 8102030405060708,
  30461.5, 193046.135791, 73193046135791.25, true, '1957-03-11', '1957-03-11 05:43:21.123456', '1957-03-11 05:43:21.123456+00',
  '05:43:21.123456', '193 days 04:51:35', 'c0ffee00-1930-4613-8579-100000000001', '{"k":"json-canary-1"}',
  '{"k":"jsonb-canary-1"}', 'bytea-canary-1', '193.46.135.79', '{array-canary-1}', '{1930461357}',
  ROW('left-canary-1', 'right-canary-1'), 'enum-canary-cross', '[193046,193057)', 193046.13, '11000000111111111110111000010011'
);
CREATE TABLE ${longName} (id integer, value text);
INSERT INTO ${longName} VALUES (1, 'demo_secret_of_a_long_name');
CREATE TABLE mixed (id integer PRIMARY KEY, title text, token text);
INSERT INTO mixed VALUES (1, 'first', 'demo_secret_column_token');
CREATE TABLE ledger (id integer PRIMARY KEY, entry text);
INSERT INTO ledger SELECT n, 'entry ' || n FROM generate_series(1, 10) n;
CREATE TABLE members (id integer, ssn text, city text) PARTITION BY RANGE (id);
CREATE TABLE members_low PARTITION OF members FOR VALUES FROM (0) TO (100);
INSERT INTO members VALUES (1, '911-22-3344', 'Porto'), (2, '911-22-5566', 'Graz');
CREATE TABLE vip (tier text) INHERITS (customers);
INSERT INTO vip VALUES (
  1001, 'Vip Canary', 'vip.canary@example.com', '+1-555-0199', '977-88-9900', '1955-05-05', 'Oslo', 'NO', 'consumer',
  '2024-01-01', 'gold'
);
CREATE VIEW renamed(a, b) AS SELECT ssn, id FROM customers;
CREATE VIEW renamed_twice AS SELECT a AS x, b AS y FROM renamed;
CREATE VIEW glued AS SELECT id, name || ' ' || ssn AS both FROM customers;
CREATE VIEW sorted AS SELECT row_number() OVER (ORDER BY ssn) AS place, id FROM customers;
CREATE MATERIALIZED VIEW frozen AS SELECT id, ssn AS number FROM customers;
CREATE VIEW keys AS SELECT id, secret AS value FROM api_secrets;
CREATE TABLE scratch.people (
  id integer PRIMARY KEY CHECK (id > 0), ssn text NOT NULL UNIQUE, city text NOT NULL, note text
);
INSERT INTO scratch.people VALUES (1, '922-33-4455', 'Lisbon'), (2, '922-33-6677', 'Vienna');
CREATE TABLE scratch.amounts (id integer PRIMARY KEY, amount numeric);
CREATE TABLE scratch.lines (line text);
CREATE FUNCTION purge() RETURNS integer LANGUAGE sql VOLATILE AS 'WITH d AS (DELETE FROM public.ledger RETURNING 1) SELECT count(*)::int FROM d';
CREATE FUNCTION harmless_looking() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT public.purge()';
CREATE FUNCTION peek(integer) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM customers WHERE id = $1';
CREATE FUNCTION peek_rows() RETURNS SETOF customers LANGUAGE sql STABLE AS 'SELECT * FROM customers';
CREATE FUNCTION quiet() RETURNS text LANGUAGE sql AS
  'SELECT set_config(''standard_conforming_strings'', ''off'', false)';
CREATE FUNCTION run(text) RETURNS text LANGUAGE plpgsql AS 'DECLARE r text; BEGIN EXECUTE $1 INTO r; RETURN r; END';
CREATE FUNCTION purge_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM purge(); RETURN NULL; END';
CREATE FUNCTION purge_pair(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT purge() > 0';
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = purge_pair);
CREATE FUNCTION purge_cast(pair) RETURNS integer LANGUAGE sql AS 'SELECT purge()';
CREATE CAST (pair AS integer) WITH FUNCTION purge_cast(pair) AS ASSIGNMENT;
CREATE FUNCTION purge_state(integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT purge()';
CREATE AGGREGATE purge_all(integer) (SFUNC = purge_state, STYPE = integer, INITCOND = '0');
CREATE DOMAIN purging AS integer CHECK (purge() >= 0);
CREATE TABLE scratch.defaults (id integer PRIMARY KEY, n integer DEFAULT purge());
CREATE TABLE scratch.triggered (id integer PRIMARY KEY);
CREATE TRIGGER purges AFTER INSERT ON scratch.triggered FOR EACH STATEMENT EXECUTE FUNCTION purge_trigger();
CREATE PROCEDURE purge_procedure() LANGUAGE sql AS 'DELETE FROM ledger';
CREATE FUNCTION scratch.shout() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE NOTICE ''changing %'', OLD.ssn; RAISE WARNING ''row %'', OLD; RETURN NEW; END';
CREATE TRIGGER shouts BEFORE UPDATE ON scratch.people FOR EACH ROW EXECUTE FUNCTION scratch.shout();
ANALYZE;
`;

const contents = [
  'customers',
  'orders',
  'payments',
  'api_secrets',
  'ledger',
  'vault',
  'mixed',
  'members',
  'scratch.notes',
  'scratch.people',
  'scratch.amounts',
  'scratch.lines',
  'scratch.defaults',
  'scratch.triggered',
];

/** One row that changes when anything in the database does, or the role, or the database that may be dropped. */
export function stateSql(role: string, victim: string): string {
  const digest = (rows: string) => `(SELECT md5(string_agg(x::text, '|' ORDER BY x::text)) FROM (${rows}) x)`;
  const parts = [
    ...contents.map((table) => digest(`TABLE ${table}`)),
    digest(`SELECT oid, relname, relkind, relowner, relacl, relfilenode, relrowsecurity FROM pg_class
            WHERE relnamespace::regnamespace::text !~ '^(pg_catalog|pg_toast|information_schema)$'`),
    digest('SELECT oid, proname, proacl, prosrc, proowner FROM pg_proc WHERE pronamespace <> 11'),
    digest('SELECT oid, typname FROM pg_type WHERE typnamespace <> 11'),
    digest('SELECT oid, tgname, tgenabled FROM pg_trigger'),
    digest('SELECT oid, rulename FROM pg_rewrite'),
    digest('SELECT oid, * FROM pg_namespace'),
    digest('SELECT oid, * FROM pg_extension'),
    digest('SELECT oid, * FROM pg_largeobject_metadata'),
    digest('SELECT oid, evtname FROM pg_event_trigger'),
    digest('SELECT oid, oprname FROM pg_operator WHERE oprnamespace <> 11'),
    digest('SELECT oid, castsource FROM pg_cast'),
    digest('SELECT oid, * FROM pg_foreign_server'),
    digest('SELECT oid, * FROM pg_publication'),
    digest('SELECT * FROM pg_sequences'),
    digest(
      'SELECT * FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())',
    ),
    digest(`SELECT * FROM pg_authid WHERE rolname = '${role}'`),
    digest(`SELECT datname FROM pg_database WHERE datname = '${victim}'`),
  ];
  return `SELECT ARRAY[${parts.join(',\n')}] AS state`;
}

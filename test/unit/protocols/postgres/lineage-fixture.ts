/**
 * A shop on a real server, and a classifier over it, for the tests of classification and lineage.
 */
import pg from 'pg';
import type { ClassifiedStatement } from '../../../../proxy/protocols/postgres/classification.ts';
import { type CatalogClassifier, createClassifier } from '../../../../proxy/protocols/postgres/classify.ts';
import { type PostgresServer, startPostgres } from '../../../support/postgres.ts';

const schema = `
CREATE TABLE customers (id int PRIMARY KEY, name text, email text, ssn text, tags text[], created timestamptz DEFAULT now());
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, total numeric, note text);
CREATE TABLE audit (at timestamptz, what text);
CREATE VIEW customer_view AS SELECT id, name, ssn, upper(email) AS mail FROM customers WHERE ssn IS NOT NULL;
CREATE VIEW order_view AS SELECT c.*, o.total FROM customer_view c JOIN orders o ON o.customer_id = c.id;
CREATE MATERIALIZED VIEW emails AS SELECT email, count(*) FROM customers GROUP BY 1;
CREATE TABLE events (id int, at date, payload jsonb) PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE parents (id int, secret text);
CREATE TABLE children (extra text) INHERITS (parents);
CREATE TYPE address AS (city text, zip text);
CREATE TABLE people (id int, home address, card customers);
CREATE TABLE initials (name text, initial text GENERATED ALWAYS AS (left(name, 1)) STORED);
CREATE TABLE node (geometry box, shape text);
CREATE FUNCTION keep(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1';
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE FUNCTION rows_of(text) RETURNS TABLE (a text, b text) LANGUAGE sql AS 'SELECT $1, $1';
CREATE PROCEDURE work(INOUT n int) LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION same_text(text, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = integer, FUNCTION = same_text);
CREATE OPERATOR |=| (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE FUNCTION to_shape(customers) RETURNS address LANGUAGE sql AS 'SELECT ROW(NULL, NULL)::address';
CREATE CAST (customers AS address) WITH FUNCTION to_shape(customers);
CREATE FUNCTION log_order() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE watched (id int, note text);
CREATE TRIGGER watch BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION log_order();
CREATE TABLE ruled (id int);
CREATE RULE elsewhere AS ON INSERT TO ruled DO INSTEAD INSERT INTO audit VALUES (now(), 'rule');
CREATE SEQUENCE numbers;
CREATE FUNCTION check_code(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE DOMAIN code AS text CHECK (check_code(VALUE));
`;

/** A running shop. */
export interface Shop {
  readonly server: PostgresServer;
  readonly database: string;
  readonly client: pg.Client;
  readonly classifier: CatalogClassifier;
  /** The statements of a text that must be accepted. */
  all(sql: string): Promise<readonly ClassifiedStatement[]>;
  /** The only statement of a text that must be accepted. */
  one(sql: string): Promise<ClassifiedStatement>;
  close(): Promise<void>;
}

const asText = { getTypeParser: () => (value: string) => value };

/** Answers catalog queries over a client's connection. */
export function queryOn(client: pg.Client): (sql: string) => Promise<(string | null)[][]> {
  return async (sql) => (await client.query<(string | null)[]>({ text: sql, rowMode: 'array', types: asText })).rows;
}

/** Opens a client on a database of a server. */
export async function openClient(server: PostgresServer, database: string): Promise<pg.Client> {
  const { host, port, user, password, ca } = server;
  const client = new pg.Client({ host, port, user, password, database, ...(ca ? { ssl: { ca } } : {}) });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Starts the shop. Takes one to two seconds. */
export async function openShop(): Promise<Shop> {
  const server = await startPostgres();
  const database = await server.createDatabase();
  await server.psql(schema, { database });
  const client = await openClient(server, database);
  const classifier = await createClassifier({
    query: queryOn(client),
    serverMajor: 18,
    searchPath: ['public'],
    database,
    user: server.user,
    clock: { monotonicMs: () => performance.now() },
  });
  const all = async (sql: string) => {
    const classification = await classifier.classify(Buffer.from(sql));
    if ('fault' in classification) throw new Error(`${classification.fault.code}: ${classification.fault.message}`);
    return classification.statements;
  };
  return {
    server,
    database,
    client,
    classifier,
    all,
    async one(sql) {
      const [statement, ...others] = await all(sql);
      if (statement === undefined || others.length > 0) throw new Error('not one statement');
      return statement;
    },
    async close() {
      await classifier.close();
      await client.end();
      await server.stop();
    },
  };
}

/** `relation.column: uses` of every column that has uses, via or not, sorted; system relations left out. */
export function usesOf(statement: ClassifiedStatement): string[] {
  const uses = new Map<string, Set<string>>();
  for (const { schema, name, columns } of statement.relations) {
    if (schema === 'pg_catalog') continue;
    for (const column of columns) {
      if (column.uses.length === 0) continue;
      const key = `${name}.${column.name}`;
      uses.set(key, new Set([...(uses.get(key) ?? []), ...column.uses]));
    }
  }
  return [...uses].map(([key, each]) => `${key}: ${[...each].sort().join(' ')}`).sort();
}

/** `name ← columns`, `=` for exact, `?` for unknown. */
export function outputsOf(statement: ClassifiedStatement): string[] {
  return (statement.output ?? []).map(({ name, from, exact, unknown }) => {
    const columns = from.map((column) => `${column.relation}.${column.column}`).sort();
    return `${name} ${exact ? '=' : '←'} ${[...columns, ...(unknown ? ['?'] : [])].join(' ')}`.trim();
  });
}

/** The text of each literal, and what it meets. */
export function literalsOf(statement: ClassifiedStatement, sql: string): string[] {
  const bytes = Buffer.from(sql);
  return statement.literals.map(({ start, end, meets }) => {
    const columns =
      meets === 'unknown'
        ? '?'
        : meets
            .map((each) => `${each.relation}.${each.column}`)
            .sort()
            .join(' ');
    return `${bytes.toString('utf8', start, end)} ~ ${columns}`.trim();
  });
}

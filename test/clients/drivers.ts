/** The gateway and the server behind it, for drivers of JavaScript: both ways to one database as one role. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

/** Where and how a driver connects; TLS is verified against `ca`. */
export interface Way {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly ca: string;
}

export interface DriverStage {
  readonly gateway: TestGateway;
  readonly direct: Way;
  readonly through: Way;
  stop(): Promise<void>;
}

/** A table with a value of every type that drivers parse or print in a way of their own. */
const kindsSql = `
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE kinds (
  id integer PRIMARY KEY, small smallint, big bigint, num numeric(20, 5), real4 real, real8 double precision, yes boolean,
  day date, clock time, at timestamptz, naive timestamp, span interval, words text, fixed character(5), short varchar(9),
  doc json, docb jsonb, raw bytea, key uuid, feels mood, two pair, numbers integer[], texts text[], moments timestamptz[],
  net inet, range int4range, bits bit(5), place point, empty text
);
INSERT INTO kinds SELECT n, n, 9007199254740993 + n, 12345.67890 + n, 1.5 * n, 0.1 * n, n % 2 = 0, date '2024-02-28' + n, time '03:04:05.678' + n * interval '1 s',
  '2024-03-31 02:30:00+01', '1999-12-31 23:59:59.999999', n * interval '1 month 2 days 03:04:05', 'ü€😀 "quoted" \\ ' || n, 'abc', 'defg',
  '{"a": [1, null, "x"]}', '{"b": {"c": 1.50}}', decode('00ff0a5c', 'hex'), md5(n::text)::uuid, 'ok', ROW(n, 'x,"y"')::pair, ARRAY[1, NULL, n],
  ARRAY['a,b', NULL, '', 'c"d'], ARRAY[timestamptz '2024-01-01 00:00+00'], '192.168.0.1/24', int4range(1, n + 1), B'10110', point(n, -1.5), NULL
FROM generate_series(1, 20) n;
CREATE TABLE scratch.items (id integer PRIMARY KEY, label text, amount numeric, tags text[], doc jsonb);
GRANT SELECT ON kinds TO :role;
GRANT ALL ON scratch.items TO :role;`;

/** Starts both. */
export async function openDriverStage(): Promise<DriverStage> {
  const postgres: PostgresServer = await startPostgres();
  try {
    const gateway = await startTestGateway({ postgres, schemaSql: kindsSql });
    const { host, port, database, ca } = gateway;
    const password = await readFile(join(dirname(gateway.files.configFile), 'keys/orders-agent'), 'utf8');
    const { host: serverHost, port: serverPort, ca: serverCa = '' } = postgres;
    return {
      gateway,
      through: { host, port, database, user: 'agent', password: await gateway.token(), ca },
      direct: { host: serverHost, port: serverPort, database, user: gateway.role, password, ca: serverCa },
      async stop() {
        await gateway.stop();
        await postgres.stop();
      },
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

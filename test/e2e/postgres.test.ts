import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { systemClock } from '../../proxy/core/clock.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { knownCustomer } from '../../scripts/demo/dataset.ts';
import { startTestGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

let postgres: PostgresServer;
let shared: TestGateway;
const own: TestGateway[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  shared = await startTestGateway({ postgres });
});
afterAll(async () => {
  await shared.stop();
  await postgres.stop();
});
afterEach(async () => {
  for (const gateway of own.splice(0)) await gateway.stop();
});

/** A gateway that a test may change. */
async function start(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const gateway = await startTestGateway({ postgres, ...options });
  own.push(gateway);
  return gateway;
}

/** The error a query ends with. */
async function refusal(client: pg.Client, sql: string, values?: unknown[]): Promise<pg.DatabaseError> {
  try {
    await client.query(sql, values);
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  }
  throw new Error(`not refused: ${sql}`);
}

const personal = [knownCustomer.email, knownCustomer.name, knownCustomer.ssn];
const select = 'SELECT id, name, email, ssn, city FROM customers WHERE id = $1';

describe('a permitted query', () => {
  test('answers what PostgreSQL itself answers', async () => {
    const client = await shared.connect();
    const sql = 'SELECT status, count(*)::int AS n FROM orders GROUP BY status ORDER BY status';
    expect((await client.query(sql)).rows).toEqual(await shared.sql(sql));
  });

  test('comes back with its labelled columns masked, by either protocol', async () => {
    const client = await shared.connect();
    for (const result of [await client.query(select, [1]), await client.query(select.replace('$1', '1'))]) {
      expect(result.rows).toHaveLength(1);
      expect(result.rows[0]?.city).toBe((await shared.sql('SELECT city FROM customers WHERE id = 1'))[0]?.city);
      for (const value of personal) expect(JSON.stringify(result.rows)).not.toContain(value);
      expect(result.rows[0]?.ssn).toMatch(/4321$/);
    }
  });

  test('leaves a decided and a completed event, and counts', async () => {
    const gateway = await start();
    const client = await gateway.connect();
    await client.query(select, [1]);
    await client.end();
    await gateway.gateway.close();
    const events = await gateway.audit();
    // Parse is judged as well, because its text reaches the server; its event says that it only prepared.
    const decided = events.filter(
      ({ event, action, subject, phase }) =>
        event === 'decided' && action === 'select' && isAgent(subject) && phase === undefined,
    );
    expect(decided).toHaveLength(1);
    expect(decided[0]).toMatchObject({ effect: 'allow', protocol: 'postgres', upstream: 'orders' });
    const completed = events.find(
      ({ event, decision_id }) => event === 'completed' && decision_id === decided[0]?.decision_id,
    );
    expect(completed).toMatchObject({ status: 'ok', rows: 1, masked_cells: 3 });
  });
});

describe('a refused query', () => {
  test.each([
    ['DROP DATABASE postgres', '42501', 'drop_database'],
    ['DELETE FROM scratch.notes', '42501', 'change_without_where'],
    ["SELECT id FROM customers WHERE ssn > '950'", '42501', 'pii_use'],
    ['SELECT * FROM api_secrets', '42501', 'secret_relation'],
    ["UPDATE customers SET city = 'x' WHERE id = 1", '42501', 'write_outside_working_data'],
    ['SELEC 1', '42601', 'operation_unparseable'],
  ])('%s says why in the error, and the connection goes on', async (sql, sqlstate, code) => {
    const client = await shared.connect();
    const error = await refusal(client, sql);
    expect(error.code).toBe(sqlstate);
    expect(error.hint).toMatch(/./);
    const detail: unknown = JSON.parse(error.detail ?? '');
    expect(detail).toMatchObject({ code, decision_id: expect.any(String), hint: expect.any(String) });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('aborts an open transaction, as any error does', async () => {
    const client = await shared.connect();
    await client.query('BEGIN');
    await client.query("INSERT INTO scratch.notes (author, note) VALUES ('a', 'never kept')");
    await refusal(client, 'DROP DATABASE postgres');
    expect((await refusal(client, 'SELECT 1')).code).toBe('25P02');
    await client.query('ROLLBACK');
    expect(await shared.sql("SELECT 1 FROM scratch.notes WHERE note = 'never kept'")).toEqual([]);
  });

  test('changes nothing at the upstream', async () => {
    const client = await shared.connect();
    const before = await shared.sql('SELECT count(*) FROM scratch.notes');
    await refusal(client, 'DELETE FROM scratch.notes');
    expect(await shared.sql('SELECT count(*) FROM scratch.notes')).toEqual(before);
  });
});

test('a masked value is in no recording, no audit event, no log line and no metric', async () => {
  const gateway = await start();
  const client = await gateway.connect();
  await client.query(select, [1]);
  await client.query('SELECT id FROM customers WHERE email = $1', [knownCustomer.email]);
  await client.query(`SELECT id FROM customers WHERE email = '${knownCustomer.email}'`);
  await refusal(client, `SELECT id FROM customers WHERE ssn > '${knownCustomer.ssn}'`);
  const metrics = await gateway.metrics();
  await client.end();
  await gateway.gateway.close();
  const recordings = await readdir(gateway.recordDir, { recursive: true, withFileTypes: true });
  const files = recordings.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  expect(files.length).toBeGreaterThan(0);
  const kept = [metrics, gateway.log.join(''), await readFile(gateway.auditFile, 'latin1')];
  for (const file of files) kept.push(await readFile(file, 'latin1'));
  for (const text of kept) for (const value of personal) expect(text).not.toContain(value);
});

describe('a live session', () => {
  test('is judged by new data as soon as it is active, what was prepared included', async () => {
    const gateway = await start({ config: { policy: { watch: false } } });
    const client = await gateway.connect();
    const prepared = { name: 'cities', text: 'SELECT city FROM customers WHERE id = $1', values: [1] };
    const [row] = await gateway.sql('SELECT city FROM customers WHERE id = 1');
    expect((await client.query(prepared)).rows).toEqual([row]);
    const data: JsonObject = JSON.parse(await readFile(gateway.files.dataFile, 'utf8'));
    const text = JSON.stringify(data).replace('"columns":{"name":', '"columns":{"city":["pii"],"name":');
    expect(text).toContain('"city"');
    await writeFile(gateway.files.dataFile, text);
    await gateway.reload();
    expect((await client.query(prepared)).rows).toEqual([{ city: null }]);
  });

  test('is ended in the protocol’s words when its token has expired', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
    const gateway = await start({ clock });
    const client = new pg.Client(await gateway.client());
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    await client.connect();
    await client.query('SELECT 1');
    aheadMs = 3_600_000;
    expect((await refusal(client, 'SELECT 1')).code).toBe('28000');
    await client.end();
  });
});

describe('signing in', () => {
  test.each([
    ['a password that is no token', 'hunter2'],
    ['an empty password', ''],
  ])('with %s is refused', async (_title, password) => {
    const client = new pg.Client(await shared.client({ password }));
    await expect(client.connect()).rejects.toMatchObject({ code: '28000' });
  });

  test('with a token for somebody else’s audience is refused', async () => {
    const token = await shared.token('test-agent', { audience: 'https://other.example' });
    const client = new pg.Client(await shared.client({ token }));
    await expect(client.connect()).rejects.toMatchObject({ code: '28000' });
  });

  test('without TLS is refused', async () => {
    const client = new pg.Client(await shared.client({ ssl: false }));
    await expect(client.connect()).rejects.toMatchObject({ code: '28000' });
  });

  test.each([
    ['user', 'postgres'],
    ['database', 'no_such_database'],
  ])('with an unknown %s is refused', async (key, value) => {
    const client = new pg.Client(await shared.client({ [key]: value }));
    await expect(client.connect()).rejects.toThrow();
  });
});

function isAgent(subject: JsonObject[string] | undefined): boolean {
  return typeof subject === 'object' && subject !== null && 'type' in subject && subject.type === 'agent';
}

/** What approvers are told of a held statement's size: an EXPLAIN of the gateway's own, by a real PostgreSQL. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { JsonObject } from '../../proxy/core/types.ts';
import { nextRequest, vote } from '../support/approvals.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { connectWire, frontend } from '../support/wire-client.ts';

const approve = { groups: ['dba'], mode: 'wait', wait_seconds: 60 };
const access = { approve: { delete: approve, update: approve, insert: approve } };

let postgres: PostgresServer;
let gateway: TestGateway;
let silent: TestGateway;

beforeAll(async () => {
  postgres = await startPostgres();
  gateway = await startTestGateway({
    postgres,
    data: { sql: { ...access, estimate: true, functions: ['scratch.of_a_user'] } },
  });
  silent = await startTestGateway({ postgres, data: { sql: access } });
  await gateway.sql(
    `INSERT INTO scratch.notes (author, note) SELECT 'estimated', 'n' || i FROM generate_series(1, 500) AS i`,
  );
  await gateway.sql('ANALYZE scratch.notes');
  // Immutable, so that planning a statement with it would run it.
  await gateway.sql(
    `CREATE FUNCTION scratch.of_a_user() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 'x'; END $$`,
  );
});
afterAll(async () => {
  await silent.stop();
  await gateway.stop();
  await postgres.stop();
});

/** Holds a statement, hands out what approvers are told, and lets it through. */
async function estimateOf(of: TestGateway, client: pg.Client, sql: string, values?: unknown[]): Promise<JsonObject> {
  const desk = of.gateway.approvals;
  const asked = nextRequest(desk);
  const running = client.query(sql, values);
  running.catch(() => {});
  const { id, estimate } = await asked;
  await vote(desk, id, { verdict: 'deny' });
  await expect(running).rejects.toThrow();
  return estimate;
}

/** `decided` events about what the gateway itself had planned. */
async function explained(of: TestGateway): Promise<readonly JsonObject[]> {
  const events = await of.audit();
  return events.filter(({ event, purpose }) => event === 'decided' && purpose === 'estimate');
}

describe('an estimate', () => {
  test('says how many rows would be deleted, updated or inserted, and changes none', async () => {
    const client = await gateway.connect();
    const deleted = await estimateOf(gateway, client, `DELETE FROM scratch.notes WHERE author = 'estimated'`);
    expect(deleted).toEqual({ rows: 500, cost: expect.any(Number), node: 'Seq Scan' });
    const updated = await estimateOf(
      gateway,
      client,
      `UPDATE scratch.notes SET note = 'x' WHERE author = 'estimated'; `,
    );
    expect(updated.rows).toBe(500);
    const inserted = await estimateOf(
      gateway,
      client,
      `INSERT INTO scratch.notes (author, note) SELECT author, note FROM scratch.notes LIMIT 7`,
    );
    expect(inserted.rows).toBe(7);
    expect(await gateway.sql('SELECT count(*)::int AS n FROM scratch.notes')).toEqual([{ n: 502 }]);
  });

  test('is an operation of the gateway that is judged and audited, without a value', async () => {
    const client = await gateway.connect();
    await estimateOf(gateway, client, `DELETE FROM scratch.notes WHERE author = 'marker-in-a-condition'`);
    const [event] = (await explained(gateway)).slice(-1);
    expect(event).toMatchObject({
      effect: 'allow',
      subject: { type: 'gateway' },
      action: 'explain',
      operation: { relations: ['scratch.notes'], effects: ['explain'] },
    });
    expect(JSON.stringify(await explained(gateway))).not.toContain('marker-in-a-condition');
  });

  test('is for the values that come apart from the text', async () => {
    const client = await gateway.connect();
    const sql = 'DELETE FROM scratch.notes WHERE author = $1 AND ($2::int IS NULL OR id > $2)';
    expect((await estimateOf(gateway, client, sql, ['estimated', null])).rows).toBe(500);
    expect((await estimateOf(gateway, client, sql, ['nobody-has-this-name', null])).rows).toBeLessThan(10);
    // Of what can be bound, and what cannot, nothing is kept or told but the values' own request.
    expect(await estimateOf(gateway, client, 'DELETE FROM scratch.notes WHERE id = $1', ['no number'])).toEqual({});
    const trail = JSON.stringify(await explained(gateway));
    for (const value of ['nobody-has-this-name', 'no number']) expect(trail).not.toContain(value);
  });

  test('is for values in binary form', async () => {
    const { host, port, ca, database } = gateway;
    const wire = await connectWire({ host, port, ca, database, user: 'agent', password: await gateway.token() });
    const asked = nextRequest(gateway.gateway.approvals);
    const sql = 'DELETE FROM scratch.notes WHERE author = $1 AND id > $2';
    wire.send(
      frontend.parse(sql, '', [25, 23]),
      frontend.bind({ values: [Buffer.from('estimated'), Buffer.alloc(4)], formats: [0, 1] }),
      ...[frontend.execute(), frontend.sync()],
    );
    const { id: approval, estimate } = await asked;
    expect(estimate.rows).toBe(500);
    await vote(gateway.gateway.approvals, approval, { verdict: 'deny' });
    await wire.end();
  });

  test('is left out inside a transaction', async () => {
    const client = await gateway.connect();
    await client.query('BEGIN');
    const asked = nextRequest(gateway.gateway.approvals);
    await expect(client.query(`DELETE FROM scratch.notes WHERE author = 'in a block'`)).rejects.toThrow();
    expect((await asked).estimate).toEqual({});
    await client.query('ROLLBACK');
  });

  test('that would wait for a lock is left out, and the request is filed without it', async () => {
    const client = await gateway.connect();
    const { host, port, user, password } = postgres;
    const locker = new pg.Client({ host, port, user, password, database: gateway.database });
    await locker.connect();
    await locker.query('BEGIN; LOCK TABLE scratch.notes');
    expect(await estimateOf(gateway, client, `DELETE FROM scratch.notes WHERE author = 'locked'`)).toEqual({});
    await locker.query('ROLLBACK');
    await locker.end();
    const later = await estimateOf(
      gateway,
      client,
      `DELETE FROM scratch.notes WHERE author = 'estimated' AND note <> ''`,
    );
    expect(later.rows).toEqual(expect.any(Number));
  });

  test('is refused to the gateway by policy where planning would run a function of a user', async () => {
    const client = await gateway.connect();
    const sql = 'DELETE FROM scratch.notes WHERE author = scratch.of_a_user()';
    expect(await estimateOf(gateway, client, sql)).toEqual({});
    expect((await explained(gateway)).at(-1)).toMatchObject({ effect: 'deny', subject: { type: 'gateway' } });
  });

  test('is not asked for where the configuration does not say so', async () => {
    const client = await silent.connect();
    expect(await estimateOf(silent, client, `DELETE FROM scratch.notes WHERE author = 'silent'`)).toEqual({});
    expect(await explained(silent)).toEqual([]);
  });
});

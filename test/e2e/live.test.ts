import { readFile, writeFile } from 'node:fs/promises';
import { Server } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { systemClock } from '../../proxy/core/clock.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { startTestGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { connectWire, errorFields, frontend, statusOf, type WireClient } from '../support/wire-client.ts';

let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const running: TestGateway[] = [];
async function start(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const gateway = await startTestGateway({ postgres, config: { policy: { watch: false } }, ...options });
  running.push(gateway);
  return gateway;
}
const processes: GatewayProcess[] = [];
afterEach(async () => {
  for (const gateway of processes.splice(0)) gateway.kill('SIGKILL');
  for (const gateway of running.splice(0)) await gateway.stop();
});

type Change = (data: Record<string, unknown>) => void;

async function rewrite(gateway: TestGateway, change: Change): Promise<void> {
  const data: unknown = JSON.parse(await readFile(gateway.files.dataFile, 'utf8'));
  const changed = { ...Object(data) };
  change(changed);
  await writeFile(gateway.files.dataFile, JSON.stringify(changed));
}

/** Another `data.config`, active when this resolves. */
async function activate(gateway: TestGateway, change: Change): Promise<void> {
  await rewrite(gateway, change);
  await gateway.reload();
}

/** Gives or takes labels of a relation of the shop. */
const label =
  (relation: string, labels: JsonObject): Change =>
  (data) => {
    Object(data).upstreams.orders.schemas.public[relation] = labels;
  };
const secret = (relation: string) => label(relation, { labels: ['secret'] });
const nothing = (relation: string) => label(relation, {});

async function wire(gateway: TestGateway): Promise<WireClient> {
  const { host, port, ca, database } = gateway;
  return await connectWire({ host, port, ca, database, user: 'agent', password: await gateway.token() });
}

async function failure(work: Promise<unknown>): Promise<pg.DatabaseError> {
  return await work.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => {
      if (error instanceof pg.DatabaseError) return error;
      throw error;
    },
  );
}

/** The last words of a session, as node-postgres hears them. */
function lastWords(client: pg.Client): Promise<pg.DatabaseError> {
  return new Promise((resolve, reject) => {
    client.once('error', (error) => (error instanceof pg.DatabaseError ? resolve(error) : reject(error)));
  });
}

/** How many statements of the test's role run at the upstream. */
async function busy(gateway: Pick<TestGateway, 'sql' | 'role'>): Promise<number> {
  const active = `SELECT 1 FROM pg_stat_activity WHERE usename = '${gateway.role}' AND state = 'active'`;
  return (await gateway.sql(active)).length;
}

describe('another data.config decides again what is prepared', () => {
  const tickets = { name: 'tickets', text: 'SELECT id, status FROM tickets WHERE id = $1', values: [1] };

  test('a named statement that was allowed is refused, and allowed again when that is taken back', async () => {
    const gateway = await start();
    const client = await gateway.connect();
    const before = (await client.query(tickets)).rows;
    await activate(gateway, secret('tickets'));
    for (let again = 0; again < 2; again++) {
      const error = await failure(client.query(tickets));
      expect(error.code).toBe('42501');
      expect(JSON.parse(error.detail ?? '')).toMatchObject({ code: 'secret_relation' });
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    }
    await activate(gateway, nothing('tickets'));
    expect((await client.query(tickets)).rows).toEqual(before);
  });

  test('a column that has become personal data comes masked from then on', async () => {
    const gateway = await start();
    const client = await gateway.connect();
    const cities = { name: 'cities', text: 'SELECT id, city FROM customers WHERE id < $1 ORDER BY id', values: [9] };
    expect((await client.query(cities)).rows[0]?.city).toMatch(/./);
    await activate(gateway, label('customers', { columns: { city: ['pii'] } }));
    expect((await client.query(cities)).rows.map(({ city }) => city)).toEqual(Array(8).fill(null));
  });

  test('a statement of SQL PREPARE', async () => {
    const gateway = await start();
    const client = await gateway.connect();
    await client.query('PREPARE t(int) AS SELECT id FROM tickets WHERE id = $1');
    expect((await client.query('EXECUTE t(1)')).rows).toEqual([{ id: 1 }]);
    await activate(gateway, secret('tickets'));
    expect((await failure(client.query('EXECUTE t(1)'))).code).toBe('42501');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('an open cursor', async () => {
    const gateway = await start();
    const client = await gateway.connect();
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT id FROM tickets ORDER BY id');
    expect((await client.query('FETCH 2 FROM c')).rows).toHaveLength(2);
    await activate(gateway, secret('tickets'));
    expect((await failure(client.query('FETCH 2 FROM c'))).code).toBe('42501');
    await client.query('ROLLBACK');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test.each([
    ['before its first row', 0],
    ['in the middle of its rows', 3],
  ])('a portal that is bound, %s', async (_title, fetched) => {
    const gateway = await start();
    const client = await wire(gateway);
    await client.query('BEGIN');
    const bind = [frontend.parse('SELECT id FROM tickets', 's'), frontend.bind({ portal: 'p', statement: 's' })];
    const first = fetched === 0 ? [] : [frontend.execute('p', fetched)];
    const rows = (await client.extended(...bind, ...first)).filter(({ type }) => type === 'D');
    expect(rows).toHaveLength(fetched);
    await activate(gateway, secret('tickets'));
    const messages = await client.extended(frontend.execute('p'));
    expect(messages.map(({ type }) => type)).toEqual(['E', 'Z']);
    expect(errorFields(messages[0]?.body ?? Buffer.alloc(0)).C).toBe('42501');
    expect(statusOf(messages)).toBe('E');
    expect(statusOf(await client.query('ROLLBACK'))).toBe('I');
    await client.end();
  });

  test('without being told: a file that changed is noticed', async () => {
    const gateway = await start({ config: { policy: { watch: true } } });
    const client = await gateway.connect();
    await client.query(tickets);
    await rewrite(gateway, secret('tickets'));
    let error: unknown;
    while (error === undefined)
      error = await client.query(tickets).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    expect(error).toMatchObject({ code: '42501' });
  });
});

describe('a session that policy no longer lets in', () => {
  const closed: Change = (data) => {
    Object(data).upstreams = {};
  };

  test('ends in the protocol’s words, and no new one begins', async () => {
    const gateway = await start();
    const client = await gateway.connect();
    const told = lastWords(client);
    await activate(gateway, closed);
    const error = await told;
    expect(error).toMatchObject({ severity: 'FATAL', code: '42501' });
    expect(JSON.parse(error.detail ?? '')).toMatchObject({ code: 'policy_undefined' });
    expect(await failure(gateway.connect())).toMatchObject({ severity: 'FATAL', code: '42501' });
  });

  test('ends also while its statement runs, which is cancelled at the upstream', async () => {
    const gateway = await start({ data: { sql: { functions: ['pg_catalog.pg_sleep'] } } });
    const client = await gateway.connect();
    const ended = failure(client.query('SELECT pg_sleep(600)'));
    while ((await busy(gateway)) === 0);
    await activate(gateway, closed);
    expect(await ended).toMatchObject({ severity: 'FATAL', code: '42501' });
    while ((await busy(gateway)) > 0);
  });
});

describe('a session whose token has expired', () => {
  /** A clock that a test puts forward; the timers stay the machine's. */
  function movableClock() {
    let offsetMs = 0;
    return {
      ...systemClock,
      nowMs: () => systemClock.nowMs() + offsetMs,
      forward(ms: number) {
        offsetMs += ms;
      },
    };
  }

  test('is permitted nothing new, and ends in the protocol’s words after the grace', async () => {
    const clock = movableClock();
    const gateway = await start({ clock, limits: { expiry_grace_ms: 500 } });
    const client = await gateway.connect({ token: await gateway.token('mayfly', { lifetimeSeconds: 1 }) });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    const told = lastWords(client);
    // Past its end, and past the skew that is granted to clocks.
    clock.forward(60_000);
    const refused = await failure(client.query('SELECT 1'));
    expect(refused).toMatchObject({ severity: 'ERROR', code: '28000' });
    expect(JSON.parse(refused.detail ?? '')).toMatchObject({ code: 'credential_expired' });
    // The timer of the grace is the machine's: it ends the session by itself.
    expect(await told).toMatchObject({ severity: 'FATAL', code: '28000' });
  });

  test('ends while its statement runs, which is cancelled at the upstream', async () => {
    const gateway = await start({
      limits: { expiry_grace_ms: 100 },
      data: { sql: { functions: ['pg_catalog.pg_sleep'] } },
    });
    const client = await gateway.connect({ token: await gateway.token('mayfly', { lifetimeSeconds: 1 }) });
    const ended = failure(client.query('SELECT pg_sleep(600)'));
    expect(await ended).toMatchObject({ severity: 'FATAL', code: '28000' });
    while ((await busy(gateway)) > 0);
  });

  test('cannot be opened again with that token', async () => {
    const clock = movableClock();
    const gateway = await start({ clock });
    const token = await gateway.token('mayfly', { lifetimeSeconds: 30 });
    await (await gateway.connect({ token })).query('SELECT 1');
    clock.forward(5 * 60_000);
    expect(await failure(gateway.connect({ token }))).toMatchObject({ severity: 'FATAL', code: '28000' });
  });
});

describe('a listener that fails', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  test('fails readiness, and leaves the sessions it let in', async () => {
    const listen = jest.spyOn(Server.prototype, 'listen');
    const gateway = await start();
    const client = await gateway.connect();
    const ready = async () => {
      const response = await fetch(`${gateway.admin.url}/readyz`);
      return { status: response.status, failing: Object(await response.json()).failing };
    };
    expect(await ready()).toEqual({ status: 200, failing: [] });
    const servers = listen.mock.contexts.filter((one) => one instanceof Server);
    servers.find((one) => Object(one.address()).port === gateway.port)?.close();
    expect(await ready()).toEqual({ status: 503, failing: ['listeners'] });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

test('SIGTERM ends each session in the protocol’s words, cancels what runs, and then the process', async () => {
  const prepared = await start({ data: { sql: { functions: ['pg_catalog.pg_sleep'] } } });
  await prepared.gateway.close();
  const gateway = await startGatewayProcess(prepared.files);
  processes.push(gateway);
  const config = { ...(await prepared.client()), port: gateway.port };
  const clients = [new pg.Client(config), new pg.Client(config), new pg.Client(config)] as const;
  for (const client of clients) {
    await client.connect();
    // The driver has a word of its own when the connection ends.
    client.on('error', () => {});
  }
  const [idle, inTransaction, sleeping] = clients;
  const told = [lastWords(idle), lastWords(inTransaction)];
  await inTransaction.query('BEGIN');
  await inTransaction.query("INSERT INTO scratch.notes (author, note) VALUES ('a', 'never kept')");
  told.push(failure(sleeping.query('SELECT pg_sleep(600)')));
  while ((await busy(prepared)) === 0);
  gateway.kill('SIGTERM');
  for (const words of await Promise.all(told)) expect(words).toMatchObject({ severity: 'FATAL', code: '57P01' });
  expect(await gateway.exit).toBe(0);
  while ((await busy(prepared)) > 0);
  expect(await prepared.sql("SELECT 1 FROM scratch.notes WHERE note = 'never kept'")).toEqual([]);
  const closed = (await prepared.audit()).filter(({ event }) => event === 'closed');
  expect(closed.length).toBeGreaterThanOrEqual(3);
});

describe('an upstream that goes away', () => {
  let own: PostgresServer;
  beforeAll(async () => {
    own = await startPostgres({ exclusive: true });
  });
  afterAll(() => own.stop());

  /** Kills one of its processes: the server ends all connections, recovers, and takes new ones. */
  async function crash(): Promise<void> {
    const { host, port, user, password, ca = '' } = own;
    const victim = new pg.Client({ host, port, user, password, database: 'postgres', ssl: { ca } });
    victim.on('error', () => {});
    await victim.connect();
    const { rows } = await victim.query('SELECT pg_backend_pid() AS pid');
    const gone = new Promise<void>((resolve) => victim.once('end', resolve));
    process.kill(Number(rows[0]?.pid), 'SIGKILL');
    await gone;
  }

  test('one session that the upstream ends leaves the others alone', async () => {
    const gateway = await start({ postgres: own });
    const client = await wire(gateway);
    const other = await gateway.connect();
    const pid = (await client.query('SELECT pg_backend_pid()'))[1]?.body.toString('utf8', 6);
    await gateway.sql(`SELECT pg_terminate_backend(${pid})`);
    const messages = await client.untilClosed();
    expect(messages.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body))).toMatchObject([
      { S: 'FATAL', C: '57P01' },
    ]);
    expect((await other.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('ends the sessions in the protocol’s words; new ones work as soon as it is back', async () => {
    const gateway = await start({ postgres: own, data: { sql: { functions: ['pg_catalog.pg_sleep'] } } });
    const idle = await gateway.connect();
    const busyClient = await gateway.connect();
    const told = lastWords(idle);
    const ended = failure(busyClient.query('SELECT pg_sleep(600)'));
    while ((await busy(gateway)) === 0);
    await crash();
    // The server's own last words where it had some, the gateway's where it had none.
    for (const words of [await told, await ended]) {
      expect(words.severity).toMatch(/^(FATAL|WARNING)$/);
      expect(words.code).toMatch(/^57P0[0-9]$/);
    }
    let client: pg.Client | undefined;
    while (client === undefined) {
      client = await gateway.connect().catch((error: unknown) => {
        expect(error).toMatchObject({ severity: 'FATAL', code: '57P03' });
        return undefined;
      });
    }
    const query = 'SELECT email FROM customers WHERE id = 1';
    const [row] = (await client.query(query)).rows;
    expect(row?.email).toMatch(/@/);
    expect(row).not.toEqual((await gateway.sql(query))[0]);
  });
});

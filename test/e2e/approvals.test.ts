/** Statements that wait for a person, by real clients, a real PostgreSQL and the whole gateway, on either store. */
import { spawn } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { loadConfig } from '../../proxy/config.ts';
import type { Approval, ApprovalDesk } from '../../proxy/core/approvals.ts';
import type { JsonObject, Principal } from '../../proxy/core/types.ts';
import { type RunningGateway, startGateway } from '../../proxy/main.ts';
import { describeTools } from '../clients/tools.ts';
import { ana, bo, eve, nextRequest, vote } from '../support/approvals.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { connectWire, errorsOf, frontend, rowsOf, tagsOf } from '../support/wire-client.ts';

let postgres: PostgresServer;
let gateway: TestGateway;

/** What a statement does says how it is held. */
const data: JsonObject = {
  sql: {
    approve: {
      delete: { groups: ['dba'], mode: 'wait', wait_seconds: 60 },
      update: { groups: ['dba'], quorum: 2 },
      truncate: { groups: ['dba'], mode: 'wait', wait_seconds: 60, ttl_seconds: 1 },
      merge: { groups: ['dba'], mode: 'wait', wait_seconds: 0 },
      insert: { groups: ['dba'], reuse: 'shape', uses: 3 },
    },
  },
};

beforeAll(async () => {
  postgres = await startPostgres();
  gateway = await startTestGateway({ postgres, data });
});
afterAll(async () => {
  await gateway.stop();
  await postgres.stop();
});

const desk = () => gateway.gateway.approvals;

async function refused(client: pg.Client, sql: string, values?: unknown[]): Promise<pg.DatabaseError> {
  return await failed(client.query(sql, values));
}

async function failed(query: Promise<unknown>): Promise<pg.DatabaseError> {
  try {
    await query;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  }
  throw new Error('not refused');
}

const detail = (error: pg.DatabaseError): JsonObject => JSON.parse(error.detail ?? '');

/** A note of its own for each test. */
async function note(text: string): Promise<number> {
  const [row] = await gateway.sql(`INSERT INTO scratch.notes (author, note) VALUES ('a', '${text}') RETURNING id`);
  return Number(row?.id);
}

const exists = async (id: number) => (await gateway.sql(`SELECT 1 FROM scratch.notes WHERE id = ${id}`)).length === 1;

/** The `decided` event with this code about an approval, once the trail has it. */
async function decided(approval: string, code: string): Promise<JsonObject> {
  for (;;) {
    const events = await gateway.audit();
    const found = events.find(
      (event) => event.event === 'decided' && event.approval === approval && event.code === code,
    );
    if (found !== undefined) return found;
  }
}

/** A statement that is being held, and the request for it. */
async function hold(client: pg.Client, sql: string, values?: unknown[]) {
  const asked = nextRequest(desk());
  const running = client.query(sql, values);
  running.catch(() => {});
  return { running, approval: await asked };
}

/** A request whose uses are over: that they are is kept a moment after the client was answered. */
async function completed(desk: ApprovalDesk, id: string): Promise<Approval | undefined> {
  const deadline = AbortSignal.timeout(10_000);
  for (;;) {
    const approval = await desk.get(id);
    if (deadline.aborted || approval?.used.every(({ outcome }) => outcome !== 'running')) return approval;
  }
}

describe('a statement that waits', () => {
  test('runs once it is approved, and tells its client meanwhile', async () => {
    const id = await note('held');
    const client = await gateway.connect();
    const notices: (string | undefined)[] = [];
    client.on('notice', ({ message }) => notices.push(message));
    const { running, approval } = await hold(client, `DELETE FROM scratch.notes WHERE id = ${id}`);
    expect(approval).toMatchObject({
      ...{ upstream: 'orders', action: 'delete', subject: { id: 'test-agent' }, groups: ['dba'] },
      reasons: [{ policy: 'approved_changes', code: 'delete_approval' }],
      operation: { text: `DELETE FROM scratch.notes WHERE id = ${id}` },
    });
    expect(await exists(id)).toBe(true);
    await vote(desk(), approval.id);
    expect((await running).rowCount).toBe(1);
    expect(await exists(id)).toBe(false);
    expect(notices.join()).toContain(approval.id);
    expect(await completed(desk(), approval.id)).toMatchObject({ state: 'used', used: [{ outcome: 'ok' }] });
    const events = await gateway.audit();
    const about = events.filter((event) => event.approval === approval.id);
    expect(about.map(({ event, what }) => what ?? event)).toEqual(['filed', 'held', 'voted', 'used']);
    expect(events.find(({ approvals }) => JSON.stringify(approvals) === JSON.stringify([approval.id]))).toMatchObject({
      event: 'decided',
      effect: 'allow',
    });
  });

  test('keeps what comes behind it waiting, in order, by the extended protocol too', async () => {
    const id = await note('extended');
    const client = await gateway.connect();
    const { running, approval } = await hold(client, 'DELETE FROM scratch.notes WHERE id = $1', [id]);
    expect(approval.operation).toMatchObject({ parameters: [{ value: String(id) }] });
    const behind = client.query('SELECT count(*)::int AS n FROM scratch.notes WHERE id = $1', [id]);
    await vote(desk(), approval.id);
    expect((await running).rowCount).toBe(1);
    expect((await behind).rows).toEqual([{ n: 0 }]);
  });

  test('is followed by a pipeline that waits at the client, and is answered in its order', async () => {
    const id = await note('pipeline');
    const { user, password } = await gateway.client();
    const wire = await connectWire({
      ...{ host: gateway.host, port: gateway.port, ca: gateway.ca, database: gateway.database },
      ...{ user: String(user), password: String(password) },
    });
    const asked = nextRequest(desk());
    const behind = Array.from({ length: 1_500 }, (_, at) =>
      frontend.query(`SELECT ${at} AS at /* ${'x'.repeat(7_000)} */`),
    );
    wire.send(frontend.query(`DELETE FROM scratch.notes WHERE id = ${id}`), ...behind);
    const approval = await asked;
    // Ten megabytes are not taken: the gateway stopped reading.
    expect(wire.socket.writableLength).toBeGreaterThan(1024 * 1024);
    await vote(desk(), approval.id);
    const answers = await wire.untilReady(1_501);
    expect(tagsOf(answers).slice(0, 2)).toEqual(['DELETE 1', 'SELECT 1']);
    expect(rowsOf(answers)).toEqual(behind.map((_, at) => [String(at)]));
    await wire.end();
  });

  test('in a pipeline behind something that was executed does not wait', async () => {
    const id = await note('behind');
    const { user, password } = await gateway.client();
    const wire = await connectWire({
      ...{ host: gateway.host, port: gateway.port, ca: gateway.ca, database: gateway.database },
      ...{ user: String(user), password: String(password) },
    });
    const run = (sql: string) => [frontend.parse(sql), frontend.bind(), frontend.execute()];
    // Whatever the first locked would stay so for as long as the second waits.
    const answers = await wire.extended(
      ...run('SELECT count(*) FROM orders'),
      ...run(`DELETE FROM scratch.notes WHERE id = ${id}`),
    );
    expect(errorsOf(answers).map(({ M }) => M)).toEqual([expect.stringContaining('approval_pending')]);
    expect(await exists(id)).toBe(true);
    await wire.end();
  });

  test('does not run when it is denied, and is not asked again', async () => {
    const id = await note('denied');
    const client = await gateway.connect();
    const sql = `DELETE FROM scratch.notes WHERE id = ${id}`;
    const { running, approval } = await hold(client, sql);
    await vote(desk(), approval.id, { verdict: 'deny' });
    const error = await failed(running);
    expect(detail(error)).toMatchObject({ code: 'approval_denied', approval: approval.id });
    expect(error.message).toContain('looked at it');
    expect(detail(await refused(client, sql))).toMatchObject({ code: 'approval_denied', approval: approval.id });
    expect(await exists(id)).toBe(true);
  });

  test('is refused when nobody decides before its time is over', async () => {
    const client = await gateway.connect();
    const { running, approval } = await hold(client, 'TRUNCATE scratch.notes');
    expect(detail(await failed(running))).toMatchObject({ code: 'approval_expired', approval: approval.id });
    await expect(vote(desk(), approval.id)).rejects.toMatchObject({ code: 'approval_closed' });
    expect(await desk().get(approval.id)).toMatchObject({ state: 'expired' });
  });

  test('is told to come back when the wait is over before that', async () => {
    const client = await gateway.connect();
    const sql = `MERGE INTO scratch.notes n USING (SELECT -1 AS id) s ON n.id = s.id WHEN MATCHED THEN DELETE`;
    const error = await refused(client, sql);
    expect(detail(error)).toMatchObject({ code: 'approval_pending', hint: expect.stringContaining('again') });
    await vote(desk(), String(detail(error).approval));
    await client.query(sql);
  });

  test('does not wait in a transaction, whose locks would be held', async () => {
    const id = await note('in a transaction');
    const client = await gateway.connect();
    await client.query('BEGIN');
    const error = await refused(client, `DELETE FROM scratch.notes WHERE id = ${id}`);
    expect(detail(error)).toMatchObject({ code: 'approval_pending' });
    await client.query('ROLLBACK');
    expect(await exists(id)).toBe(true);
  });

  test('never runs when its client is gone, and its request stands', async () => {
    const id = await note('gone');
    const client = await gateway.connect();
    const { approval } = await hold(client, `DELETE FROM scratch.notes WHERE id = ${id}`);
    const ended = client.end();
    await decided(approval.id, 'approval_abandoned');
    await ended;
    await vote(desk(), approval.id);
    expect(await exists(id)).toBe(true);
    // Whoever comes back as the same subject with the same statement has it.
    await (await gateway.connect()).query(`DELETE FROM scratch.notes WHERE id = ${id}`);
    expect(await exists(id)).toBe(false);
  });

  test('is judged by the policy that is in force when it is approved', async () => {
    const own = await startTestGateway({ postgres, data });
    try {
      const client = await own.connect();
      const asked = nextRequest(own.gateway.approvals);
      const running = client.query('DELETE FROM scratch.notes WHERE id = 1');
      const { id } = await asked;
      const { upstreams, ...rest } = JSON.parse(await readFile(own.files.dataFile, 'utf8'));
      const { schemas, ...orders } = upstreams.orders;
      const fewer = { ...upstreams, orders: { ...orders, schemas: { ...schemas, scratch: {} } } };
      await writeFile(own.files.dataFile, JSON.stringify({ ...rest, revision: 'no working data', upstreams: fewer }));
      await own.reload();
      await vote(own.gateway.approvals, id);
      expect(detail(await failed(running)).code).toBe('approval_outdated');
      expect(await own.gateway.approvals.get(id)).toMatchObject({ state: 'approved', used: [] });
    } finally {
      await own.stop();
    }
  });
});

test('what nobody may keep is a hash for approvers as well, in its text and in its values', async () => {
  const client = await gateway.connect();
  const marker = 'marker.person@example.org';
  const sql = (value: string) =>
    `UPDATE scratch.notes SET note = 'm' WHERE id IN (SELECT id FROM customers WHERE email = ${value})`;
  const ids = [await refused(client, sql(`'${marker}'`)), await refused(client, sql('$1'), [marker])].map((error) =>
    String(detail(error).approval),
  );
  for (const id of ids) {
    const approval = await desk().get(id);
    expect(approval).toMatchObject({ state: 'pending' });
    expect(JSON.stringify(approval?.operation)).toContain('hmac:');
    expect(JSON.stringify(approval)).not.toContain(marker);
  }
  expect(JSON.stringify(await gateway.audit())).not.toContain(marker);
  const directory = dirname(gateway.recordDir);
  for (const file of await readdir(directory)) {
    if (file.startsWith('sallyport.db')) expect((await readFile(join(directory, file))).includes(marker)).toBe(false);
  }
});

describe('a statement that is sent again', () => {
  test('runs once after two people agreed, and not a second time', async () => {
    const id = await note('twice');
    const client = await gateway.connect();
    const sql = `UPDATE scratch.notes SET note = 'x' WHERE id = $1`;
    const first = await refused(client, sql, [id]);
    expect(detail(first)).toMatchObject({ code: 'approval_pending', approval: expect.any(String) });
    const approval = String(detail(first).approval);
    // The same operation is the same request.
    expect(detail(await refused(client, sql, [id])).approval).toBe(approval);
    await vote(desk(), approval);
    expect(detail(await refused(client, sql, [id])).approval).toBe(approval);
    expect(await vote(desk(), approval, { approver: bo })).toMatchObject({ state: 'approved' });
    // Another value is another operation, and another agent another subject.
    expect(detail(await refused(client, sql, [id + 1])).approval).not.toBe(approval);
    const other = await gateway.connect({ token: await gateway.token('somebody-else') });
    expect(detail(await refused(other, sql, [id])).approval).not.toBe(approval);
    expect((await client.query(sql, [id])).rowCount).toBe(1);
    expect(detail(await refused(client, sql, [id])).approval).not.toBe(approval);
  });

  test('is another one when its value is written in another format', async () => {
    const { user, password } = await gateway.client();
    const wire = await connectWire({
      ...{ host: gateway.host, port: gateway.port, ca: gateway.ca, database: gateway.database },
      ...{ user: String(user), password: String(password) },
    });
    const sql = `UPDATE scratch.notes SET note = 'f' WHERE note = $1`;
    const run = (value: string, format: number) =>
      wire.extended(
        frontend.parse(sql, '', [25]),
        frontend.bind({ values: [value], formats: [format] }),
        frontend.execute(),
      );
    // The byte of 1 is 31 in hexadecimal.
    const asked = [await run('31', 0), await run('1', 1), await run('31', 0)].map((answers) => {
      const [error] = errorsOf(answers);
      return JSON.parse(error?.D ?? '').approval;
    });
    expect(asked[0]).toEqual(expect.any(String));
    expect(asked[1]).not.toBe(asked[0]);
    expect(asked[2]).toBe(asked[0]);
    await wire.end();
  });

  test('is covered by a grant for its shape, as often as that says', async () => {
    const client = await gateway.connect({ token: await gateway.token('reuser') });
    const insert = (text: string) => `INSERT INTO scratch.notes (author, note) VALUES ('reuse', '${text}')`;
    const approval = String(detail(await refused(client, insert('one'))).approval);
    await vote(desk(), approval);
    for (const text of ['one', 'two', 'three']) await client.query(insert(text));
    expect(detail(await refused(client, insert('four')))).toMatchObject({ code: 'approval_pending' });
    expect(await desk().get(approval)).toMatchObject({ state: 'used', used: [{}, {}, {}] });
    expect((await gateway.sql(`SELECT note FROM scratch.notes WHERE author = 'reuse'`)).length).toBe(3);
  });

  test('counts one vote a person, however often and at once they vote', async () => {
    const client = await gateway.connect();
    const approval = String(
      detail(await refused(client, `UPDATE scratch.notes SET note = 'y' WHERE id = -5`)).approval,
    );
    const votes = [ana, ana, ana].map((approver) => vote(desk(), approval, { approver }).catch((error) => error.code));
    expect((await Promise.all(votes)).filter((outcome) => outcome === 'approval_already_voted')).toHaveLength(2);
    expect(await desk().get(approval)).toMatchObject({ state: 'pending' });
  });
});

test('nobody approves for themselves, nor for whom they act, nor out of turn', async () => {
  const token = await gateway.token('robot', { onBehalfOf: { sub: 'carl', groups: ['dba'] } });
  const client = await gateway.connect({ token });
  const approval = String(detail(await refused(client, `UPDATE scratch.notes SET note = 'z' WHERE id = -6`)).approval);
  const { subject, chain } = (await desk().get(approval)) as Approval;
  const members: readonly Principal[] = [subject, ...chain];
  expect(members.map(({ id }) => id)).toEqual(['robot', 'carl']);
  for (const member of members) {
    const administrator = { ...member, groups: ['dba', 'admin'] };
    await expect(vote(desk(), approval, { approver: administrator })).rejects.toMatchObject({ code: 'approval_self' });
  }
  await expect(vote(desk(), approval, { approver: eve })).rejects.toMatchObject({ code: 'approval_not_yours' });
  await expect(vote(desk(), '0'.repeat(26))).rejects.toMatchObject({ code: 'approval_unknown' });
  expect(await desk().get(approval)).toMatchObject({ state: 'pending', votes: [] });
  // Whoever tried is in the trail, which has it by the next operation at the latest.
  await client.query('SELECT 1');
  const refusals = (await gateway.audit()).filter(({ what }) => what === 'refused');
  expect(refusals.map(({ code }) => code).slice(-4)).toEqual([
    ...['approval_self', 'approval_self', 'approval_not_yours', 'approval_unknown'],
  ]);
});

describeTools(['psql'], [], () => {
  /** psql at the gateway; `interrupt` is Ctrl-C. */
  async function psql(sql: string) {
    const { host, port, database, user, password } = await gateway.client();
    const child = spawn('psql', ['-X', '-c', sql], {
      env: {
        ...process.env,
        ...{ PGHOST: String(host), PGPORT: String(port), PGDATABASE: String(database), PGUSER: String(user) },
        ...{ PGPASSWORD: String(password), PGSSLMODE: 'verify-full', PGSSLROOTCERT: gateway.files.caFile },
      },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
    const ended = new Promise<string>((resolve) => child.once('close', () => resolve(output)));
    return { child, ended };
  }

  test('psql waits, and prints what it waits for', async () => {
    const id = await note('psql');
    const asked = nextRequest(desk());
    const { ended } = await psql(`DELETE FROM scratch.notes WHERE id = ${id}`);
    const approval = await asked;
    await vote(desk(), approval.id);
    const output = await ended;
    expect(output).toContain(`NOTICE:  sallyport: Approval ${approval.id} was asked of dba.`);
    expect(output).toContain('DELETE 1');
  });

  test('Ctrl-C ends the wait as it ends a query', async () => {
    const id = await note('interrupted');
    const asked = nextRequest(desk());
    const { child, ended } = await psql(`DELETE FROM scratch.notes WHERE id = ${id}`);
    const approval = await asked;
    child.stderr.once('data', () => child.kill('SIGINT'));
    expect(await ended).toContain('approval_abandoned');
    await decided(approval.id, 'approval_abandoned');
    expect(await exists(id)).toBe(true);
  });
});

describe.each(['embedded', 'postgres'])('over a restart, on the store %s', (kind) => {
  const own: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of own.splice(0).toReversed()) await stop();
  });

  async function start(): Promise<TestGateway> {
    if (kind === 'embedded') return await started(await startTestGateway({ postgres, data }));
    const database = await postgres.createDatabase();
    process.env.SALLYPORT_TEST_STORE_PASSWORD = postgres.password;
    const url = `postgres://${postgres.user}@${postgres.host}:${postgres.port}/${database}?sslmode=disable`;
    const store = { url, password: 'env:SALLYPORT_TEST_STORE_PASSWORD' };
    return await started(await startTestGateway({ postgres, data, config: { store } }));
  }

  async function started(one: TestGateway): Promise<TestGateway> {
    own.push(() => one.stop());
    return one;
  }

  /** Another gateway on the same files, in the place of the first or beside it. */
  async function another(one: TestGateway): Promise<RunningGateway> {
    const next = await startGateway(await loadConfig(one.files.configFile));
    own.push(() => next.close());
    return next;
  }

  const at = async (one: TestGateway, next: RunningGateway) => {
    const client = new pg.Client({ ...(await one.client()), port: next.listeners[0]?.port ?? 0 });
    client.on('error', () => {});
    await client.connect();
    own.push(() => client.end());
    return client;
  };

  test('a request is still pending, and can be approved and used', async () => {
    const first = await start();
    const client = await first.connect();
    const asked = nextRequest(first.gateway.approvals);
    const sql = 'DELETE FROM scratch.notes WHERE id = -7';
    const running = failed(client.query(sql));
    const { id } = await asked;
    await first.gateway.close();
    expect(['draining', 'session_ended']).toContain(detail(await running).code);
    const next = await another(first);
    expect(await next.approvals.get(id)).toMatchObject({ state: 'pending' });
    await vote(next.approvals, id);
    await (await at(first, next)).query(sql);
    expect(await completed(next.approvals, id)).toMatchObject({ state: 'used', used: [{ outcome: 'ok' }] });
  });

  if (kind !== 'postgres') return;

  test('one gateway approves while the other holds', async () => {
    const first = await start();
    const beside = await startTestGateway({
      postgres,
      config: { store: JSON.parse(JSON.stringify(await storeOf(first))) },
    });
    own.push(() => beside.stop());
    const client = await first.connect();
    const asked = nextRequest(first.gateway.approvals);
    const running = client.query('DELETE FROM scratch.notes WHERE id = -8');
    const { id } = await asked;
    expect(await beside.gateway.approvals.list({ limit: 10 })).toMatchObject([{ id, state: 'pending' }]);
    await vote(beside.gateway.approvals, id);
    expect((await running).rowCount).toBe(0);
  });

  test('a store that is away refuses what needs it and nothing else, until it is back', async () => {
    const first = await start();
    const client = await first.connect();
    const { url } = await storeOf(first);
    const database = new URL(url).pathname.slice(1);
    await postgres.psql(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
    await postgres.psql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
    const sql = 'UPDATE scratch.notes SET note = $1 WHERE id = -9';
    expect(detail(await refused(client, sql, ['x']))).toMatchObject({ code: 'store_unavailable' });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await postgres.psql(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
    expect(detail(await refused(client, sql, ['x']))).toMatchObject({ code: 'approval_pending' });
  });
});

async function storeOf(one: TestGateway): Promise<{ url: string; password: string }> {
  const { store } = await loadConfig(one.files.configFile);
  if (store.kind !== 'postgres' || store.password === undefined) throw new Error('not in PostgreSQL');
  return { url: store.url, password: store.password };
}

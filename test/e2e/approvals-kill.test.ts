/** The gateway killed at random points with approvals pending and being used: nothing is lost, and nothing runs twice. */
import { randomInt } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { Approvals } from '../../proxy/approval/index.ts';
import { systemClock, ulids } from '../../proxy/core/clock.ts';
import { limits } from '../../proxy/core/limits.ts';
import { readRecording } from '../../proxy/record/index.ts';
import { openEmbeddedStore, openPostgresStore } from '../../proxy/store/index.ts';
import { vote } from '../support/approvals.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type GatewayProcess, sallyport, startGatewayProcess } from '../support/gateway-process.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

/** How often, besides an end of each round; two a round. `SALLYPORT_TEST_KILLS=200` takes a quarter of an hour. */
const kills = Number(process.env.SALLYPORT_TEST_KILLS ?? 6);
const agents = 4;
const statementsPerAgent = 8;

let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const started: GatewayProcess[] = [];
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const gateway of started.splice(0)) gateway.kill('SIGKILL');
  for (const stop of stops.splice(0)) await stop();
});

describe.each(['embedded', 'postgres'])('a gateway with its approvals in the store %s', (kind) => {
  let prepared: TestGateway;
  let store: { readonly url: string } | undefined;

  async function prepare(): Promise<void> {
    if (kind === 'postgres') {
      const database = await postgres.createDatabase();
      process.env.SALLYPORT_TEST_STORE_PASSWORD = postgres.password;
      store = { url: `postgres://${postgres.user}@${postgres.host}:${postgres.port}/${database}?sslmode=disable` };
    }
    prepared = await startTestGateway({
      postgres,
      data: { sql: { approve: { update: { groups: ['dba'] } } } },
      schemaSql:
        'CREATE TABLE scratch.counters (id int PRIMARY KEY, n int NOT NULL); GRANT ALL ON scratch.counters TO :role;',
      ...(store && { config: { store: { ...store, password: 'env:SALLYPORT_TEST_STORE_PASSWORD' } } }),
    });
    stops.push(() => prepared.stop());
    await prepared.gateway.close();
  }

  /** The desk, while no gateway runs: what it finds is what was on the disk. */
  async function atTheDesk<T>(work: (desk: Approvals) => Promise<T>): Promise<T> {
    const gateway = ulids(systemClock).session();
    const opened =
      store === undefined
        ? openEmbeddedStore({ path: join(dirname(prepared.recordDir), 'sallyport.db'), gateway })
        : await openPostgresStore({ ...store, password: postgres.password, ca: undefined, gateway });
    const desk = new Approvals({
      ...{ store: opened, clock: systemClock, ids: ulids(systemClock), gateway, limits },
      ...{ audit: { append: () => {} }, metrics: { approval: () => {} } },
    });
    try {
      return await work(desk);
    } finally {
      await desk.close();
      await opened.close();
    }
  }

  /** Every agent sends its statements, one after another, until all are answered or the gateway is gone. */
  async function sendAll(killAfter: number | undefined, ids: readonly number[]) {
    const gateway = await startGatewayProcess(prepared.files);
    started.push(gateway);
    let left = killAfter ?? 0;
    const done: number[] = [];
    const asked = new Map<number, string>();
    const answered = () => {
      left -= 1;
      if (left === 0) gateway.kill('SIGKILL');
    };
    const send = async (agent: number) => {
      const token = await prepared.token(`agent-${agent}`);
      const client = new pg.Client({ ...(await prepared.client({ token })), port: gateway.port });
      client.on('error', () => {});
      try {
        await client.connect();
        for (const id of ids.filter((one) => one % agents === agent)) {
          const error = await client.query('UPDATE scratch.counters SET n = n + 1 WHERE id = $1', [id]).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          if (error === undefined) done.push(id);
          else if (error instanceof pg.DatabaseError && error.detail !== undefined) {
            const { approval } = JSON.parse(error.detail);
            if (typeof approval === 'string') asked.set(id, approval);
          } else throw error;
          answered();
        }
      } catch {
        // The gateway is dead.
      }
      await client.end().catch(() => {});
    };
    await Promise.all(Array.from({ length: agents }, (_, agent) => send(agent)));
    gateway.kill('SIGKILL');
    await gateway.exit;
    const busy = `SELECT 1 FROM pg_stat_activity WHERE usename = '${prepared.role}'`;
    while ((await prepared.sql(busy)).length > 0);
    return { done, asked };
  }

  test('loses no pending request, and runs nothing twice', async () => {
    await prepare();
    for (let round = 0; round * 2 < kills; round++) {
      const first = round * agents * statementsPerAgent;
      const ids = Array.from({ length: agents * statementsPerAgent }, (_, at) => first + at);
      await prepared.sql(`INSERT INTO scratch.counters SELECT generate_series(${first}, ${ids.at(-1)}), 0`);

      const { asked } = await sendAll(randomInt(4, ids.length), ids);
      expect(asked.size).toBeGreaterThan(0);
      const granted = await atTheDesk(async (desk) => {
        const pending = await desk.list({ states: ['pending'], limit: 200 });
        const known = new Set(pending.map(({ id }) => id));
        for (const id of asked.values()) expect(known).toContain(id);
        for (const { id } of pending) await vote(desk, id);
        return pending.map(({ id }) => id);
      });

      const used = await sendAll(randomInt(1, granted.length), ids);
      await atTheDesk(async (desk) => {
        await desk.sweep();
        for (const id of granted) {
          const approval = await desk.get(id);
          expect(approval?.used.length).toBeLessThanOrEqual(1);
          // In a shared store a gateway counts as gone only after a while.
          if (kind === 'embedded') expect(approval?.used.map(({ outcome }) => outcome)).not.toContain('running');
        }
        for (const { id } of await desk.list({ states: ['pending'], limit: 200 }))
          await vote(desk, id, { verdict: 'deny' });
      });
      // What was granted and not used runs now; what was used, or may have been, does not.
      const again = await sendAll(undefined, ids);

      const counters = await prepared.sql(`SELECT id, n FROM scratch.counters WHERE id >= ${first}`);
      const counts = new Map(counters.map(({ id, n }) => [Number(id), Number(n)]));
      for (const id of ids) expect(counts.get(id)).toBeLessThanOrEqual(1);
      for (const id of [...used.done, ...again.done]) expect(counts.get(id)).toBe(1);
      expect(used.done.filter((id) => again.done.includes(id))).toEqual([]);
      const executed = [...counts.values()].filter((n) => n === 1).length;
      expect(executed).toBeLessThanOrEqual(granted.length);
      expect(used.done.length + again.done.length).toBeGreaterThan(0);
    }
    const { code, output } = await sallyport(
      ...['audit', 'verify', '--file', prepared.auditFile, '--key', `file:${prepared.files.auditKeyFile}`],
    );
    expect(output).toContain('verified');
    expect(code).toBe(0);

    const { recordDirectory } = prepared.files;
    const recordings = (await readdir(recordDirectory, { recursive: true })).filter((name) => name.endsWith('.sprec'));
    expect(recordings.length).toBeGreaterThan(kills);
    const endings = new Set<string>();
    for (const name of recordings) {
      let last = '';
      for await (const { kind: frame } of readRecording(join(recordDirectory, name))) last = frame;
      endings.add(last);
    }
    expect([...endings].toSorted()).toEqual(['cut', 'end']);
  }, 3_600_000);
});

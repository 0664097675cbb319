/** One suite, both engines: an embedded file, and a real PostgreSQL. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { taken, voted } from '../../../proxy/approval/rules.ts';
import type { ApprovalStore } from '../../../proxy/core/approvals.ts';
import { GatewayError } from '../../../proxy/core/errors.ts';
import { openEmbeddedStore, openPostgresStore } from '../../../proxy/store/index.ts';
import { anApproval, ana, bo } from '../../support/approvals.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';

let directory: string;
let postgres: PostgresServer;
let database: string;
const opened: ApprovalStore[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-store-'));
  database = await postgres.createDatabase();
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function shared(gateway = 'g1'): Promise<ApprovalStore> {
  const store = await openPostgresStore({
    url: `postgres://${postgres.user}@${postgres.host}:${postgres.port}/${database}`,
    ...{ password: postgres.password, ca: postgres.ca, gateway },
  });
  opened.push(store);
  return store;
}

async function embedded(gateway = 'g1'): Promise<ApprovalStore> {
  const store = openEmbeddedStore({ path: join(directory, 'sallyport.db'), gateway });
  opened.push(store);
  return store;
}

const approve = (approver = ana) => ({
  ...{ approver, verdict: 'approve' as const, reason: 'fine', channel: 'test', clientAddress: '', atMs: 1 },
});

describe.each([
  ['embedded', embedded],
  ['in PostgreSQL', shared],
])('the store %s', (_, open) => {
  test('keeps all of a request, over a restart', async () => {
    const first = await open();
    const approval = anApproval({ operation: { text: 'DELETE FROM "a\u0000b" -- ü 😀' }, shape: 'f00' });
    expect(await first.file(approval)).toEqual({ approval, filed: true });
    await opened.splice(0)[0]?.close();
    const again = await open('g2');
    expect(await again.get(approval.id)).toEqual(approval);
    expect(await again.find({ digest: 'other', shape: 'f00' })).toEqual([approval]);
    expect(await again.get('none')).toBeUndefined();
  });

  test('files the same request once while it is pending, however many ask at once', async () => {
    const store = await open();
    const asked = Array.from({ length: 8 }, (_unused, at) =>
      anApproval({ digest: 'same', id: String(at).padStart(26, '7') }),
    );
    const answers = await Promise.all(asked.map((one) => store.file(one)));
    expect(answers.filter(({ filed }) => filed)).toHaveLength(1);
    expect(new Set(answers.map(({ approval }) => approval.id)).size).toBe(1);
    const id = answers[0]?.approval.id ?? '';
    await store.update(id, (before) => ({ ...before, state: 'used' }));
    expect((await store.file(anApproval({ digest: 'same' }))).filed).toBe(true);
  });

  test('lets two approvers in one after the other', async () => {
    const store = await open();
    const { id } = (await store.file(anApproval({ quorum: 2 }))).approval;
    const votes = [ana, bo, ana, bo].map((approver) =>
      store
        .update(id, (before) => voted(before, approve(approver)))
        .then(
          () => 'counted',
          (error: GatewayError) => error.code,
        ),
    );
    const outcomes = await Promise.all(votes);
    expect(outcomes.filter((outcome) => outcome === 'counted')).toHaveLength(2);
    expect(await store.get(id)).toMatchObject({ state: 'approved', votes: [{}, {}] });
  });

  test('gives a use to one of many who take it at once', async () => {
    const store = await open();
    const { id } = (await store.file(anApproval({ state: 'approved' }))).approval;
    let given = 0;
    await Promise.all(
      Array.from({ length: 10 }, (_unused, at) =>
        store.update(id, (before) => {
          const after = taken(before, { decisionId: `d${at}`, gateway: 'g1', atMs: 1 });
          if (after !== undefined) given += 1;
          return after ?? before;
        }),
      ),
    );
    expect(given).toBe(1);
    expect((await store.get(id))?.used).toHaveLength(1);
  });

  test('leaves things as they were when a rule throws', async () => {
    const store = await open();
    const { approval } = await store.file(anApproval());
    const no = new GatewayError('approval_self', 'No.');
    await expect(
      store.update(approval.id, () => {
        throw no;
      }),
    ).rejects.toBe(no);
    expect(await store.get(approval.id)).toEqual(approval);
  });

  test('lists the newest first, by state and page', async () => {
    const store = await open();
    const all = Array.from({ length: 5 }, () => anApproval());
    for (const one of all) await store.file(one);
    const ids = all.map(({ id }) => id).toReversed();
    await store.update(ids[1] ?? '', (before) => ({ ...before, state: 'denied' }));
    const page = await store.list({ limit: 2 });
    expect(page.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    expect((await store.list({ limit: 9, after: ids[1] ?? '' })).map(({ id }) => id)).toEqual(ids.slice(2));
    expect((await store.list({ limit: 9, states: ['denied'] })).map(({ id }) => id)).toEqual([ids[1]]);
    expect(await store.pending(all[0]?.subject ?? ana)).toEqual({ all: 4, own: 4 });
    expect(await store.pending(ana)).toEqual({ all: 4, own: 0 });
  });

  test('finds what is overdue, and forgets what ended long ago', async () => {
    const store = await open();
    const old = anApproval({ expiresAtMs: 10 });
    const fresh = anApproval({ expiresAtMs: 1_000 });
    for (const one of [old, fresh]) await store.file(one);
    expect(await store.overdue(10)).toEqual([old.id]);
    await store.forget(500);
    expect(await store.get(old.id)).toEqual(old);
    await store.update(old.id, (before) => ({ ...before, state: 'expired' }));
    await store.forget(500);
    expect(await store.get(old.id)).toBeUndefined();
    expect(await store.get(fresh.id)).toEqual(fresh);
  });

  test('knows the uses that a gateway left running and that is gone', async () => {
    const first = await open('g1');
    const { id } = (await first.file(anApproval({ state: 'approved' }))).approval;
    await first.update(id, (before) => taken(before, { decisionId: 'd', gateway: 'g1', atMs: 1 }) ?? before);
    expect(await first.orphaned()).toEqual([]);
    await opened.splice(0)[0]?.close();
    const next = await open('g2');
    expect(await next.orphaned()).toEqual([id]);
    expect(next.isGone('g1')).toBe(true);
    expect(next.isGone('g2')).toBe(false);
  });

  test('tells of each change once it is made', async () => {
    const store = await open();
    const heard: string[] = [];
    const stop = store.onChange((id) => heard.push(id));
    store.onChange(() => {
      throw new Error('a listener of somebody else');
    });
    const { id } = (await store.file(anApproval())).approval;
    await store.update(id, (before) => before);
    await store.update(id, (before) => ({ ...before, state: 'denied' }));
    expect(heard).toEqual([id, id]);
    stop();
    await store.file(anApproval());
    expect(heard).toHaveLength(2);
  });
});

describe('the embedded store', () => {
  test('is one gateway’s alone', async () => {
    await embedded();
    await expect(embedded('g2')).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('is not opened when it is no store, or of a newer version', async () => {
    const path = join(directory, 'sallyport.db');
    await writeFile(path, 'not a database, but long enough to be taken for one '.repeat(100));
    await expect(embedded()).rejects.toMatchObject({ code: 'store_unavailable' });
    await rm(path);
    const database = new DatabaseSync(path);
    database.exec('PRAGMA user_version = 99');
    database.close();
    await expect(embedded()).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});

describe('the shared store', () => {
  test('tells one gateway of what another one does', async () => {
    const [one, other] = [await shared('g1'), await shared('g2')];
    const approval = anApproval();
    const heard = new Promise((resolve) => other.onChange(resolve));
    // The connection that listens comes up by itself: until it has, there is always another change.
    let done = false;
    void heard.then(() => {
      done = true;
    });
    await one.file(approval);
    for (let round = 0; !done; round++)
      await one.update(approval.id, (before) => ({ ...before, application: `${round}` }));
    expect(await heard).toBe(approval.id);
    expect(other.isGone('g1')).toBe(true);
    await one.update(approval.id, (before) => ({
      ...before,
      used: [{ decisionId: 'd', gateway: 'g1', atMs: 1, outcome: 'running' }],
    }));
    expect(await other.orphaned()).toEqual([]);
    expect(other.isGone('g1')).toBe(false);
  });

  test('is unavailable while it cannot be reached, and is itself again', async () => {
    const store = await shared();
    const approval = anApproval();
    await store.file(approval);
    await postgres.psql(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
    await postgres.psql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
    await expect(store.get(approval.id)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(store.ready).toBe(false);
    await postgres.psql(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
    expect(await store.get(approval.id)).toEqual(approval);
    expect(store.ready).toBe(true);
  });

  test('that is away when a gateway starts is used once it is there', async () => {
    const missing = database;
    await postgres.psql(`ALTER DATABASE ${missing} ALLOW_CONNECTIONS false`);
    const store = await shared();
    const approval = anApproval();
    await expect(store.file(approval)).rejects.toMatchObject({ code: 'store_unavailable' });
    await postgres.psql(`ALTER DATABASE ${missing} ALLOW_CONNECTIONS true`);
    expect((await store.file(approval)).filed).toBe(true);
  });
});

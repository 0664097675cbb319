import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import postgres, { type Options, type Sql } from 'postgres';
import { knownCustomer } from '../../scripts/demo/dataset.ts';
import { type DriverStage, openDriverStage, type Way } from './drivers.ts';

const personal = [knownCustomer.name, knownCustomer.email, knownCustomer.ssn];

let stage: DriverStage;
beforeAll(async () => {
  stage = await openDriverStage();
});
afterAll(() => stage.stop());
beforeEach(() => stage.gateway.sql('TRUNCATE scratch.items'));

const open: Sql[] = [];
function connect(way: Way = stage.through, options: Options<Record<string, never>> = {}): Sql {
  const { ca, ...rest } = way;
  const sql = postgres({ ...rest, ssl: { ca }, max: 1, onnotice: () => {}, ...options });
  open.push(sql);
  return sql;
}
afterEach(async () => {
  for (const sql of open.splice(0)) await sql.end({ timeout: 5 });
});

/** What one piece of work returns on both ways, the gateway's first. */
async function both<T>(work: (sql: Sql) => Promise<T>): Promise<readonly [T, T]> {
  return [await work(connect()), await work(connect(stage.direct))];
}

async function failure(work: PromiseLike<unknown>): Promise<postgres.PostgresError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof postgres.PostgresError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const plain = (rows: Iterable<unknown>): unknown[] => [...rows];

describe('gives the same results as without the gateway', () => {
  test.each<[string, (sql: Sql) => Promise<unknown>]>([
    ['its prepared statements', async (sql) => plain(await sql`SELECT * FROM kinds WHERE id > ${2} ORDER BY id`)],
    [
      'the same statement with other values',
      async (sql) => {
        const rows = [];
        for (const id of [1, 2, 1]) rows.push(plain(await sql`SELECT * FROM kinds WHERE id = ${id}`));
        return rows;
      },
    ],
    [
      'arrays and helpers',
      async (sql) =>
        plain(
          await sql`SELECT ${sql(['id', 'words', 'numbers'])} FROM kinds WHERE id = ANY(${[1, 3, 5]}) AND id IN ${sql([1, 3])} ORDER BY id`,
        ),
    ],
    [
      'types that it infers from the server',
      async (sql) =>
        plain(
          await sql`SELECT ${new Date(0)}::timestamptz AS t, ${sql.json({ a: 1 })}::jsonb AS j, ${Buffer.from([1, 2])}::bytea AS b, ${true}::bool AS y, ${null}::text AS n`,
        ),
    ],
    ['rows as values', async (sql) => plain(await sql`SELECT id, words FROM kinds ORDER BY id`.values())],
    ['raw rows', async (sql) => plain(await sql`SELECT id, words FROM kinds ORDER BY id`.raw())],
    ['the simple protocol', async (sql) => plain(await sql`SELECT id, feels FROM kinds ORDER BY id`.simple())],
    [
      'several statements',
      async (sql) => (await sql`SELECT 1 AS a; SELECT 2 AS b`.simple()).map((rows) => [rows].flat()),
    ],
    ['an unsafe query', async (sql) => plain(await sql.unsafe('SELECT id FROM kinds WHERE id = $1', [7]))],
    [
      'a description',
      async (sql) => {
        const { string, types, columns } = await sql`SELECT id, words FROM kinds WHERE id = ${1}`.describe();
        return { string, types, columns };
      },
    ],
    [
      'a cursor',
      async (sql) => {
        const pieces: unknown[] = [];
        await sql`SELECT id, words FROM kinds ORDER BY id`.cursor(6, (rows) => {
          pieces.push(plain(rows));
        });
        return pieces;
      },
    ],
    [
      'a cursor that is left',
      async (sql) => {
        const pieces: unknown[] = [];
        for await (const rows of sql`SELECT id FROM kinds ORDER BY id`.cursor(3)) {
          pieces.push(plain(rows));
          if (pieces.length === 2) break;
        }
        return [pieces, plain(await sql`SELECT 1 AS one`)];
      },
    ],
    [
      'forEach',
      async (sql) => {
        const seen: unknown[] = [];
        await sql`SELECT id FROM kinds ORDER BY id`.forEach((row) => {
          seen.push({ ...row });
        });
        return seen;
      },
    ],
    ['COPY out', async (sql) => (await buffer(await sql`COPY kinds TO STDOUT`.readable())).toString('latin1')],
  ])('%s', async (_title, work) => {
    const [through, direct] = await both(work);
    expect(direct).toBeDefined();
    expect(through).toEqual(direct);
  });

  test.each<[string, (sql: Sql) => PromiseLike<unknown>]>([
    ['a division by zero', (sql) => sql`SELECT 1/${0}::int`],
    ['a broken constraint', (sql) => sql`INSERT INTO scratch.items (id) VALUES (1), (1)`],
  ])('the same error for %s', async (_title, work) => {
    const [through, direct] = await both(async (sql) => {
      const { code, message, detail, constraint_name, table_name } = await failure(work(sql));
      return { code, message, detail, constraint_name, table_name };
    });
    expect(through).toEqual(direct);
  });
});

describe('a transaction', () => {
  test('commits, rolls back, and has savepoints', async () => {
    const sql = connect();
    await sql.begin(async (tx) => {
      await tx`INSERT INTO scratch.items ${tx([
        { id: 1, label: 'one' },
        { id: 2, label: 'two' },
      ])}`;
      await tx.savepoint((inner) => inner`INSERT INTO scratch.items (id) VALUES (1)`).catch(() => {});
    });
    const broken = sql.begin(async (tx) => {
      await tx`INSERT INTO scratch.items (id) VALUES (3)`;
      throw new Error('changed my mind');
    });
    await expect(broken).rejects.toThrow('changed my mind');
    expect(plain(await sql`SELECT id, label FROM scratch.items ORDER BY id`)).toEqual([
      { id: 1, label: 'one' },
      { id: 2, label: 'two' },
    ]);
  });

  test('in which something is refused is rolled back, and the connection goes on', async () => {
    const sql = connect();
    const broken = sql.begin(async (tx) => {
      await tx`INSERT INTO scratch.items (id) VALUES (${1})`;
      await tx`DELETE FROM scratch.items`;
    });
    expect((await failure(broken)).code).toBe('42501');
    expect(plain(await sql`SELECT count(*)::int AS n FROM scratch.items`)).toEqual([{ n: 0 }]);
  });

  test('pipelines what it is given at once', async () => {
    const sql = connect();
    const results = await sql.begin((tx) => [1, 2, 3].map((n) => tx`SELECT ${n}::int AS n`));
    expect(results.map((rows) => rows[0]?.n)).toEqual([1, 2, 3]);
  });
});

describe('personal data comes masked', () => {
  test.each<[string, (sql: Sql) => Promise<unknown>]>([
    [
      'prepared statements',
      async (sql) => [
        plain(await sql`SELECT * FROM customers WHERE id >= ${1} ORDER BY id`),
        plain(await sql`SELECT * FROM customers WHERE id >= ${1} ORDER BY id`),
      ],
    ],
    ['the simple protocol', async (sql) => plain(await sql`SELECT * FROM customers ORDER BY id`.simple())],
    [
      'a cursor',
      async (sql) => {
        const pieces: unknown[] = [];
        await sql`SELECT name, email, ssn FROM customers ORDER BY id`.cursor(7, (rows) => {
          pieces.push(plain(rows));
        });
        return pieces;
      },
    ],
    [
      'COPY',
      async (sql) => (await buffer(await sql`COPY customers TO STDOUT (FORMAT csv)`.readable())).toString('utf8'),
    ],
  ])('%s', async (_title, work) => {
    const [through, direct] = await both(work);
    for (const value of personal) {
      expect(JSON.stringify(direct)).toContain(value);
      expect(JSON.stringify(through)).not.toContain(value);
    }
    expect(JSON.stringify(through)).toContain('4321');
  });
});

test('a refusal is an error with code, detail and hint, and the connection goes on', async () => {
  const sql = connect();
  for (let again = 0; again < 2; again++) {
    const error = await failure(sql`SELECT * FROM api_secrets WHERE id = ${1}`);
    expect(error).toMatchObject({ severity: 'ERROR', code: '42501', hint: expect.stringMatching(/./) });
    expect(JSON.parse(error.detail ?? '')).toMatchObject({ code: 'secret_relation' });
    expect(plain(await sql`SELECT ${1}::int AS one`)).toEqual([{ one: 1 }]);
  }
});

describe('COPY in', () => {
  test('stores what is written', async () => {
    const sql = connect();
    const lines = Array.from({ length: 3000 }, (_, n) => `${n}\tlabel ${n}\n`);
    await pipeline(Readable.from(lines), await sql`COPY scratch.items (id, label) FROM STDIN`.writable());
    expect(plain(await sql`SELECT count(*)::int AS n, max(label) AS last FROM scratch.items`)).toEqual([
      { n: 3000, last: 'label 999' },
    ]);
  });

  test('that is refused leaves a usable connection', async () => {
    const sql = connect();
    const writing = (async () => await sql`COPY customers (id) FROM STDIN`.writable())();
    expect((await failure(writing)).code).toBe('42501');
    expect(plain(await sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });
});

test('listens and notifies', async () => {
  const sql = connect();
  const heard = Promise.withResolvers<string>();
  const { unlisten } = await sql.listen('news', (payload) => heard.resolve(payload));
  await stage.gateway.sql("NOTIFY news, 'hello'");
  expect(await heard.promise).toBe('hello');
  await unlisten();
});

test('notifies other clients', async () => {
  const listener = await stage.gateway.connect();
  await listener.query('LISTEN talk');
  const heard = once(listener, 'notification');
  await connect()`NOTIFY talk, 'from postgres.js'`.simple();
  expect(await heard).toMatchObject([{ payload: 'from postgres.js' }]);
});

test('cancels its own query, and goes on', async () => {
  const sql = connect();
  const query = sql`SELECT count(*) FROM generate_series(1, 1000000000)`;
  const ended = failure(query);
  const running = async () =>
    (
      await stage.gateway.sql(
        `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1000000000%' AND usename = '${stage.gateway.role}'`,
      )
    ).length > 0;
  while (!(await running()));
  query.cancel();
  expect((await ended).code).toBe('57014');
  expect(plain(await sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
});

test('serves a pool of connections', async () => {
  const sql = connect(stage.through, { max: 8 });
  const results = await Promise.all(Array.from({ length: 200 }, (_, n) => sql`SELECT ${n}::int AS n`));
  expect(results.map((rows) => rows[0]?.n)).toEqual(results.map((_, n) => n));
});

test('does not connect with a wrong token', async () => {
  const sql = connect({ ...stage.through, password: 'wrong' });
  expect(await failure(sql`SELECT 1`)).toMatchObject({ code: '28000' });
});

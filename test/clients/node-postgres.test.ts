import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { from, to } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import { knownCustomer } from '../../scripts/demo/dataset.ts';
import { type DriverStage, openDriverStage, type Way } from './drivers.ts';

/** Results in the binary format: an option of the driver that its types leave out. */
const binary: pg.ClientConfig & { binary: boolean } = { binary: true };
/** Values as they came. */
const unparsed = { getTypeParser: () => (value: string | Buffer) => Buffer.from(value).toString('hex') };
const personal = [knownCustomer.name, knownCustomer.email, knownCustomer.ssn];

let stage: DriverStage;
beforeAll(async () => {
  stage = await openDriverStage();
});
afterAll(() => stage.stop());
beforeEach(() => stage.gateway.sql('TRUNCATE scratch.items'));

const open: pg.Client[] = [];
async function connect(way: Way = stage.through, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const { ca, ...rest } = way;
  const client = new pg.Client({ ...rest, ssl: { ca }, ...config });
  open.push(client);
  await client.connect();
  return client;
}
afterEach(async () => {
  for (const client of open.splice(0)) await client.end();
});

/** What one piece of work returns on both ways, the gateway's first. */
async function both<T>(
  work: (client: pg.Client) => Promise<T>,
  config: pg.ClientConfig = {},
): Promise<readonly [T, T]> {
  return [await work(await connect(stage.through, config)), await work(await connect(stage.direct, config))];
}

/** What the driver says about a result, without what it keeps for itself. */
function said({ command, rowCount, fields, rows }: pg.QueryResult | pg.QueryArrayResult) {
  return { command, rowCount, rows, fields: fields.map((field) => ({ ...field })) };
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

describe('gives the same results as without the gateway', () => {
  test.each<[string, pg.QueryConfig]>([
    ['a simple query', { text: 'SELECT * FROM kinds ORDER BY id' }],
    ['parameters', { text: 'SELECT * FROM kinds WHERE id = $1 OR words = $2 ORDER BY id', values: [3, 'x'] }],
    [
      'parameters of many types',
      {
        text: 'SELECT $1::int AS i, $2::timestamptz AS t, $3::bytea AS b, $4::text[] AS a, $5::jsonb AS j, $6::text AS n, $7::bool AS y',
        values: [7, new Date(86_400_000), Buffer.from([0, 255]), ['a', null, 'b,"c'], { x: [1] }, null, true],
      },
    ],
    ['a named statement', { name: 'kinds by id', text: 'SELECT * FROM kinds WHERE id = $1', values: [5] }],
    ['no row', { text: 'SELECT id FROM kinds WHERE id = $1', values: [-1] }],
    ['no column', { text: 'SELECT FROM kinds' }],
  ])('%s', async (_title, query) => {
    const [through, direct] = await both(async (client) => said(await client.query(query)));
    expect(direct.rows).toBeDefined();
    expect(through).toEqual(direct);
  });

  test('rows as arrays', async () => {
    const query = { text: 'SELECT id, words FROM kinds ORDER BY id', rowMode: 'array' as const };
    const [through, direct] = await both(async (client) => said(await client.query(query)));
    expect(through).toEqual(direct);
  });

  test('binary results', async () => {
    const query = { text: 'SELECT * FROM kinds WHERE id = $1', values: [4], types: unparsed };
    const [through, direct] = await both(async (client) => said(await client.query(query)), binary);
    expect(direct.fields[0]).toMatchObject({ format: 'binary' });
    expect(through).toEqual(direct);
  });

  test('a named statement executed again and again, with other values', async () => {
    const [through, direct] = await both(async (client) => {
      const results = [];
      for (const id of [1, 2, 1, 30]) {
        results.push(
          said(await client.query({ name: 'again', text: 'SELECT * FROM kinds WHERE id = $1', values: [id] })),
        );
      }
      return results;
    });
    expect(through).toEqual(direct);
  });

  test('several statements in one string', async () => {
    const [through, direct] = await both(async (client) => {
      const results: unknown = await client.query(
        'SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SELECT id FROM kinds WHERE false',
      );
      return (results as pg.QueryResult[]).map(said);
    });
    expect(direct).toHaveLength(3);
    expect(through).toEqual(direct);
  });

  test('the parameters of the session', async () => {
    const names = [
      'server_version',
      'server_encoding',
      'client_encoding',
      'integer_datetimes',
      'standard_conforming_strings',
    ];
    const [through, direct] = await both(async (client) => {
      const values = names.map(async (name) => (await client.query(`SHOW ${name}`)).rows);
      return await Promise.all(values);
    });
    expect(through).toEqual(direct);
  });

  test.each<[string, string, unknown[]]>([
    ['a division by zero', 'SELECT 1/$1::int', [0]],
    ['a value of another type', 'SELECT $1::int', ['x']],
    ['a broken constraint', 'INSERT INTO scratch.items (id) VALUES (1), (1)', []],
    ['a value missing', 'SELECT $1::int, $2::int', [1]],
  ])('the same error for %s', async (_title, text, values) => {
    const [through, direct] = await both(async (client) => {
      const { stack: _stack, ...fields } = await failure(client.query(text, values));
      return fields;
    });
    expect(direct.severity).toBe('ERROR');
    expect(through).toEqual(direct);
  });
});

describe('a transaction', () => {
  test('is kept when committed and gone when rolled back', async () => {
    const client = await connect();
    await client.query('BEGIN');
    await client.query('INSERT INTO scratch.items (id, label, doc) VALUES ($1, $2, $3)', [1, 'kept', { a: 1 }]);
    await client.query('COMMIT');
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    await client.query('INSERT INTO scratch.items (id, label) VALUES ($1, $2)', [2, 'gone']);
    await client.query('ROLLBACK');
    expect(await stage.gateway.sql('SELECT label, doc FROM scratch.items')).toEqual([{ label: 'kept', doc: { a: 1 } }]);
  });

  test('is aborted by a refusal, and usable after its rollback', async () => {
    const client = await connect();
    await client.query('BEGIN');
    await client.query('INSERT INTO scratch.items (id) VALUES ($1)', [1]);
    expect((await failure(client.query('DELETE FROM scratch.items WHERE true OR $1::int = 1', [1]))).code).toBe(
      '42501',
    );
    expect((await failure(client.query('SELECT 1'))).code).toBe('25P02');
    await client.query('ROLLBACK');
    expect((await client.query('SELECT count(*)::int AS n FROM scratch.items')).rows).toEqual([{ n: 0 }]);
  });
});

describe('personal data comes masked', () => {
  const columns = 'id, name, email, ssn, date_of_birth';
  test.each<[string, pg.QueryConfig]>([
    ['a simple query', { text: `SELECT ${columns} FROM customers ORDER BY id` }],
    ['parameters', { text: `SELECT ${columns} FROM customers WHERE id >= $1 ORDER BY id`, values: [1] }],
    [
      'a named statement',
      { name: 'n', text: `SELECT ${columns} FROM customers WHERE id >= $1 ORDER BY id`, values: [1] },
    ],
    [
      'a lookup by equality',
      { text: `SELECT ${columns} FROM customers WHERE email = $1`, values: [knownCustomer.email] },
    ],
  ])('%s', async (_title, query) => {
    const [through, direct] = await both(async (client) => said(await client.query(query)));
    for (const value of personal) {
      expect(JSON.stringify(direct.rows)).toContain(value);
      expect(JSON.stringify(through.rows)).not.toContain(value);
    }
    expect(through.rows.map((row) => row.id)).toEqual(direct.rows.map((row) => row.id));
    expect(through.fields).toEqual(direct.fields);
  });

  test('binary results', async () => {
    const query = { text: `SELECT ${columns} FROM customers WHERE id >= $1 ORDER BY id`, values: [1] };
    const [through, direct] = await both(async (client) => said(await client.query(query)), binary);
    expect(direct.fields[0]).toMatchObject({ format: 'binary' });
    for (const value of personal) {
      expect(JSON.stringify(direct.rows)).toContain(value);
      expect(JSON.stringify(through.rows)).not.toContain(value);
    }
    expect(through.fields).toEqual(direct.fields);
  });
});

describe('a refusal', () => {
  test.each([
    ['a simple query', { text: 'SELECT * FROM api_secrets' }],
    ['a parameterised query', { text: 'SELECT * FROM api_secrets WHERE id = $1', values: [1] }],
    ['a named statement', { name: 'secrets', text: 'SELECT * FROM api_secrets WHERE id = $1', values: [1] }],
  ])('of %s is an error with code, detail and hint, and the connection goes on', async (_title, query) => {
    const client = await connect();
    for (let again = 0; again < 2; again++) {
      const error = await failure(client.query(query));
      expect(error).toMatchObject({ severity: 'ERROR', code: '42501' });
      expect(JSON.parse(error.detail ?? '')).toMatchObject({ code: 'secret_relation' });
      expect(error.hint).toMatch(/./);
      expect((await client.query('SELECT $1::int AS one', [1])).rows).toEqual([{ one: 1 }]);
    }
  });
});

describe('a cursor', () => {
  test('reads in pieces what it reads without the gateway', async () => {
    const [through, direct] = await both(async (client) => {
      const cursor = client.query(new Cursor('SELECT * FROM kinds WHERE id > $1 ORDER BY id', [2]));
      const pieces = [await cursor.read(5), await cursor.read(1), await cursor.read(100), await cursor.read(5)];
      await cursor.close();
      return pieces;
    });
    expect(direct.map((rows) => rows.length)).toEqual([5, 1, 12, 0]);
    expect(through).toEqual(direct);
  });

  test('gets masked rows in each piece', async () => {
    const client = await connect();
    const cursor = client.query(new Cursor('SELECT id, email, ssn FROM customers ORDER BY id', []));
    const rows = [...(await cursor.read(1)), ...(await cursor.read(1)), ...(await cursor.read(1000))];
    await cursor.close();
    expect(rows).toHaveLength(60);
    for (const value of personal) expect(JSON.stringify(rows)).not.toContain(value);
    expect(rows[0]?.ssn).toMatch(/4321$/);
  });

  test('closed before its end leaves a usable connection', async () => {
    const client = await connect();
    const cursor = client.query(new Cursor('SELECT * FROM kinds ORDER BY id'));
    await cursor.read(2);
    await cursor.close();
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

describe('COPY', () => {
  test.each([
    'COPY kinds TO STDOUT',
    'COPY (SELECT * FROM kinds ORDER BY id DESC) TO STDOUT (FORMAT csv, HEADER)',
    'COPY kinds TO STDOUT (FORMAT binary)',
  ])('out: %s', async (sql) => {
    const [through, direct] = await both((client) => buffer(client.query(to(sql))));
    expect(direct.length).toBeGreaterThan(1000);
    expect(through.equals(direct)).toBe(true);
  });

  test('out, masked', async () => {
    const client = await connect();
    const copied = (await buffer(client.query(to('COPY customers TO STDOUT')))).toString('utf8');
    expect(copied.split('\n')).toHaveLength(61);
    for (const value of personal) expect(copied).not.toContain(value);
  });

  test('in', async () => {
    const client = await connect();
    const lines = Array.from({ length: 5000 }, (_, n) => `${n}\tlabel ${n}\t${n}.5\t{a,b}\t{"n": ${n}}\n`);
    await pipeline(Readable.from(lines), client.query(from('COPY scratch.items FROM STDIN')));
    expect(await stage.gateway.sql('SELECT count(*)::int AS n, sum(amount)::text AS total FROM scratch.items')).toEqual(
      [{ n: 5000, total: '12500000.0' }],
    );
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('in, broken off by a bad line', async () => {
    const client = await connect();
    const lines = Readable.from([
      '1\ta\t1\t{}\t{}\n',
      'x\ta\t1\t{}\t{}\n',
      ...Array.from({ length: 1000 }, (_, n) => `${n + 2}\tb\t1\t{}\t{}\n`),
    ]);
    const error = await failure(pipeline(lines, client.query(from('COPY scratch.items FROM STDIN'))));
    expect(error.code).toBe('22P02');
    expect((await client.query('SELECT count(*)::int AS n FROM scratch.items')).rows).toEqual([{ n: 0 }]);
  });

  test('in, refused: nothing arrives and the connection goes on', async () => {
    const client = await connect();
    const error = await failure(pipeline(Readable.from(['1\n']), client.query(from('COPY customers (id) FROM STDIN'))));
    expect(error.code).toBe('42501');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

describe('LISTEN', () => {
  test('hears what is notified at the upstream, also while the client is quiet', async () => {
    const client = await connect();
    await client.query('LISTEN news');
    const heard = once(client, 'notification');
    await stage.gateway.sql("NOTIFY news, 'from afar'");
    expect(await heard).toMatchObject([{ channel: 'news', payload: 'from afar' }]);
    await client.query('UNLISTEN news');
  });

  test('hears a client of the gateway', async () => {
    const listener = await connect();
    const speaker = await connect();
    await listener.query('LISTEN talk');
    const heard = once(listener, 'notification');
    await speaker.query("NOTIFY talk, 'through the gateway'");
    expect(await heard).toMatchObject([{ channel: 'talk', payload: 'through the gateway' }]);
  });
});

describe('pipelining', () => {
  test('answers each query in its order, the refused ones with their refusal', async () => {
    const client = await connect(stage.through, { pipeline: true });
    const answers = await Promise.allSettled([
      client.query('SELECT $1::int AS n', [1]),
      client.query('SELECT id, ssn FROM customers WHERE id = $1', [1]),
      client.query('SELECT * FROM api_secrets WHERE id = $1', [1]),
      client.query({ name: 'p', text: 'SELECT $1::int AS n', values: [3] }),
      client.query('SELECT 1/$1::int', [0]),
      client.query({ name: 'p', text: 'SELECT $1::int AS n', values: [4] }),
    ]);
    const seen = answers.map((answer) =>
      answer.status === 'fulfilled'
        ? answer.value.rows
        : answer.reason instanceof pg.DatabaseError && answer.reason.code,
    );
    expect(seen).toEqual([
      [{ n: 1 }],
      [{ id: 1, ssn: expect.stringMatching(/4321$/) }],
      '42501',
      [{ n: 3 }],
      '22012',
      [{ n: 4 }],
    ]);
    expect(JSON.stringify(seen)).not.toContain(knownCustomer.ssn);
  });

  test('of many queries gives the results of each', async () => {
    const client = await connect(stage.through, { pipeline: true });
    const results = await Promise.all(
      Array.from({ length: 500 }, (_, n) =>
        client.query({ name: `q${n % 7}`, text: `SELECT $1::int AS n, ${n % 7} AS m`, values: [n] }),
      ),
    );
    expect(results.map(({ rows }) => rows[0])).toEqual(results.map((_, n) => ({ n, m: n % 7 })));
  });
});

test('a pool of connections serves many at once', async () => {
  const { ca, ...rest } = stage.through;
  const pool = new pg.Pool({ ...rest, ssl: { ca }, max: 8 });
  const results = await Promise.all(Array.from({ length: 100 }, (_, n) => pool.query('SELECT $1::int AS n', [n])));
  await pool.end();
  expect(results.map(({ rows }) => rows[0]?.n)).toEqual(results.map((_, n) => n));
});

describe('does not connect', () => {
  test.each([
    ['with a wrong token', { password: 'wrong' }, '28000'],
    ['to an unknown login', { user: 'nobody' }, '3D000'],
  ])('%s', async (_title, config, code) => {
    const { ca, ...rest } = stage.through;
    const client = new pg.Client({ ...rest, ...config, ssl: { ca } });
    expect(await failure(client.connect())).toMatchObject({ severity: 'FATAL', code });
  });

  test('when the certificate is not the one of its CA', async () => {
    const { ca: _ca, ...rest } = stage.through;
    const client = new pg.Client({ ...rest, ssl: { ca: stage.direct.ca } });
    await expect(client.connect()).rejects.toThrow(/certificate|signature/);
  });
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describePrograms, openStage, type Ran, run, type Stage } from './programs.ts';

describePrograms(['pg_dump', 'pg_restore', 'psql'], (programs) => {
  let stage: Stage;
  let personal: readonly string[];
  beforeAll(async () => {
    stage = await openStage(programs, {
      data: {
        upstreams: {
          orders: {
            schemas: {
              public: { people: { columns: { name: ['pii', 'person_name'], email: ['pii', 'email'], born: ['pii'] } } },
            },
          },
        },
      },
      // What a mask makes of its values fits the table again: nothing unique, nothing that may not be null.
      schemaSql: `
        CREATE TABLE people (id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL, born date, notes text[]);
        INSERT INTO people SELECT n, 'Person ' || n, 'person' || n || '@private.example', date '1970-01-01' + n,
          ARRAY['a,"b"', NULL, E'c\\nd'] FROM generate_series(1, 100) n;
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
        CREATE SEQUENCE tally START 5;
        CREATE TABLE samples (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, feels mood DEFAULT 'ok', many positive,
          payload jsonb, raw bytea, at timestamptz DEFAULT now(), doubled integer GENERATED ALWAYS AS (many * 2) STORED);
        INSERT INTO samples (many, payload, raw) SELECT n, jsonb_build_object('n', n, 't', E'x\\ty'), decode('00ff5c0a', 'hex')
          FROM generate_series(1, 50) n;
        CREATE INDEX samples_payload ON samples USING gin (payload);
        CREATE MATERIALIZED VIEW busy AS SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id;
        CREATE FUNCTION add_one(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
        CREATE TABLE parted (id integer, region text) PARTITION BY LIST (region);
        CREATE TABLE parted_eu PARTITION OF parted FOR VALUES IN ('eu');
        INSERT INTO parted VALUES (1, 'eu');
        COMMENT ON COLUMN samples.many IS 'it''s many';
        GRANT SELECT ON people, samples, busy, parted, parted_eu, tally, samples_id_seq TO :role;`,
    });
    const rows = await stage.gateway.sql('SELECT name, email, born::text FROM people');
    personal = rows.flatMap((row) => Object.values(row).map(String));
  });
  afterAll(() => stage.stop());

  const dump = (args: readonly string[], environment = stage.through): Promise<Ran> =>
    run(stage, 'pg_dump', ['--no-password', ...args], { environment });

  /** Without the random words that newer versions put around a plain dump. */
  const plain = ({ code, stdout, stderr }: Ran): Ran => ({
    code,
    stderr,
    stdout: stdout.replaceAll(/^\\(un)?restrict \w+\n/gm, ''),
  });

  async function both(args: readonly string[]): Promise<readonly [Ran, Ran]> {
    return [plain(await dump(args)), plain(await dump(args, stage.direct))];
  }

  const withoutSecrets = ['--exclude-table=api_secrets'];
  const withoutPersonal = ['customers', 'payments', 'people'].map((table) => `--exclude-table-data=${table}`);

  describe('dumps through the gateway what it dumps without it', () => {
    test.each([
      ['the schema', ['--schema-only', ...withoutSecrets]],
      [
        'the schema of tables with labelled columns',
        ['--schema-only', '-t', 'customers', '-t', 'payments', '-t', 'people'],
      ],
      ['data as COPY', [...withoutSecrets, ...withoutPersonal]],
      ['data as INSERT', ['--inserts', '-t', 'orders', '-t', 'samples']],
      [
        'data as INSERT with column names, several rows each',
        ['--column-inserts', '--rows-per-insert=7', '-t', 'orders', '-t', 'samples'],
      ],
      ['one table', ['-t', 'tickets']],
      ['one schema', ['-n', 'scratch']],
      ['sections', ['--section=pre-data', '--section=post-data', ...withoutSecrets]],
      ['partitions', ['-t', 'parted', '-t', 'parted_eu']],
    ])('%s', async (_title, args) => {
      const [through, direct] = await both(args);
      expect(direct).toMatchObject({ code: 0 });
      expect(direct.stdout).toContain('PostgreSQL database dump complete');
      expect(through).toEqual(direct);
    });
  });

  describe('dumps personal data masked', () => {
    test.each([
      ['as COPY', []],
      ['as INSERT', ['--inserts']],
      ['as INSERT of several rows', ['--column-inserts', '--rows-per-insert=9']],
    ])('%s', async (_title, args) => {
      const [through, direct] = await both(['-t', 'people', ...args]);
      expect(through).toMatchObject({ code: 0, stderr: '' });
      for (const value of personal) {
        expect(direct.stdout).toContain(value);
        expect(through.stdout).not.toContain(value);
      }
      expect(through.stdout.split('\n')).toHaveLength(direct.stdout.split('\n').length);
    });

    test.each([
      ['plain', 'psql'],
      ['custom', 'pg_restore'],
    ])('and a %s dump restores with %s', async (format, program) => {
      const file = join(stage.directory, `dump.${format}`);
      const dumped = await dump([
        '-F',
        format,
        '-f',
        file,
        '--no-owner',
        '--no-acl',
        ...withoutSecrets,
        '-T',
        'customers',
        '-T',
        'payments',
        '-T',
        'customer_contacts',
        '-T',
        'revenue_by_country',
        '-T',
        'orders',
        '-T',
        'tickets',
        '-T',
        'open_tickets',
        '-T',
        'busy',
      ]);
      expect(dumped).toEqual({ code: 0, stdout: '', stderr: '' });
      const { gateway } = stage;
      const database = await gateway.pg.createDatabase();
      const environment = {
        ...stage.direct,
        PGUSER: gateway.pg.user,
        PGPASSWORD: gateway.pg.password,
        PGDATABASE: database,
      };
      const args =
        program === 'psql'
          ? ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file]
          : ['--exit-on-error', '-d', database, file];
      const restored = await run(stage, program, args, { environment });
      expect(restored).toMatchObject({ code: 0, stderr: '' });
      const count =
        'SELECT (SELECT count(*)::int FROM people) AS people, (SELECT sum(doubled)::int FROM samples) AS doubled';
      expect(await gateway.pg.psql(count, { database })).toEqual(await gateway.sql(count));
      const [row] = await gateway.pg.psql('SELECT name, email, born FROM people WHERE id = 1', { database });
      for (const value of Object.values(row ?? {})) expect(personal).not.toContain(String(value));
      expect((await readFile(file)).includes('Person 1')).toBe(false);
    });
  });

  test.each([
    ['a table that holds secrets', ['-t', 'api_secrets'], 'secret_relation'],
    ['everything, secrets included', [], 'secret_relation'],
    [
      'in parallel, with a snapshot that other connections can join',
      ['-F', 'd', '-j', '2', '-f', 'parallel', '-t', 'orders'],
      'function_refused',
    ],
  ])('says why it cannot dump %s', async (_title, args, code) => {
    const ran = await dump(args);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`(${code})`);
    expect(ran.stdout).not.toContain('demo_secret_');
  });
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { knownCustomer } from '../../scripts/demo/dataset.ts';
import { describePrograms, type Environment, openStage, type Ran, run, type Stage } from './programs.ts';

const personal = [knownCustomer.name, knownCustomer.email, knownCustomer.ssn];

describePrograms(['psql'], (programs) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage(programs, {
      schemaSql: `
        CREATE TABLE scratch.parts (id integer PRIMARY KEY, name text NOT NULL, price numeric(10,2), made date);
        GRANT ALL ON scratch.parts TO :role;
        COMMENT ON TABLE orders IS 'What was ordered';`,
    });
  });
  afterAll(() => stage.stop());

  const psql = (args: readonly string[], input = '', environment: Environment = stage.through): Promise<Ran> =>
    run(stage, 'psql', ['-X', '-v', 'ON_ERROR_STOP=1', ...args], { environment, input });

  /** What psql prints for the same script on both ways, the gateway's first. */
  async function both(args: readonly string[], input = ''): Promise<readonly [Ran, Ran]> {
    return [await psql(args, input), await psql(args, input, stage.direct)];
  }

  describe('prints through the gateway what it prints without it', () => {
    test.each([
      '\\d',
      '\\d+',
      '\\dt',
      '\\dt+',
      '\\dt *.*',
      '\\d orders',
      '\\d+ orders',
      '\\d customers',
      '\\d+ customer_contacts',
      '\\d scratch.notes',
      '\\d orders_customer_id_idx',
      '\\dv',
      '\\dv+',
      '\\di+',
      '\\ds',
      '\\dm',
      '\\dn',
      '\\dn+',
      '\\l',
      '\\du',
      '\\dg+',
      '\\df',
      '\\df+ lower',
      '\\df pg_catalog.*',
      '\\da',
      '\\do ||',
      '\\dT',
      '\\dT+ int4',
      '\\dp',
      '\\ddp',
      '\\dx',
      '\\dd',
      '\\dD',
      '\\dC',
      '\\dO',
      '\\dL',
      '\\db',
      '\\dFd',
      '\\dP',
      '\\dRp',
      '\\drds',
      '\\dconfig work_mem',
      '\\sv open_tickets',
      '\\sf pg_catalog.lower(text)',
      '\\z orders',
    ])('%s', async (command) => {
      const [through, direct] = await both(['-c', command]);
      expect(direct).toMatchObject({ code: 0 });
      expect(through).toEqual(direct);
    });

    test.each([
      ['rows', 'SELECT * FROM orders ORDER BY id;'],
      [
        'aggregates, joins and windows',
        `SELECT c.country, count(*), sum(o.total_cents), rank() OVER (ORDER BY count(*) DESC, c.country)
         FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY c.country ORDER BY 1;`,
      ],
      [
        'a recursive query',
        'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT sum(n) FROM t;',
      ],
      ['a view', 'SELECT * FROM revenue_by_country ORDER BY country;'],
      ['several statements in one string', 'SELECT 1 AS a\\; SELECT 2 AS b\\; SELECT count(*) FROM orders;'],
      ['expanded output', '\\x\nSELECT * FROM tickets ORDER BY id LIMIT 3;'],
      [
        'a failed query',
        "\\set ON_ERROR_STOP 0\nSELECT 1/0;\nSELECT 'x'::int;\nSELECT * FROM orders WHERE id = 'x';\nSELECT 1 AS still_here;",
      ],
      [
        'an error in a transaction',
        `\\set ON_ERROR_STOP 0\nBEGIN;\nSELECT 1/0;\nSELECT 1;\nCOMMIT;\nSELECT 'after' AS state;`,
      ],
      ['savepoints', 'BEGIN;\nSAVEPOINT a;\nSELECT 1;\nROLLBACK TO a;\nRELEASE a;\nCOMMIT;'],
      [
        'rollback on error of psql itself',
        '\\set ON_ERROR_STOP 0\n\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1/0;\nSELECT 2;\nCOMMIT;',
      ],
      ['cursors of its own', '\\set FETCH_COUNT 7\nSELECT id, status FROM orders ORDER BY id;'],
      [
        'cursors in SQL',
        `BEGIN;\nDECLARE c SCROLL CURSOR FOR SELECT id FROM orders ORDER BY id;\nFETCH 3 FROM c;\nMOVE 5 IN c;\nFETCH c;
         FETCH BACKWARD 2 FROM c;\nCLOSE c;\nCOMMIT;`,
      ],
      [
        'PREPARE and EXECUTE',
        `PREPARE p(int) AS SELECT id, status FROM orders WHERE id = $1;\nEXECUTE p(1);\nEXECUTE p(2);\nDEALLOCATE p;`,
      ],
      [
        'variables',
        `SELECT id AS one, status AS state FROM orders ORDER BY id LIMIT 1 \\gset\n\\echo :one :state
         SELECT count(*) FROM orders WHERE status = :'state' AND id >= :one;`,
      ],
      ['\\gdesc', 'SELECT id, status, total_cents * 1.5 AS more FROM orders \\gdesc'],
      ['\\gexec', "SELECT format('SELECT %s AS n', n) FROM generate_series(1, 3) n \\gexec"],
      ['\\crosstabview', 'SELECT status, currency, count(*) FROM orders GROUP BY 1, 2 ORDER BY 1, 2 \\crosstabview'],
      ['\\if', 'SELECT count(*) > 5 AS many FROM orders \\gset\n\\if :many\n\\echo many\n\\else\n\\echo few\n\\endif'],
      [
        'settings',
        "SET TimeZone = 'Asia/Tokyo';\nSHOW TimeZone;\nSELECT placed_at FROM orders ORDER BY id LIMIT 2;\nRESET TimeZone;\nSHOW TimeZone;",
      ],
      ['EXPLAIN', 'EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE id = 3;'],
      [
        'COPY to the client',
        '\\copy (SELECT id, status FROM orders ORDER BY id) TO STDOUT CSV HEADER\nCOPY tickets TO STDOUT;',
      ],
      ['an empty query', ';\n  ;\nSELECT;\n'],
      [
        'odd values',
        `SELECT NULL::text, '', 'a\tb\nc', E'\\\\', 'ü€😀', 'NaN'::float8, '{1,NULL,3}'::int[], '(1,2)'::point, true, 'a=>b' AS "weird "" name";`,
      ],
    ])('%s', async (_title, script) => {
      const [through, direct] = await both([], script);
      expect(through).toEqual(direct);
      expect(direct.stdout + direct.stderr).not.toBe('');
    });

    test('a script file, with its exit code', async () => {
      const file = join(stage.directory, 'script.sql');
      await writeFile(file, 'SELECT 1;\nSELECT 1/0;\nSELECT 2;\n');
      const [through, direct] = await both(['-f', file]);
      expect(direct.code).toBe(3);
      expect(through).toEqual(direct);
    });

    test('the changes of a transaction', async () => {
      const script = `
        BEGIN;
        INSERT INTO scratch.parts VALUES (1, 'bolt', 0.10, '2024-01-31'), (2, 'nut', NULL, NULL) RETURNING *;
        UPDATE scratch.parts SET price = 0.05 WHERE id = 2 RETURNING id, price;
        DELETE FROM scratch.parts WHERE id = 1;
        INSERT INTO scratch.parts VALUES (2, 'nut', 1, NULL) ON CONFLICT (id) DO UPDATE SET name = excluded.name || '!' RETURNING name;
        SELECT * FROM scratch.parts;
        ROLLBACK;
        SELECT count(*) FROM scratch.parts;`;
      const [through, direct] = await both([], script);
      expect(direct.code).toBe(0);
      expect(through).toEqual(direct);
    });
  });

  describe('\\copy', () => {
    test('writes the same files', async () => {
      const files = ['through', 'direct'].map((way) => join(stage.directory, way));
      for (const format of ['text', 'csv', 'binary']) {
        const [through = '', direct = ''] = files;
        const copy = (file: string) => ['-c', `\\copy orders to '${file}' (format ${format})`];
        expect((await psql(copy(through))).stderr).toBe('');
        expect((await psql(copy(direct), '', stage.direct)).stderr).toBe('');
        expect((await readFile(through)).equals(await readFile(direct))).toBe(true);
      }
    });

    test('reads a file into working data', async () => {
      const file = join(stage.directory, 'parts.csv');
      await writeFile(file, 'id,name,price,made\n10,"a, b",1.50,2024-02-03\n11,"line\nbreak",,\n');
      const through = await psql(['-c', `\\copy scratch.parts from '${file}' csv header`]);
      expect(through).toEqual({ code: 0, stdout: 'COPY 2\n', stderr: '' });
      expect(await stage.gateway.sql('SELECT id, name FROM scratch.parts WHERE id >= 10 ORDER BY id')).toEqual([
        { id: 10, name: 'a, b' },
        { id: 11, name: 'line\nbreak' },
      ]);
      await stage.gateway.sql('DELETE FROM scratch.parts WHERE id >= 10');
    });

    test('tells of a bad line, and the session goes on', async () => {
      const script = "COPY scratch.parts FROM STDIN;\nnot a number\tx\n\\.\nSELECT 'still here' AS state;\n";
      const [through, direct] = await both(['-v', 'ON_ERROR_STOP=0'], script);
      expect(direct.stdout).toContain('still here');
      expect(through).toEqual(direct);
    });

    test('of a refused table says why, without sending a row', async () => {
      // Had the copy begun, psql would send the next line as a row of it.
      const script = "COPY customers FROM STDIN;\nSELECT 'still here' AS state;\n";
      const { stdout, stderr } = await psql(['-v', 'ON_ERROR_STOP=0'], script);
      expect(stderr).toContain('write_outside_working_data');
      expect(stdout).toContain('still here');
    });
  });

  describe('shows personal data masked', () => {
    test.each([
      ['a table', 'SELECT * FROM customers ORDER BY id;'],
      ['a view', 'SELECT v.*, c.ssn FROM customer_contacts v JOIN customers c USING (id) ORDER BY id;'],
      ['a prepared statement', 'PREPARE p AS SELECT name, email, ssn FROM customers ORDER BY id;\nEXECUTE p;'],
      [
        'a cursor',
        'BEGIN;\nDECLARE c CURSOR FOR SELECT name, email, ssn FROM customers ORDER BY id;\nFETCH ALL FROM c;\nCOMMIT;',
      ],
      ['FETCH_COUNT', '\\set FETCH_COUNT 10\nSELECT name, email, ssn FROM customers ORDER BY id;'],
      ['COPY of a query', '\\copy (SELECT name, email, ssn FROM customers ORDER BY id) TO STDOUT'],
      ['COPY of a table', 'COPY customers TO STDOUT CSV HEADER;'],
      ['\\gset', 'SELECT name, email, ssn FROM customers WHERE id = 1 \\gset\n\\echo :name :email :ssn'],
    ])('%s', async (_title, script) => {
      const [through, direct] = await both([], script);
      expect(direct.code).toBe(0);
      expect(through.stderr).toBe('');
      for (const value of personal) {
        expect(direct.stdout).toContain(value);
        expect(through.stdout).not.toContain(value);
      }
      expect(through.stdout).toContain('4321');
    });

    test('and finds a row by equality', async () => {
      const { stdout } = await psql(['-At', '-c', `SELECT id FROM customers WHERE email = '${knownCustomer.email}'`]);
      expect(stdout).toBe('1\n');
    });
  });

  describe('shows a refusal', () => {
    test('as an error with a detail for machines, a hint for people and the exit code of an error', async () => {
      const { code, stdout, stderr } = await psql(['-c', 'DROP DATABASE postgres']);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^ERROR: {2}.*\(drop_database\)$/m);
      const [, detail = ''] = /^DETAIL: {2}(.*)$/m.exec(stderr) ?? [];
      expect(JSON.parse(detail)).toMatchObject({ code: 'drop_database', policy: 'destructive_ddl' });
      expect(stderr).toMatch(/^HINT: {2}.+$/m);
    });

    test('with its SQLSTATE in the variables of psql, and goes on', async () => {
      const script = 'SELECT * FROM api_secrets;\n\\echo :SQLSTATE\nSELECT 1 AS one;\n\\echo :SQLSTATE';
      const { stdout } = await psql(['-v', 'ON_ERROR_STOP=0', '-At'], script);
      expect(stdout).toBe('42501\n1\n00000\n');
    });

    test('in a transaction, which is aborted and then over', async () => {
      const script = `BEGIN;
        INSERT INTO scratch.parts VALUES (90, 'never kept', NULL, NULL);
        DROP DATABASE postgres;
        SELECT 1;
        COMMIT;
        SELECT count(*) FROM scratch.parts WHERE id = 90;`;
      const { stdout, stderr } = await psql(['-v', 'ON_ERROR_STOP=0', '-At'], script);
      expect(stderr).toContain('current transaction is aborted');
      expect(stdout).toBe('BEGIN\nINSERT 0 1\nROLLBACK\n0\n');
    });

    test('of a name that the gateway does not know', async () => {
      const { code, stderr } = await psql(['-c', 'SELECT * FROM nothing_here']);
      expect(code).toBe(1);
      expect(stderr).toContain('unknown_relation');
    });

    test('of a whole string, of which nothing runs', async () => {
      const insert = "INSERT INTO scratch.parts VALUES (91, 'never kept', NULL, NULL)";
      const { code } = await psql(['-c', `${insert}; DROP DATABASE postgres`]);
      expect(code).toBe(1);
      expect(await stage.gateway.sql('SELECT 1 FROM scratch.parts WHERE id = 91')).toEqual([]);
    });
  });

  describe('cannot connect', () => {
    const failing: readonly [string, () => Environment, RegExp][] = [
      ['without a token', () => stage.as(''), /no password supplied/],
      ['with another password', () => stage.as('secret'), /FATAL: .*\(credential_invalid\)/],
      ['without TLS', () => ({ ...stage.through, PGSSLMODE: 'disable' }), /FATAL: .*without TLS are refused/],
      [
        'to a gateway whose certificate another CA signed',
        () => ({ ...stage.through, PGSSLROOTCERT: stage.direct.PGSSLROOTCERT ?? '' }),
        /certificate verify failed/,
      ],
      ['to a login that does not exist', () => ({ ...stage.through, PGUSER: 'postgres' }), /FATAL: .*upstream_unknown/],
      [
        'with a setting that is not accepted',
        () => ({ ...stage.through, PGOPTIONS: '-c search_path=x' }),
        /FATAL: .*search_path/,
      ],
    ];
    test.each(failing)('%s, and says why with exit code 2', async (_title, environment, words) => {
      const { code, stderr } = await psql(['-c', 'SELECT 1'], '', environment());
      expect(stderr).toMatch(words);
      expect(code).toBe(2);
    });
  });

  test('is told of a notification', async () => {
    const script = "LISTEN parts;\nNOTIFY parts, 'hello';\nSELECT 1;\nUNLISTEN *;";
    const [through, direct] = await both([], script);
    const told = /Asynchronous notification "parts" with payload "hello" received/;
    expect(direct.stdout).toMatch(told);
    expect(through.stdout).toMatch(told);
  });
});

/** What a statement reads, writes or runs without naming it: by how its tables are defined. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Attacker, openAttacker } from './leaks/attacker.ts';

let attacker: Attacker;
beforeAll(async () => {
  attacker = await openAttacker({
    schemaSql: `
      ALTER TABLE customers ADD COLUMN handle text GENERATED ALWAYS AS (split_part(email, '@', 1)) STORED;
      ALTER TABLE customers ADD COLUMN backwards text GENERATED ALWAYS AS (reverse(ssn)) VIRTUAL;
      CREATE VIEW handles AS SELECT id, handle FROM customers;
      CREATE TABLE scratch.batches (id integer PRIMARY KEY);
      CREATE TABLE shipments (id integer REFERENCES scratch.batches ON DELETE CASCADE ON UPDATE CASCADE);
      INSERT INTO scratch.batches VALUES (1);
      INSERT INTO shipments VALUES (1);
      CREATE FUNCTION purge() RETURNS integer LANGUAGE sql AS 'DELETE FROM shipments RETURNING 1';
      CREATE FUNCTION purge_pair(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT purge() > 0';
      CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = purge_pair);
      CREATE DOMAIN purging AS integer CHECK (purge() >= 0);
      CREATE DOMAIN comparing AS text CHECK (VALUE === 'x');
      CREATE TABLE scratch.domains (n purging);
      CREATE TABLE scratch.compared (t comparing);
      CREATE TABLE scratch.checked (t text CHECK (t === 'x'));
      GRANT ALL ON ALL TABLES IN SCHEMA scratch, public TO :role;`,
  });
});
afterAll(() => attacker?.close());

describe('a generated column', () => {
  test('is hidden like the labelled column it is computed from, stored or not', async () => {
    const sql = 'SELECT id, handle, backwards FROM customers WHERE id = 1';
    expect(await attacker.query(sql)).toEqual({ rows: [['1', null, null]], error: undefined });
  });

  test('hides in a star as well', async () => {
    const { rows } = await attacker.query('SELECT * FROM customers WHERE id = 1');
    expect(rows[0]?.slice(-2)).toEqual([null, null]);
  });

  for (const sql of [
    `SELECT id FROM customers WHERE handle LIKE 'a%'`,
    `SELECT id FROM customers WHERE backwards = '1234-56-789'`,
    'SELECT upper(handle) FROM customers',
    'SELECT handle FROM handles',
    'SELECT id FROM customers ORDER BY handle',
    'SELECT count(DISTINCT backwards) FROM customers',
  ]) {
    test(`is used no further than its source: ${sql}`, async () => {
      expect((await attacker.query(sql)).error).toBe('pii_use');
    });
  }
});

describe('a foreign key', () => {
  for (const sql of [
    'DELETE FROM scratch.batches WHERE id = 1',
    'UPDATE scratch.batches SET id = 2 WHERE id = 1',
    'WITH gone AS (DELETE FROM scratch.batches WHERE id = 1 RETURNING id) SELECT id FROM gone',
  ]) {
    test(`does not carry a change out of working data: ${sql}`, async () => {
      expect((await attacker.query(sql)).error).toBe('write_outside_working_data');
      expect(await attacker.gateway.sql('SELECT id FROM shipments')).toEqual([{ id: 1 }]);
    });
  }
});

describe('a check', () => {
  for (const sql of [
    'INSERT INTO scratch.domains VALUES (1)',
    `INSERT INTO scratch.compared VALUES ('x')`,
    `INSERT INTO scratch.checked VALUES ('x')`,
    'COPY scratch.domains FROM STDIN',
  ]) {
    test(`runs no function that nobody judged: ${sql}`, async () => {
      expect((await attacker.query(sql)).error).toBe('function_refused');
      expect(await attacker.gateway.sql('SELECT id FROM shipments')).toEqual([{ id: 1 }]);
    });
  }
});

describe('set_config', () => {
  for (const setting of ['work_mem', 'enable_seqscan', 'session_replication_role', 'leak.value']) {
    test(`changes ${setting} no more than SET may`, async () => {
      const { error } = await attacker.query(`SELECT set_config('${setting}', 'on', false)`);
      expect(['setting_refused', 'operation_incomplete']).toContain(error);
    });
  }

  test('inside PREPARE is judged when it is executed', async () => {
    const { error } = await attacker.query(`PREPARE s AS SELECT set_config('work_mem', '1GB', false); EXECUTE s`);
    expect(error).toBe('setting_refused');
  });

  test('changes what SET may', async () => {
    expect(await attacker.query(`SELECT set_config('TimeZone', 'UTC', false)`)).toEqual({
      rows: [['UTC']],
      error: undefined,
    });
  });
});

describe('a database in another encoding', () => {
  test('is not served: it cuts long names elsewhere, and they mean something else', async () => {
    const { pg, role } = attacker.gateway;
    const database = `latin_${role}`;
    await pg.psql(`CREATE DATABASE ${database} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`);
    try {
      await expect(attacker.connect(database)).rejects.toThrow('UTF8');
    } finally {
      await pg.psql(`DROP DATABASE ${database} WITH (FORCE)`);
    }
  });
});

/** What the gateway itself holds to when a policy allows too much, or asks for what cannot be done. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import { connectWire, frontend, rowsOf } from '../support/wire-client.ts';
import { type Agent, eachWay, everyWay, type Rows, tell, waysOfReturning } from './postgres-agent.ts';
import { vaultColumns } from './postgres-schema.ts';
import { openStage, type Stage, spoken } from './postgres-stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(spoken);
});
afterAll(() => stage?.close());

/** An agent for whom policy says this, whatever is asked. */
async function agentWith(says: JsonObject, of: Stage = stage): Promise<Agent> {
  return of.agent({ token: await of.gateway.token('test-agent', { claims: { says } }) });
}

const hidden = { null: {} };
const customers = {
  name: hidden,
  email: hidden,
  phone: hidden,
  ssn: { keep_last: { count: 4 } },
  date_of_birth: hidden,
};
const masks = {
  columns: { 'public.customers': customers, 'scratch.people': { ssn: hidden }, 'public.members': { ssn: hidden } },
};
const lenient = { allow: true, masks };

describe('what depends on a masked column and is not it becomes NULL', () => {
  const cases: readonly (readonly [sql: string, rows: Rows])[] = [
    ['SELECT upper(ssn) FROM customers WHERE id = 1', [[null]]],
    ["SELECT ssn || '', city FROM customers WHERE id = 1", [[null, 'CITY']]],
    ['SELECT c::text FROM customers c WHERE id = 1', [[null]]],
    ['SELECT c FROM customers c WHERE id = 1', [[null]]],
    ['SELECT ROW(c.*)::text FROM customers c WHERE id = 1', [[null]]],
    ['SELECT to_jsonb(c) FROM customers c WHERE id = 1', [[null]]],
    ['SELECT row_to_json(c) FROM customers c WHERE id = 1', [[null]]],
    ["SELECT to_jsonb(c) ->> 'city' FROM customers c WHERE id = 1", [[null]]],
    ["SELECT json_build_object('x', ssn) FROM customers WHERE id = 1", [[null]]],
    ['SELECT string_agg(ssn, $$,$$) FROM customers', [[null]]],
    ['SELECT array_agg(ssn)::text FROM customers', [[null]]],
    ['SELECT min(ssn) FROM customers', [[null]]],
    ['SELECT count(ssn)::text FROM customers', [[null]]],
    ["SELECT (count(*) FILTER (WHERE ssn > '9'))::text FROM customers", [[null]]],
    ['SELECT md5(string_agg(id::text, $$,$$ ORDER BY ssn)) FROM customers', [[null]]],
    ['SELECT first_value(ssn) OVER () FROM customers WHERE id = 1', [[null]]],
    ['SELECT (row_number() OVER (ORDER BY ssn))::text FROM customers WHERE id = 1', [[null]]],
    ["SELECT CASE WHEN ssn > '5' THEN 'high' ELSE 'low' END FROM customers WHERE id = 1", [[null]]],
    ["SELECT COALESCE(NULL, ssn, 'x') FROM customers WHERE id = 1", [[null]]],
    ["SELECT (ssn > '5')::text FROM customers WHERE id = 1", [[null]]],
    ["SELECT EXISTS (SELECT FROM customers WHERE ssn LIKE '98%')::text", [[null]]],
    ["SELECT (SELECT count(*) FROM customers WHERE ssn LIKE '98%')::text", [[null]]],
    ["SELECT ('987-65-4321' IN (SELECT ssn FROM customers))::text", [[null]]],
    ['SELECT ARRAY(SELECT ssn FROM customers)::text', [[null]]],
    ['SELECT length((SELECT ssn FROM customers WHERE id = 1))::text', [[null]]],
    ['SELECT x FROM (SELECT upper(ssn) AS x FROM customers WHERE id = 1) s', [[null]]],
    ['WITH s AS (SELECT lower(ssn) AS x FROM customers WHERE id = 1) SELECT x FROM s', [[null]]],
    ['SELECT "both" FROM glued WHERE id = 1', [[null]]],
    ['SELECT place::text FROM sorted WHERE id = 1', [[null]]],
    ['SELECT ssn FROM customers WHERE id = 1 UNION ALL SELECT status FROM orders WHERE id = -1', [[null]]],
    [
      'SELECT x FROM (SELECT status AS x FROM orders WHERE id = -1 UNION SELECT ssn FROM customers WHERE id = 1) s',
      [[null]],
    ],
    ["SELECT w FROM customers, string_to_table(ssn, '#') w WHERE id = 1", [[null]]],
    ['SELECT ssn FROM customers c FULL JOIN members m USING (ssn) WHERE c.id = 1', [[null]]],
    ['SELECT unnest(ARRAY[ssn]) FROM customers WHERE id = 1', [[null]]],
    [
      'SELECT "x" FROM customers, xmltable($$/a$$ PASSING xmlelement(name a, ssn) COLUMNS x text PATH $$.$$) WHERE id = 1',
      [[null]],
    ],
    ["SELECT x FROM customers, json_table(to_jsonb(ssn), '$' COLUMNS (x text PATH '$')) WHERE id = 1", [[null]]],
    [
      'WITH RECURSIVE r(t, n) AS (SELECT ssn, 1 FROM customers WHERE id = 1 UNION ALL SELECT substr(t, 2), n + 1 FROM r WHERE n < 2) SELECT t FROM r',
      [[null], [null]],
    ],
    ['SELECT customers FROM customers WHERE id = 1', [[null]]],
    ['SELECT m FROM members m WHERE id = 1', [[null]]],
    ['SELECT m::text FROM members_low m WHERE id = 1', [[null]]],
    ['SELECT v::text FROM vip v WHERE id = 1001', [[null]]],
    ['SELECT "r"::text FROM renamed r WHERE b = 1', [[null]]],
  ];
  for (const [sql, rows] of cases) {
    test(sql, async () => {
      const [row] = await stage.gateway.sql('SELECT city FROM customers WHERE id = 1');
      const expected = rows.map((cells) => cells.map((cell) => (cell === 'CITY' ? String(row?.city) : cell)));
      const agent = await agentWith(lenient);
      expect(await everyWay(agent, sql)).toEqual(eachWay(expected));
      expect(await agent.client.ping()).toBe('I');
      expect(agent.leaks()).toEqual([]);
    });
  }

  test('in the lines of EXPLAIN too, which quote constants and what the planner made of them', async () => {
    const agent = await agentWith(lenient);
    for (const way of ['simple', 'extended', 'withoutDescribe', 'executedAgain']) {
      const lines = await everyWay(agent, "EXPLAIN VERBOSE SELECT 1 FROM customers WHERE ssn > '987-65-4320'", [way]);
      expect(lines[way]).toEqual(expect.arrayContaining([[null]]));
      expect(new Set([...(lines[way] ?? [])].flat())).toEqual(new Set([null]));
    }
    expect(agent.received.toString()).not.toContain('987-65');
  });

  test('in RETURNING too', async () => {
    const agent = await agentWith(lenient);
    const sql = 'UPDATE scratch.people p SET city = city WHERE id = 1 RETURNING upper(ssn), to_jsonb(p), p::text';
    expect(await everyWay(agent, sql, waysOfReturning)).toEqual(eachWay([[null, null, null]], waysOfReturning));
    expect(agent.leaks()).toEqual([]);
  });
});

describe('what cannot be followed is refused when anything is masked', () => {
  const unprovable = [
    'SELECT peek(1)',
    'SELECT ssn FROM peek_rows()',
    "SELECT run('SELECT ssn FROM customers LIMIT 1')",
    'SELECT harmless_looking()',
    "SELECT 'a' === 'b'",
    'SELECT purge_all(id) FROM orders',
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT query_to_xml('SELECT ssn FROM customers', true, true, '')",
    'INSERT INTO scratch.lines SELECT ssn FROM customers',
    'INSERT INTO scratch.notes (author, note) SELECT name, upper(ssn) FROM customers',
    'UPDATE scratch.people SET city = ssn WHERE id = 1',
    'CREATE TABLE scratch.copy AS SELECT ssn FROM customers',
    'SELECT ssn INTO scratch.copy FROM customers',
    'CREATE TABLE scratch.copy AS SELECT c::text AS t FROM customers c',
    "SELECT set_config('application_name', ssn, false) FROM customers WHERE id = 1",
    "SELECT pg_notify('x', ssn) FROM customers",
    "SELECT setval('scratch.notes_id_seq', length(ssn)) FROM customers",
    'SELECT lo_from_bytea(0, ssn::bytea) FROM customers',
    'MERGE INTO scratch.lines l USING customers c ON l.line = c.city WHEN NOT MATCHED THEN INSERT VALUES (c.ssn)',
    'COPY customers TO STDOUT (FORMAT binary)',
    'COPY (SELECT upper(ssn) FROM customers) TO STDOUT (FORMAT binary)',
    "COPY customers TO '/dev/null'",
    "COPY customers TO PROGRAM 'cat'",
    'PREPARE x AS INSERT INTO scratch.lines SELECT ssn FROM customers',
    'CREATE VIEW scratch.v AS SELECT ssn FROM customers',
    'CREATE MATERIALIZED VIEW scratch.v AS SELECT ssn FROM customers',
  ];
  for (const sql of unprovable) {
    test(sql, async () => {
      const before = await stage.state();
      const agent = await agentWith(lenient);
      const refusal = { types: 'EZ', sqlstate: '42501', code: 'mask_unprovable', status: 'I' };
      expect(await agent.told(sql)).toEqual(refusal);
      expect(await agent.toldExtended(sql)).toEqual(refusal);
      expect(await agent.rows('SELECT status FROM orders WHERE id = -1')).toEqual([]);
      expect(stage.carried(sql)).toBe(false);
      expect(await stage.state()).toBe(before);
      expect(agent.leaks()).toEqual([]);
    });
  }
});

describe('a decision that cannot be carried out is a refusal', () => {
  test.each([
    ['a mask of JSON', { allow: true, masks: { json: { '$.a': hidden } } }, 'mask_unsupported'],
    ['a mask of text', { allow: true, masks: { text: { email: hidden } } }, 'mask_unsupported'],
    [
      'a method that does not exist',
      { allow: true, masks: { columns: { 'public.customers': { ssn: { blur: {} } } } } },
      'mask_unknown',
    ],
    [
      'a mask without a method',
      { allow: true, masks: { columns: { 'public.customers': { ssn: {} } } } },
      'policy_result_invalid',
    ],
    ['masks of another shape', { allow: true, masks: 'nonsense' }, 'masks_malformed'],
    [
      'an obligation nobody knows',
      { allow: true, obligations: [{ id: 'a', type: 'watermark', properties: {} }] },
      'obligation_unsupported',
    ],
    [
      'read_only, which is not built',
      { allow: true, obligations: [{ id: 'a', type: 'read_only', properties: {} }] },
      'obligation_unsupported',
    ],
    [
      'max_rows without a number',
      { allow: true, obligations: [{ id: 'a', type: 'max_rows', properties: { value: 'x' } }] },
      'policy_result_invalid',
    ],
    [
      'max_rows below zero',
      { allow: true, obligations: [{ id: 'a', type: 'max_rows', properties: { value: -1 } }] },
      'policy_result_invalid',
    ],
    ['an obligation without a type', { allow: true, obligations: [{ id: 'a' }] }, 'policy_result_invalid'],
    ['allow as a text', { allow: 'true' }, 'policy_undefined'],
    ['nothing', {}, 'policy_undefined'],
  ])('%s', async (_title, says: JsonObject, code) => {
    const token = await stage.gateway.token('test-agent', { claims: { says } });
    // The same words are the answer to the connection itself.
    await expect(stage.agent({ token })).rejects.toMatchObject({
      fields: { S: 'FATAL', D: expect.stringContaining(`"${code}"`) },
    });
  });
});

describe('a bound on rows', () => {
  const three = { allow: true, obligations: [{ id: 'cap', type: 'max_rows', properties: { value: 3 } }] };

  test.each([
    'simple',
    'extended',
    'rowByRow',
    'prepared',
    'cursor',
    'cursorThenExecuted',
    'portalThenFetched',
    'copyText',
  ])('is not passed by %s', async (way) => {
    const agent = await agentWith(three);
    const result = await everyWay(agent, 'SELECT title FROM vault, generate_series(1, 100000)', [way]);
    expect(result).toEqual({ [way]: way === 'copyText' ? expect.any(String) : '53400 limit_reached' });
    expect(agent.received.toString('latin1').split('first').length - 1).toBeLessThanOrEqual(3);
    expect(await agent.client.ping()).toMatch(/[IE]/);
  });

  test('counts over all executions of a portal', async () => {
    const agent = await agentWith(three);
    await agent.rows('BEGIN');
    const execute = () => agent.client.extended(frontend.execute('p', 2));
    const first = await agent.client.extended(
      frontend.parse('SELECT title FROM vault, generate_series(1, 10)'),
      frontend.bind({ portal: 'p' }),
      frontend.execute('p', 2),
    );
    expect(rowsOf(first)).toHaveLength(2);
    const second = await execute();
    expect(rowsOf(second).length).toBe(1);
    expect(tell(second)).toMatchObject({ sqlstate: '53400', code: 'limit_reached' });
    expect(rowsOf(await execute())).toEqual([]);
  });
});

describe('errors where everything is allowed', () => {
  test.each([
    ['a cast of a masked column', 'SELECT ssn::integer FROM customers WHERE id = 1', '22P02'],
    ['a cast of a date', 'SELECT date_of_birth::text::integer FROM customers WHERE id = 1', '22P02'],
    ['JSON', 'SELECT ssn::json FROM customers WHERE id = 1', '22P02'],
    ['a regular expression', "SELECT 'x' ~ ('[' || ssn) FROM customers WHERE id = 1", '2201B'],
    ['an array', 'SELECT ssn::integer[] FROM customers WHERE id = 1', '22P02'],
    ['a number too large', "SELECT replace(ssn, '-', '')::smallint FROM customers WHERE id = 1", '22003'],
    ['to_date', "SELECT to_date(ssn, 'YYYY-MM-DD Q') FROM customers WHERE id = 1", undefined],
    ['an enum', 'SELECT name::mood FROM customers WHERE id = 1', '22P02'],
    ['more than one row', 'SELECT (SELECT ssn FROM customers)', '21000'],
  ])('%s tells no value', async (_title, sql, sqlstate) => {
    const agent = await agentWith(lenient);
    for (const told of [await agent.told(sql), await agent.toldExtended(sql)]) {
      expect(told.status).toBe('I');
      if (sqlstate !== undefined) expect(told.sqlstate).toBe(sqlstate);
    }
    expect(agent.leaks()).toEqual([]);
  });

  test('a notice of a session that met masked data is dropped, before and after', async () => {
    const agent = await agentWith(lenient);
    await agent.rows("UPDATE scratch.people SET city = 'Lisbon' WHERE id = 1");
    await agent.rows("UPDATE scratch.people SET city = 'Vienna' WHERE id = 2");
    expect(agent.leaks()).toEqual([]);
  });
});

describe('every type', () => {
  /** What stands for a value of each column, as the server itself writes it. NULL where a type has no such value. */
  const constants: Readonly<Record<string, string>> = {
    t: "'***'::text",
    v: "'***'::varchar",
    c: "'***'::bpchar",
    d: "'***'::text",
    i2: '0::smallint',
    i4: '0::integer',
    i8: '0::bigint',
    f4: '0::real',
    f8: '0::double precision',
    n: '0::numeric',
    b: 'false',
    dt: "'2000-01-01'::date",
    ts: "'2000-01-01'::timestamp",
    tz: "'2000-01-01 00:00:00+00'::timestamptz",
    tm: "'00:00'::time",
    iv: "'0'::interval",
    u: "'00000000-0000-0000-0000-000000000000'::uuid",
    j: '\'"***"\'::json',
    jb: '\'"***"\'::jsonb',
    ba: "''::bytea",
    ip: "'0.0.0.0'::inet",
    arr: 'NULL',
    ia: 'NULL',
    p: 'NULL',
    m: 'NULL',
    r: 'NULL',
    mo: 'NULL',
    bits: 'NULL',
  };

  test.each([0, 1])('is masked by a value of its own type in format %i, whichever way it comes', async (format) => {
    const { host, port, ca, user, password } = stage.gateway.pg;
    const direct = await connectWire({ host, port, ca, user, password, database: stage.gateway.database });
    const ask = (sql: string) => [frontend.parse(sql), frontend.bind({ resultFormats: [format] }), frontend.execute()];
    await direct.query("SET TimeZone = 'UTC'");
    const [expected = []] = rowsOf(
      await direct.extended(...ask(`SELECT ${vaultColumns.map((column) => constants[column]).join(', ')}`)),
      'hex',
    );
    const values = rowsOf(await direct.extended(...ask(`SELECT ${vaultColumns.join(', ')} FROM vault`)), 'hex')[0];
    await direct.end();

    const replace = Object.fromEntries(vaultColumns.map((column) => [column, { replace: { value: '***' } }]));
    const agent = await agentWith({ allow: true, masks: { columns: { 'public.vault': replace } } });
    await agent.rows("SET TimeZone = 'UTC'");
    const sql = `SELECT ${vaultColumns.join(', ')} FROM vault`;
    const portal = [frontend.bind({ statement: 's', resultFormats: [format] }), frontend.execute()];
    const answers = [
      await agent.client.extended(...ask(sql)),
      await agent.client.extended(frontend.parse(sql, 's'), frontend.describeStatement('s'), ...portal),
      await agent.client.extended(...portal),
      await agent.client.extended(
        frontend.bind({ statement: 's', resultFormats: vaultColumns.map(() => format) }),
        frontend.describePortal(),
        frontend.execute(),
      ),
    ];
    for (const answer of answers) {
      const [row = []] = rowsOf(answer, 'hex');
      expect(Object.fromEntries(vaultColumns.map((column, at) => [column, row[at]]))).toEqual(
        Object.fromEntries(vaultColumns.map((column, at) => [column, expected[at]])),
      );
    }
    const received = agent.received.toString('hex');
    for (const value of values ?? []) if (value !== null && value.length >= 8) expect(received).not.toContain(value);
    expect(agent.leaks()).toEqual([]);
  });

  test('a format of its own for each column is followed', async () => {
    const replace = Object.fromEntries(vaultColumns.map((column) => [column, { replace: { value: '***' } }]));
    const agent = await agentWith({ allow: true, masks: { columns: { 'public.vault': replace } } });
    const rows = rowsOf(
      await agent.client.extended(
        frontend.parse('SELECT i8, i8, n, n, b FROM vault'),
        frontend.bind({ resultFormats: [0, 1, 0, 1, 0] }),
        frontend.execute(),
      ),
      'hex',
    );
    expect(rows).toEqual([['30', '0000000000000000', '30', '0000000000000000', '66']]);
  });
});

describe('the server’s own word about a result', () => {
  /** A stage whose catalog changes behind the gateway's back, right before a query: the snapshot cannot know. */
  async function afterChange(
    change: string,
    sql: string,
    way: 'simple' | 'described' | 'undescribed',
    says: JsonObject = lenient,
  ): Promise<Agent> {
    const own = await openStage(spoken);
    try {
      const agent = await agentWith(says, own);
      await agent.rows('SELECT 1');
      await own.gateway.sql(change);
      const { client } = agent;
      if (way === 'simple') client.send(frontend.query(sql));
      else {
        const describe = way === 'described' ? [frontend.describePortal()] : [];
        client.send(frontend.parse(sql), frontend.bind(), ...describe, frontend.execute(), frontend.sync());
      }
      const answer = await client.untilClosed();
      expect(tell(answer)).toMatchObject({ sqlstate: '42501', code: 'mask_unprovable' });
      expect(rowsOf(answer)).toEqual([]);
      expect(agent.leaks()).toEqual([]);
      return agent;
    } finally {
      await own.close();
    }
  }
  const swap =
    'ALTER TABLE customers RENAME ssn TO other; ALTER TABLE customers RENAME city TO ssn; ALTER TABLE customers RENAME other TO city';

  test.each(['simple', 'described', 'undescribed'] as const)(
    'a labelled column that was not judged ends the connection before its first row (%s)',
    async (way) => {
      await afterChange(swap, 'SELECT city FROM customers', way);
    },
  );

  test.each(['simple', 'described', 'undescribed'] as const)(
    'another number of columns than was judged ends it too (%s)',
    async (way) => {
      await afterChange('ALTER TABLE customers ADD COLUMN extra text', 'SELECT * FROM customers', way);
    },
  );

  test.each(['simple', 'described', 'undescribed'] as const)(
    'also where policy masks nothing of what is labelled (%s)',
    async (way) => {
      const change = 'ALTER TABLE customers ADD COLUMN extra text';
      await afterChange(change, 'SELECT * FROM customers WHERE id = -1 OR id = 1', way, { allow: true });
    },
  );

  test.each(['simple', 'described', 'undescribed'] as const)(
    'a whole row where a column was judged ends it too (%s)',
    async (way) => {
      await afterChange('ALTER TABLE customers RENAME city TO town', 'SELECT city FROM customers city', way);
    },
  );
});

test('nothing that no agent may see was received, audited, recorded, logged or counted', async () => {
  expect(await stage.kept()).toEqual([]);
});

/** One name for two things: what the gateway takes a name for must be what the server takes it for. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { frontend, rowsOf, tagsOf } from '../support/wire-client.ts';
import { type Agent, tell } from './postgres-agent.ts';
import { openStage, type Stage } from './postgres-stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage?.close());

const { parse, bind, execute, sync, query, describeStatement, describePortal, closeStatement, closePortal, flush } =
  frontend;

/** Neither labelled nor masked, of one text column. */
const plain = "SELECT status FROM orders WHERE id = -1 UNION ALL SELECT 'plain'";
/** Masked. */
const personal = 'SELECT ssn FROM customers WHERE id = 1';
const masked = [['***4321']];
/** The server fails at it, and nobody else does. */
const failing = [parse('SELECT 1 / (id - 1) FROM orders WHERE id = 1'), bind(), execute()];

/** Everything that came up to the n-th ReadyForQuery after one write. */
async function pipeline(agent: Agent, groups: number, ...messages: readonly Uint8Array[]) {
  agent.client.send(...messages);
  return agent.client.untilReady(groups);
}

/** The connection is in step, and nothing leaked. */
async function expectSound(agent: Agent): Promise<void> {
  expect(await agent.client.ping()).toBe('I');
  expect(await agent.rows('SELECT 1')).toEqual([['1']]);
  expect(agent.leaks()).toEqual([]);
}

describe('a definition that fails leaves the name what it was', () => {
  const redefinitions: readonly (readonly [title: string, groups: number, ...messages: Uint8Array[]])[] = [
    ['Parse of a name that exists', 1, parse(plain, 's'), sync()],
    ['PREPARE of a name that exists', 1, query(`PREPARE s AS ${plain}`)],
    ['PREPARE by the extended protocol', 1, parse(`PREPARE s AS ${plain}`), bind(), execute(), sync()],
    ['Close and Parse behind an error', 1, ...failing, closeStatement('s'), parse(plain, 's'), sync()],
    ['DEALLOCATE and PREPARE behind an error', 1, query(`SELECT 1/0; DEALLOCATE s; PREPARE s AS ${plain}`)],
    [
      'DEALLOCATE by the extended protocol behind an error',
      1,
      ...failing,
      parse('DEALLOCATE s'),
      bind(),
      execute(),
      parse(plain, 's'),
      sync(),
    ],
    ['Parse that is refused', 1, closeStatement('other'), parse('SELECT purge()', 's'), sync()],
    ['two that fail', 2, ...failing, closeStatement('s'), sync(), parse(plain, 's'), sync()],
    ['DISCARD ALL inside a transaction', 1, query('BEGIN; DISCARD ALL')],
  ];
  for (const [title, groups, ...messages] of redefinitions) {
    test(`${title}, and a Bind of it in the same write`, async () => {
      const agent = await stage.agent();
      await agent.extended(parse(personal, 's'));
      const answer = await pipeline(
        agent,
        groups + 1,
        ...messages,
        query('ROLLBACK'),
        bind({ statement: 's' }),
        execute(),
        sync(),
      );
      const rest = await agent.client.untilReady(1);
      expect(rowsOf([...answer, ...rest])).toEqual(masked);
      await expectSound(agent);
    });

    test(`${title}, and an EXECUTE of it in the same write`, async () => {
      const agent = await stage.agent();
      await agent.rows(`PREPARE s AS ${personal}`);
      await pipeline(agent, groups + 1, ...messages, query('ROLLBACK'), query('EXECUTE s'));
      expect(rowsOf(await agent.client.untilReady(1))).toEqual(masked);
      await expectSound(agent);
    });
  }
});

describe('a definition that succeeds counts from there on', () => {
  const redefinitions: readonly (readonly [title: string, groups: number, ...messages: Uint8Array[]])[] = [
    ['Close and Parse', 1, closeStatement('s'), parse(personal, 's'), sync()],
    ['Close and Parse in two groups', 2, closeStatement('s'), sync(), parse(personal, 's'), sync()],
    ['DEALLOCATE and PREPARE in one string', 1, query(`DEALLOCATE s; PREPARE s AS ${personal}`)],
    ['DEALLOCATE and PREPARE in two', 2, query('DEALLOCATE s'), query(`PREPARE s AS ${personal}`)],
    ['DEALLOCATE ALL and Parse', 2, query('DEALLOCATE ALL'), parse(personal, 's'), sync()],
    ['DISCARD ALL and Parse', 2, query('DISCARD ALL'), parse(personal, 's'), sync()],
    [
      'DEALLOCATE and PREPARE by the extended protocol',
      1,
      parse('DEALLOCATE s'),
      bind(),
      execute(),
      parse(`PREPARE s AS ${personal}`),
      bind(),
      execute(),
      sync(),
    ],
    [
      'PREPARE in a transaction that is rolled back, which PostgreSQL does not undo',
      3,
      query('BEGIN; DEALLOCATE s'),
      query(`PREPARE s AS ${personal}`),
      query('ROLLBACK'),
    ],
    [
      'PREPARE in a transaction that fails',
      2,
      query(`BEGIN; DEALLOCATE s; PREPARE s AS ${personal}; SELECT 1/0`),
      query('ROLLBACK'),
    ],
    ['Parse, then an error in its group', 1, closeStatement('s'), parse(personal, 's'), ...failing, sync()],
  ];
  for (const [title, groups, ...messages] of redefinitions) {
    test(`${title}, and a Bind of it in the same write`, async () => {
      const agent = await stage.agent();
      await agent.extended(parse(plain, 's'), describeStatement('s'));
      await pipeline(agent, groups, ...messages, bind({ statement: 's' }), execute(), sync());
      expect(rowsOf(await agent.client.untilReady(1))).toEqual(masked);
      await expectSound(agent);
    });

    test(`${title}, and an EXECUTE of it in the same write`, async () => {
      const agent = await stage.agent();
      await agent.rows(`PREPARE s AS ${plain}`);
      await pipeline(agent, groups, ...messages, query('EXECUTE s'));
      expect(rowsOf(await agent.client.untilReady(1))).toEqual(masked);
      await expectSound(agent);
    });

    test(`${title}, and a statement prepared earlier that says EXECUTE`, async () => {
      const agent = await stage.agent();
      await agent.extended(parse(plain, 's'), parse('EXECUTE s', 'runs'), describeStatement('runs'));
      expect(await agent.extended(bind({ statement: 'runs' }), execute())).toEqual([['plain']]);
      await pipeline(agent, groups, ...messages, bind({ statement: 'runs' }), execute(), sync());
      // DEALLOCATE ALL and DISCARD ALL take the statement that says EXECUTE along.
      const answer = await agent.client.untilReady(1);
      if (tell(answer).types.includes('E')) expect(tell(answer).sqlstate).toBe('26000');
      else expect(rowsOf(answer)).toEqual(masked);
      await expectSound(agent);
    });
  }
});

describe('portals and cursors', () => {
  const opening = [query('BEGIN'), query(`DECLARE p CURSOR FOR ${personal}`), query('SAVEPOINT a')];

  test.each([
    ['Bind of the name of a cursor fails', [parse(plain), bind({ portal: 'p' }), execute('p'), sync()]],
    ['DECLARE of it fails', [query(`DECLARE p CURSOR FOR ${plain}`)]],
    ['DECLARE by the extended protocol fails', [parse(`DECLARE p CURSOR FOR ${plain}`), bind(), execute(), sync()]],
    ['Close and Bind behind an error', [...failing, closePortal('p'), parse(plain), bind({ portal: 'p' }), sync()]],
    ['CLOSE and DECLARE behind an error', [query(`SELECT 1/0; CLOSE p; DECLARE p CURSOR FOR ${plain}`)]],
  ])('%s, the savepoint is rolled back, and the cursor is what it was', async (_title, messages) => {
    for (const last of [[execute('p'), sync()], [query('FETCH ALL p')], [query('FETCH ALL "p"')]]) {
      const agent = await stage.agent();
      const answer = await pipeline(agent, 6, ...opening, ...messages, query('ROLLBACK TO a'), ...last);
      expect(rowsOf(answer)).toEqual(masked);
      expect(await agent.statusAfter('ROLLBACK')).toBe('I');
      await expectSound(agent);
    }
  });

  test.each([
    ['CLOSE and DECLARE', [query('CLOSE p'), query(`DECLARE p CURSOR FOR ${personal}`)]],
    ['CLOSE ALL and Bind', [query('CLOSE ALL'), parse(personal), bind({ portal: 'p' }), flush(), query('SELECT 1')]],
    ['Close and Bind', [closePortal('p'), parse(personal), bind({ portal: 'p' }), sync(), query('SELECT 1')]],
  ])('%s gives the name another meaning', async (_title, messages) => {
    for (const last of [[execute('p'), sync()], [query('FETCH ALL p')]]) {
      const agent = await stage.agent();
      const opened = [query('BEGIN'), query(`DECLARE p CURSOR FOR ${plain}`)];
      const answer = await pipeline(agent, 5, ...opened, ...messages, ...last);
      expect(rowsOf(answer).filter(([value]) => value !== '1')).toEqual(masked);
      expect(await agent.statusAfter('ROLLBACK')).toBe('I');
      await expectSound(agent);
    }
  });

  test('a cursor WITH HOLD is masked after its transaction, in every direction and by Execute', async () => {
    const agent = await stage.agent();
    await agent.rows('BEGIN');
    await agent.rows(`DECLARE h SCROLL CURSOR WITH HOLD FOR ${personal}`);
    await agent.rows('COMMIT');
    expect(await agent.rows('FETCH NEXT h')).toEqual(masked);
    expect(await agent.rows('FETCH LAST h')).toEqual(masked);
    expect(await agent.rows('FETCH ABSOLUTE 1 h')).toEqual(masked);
    expect(await agent.rows('MOVE BACKWARD ALL IN h')).toEqual([]);
    expect(await agent.extended(execute('h'))).toEqual(masked);
    expect(await agent.rows('CLOSE h')).toEqual([]);
    await expectSound(agent);
  });

  test('a BINARY cursor, whose format no Bind tells, is refused', async () => {
    const agent = await stage.agent();
    await agent.rows('BEGIN');
    const told = await agent.told('DECLARE b BINARY SCROLL CURSOR FOR SELECT i8, t, dt, u FROM vault');
    expect(told).toMatchObject({ types: 'EZ', code: 'operation_incomplete', status: 'E' });
    await agent.rows('ROLLBACK');
    await expectSound(agent);
  });

  test('a portal that is executed again and again is judged and masked each time', async () => {
    const agent = await stage.agent();
    await agent.rows('BEGIN');
    await agent.extended(parse('SELECT ssn FROM customers WHERE id <= 3 ORDER BY id'), bind({ portal: 'p' }));
    const rows = [];
    for (let round = 0; round < 3; round++) rows.push(...(await agent.extended(execute('p', 1))));
    expect(rows).toHaveLength(3);
    expect(rows.flat().every((value) => value?.startsWith('***'))).toBe(true);
    const decided = (await stage.gateway.audit()).filter(
      ({ event, operation }) => event === 'decided' && JSON.stringify(operation).includes('public.customers'),
    );
    expect(decided.length).toBeGreaterThanOrEqual(4);
    await agent.rows('ROLLBACK');
    await expectSound(agent);
  });
});

describe('names that are nobody’s', () => {
  test.each([
    ['Bind', [bind({ statement: 'nobody' }), execute(), sync()], '26000'],
    ['Execute', [execute('nobody'), sync()], '34000'],
    ['Describe of a statement', [describeStatement('nobody'), sync()], '26000'],
    ['Describe of a portal', [describePortal('nobody'), sync()], '34000'],
  ])('%s fails as the server says it', async (_title, messages, sqlstate) => {
    const agent = await stage.agent();
    expect(tell(await pipeline(agent, 1, ...messages))).toMatchObject({ types: 'EZ', sqlstate, status: 'I' });
    await expectSound(agent);
  });

  test.each([
    ['EXECUTE nobody', 'operation_incomplete'],
    ['FETCH nobody', 'operation_incomplete'],
    ['EXPLAIN ANALYZE EXECUTE nobody', 'operation_incomplete'],
    ['CREATE TABLE scratch.made AS EXECUTE nobody', 'operation_incomplete'],
  ])('%s is refused', async (sql, code) => {
    const agent = await stage.agent();
    expect(await agent.told(sql)).toMatchObject({ types: 'EZ', code, status: 'I' });
    await expectSound(agent);
  });

  test.each([
    ['EXPLAIN ANALYZE EXECUTE s', 'EXPLAIN ANALYZE EXECUTE s'],
    ['CREATE TABLE AS EXECUTE', 'CREATE TABLE scratch.made AS EXECUTE s'],
    ['a prepared EXECUTE of an EXECUTE', 'PREPARE outer_one AS EXECUTE s'],
  ])('%s of a masked statement shows and keeps nothing', async (_title, sql) => {
    const agent = await stage.agent();
    await agent.rows(`PREPARE s AS ${personal}`);
    await agent.told(sql);
    await agent.toldExtended(sql);
    expect(await stage.gateway.sql("SELECT to_regclass('scratch.made') AS made")).toEqual([{ made: null }]);
    await expectSound(agent);
  });
});

describe('names that the server would cut short or not read', () => {
  // It keeps 63 bytes: what is closed under one longer name and defined under another is one thing to it.
  const stem = 'n'.repeat(63);
  const raw = (message: Buffer) => {
    message[message.indexOf('@')] = 0xfe;
    return message;
  };

  test.each([
    ['Parse', parse(plain, `${stem}A`)],
    ['Bind of a statement', bind({ statement: `${stem}A` })],
    ['Bind to a portal', Buffer.concat([parse(plain), bind({ portal: `${stem}A` })])],
    ['Describe', describePortal(`${stem}A`)],
    ['Execute', execute(`${stem}A`)],
    ['Close of a statement', closeStatement(`${stem}A`)],
    ['Close of a portal', closePortal(`${stem}A`)],
    ['Parse, with a name that is no UTF-8,', raw(parse(plain, '@'))],
    ['Bind, with a name that is no UTF-8,', raw(bind({ statement: '@' }))],
    ['Close, with a name that is no UTF-8,', raw(closeStatement('@'))],
  ])('%s ends the connection', async (_title, message) => {
    const agent = await stage.agent();
    agent.client.send(message, sync());
    const answer = await agent.client.untilClosed();
    expect(tell(answer)).toMatchObject({ types: expect.stringMatching(/E$/), code: 'operation_malformed' });
  });

  test('63 bytes are a name, and SQL’s longer one means the same', async () => {
    const agent = await stage.agent();
    await agent.extended(parse(plain, stem));
    await agent.rows(`DEALLOCATE ${stem}_and_more`);
    await agent.rows(`PREPARE ${stem}_of_another_kind AS ${personal}`);
    expect(await agent.extended(bind({ statement: stem }), execute())).toEqual(masked);
    expect(await agent.rows(`EXECUTE ${stem}xyz`)).toEqual(masked);
    await expectSound(agent);
  });
});

describe('a literal of an EXECUTE', () => {
  test('finds, and is not kept', async () => {
    const agent = await stage.agent();
    await agent.rows('PREPARE find(text) AS SELECT ssn FROM customers WHERE email = $1');
    expect(await agent.rows("EXECUTE find('ada.lindqvist@example.com')")).toEqual(masked);
    const statement = agent.name();
    await agent.extended(parse('SELECT ssn FROM customers WHERE email = $1', statement));
    const values = ['ada.lindqvist@example.com'];
    expect(await agent.extended(bind({ statement, values }), execute())).toEqual(masked);
    await expectSound(agent);
  });
});

test('a denial in the middle of a pipeline undoes what came before it in its group, and nothing else', async () => {
  const agent = await stage.agent();
  const insert = (line: string) => [parse(`INSERT INTO scratch.lines VALUES ('${line}')`), bind(), execute()];
  const answer = await pipeline(
    agent,
    3,
    ...insert('kept before'),
    sync(),
    ...insert('undone'),
    parse('SELECT purge()'),
    bind(),
    execute(),
    ...insert('skipped'),
    sync(),
    ...insert('kept after'),
    sync(),
  );
  expect(tell(answer)).toMatchObject({ types: '12CZ12CEZ12CZ', sqlstate: '42501', code: 'function_refused' });
  expect(tagsOf(answer)).toEqual(['INSERT 0 1', 'INSERT 0 1', 'INSERT 0 1']);
  expect(await stage.gateway.sql('SELECT line FROM scratch.lines ORDER BY line')).toEqual([
    { line: 'kept after' },
    { line: 'kept before' },
  ]);
  expect(stage.carried("'skipped'")).toBe(false);
  await expectSound(agent);
});

test('nothing that no agent may see was received, audited, recorded, logged or counted', async () => {
  expect(await stage.kept()).toEqual([]);
});

/**
 * PREPARE and DECLARE take effect when the server gets to them. What was sent right behind them was judged by what the
 * name had meant before, so that a masked query was answered without its masks.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { frontend, rowsOf } from '../support/wire-client.ts';
import { type Attacker, openAttacker, outcomeOf } from './leaks/attacker.ts';

let attacker: Attacker;
beforeAll(async () => {
  attacker = await openAttacker();
});
afterAll(() => attacker?.close());

const { query, parse, bind, execute, sync, copyData, copyDone } = frontend;

const plain = 'SELECT id, country FROM customers WHERE id = 1';
/** A set operation, so that the server does not say where its columns come from. */
const labelled = `SELECT id, ssn FROM customers WHERE id = 1 UNION ALL SELECT 0, 'x'`;
const masked = [
  ['1', '***4321'],
  ['0', '***'],
];

describe('a name that SQL gives another meaning, used in the same write', () => {
  test('is executed with the masks of what it means by then', async () => {
    const client = await attacker.connect();
    await client.query(`PREPARE s AS ${plain}`);
    client.send(query(`DEALLOCATE s; PREPARE s AS ${labelled}`), query('EXECUTE s'));
    expect(rowsOf(await client.untilReady(2))).toEqual(masked);
  });

  test('is fetched from with the masks of what it means by then', async () => {
    const client = await attacker.connect();
    await client.query(`BEGIN; DECLARE c CURSOR FOR ${plain}`);
    client.send(query(`CLOSE c; DECLARE c CURSOR FOR ${labelled}`), query('FETCH ALL FROM c'));
    expect(rowsOf(await client.untilReady(2))).toEqual(masked);
  });

  test('is bound with the masks of what it means by then, before any Sync', async () => {
    const client = await attacker.connect();
    await client.query(`PREPARE s AS ${plain}`);
    const run = (sql: string) => [parse(sql), bind(), execute()];
    client.send(
      ...run('DEALLOCATE s'),
      ...run(`PREPARE s AS ${labelled}`),
      bind({ statement: 's' }),
      execute(),
      sync(),
    );
    expect(rowsOf(await client.untilReady())).toEqual(masked);
  });

  test('is executed as a portal with the masks of what it means by then', async () => {
    const client = await attacker.connect();
    await client.query(`BEGIN; DECLARE c CURSOR FOR ${plain}`);
    client.send(query(`CLOSE c; DECLARE c CURSOR FOR ${labelled}`), execute('c'), sync());
    expect(rowsOf(await client.untilReady(2))).toEqual(masked);
  });

  test('means nothing after DISCARD ALL', async () => {
    const client = await attacker.connect();
    await client.query(`PREPARE s AS ${plain}`);
    client.send(query('DISCARD ALL'), query('EXECUTE s'));
    expect(outcomeOf(await client.untilReady(2))).toEqual({ rows: [], error: 'operation_incomplete' });
  });
});

describe('what names hold', () => {
  test('is bounded: portals with large parameters cannot fill the memory of the gateway', async () => {
    const client = await attacker.connect();
    await client.query('BEGIN');
    await client.extended(parse('SELECT $1::text', 'large'));
    const value = 'x'.repeat(15 * 1024 * 1024);
    const answers: (string | undefined)[] = [];
    for (const portal of ['a', 'b', 'c', 'd']) {
      answers.push(outcomeOf(await client.extended(bind({ statement: 'large', portal, values: [value] }))).error);
    }
    expect(answers).toEqual([undefined, undefined, undefined, 'limit_reached']);
    await client.query('ROLLBACK');
    const after = outcomeOf(
      await client.extended(bind({ statement: 'large', portal: 'e', values: ['y'] }), execute('e')),
    );
    expect(after).toEqual({ rows: [['y']], error: undefined });
  });
});

describe('COPY data in the same write as its COPY', () => {
  test('arrives, for each of several', async () => {
    const client = await attacker.connect();
    const copy = 'COPY scratch.notes (author, note) FROM STDIN';
    client.send(query(`${copy}; ${copy}`), copyData('a\tone\n'), copyDone(), copyData('a\ttwo\n'), copyDone());
    expect(outcomeOf(await client.untilReady()).error).toBeUndefined();
    client.send(
      query(copy),
      copyData('a\tthree\n'),
      copyDone(),
      query(`SELECT note FROM scratch.notes WHERE author = 'a'`),
    );
    expect(rowsOf(await client.untilReady(2))).toEqual([['one'], ['two'], ['three']]);
  });
});

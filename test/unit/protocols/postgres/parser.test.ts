import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { createParser, multipliedBytes, type Parser } from '../../../../proxy/protocols/postgres/parser.ts';

let parser: Parser;
beforeAll(async () => {
  parser = await createParser(18);
});
afterAll(() => parser.close());

const bytes = (text: string) => Buffer.from(text);
async function codeOf(sql: Uint8Array, by: Parser = parser): Promise<string> {
  const parsed = await by.parse(sql);
  return 'fault' in parsed ? parsed.fault.code : 'tree';
}

describe('a query string', () => {
  test('is parsed at once while it is short, and later while it is long', async () => {
    expect(parser.parse(bytes('SELECT 1'))).toHaveProperty('tree');
    const long = parser.parse(bytes(`SELECT '${'x'.repeat(limits.parserInThreadBytesMax)}'`));
    expect(long).toBeInstanceOf(Promise);
    expect(await long).toHaveProperty('tree');
  });

  test('without a statement has an empty tree', async () => {
    expect(parser.parse(bytes(''))).toEqual({ tree: { stmts: [] } });
    expect(await codeOf(bytes(' -- nothing\n;'))).toBe('tree');
  });

  test('that is no PostgreSQL is refused, in words that do not repeat it', async () => {
    const parsed = await parser.parse(bytes("SELEC 'secret'"));
    expect(parsed).toMatchObject({ fault: { code: 'operation_unparseable' } });
    if ('fault' in parsed) expect(parsed.fault.message).not.toMatch(/selec|secret/i);
  });

  test('with a NUL byte or invalid UTF-8 is refused: others would read it differently', async () => {
    expect(await codeOf(bytes('SELECT 1\0; DROP TABLE t'))).toBe('operation_malformed');
    expect(await codeOf(Buffer.from([0x53, 0xc3, 0x28]))).toBe('operation_malformed');
    expect(await codeOf(Buffer.from([0xed, 0xa0, 0x80]))).toBe('operation_malformed');
  });

  test('past the bound is refused unparsed', async () => {
    expect(await codeOf(Buffer.alloc(limits.sqlBytesMax + 1, 0x20))).toBe('operation_too_large');
    expect(await codeOf(bytes(`/*${'x'.repeat(limits.sqlBytesMax)}*/ DROP TABLE t`))).toBe('operation_too_large');
  });
});

describe('hostile nesting', () => {
  const chain = (terms: number) => `SELECT ${Array(terms).fill('1').join('+')}`;

  test('of twelve thousand terms leaves the parser as it was, however often it comes', async () => {
    for (let round = 0; round < 40; round++) {
      expect(['tree', 'operation_unparseable', 'operation_too_large']).toContain(await codeOf(bytes(chain(12_000))));
    }
    expect(await codeOf(bytes('SELECT 1'))).toBe('tree');
    expect(await codeOf(bytes(chain(12_000)))).toBe('tree');
  }, 60_000);

  test('that breaks the instance on this thread costs that statement alone', async () => {
    // A bound past what the main thread's stack takes, so that the break happens here.
    const reckless = await createParser(18, { ...limits, parserInThreadBytesMax: limits.sqlBytesMax });
    const exitCode = process.exitCode;
    for (let round = 0; round < 3; round++) {
      expect(await codeOf(bytes(chain(60_000)), reckless)).not.toBe('tree');
      expect(await codeOf(bytes('SELECT 1'), reckless)).toBe('tree');
    }
    expect(process.exitCode).toBe(exitCode);
    await reckless.close();
  }, 60_000);

  test.each([
    ['parentheses', `SELECT ${'('.repeat(3_900)}1${')'.repeat(3_900)}`],
    ['NOT', `SELECT ${'NOT '.repeat(2_000)}true`],
    ['minus', `SELECT ${'- '.repeat(4_000)}1`],
    ['subqueries', `SELECT ${'(SELECT '.repeat(880)}1${')'.repeat(880)}`],
    ['CASE', `SELECT ${'CASE WHEN '.repeat(300)}true${' THEN 1 END'.repeat(300)}`],
    ['comments', `${'/*'.repeat(2_000)}${'*/'.repeat(2_000)} SELECT 1`],
    ['brackets', `SELECT a${'[1]'.repeat(2_500)}`],
    ['array types', `SELECT 1::int${'[]'.repeat(3_900)}`],
  ])('of %s inside the bound for this thread is survived', async (_what, sql) => {
    expect(sql.length).toBeLessThanOrEqual(limits.parserInThreadBytesMax);
    await codeOf(bytes(sql));
    expect(await codeOf(bytes('SELECT 1'))).toBe('tree');
  });

  test('of a hundred thousand statements is answered', async () => {
    expect(await codeOf(bytes('SELECT 1;'.repeat(20_000)))).toBe('tree');
    expect(await codeOf(bytes('SELECT 1;'.repeat(100_000)))).toBe('operation_too_large');
  });

  test('of a source assigned to thousands of columns is not written out for each of them', async () => {
    const columns = (count: number) => Array(count).fill('a').join(',');
    const blown = (between: string) =>
      `UPDATE t SET (${columns(2_000)})${between}=(SELECT ${Array(1_900).fill('1').join(',')})`;
    for (const between of ['', ' ', '\n', '/*x*/', '/* /* ) */ x */', '--x)\n ', '/*/*/ */ */']) {
      expect(await codeOf(bytes(blown(between)))).toBe('operation_too_large');
    }
    expect(await codeOf(bytes('UPDATE t SET (a, b) = (SELECT 1, 2)'))).toBe('tree');
    expect(multipliedBytes(bytes(`SELECT 1 WHERE x = 2 AND (${columns(9)}) IN (SELECT 1)`))).toBe(0);
  });
});

describe('the worker', () => {
  const long = (text: string) => bytes(`${text}${' '.repeat(limits.parserInThreadBytesMax)}`);

  test('answers each query string with its own tree', async () => {
    const answers = await Promise.all([1, 2, 3].map((each) => parser.parse(long(`SELECT ${each}00`))));
    expect(answers.map((each) => JSON.stringify(each).match(/"ival":(\d)00/)?.[1])).toEqual(['1', '2', '3']);
  });

  test('keeps its own copy of a text whose bytes are used again', async () => {
    const text = long('SELECT 1');
    const parsed = parser.parse(text);
    text.fill(0x78);
    expect(await parsed).toHaveProperty('tree');
  });

  test('is ended when it takes too long, and the next query string gets a new one', async () => {
    const impatient = await createParser(18, { ...limits, parserTimeoutMs: 0 });
    expect(await codeOf(long('SELECT 1'), impatient)).toBe('operation_too_large');
    await impatient.close();
    const patient = await createParser(18, { ...limits, parserInThreadBytesMax: 0 });
    expect(await codeOf(bytes('SELECT 1'), patient)).toBe('tree');
    await patient.close();
  });

  test('has a bounded queue in front of it', async () => {
    const narrow = await createParser(18, { ...limits, parserQueueMax: 1, parserInThreadBytesMax: 0 });
    const codes = await Promise.all([1, 2, 3, 4].map((each) => codeOf(bytes(`SELECT ${each}`), narrow)));
    expect(codes).toEqual(['tree', 'tree', 'limit_reached', 'limit_reached']);
    await narrow.close();
  });

  test('owes nothing once the parser is closed', async () => {
    const closing = await createParser(18, { ...limits, parserInThreadBytesMax: 0 });
    const owed = codeOf(bytes('SELECT 1'), closing);
    await closing.close();
    expect(await owed).toBe('internal_error');
    expect(await codeOf(bytes('SELECT 1'), closing)).toBe('internal_error');
  });

  test('does not let a tree past its bound', async () => {
    const small = await createParser(18, { ...limits, parserTreeBytesMax: 100 });
    expect(await codeOf(bytes('SELECT 1, 2, 3, 4, 5, 6, 7, 8'), small)).toBe('operation_unparseable');
    expect(await codeOf(long('SELECT 1, 2, 3, 4, 5, 6, 7, 8'), small)).toBe('operation_unparseable');
    await small.close();
  });
});

test.each([15, 16, 17, 18])('the grammar is that of the server: %i', async (major) => {
  const own = await createParser(major);
  expect(await codeOf(bytes('SELECT * FROM t WHERE a = 1'), own)).toBe('tree');
  const merge = bytes('MERGE INTO t USING s ON true WHEN NOT MATCHED BY SOURCE THEN DELETE');
  expect(await codeOf(merge, own)).toBe(major >= 17 ? 'tree' : 'operation_unparseable');
  await own.close();
});

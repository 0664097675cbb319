import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createMasker } from '../../../../proxy/core/masker.ts';
import type { CopyOptions } from '../../../../proxy/protocols/postgres/classification.ts';
import { conditions } from '../../../../proxy/protocols/postgres/mask/sqlstates.ts';
import { oids, typeConstant } from '../../../../proxy/protocols/postgres/mask/types.ts';
import { type ColumnMask, compileCopyMask, compileRowMask } from '../../../../proxy/protocols/postgres/mask.ts';
import { type PostgresServer, startPostgres } from '../../../support/postgres.ts';
import {
  connectWire,
  copyDataOf,
  dataRowCells,
  frontend,
  message,
  rowDescriptionColumns,
  rowsOf,
  type WireClient,
} from '../../../support/wire-client.ts';

let server: PostgresServer;
let client: WireClient;

beforeAll(async () => {
  server = await startPostgres();
  client = await connectWire({ ...server, database: 'postgres' });
});

afterAll(async () => {
  await client?.end();
  await server?.stop();
});

const masker = createMasker({ key: Buffer.alloc(32, 7) });
const keepLast: ColumnMask = { kind: 'method', method: { method: 'keep_last', count: 2 } };

/** The first row of a query without parameters, in one format. */
async function cells(sql: string, format: 0 | 1): Promise<(Buffer | null)[]> {
  const messages = await client.extended(
    frontend.parse(sql),
    frontend.bind({ resultFormats: [format] }),
    frontend.execute(),
  );
  const row = messages.find(({ type }) => type === 'D');
  if (row === undefined) throw new Error(`no row from ${sql}`);
  return dataRowCells(row.body);
}

test.each([
  'bool',
  'bytea',
  'int8',
  'int2',
  'int4',
  'oid',
  'cidr',
  'float4',
  'float8',
  'macaddr8',
  'macaddr',
  'inet',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
  'timetz',
  'numeric',
  'uuid',
])('the constant of %s is what the server itself sends for it, in both formats', async (type) => {
  const [oid] = rowsOf(await client.query(`SELECT '${type}'::regtype::oid`))[0] ?? [];
  const text = Buffer.from(typeConstant(Number(oid), 0) ?? []).toString();
  await client.query("SET timezone TO 'UTC'");
  for (const format of [0, 1] as const) {
    const [cell] = await cells(`SELECT '${text}'::${type}`, format);
    expect(cell?.toString('hex')).toBe(Buffer.from(typeConstant(Number(oid), format) ?? [1]).toString('hex'));
  }
});

test('the server reads a masked jsonb in the binary format', async () => {
  const row = (
    await client.extended(
      frontend.parse(`SELECT '{"ssn": "123-45-6789"}'::jsonb`),
      frontend.bind({ resultFormats: [1] }),
      frontend.execute(),
    )
  ).find(({ type }) => type === 'D');
  const mask = compileRowMask(
    [{ kind: 'method', method: { method: 'redact_pattern', pattern: '[0-9-]{11}', value: '#' } }],
    [{ typeOid: oids.jsonb, format: 1 }],
    masker,
  );
  const input = message('D', row?.body ?? Buffer.alloc(0));
  const masked = 'fault' in mask ? mask : mask.apply(input, 0, input.length);
  if ('fault' in masked) throw new Error(masked.fault);
  const [cell] = dataRowCells(masked.output.subarray(5));
  const back = await client.extended(
    frontend.parse('SELECT $1::jsonb'),
    frontend.bind({ values: [cell ?? null], formats: [1] }),
    frontend.execute(),
  );
  expect(rowsOf(back)).toEqual([['{"ssn": "#"}']]);
});

describe('COPY as the server writes it', () => {
  const values = [
    'plain',
    '',
    null,
    'tab\there',
    'line\nfeed',
    'return\r',
    '\\',
    '\\N',
    'N',
    '\\.',
    '.',
    '"',
    '""',
    '"q"',
    "'",
    'a,b',
    'a;b',
    'a|b',
    'a]b^c',
    'é😀',
    ' lead',
    'trail ',
    '123-45-6789',
    'NULL',
    '\b\f\v',
    '"\n"',
    ',',
    ',,"',
    "';\\",
    'x\\',
  ];

  beforeAll(async () => {
    await client.query('CREATE TEMP TABLE source (at int, a text, ssn text, b text)');
    const rows = values.map((_, at) => [at, values[(at * 7) % 30], values[at], values[(at * 11 + 3) % 30]]);
    const literal = (value: unknown): string =>
      value === null ? 'NULL' : typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`;
    await client.query(`INSERT INTO source VALUES ${rows.map((row) => `(${row.map(literal).join(', ')})`).join(', ')}`);
    await client.query('CREATE TEMP TABLE target (LIKE source)');
  });

  const text: CopyOptions = {
    format: 'text',
    delimiter: '\t',
    nullText: '\\N',
    header: false,
    quote: '"',
    escape: '"',
    unknown: false,
  };
  const csv: CopyOptions = { ...text, format: 'csv', delimiter: ',', nullText: '' };

  test.each<[string, CopyOptions, string]>([
    ['FORMAT text', text, ''],
    ["FORMAT text, DELIMITER '|'", { ...text, delimiter: '|' }, ''],
    ["FORMAT text, DELIMITER ']', HEADER", { ...text, delimiter: ']', header: true }, ''],
    ["FORMAT text, DELIMITER 'Z'", { ...text, delimiter: 'Z' }, ''],
    ["FORMAT text, NULL 'x\\y'", { ...text, nullText: 'x\\y' }, ''],
    ['FORMAT csv', csv, ''],
    ['FORMAT csv, HEADER', { ...csv, header: true }, ''],
    ['FORMAT csv, FORCE_QUOTE *', csv, 'FORMAT csv'],
    [
      "FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'NULL'",
      { ...csv, delimiter: ';', quote: "'", escape: '\\', nullText: 'NULL' },
      '',
    ],
    ["FORMAT csv, ESCAPE ','", { ...csv, escape: ',' }, ''],
    ["FORMAT csv, NULL '\\.'", { ...csv, nullText: '\\.' }, ''],
    ["FORMAT csv, QUOTE 'a', DELIMITER 'b'", { ...csv, quote: 'a', escape: 'a', delimiter: 'b' }, ''],
  ])('(%s) is masked, and read back by the server', async (written, options, read) => {
    const out = await client.query(`COPY source TO STDOUT (${written})`);
    const mask = compileCopyMask([undefined, undefined, keepLast, undefined], [23, 25, 25, 25], options, masker);
    if ('fault' in mask) throw new Error(mask.fault);
    const input = Buffer.concat(out.filter(({ type }) => type === 'd').map(({ body }) => frontend.copyData(body)));
    const masked = mask.apply(input, 0, input.length);
    if ('fault' in masked) throw new Error(masked.fault);
    expect(mask.finish()).toBeUndefined();
    expect(masked.rows).toBe(values.length);

    await client.query('TRUNCATE target');
    client.send(frontend.query(`COPY target FROM STDIN (${read || written})`), masked.output, frontend.copyDone());
    await client.untilReady();
    const expected = values.map((value, at) => {
      const isNull = value === null && (options.format === 'csv' || options.nullText === '\\N');
      // A NULL text that a value can have too is masked like that value.
      const shown = isNull ? null : masker.apply({ method: 'keep_last', count: 2 }, value ?? 'xy');
      return [String(at), values[(at * 7) % 30], shown, values[(at * 11 + 3) % 30]];
    });
    expect(rowsOf(await client.query('SELECT * FROM target ORDER BY at'))).toEqual(expected);
  });

  test('a NULL text that would swallow the delimiter is refused, for the server does write it', async () => {
    const raw = copyDataOf(await client.query("COPY (SELECT NULL, 'ssn') TO STDOUT (NULL 'x\\')")).toString();
    expect(raw).toBe('x\\\tssn\n');
    const options = { ...text, nullText: 'x\\' };
    expect(compileCopyMask([undefined, keepLast], [25, 25], options, masker)).toEqual({ fault: expect.any(String) });
  });
});

test('a domain is sent as its base type, so that its mask is that of the base type', async () => {
  await client.query('CREATE DOMAIN pg_temp.us_ssn AS text');
  const out = await client.query("SELECT '123-45-6789'::pg_temp.us_ssn");
  const description = out.find(({ type }) => type === 'T');
  expect(rowDescriptionColumns(description?.body ?? Buffer.alloc(2))[0]?.typeOid).toBe(25);
});

test('conditions are known by the names that PL/pgSQL gives them', async () => {
  const out = await client.query(
    `DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN ${conditions.get('22012')} THEN RAISE EXCEPTION 'caught'; END $$`,
  );
  expect(out.some(({ type, body }) => type === 'E' && body.includes('caught'))).toBe(true);
});

import { describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { limits } from '../../../../proxy/core/limits.ts';
import { createMasker } from '../../../../proxy/core/masker.ts';
import type { MaskMethod } from '../../../../proxy/core/types.ts';
import {
  type ColumnFormat,
  type ColumnMask,
  compileRowMask,
  type RowMask,
} from '../../../../proxy/protocols/postgres/mask.ts';

const masker = createMasker({ key: Buffer.alloc(32, 7) });

type Cell = Buffer | null;

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function dataRow(cells: readonly Cell[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeUInt16BE(cells.length);
  const fields = cells.flatMap((cell) => (cell === null ? [int32(-1)] : [int32(cell.length), cell]));
  const body = Buffer.concat([count, ...fields]);
  return Buffer.concat([Buffer.from('D'), int32(body.length + 4), body]);
}

/** The naive decoder: whole messages into cells. */
function decode(bytes: Buffer): Cell[][] {
  const rows: Cell[][] = [];
  let at = 0;
  while (at < bytes.length) {
    expect(bytes.toString('latin1', at, at + 1)).toBe('D');
    const end = at + 1 + bytes.readInt32BE(at + 1);
    const cells: Cell[] = [];
    let cell = at + 7;
    for (let count = bytes.readUInt16BE(at + 5); count > 0; count--) {
      const size = bytes.readInt32BE(cell);
      cells.push(size < 0 ? null : Buffer.from(bytes.subarray(cell + 4, cell + 4 + size)));
      cell += 4 + Math.max(size, 0);
    }
    expect(cell).toBe(end);
    rows.push(cells);
    at = end;
  }
  return rows;
}

function compiled(plan: (ColumnMask | undefined)[], columns: ColumnFormat[], textOids?: Set<number>): RowMask {
  const mask = compileRowMask(plan, columns, masker, { textOids });
  if ('fault' in mask) throw new Error(mask.fault);
  return mask;
}

function method(mask: MaskMethod): ColumnMask {
  return { kind: 'method', method: mask };
}

function applied(mask: RowMask, input: Buffer): { rows: Cell[][]; count: number; cells: number } {
  const result = mask.apply(input, 0, input.length);
  if ('fault' in result) throw new Error(result.fault);
  return { rows: decode(result.output), count: result.rows, cells: result.cells };
}

const text: ColumnFormat = { typeOid: 25, format: 0 };
const keepLast = method({ method: 'keep_last', count: 4 });

describe('masking rows', () => {
  test('equals a naive decode, mask and encode on generated rows', () => {
    let state = 20261122;
    const next = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const methods: (MaskMethod | undefined)[] = [
      undefined,
      undefined,
      { method: 'null' },
      { method: 'replace', value: 'x'.repeat(100) },
      { method: 'replace', value: '' },
      { method: 'hash' },
      { method: 'keep_last', count: 2 },
      { method: 'redact_pattern', pattern: '[0-9]+', value: '###########' },
    ];
    for (let round = 0; round < 300; round++) {
      const chosen = Array.from({ length: next(6) }, () => methods[next(methods.length)]);
      const mask = compiled(
        chosen.map((one) => (one === undefined ? undefined : method(one))),
        chosen.map(() => text),
      );
      const rows = Array.from({ length: next(20) }, () =>
        chosen.map(() => (next(5) === 0 ? null : Buffer.from('a1é😀-2'.repeat(next(4)) + String(next(1000))))),
      );
      let cells = 0;
      const expected = rows.map((row) =>
        row.map((cell, column) => {
          const one = chosen[column];
          if (one === undefined || (cell === null && one.method !== 'null' && one.method !== 'replace')) return cell;
          cells++;
          const value = masker.apply(one, cell?.toString() ?? '');
          return value === null ? null : Buffer.from(value);
        }),
      );
      const noise = Buffer.alloc(next(9), 1);
      const body = Buffer.concat(rows.map(dataRow));
      const result = mask.apply(Buffer.concat([noise, body, noise]), noise.length, noise.length + body.length);
      if ('fault' in result) throw new Error(result.fault);
      expect(decode(result.output)).toEqual(expected);
      expect(result).toMatchObject({ rows: rows.length, cells });
    }
  });

  test('the input is left as it was', () => {
    const input = dataRow([Buffer.from('123456789')]);
    const copy = Buffer.from(input);
    applied(compiled([keepLast], [text]), input);
    expect(input).toEqual(copy);
  });

  test('a constant mask hides as well which cells were NULL, and a value mask leaves NULL alone', () => {
    const mask = compiled([method({ method: 'replace', value: 'x' }), keepLast], [text, text]);
    expect(applied(mask, dataRow([null, null]))).toEqual({ rows: [[Buffer.from('x'), null]], count: 1, cells: 1 });
  });

  test('a derived column is NULL whatever its type', () => {
    const derived: ColumnMask = { kind: 'derived' };
    const mask = compiled([derived, derived], [text, { typeOid: 23, format: 1 }]);
    expect(applied(mask, dataRow([Buffer.from('secret'), int32(7)])).rows).toEqual([[null, null]]);
  });

  test('a value past the bound is hidden whole', () => {
    const value = Buffer.alloc(limits.maskedValueBytesMax + 1, '1');
    expect(applied(compiled([keepLast], [text]), dataRow([value])).rows).toEqual([[Buffer.from('***')]]);
  });

  test('bytes that are no UTF-8 are masked all the same', () => {
    const rows = applied(
      compiled([keepLast], [text]),
      dataRow([Buffer.from([0xff, 0xc3, 0x28, 0xff, 0x80, 0xfe])]),
    ).rows;
    expect(rows[0]?.[0]?.toString()).toBe('***(\ufffd\ufffd\ufffd');
  });

  test('a result without masks is known to be one', () => {
    expect(compiled([undefined], [text]).identity).toBe(true);
    expect(compiled([undefined, keepLast], [text, text]).identity).toBe(false);
  });

  test('nothing at all gives nothing', () => {
    expect(applied(compiled([keepLast], [text]), Buffer.alloc(0))).toEqual({ rows: [], count: 0, cells: 0 });
  });
});

describe('rows that are not what was promised', () => {
  const mask = compiled([undefined, keepLast], [text, text]);
  const good = dataRow([Buffer.from('a'), Buffer.from('123456789')]);
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good);
    change(bytes);
    return bytes;
  };

  test.each<[string, Buffer]>([
    ['another message', changed((bytes) => bytes.write('C', 0))],
    ['a length of 0', changed((bytes) => bytes.writeInt32BE(0, 1))],
    ['a length of 5', changed((bytes) => bytes.writeInt32BE(5, 1))],
    ['a negative length', changed((bytes) => bytes.writeInt32BE(-1, 1))],
    ['a length past the end', changed((bytes) => bytes.writeInt32BE(good.length, 1))],
    ['the largest length', changed((bytes) => bytes.writeInt32BE(0x7fffffff, 1))],
    ['fewer columns', changed((bytes) => bytes.writeUInt16BE(1, 5))],
    ['more columns', changed((bytes) => bytes.writeUInt16BE(3, 5))],
    ['no columns', changed((bytes) => bytes.writeUInt16BE(0, 5))],
    ['65535 columns', changed((bytes) => bytes.writeUInt16BE(65535, 5))],
    ['a cell of length −2', changed((bytes) => bytes.writeInt32BE(-2, 7))],
    ['the smallest length of a cell', changed((bytes) => bytes.writeInt32BE(-0x80000000, 7))],
    ['the largest length of a cell', changed((bytes) => bytes.writeInt32BE(0x7fffffff, 7))],
    ['a cell that ends past its row', changed((bytes) => bytes.writeInt32BE(100, 7))],
    ['a masked cell that ends past its row', changed((bytes) => bytes.writeInt32BE(10, 12))],
    ['a NULL with a value behind it', changed((bytes) => bytes.writeInt32BE(-1, 12))],
    ['bytes behind the last cell', changed((bytes) => bytes.writeInt32BE(8, 12))],
  ])('%s is a fault, alone and behind a good row', (_, bad) => {
    expect(mask.apply(bad, 0, bad.length)).toEqual({ fault: expect.any(String) });
    const both = Buffer.concat([good, bad, good]);
    expect(mask.apply(both, 0, both.length)).toEqual({ fault: expect.any(String) });
  });

  test('a row cut anywhere is a fault', () => {
    for (let end = 1; end < good.length; end++) {
      expect(mask.apply(good, 0, end)).toEqual({ fault: expect.any(String) });
    }
  });

  test('a row past the bound is a fault', () => {
    const row = dataRow([Buffer.alloc(limits.maskedRowBytesMax), Buffer.from('x')]);
    expect(mask.apply(row, 0, row.length)).toEqual({ fault: expect.any(String) });
  });

  test('a plan for another number of columns is a fault', () => {
    expect(compileRowMask([keepLast], [text, text], masker)).toEqual({ fault: expect.any(String) });
  });
});

describe('masked cells are values of their type', () => {
  const int8 = (value: string): unknown => value;
  const types: [name: string, oid: number, value: unknown][] = [
    ['bool', 16, false],
    ['int8', 20, int8('0')],
    ['int2', 21, 0],
    ['int4', 23, 0],
    ['oid', 26, 0],
    ['float4', 700, 0],
    ['float8', 701, 0],
  ];
  // Parsers by OID and format, as node-postgres has them.
  const parse = (oid: number, format: 0 | 1, cell: Cell | undefined): unknown => {
    if (cell === null || cell === undefined) return null;
    return format === 0
      ? pg.types.getTypeParser(oid, 'text')(cell.toString())
      : pg.types.getTypeParser(oid, 'binary')(cell);
  };
  const masked = (oid: number, format: 0 | 1, mask: ColumnMask, value: Buffer): Cell | undefined =>
    applied(compiled([mask], [{ typeOid: oid, format }]), dataRow([value])).rows[0]?.[0];

  for (const one of ['keep_last', 'hash', 'replace'] as const) {
    const mask = method(
      one === 'keep_last' ? { method: one, count: 2 } : one === 'hash' ? { method: one } : { method: one, value: 'x' },
    );
    test.each(types)(`%s under ${one}, in both formats`, (_, oid, value) => {
      expect(parse(oid, 0, masked(oid, 0, mask, Buffer.from('9')))).toEqual(value);
      expect(parse(oid, 1, masked(oid, 1, mask, Buffer.alloc(8, 1)))).toEqual(value);
    });
  }

  test.each([
    ['date', 1082, '2000-01-01', 4],
    ['time', 1083, '00:00:00', 8],
    ['timestamp', 1114, '2000-01-01 00:00:00', 8],
    ['timestamptz', 1184, '2000-01-01 00:00:00+00', 8],
    ['interval', 1186, '00:00:00', 16],
    ['timetz', 1266, '00:00:00+00', 12],
    ['numeric', 1700, '0', 8],
    ['uuid', 2950, '00000000-0000-0000-0000-000000000000', 16],
    ['bytea', 17, '\\x', 0],
    ['macaddr', 829, '00:00:00:00:00:00', 6],
    ['macaddr8', 774, '00:00:00:00:00:00:00:00', 8],
  ])('%s is its zero in both formats', (_, oid, expected, size) => {
    expect(masked(oid, 0, keepLast, Buffer.from('something'))?.toString()).toBe(expected);
    expect(masked(oid, 1, keepLast, Buffer.from('something'))).toEqual(Buffer.alloc(size));
  });

  test.each([
    ['int4[]', 1007],
    ['text[]', 1009],
    ['record', 2249],
    ['int4range', 3904],
    ['money', 790],
    ['an enum, or anything installed', 70000],
    ['nothing', 0],
  ])('%s is NULL in both formats', (_, oid) => {
    expect(masked(oid, 0, keepLast, Buffer.from('{1}'))).toBeNull();
    expect(masked(oid, 1, keepLast, Buffer.from('{1}'))).toBeNull();
  });

  test.each([19, 25, 142, 705, 1042, 1043])('text type %i is masked alike in both formats', (oid) => {
    expect(masked(oid, 0, keepLast, Buffer.from('123456789'))?.toString()).toBe('***6789');
    expect(masked(oid, 1, keepLast, Buffer.from('123456789'))?.toString()).toBe('***6789');
  });

  test('an installed text type that the catalog named is masked as text', () => {
    const mask = compiled([keepLast], [{ typeOid: 70000, format: 1 }], new Set([70000]));
    expect(applied(mask, dataRow([Buffer.from('123456789')])).rows[0]?.[0]?.toString()).toBe('***6789');
  });

  describe.each([
    ['json', 114, 0, ''],
    ['json', 114, 1, ''],
    ['jsonb', 3802, 0, ''],
    ['jsonb', 3802, 1, '\x01'],
  ] as const)('%s (%i) in format %i', (_, oid, format, version) => {
    const run = (mask: MaskMethod, value: string): unknown => {
      const cell = masked(oid, format, method(mask), Buffer.from(version + value));
      if (cell === null || cell === undefined) return undefined;
      expect(cell.toString().startsWith(version)).toBe(true);
      return JSON.parse(cell.toString().slice(version.length));
    };
    const ssn: MaskMethod = { method: 'redact_pattern', pattern: '[0-9]{3}-[0-9]{2}-[0-9]{4}', value: '#' };

    test('a replacement is JSON as it stands, or a JSON string', () => {
      expect(run({ method: 'replace', value: '{"a":1}' }, '{"b":2}')).toEqual({ a: 1 });
      expect(run({ method: 'replace', value: '"***"' }, '{"b":2}')).toBe('***');
      expect(run({ method: 'replace', value: '***' }, '{"b":2}')).toBe('***');
    });

    test('a hash and a part are JSON strings', () => {
      expect(run({ method: 'hash' }, '{"b":2}')).toBe(masker.keyedHash('{"b":2}'));
      expect(run({ method: 'keep_last', count: 2 }, '"ab"')).toBe('***b"');
    });

    test('a pattern is redacted inside the document, whatever way it is escaped', () => {
      expect(run(ssn, '{"a":"123-45-6789","b":"\\n\\"1"}')).toEqual({ a: '#', b: '\n"1' });
      expect(run(ssn, '{"a":"\\u0031\\u00323-45-6789\\\\u0031"}')).toEqual({ a: '#\\u0031' });
    });

    test('where redacting breaks the document the result is a string', () => {
      expect(run({ method: 'redact_pattern', pattern: '[0-9]+', value: '#' }, '{"a":1}')).toBe('{"a":#}');
    });
  });
});

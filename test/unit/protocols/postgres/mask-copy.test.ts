import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { createMasker } from '../../../../proxy/core/masker.ts';
import type { MaskMethod } from '../../../../proxy/core/types.ts';
import type { CopyOptions } from '../../../../proxy/protocols/postgres/classification.ts';
import { type ColumnMask, type CopyMask, compileCopyMask } from '../../../../proxy/protocols/postgres/mask.ts';

const masker = createMasker({ key: Buffer.alloc(32, 7) });

const textOptions: CopyOptions = {
  format: 'text',
  delimiter: '\t',
  nullText: '\\N',
  header: false,
  quote: '"',
  escape: '"',
  unknown: false,
};
const csvOptions: CopyOptions = { ...textOptions, format: 'csv', delimiter: ',', nullText: '' };

type Value = string | null;

const letters: Record<string, string> = {
  '\b': 'b',
  '\f': 'f',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
  '\v': 'v',
  '\\': '\\',
};

/** The row as PostgreSQL writes it. */
function encode(row: readonly Value[], options: CopyOptions): string {
  const { delimiter, nullText, quote, escape: escaping } = options;
  const fields = row.map((value) => {
    if (value === null) return nullText;
    if (options.format === 'text') {
      return Array.from(value, (char) =>
        letters[char] !== undefined ? `\\${letters[char]}` : char === delimiter ? `\\${char}` : char,
      ).join('');
    }
    const special = [delimiter, quote, '\n', '\r'].some((char) => value.includes(char));
    if (!special && value !== nullText && value !== '\\.') return value;
    return (
      quote +
      Array.from(value, (char) => (char === quote || char === escaping ? escaping + char : char)).join('') +
      quote
    );
  });
  return `${fields.join(delimiter)}\n`;
}

/** Reads rows back the way COPY FROM does, without masks. */
function decode(data: string, options: CopyOptions): Value[][] {
  const rows: Value[][] = [];
  let row: Value[] = [];
  for (let at = 0; at < data.length; at++) {
    let raw = '';
    let value = '';
    let quoted = false;
    let inside = false;
    for (; ; at++) {
      const char = data[at] ?? '';
      const next = data[at + 1];
      if (at >= data.length) throw new Error('the data ends inside a row');
      if (options.format === 'text' && char === '\\') {
        value += Object.entries(letters).find(([, letter]) => letter === next)?.[0] ?? next;
        raw += char + next;
        at++;
      } else if (inside && char === options.escape && (next === options.quote || next === options.escape)) {
        value += next;
        at++;
      } else if (options.format === 'csv' && char === options.quote) {
        inside = !inside;
        quoted = true;
      } else if (!inside && (char === options.delimiter || char === '\n')) {
        row.push(!quoted && (options.format === 'text' ? raw : value) === options.nullText ? null : value);
        if (char === '\n') rows.push(row.splice(0));
        break;
      } else {
        value += char;
        raw += char;
      }
    }
  }
  row = [];
  return rows;
}

function copyData(payload: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.write('d');
  header.writeInt32BE(payload.length + 4, 1);
  return Buffer.concat([header, payload]);
}

function payloads(bytes: Buffer): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    expect(bytes.toString('latin1', at, at + 1)).toBe('d');
    const end = at + 1 + bytes.readInt32BE(at + 1);
    expect(end).toBeLessThanOrEqual(bytes.length);
    out.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return out;
}

function method(mask: MaskMethod): ColumnMask {
  return { kind: 'method', method: mask };
}

function compiled(plan: (ColumnMask | undefined)[], options: CopyOptions, oids = plan.map(() => 25)): CopyMask {
  const mask = compileCopyMask(plan, oids, options, masker);
  if ('fault' in mask) throw new Error(mask.fault);
  return mask;
}

/** Runs each group of payloads through one call. */
function run(
  mask: CopyMask,
  groups: readonly (readonly Uint8Array[])[],
): { data: string; parts: string[]; rows: number; cells: number } {
  const parts: Buffer[] = [];
  let rows = 0;
  let cells = 0;
  for (const group of groups) {
    const input = Buffer.concat(group.map(copyData));
    const result = mask.apply(input, 0, input.length);
    if ('fault' in result) throw new Error(result.fault);
    parts.push(...payloads(result.output));
    rows += result.rows;
    cells += result.cells;
  }
  expect(mask.finish()).toBeUndefined();
  return { data: Buffer.concat(parts).toString(), parts: parts.map(String), rows, cells };
}

const dialects: [string, CopyOptions][] = [
  ['text', textOptions],
  ['text with a pipe', { ...textOptions, delimiter: '|' }],
  ['text with a bracket', { ...textOptions, delimiter: ']' }],
  ['text with a caret', { ...textOptions, delimiter: '^' }],
  ['csv', csvOptions],
  ['csv with odd characters', { ...csvOptions, delimiter: ';', quote: "'", escape: '\\', nullText: 'NULL' }],
  ['csv with a tab', { ...csvOptions, delimiter: '\t', nullText: '\\N' }],
  ['csv whose escape is its delimiter', { ...csvOptions, escape: ',' }],
];

const values: Value[] = [
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
  '\\\\',
  '"',
  '""',
  '"quoted"',
  "'",
  "''",
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
];

describe.each(dialects)('COPY %s', (_, options) => {
  const plan = [
    undefined,
    method({ method: 'keep_last', count: 2 }),
    method({ method: 'replace', value: 'a"\'\n\t\\,;|]^b' }),
    method({ method: 'null' }),
    undefined,
  ];
  const rows = values.map((_value, at) =>
    [0, 1, 2, 3, 4].map((shift) => values[(at * 7 + shift * 5) % values.length] ?? null),
  );
  const expected = rows.map((row) => [
    row[0] ?? null,
    row[1] === null || row[1] === undefined ? null : masker.apply({ method: 'keep_last', count: 2 }, row[1]),
    'a"\'\n\t\\,;|]^b',
    null,
    row[4] ?? null,
  ]);
  const lines = rows.map((row) => Buffer.from(encode(row, options)));

  test('one row a message, each stays a message', () => {
    const result = run(compiled(plan, options), [lines]);
    expect(decode(result.data, options)).toEqual(expected);
    expect(result.parts).toHaveLength(rows.length);
    expect(result.parts.every((part) => part.endsWith('\n'))).toBe(true);
    expect(result.rows).toBe(rows.length);
    expect(result.cells).toBe(2 * rows.length + rows.filter((row) => row[1] !== null).length);
  });

  test('split at every byte offset, in one call and in two', () => {
    const data = Buffer.concat(lines);
    const whole = run(compiled(plan, options), [lines]).data;
    for (let at = 0; at <= data.length; at++) {
      const parts = [data.subarray(0, at), data.subarray(at)];
      expect(run(compiled(plan, options), [parts]).data).toBe(whole);
      expect(
        run(
          compiled(plan, options),
          parts.map((part) => [part]),
        ).data,
      ).toBe(whole);
    }
  });

  test('one byte a message', () => {
    const bytes = Array.from(Buffer.concat(lines), (byte) => Uint8Array.of(byte));
    const whole = run(compiled(plan, options), [lines]).data;
    expect(run(compiled(plan, options), [bytes]).data).toBe(whole);
    expect(
      run(
        compiled(plan, options),
        bytes.map((byte) => [byte]),
      ).data,
    ).toBe(whole);
  });

  test('the header is left alone', () => {
    const data = Buffer.from(encode(['id', 'ssn', 'card', 'note', 'x\ny'], options) + Buffer.concat(lines).toString());
    const result = run(compiled(plan, { ...options, header: true }), [[data]]);
    expect(decode(result.data, options)).toEqual([['id', 'ssn', 'card', 'note', 'x\ny'], ...expected]);
    expect(result.rows).toBe(rows.length);
  });

  test('a row with another number of columns is a fault', () => {
    for (const row of [['a', 'b', 'c', 'd'], ['a', 'b', 'c', 'd', 'e', 'f'], []]) {
      const input = copyData(Buffer.from(encode(row, options)));
      expect(compiled(plan, options).apply(input, 0, input.length)).toEqual({ fault: expect.any(String) });
    }
  });

  test('data that ends inside a row is a fault', () => {
    const mask = compiled(plan, options);
    const input = copyData(Buffer.from(encode(['a', 'b', 'c', 'd', 'e'], options).slice(0, -1)));
    mask.apply(input, 0, input.length);
    expect(mask.finish()).toEqual({ fault: expect.any(String) });
  });
});

describe('a masked field', () => {
  const keepLast = method({ method: 'keep_last', count: 2 });

  test('past the bound is hidden whole, in one message or many', () => {
    const field = Buffer.alloc(limits.maskedValueBytesMax + 1, 'x');
    const whole = Buffer.concat([Buffer.from('a\t'), field, Buffer.from('\tb\n')]);
    const parts = [0, 1, 2, 3].map((at) => whole.subarray(at * 300_000, at === 3 ? undefined : (at + 1) * 300_000));
    for (const groups of [[[whole]], [parts], parts.map((part) => [part])]) {
      expect(run(compiled([undefined, keepLast, undefined], textOptions), groups).data).toBe('a\t***\tb\n');
    }
  });

  test('of a type that is not text becomes the constant of its type', () => {
    const plan = [keepLast, keepLast, keepLast];
    const data = Buffer.from('1234\t2020-02-02\t{1,2}\n');
    expect(run(compiled(plan, textOptions, [23, 1082, 1007]), [[data]]).data).toBe('0\t2000-01-01\t\\N\n');
  });

  test('that is bytea is still escaped', () => {
    expect(run(compiled([keepLast], textOptions, [17]), [[Buffer.from('\\\\xdead\n')]]).data).toBe('\\\\x\n');
  });

  test('equal to a NULL text of the client’s choice is masked like any other', () => {
    const options = { ...textOptions, nullText: '123-45-6789' };
    expect(run(compiled([keepLast], options), [[Buffer.from('123-45-6789\n')]]).data).toBe('***89\n');
  });
});

describe('COPY under which masks cannot be proven', () => {
  const masked = [method({ method: 'hash' })];
  test.each<[string, CopyOptions]>([
    ['binary', { ...textOptions, format: 'binary' }],
    ['unknown options', { ...textOptions, unknown: true }],
    ['an empty delimiter', { ...textOptions, delimiter: '' }],
    ['a long delimiter', { ...textOptions, delimiter: '||' }],
    ['a delimiter past ASCII', { ...textOptions, delimiter: 'é' }],
    ['a backslash as delimiter', { ...textOptions, delimiter: '\\' }],
    ['a letter as delimiter', { ...textOptions, delimiter: 'n' }],
    ['a newline as delimiter', { ...csvOptions, delimiter: '\n' }],
    ['a NULL text that swallows the delimiter', { ...textOptions, nullText: 'x\\' }],
    ['a NULL text with the delimiter', { ...textOptions, nullText: 'x\t' }],
    ['a NULL text with a newline', { ...csvOptions, nullText: 'x\n' }],
    ['a NULL text with the quote', { ...csvOptions, nullText: '"' }],
    ['a quote that delimits', { ...csvOptions, quote: ',' }],
    ['no quote', { ...csvOptions, quote: '' }],
    ['a long escape', { ...csvOptions, escape: '""' }],
  ])('%s is a fault, unless nothing is masked', (_, options) => {
    expect(compileCopyMask(masked, [25], options, masker)).toEqual({ fault: expect.any(String) });
    expect(compileCopyMask([undefined], [25], options, masker)).toMatchObject({ identity: true });
  });

  test('a plan for another number of columns is a fault', () => {
    expect(compileCopyMask(masked, [25, 25], textOptions, masker)).toEqual({ fault: expect.any(String) });
  });

  test.each(['a"b\n', '"a"b\n', '"a""\n"x\n'])('CSV that PostgreSQL would not write is a fault: %j', (data) => {
    const input = copyData(Buffer.from(data));
    expect(compiled(masked, csvOptions).apply(input, 0, input.length)).toEqual({ fault: expect.any(String) });
  });

  test('messages with impossible lengths, and other messages, are faults', () => {
    const good = copyData(Buffer.from('a\n'));
    for (const length of [0, 3, -1, 0x7fffffff, -0x80000000, 7]) {
      const bad = Buffer.from(good);
      bad.writeInt32BE(length, 1);
      expect(compiled(masked, textOptions).apply(bad, 0, bad.length)).toEqual({ fault: expect.any(String) });
    }
    const other = Buffer.from(good);
    other.write('D');
    expect(compiled(masked, textOptions).apply(other, 0, other.length)).toEqual({ fault: expect.any(String) });
    for (let end = 1; end < good.length; end++) {
      expect(compiled(masked, textOptions).apply(good, 0, end)).toEqual({ fault: expect.any(String) });
    }
  });
});

import { describe, expect, test } from '@jest/globals';
import type { BaseColumn, Literal } from '../../../../proxy/protocols/postgres/classification.ts';
import { hiddenLiterals, hidesParameter, literalsOf, redactText } from '../../../../proxy/protocols/postgres/redact.ts';
import { column, statement } from './classified.ts';

const email = column('customers', 'email');
const city = column('customers', 'city');
const sensitive = (of: BaseColumn) => of.column === 'email';
const hash = (value: Uint8Array) => `#${value.length}`;

/** The literals of a text, in order, each with its company. */
function literals(text: string, ...found: readonly (readonly [string, Literal['meets']])[]): Literal[] {
  const bytes = Buffer.from(text);
  return found.map(([literal, meets]) => {
    const start = bytes.indexOf(literal);
    return { start, end: start + Buffer.byteLength(literal), meets };
  });
}

function redacted(text: string, ...found: readonly (readonly [string, Literal['meets']])[]): string {
  const one = statement({ literals: literals(text, ...found) });
  return redactText(Buffer.from(text), literalsOf(one), hiddenLiterals([one], sensitive), hash);
}

describe('a literal', () => {
  test('that meets a sensitive column is replaced by its hash, others stay', () => {
    expect(redacted("a = 'x@y' AND b = 'Oslo'", ["'x@y'", [email]], ["'Oslo'", [city]])).toBe(
      "a = '#5' AND b = 'Oslo'",
    );
  });

  test('whose company is unknown is replaced', () => {
    expect(redacted("f('x')", ["'x'", 'unknown'])).toBe("f('#3')");
  });

  test('that meets nothing stays', () => {
    expect(redacted('LIMIT 5', ['5', []])).toBe('LIMIT 5');
  });

  test('of a statement that is not understood is replaced whatever it meets', () => {
    const text = "x 'Oslo'";
    const one = statement({ literals: literals(text, ["'Oslo'", [city]]), incomplete: ['why'] });
    expect(hiddenLiterals([one], sensitive)).toEqual([true]);
  });

  test('behind text of more than one byte a character is found', () => {
    expect(redacted("é😀 = 'ü@x' -- 'ü'", ["'ü@x'", [email]])).toBe("é😀 = '#6' -- 'ü'");
  });

  test('outside of the text, or overlapping another, cannot make anything else visible', () => {
    const text = Buffer.from("a 'secret'");
    expect(
      redactText(
        text,
        [
          { start: 2, end: 10 },
          { start: 4, end: 8 },
          { start: 8, end: 99 },
        ],
        [true, true, true],
        hash,
      ),
    ).toBe("a '#8'");
  });

  test('without a word on whether it is hidden is hidden', () => {
    expect(
      redactText(
        Buffer.from("a 'x' 'y'"),
        [
          { start: 2, end: 5 },
          { start: 6, end: 9 },
        ],
        [true],
        hash,
      ),
    ).toBe("a '#3' '#3'");
  });
});

describe('the literals of a statement', () => {
  test('are those of what it prepares, too, each once with all its company', () => {
    const inner = statement({ literals: [{ start: 20, end: 23, meets: [email] }] });
    const outer = statement({
      literals: [
        { start: 30, end: 33, meets: [] },
        { start: 20, end: 23, meets: [city] },
      ],
      control: { type: 'prepare', name: 'p', statement: inner },
    });
    expect(literalsOf(outer)).toEqual([
      { start: 20, end: 23, meets: [city, email] },
      { start: 30, end: 33, meets: [] },
    ]);
  });

  test('are the arguments of an EXECUTE, too', () => {
    const outer = statement({
      control: { type: 'execute', name: 'p', arguments: [{ start: 5, end: 8, meets: 'unknown' }] },
      literals: [{ start: 5, end: 8, meets: [city] }],
    });
    expect(literalsOf(outer)).toEqual([{ start: 5, end: 8, meets: 'unknown' }]);
  });
});

describe('a parameter', () => {
  const one = statement({
    parameters: new Map<number, Literal['meets']>([
      [1, [email]],
      [2, [city]],
      [3, 'unknown'],
    ]),
  });

  test.each([
    [1, true],
    [2, false],
    [3, true],
    [4, true],
  ])('$%i is hidden: %p', (number, hidden) => {
    expect(hidesParameter([one], number, sensitive)).toBe(hidden);
  });

  test('is hidden when any of the statements hides it', () => {
    const plain = statement({ parameters: new Map([[1, [city]]]) });
    expect(hidesParameter([plain], 1, sensitive)).toBe(false);
    expect(hidesParameter([plain, one], 1, sensitive)).toBe(true);
    expect(hidesParameter([{ ...plain, incomplete: ['why'] }], 1, sensitive)).toBe(true);
  });
});

import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import { isExactNumber, parseWithDigits } from '../../../../../proxy/protocols/http/bodies/digits.ts';
import { parseAnswerJson, parseJson } from '../../../../../proxy/protocols/http/bodies/json.ts';
import { randomFrom } from '../random.ts';

function read(text: string | Uint8Array) {
  const result = parseJson(typeof text === 'string' ? Buffer.from(text) : text);
  return 'fault' in result ? { refused: result.status } : result;
}

describe('JSON', () => {
  test.each([
    'null',
    ' true\n',
    '"text"',
    '0',
    '[]',
    '{}',
    '[1, -2, 0.5, 1e3, 1.5E-3, 0.30000000000000004, 9007199254740991, -9007199254740991, 100000000000000.0]',
    '{"a": {"b": [1, {"c": null}]}, "d": "\\u00e9\\n\\ud83d\\ude00é😀"}',
    '{"a": {"x": 1}, "b": {"x": 2}, "c": [{"x": 3}, {"x": 4}]}',
    '{"": 1, " ": 2, "constructor": 3, "toString": 4}',
    '["a", "a", "A"]',
    '{"quote\\"": "\\\\", "a\\\\": "\\\\\\""}',
    '["{\\"a\\": 1, \\"a\\": 2}", "]", "}"]',
  ])('%s is what JSON.parse says', (text) => {
    expect(read(text)).toEqual({ value: JSON.parse(text) });
  });

  test.each([
    ['a name that comes twice', '{"a": 1, "a": 2}'],
    ['a name that comes twice, further on', '{"a": 1, "b": {"a": 1}, "c": [1, {"d": 1}], "a": 2}'],
    ['a name that comes twice inside', '[{"b": {"a": 1, "x": [], "a": 2}}]'],
    ['a name that comes twice, once with an escape', '{"amount": 1, "\\u0061mount": 2}'],
    ['names that differ in case', '{"amount": 1, "Amount": 2}'],
    ['names that differ by how Unicode folds them', '{"key": 1, "\u212aey": 2}'],
    ['names that differ by a long s', '{"is": 1, "i\u017f": 2}'],
    ['a name with a meaning to JavaScript', '{"__proto__": {"admin": true}}'],
    ['the same with an escape', '{"__pr\\u006fto__": 1}'],
    ['an integer past 2⁵³', '[9007199254740993]'],
    ['an integer that is 2⁵³', '[9007199254740992]'],
    ['an integer of 64 bits', '{"id": 18446744073709551615}'],
    ['a large number with an exponent', '[1e22]'],
    ['a number past doubles', '[1e400]'],
    ['a number too small for doubles', '[1e-400]'],
    ['more digits than a double keeps', '[0.10000000000000000001]'],
    ['digits that a double rounds to an integer', '[1.00000000000000000001]'],
    ['a negative zero', '[-0]'],
    ['a negative zero with a fraction', '[-0.0]'],
    ['a lone high surrogate', '["\\ud83d"]'],
    ['a lone low surrogate', '["\\ude00x"]'],
    ['surrogates the wrong way round', '["\\ude00\\ud83d"]'],
    ['a lone surrogate in a name', '{"\\ud800": 1}'],
    ['a NUL', '["a\\u0000b"]'],
    ['a NUL in a name', '{"amount\\u0000": 1}'],
    ['a byte order mark', '\ufeff{}'],
    ['a comment', '{/* */}'],
    ['a trailing comma', '[1,]'],
    ['two values', '{} {}'],
    ['single quotes', "{'a': 1}"],
    ['a name without quotes', '{a: 1}'],
    ['NaN', '[NaN]'],
    ['Infinity', '[-Infinity]'],
    ['a leading zero', '[01]'],
    ['a leading plus', '[+1]'],
    ['hexadecimal', '[0x1]'],
    ['a bare point', '[1.]'],
    ['a raw control character', '["a\tb"]'],
    ['an escape that is none', '["\\x41"]'],
    ['an escape that is cut off', '["\\u12"]'],
    ['a string that does not end', '["a'],
    ['a string that ends in an escaped quote', '["a\\"]'],
    ['nothing', ''],
    ['only white space', ' \n'],
    ['white space of Unicode', '\u00a0{}'],
    ['brackets that do not match', '[}'],
    ['a closing bracket too many', '[]]'],
    ['something after NUL', '{}\0'],
  ])('with %s is refused', (_, text) => {
    expect(read(text)).toEqual({ refused: 400 });
  });

  test.each([
    ['a byte of ISO-8859-1', [0x22, 0xe9, 0x22]],
    ['an overlong quote', [0x22, 0xc0, 0xa2, 0x22]],
    ['a surrogate as UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a character cut off', [0x22, 0xc3]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
    ['UTF-16 without a mark', [0x7b, 0x00, 0x7d, 0x00]],
    ['UTF-32', [0x00, 0x00, 0x00, 0x7b, 0x00, 0x00, 0x00, 0x7d]],
  ])('in %s is refused', (_, bytes) => {
    expect(read(Uint8Array.from(bytes))).toEqual({ refused: 400 });
  });

  test('is refused in words that say what to change', () => {
    const message = (text: string) => {
      const result = parseJson(Buffer.from(text));
      return 'fault' in result ? result.fault.message : '';
    };
    expect(message('{"a": 1, "a": 2}')).toContain('same name twice');
    expect(message('{"a": 1, "A": 2}')).toContain('in case only');
    expect(message('\ufeff{}')).toContain('byte order mark');
  });

  test('has a bound on its depth and on its members', () => {
    const { httpJsonDepthMax, httpJsonMembersMax } = limits;
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(read(nested(httpJsonDepthMax))).toHaveProperty('value');
    expect(read(nested(httpJsonDepthMax + 1))).toEqual({ refused: 413 });
    expect(read('['.repeat(500_000))).toEqual({ refused: 413 });
    const wide = (count: number) => `[${Array(count).fill('0').join(',')}]`;
    expect(read(wide(httpJsonMembersMax))).toHaveProperty('value');
    expect(read(wide(httpJsonMembersMax + 1))).toEqual({ refused: 413 });
  });

  test('that would make a parser go back is read in linear time', () => {
    const started = process.cpuUsage();
    const size = 1_000_000;
    for (const text of [
      `"${'\\\\'.repeat(size / 2)}"`,
      `"${'\\"'.repeat(size / 2)}"`,
      `"${'\\'.repeat(size)}`,
      `[${'0'.repeat(size)}]`,
      `[1${'0'.repeat(size)}]`,
      `[0.${'10'.repeat(size / 2)}]`,
      `[1e${'1'.repeat(size)}]`,
      `[${'-'.repeat(size)}]`,
      ' '.repeat(size),
    ]) {
      read(text);
    }
    expect(process.cpuUsage(started).user / 1_000).toBeLessThan(3_000);
  });

  test('is seen through a view of other bytes', () => {
    const around = Buffer.from('xx{"a":1}xx');
    expect(parseJson(around.subarray(2, 9))).toEqual({ value: { a: 1 } });
  });

  test('made at random is taken as JSON.parse takes it, or refused', () => {
    const pieces = '{ } [ ] , : "a" "b" "A" "\\u0061" 1 -1 0.5 1e2 true null " \\ x é'.split(' ');
    const random = randomFrom(99);
    let taken = 0;
    for (let round = 0; round < 30_000; round++) {
      const text = Array.from({ length: random(8) }, () => pieces[random(pieces.length)]).join('');
      const result = read(text);
      if ('refused' in result) continue;
      taken++;
      // What is taken has one reading: writing it and reading it again changes nothing, and no name was lost.
      expect(result.value).toEqual(JSON.parse(text));
      expect(read(JSON.stringify(result.value))).toEqual(result);
      const names = (text.match(/:/g) ?? []).length;
      expect((JSON.stringify(result.value).match(/:/g) ?? []).length).toBe(names);
    }
    expect(taken).toBeGreaterThan(1_000);
  });
});

describe('a number is exact', () => {
  test.each([
    '0',
    '0.0',
    '0e5',
    '1',
    '10',
    '1.10',
    '1e2',
    '1E+2',
    '12e-1',
    '0.1',
    '1e-7',
    '123456789012345',
    '5e-324',
    '3.141592653589793',
  ])('as %s is', (literal) => {
    expect(isExactNumber(literal)).toBe(true);
  });

  test('when it is written as any double that is not too large', () => {
    const random = randomFrom(5);
    for (let round = 0; round < 5_000; round++) {
      const value = (random(2 ** 32) / (1 + random(2 ** 32))) * 10 ** (random(10) - 5);
      expect(isExactNumber(String(value))).toBe(true);
      expect(isExactNumber(value.toExponential())).toBe(true);
      // An eighteenth digit is one that no double keeps.
      const [digits = ''] = /[1-9][\d.]+$/.exec(String(value)) ?? [];
      if (digits.replace('.', '').length === 17) expect(isExactNumber(`${value}1`)).toBe(false);
    }
  });
});

describe('an answer', () => {
  const answer = (text: string) => parseAnswerJson(Buffer.from(text));

  test.each([
    '12345678901234567890',
    '-9223372036854775808',
    '1E400',
    '-0',
    '0.10000000000000000000001',
    '[1,{"a":9007199254740993,"b":0.5}]',
    '{"text":"9007199254740993","ID":1,"id":2,"half":"\\ud83d","nul":"\\u0000"}',
  ])('keeps its digits: %s', (text) => {
    const read = answer(text);
    expect('value' in read && JSON.stringify(read.value)).toBe(text);
  });

  test('may have as many members as there are bytes', () => {
    const many = JSON.stringify(Array.from({ length: limits.httpJsonMembersMax + 1 }, (_, index) => index));
    expect(read(many)).toEqual({ refused: 413 });
    expect('value' in answer(many)).toBe(true);
  });

  test.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"__proto__":1}',
    '[1',
    '01',
    '+1',
    '1.',
    '{"a":1}x',
    '"\ufeff',
    '',
  ])('is refused: %s', (text) => {
    expect('fault' in answer(text)).toBe(true);
  });

  test('is one that an ordinary parser reads alike where nothing is large', () => {
    const random = randomFrom(9);
    for (let round = 0; round < 500; round++) {
      const value = { a: random(2 ** 32) / 7, b: [random(2 ** 32), -random(9)], c: 'e1-0' };
      expect(parseWithDigits(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }
  });
});

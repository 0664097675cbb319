import { describe, expect, test } from '@jest/globals';
import { canonicalJson } from '../../../proxy/policy/canonical-json.ts';

describe('the canonical form', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['has no white space', ' { "a" : [ 1 , true , null ] } ', '{"a":[1,true,null]}'],
    ['sorts keys', '{"b":1,"a":{"d":1,"c":2}}', '{"a":{"c":2,"d":1},"b":1}'],
    [
      'sorts keys by their UTF-8 bytes, not their UTF-16 units',
      '{"\uD83D\uDE00":1,"\uFF61":2}',
      '{"\uFF61":2,"\uD83D\uDE00":1}',
    ],
    ['keeps numbers as they are written', '[1.0,1e3,-0,12345678901234567890]', '[1.0,1e3,-0,12345678901234567890]'],
    ['unescapes what need not be escaped', '"\\u0041\\/"', '"A/"'],
    ['does not escape for HTML', '"<&>"', '"<&>"'],
    ['escapes control characters as Go does', '"\\u0001\\n\\u0008"', '"\\u0001\\n\\b"'],
    ['escapes line separators as Go does', '"\u2028\\u2029"', '"\\u2028\\u2029"'],
    ['keeps empty things', '{"a":{},"b":[],"c":""}', '{"a":{},"b":[],"c":""}'],
  ];
  test.each(cases)('%s', (_title, text, canonical) => {
    expect(canonicalJson(text)).toBe(canonical);
  });

  test.each([
    '',
    '{',
    '[1,]',
    '{"a":1,}',
    '{"a" 1}',
    '01',
    '1.',
    '+1',
    "'a'",
    '"\n"',
    '"\\x"',
    'nul',
    '1 2',
    '{"a":1,"a":2}',
    '[1 2]',
  ])('refuses %j', (text) => {
    expect(() => canonicalJson(text)).toThrow(SyntaxError);
  });

  test('refuses what is nested deeper than its bound', () => {
    expect(() => canonicalJson('['.repeat(300) + ']'.repeat(300))).toThrow(/deep/);
    expect(canonicalJson('['.repeat(200) + ']'.repeat(200))).toBe('['.repeat(200) + ']'.repeat(200));
  });
});

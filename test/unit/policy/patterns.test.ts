import { readFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { readBundle } from '../../../proxy/policy/bundle.ts';
import { dataPatternProblem, patternProblem, sourcePatternProblem } from '../../../proxy/policy/patterns.ts';
import { defaultBundle } from './support.ts';

describe('a pattern is usable', () => {
  test.each([
    'abc',
    '^a.*b$',
    '(?i)drop\\s+table',
    '[a-z0-9_]+',
    '[^"\\\\]*',
    'a{2,5}?',
    '(?:a|b)+',
    '(?P<name>x)',
    '\\bword\\b',
    '\\x41',
    '',
    'a|',
    '[a\\-z]',
    '\\.',
  ])('%s', (pattern) => {
    expect(patternProblem(pattern)).toBeUndefined();
  });
});

describe('a pattern is refused', () => {
  const bad: readonly (readonly [string, string])[] = [
    ['that looks ahead', '(?=a)'],
    ['that looks ahead for absence', 'DROP(?!X)'],
    ['that looks behind', '(?<=a)b'],
    ['that looks behind for absence', '(?<!a)b'],
    ['that refers back', '(a)\\1'],
    ['that refers back by name', '(?P<n>a)(?P=n)'],
    ['that is atomic', '(?>a)'],
    ['that is possessive', 'a++'],
    ['with a JavaScript name', '(?<name>a)'],
    ['with a Unicode escape of JavaScript', '\\u0041'],
    ['that is not closed', '(a'],
    ['that closes what was not open', 'a)'],
    ['whose class is not closed', '[a'],
    ['with an empty class', '[]'],
    ['that repeats nothing', '*a'],
    ['that repeats an anchor', '^*'],
    ['that repeats from more to less', 'a{5,2}'],
    ['that repeats too often', 'a{1001}'],
    ['that ends in a backslash', 'a\\'],
    ['with an escape that is not known', '\\Q'],
    ['that is too long', 'a'.repeat(1001)],
    ['that is nested too deeply', `${'('.repeat(60)}a${')'.repeat(60)}`],
    ['that is not well-formed', '\uD800'],
    ['with a class out of order', '[z-a]'],
  ];
  test.each(bad)('%s', (_title, pattern) => {
    expect(patternProblem(pattern)).toEqual(expect.any(String));
  });
});

describe('data is searched for patterns', () => {
  test.each([
    { pattern: '(?=a)' },
    { deep: [{ rules: { x: { pattern: '[' } } }] },
    { patterns: ['a', '(?!b)'] },
    { masks: { labels: { a: { redact_pattern: { pattern: '(a)\\1', value: '' } } } } },
    { masks: { default: { redact_pattern: { pattern: 'a' } } } },
  ])('%j is refused', (data) => {
    expect(dataPatternProblem(data)).toEqual(expect.any(String));
  });

  test('what is not called a pattern is not one', () => {
    expect(
      dataPatternProblem({
        name: '(?=a)',
        patterns: ['ok'],
        masks: { x: { redact_pattern: { pattern: 'a+', value: '' } } },
      }),
    ).toBeUndefined();
  });
});

describe('a policy is refused', () => {
  test.each([
    ['deny contains r if regex.match("(?=a)", input.x)', /regex\.match.*look-around/],
    ['deny contains r if regex.match(`a(`, input.x)', /unclosed group/],
    ['deny contains r if regex.match(\n\t`(a)\\1`,\n\tinput.x)', /escape/],
    ['x := regex.find_all_string_submatch_n("[", input.x, 1)', /unclosed class/],
    ['deny contains r if regex.match(input.pattern, input.x)', /cannot be checked/],
    ['deny contains r if regex.match(concat("", ["(?=", "a)"]), input.x)', /cannot be checked/],
    ['deny contains r if regex.match(p, input.x)', /cannot be checked/],
    ['deny contains r if glob.match("[a", [], input.x)', /glob/],
    ['deny contains r if glob.match(input.g, [], input.x)', /cannot be checked/],
  ])('%s', (source, why) => {
    expect(sourcePatternProblem(source)).toMatch(why);
  });

  test.each([
    'deny contains r if regex.match("^a+$", input.x)',
    'deny contains r if regex.match(`\\d{3}`, input.x)',
    'deny contains r if regex.match(data.config.rules[i].pattern, input.x)',
    'deny contains r if regex.match(rule.pattern, input.x)',
    'deny contains r if glob.match("api.{v1,v2}.**", ["."], input.x)',
  ])('but not %s', (source) => {
    expect(sourcePatternProblem(source)).toBeUndefined();
  });
});

test('the policies that ship use no pattern that cannot be checked', async () => {
  const { sources } = await readBundle(await readFile(defaultBundle));
  for (const [path, source] of sources) expect([path, sourcePatternProblem(source)]).toEqual([path, undefined]);
});

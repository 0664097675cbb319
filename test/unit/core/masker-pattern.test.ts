import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { compilePattern } from '../../../proxy/core/masker/pattern.ts';
import { redactor } from '../../../proxy/core/masker/redact.ts';

function redact(pattern: string, text: string, replacement = '#'): string {
  const compiled = compilePattern(pattern);
  if ('error' in compiled) throw new Error(compiled.error);
  return redactor(compiled.pattern, replacement)(text);
}

/** The union of all matches, found by asking the platform's engine about every substring. */
function reference(pattern: string, text: string): string {
  const covered = new Array<boolean>(text.length).fill(false);
  for (let start = 0; start < text.length; start++) {
    for (let end = start + 1; end <= text.length; end++) {
      const whole = new RegExp(`(?<=^[^]{${start}})(?:${pattern})(?=[^]{${text.length - end}}$)`);
      if (whole.test(text)) covered.fill(true, start, end);
    }
  }
  // Matches that touch are one, so a replacement stands for each run of covered characters.
  return Array.from(text, (char, at) => (covered[at] ? (covered[at - 1] ? '' : '#') : char)).join('');
}

/** A small generator of reproducible numbers. @see https://en.wikipedia.org/wiki/Linear_congruential_generator */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomPattern(next: (below: number) => number, depth: number): string {
  const atoms = ['a', 'b', '-', '[ab]', '[^a]', '.', '\\w', '\\d', '\\W', '1'];
  switch (depth === 0 ? 0 : next(7)) {
    case 1:
      return `${randomPattern(next, depth - 1)}${randomPattern(next, depth - 1)}`;
    case 2:
      return `(?:${randomPattern(next, depth - 1)}|${randomPattern(next, depth - 1)})`;
    case 3:
      return `(?:${randomPattern(next, depth - 1)})${['*', '+', '?', '{2}', '{1,2}', '{2,}', '{0}'][next(7)]}`;
    case 4:
      return `${['^', '\\b', '\\B'][next(3)]}${randomPattern(next, depth - 1)}`;
    case 5:
      return `${randomPattern(next, depth - 1)}${['$', '\\b', '\\B'][next(3)]}`;
    default:
      return atoms[next(atoms.length)] ?? 'a';
  }
}

describe('redacting by pattern', () => {
  test.each([
    ['\\d{3}-\\d{2}-\\d{4}', 'ssn 123-45-6789, or 1-2', 'ssn #, or 1-2'],
    ['[0-9]', 'a1b22c', 'a#b#c'],
    ['(?i)straße', 'STRASSE Straße STRAßE', 'STRASSE # #'],
    ['(?i)é', 'É é e', '# # e'],
    ['a.c', 'abc a\nc', '# a\nc'],
    ['(?s)a.c', 'abc a\nc', '# #'],
    ['[^a-z ]+', 'a😀b é', 'a#b #'],
    ['😀+', 'a😀😀b', 'a#b'],
    ['\\x41\\u0042\\u{1F600}', 'AB😀 AB', '# AB'],
    ['[\\]\\-\\\\]', 'a]b-c\\', 'a#b#c#'],
    ['[a-]', 'a-b', '#b'],
    ['x*', 'axxb', 'a#b'],
    ['x*', 'ab', 'ab'],
    ['(a|b)c', 'ac bc cc', '# # cc'],
  ])('%j on %j gives %j', (pattern, text, expected) => {
    expect(redact(pattern, text)).toBe(expected);
  });

  test('covers exactly what any match covers, on generated patterns and texts', () => {
    const next = numbers(20261122);
    for (let round = 0; round < 1_500; round++) {
      const pattern = randomPattern(next, 4);
      const text = Array.from({ length: next(9) }, () => 'ab-1 '[next(5)]).join('');
      expect({ pattern, text, result: redact(pattern, text) }).toEqual({
        pattern,
        text,
        result: reference(pattern, text),
      });
    }
  });

  test('a reused pattern remembers nothing of an earlier text', () => {
    const compiled = compilePattern('\\bab\\b');
    if ('error' in compiled) throw new Error(compiled.error);
    const apply = redactor(compiled.pattern, '#');
    expect(['ab', 'a', 'b', 'xab ab', 'ab'].map(apply)).toEqual(['#', 'a', 'b', 'xab #', '#']);
  });

  // A backtracking engine needs longer than the age of the universe for the first of these.
  test.each(['(a|aa)+$', '(a*)*b', '(?:a?){60}a{60}', 'a|a.*b', '(.*)*x'])(
    '%s is linear on hostile text',
    (pattern) => {
      const text = `${'a'.repeat(20_000)}!`;
      expect(redact(pattern, text).length).toBeLessThanOrEqual(text.length);
    },
  );
});

describe('the safe subset', () => {
  test.each([
    '',
    '(a',
    'a)',
    '[a',
    '[]',
    '[^]',
    '[b-a]',
    '[\\d-z]',
    '[a-\\d]',
    '[[a]]',
    'a]',
    'a}',
    'a{',
    'a{,2}',
    'a{2,1}',
    'a{99999}',
    '*a',
    'a**',
    'a+?',
    'a++',
    '^*',
    '\\1',
    '\\k',
    '\\p{L}',
    '\\xg0',
    '\\u{110000}',
    '\\ud800',
    '(?=a)',
    '(?!a)',
    '(?<=a)',
    '(?<name>a)',
    'a(?i)b',
    '(?m)a',
    'a\\',
    '\ud800',
    'a'.repeat(limits.maskPatternLengthMax + 1),
    '(?:a{100}){100}',
    '(?:(?:(?:a{9999}){9999}){9999}){9999}',
    '('.repeat(100) + ')'.repeat(100),
  ])('refuses %j', (pattern) => {
    expect(compilePattern(pattern)).toEqual({ error: expect.any(String) });
  });
});

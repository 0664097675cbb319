import { expect, test } from '@jest/globals';
import { type ErrorFields, scrubError, scrubNotice } from '../../../../proxy/protocols/postgres/mask.ts';

const secret = '123-45-6789';

test('an error keeps severity, SQLSTATE and position, and nothing that could hold a value', () => {
  const fields: ErrorFields = [
    ['S', 'ERREUR'],
    ['V', 'ERROR'],
    ['C', '22P02'],
    ['M', `invalid input syntax for type integer: "${secret}"`],
    ['P', '8'],
    ...'DHpqWstcdnFLRx'.split('').map((code) => [code, secret] as const),
  ];
  expect(scrubError(fields)).toEqual([
    ['S', 'ERROR'],
    ['V', 'ERROR'],
    ['C', '22P02'],
    ['M', expect.stringContaining('invalid text representation')],
    ['P', '8'],
  ]);
});

test.each([
  ['a made-up SQLSTATE', [['C', '12345']], 'P0001'],
  ['no SQLSTATE', [], 'P0001'],
  ['the SQLSTATE of RAISE', [['C', 'P0001']], 'P0001'],
] as [string, ErrorFields, string][])('%s becomes that of a raised exception', (_, fields, code) => {
  expect(new Map(scrubError(fields)).get('C')).toBe(code);
});

test('a value in any one field never comes out', () => {
  for (let code = 33; code < 127; code++) {
    const fields: ErrorFields = [[String.fromCharCode(code), secret]];
    expect(JSON.stringify([scrubError(fields), scrubNotice(fields)])).not.toContain(secret);
  }
});

test('a notice stays a notice', () => {
  const fields: ErrorFields = [
    ['S', 'AVERTISSEMENT'],
    ['V', 'WARNING'],
    ['C', '01000'],
    ['M', secret],
  ];
  expect(scrubNotice(fields)).toEqual([
    ['S', 'WARNING'],
    ['V', 'WARNING'],
    ['C', '01000'],
    ['M', expect.any(String)],
  ]);
  const odd: ErrorFields = [
    ['V', 'ERROR'],
    ['C', '99999'],
  ];
  expect(scrubNotice(odd)[0]).toEqual(['S', 'NOTICE']);
});

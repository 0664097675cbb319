import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import { parseBody } from '../../../../../proxy/protocols/http/bodies/parse.ts';

function read(contentType: string, body: string | Uint8Array) {
  const parsed = parseBody(contentType, typeof body === 'string' ? Buffer.from(body) : body);
  return 'fault' in parsed ? parsed.status : parsed;
}

describe('a body', () => {
  test('is none when there are no bytes', () => {
    expect(read('application/json', '')).toEqual({ kind: 'none' });
    expect(read('', '')).toEqual({ kind: 'none' });
  });

  test.each([
    'application/json',
    'application/json; charset=UTF-8',
    'application/problem+json',
    'text/json; charset=utf8',
  ])('of type %s is JSON', (type) => {
    expect(read(type, '{"a": [1]}')).toEqual({ kind: 'json', value: { a: [1] } });
    expect(read(type, '{"a": 1, "a": 2}')).toBe(400);
  });

  test.each([
    '',
    'text/plain',
    'application/octet-stream',
    'application/x-ndjson',
    'application/xml',
    'application/jsonx',
    'multipart/mixed; boundary=a',
  ])('of type %j is opaque', (type) => {
    expect(read(type, '{"a": 1}')).toEqual({ kind: 'opaque', bytes: 8 });
  });

  test.each([
    ['application/json; charset=utf-16', 415],
    ['application/json; charset=iso-8859-1', 415],
    ['application/x-www-form-urlencoded; charset=utf-7', 415],
    ['application/json, text/plain', 400],
    ['json', 400],
  ])('of type %s is refused with %i', (type, status) => {
    expect(read(type, '{}')).toBe(status);
  });

  test('must not override the method', () => {
    expect(read('application/json', '{"_method": "DELETE"}')).toBe(400);
    expect(read('application/json', '{"_METHOD": "DELETE"}')).toBe(400);
    expect(read('application/json', '{"a": {"_method": "DELETE"}}')).toMatchObject({ kind: 'json' });
    expect(read('application/x-www-form-urlencoded', 'a=1&_method=DELETE')).toBe(400);
    expect(read('application/x-www-form-urlencoded', '%5Fmethod=DELETE')).toBe(400);
  });

  test('has a bound', () => {
    const { httpJudgedBodyBytesMax } = limits;
    expect(read('text/plain', new Uint8Array(httpJudgedBodyBytesMax))).toMatchObject({ kind: 'opaque' });
    expect(read('text/plain', new Uint8Array(httpJudgedBodyBytesMax + 1))).toBe(413);
  });
});

describe('a form', () => {
  const form = (body: string | Uint8Array) => read('application/x-www-form-urlencoded', body);

  test.each<[string, readonly (readonly [string, string])[]]>([
    [
      'a=1&b=2&a=3',
      [
        ['a', '1'],
        ['b', '2'],
        ['a', '3'],
      ],
    ],
    [
      'a=b+c%20d%2B&e',
      [
        ['a', 'b c d+'],
        ['e', ''],
      ],
    ],
    ['a=b=c&&', [['a', 'b=c']]],
    ['a[b][]=%7B%22x%22%3A1%7D', [['a[b][]', '{"x":1}']]],
    ['n=caf%C3%A9%0D%0A', [['n', 'café\r\n']]],
    ['__proto__=1', [['__proto__', '1']]],
    [
      '_charset_=UTF-8&a=1',
      [
        ['_charset_', 'UTF-8'],
        ['a', '1'],
      ],
    ],
  ])('%s has the fields %j', (body, fields) => {
    expect(form(body)).toEqual({ kind: 'form', fields });
    expect(fields).toEqual([...new URLSearchParams(body)]);
  });

  test.each([
    'a=1;b=2',
    'a=%',
    'a=%zz',
    'a=%c0%af',
    'a=%e9',
    'a=%00',
    '=1',
    'a=é',
    'a=1\r\n',
    'a=1\0',
    'a=\tb',
    '_charset_=iso-8859-1&a=1',
    'a=1&_method=PUT',
  ])('%j is refused', (body) => {
    expect(form(body)).toBe(400);
  });

  test('has a bound on its fields', () => {
    expect(form('a&'.repeat(limits.httpParametersMax))).toMatchObject({ kind: 'form' });
    expect(form('a&'.repeat(limits.httpParametersMax + 1))).toBe(413);
  });
});

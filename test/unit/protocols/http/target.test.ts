import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { parseTarget } from '../../../../proxy/protocols/http/target.ts';
import { randomFrom } from './random.ts';

/** What a target is judged and forwarded as; `undefined` when it is refused. */
function written(url: string, options = {}): string | undefined {
  const target = parseTarget(url, options);
  if ('fault' in target) return undefined;
  return target.queryText === '' ? target.path : `${target.path}?${target.queryText}`;
}

function refusal(url: string, options = {}) {
  const target = parseTarget(url, options);
  return 'fault' in target ? { status: target.status, code: target.fault.code } : undefined;
}

describe('a path', () => {
  test.each([
    ['/', '/', ['']],
    ['/users', '/users', ['users']],
    ['/users/', '/users/', ['users', '']],
    ['/Orders/42', '/Orders/42', ['Orders', '42']],
    ['/%7Eana/%61bc', '/~ana/abc', ['~ana', 'abc']],
    ['/caf%c3%a9', '/caf%C3%A9', ['café']],
    ['/a%20b', '/a%20b', ['a b']],
    ['/a+b', '/a%2Bb', ['a+b']],
    ['/a%2bb', '/a%2Bb', ['a+b']],
    ['/v1/things:count', '/v1/things:count', ['v1', 'things:count']],
    ['/v1/things%3Acount', '/v1/things:count', ['v1', 'things:count']],
    ["/Users('a'),b=c&d$!*@", "/Users('a'),b=c&d$!*@", ["Users('a'),b=c&d$!*@"]],
    ['/x%5B0%5D', '/x%5B0%5D', ['x[0]']],
    ['/x[0]', '/x%5B0%5D', ['x[0]']],
    ['/a|b^c`{d}"<e>', '/a%7Cb%5Ec%60%7Bd%7D%22%3Ce%3E', ['a|b^c`{d}"<e>']],
    ['/what%3F/%23', '/what%3F/%23', ['what?', '#']],
    ['/...', '/...', ['...']],
    ['/.well-known/x', '/.well-known/x', ['.well-known', 'x']],
    ['/a..b/.c', '/a..b/.c', ['a..b', '.c']],
    ['/__proto__', '/__proto__', ['__proto__']],
  ])('%s is judged and forwarded as %s', (url, path, segments) => {
    expect(parseTarget(url)).toEqual({ path, segments, queryText: '', query: [] });
  });

  test.each([
    ['an absolute target', 'http://other.example/users'],
    ['an absolute target with a user', 'http://ana@other.example/'],
    ['an authority', 'other.example:443'],
    ['an asterisk', '*'],
    ['nothing', ''],
    ['a relative path', 'users'],
    ['only a query', '?a=b'],
    ['an empty segment first', '//admin'],
    ['an empty segment first, that names a host', '//other.example/admin'],
    ['an empty segment', '/pub//admin'],
    ['empty segments last', '/pub//'],
    ['a dot', '/./admin'],
    ['a dot at the end', '/pub/.'],
    ['two dots', '/pub/../admin'],
    ['two dots at the end', '/pub/..'],
    ['an encoded dot', '/pub/%2e/admin'],
    ['encoded dots', '/pub/%2e%2E/admin'],
    ['dots, one of them encoded', '/pub/.%2e/admin'],
    ['a dot encoded for no reason', '/file%2Etxt'],
    ['an encoded slash', '/pub%2fadmin'],
    ['an encoded slash in capitals', '/pub%2Fadmin'],
    ['an encoded backslash', '/pub%5cadmin'],
    ['an encoded backslash and dots', '/pub/..%5C..%5Cadmin'],
    ['a backslash', '/pub\\..\\admin'],
    ['a backslash first', '/\\other.example/'],
    ['a doubly encoded dot', '/pub/%252e%252e/admin'],
    ['a doubly encoded slash', '/pub%252fadmin'],
    ['an encoded percent sign', '/100%25'],
    ['NUL', '/admin%00.png'],
    ['a line break', '/a%0d%0aX: y'],
    ['a tab', '/admin%09'],
    ['DEL', '/admin%7f'],
    ['a semicolon', '/admin;x'],
    ['a semicolon before a slash', '/pub;/../admin'],
    ['a session in the path', '/admin;jsessionid=1/x'],
    ['an encoded semicolon', '/admin%3bx'],
    ['a fragment', '/admin#x'],
    ['a fragment before a query', '/a#?b=c'],
    ['an escape that is cut off', '/a%4'],
    ['a lone percent sign', '/100%'],
    ['an escape of letters', '/%zz'],
    ['the escapes of IIS', '/%u002e%u002e/admin'],
    ['UTF-8 cut off', '/%c3'],
    ['an overlong slash', '/pub%c0%afadmin'],
    ['an overlong dot', '/%c0%ae%c0%ae/admin'],
    ['an overlong NUL', '/a%c0%80'],
    ['an overlong slash in three bytes', '/pub%e0%80%afadmin'],
    ['a surrogate', '/%ed%a0%80'],
    ['past the last code point', '/%f4%90%80%80'],
    ['a byte of ISO-8859-1', '/caf%e9'],
    ['a raw byte', '/caf\u00e9'],
    ['a raw character', '/café/\u2215'],
    ['a space', '/a b'],
    ['a control character', '/a\u0001'],
    ['a tab as it is', '/a\tb'],
  ])('with %s is refused', (_, url) => {
    expect(refusal(url)).toEqual({ status: 400, code: 'operation_malformed' });
    if (url.startsWith('/') && !url.includes('#')) expect(refusal(`${url}?a=b`)).toMatchObject({ status: 400 });
  });

  test('may have encoded slashes where the upstream takes them for text, and keeps them', () => {
    const options = { encodedSlashes: true };
    expect(parseTarget('/projects/group%2fname/x', options)).toMatchObject({
      path: '/projects/group%2Fname/x',
      segments: ['projects', 'group/name', 'x'],
    });
    for (const url of ['/a%5cb', '/%2e%2e%2fa', '/a%252fb'])
      expect(refusal(url, options)).toMatchObject({ status: 400 });
  });

  test('has a bound on its length and its segments', () => {
    const { httpTargetBytesMax, httpSegmentsMax } = limits;
    expect(refusal(`/${'x'.repeat(httpTargetBytesMax - 1)}`)).toBeUndefined();
    expect(refusal(`/${'x'.repeat(httpTargetBytesMax)}`)).toEqual({ status: 414, code: 'operation_too_large' });
    expect(refusal('/x'.repeat(httpSegmentsMax))).toBeUndefined();
    expect(refusal('/x'.repeat(httpSegmentsMax + 1))).toEqual({ status: 414, code: 'operation_too_large' });
  });
});

describe('a query', () => {
  test.each([
    ['?', '', []],
    ['?a=1', 'a=1', [['a', '1']]],
    [
      '?a=1&a=2&b',
      'a=1&a=2&b',
      [
        ['a', '1'],
        ['a', '2'],
        ['b', ''],
      ],
    ],
    ['?a=', 'a=', [['a', '']]],
    ['?&&a=1&', 'a=1', [['a', '1']]],
    ['?a=b=c', 'a=b%3Dc', [['a', 'b=c']]],
    ['?a%3Db=c', 'a%3Db=c', [['a=b', 'c']]],
    ['?a=b+c%20d', 'a=b%20c%20d', [['a', 'b c d']]],
    ['?a=b%2Bc', 'a=b%2Bc', [['a', 'b+c']]],
    ['?a=1;b=2', 'a=1%3Bb%3D2', [['a', '1;b=2']]],
    ['?a=1;b', 'a=1%3Bb', [['a', '1;b']]],
    ['?a=1%26b=2', 'a=1%26b%3D2', [['a', '1&b=2']]],
    ['?filter[name]=x|y', 'filter%5Bname%5D=x%7Cy', [['filter[name]', 'x|y']]],
    ['?u=http://h:1/p?q,r@s', 'u=http://h:1/p%3Fq,r@s', [['u', 'http://h:1/p?q,r@s']]],
    ['?u=http%3a%2f%2fh', 'u=http://h', [['u', 'http://h']]],
    ['?p=..%2f..%5c%23%25', 'p=../..%5C%23%25', [['p', '../..\\#%']]],
    ['?n=caf%C3%A9%0A', 'n=caf%C3%A9%0A', [['n', 'café\n']]],
    ['?__proto__=1', '__proto__=1', [['__proto__', '1']]],
  ])('%s is judged and forwarded as %s', (url, queryText, query) => {
    expect(parseTarget(`/x${url}`)).toEqual({ path: '/x', segments: ['x'], queryText, query });
  });

  test.each(['?a=%', '?%zz=1', '?a=%c0%af', '?a=%ff', '?a=%00', '?%00=a', '?=x', '?a=1#b', '?a=\\', '?a=é', '?a= b'])(
    '%s is refused',
    (query) => {
      expect(refusal(`/x${query}`)).toEqual({ status: 400, code: 'operation_malformed' });
    },
  );

  test('loses what would override the method', () => {
    expect(
      written('/x?_method=DELETE&a=1&X-HTTP-Method-Override=PUT&_METHOD=PUT&%5fmethod=PATCH&$httpMethod=PUT'),
    ).toBe('/x?a=1');
    expect(written('/x?_methods=a&my_method=b')).toBe('/x?_methods=a&my_method=b');
  });

  test('has a bound on its parameters', () => {
    const parameters = (count: number) => `/x?${'a&'.repeat(count)}`;
    expect(refusal(parameters(limits.httpParametersMax))).toBeUndefined();
    expect(refusal(parameters(limits.httpParametersMax + 1))).toEqual({ status: 414, code: 'operation_too_large' });
  });
});

describe('targets made at random', () => {
  const pieces =
    '/ // /./ /../ . .. a B 7 ~ - _ ! $ & \' ( ) * + , ; = : @ ? # \\ [ ] { } | ^ ` " < > % %2 %2e %2f %5C %00 %25 %3b %3f %23 %26 %3d %2b %20 %41 %7e %c3%a9 %c0%af %e2%88%95 %ff %0a é'.split(
      ' ',
    );

  test('are refused, or have one form that means the same to other parsers and is its own', () => {
    const random = randomFrom(4711);
    let accepted = 0;
    for (let round = 0; round < 8_000; round++) {
      const url = `/${Array.from({ length: random(9) }, () => pieces[random(pieces.length)]).join('')}`;
      for (const options of [{}, { encodedSlashes: true }]) {
        const target = parseTarget(url, options);
        if ('fault' in target) continue;
        accepted++;
        const form = written(url, options) ?? '';
        expect(parseTarget(form, options)).toEqual(target);
        // The parser of browsers and of fetch moves nothing and finds the same parts.
        const parsed = new URL(`http://h${form}`);
        expect(parsed.pathname.replaceAll("'", '%27')).toBe(target.path.replaceAll("'", '%27'));
        expect(parsed.hash).toBe('');
        expect([...parsed.searchParams]).toEqual(target.query);
        expect(parsed.pathname.slice(1).split('/').map(decodeURIComponent)).toEqual(target.segments);
        // What the client wrote means the same in the form that is forwarded.
        expect(url.split('?')[0]?.slice(1).split('/').map(decodeURIComponent)).toEqual(target.segments);
        expect([...new URL(`http://h${url}`).searchParams]).toEqual(target.query);
      }
    }
    expect(accepted).toBeGreaterThan(1_500);
  });
});

/** Requests as bytes that servers might read in more than one way: a family of named ones, and a mixture of their parts. */
import { gzipSync } from 'node:zlib';

/** What every request says of itself. */
export interface Sender {
  readonly host: string;
  readonly token: string;
  /** By which a request is found again at the upstream and in the trail. */
  readonly id: string;
}

/** Something to send, in as many pieces as it has. */
export interface Attempt {
  readonly what: string;
  bytes(sender: Sender): readonly Buffer[];
  /** What is missing never comes: the gateway waits, and so does whoever sends this. */
  readonly withheld?: boolean;
}

interface Parts {
  readonly method?: string;
  readonly target?: string;
  readonly version?: string;
  /** In the place of the one Host line. */
  readonly hosts?: readonly string[];
  readonly fields?: readonly string[];
  /** In the place of `Connection: close`. */
  readonly connection?: readonly string[];
  readonly body?: string | Buffer;
  /** Says how long the body is. Default: when there is one. */
  readonly length?: boolean;
}

function raw(sender: Sender, parts: Parts): Buffer {
  const { method = 'GET', target = '/a', version = 'HTTP/1.1', fields = [], body = '' } = parts;
  const content = Buffer.isBuffer(body) ? body : Buffer.from(body, 'latin1');
  const { hosts = [`Host: ${sender.host}`], connection = ['Connection: close'], length = content.length > 0 } = parts;
  const head = [
    `${method} ${target} ${version}`,
    ...hosts.map((line) => line.replaceAll('SELF', sender.host)),
    `Authorization: Bearer ${sender.token}`,
    `X-Request-Id: ${sender.id}`,
    ...fields,
    ...(length ? [`Content-Length: ${content.length}`] : []),
    ...connection,
    ...['', ''],
  ].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), content]);
}

const targets = [
  ...[
    '/',
    '/a',
    '/a/',
    '/a/b/c',
    '/A',
    '/%61',
    '/%41',
    '/a%20b',
    '/a+b',
    '/a,b',
    "/a'b",
    '/(a)',
    '/a=b',
    '/a:b',
    '/@a',
  ],
  ...[
    '/a&b',
    '/$a',
    '/!a',
    '/~a',
    '/*',
    '/a*',
    '/a|b',
    '/a^b',
    '/[a]',
    '/{a}',
    '/"a"',
    '/<a>',
    '/`a`',
    '/%C3%BC',
    '/%c3%bc',
  ],
  ...[
    '/../a',
    '/a/../b',
    '/a/..',
    '/..',
    '/.',
    '/./a',
    '/a/./b',
    '/...',
    '/a/.../b',
    '/.a',
    '/a.',
    '/..a',
    '/a..',
    '/a../b',
  ],
  ...[
    '/%2e%2e/a',
    '/%2E%2E/a',
    '/.%2e/a',
    '/%2e',
    '/a%2e',
    '/%252e%252e/a',
    '/..%2fa',
    '/a%2fb',
    '/a%2Fb',
    '/%2f',
    '/a%252fb',
  ],
  ...[
    '/a%5cb',
    '/a\\b',
    '/..\\a',
    '\\a',
    '/a%3bb',
    '/a;b',
    '/a;b=c/d',
    '/;/a',
    '/a;/../b',
    '//a',
    '/a//b',
    '/a//',
    '///',
    '//evil/a',
  ],
  ...[
    '/a#b',
    '/a%23b',
    '/a?b#c',
    '/a%3Fb',
    '/a%3fb=c',
    '/%00',
    '/a%00b',
    '/a%0ab',
    '/a%0d%0aX-A:%20b',
    '/a%09b',
    '/a%7f',
    '/%zz',
  ],
  ...[
    '/%',
    '/%4',
    '/%c0%af',
    '/%c0%ae%c0%ae/a',
    '/%ff',
    '/%ed%a0%80',
    '/%u0041',
    '/a\tb',
    '/a\x0bb',
    '/\xc3\xbc',
    '/a b',
    '/%E2%80%AE',
  ],
  ...[
    'a',
    '',
    '*',
    '?a',
    'http://SELF/a',
    'http://evil/a',
    'HTTP://SELF/a',
    '/http://evil/a',
    '/a:80',
    '/%EF%BC%8F',
    '/%EF%BC%8E%EF%BC%8E/a',
  ],
];

const queries = [
  ...[
    'b',
    'b=',
    '=b',
    'b=c',
    'b=c&b=d',
    'b=c&&b=d',
    '&',
    '&b=c&',
    'b=c=d',
    'b==',
    'b[]=c&b[]=d',
    'b[c]=d',
    'b.c=d',
    'B=c&b=d',
  ],
  ...[
    'b=c;d=e',
    'b;c',
    'b=c%3Bd',
    'b=%26c=d',
    'b=c%26d=e',
    'b%3Dc=d',
    'b=c+d',
    'b=c%20d',
    'b=c%2Bd',
    'b+c=d',
    'b=c%2520d',
  ],
  ...[
    'b=%zz',
    'b=%',
    'b=%00',
    'b=%ff',
    'b=%c3%bc',
    'b=\xc3\xbc',
    'b=%u0041',
    'b=c%0d%0aX:%20y',
    'b=..%2f..',
    'b=c?d=e',
    '?b=c',
    'b=c#d',
  ],
  ...[
    '_method=DELETE',
    '_METHOD=DELETE',
    '_method=DELETE&b=c',
    '%5fmethod=DELETE',
    'x-http-method-override=DELETE',
    'b=c&_method=PUT',
  ],
  ...[
    '__proto__=b',
    'constructor=b',
    'access_token=b',
    'b=c|d',
    'b={"c":1}',
    'b="c"',
    'b=<c>',
    "b='c'",
    'b=%F0%9F%90%98',
    'b=c%',
  ],
].map((query) => `/a?${query}`);

const hosts: readonly (readonly string[])[] = [
  ...[
    [],
    ['Host:'],
    ['Host: '],
    ['Host: SELF', 'Host: SELF'],
    ['Host: SELF', 'Host: evil.test'],
    ['Host: evil.test', 'Host: SELF'],
  ],
  ...[
    'evil.test',
    'SELF:80',
    'SELF:443',
    'SELF:8080',
    'SELF:0',
    'SELF:99999',
    'SELF.',
    'SELF..',
    'SELF:',
    'SELF@evil.test',
    'evil.test@SELF',
  ],
  ...[
    'SELF/a',
    'SELF, evil.test',
    'SELF evil.test',
    'SELF\t',
    '127.0.0.1',
    '0x7f.1',
    '2130706433',
    '[::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
  ],
  ...[
    'SELF%00',
    '%53ELF',
    'SELF\x00',
    'SELF#evil.test',
    'SELF?a',
    'SELF\\evil.test',
    'http://SELF',
    'node.test',
    'nginx.test',
    'python.test',
  ],
].map((host) => (typeof host === 'string' ? [`Host: ${host}`] : host));

const claims = [
  ...[
    'X-HTTP-Method-Override: DELETE',
    'X-HTTP-Method: DELETE',
    'X-Method-Override: DELETE',
    'X_HTTP_METHOD_OVERRIDE: DELETE',
  ],
  ...[
    'X-Original-URL: /admin',
    'X-Rewrite-URL: /admin',
    'X-Original-URI: /admin',
    'X-Original-Host: evil.test',
    'X-Forwarded-Prefix: /x',
  ],
  ...[
    'X-Forwarded-Host: evil.test',
    'X-Forwarded-For: 10.0.0.1',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Method: DELETE',
    'X-Real-IP: 10.0.0.1',
  ],
  ...[
    'X-Host: evil.test',
    'X-HTTP-Host-Override: evil.test',
    'Forwarded: for=10.0.0.1;host=evil.test',
    'True-Client-IP: 10.0.0.1',
    'Via: 1.1 x',
  ],
  ...[
    'Cookie: session=stolen',
    'Cookie: a=b',
    'Proxy-Authorization: Basic YTpi',
    'Authorization: Bearer other',
    'Authorization : Bearer x',
  ],
  ...[
    'X-Api-Key: mine',
    'Proxy: evil.test',
    'X-Middleware-Subrequest: a',
    'Sec-Fetch-Mode: cors',
    'X-Request-Id: other',
    'x-request-id: other',
  ],
  ...[
    'Accept: text/html',
    'Accept: a, b',
    'User-Agent: \xff',
    'User-Agent: a\x00b',
    'User-Agent: a\rb',
    'User-Agent: a\r\n b',
    'If-Match: "a"',
  ],
  ...[
    'Range: bytes=0-1',
    'Accept-Encoding: gzip;q=0',
    'Content-Type: text/plain',
    'Origin: https://evil.test',
    'X-A:',
    ': a',
    'X A: b',
    'X-A\t: b',
  ],
  ...[
    'X_Request_Id: other',
    'X-Request_Id: other',
    'Host_: evil.test',
    'Content_Length: 5',
    'Transfer_Encoding: chunked',
    'Content-Length\x00: 5',
  ],
  ...[
    'Expect: 100-continue',
    'Expect: 200-ok',
    'Upgrade: websocket',
    'Upgrade: h2c',
    'TE: trailers',
    'TE: chunked',
    'Trailer: Authorization',
  ],
  ...[
    'Keep-Alive: timeout=5',
    'Proxy-Connection: close',
    'HTTP2-Settings: AAMAAABkAAQAAP__',
    'Priority: u=1',
    'Max-Forwards: 0',
    'Warning: a',
  ],
];

const connections = [
  ...[
    'close, authorization',
    'close, host',
    'close, x-request-id',
    'close, content-length',
    'close, content-type',
    'close, transfer-encoding',
  ],
  ...[
    'close, cookie',
    'close, accept',
    'close, user-agent',
    'close, x-a',
    'close, mcp-method',
    'close, Forwarded',
    'close, ,',
    'close, "a"',
    'close\t,te',
  ],
  ...[
    'close, upgrade',
    'Upgrade, HTTP2-Settings, close',
    'close, keep-alive',
    'CLOSE',
    'close;a',
    'close, a b',
    'close, origin',
    'close, if-match',
  ],
].map((value) => [`Connection: ${value}`]);

const bodies: readonly (readonly [type: string, body: string | Buffer])[] = [
  ...[
    ...[
      '{"a":1}',
      '{"a":1,"a":2}',
      '{"a":1,"A":2}',
      '{"a":1,"\\u0061":2}',
      '{"a":{"b":1,"b":2}}',
      '[{"a":1},{"a":2}]',
      '{"__proto__":{"a":1}}',
    ],
    ...[
      '\xef\xbb\xbf{"a":1}',
      '{"a":9007199254740993}',
      '{"a":1e400}',
      '{"a":1.0}',
      '{"a":-0}',
      '{"a":0.1000000000000000055}',
      '{"a":1E2}',
      '1',
      '"a"',
    ],
    ...[
      'null',
      '',
      ' ',
      '{}{}',
      '{"a":1}x',
      '{"a":1',
      "{'a':1}",
      '{"a":1,}',
      '{a:1}',
      '{"a":NaN}',
      '{"a":Infinity}',
      '{"a":01}',
      '{"a":.5}',
      '{"a":+1}',
    ],
    ...[
      '{"a":"\\ud800"}',
      '{"a":"\\u0000"}',
      '{"a":"\xff"}',
      '{"a":"\xc3\xbc"}',
      '{"a":"b\nc"}',
      '/**/{"a":1}',
      '{"_method":"DELETE"}',
      '\x00{"a":1}',
    ],
    ...[
      '{"a":"\\/"}',
      '{"\\u0000":1}',
      '{"":1}',
      '{"a":[1,[2,[3]]]}',
      '{"constructor":1}',
      '{"a":true,"b":null}',
      'a=b',
      '{"a":123456789012345678901}',
    ],
    ...[
      '{"a":4.9e-324}',
      '{"a":1e-400}',
      '{"a":"\\ud83d\\ude00"}',
      '\r\n{"a":1}\r\n',
      '{"a"\x0b:1}',
      '{"a":1}\x00',
      '{"toString":"a"}',
      '{"k":1,"\xe2\x84\xaa":2}',
    ],
  ].map((body) => ['application/json', body] as const),
  ...[
    'application/json; charset=utf-16',
    'application/json; charset=latin1',
    'application/json; charset=UTF-8',
    'application/json;charset="utf-8"',
  ].map((type) => [type, '{"a":"\xc3\xbc"}'] as const),
  ...[
    'text/json',
    'application/vnd.a+json',
    'APPLICATION/JSON',
    'application/json, text/plain',
    'application/json;',
    'application/jsonx',
    'json',
    '',
  ].map((type) => [type, '{"a":1}'] as const),
  ['application/json', Buffer.from('{"a":1}', 'utf16le')],
  ['application/json', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('{"a":1}', 'utf16le')])],
  ['application/json', gzipSync('{"a":1}')],
  ['application/json', `${'['.repeat(500)}${']'.repeat(500)}`],
  ['application/json', `[${'1,'.repeat(3_000)}1]`],
  ['text/plain', '{"a":1,"a":2}'],
  ['text/plain', 'GET /smuggled HTTP/1.1\r\nHost: evil.test\r\nX-Request-Id: smuggled\r\n\r\n'],
  ['application/octet-stream', Buffer.from([0, 1, 2, 255, 13, 10])],
  ...[
    ...[
      'a=b',
      'a=b&a=c',
      'a',
      'a=',
      '=b',
      'a=b;c=d',
      'a=b%3Bc',
      'a=%zz',
      'a=%ff',
      'a=%C3%BC',
      'a=\xc3\xbc',
      'a=b+c',
      'a=%00',
      'a=b&&c=d',
      '&a=b',
    ],
    ...[
      '_method=DELETE',
      '_charset_=latin1&a=b',
      '_charset_=UTF-8&a=b',
      'a[]=b&a[]=c',
      'a=b\r\n',
      'a=b\nc=d',
      '{"a":1}',
      'a%3Db=c',
      '__proto__=a',
      'a=b#c',
      'a=?',
    ],
  ].map((body) => ['application/x-www-form-urlencoded', body] as const),
  ['application/x-www-form-urlencoded; charset=utf-16', 'a=b'],
  ['application/x-www-form-urlencoded; charset=ibm037', 'a=b'],
  ...[
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nccc\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"; filename="x"\r\nContent-Type: text/plain\r\n\r\n\r\n\r\n\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"; name="b"\r\n\r\nb\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"\n\nb\r\n--B--\r\n',
    '--B\nContent-Disposition: form-data; name="a"\n\nb\n--B--\n',
    'x\r\n--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--B--\r\n--B\r\nContent-Disposition: form-data; name="c"\r\n\r\nd\r\n--B--',
    '--B\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nYg==\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"; filename*=utf-8\'\'b\r\n\r\nb\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a\\"b"\r\n\r\nb\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="_method"\r\n\r\nDELETE\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\n--B\r\nContent-Disposition: form-data; name="c"\r\n\r\nd\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--Bc\r\n\r\n--B--\r\n',
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--B',
  ].map((body) => ['multipart/form-data; boundary=B', body] as const),
  ['multipart/form-data', '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--B--\r\n'],
  [
    'multipart/form-data; boundary=B; boundary=C',
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--B--\r\n',
  ],
  ['multipart/form-data; boundary="B"', '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--B--\r\n'],
  ['multipart/mixed; boundary=B', '--B\r\n\r\nb\r\n--B--\r\n'],
];

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: evil.test\r\nX-Request-Id: smuggled\r\n\r\n';
const json = 'Content-Type: application/json';

/** Ways to say where a body ends, with what follows the head. */
const framings: readonly (readonly [fields: readonly string[], after: string])[] = [
  [['Transfer-Encoding: chunked'], '7\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding: CHUNKED'], '7\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '3;a=b\r\n{"a\r\n4;c="d"\r\n":1}\r\n0;e\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '7\r\n{"a":1}\r\n0\r\nAuthorization: Bearer x\r\nX-Request-Id: trailer\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '07\r\n{"a":1}\r\n00\r\n\r\n'],
  [['Transfer-Encoding: chunked'], `7\r\n{"a":1}\r\n0\r\n\r\n${smuggled}`],
  [['Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`],
  [['Transfer-Encoding: chunked'], `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`],
  [['Transfer-Encoding: chunked'], '7 \r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '+7\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '0x7\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '7\n{"a":1}\n0\n\n'],
  [['Transfer-Encoding: chunked'], '7\r\n{"a":1}0\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '7;a\n\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '7\r\n{"a":1}\r\n0\r\n\r\n0\r\n\r\n'],
  [['Transfer-Encoding: chunked'], 'ffffffffffffffff7\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding: chunked'], '-1\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Content-Length: 0'], smuggled],
  [['Content-Length: 7'], `{"a":1}${smuggled}`],
  [['Content-Length: 7', 'Content-Length: 7'], '{"a":1}'],
  [['Content-Length: 7', 'Content-Length: 0'], '{"a":1}'],
  ...['7, 7', '+7', '0x7', '-7', '7.0', '07', '7e0', '', ' 7 ', '7;a', '99999999999999999999'].map(
    (length): [string[], string] => [[`Content-Length: ${length}`], '{"a":1}'],
  ),
  [['Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`],
  [['Transfer-Encoding: chunked', 'Content-Length: 5'], `0\r\n\r\n${smuggled}`],
  ...[
    ...[
      'gzip, chunked',
      'chunked, gzip',
      'chunked, chunked',
      'identity',
      'chunked, identity',
      'xchunked',
      'x-chunked',
      '"chunked"',
      'chunked;a=b',
    ],
    ...[
      ' chunked',
      'chunked ',
      '\tchunked',
      'chunked\x0b',
      'chunk',
      ',chunked',
      'chunked,',
      'gzip',
      'chunked\x00',
      'ch\xfcnked',
    ],
  ].map((coding): [string[], string] => [[`Transfer-Encoding: ${coding}`], `7\r\n{"a":1}\r\n0\r\n\r\n${smuggled}`]),
  [['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '7\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], '7\r\n{"a":1}\r\n0\r\n\r\n'],
  [['Transfer-Encoding : chunked'], `0\r\n\r\n${smuggled}`],
  [['Transfer-Encoding\t: chunked'], `0\r\n\r\n${smuggled}`],
  [['Transfer-Encoding:\r\n chunked'], `0\r\n\r\n${smuggled}`],
  [['X-A: b\nTransfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`],
  [['X-A: b\rTransfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`],
];

const versions = [
  'HTTP/1.0',
  'HTTP/0.9',
  'HTTP/1.2',
  'HTTP/2.0',
  'HTTP/1.1 ',
  'http/1.1',
  'HTTP/01.1',
  'HTTP/1.10',
  'HTTP/ 1.1',
  '',
];
const methods = [
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'get',
  'Get',
  'GETX',
  'PURGE',
  'QUERY',
  'PROPFIND',
  'G\tET',
  '',
];

const one = (what: string, parts: (sender: Sender) => Parts, more: Partial<Attempt> = {}): Attempt => ({
  what,
  bytes: (sender) => [raw(sender, parts(sender))],
  ...more,
});

/** Every named attempt. */
export const family: readonly Attempt[] = [
  ...[...targets, ...queries].map((target) =>
    one(`the target ${JSON.stringify(target)}`, ({ host }) => ({ target: target.replaceAll('SELF', host) })),
  ),
  ...hosts.map((lines) => one(`the hosts ${JSON.stringify(lines)}`, () => ({ hosts: lines }))),
  ...claims.map((field) => one(`the header ${JSON.stringify(field)}`, () => ({ fields: [field] }))),
  ...connections.map((connection) => one(`${connection}`, () => ({ connection, fields: ['Accept: a', 'X-A: b'] }))),
  ...versions.map((version) => one(`the version ${JSON.stringify(version)}`, () => ({ version }))),
  ...methods.map((method) => one(`the method ${JSON.stringify(method)}`, () => ({ method }))),
  ...methods.map((method) => one(`a body with ${method}`, () => ({ method, fields: [json], body: '{"a":1}' }))),
  ...bodies.map(([type, body]) =>
    one(`${type} that reads ${JSON.stringify(body.toString('latin1')).slice(0, 80)}`, () => ({
      ...{ method: 'POST', body, length: true, fields: type === '' ? [] : [`Content-Type: ${type}`] },
    })),
  ),
  ...framings.flatMap(([fields, body]) =>
    ['application/json', 'text/plain'].map((type) =>
      one(
        `${JSON.stringify(fields)} with ${type} and ${JSON.stringify(body).slice(0, 60)}`,
        () => ({
          ...{ method: 'POST', fields: [`Content-Type: ${type}`, ...fields], body, length: false, connection: [] },
        }),
        { withheld: true },
      ),
    ),
  ),
  ...['gzip', 'deflate', 'br', 'identity', 'x-gzip', 'gzip, gzip', 'GZIP', ''].map((coding) =>
    one(`a body coded ${coding}`, () => ({
      ...{ method: 'POST', fields: [json, `Content-Encoding: ${coding}`], body: gzipSync('{"a":1}') },
    })),
  ),
  one('a bomb', () => ({
    ...{ method: 'POST', fields: [json, 'Content-Encoding: gzip'], body: gzipSync(Buffer.alloc(4 * 1024 * 1024)) },
  })),
  one('a body that is too long to be judged', () => ({
    ...{ method: 'POST', fields: [json], body: `"${'a'.repeat(1024 * 1024)}"` },
  })),
  one('chunks that are too long to be judged', () => ({
    ...{ method: 'POST', fields: [json, 'Transfer-Encoding: chunked'], length: false },
    body: `100000\r\n"${'a'.repeat(0x10_0000 - 1)}\r\n2\r\na"\r\n0\r\n\r\n`,
  })),
  one('a target that is too long', () => ({ target: `/${'a'.repeat(9_000)}` })),
  one('headers that are too long', () => ({ fields: [`User-Agent: ${'a'.repeat(17_000)}`] })),
  one('more headers than are read', () => ({ fields: Array.from({ length: 1_100 }, (_, n) => `X-${n}: a`) })),
  ...['application/json', 'text/plain'].flatMap((type) => [
    one(
      `a body of ${type} that is withheld`,
      () => ({
        ...{ method: 'POST', fields: [`Content-Type: ${type}`, 'Content-Length: 100'], body: '{"a":', length: false },
      }),
      { withheld: true },
    ),
    one(
      `chunks of ${type} that are withheld`,
      () => ({
        ...{
          method: 'POST',
          fields: [`Content-Type: ${type}`, 'Transfer-Encoding: chunked'],
          body: '7\r\n{"a":',
          length: false,
        },
      }),
      { withheld: true },
    ),
  ]),
  {
    what: 'two requests at once',
    bytes: (sender) => [
      raw(sender, { connection: [] }),
      raw({ ...sender, id: `${sender.id}-b` }, { method: 'DELETE', target: '/b?c=d' }),
    ],
  },
  {
    what: 'a request behind a body',
    bytes: (sender) => [
      raw(sender, { method: 'POST', fields: [json], body: '{"a":1}', connection: [] }),
      raw({ ...sender, id: `${sender.id}-b` }, { target: '/b' }),
    ],
  },
  ...splits('a body', (sender) => raw(sender, { method: 'POST', fields: [json], body: '{"a":"b","c":[1,2]}' })),
  ...splits('chunks', (sender) =>
    raw(sender, {
      ...{ method: 'POST', fields: [json, 'Transfer-Encoding: chunked'], length: false },
      body: '3;x=y\r\n{"a\r\n4\r\n":1}\r\n0\r\nX-Trailer: a\r\n\r\n',
    }),
  ),
];

/** A request in two pieces, split at each byte behind its head. */
function splits(what: string, make: (sender: Sender) => Buffer): readonly Attempt[] {
  const headOf = (bytes: Buffer) => bytes.indexOf('\r\n\r\n') + 2;
  const sample = make({ host: 'a', token: 'b', id: 'c' });
  return Array.from({ length: sample.length - headOf(sample) }, (_, offset) => ({
    what: `${what} split at ${offset}`,
    bytes: (sender: Sender) => {
      const bytes = make(sender);
      const at = headOf(bytes) + offset;
      return [bytes.subarray(0, at), bytes.subarray(at)];
    },
  }));
}

/** Some of the parts above put together, and every fifth with a byte that is another one. */
export function mixture(random: (below: number) => number): Attempt {
  const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
  const seldom = <Item>(items: readonly Item[], usual: Item): Item => (random(10) === 0 ? pick(items) : usual);
  const path = random(3) === 0 ? pick(targets) + seldom(targets, '') : '/a';
  const query = random(3) === 0 ? pick(queries).slice(2) : '';
  const [type, body] = pick(bodies);
  const [framing, framed] = pick(framings);
  const shape = random(3);
  const fields = Array.from({ length: random(5) === 0 ? 2 : random(2) }, () => pick(claims));
  const own: Parts =
    shape === 0
      ? { method: seldom(methods, 'GET') }
      : shape === 1
        ? { method: seldom(methods, 'POST'), body, length: true, fields: [`Content-Type: ${type}`] }
        : { method: 'POST', body: framed, length: false, fields: [`Content-Type: ${type}`, ...framing] };
  const parts: Parts = {
    ...own,
    target: path + query,
    fields: [...(own.fields ?? []), ...fields],
    connection: seldom(connections, ['Connection: close']),
  };
  const strange = seldom(hosts, undefined as readonly string[] | undefined);
  const version = seldom(versions, 'HTTP/1.1');
  const [spoil, where, byte] = [random(5) === 0, random(100_000), random(256)];
  return {
    what: JSON.stringify({
      ...parts,
      body: parts.body?.toString('latin1'),
      strange,
      version,
      ...(spoil && { where, byte }),
    }),
    withheld: shape === 2,
    bytes: (sender) => {
      const target = parts.target?.replaceAll('SELF', sender.host) ?? '/';
      const bytes = raw(sender, { ...parts, target, version, ...(strange && { hosts: strange }) });
      // By its id it is found again.
      const id = bytes.indexOf('X-Request-Id');
      const at = where % bytes.length;
      if (spoil && (at < id - 2 || at > bytes.indexOf('\r\n', id) + 1)) bytes[at] = byte;
      return [bytes];
    },
  };
}

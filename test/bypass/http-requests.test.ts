/**
 * Requests as bytes, through the whole gateway, to an upstream that keeps exactly what it received: what two readers could
 * take differently never arrives, and what arrives is what was judged.
 */
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

let upstream: Upstream;
let gateway: HttpGateway;
let token: string;

beforeAll(async () => {
  upstream = await startUpstream();
  gateway = await startHttpGateway({
    upstreams: [
      { name: 'web', host: upstream.host, port: upstream.port, routes: [{ path: '/{any}' }, { path: '/a/{b}' }] },
    ],
    data: {
      upstreams: { web: { labels: { env: 'prod' } } },
      http: { upstreams: { web: { write: ['POST /{any}'], masks: { text: {} } } } },
    },
  });
  token = await gateway.token();
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});
beforeEach(() => {
  upstream.received.length = 0;
});

/** Sends bytes; all that comes back until the connection ends or is quiet. */
function send(bytes: string, quietMs = 300): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(gateway.port, '127.0.0.1');
    let answer = '';
    const done = () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(5_000, done);
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      socket.setTimeout(quietMs);
    });
    socket.on('error', done);
    socket.on('close', done);
    socket.write(Buffer.from(bytes, 'latin1'));
  });
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
const head = (line: string, ...fields: string[]) =>
  [line, ...fields, `Authorization: Bearer ${token}`, '', ''].join('\r\n');
const host = 'Host: localhost';
const json = 'Content-Type: application/json';

type Refused = readonly [what: string, bytes: () => string];

const refused: readonly Refused[] = [
  // Where one request ends and the next begins.
  [
    'a length and chunks',
    () =>
      `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`,
  ],
  ['two lengths', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 2', 'Content-Length: 3')}{}x`],
  [
    'two lengths that agree',
    () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 2', 'Content-Length: 2')}{}`,
  ],
  ['a list of lengths', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 2, 2')}{}`],
  ['a length with a sign', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: +2')}{}`],
  ['a length in hexadecimal', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 0x2')}{}`],
  [
    'another coding before chunks',
    () => `${head('POST /a HTTP/1.1', host, json, 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`,
  ],
  [
    'a coding that looks like chunks',
    () => `${head('POST /a HTTP/1.1', host, json, 'Transfer-Encoding: xchunked')}0\r\n\r\n`,
  ],
  [
    'chunks said twice',
    () =>
      `${head('POST /a HTTP/1.1', host, json, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  ],
  ['chunks in HTTP/1.0', () => `${head('POST /a HTTP/1.0', host, json, 'Transfer-Encoding: chunked')}0\r\n\r\n`],
  ['a bare line feed', () => `GET /a HTTP/1.1\n${host}\nAuthorization: Bearer ${token}\n\n`],
  ['a folded header', () => head('GET /a HTTP/1.1', host, 'X-A: b\r\n c')],
  ['a space before the colon', () => head('GET /a HTTP/1.1', host, 'Content-Length : 5')],
  ['a NUL in a header', () => head('GET /a HTTP/1.1', host, 'X-A: b\0c')],
  ['a body with GET', () => `${head('GET /a HTTP/1.1', host, json, 'Content-Length: 2')}{}`],
  [
    'a length that is not one for a chunk',
    () => `${head('POST /a HTTP/1.1', host, json, 'Transfer-Encoding: chunked')}0x2\r\n{}\r\n0\r\n\r\n`,
  ],
  // What is asked for.
  ['two hosts', () => head('GET /a HTTP/1.1', host, 'Host: other.example')],
  ['no host', () => head('GET /a HTTP/1.1')],
  ['a host of somebody else', () => head('GET /a HTTP/1.1', 'Host: other.example')],
  ['a host with a user', () => head('GET /a HTTP/1.1', 'Host: localhost@other.example')],
  ['an absolute target', () => head('GET http://localhost/a HTTP/1.1', host)],
  ['an absolute target elsewhere', () => head('GET http://other.example/a HTTP/1.1', host)],
  ['a target that is a star', () => head('GET * HTTP/1.1', host)],
  ['CONNECT', () => head('CONNECT other.example:443 HTTP/1.1', host)],
  ['HTTP/1.0', () => head('GET /a HTTP/1.0', host)],
  ['HTTP/0.9', () => 'GET /a\r\n\r\n'],
  ['HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a method nobody knows', () => head('PURGE /a HTTP/1.1', host)],
  ['TRACE', () => head('TRACE /a HTTP/1.1', host)],
  ['a method in small letters', () => head('get /a HTTP/1.1', host)],
  ...[
    '/../a',
    '/a/../a',
    '/./a',
    '//a',
    '/a//b',
    '/%2e%2e/a',
    '/%2E/a',
    '/a%2fb',
    '/a%5cb',
    '/a\\b',
    '/%00',
    '/a%25b',
    '/a;b',
    '/a#b',
    '/%zz',
    '/%c0%af',
    '/%ff',
    '/a%0d%0aX: y',
    '/a?b=%zz',
  ].map((target): Refused => [`the target ${target}`, () => head(`GET ${target} HTTP/1.1`, host)]),
  // Who asks.
  ['two tokens', () => head('GET /a HTTP/1.1', host, 'Authorization: Bearer other')],
  [
    'a token in the query',
    () => ['GET /a?access_token=TOKEN HTTP/1.1', host, '', ''].join('\r\n').replace('TOKEN', token),
  ],
  ['a header with an underscore', () => head('GET /a HTTP/1.1', host, 'X_Forwarded_For: 10.0.0.1')],
  ['Connection that names the token', () => head('GET /a HTTP/1.1', host, 'Connection: authorization')],
  ['Connection that names the host', () => head('GET /a HTTP/1.1', host, 'Connection: host')],
  // Bodies.
  ['a body in gzip', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Encoding: gzip', 'Content-Length: 2')}{}`],
  ['two types', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Type: text/plain', 'Content-Length: 2')}{}`],
  ['a name twice in JSON', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 13')}{"a":1,"a":2}`],
  ['JSON with a byte-order mark', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 5')}\xef\xbb\xbf{}`],
  [
    'a number that readers round',
    () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 22')}{"a":9007199254740993}`,
  ],
  ['JSON that ends early', () => `${head('POST /a HTTP/1.1', host, json, 'Content-Length: 6')}{"a":1`],
];

test.each(refused)('%s: nothing arrives', async (_what, bytes) => {
  const answer = await send(bytes());
  expect(statusOf(answer) >= 400 || answer === '').toBe(true);
  expect(upstream.received).toEqual([]);
  const after = await send(head('GET /a HTTP/1.1', host, 'Connection: close'));
  expect(statusOf(after)).toBe(200);
});

test('what is refused is in the trail', async () => {
  const before = (await gateway.audit()).length;
  await send(head('GET /a/../b HTTP/1.1', host));
  // The trail is in order: what was decided later is written later.
  await send(head('GET /a HTTP/1.1', host, 'Connection: close'));
  const events = (await gateway.audit()).slice(before);
  expect(JSON.stringify(events)).toContain('operation_malformed');
  expect(JSON.stringify(events)).not.toContain(token);
});

describe('what arrives is what was judged', () => {
  const once = async (...fields: string[]) => {
    const answer = await send(head('GET /a?b=c HTTP/1.1', host, ...fields, 'Connection: close'));
    expect(statusOf(answer)).toBe(200);
    expect(upstream.received).toHaveLength(1);
    const [{ method, url, headers } = { method: '', url: '', headers: [] }] = upstream.received;
    expect([method, url]).toEqual(['GET', '/a?b=c']);
    return new Map(headers);
  };

  test.each([
    'X-HTTP-Method-Override: DELETE',
    'X-HTTP-Method: DELETE',
    'X-Method-Override: DELETE',
    'X-Original-URL: /admin',
    'X-Rewrite-URL: /admin',
    'X-Forwarded-For: 10.0.0.1',
    'X-Forwarded-Host: other.example',
    'Forwarded: for=10.0.0.1',
    'Cookie: session=stolen',
    'Proxy-Authorization: Basic YTpi',
    'Keep-Alive: timeout=5',
    'TE: trailers',
    'X-Api-Key: mine',
  ])('%s stays here', async (field) => {
    const headers = await once(field);
    const [name = '', value = ''] = field.split(': ');
    expect(headers.get(name.toLowerCase()) ?? '').not.toBe(value);
  });

  test('the host is the upstream, and no token is among the headers', async () => {
    const headers = await once();
    expect(headers.get('host')).toBe(`${upstream.host}:${upstream.port}`);
    expect(headers.has('authorization')).toBe(false);
    expect(JSON.stringify([...headers])).not.toContain(token);
  });

  test('an escape of a letter is that letter, before it is judged', async () => {
    await send(head('GET /%61 HTTP/1.1', host, 'Connection: close'));
    expect(upstream.received[0]?.url).toBe('/a');
  });

  test('a body in chunks arrives whole, and its trailers do not', async () => {
    const chunks = '8\r\n{"a":1,"\r\n6\r\nb": 2}\r\n0\r\nAuthorization: Bearer x\r\n\r\n';
    await send(head('POST /a HTTP/1.1', host, json, 'Transfer-Encoding: chunked') + chunks);
    expect(upstream.received).toHaveLength(1);
    expect(upstream.received[0]?.body.toString()).toBe('{"a":1,"b": 2}');
    expect(JSON.stringify(upstream.received[0]?.headers)).not.toContain('Bearer x');
  });

  test('a request behind another one is judged by itself', async () => {
    const answer = await send(head('GET /a HTTP/1.1', host) + head('DELETE /a HTTP/1.1', host), 1_000);
    expect(answer.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 403']);
    expect(upstream.received.map(({ method }) => method)).toEqual(['GET']);
  });
});

import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { type CanonicalOptions, canonicalRequest } from '../../../../proxy/protocols/http/canonical.ts';
import type { CanonicalRequest } from '../../../../proxy/protocols/http/contract.ts';
import { allowHeaders } from '../../../../proxy/protocols/http/headers.ts';
import { randomFrom } from './random.ts';

const host = ['Host', 'api.example'];
const options: CanonicalOptions = { hosts: ['api.example'] };

function ask(method: string, url: string, headers: readonly string[], more: Partial<CanonicalOptions> = {}) {
  return canonicalRequest(
    { method, url, httpVersion: '1.1', rawHeaders: [...host, ...headers] },
    { ...options, ...more },
  );
}

function accepted(...asked: Parameters<typeof ask>): CanonicalRequest {
  const result = ask(...asked);
  if ('fault' in result) throw new Error(result.fault.message);
  return result.request;
}

/** The status and code that something is refused with; undefined when it is not. */
function refusal(result: ReturnType<typeof canonicalRequest>) {
  return 'fault' in result ? [result.status, result.fault.code] : undefined;
}

test('a request is judged and forwarded as what was understood of it', () => {
  const request = accepted('POST', '/v1/%7Eana?q=a+b', [
    'Content-Type',
    'Application/JSON;charset=utf-8',
    'Content-Length',
    '12',
    'Authorization',
    'Bearer abc',
    'Cookie',
    'session=1',
    'X-Forwarded-For',
    '10.0.0.1',
    'X-Http-Method-Override',
    'DELETE',
    'X-Original-URL',
    '/admin',
    'Connection',
    'keep-alive, accept-language',
    'Accept-Language',
    'en',
    'TE',
    'trailers',
    'Accept',
    'a/b',
    'ACCEPT',
    'c/d',
  ]);
  expect(request).toEqual({
    method: 'POST',
    host: 'api.example',
    path: '/v1/~ana',
    segments: ['v1', '~ana'],
    queryText: 'q=a%20b',
    query: [['q', 'a b']],
    headers: [
      ['content-type', 'application/json; charset=utf-8'],
      ['accept', 'a/b, c/d'],
    ],
    contentType: 'application/json',
    contentTypeHeader: 'application/json; charset=utf-8',
    contentLength: 12,
    token: 'abc',
    upgrade: undefined,
  });
});

describe('the version', () => {
  test.each(['0.9', '1.0', '2.0', '3.0', '1.10', ''])('%j is refused', (httpVersion) => {
    expect(refusal(canonicalRequest({ method: 'GET', url: '/', httpVersion, rawHeaders: host }, options))).toEqual([
      505,
      'operation_unsupported',
    ]);
  });
});

describe('the method', () => {
  test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s is available', (method) => {
    expect(accepted(method, '/', []).method).toBe(method);
  });

  test.each(['CONNECT', 'TRACE', 'PURGE', 'SOURCE', 'QUERY', 'PROPFIND', 'MOVE', 'get', 'Get', 'G ET', '', 'GET\0'])(
    '%j is not',
    (method) => {
      expect(refusal(ask(method, '/', []))).toEqual([405, 'operation_unsupported']);
    },
  );

  test('may be missing in what node:http hands over, and is refused then', () => {
    expect(refusal(canonicalRequest({ httpVersion: '1.1', rawHeaders: host }, options))?.[0]).toBe(405);
    expect(refusal(canonicalRequest({ method: 'GET', httpVersion: '1.1', rawHeaders: host }, options))?.[0]).toBe(400);
  });
});

describe('the host', () => {
  const withHosts = (...rawHeaders: string[]) =>
    canonicalRequest({ method: 'GET', url: '/', httpVersion: '1.1', rawHeaders }, options);

  test('is one, and one that may be asked for', () => {
    expect(withHosts('hOST', 'API.example.:443')).toMatchObject({ request: { host: 'api.example' } });
    expect(withHosts('Host', 'api.example:8080')).toMatchObject({ request: { host: 'api.example:8080' } });
    expect(refusal(withHosts())).toEqual([400, 'operation_malformed']);
    expect(refusal(withHosts('Host', ''))).toEqual([400, 'operation_malformed']);
    expect(refusal(withHosts('Host', 'api.example', 'Host', 'api.example'))).toEqual([400, 'operation_malformed']);
    expect(refusal(withHosts('Host', 'api.example', 'HOST', 'admin.example'))).toEqual([400, 'operation_malformed']);
    expect(refusal(withHosts('Host', 'api.example, admin.example'))).toEqual([400, 'operation_malformed']);
    expect(refusal(withHosts('Host', 'ana@api.example'))).toEqual([400, 'operation_malformed']);
    expect(refusal(withHosts('Host', 'admin.example'))).toEqual([421, 'upstream_unknown']);
    expect(refusal(withHosts('Host', '127.0.0.1'))).toEqual([421, 'upstream_unknown']);
  });

  test('is not taken from anything else', () => {
    const names = ['X-Forwarded-Host', 'X-Host', 'Forwarded', 'X-Original-Host', 'X-HTTP-Host-Override'];
    for (const name of names) {
      expect(accepted('GET', '/', [name, 'admin.example'])).toMatchObject({ host: 'api.example', headers: [] });
      expect(refusal(withHosts(name, 'api.example'))?.[0]).toBe(400);
    }
  });
});

describe('the body', () => {
  test('is delimited by a length, by chunks, or not there', () => {
    expect(accepted('POST', '/', ['Content-Length', '5']).contentLength).toBe(5);
    expect(accepted('POST', '/', ['Transfer-Encoding', 'Chunked']).contentLength).toBeUndefined();
    expect(accepted('POST', '/', []).contentLength).toBe(0);
    expect(accepted('DELETE', '/', ['Content-Length', '0']).contentLength).toBe(0);
  });

  test.each([
    ['both', ['Content-Length', '5', 'Transfer-Encoding', 'chunked']],
    ['both, with no length', ['Transfer-Encoding', 'chunked', 'Content-Length', '0']],
    ['two lengths', ['Content-Length', '5', 'Content-Length', '6']],
    ['two equal lengths', ['Content-Length', '5', 'content-length', '5']],
    ['a list of lengths', ['Content-Length', '5, 5']],
    ['a sign', ['Content-Length', '+5']],
    ['a negative length', ['Content-Length', '-1']],
    ['hexadecimal', ['Content-Length', '0x5']],
    ['a leading zero', ['Content-Length', '05']],
    ['a fraction', ['Content-Length', '5.0']],
    ['an empty length', ['Content-Length', '']],
    ['a length past exact numbers', ['Content-Length', '9007199254740993']],
    ['two codings', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    ['chunked twice', ['Transfer-Encoding', 'chunked, chunked']],
    ['gzip and chunked', ['Transfer-Encoding', 'gzip, chunked']],
    ['chunked and identity', ['Transfer-Encoding', 'chunked, identity']],
    ['identity', ['Transfer-Encoding', 'identity']],
    ['gzip', ['Transfer-Encoding', 'gzip']],
    ['something like chunked', ['Transfer-Encoding', 'xchunked']],
    ['chunked with a parameter', ['Transfer-Encoding', 'chunked;x=1']],
    ['chunked in quotes', ['Transfer-Encoding', '"chunked"']],
    ['chunked after a vertical tab', ['Transfer-Encoding', '\u000bchunked']],
    ['an empty coding', ['Transfer-Encoding', '']],
    ['chunked with another spelling of the name', ['Transfer_Encoding', 'chunked']],
    ['a coding hidden by Connection', ['Connection', 'transfer-encoding', 'Transfer-Encoding', 'chunked']],
    ['a length hidden by Connection', ['Connection', 'content-length', 'Content-Length', '5']],
  ])('of a request with %s is refused', (_, headers) => {
    expect(refusal(ask('POST', '/', headers))).toEqual([400, 'operation_malformed']);
  });

  test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS'])(
    'of %s is refused unless the upstream is known to take one',
    (method) => {
      for (const headers of [
        ['Content-Length', '1'],
        ['Transfer-Encoding', 'chunked'],
      ]) {
        expect(refusal(ask(method, '/', headers))).toEqual([400, 'operation_malformed']);
        expect(
          refusal(ask(method, '/', headers, { bodyMethods: ['GET', 'HEAD', 'DELETE', 'OPTIONS'] })),
        ).toBeUndefined();
      }
    },
  );

  test('has a bound on what it announces', () => {
    expect(refusal(ask('PUT', '/', ['Content-Length', '10'], { bodyBytesMax: 10 }))).toBeUndefined();
    expect(refusal(ask('PUT', '/', ['Content-Length', '11'], { bodyBytesMax: 10 }))).toEqual([
      413,
      'operation_too_large',
    ]);
    expect(refusal(ask('PUT', '/', ['Content-Length', String(limits.httpRequestBytesMax + 1)]))?.[0]).toBe(413);
    expect(refusal(ask('PUT', '/', ['Content-Length', '999999999999999']))?.[0]).toBe(413);
  });

  test('may not be coded: nobody would look into it', () => {
    for (const coding of ['GZIP', 'gzip, gzip', 'identity', 'br', '', 'gzip;q=1']) {
      const coded = ['Content-Length', '5', 'Content-Encoding', coding];
      expect(refusal(ask('POST', '/', coded))).toEqual([415, 'operation_unsupported']);
    }
  });

  test('has a type, told with its parameters and without', () => {
    const typed = (type: string) => ask('POST', '/', ['Content-Length', '1', 'Content-Type', type]);
    expect(typed('TEXT/Plain')).toMatchObject({
      request: { contentType: 'text/plain', contentTypeHeader: 'text/plain' },
    });
    for (const type of ['', 'json', 'application/json, text/plain', 'text/plain; charset=a; charset=b']) {
      expect(refusal(typed(type))).toEqual([400, 'operation_malformed']);
    }
    expect(refusal(ask('POST', '/', ['Content-Type', 'a/b', 'Content-Type', 'c/d']))?.[0]).toBe(400);
    expect(accepted('GET', '/', ['Content-Type', 'a/b'])).toMatchObject({ contentType: '', contentTypeHeader: '' });
  });
});

describe('an expectation', () => {
  test('is 100-continue, which is between the client and the gateway', () => {
    expect(accepted('POST', '/', ['Content-Length', '1', 'Expect', '100-Continue']).headers).toEqual([]);
  });

  test.each(['200-ok', '100-continue, x', '100', ''])('of %j cannot be met', (value) => {
    expect(refusal(ask('POST', '/', ['Content-Length', '1', 'Expect', value]))).toEqual([417, 'operation_unsupported']);
  });
});

describe('a token', () => {
  test('is taken from exactly one Authorization header and goes no further', () => {
    const request = accepted('GET', '/', ['Authorization', 'Bearer abc']);
    expect(request).toMatchObject({ token: 'abc', headers: [] });
    expect(refusal(ask('GET', '/', ['Authorization', 'Bearer a', 'authorization', 'Bearer b']))?.[0]).toBe(400);
    expect(refusal(ask('GET', '/', ['Authorization', 'Bearer a', 'authorization', 'Bearer a']))?.[0]).toBe(400);
    expect(refusal(ask('GET', '/', ['Authorization', 'Bearer a', 'Connection', 'authorization']))?.[0]).toBe(400);
  });

  test.each(['Basic YTpi', 'Bearer', 'Bearer a, Bearer b', ''])('is not there in %j', (value) => {
    expect(accepted('GET', '/', ['Authorization', value])).toMatchObject({ token: undefined, headers: [] });
  });

  test('is not taken from anywhere else', () => {
    const headers = ['X-Authorization', 'Bearer a', 'Proxy-Authorization', 'Bearer b', 'Cookie', 'access_token=c'];
    expect(accepted('GET', '/?access_token=d', headers).token).toBeUndefined();
  });
});

describe('an upgrade', () => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  const handshake = ['Connection', 'keep-alive, Upgrade', 'Upgrade', 'WebSocket', 'Sec-WebSocket-Version', '13'];
  const webSocket = [...handshake, 'Sec-WebSocket-Key', key];
  const upgrades = { upgrades: true };

  test('to a WebSocket is one where they are taken, without extensions', () => {
    const headers = [...webSocket, 'Sec-WebSocket-Protocol', 'a, b', 'Sec-WebSocket-Extensions', 'permessage-deflate'];
    expect(accepted('GET', '/ws', headers, upgrades)).toMatchObject({
      upgrade: 'websocket',
      headers: [
        ['sec-websocket-version', '13'],
        ['sec-websocket-key', key],
        ['sec-websocket-protocol', 'a, b'],
      ],
    });
    expect(refusal(ask('GET', '/ws', headers))).toEqual([501, 'operation_unsupported']);
  });

  test.each([
    ['with another method', 'POST', webSocket],
    ['with a body', 'PUT', [...webSocket, 'Content-Length', '5']],
    ['without a key', 'GET', handshake],
    ['with a short key', 'GET', [...handshake, 'Sec-WebSocket-Key', 'abc=']],
    ['with two keys', 'GET', [...webSocket, 'Sec-WebSocket-Key', key]],
    ['of another version', 'GET', ['Connection', 'upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Version', '8']],
  ])('to a WebSocket %s is malformed', (_, method, headers) => {
    expect(refusal(ask(method, '/ws', headers, upgrades))).toEqual([400, 'operation_malformed']);
  });

  test('to a WebSocket has no body, also where a GET may have one', () => {
    const taking = { ...upgrades, bodyMethods: ['GET'] };
    expect(refusal(ask('GET', '/ws', [...webSocket, 'Content-Length', '5'], taking))?.[0]).toBe(400);
    expect(refusal(ask('GET', '/ws', [...webSocket, 'Transfer-Encoding', 'chunked'], taking))?.[0]).toBe(400);
    expect(refusal(ask('GET', '/ws', [...webSocket, 'Content-Length', '0'], taking))).toBeUndefined();
  });

  test('to HTTP/2 is not taken up', () => {
    const h2c = ['Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c', 'HTTP2-Settings', 'AAMAAABk'];
    expect(accepted('GET', '/', h2c, upgrades)).toMatchObject({ upgrade: undefined, headers: [] });
  });

  test.each(['TLS/1.0', 'websocket, h2c', 'h2c, websocket', 'SSH', 'websocket/13'])('to %s is refused', (protocol) => {
    const headers = ['Connection', 'upgrade', 'Upgrade', protocol];
    expect(refusal(ask('GET', '/', headers, upgrades))).toEqual([501, 'operation_unsupported']);
  });

  test('that Connection does not name is none (RFC 9110 section 7.8)', () => {
    expect(accepted('GET', '/', ['Upgrade', 'websocket'], upgrades)).toMatchObject({ upgrade: undefined, headers: [] });
  });

  test('does not let its headers pass when there is none', () => {
    expect(accepted('GET', '/', ['Sec-WebSocket-Key', key], upgrades).headers).toEqual([]);
  });
});

test('a fault never quotes what the client sent', () => {
  const secret = 's3cr3t';
  const results = [
    ask(secret, '/', []),
    ask('GET', `/${secret}//`, []),
    ask('GET', `/?${secret}=%`, []),
    ask('GET', '/', ['Authorization', secret, 'Authorization', secret]),
    ask('GET', '/', [`${secret}_`, secret]),
    ask('GET', '/', ['Connection', `${secret} x`]),
    ask('GET', '/', ['Host', secret]),
    ask('POST', '/', ['Content-Length', secret]),
    ask('POST', '/', ['Content-Length', '1', 'Content-Type', secret]),
    ask('GET', '/', ['Connection', 'upgrade', 'Upgrade', secret]),
  ];
  for (const result of results) {
    expect(refusal(result)).toBeDefined();
    expect(JSON.stringify(result)).not.toContain(secret);
  }
});

test('the canonical form of a canonical form is itself, and has nothing of what is never forwarded', () => {
  const names =
    'Accept accept Content-Type Content-Length Transfer-Encoding Expect Authorization Cookie X-Forwarded-For X-Http-Method-Override Connection Upgrade TE User-Agent Mcp-Session-Id X-Shop-Id Sec-WebSocket-Key If-Match Range Content-Encoding'.split(
      ' ',
    );
  const values = ['', 'a', 'a, b', 'application/json; charset="utf-8"', '5', 'chunked', '100-continue', 'Bearer x'];
  const tokens = ['close', 'keep-alive', 'upgrade', 'accept', 'user-agent', 'cookie', 'te'];
  const extended = allowHeaders(['mcp-*', 'x-shop-*']);
  if ('error' in extended) throw new Error(extended.error);
  const more: CanonicalOptions = { ...options, headers: extended };
  const random = randomFrom(20_26);
  const any = <One>(list: readonly One[]) => list[random(list.length)] as One;
  let taken = 0;
  for (let round = 0; round < 20_000; round++) {
    const rawHeaders = [...host];
    for (let count = random(5); count > 0; count--) {
      const name = any(names);
      rawHeaders.push(name, name === 'Connection' ? `${any(tokens)},${any(tokens)}` : any(values));
    }
    const method = any(['GET', 'POST', 'DELETE']);
    const result = canonicalRequest(
      { method, url: any(['/', '/a%41?b+c', '/x/']), httpVersion: '1.1', rawHeaders },
      more,
    );
    if ('fault' in result) continue;
    taken++;
    const { request } = result;
    const again = canonicalRequest(
      {
        method: request.method,
        url: request.queryText === '' ? request.path : `${request.path}?${request.queryText}`,
        httpVersion: '1.1',
        rawHeaders: [
          ...['host', request.host],
          ...request.headers.flat(),
          ...(request.contentLength === undefined ? ['transfer-encoding', 'chunked'] : []),
          ...(request.contentLength ? ['content-length', String(request.contentLength)] : []),
        ],
      },
      more,
    );
    if ('fault' in again) throw new Error(again.fault.message);
    expect(again.request).toEqual({ ...request, token: undefined });
    const forbidden =
      /^(host|authorization|cookie|connection|upgrade|te|expect|content-length|transfer-encoding|x-forwarded|x-http)/;
    expect(request.headers.filter(([name]) => forbidden.test(name))).toEqual([]);
    expect(new Set(request.headers.map(([name]) => name)).size).toBe(request.headers.length);
  }
  expect(taken).toBeGreaterThan(3_000);
});

import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import {
  type AllowedHeaders,
  allowHeaders,
  bearerToken,
  commonHeaders,
  connectionTokens,
  readHeaders,
} from '../../../../proxy/protocols/http/headers.ts';

function allowing(...names: string[]): AllowedHeaders {
  const allowed = allowHeaders(names);
  if ('error' in allowed) throw new Error(allowed.error);
  return allowed;
}

function read(...rawHeaders: string[]) {
  const headers = readHeaders(rawHeaders, commonHeaders);
  return 'fault' in headers ? headers.status : Object.fromEntries(headers);
}

describe('a head', () => {
  test('is read by names in lower case, without white space around values', () => {
    expect(read('ACCEPT', ' \t a/b\t ', 'X-Empty', '')).toEqual({ accept: 'a/b', 'x-empty': '' });
  });

  test.each([
    ['X_Forwarded_For', '10.0.0.1'],
    ['Content_Length', '5'],
    ['a_b', ''],
    ['', 'x'],
    ['a b', 'x'],
    ['a:b', 'x'],
    ['a\0', 'x'],
    ['\u00e4', 'x'],
    ['a(b)', 'x'],
    ['\u212aey', 'x'],
    ['accept', 'a\r\nx: y'],
    ['accept', 'a\nb'],
    ['accept', 'a\0b'],
    ['accept', '\u00e4'],
    ['accept', '\u007f'],
    ['x-dropped', '\u0080'],
  ])('with the line %j: %j is refused', (name, value) => {
    expect(read('host', 'h', name, value)).toBe(400);
  });

  test.each([
    'host',
    'Authorization',
    'content-length',
    'transfer-encoding',
    'content-type',
    'expect',
    'user-agent',
    'range',
    'origin',
    'idempotency-key',
    'sec-websocket-key',
    'proxy-authorization',
    'referer',
  ])('with %s twice is refused, even with the same value', (name) => {
    expect(read(name, 'x', name.toUpperCase(), 'x')).toBe(400);
  });

  test('joins lists, and does not care how often something comes that goes nowhere', () => {
    expect(read('accept', 'a', 'Accept', 'b', 'if-match', '"1"', 'if-match', '"2"')).toEqual({
      accept: 'a, b',
      'if-match': '"1", "2"',
    });
    expect(read('x-forwarded-for', '1', 'x-forwarded-for', '2', 'cookie', 'a', 'cookie', 'b')).toEqual({
      'x-forwarded-for': '1',
      cookie: 'a',
    });
  });

  test('has a bound on its lines and its bytes', () => {
    const lines = (count: number) => Array.from({ length: count }, (_, index) => [`x-${index}`, '']).flat();
    expect(read(...lines(limits.httpHeadersMax))).toBeInstanceOf(Object);
    expect(read(...lines(limits.httpHeadersMax + 1))).toBe(431);
    expect(read('accept', 'x'.repeat(limits.httpHeaderBytesMax - 10))).toBeInstanceOf(Object);
    expect(read('accept', 'x'.repeat(limits.httpHeaderBytesMax - 9))).toBe(431);
  });

  test('of one header with very much white space is read in linear time', () => {
    const value = `a${' '.repeat(15_000)}b`;
    expect(read('accept', value)).toEqual({ accept: value });
    expect(connectionTokens(`close${' '.repeat(15_000)}x`)).toMatchObject({ status: 400 });
  });
});

describe('the headers that may go on', () => {
  test.each(['accept', 'content-type', 'if-none-match', 'traceparent', 'user-agent', 'range', 'idempotency-key'])(
    'are common ones like %s',
    (name) => {
      expect(commonHeaders.allows(name)).toBe(true);
      expect(allowing().allows(name)).toBe(true);
    },
  );

  const refusedOnes =
    'authorization proxy-authorization cookie host connection te trailer transfer-encoding content-length upgrade expect keep-alive proxy-connection http2-settings forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-prefix x-forwarded-user x-real-ip via proxy x-http-method x-http-method-override x-method-override x-original-url x-original-host x-rewrite-url x-envoy-original-path sec-websocket-extensions x-middleware-subrequest'.split(
      ' ',
    );

  test.each(refusedOnes)('are never %s, whatever is configured', (name) => {
    expect(commonHeaders.allows(name)).toBe(false);
    expect(allowHeaders([name.toUpperCase()])).toEqual({ error: expect.stringContaining(name) });
  });

  test('are not what nobody named: an API key of the agent’s own stays here', () => {
    for (const name of ['x-api-key', 'x-amz-security-token', 'api-key', 'mcp-session-id', 'x-anything', '__proto__']) {
      expect(commonHeaders.allows(name)).toBe(false);
    }
  });

  test('are extended by name and by prefix', () => {
    const allowed = allowing('MCP-*', 'X-Shop-Id', 'x-*');
    expect(allowed.allows('mcp-session-id')).toBe(true);
    expect(allowed.allows('x-shop-id')).toBe(true);
    expect(allowed.allows('x-anything')).toBe(true);
    for (const name of refusedOnes) expect({ name, allowed: allowed.allows(name) }).toEqual({ name, allowed: false });
    expect(allowed.allows('mcp')).toBe(false);
  });

  test.each(['*', '', 'x*', 'a b', 'x_y', 'x-*-y', 'a:b', '-', '-*', 'ü'])('%j extends nothing', (name) => {
    expect(allowHeaders([name])).toEqual({ error: expect.stringContaining('header') });
  });
});

describe('Connection', () => {
  test('names what is about the connection alone', () => {
    expect(connectionTokens('Keep-Alive, ,Upgrade,HTTP2-Settings, TE ,accept')).toEqual(
      new Set(['keep-alive', 'upgrade', 'http2-settings', 'te', 'accept']),
    );
    expect(connectionTokens(undefined)).toEqual(new Set());
  });

  test.each([
    'authorization',
    'close, Authorization',
    'cookie',
    'host',
    'mcp-session-id',
    'Mcp-Method',
    'x-request-id',
    'x-forwarded-for',
    'content-length',
    'content-type',
    'transfer-encoding',
    'if-match',
    'idempotency-key',
    'origin',
    'expect',
    'sec-websocket-key',
    'a b',
    'close;x',
    '"close"',
  ])('must not say %j', (value) => {
    expect(connectionTokens(value)).toMatchObject({ status: 400, fault: { code: 'operation_malformed' } });
  });
});

describe('a bearer token', () => {
  test.each([
    ['Bearer abc.def-g_h~i+j/k==', 'abc.def-g_h~i+j/k=='],
    ['bearer x', 'x'],
    ['BEARER   x', 'x'],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Bearer a b', undefined],
    ['Bearer a, Bearer b', undefined],
    ['Bearer "a"', undefined],
    ['Bearer =a', undefined],
    ['Bearer a=b', undefined],
    ['Bearera', undefined],
    ['Basic YTpi', undefined],
    ['DPoP a', undefined],
    ['a', undefined],
    [`Bearer ${'x'.repeat(limits.tokenBytesMax + 1)}`, undefined],
  ])('of %j is %j', (value, token) => {
    expect(bearerToken(value)).toBe(token);
  });
});

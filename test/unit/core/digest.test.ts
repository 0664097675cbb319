import { describe, expect, test } from '@jest/globals';
import { canonicalJson, operationDigest } from '../../../proxy/core/digest.ts';
import type { Identity, Json, JsonObject } from '../../../proxy/core/types.ts';

describe('canonical JSON', () => {
  // RFC 8785, sections 3.2.2 to 3.2.4.
  test('is as in the example of the RFC', () => {
    const input: JsonObject = JSON.parse(String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`);
    expect(canonicalJson(input)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  test('orders members by UTF-16 code units', () => {
    const input: JsonObject = JSON.parse(String.raw`{
      "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
    }`);
    const names = Object.values(JSON.parse(canonicalJson(input)) as object);
    // Numeric names come first in objects of ECMAScript, here as in the RFC they are second.
    expect(canonicalJson(input).indexOf('"\\r"')).toBe(1);
    expect(names).toHaveLength(7);
    expect([...canonicalJson(input).matchAll(/:"([^"]+)"/g)].map(([, name]) => name)).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  // RFC 8785, appendix B: the bits of a double, and how it is written.
  test.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('writes the number %s as %s', (bits, written) => {
    expect(canonicalJson(Buffer.from(bits, 'hex').readDoubleBE())).toBe(written);
  });

  test.each([
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a lone surrogate', '\ud800'],
    ['a lone surrogate in a name', { '\udc00': 1 }],
  ] satisfies [string, Json][])('refuses %s', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(TypeError);
  });
});

describe('the digest of an operation', () => {
  const identity: Identity = {
    ...{ type: 'agent', issuer: 'https://idp', id: 'bot', groups: ['a'], claims: { jti: '1' }, expiresAtMs: 1 },
    chain: [{ issuer: 'https://idp', id: 'ana', groups: [] }],
  };
  const facts = {
    action: { name: 'delete', properties: { text: 'x' } },
    resource: { type: 'database', id: 'orders/app', properties: { labels: { env: 'prod' } } },
  };
  const operation = { identity, facts, variable: { parameters: [1] }, bound: {} };
  const digest = operationDigest(operation);

  test('is SHA-256 in hex, and the same for a refreshed token of another group', () => {
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    const refreshed = { ...identity, claims: { jti: '2' }, groups: ['b'], expiresAtMs: 9 };
    expect(operationDigest({ ...operation, identity: refreshed })).toBe(digest);
  });

  test.each([
    ['a subject of another issuer', { ...operation, identity: { ...identity, issuer: 'https://other' } }],
    ['no delegation', { ...operation, identity: { ...identity, chain: [] } }],
    ['another parameter', { ...operation, variable: { parameters: [2] } }],
    ['another body', { ...operation, bound: { body_sha256: '00' } }],
    ['another action', { ...operation, facts: { ...facts, action: { ...facts.action, name: 'update' } } }],
    [
      'other labels',
      { ...operation, facts: { ...facts, resource: { ...facts.resource, properties: { labels: {} } } } },
    ],
  ])('differs with %s', (_, other) => {
    expect(operationDigest(other)).not.toBe(digest);
  });
});

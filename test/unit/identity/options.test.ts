import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { type IssuerOptions, parseIssuers } from '../../../proxy/identity/options.ts';

const plain: IssuerOptions = { issuer: 'https://idp.example/realms/agents', audience: 'https://gateway.example' };

describe('the options of an issuer', () => {
  test('have defaults that allow public-key algorithms only', () => {
    const [issuer] = parseIssuers([plain]);
    expect(issuer?.algorithms).toEqual(['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']);
    expect(issuer?.typ).toBe('at+jwt');
    expect(issuer?.groupsClaim).toBe('groups');
  });

  test.each(['none', 'None', 'HS256', 'HS512', 'RS1', 'dir', ''])('cannot allow the algorithm %p', (algorithm) => {
    expect(() => parseIssuers([{ ...plain, algorithms: ['RS256', algorithm] }])).toThrow(plain.issuer);
  });

  test.each([
    ['no algorithm at all', { algorithms: [] }],
    ['no authorized party at all', { authorizedParties: [] }],
    ['an empty audience', { audience: '' }],
    ['a skew past the bound', { clockSkewSeconds: limits.clockSkewSecondsMax + 1 }],
    ['a negative skew', { clockSkewSeconds: -1 }],
    ['a skew that is no number', { clockSkewSeconds: Number.NaN }],
    ['a token lifetime past the bound', { tokenLifetimeSeconds: limits.tokenLifetimeSecondsMax + 1 }],
    ['a key set used for ever', { jwksStaleMs: Number.POSITIVE_INFINITY }],
    ['a URL with a query', { issuer: 'https://idp.example/?a=b' }],
    ['a URL with a password in it', { issuer: 'https://user:secret@idp.example' }],
    ['something that is no URL', { issuer: 'idp' }],
    ['plain http', { issuer: 'http://127.0.0.1:9000' }],
    ['plain http to elsewhere even where http is allowed', { issuer: 'http://idp.example', allowInsecureHttp: true }],
    ['a name that only begins like loopback', { issuer: 'http://127.0.0.1.evil.example', allowInsecureHttp: true }],
    ['another scheme', { issuer: 'file:///etc/passwd', allowInsecureHttp: true }],
  ])('refuse %s', (_what, wrong) => {
    expect(() => parseIssuers([{ ...plain, ...wrong }])).toThrow(/^identity: issuer /);
  });

  test.each(['http://127.0.0.1:9000', 'http://localhost:9000', 'http://[::1]:9000', 'http://127.8.9.1'])(
    'allow %s where http to loopback is allowed',
    (issuer) => {
      expect(parseIssuers([{ ...plain, issuer, allowInsecureHttp: true }])).toHaveLength(1);
    },
  );

  test('are refused when there is none, or the same one twice', () => {
    expect(() => parseIssuers([])).toThrow('at least one');
    expect(() => parseIssuers([plain, { ...plain, audience: 'https://other.example' }])).toThrow('twice');
  });
});

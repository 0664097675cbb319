import { describe, expect, test } from '@jest/globals';
import { ConfigError, parseConfig } from '../../../proxy/config.ts';

const base = `identity: { issuers: [{ issuer: "https://idp.example", audience: sallyport }] }
policy: { bundle: ./b.tar.gz, data: ./data.json }
audit: { file: ./audit.jsonl, key: "file:./keys/audit" }
record: { directory: ./recordings }
privacy: { key: "env:PRIVACY_KEY" }
listeners: [{ protocol: postgres, listen: "127.0.0.1:6432", tls: { certificate: ./tls.crt, key: "file:./tls.key" }, upstreams: [orders] }]
upstreams: [{ name: orders, protocol: postgres, address: "db:5432", tls: { mode: disable }, logins: { a: { user: u, password: "env:P" } } }]
`;

const read = (console: string) => parseConfig('/etc/sallyport/sallyport.yaml', `${base}console: ${console}\n`).console;

function problemsOf(console: string): string[] {
  try {
    read(console);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

const oidc = 'oidc: { issuer: "https://idp.example", audience: "https://console.example" }';

describe('the console', () => {
  test('is not there unless it is asked for', () => {
    expect(parseConfig('/etc/sallyport/sallyport.yaml', base).console).toBeUndefined();
  });

  test('has defaults for what it leaves out, and nobody has a role', () => {
    expect(read(`{ listen: "127.0.0.1:8443", ${oidc}, roles: {} }`)).toMatchObject({
      listen: { host: '127.0.0.1', port: 8443 },
      url: undefined,
      tls: undefined,
      oidc: {
        clientId: undefined,
        clientSecret: undefined,
        scopes: ['openid'],
        groupsClaim: 'groups',
        tokenType: 'at+jwt',
      },
      roles: { viewer: [], approver: [], admin: [] },
    });
  });

  test('has its files resolved from the directory of the configuration', () => {
    const text = `{ listen: "0.0.0.0:8443", url: "https://console.example", tls: { certificate: ./c.crt, key: "file:./c.key" },
  oidc: { issuer: "https://idp.example", audience: x, client_id: c, client_secret: "file:./s", ca: ./ca.pem }, roles: { admin: [ops] } }`;
    expect(read(text)).toMatchObject({
      tls: { certificate: '/etc/sallyport/c.crt', key: 'file:/etc/sallyport/c.key' },
      oidc: { clientId: 'c', clientSecret: 'file:/etc/sallyport/s', ca: '/etc/sallyport/ca.pem' },
      roles: { admin: ['ops'] },
    });
  });

  test.each([
    [
      'in clear for everybody',
      `{ listen: "0.0.0.0:80", ${oidc}, roles: {} }`,
      'console: needs tls: only loopback may be in clear',
    ],
    [
      'with an audience of the data path',
      '{ listen: "127.0.0.1:1", oidc: { issuer: "https://idp.example", audience: sallyport }, roles: {} }',
      'console.oidc.audience: is an audience of the data path: tokens of agents would be good here',
    ],
    [
      'with a provider in clear',
      '{ listen: "127.0.0.1:1", oidc: { issuer: "http://127.0.0.1:1", audience: x }, roles: {} }',
      'console.oidc.issuer: must be https (or say allow_insecure_http, for tests)',
    ],
    [
      'below a path',
      `{ listen: "127.0.0.1:1", url: "https://a.example/b", ${oidc}, roles: {} }`,
      'console.url: must be an origin, without a path',
    ],
    ['without roles', `{ listen: "127.0.0.1:1", ${oidc} }`, 'console: the key roles is missing'],
    [
      'with an unknown role',
      `{ listen: "127.0.0.1:1", ${oidc}, roles: { owner: [x] } }`,
      'console.roles.owner: is not a known key',
    ],
  ])('%s is refused', (_what, text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });
});

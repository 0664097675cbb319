import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ConfigError, loadConfig, type Problem, parseConfig } from '../../../proxy/config.ts';
import { limits } from '../../../proxy/core/limits.ts';

const complete = `identity:
  issuers:
    - issuer: https://idp.example
      audience: sallyport
policy:
  bundle: ../bundles/default.tar.gz
  data: ./data.json
audit:
  file: ./audit.jsonl
  key: file:./keys/audit
record:
  directory: ./recordings
privacy:
  key: env:PRIVACY_KEY
listeners:
  - protocol: postgres
    listen: 127.0.0.1:6432
    tls: { certificate: ./tls.crt, key: "file:./tls.key" }
    upstreams: [orders]
upstreams:
  - name: orders
    protocol: postgres
    address: "[::1]:5432"
    tls: { mode: verify-full, ca: ./ca.pem }
    logins:
      reader: { user: app_reader, password: "env:READER_PASSWORD" }
      writer: { user: app_writer, certificate: ./writer.crt, key: "file:./writer.key" }
`;

function problemsOf(text: string): readonly Problem[] {
  try {
    parseConfig('/etc/sallyport/sallyport.yaml', text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The complete file with one piece of text exchanged for another. */
function changed(from: string, to: string): string {
  expect(complete).toContain(from);
  return complete.replace(from, to);
}

describe('a complete file', () => {
  const config = parseConfig('/etc/sallyport/sallyport.yaml', complete);

  test('has its paths and file references resolved from its own directory', () => {
    expect(config.policy.bundle).toBe('/etc/bundles/default.tar.gz');
    expect(config.audit.key).toBe('file:/etc/sallyport/keys/audit');
    expect(config.privacy.key).toBe('env:PRIVACY_KEY');
    expect(config.listeners[0]).toHaveProperty('tls', {
      certificate: '/etc/sallyport/tls.crt',
      key: 'file:/etc/sallyport/tls.key',
    });
  });

  test('has defaults for everything it leaves out', () => {
    expect(config.admin.listen).toEqual({ host: '127.0.0.1', port: 9464 });
    expect(config.history.windowSeconds).toBe(limits.historyWindowSeconds);
    expect(config.identity.issuers[0]).toMatchObject({
      clockSkewSeconds: 5,
      groupsClaim: 'groups',
      allowInsecureHttp: false,
    });
    expect(config.limits).toEqual(limits);
  });

  test('gives a listener its upstreams, with addresses and logins parsed', () => {
    const upstream = config.listeners[0]?.upstreams[0];
    if (upstream?.protocol !== 'postgres') throw new Error('another upstream');
    expect(upstream.address).toEqual({ host: '::1', port: 5432 });
    expect(upstream.searchPath).toEqual(['public']);
    expect(upstream.logins.get('writer')).toEqual({
      user: 'app_writer',
      certificate: '/etc/sallyport/writer.crt',
      key: 'file:/etc/sallyport/writer.key',
    });
  });

  test('is frozen to the bottom', () => {
    const upstream = config.listeners[0]?.upstreams[0];
    if (upstream?.protocol !== 'postgres') throw new Error('another upstream');
    expect(Object.isFrozen(upstream.address)).toBe(true);
    expect(Object.isFrozen(upstream.logins.get('reader'))).toBe(true);
    expect(Object.isFrozen(config.limits)).toBe(true);
  });
});

describe('limits', () => {
  test('are set by name in snake case', () => {
    const config = parseConfig('x.yaml', `${complete}limits: { login_timeout_ms: 500 }\n`);
    expect(config.limits.loginTimeoutMs).toBe(500);
    expect(config.limits.connectionsMax).toBe(limits.connectionsMax);
  });

  test.each(['login_timeout: 5', 'login_timeout_ms: 0', 'login_timeout_ms: 1.5', 'login_timeout_ms: "5"'])(
    'refuse %s',
    (limit) => {
      expect(problemsOf(`${complete}limits: { ${limit} }\n`)).toHaveLength(1);
    },
  );
});

describe('an error names the key and the line', () => {
  test.each([
    ['an unknown key', '  data: ./data.json', '  data: ./data.json\n  sync: true', 'policy.sync', 8, 3],
    ['a missing key', '  file: ./audit.jsonl\n', '', 'audit', 8, 1],
    ['a value of the wrong type', 'upstreams: [orders]', 'upstreams: orders', 'listeners[0].upstreams', 19, 5],
    ['a value outside its list', 'mode: verify-full', 'mode: prefer', 'upstreams[0].tls.mode', 24, 12],
    ['an address without a port', '127.0.0.1:6432', '127.0.0.1', 'listeners[0].listen', 17, 5],
    ['a port past the last', '127.0.0.1:6432', '127.0.0.1:65536', 'listeners[0].listen', 17, 5],
    ['an upstream that does not exist', '[orders]', '[orders, billing]', 'listeners[0].upstreams[1]', 19, 25],
    ['an upstream listed twice', '[orders]', '[orders, orders]', 'listeners[0].upstreams[1]', 19, 25],
    ['an issuer in clear', 'https://idp.example', 'http://idp.example', 'identity.issuers[0].issuer', 3, 7],
    ['a login without a proof', ', password: "env:READER_PASSWORD"', '', 'upstreams[0].logins.reader', 26, 7],
    [
      'a login with two proofs',
      'password: "env:READER_PASSWORD"',
      'password: "env:A", certificate: ./a, key: "env:K"',
      'upstreams[0].logins.reader',
      26,
      7,
    ],
    ['TLS settings without TLS', 'mode: verify-full, ca', 'mode: disable, ca', 'upstreams[0].tls.mode', 24, 12],
  ])('%s', (_title, from, to, path, line, column) => {
    expect(problemsOf(changed(from, to))).toMatchObject([{ path, line, column }]);
  });

  test('an upstream whose name is taken', () => {
    const second =
      '  - { name: orders, protocol: postgres, address: "h:1", tls: { mode: disable }, logins: { a: { user: a, password: "env:A" } } }\n';
    expect(problemsOf(complete + second)).toMatchObject([{ path: 'upstreams[1].name', line: 28 }]);
  });

  test('every error of the file, in its order', () => {
    const text = changed('audience: sallyport', 'audience: 5').replace('mode: verify-full', 'mode: prefer');
    expect(problemsOf(text).map(({ path }) => path)).toEqual(['identity.issuers[0].audience', 'upstreams[0].tls.mode']);
  });

  test('the message carries file, line, column, key and reason', () => {
    const error = new ConfigError('a.yaml', [{ path: 'audit.key', line: 3, column: 5, message: 'is missing' }]);
    expect(error.message).toBe('a.yaml:3:5: audit.key: is missing');
  });
});

describe('a forward proxy', () => {
  const web = '  - { name: web, protocol: http, address: "web:443", tls: { mode: verify-full } }\n';
  const proxy = (keys: string) =>
    changed(
      'upstreams:\n',
      `  - { protocol: forward_proxy, name: egress, listen: "127.0.0.1:3128"${keys} }\nupstreams:\n`,
    ) + web;

  test('opens tunnels to HTTP upstreams up, or to none', () => {
    const authority = ', certificate_authority: { certificate: ./ca.pem, key: "file:./ca.key" }';
    expect(parseConfig('/etc/s.yaml', proxy(`, upstreams: [web]${authority}`)).listeners[1]).toMatchObject({
      protocol: 'forward_proxy',
      name: 'egress',
      certificateAuthority: { certificate: '/etc/ca.pem', key: 'file:/etc/ca.key' },
      upstreams: [{ name: 'web' }],
    });
    expect(parseConfig('/etc/s.yaml', proxy('')).listeners[1]).toMatchObject({ upstreams: [] });
  });

  test.each([
    ['another protocol’s upstream', ', upstreams: [orders]', '127.0.0.1', 'listeners[1].upstreams[0]'],
    ['an address that others reach, in clear', '', '0.0.0.0', 'listeners[1]'],
    ['the name of an upstream', '', 'name: web', 'listeners[1].name'],
  ])('is not one with %s', (_what, keys, other, path) => {
    const text = proxy(keys);
    const wrong = other.startsWith('name')
      ? text.replace('name: egress', other)
      : text.replace('127.0.0.1:3128', `${other}:3128`);
    expect(problemsOf(wrong)).toMatchObject([{ path }]);
  });
});

describe('a secret in clear', () => {
  test.each([
    ['key: file:./keys/audit', 'key: hunter2'],
    ['key: env:PRIVACY_KEY', 'key: hunter2'],
    ['password: "env:READER_PASSWORD"', 'password: hunter2'],
    ['key: "file:./writer.key"', 'key: "-----BEGIN hunter2"'],
  ])('is refused and not printed (%s)', (from, to) => {
    try {
      parseConfig('x.yaml', changed(from, to));
      throw new Error('accepted');
    } catch (error) {
      expect(String(error)).toContain('never the secret itself');
      expect(String(error)).not.toContain('hunter2');
    }
  });

  test.each(['password: { value: hunter2 }', 'password: [hunter2]', 'password: 42', 'secret: hunter2'])(
    'is not printed in another shape (%s)',
    (login) => {
      const problems = problemsOf(changed('password: "env:READER_PASSWORD"', login));
      expect(problems.length).toBeGreaterThan(0);
      expect(JSON.stringify(problems)).not.toMatch(/hunter2|42/);
    },
  );
});

describe('text that is not YAML', () => {
  test.each([
    ['a key given twice', `${complete}audit: {}\n`, 28],
    ['a list that never ends', complete.replace('[orders]', '[orders'), 20],
    ['a tab as indentation', complete.replace('  bundle', '\tbundle'), 6],
    ['a tag that means nothing here', complete.replace('file: ./audit', 'file: !run ./audit'), 9],
  ])('is refused with the line: %s', (_title, text, line) => {
    expect(problemsOf(text)[0]?.line).toBe(line);
  });

  test.each(['', '[]', 'hello', 'null'])('a file that is no mapping is refused: %j', (text) => {
    expect(problemsOf(text)).not.toEqual([]);
  });

  test('is refused past its bound', () => {
    expect(problemsOf(`${complete}#${'x'.repeat(limits.configBytesMax)}`)).toMatchObject([{ line: 1 }]);
  });
});

describe('loadConfig', () => {
  test('reads the file it is given', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sallyport-config-'));
    try {
      await writeFile(join(directory, 'sallyport.yaml'), complete);
      const config = await loadConfig(join(directory, 'sallyport.yaml'));
      expect(config.policy.data).toBe(join(directory, 'data.json'));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('says which file it could not read', async () => {
    await expect(loadConfig('/nowhere/sallyport.yaml')).rejects.toThrow('/nowhere/sallyport.yaml:1:1: cannot be read');
  });
});

describe('a token that the gateway asks for', () => {
  const asking = (url: string) =>
    `${complete}  - { name: crm, protocol: http, address: "crm:443", tls: { mode: verify-full }, credential: { token_exchange: { token_url: "${url}", client_id: g, client_secret: "env:S", actor: { scope: acting } } } }\n`;
  const at = 'upstreams[1].credential.token_exchange.token_url';

  test.each(['http://idp.example/token', 'https://'])('is not asked for in clear, or nowhere: %s', (url) => {
    expect(problemsOf(asking(url))).toMatchObject([{ path: at, line: 28 }]);
  });

  test.each(['https://idp.example/token', 'http://127.0.0.1:1/token'])('is asked for at %s', (url) => {
    expect(problemsOf(asking(url))).toEqual([]);
  });
});

describe('approvals', () => {
  const store = (text: string) => `${complete}store: { ${text} }\n`;

  test('are kept beside the recordings unless it says otherwise', () => {
    expect(parseConfig('/etc/sallyport/x.yaml', complete).store.kind).toBe('embedded');
    expect(parseConfig('/etc/sallyport/x.yaml', store('path: data/a.db')).store).toEqual({
      ...{ kind: 'embedded', path: '/etc/sallyport/data/a.db' },
    });
  });

  test('are kept in PostgreSQL where a URL is given, its password by reference', () => {
    const url = 'postgres://gateway@db.example:5432/sallyport';
    expect(parseConfig('x.yaml', store(`url: '${url}', password: env:STORE`)).store).toEqual({
      ...{ kind: 'postgres', url, password: 'env:STORE', ca: undefined },
    });
  });

  test.each([
    ['a password in the URL', `url: 'postgres://g:secret@db/x'`],
    ['a file and a URL', `url: 'postgres://g@db/x', path: a.db`],
    ['a password for a file', 'path: a.db, password: env:X'],
    ['another kind of URL', `url: 'mysql://db/x'`],
  ])('cannot have %s', (_, text) => {
    const problems = problemsOf(store(text));
    expect(problems).toHaveLength(1);
    expect(JSON.stringify(problems)).not.toContain('secret@');
  });

  test('are told to webhooks and Slack, by people who are named once', () => {
    const notify = (text: string) => `${complete}notify: { ${text} }\n`;
    const hook = (name: string, url: string) => `{ name: ${name}, url: '${url}', secret: env:HOOK }`;
    const ana = `{ slack: U1, issuer: 'https://idp', id: ana, groups: [dba] }`;
    const slack = (users: string) => `slack: { token: env:T, channel: C1, signing_secret: env:S, users: [${users}] }`;
    const parsed = parseConfig('x.yaml', notify(`webhooks: [${hook('a', 'https://a')}], ${slack(ana)}`)).notify;
    expect(parsed.webhooks).toEqual([{ name: 'a', url: 'https://a', secret: 'env:HOOK' }]);
    expect(parsed.slack?.users.get('U1')).toEqual({ issuer: 'https://idp', id: 'ana', groups: ['dba'] });
    for (const wrong of [
      `webhooks: [${hook('a', 'https://a')}, ${hook('a', 'https://b')}]`,
      `webhooks: [${hook('slack', 'https://a')}]`,
      `webhooks: [${hook('a', 'http://a')}]`,
      slack(`${ana}, ${ana}`),
    ]) {
      expect(problemsOf(notify(wrong))).toHaveLength(1);
    }
  });
});

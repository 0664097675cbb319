import { describe, expect, test } from '@jest/globals';
import { ConfigError, parseConfig } from '../../../proxy/config.ts';

const file = (audit: string, record = '') => `identity:
  issuers: [{ issuer: https://idp.example, audience: sallyport }]
policy: { bundle: ./bundle.tar.gz, data: ./data.json }
audit:
  file: ./audit.jsonl
  key: file:./keys/audit
${audit}
record: { directory: ./recordings${record} }
privacy: { key: env:PRIVACY_KEY }
listeners:
  - { protocol: postgres, listen: "127.0.0.1:6432", tls: { certificate: ./tls.crt, key: "file:./tls.key" }, upstreams: [orders] }
upstreams:
  - { name: orders, protocol: postgres, address: "127.0.0.1:5432", tls: { mode: disable }, logins: { a: { user: a, password: env:P } } }
`;

const parse = (audit: string, record?: string) => parseConfig('/etc/sallyport/sallyport.yaml', file(audit, record));

function problemsOf(audit: string, record?: string): readonly string[] {
  try {
    parse(audit, record);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

test('without a word about them there is no signature, no sink, no key of recordings, and nothing is removed', () => {
  const { audit, record } = parse('');
  expect(audit).toMatchObject({ signingKey: undefined, sinks: [] });
  expect(record).toMatchObject({ key: undefined, oldKeys: [], retentionDays: undefined, bytesMax: undefined });
});

test('keys are references from the directory of the file', () => {
  const { audit, record } = parse(
    '  signing_key: file:./keys/signing',
    ', key: "file:./keys/record", old_keys: ["env:OLD"], retention_days: 90, bytes_max: 1073741824',
  );
  expect(audit.signingKey).toBe('file:/etc/sallyport/keys/signing');
  expect(record).toMatchObject({
    key: 'file:/etc/sallyport/keys/record',
    oldKeys: ['env:OLD'],
    retentionDays: 90,
    bytesMax: 1_073_741_824,
  });
});

describe('sinks', () => {
  const sinks = (...lines: string[]) => ['  sinks:', ...lines.map((line) => `    - ${line}`)].join('\n');

  test('of each type', () => {
    const { audit } = parse(
      sinks(
        '{ type: stdout, name: out }',
        '{ type: opa, name: opa, url: "https://opa.example/logs", token: env:OPA, required: true, ca: ./ca.pem }',
        '{ type: otlp, name: otel, url: "http://127.0.0.1:4318/v1/logs" }',
        '{ type: webhook, name: siem, url: "https://siem.example/in", secret: env:SIEM }',
      ),
    );
    expect(audit.sinks).toEqual([
      { type: 'stdout', name: 'out', required: false, url: undefined, secret: undefined, ca: undefined },
      {
        type: 'opa',
        name: 'opa',
        required: true,
        url: 'https://opa.example/logs',
        secret: 'env:OPA',
        ca: '/etc/sallyport/ca.pem',
      },
      {
        type: 'otlp',
        name: 'otel',
        required: false,
        url: 'http://127.0.0.1:4318/v1/logs',
        secret: undefined,
        ca: undefined,
      },
      {
        type: 'webhook',
        name: 'siem',
        required: false,
        url: 'https://siem.example/in',
        secret: 'env:SIEM',
        ca: undefined,
      },
    ]);
  });

  test.each([
    [
      'a name twice',
      ['{ type: stdout, name: a }', '{ type: stdout, name: a }'],
      'audit.sinks[1].name: is that of another sink',
    ],
    [
      'in clear to another machine',
      ['{ type: opa, name: a, url: "http://opa.example/logs" }'],
      'audit.sinks[0].url: must be https: only loopback may be in clear',
    ],
    [
      'a webhook that nobody signs',
      ['{ type: webhook, name: a, url: "https://siem.example" }'],
      'audit.sinks[0]: the key secret is missing',
    ],
    [
      'a secret in clear',
      ['{ type: opa, name: a, url: "https://o.example", token: hunter2 }'],
      'audit.sinks[0].token: must be a reference, env:NAME or file:PATH, never the secret itself',
    ],
  ])('%s is an error', (_, lines, problem) => {
    expect(problemsOf(sinks(...lines))).toContain(problem);
  });
});

describe('uploads', () => {
  const secrets = 'access_key_id: "env:S3_ID", secret_access_key: "file:./keys/s3"';
  const upload = (more: string, key = ', key: env:RECORD') =>
    `${key}, upload: { region: eu-central-1, ${secrets}, ${more} }`;

  test('go to a bucket', () => {
    const where = 'endpoint: "https://s3.example/", bucket: evidence, prefix: team/gateway-1, ca: ./ca.pem';
    expect(parse('', upload(where)).record.upload).toEqual({
      endpoint: 'https://s3.example',
      region: 'eu-central-1',
      bucket: 'evidence',
      prefix: 'team/gateway-1',
      accessKeyId: 'env:S3_ID',
      secretAccessKey: 'file:/etc/sallyport/keys/s3',
      ca: '/etc/sallyport/ca.pem',
    });
    expect(parse('').record.upload).toBeUndefined();
  });

  test.each([
    [
      'in clear to another machine',
      'endpoint: "http://s3.example", bucket: evidence',
      undefined,
      'record.upload.endpoint: must be https',
    ],
    [
      'of recordings in clear',
      'endpoint: "https://s3.example", bucket: evidence',
      '',
      'record.upload: needs record.key',
    ],
    ['below a path', 'endpoint: "https://s3.example/x", bucket: evidence', undefined, 'record.upload.endpoint: '],
    [
      'out of its bucket',
      'endpoint: "https://s3.example", bucket: evidence, prefix: a/../b',
      undefined,
      'record.upload.prefix: ',
    ],
    ['to no bucket', 'endpoint: "https://s3.example", bucket: a/b', undefined, 'record.upload.bucket: '],
  ])('%s are an error', (_, where, key, problem) => {
    expect(problemsOf('', upload(where, key))).toEqual([expect.stringContaining(problem)]);
  });
});

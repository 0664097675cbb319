import { limits } from '../core/limits.ts';
import { consoleSchema } from './console.ts';

/**
 * The shape of the configuration file as JSON Schema. Every object refuses unknown keys; what one key
 * says about another (an upstream that a listener names) is checked in `../config.ts`.
 */

const text = { type: 'string', minLength: 1, maxLength: 4096 } as const;
const name = { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$' } as const;
const path = text;
/** `env:NAME` or `file:PATH`; anything else is taken for a secret in clear, and is never printed. */
const secret = { type: 'string', pattern: '^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$', maxLength: 4096 } as const;
const address = { type: 'string', pattern: '^(\\[[0-9A-Fa-f:.]+\\]|[^:\\s\\[\\]]+):[0-9]{1,5}$' } as const;
const texts = { type: 'array', items: text, minItems: 1, maxItems: 1000 } as const;

function object(required: Record<string, unknown>, optional: Record<string, unknown> = {}) {
  return {
    type: 'object',
    properties: { ...required, ...optional },
    required: Object.keys(required),
    additionalProperties: false,
  };
}

const issuer = object(
  { issuer: { ...text, pattern: '^https?://' }, audience: text },
  {
    algorithms: {
      ...texts,
      items: {
        enum: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
      },
    },
    authorized_parties: texts,
    clock_skew_seconds: { type: 'integer', minimum: 0, maximum: limits.clockSkewSecondsMax },
    groups_claim: text,
    token_type: { enum: ['at+jwt', 'any'] },
    ca: path,
    allow_insecure_http: { type: 'boolean' },
  },
);

const bundleAlgorithms = ['RS', 'PS', 'ES', 'HS'].flatMap((kind) => ['256', '384', '512'].map((bits) => kind + bits));

const policy = object(
  { bundle: path, data: path },
  {
    verification: object({ algorithm: { enum: bundleAlgorithms }, key: secret }, { scope: text }),
    watch: { type: 'boolean' },
  },
);

const sinkUrl = { ...text, pattern: '^https?://' } as const;
const sinkOptions = { required: { type: 'boolean' }, ca: path };
const auditSink = {
  type: 'object',
  discriminator: { propertyName: 'type' },
  required: ['type'],
  oneOf: [
    object({ type: { const: 'stdout' }, name }, { required: { type: 'boolean' } }),
    object({ type: { const: 'opa' }, name, url: sinkUrl }, { ...sinkOptions, token: secret }),
    object({ type: { const: 'otlp' }, name, url: sinkUrl }, { ...sinkOptions, token: secret }),
    object({ type: { const: 'webhook' }, name, url: sinkUrl, secret }, sinkOptions),
  ],
};

const audit = object(
  { file: path, key: secret },
  {
    rotate_bytes: { type: 'integer', minimum: 1024 * 1024 },
    keep: { type: 'integer', minimum: 1, maximum: 100_000 },
    sync: { enum: ['group', 'each'] },
    signing_key: secret,
    sinks: { type: 'array', items: auditSink, maxItems: 16 },
  },
);

/** One of several shapes, told apart by `protocol`. */
function byProtocol(...shapes: ReturnType<typeof object>[]) {
  return { type: 'object', discriminator: { propertyName: 'protocol' }, required: ['protocol'], oneOf: shapes };
}

const url = { ...text, pattern: '^https?://' } as const;
const names = { type: 'array', items: name, minItems: 1, maxItems: 1000 } as const;
const logins = {
  type: 'object',
  minProperties: 1,
  maxProperties: 1000,
  additionalProperties: object({ user: text }, { password: secret, certificate: path, key: secret }),
} as const;
/** `ssh-ed25519 AAAA… comment` */
const publicKeys = {
  ...texts,
  items: { type: 'string', pattern: '^[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?$', maxLength: 8192 },
};

const listener = byProtocol(
  object({
    protocol: { const: 'postgres' },
    listen: address,
    tls: object({ certificate: path, key: secret }),
    upstreams: names,
  }),
  object({
    protocol: { const: 'ssh' },
    listen: address,
    host_keys: { type: 'array', items: secret, minItems: 1, maxItems: 8 },
    certificate_authority: object(
      { key: secret },
      { lifetime_seconds: { type: 'integer', minimum: 60, maximum: limits.sshCertificateLifetimeSecondsMax } },
    ),
    // Their names are in every certificate.
    upstreams: { ...names, maxItems: limits.sshCertificatePrincipalsMax },
  }),
  object(
    { protocol: { const: 'http' }, listen: address, upstreams: names },
    {
      tls: object({ certificate: path, key: secret }),
      hosts: texts,
      url,
      body_methods: { ...texts, items: { enum: ['GET', 'DELETE', 'OPTIONS'] } },
      encoded_slashes: { type: 'boolean' },
    },
  ),
  object(
    { protocol: { const: 'forward_proxy' }, listen: address, name },
    {
      upstreams: names,
      tls: object({ certificate: path, key: secret }),
      certificate_authority: object({ certificate: path, key: secret }),
    },
  ),
);

const upstreamTls = object(
  { mode: { enum: ['verify-full', 'disable'] } },
  { ca: path, server_name: text, certificate: path, key: secret },
);
/** `/crm`: no slash at the end, nothing that would have to be decoded. */
const prefix = { type: 'string', pattern: '^(/[A-Za-z0-9._~-]+)+$', maxLength: 256 } as const;
const oneCredential = (credentials: Record<string, unknown>) => ({
  type: 'object',
  properties: credentials,
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
});
const httpCredential = oneCredential({
  bearer: secret,
  basic: object({ user: text, password: secret }),
  header: object({ name: { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9-]{0,63}$' }, value: secret }),
  client_credentials: object(
    { token_url: url, client_id: text, client_secret: secret },
    { scope: text, audience: text, resource: url },
  ),
  token_exchange: object(
    { token_url: url, client_id: text, client_secret: secret },
    { scope: text, audience: text, resource: url, actor: object({}, { scope: text, resource: url }) },
  ),
});
const route = object(
  { path: { type: 'string', pattern: '^/', maxLength: 1024 } },
  { method: { type: 'string', pattern: '^[A-Z]+$' }, operation_id: text, tags: texts },
);

const upstream = byProtocol(
  object(
    {
      name,
      protocol: { const: 'postgres' },
      address,
      tls: object({ mode: { enum: ['verify-full', 'disable'] } }, { ca: path, server_name: text }),
      logins,
    },
    { databases: texts, search_path: { ...texts, items: { type: 'string', minLength: 1, maxLength: 63 } } },
  ),
  object(
    { name, protocol: { const: 'ssh' }, address, logins },
    {
      host_keys: publicKeys,
      host_authorities: publicKeys,
      command_path: { type: 'string', pattern: '^/[A-Za-z0-9/._-]*(:/[A-Za-z0-9/._-]*)*$', maxLength: 1024 },
    },
  ),
  object(
    { name, protocol: { const: 'http' }, address, tls: upstreamTls },
    {
      prefix,
      host: text,
      credential: httpCredential,
      routes: { type: 'array', items: route, minItems: 1, maxItems: 10_000 },
      openapi: path,
      mcp: { type: 'string', pattern: '^/', maxLength: 256 },
      websockets: { type: 'boolean' },
    },
  ),
);

const notify = object(
  {},
  {
    webhooks: {
      type: 'array',
      items: object({ name, url, secret }, { allow_insecure_http: { type: 'boolean' } }),
      maxItems: limits.approvalChannelsMax,
    },
    slack: object(
      {
        token: secret,
        channel: text,
        signing_secret: secret,
        users: {
          type: 'array',
          items: object({ slack: text, issuer: text, id: text, groups: texts }),
          minItems: 1,
          maxItems: 10_000,
        },
      },
      { url },
    ),
  },
);

/** `loginTimeoutMs` in the code is `login_timeout_ms` in the file. */
export function snakeCase(camelCase: string): string {
  return camelCase.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const limit = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };

/** The schema of the whole file. */
export const configSchema = object(
  {
    identity: object({ issuers: { type: 'array', items: issuer, minItems: 1, maxItems: 100 } }),
    policy,
    audit,
    record: object(
      { directory: path },
      {
        key: secret,
        old_keys: { type: 'array', items: secret, minItems: 1, maxItems: 16 },
        retention_days: { type: 'integer', minimum: 1, maximum: 36_500 },
        bytes_max: { type: 'integer', minimum: 1024 * 1024 },
        upload: object(
          {
            endpoint: { ...text, pattern: '^https?://[^/?#@]+/?$' },
            region: { ...text, pattern: '^[a-z0-9-]+$' },
            bucket: { ...text, pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$' },
            access_key_id: secret,
            secret_access_key: secret,
          },
          { prefix: { ...text, pattern: '^[\\w-][\\w.-]*(/[\\w-][\\w.-]*)*$' }, ca: path },
        ),
      },
    ),
    privacy: object({ key: secret }),
    listeners: { type: 'array', items: listener, minItems: 1, maxItems: 100 },
    upstreams: { type: 'array', items: upstream, minItems: 1, maxItems: 1000 },
  },
  {
    store: {
      type: 'object',
      properties: { path, url: { ...text, pattern: '^postgres(ql)?://' }, password: secret, ca: path },
      additionalProperties: false,
    },
    notify,
    admin: object({ listen: address }, { hosts: texts }),
    console: consoleSchema({ object, text, texts, url, secret, address }),
    history: object({ window_seconds: { type: 'integer', minimum: 1, maximum: limits.historyWindowSecondsMax } }),
    mcp: object({ pins: path }),
    limits: object({}, Object.fromEntries(Object.keys(limits).map((bound) => [snakeCase(bound), limit]))),
  },
);

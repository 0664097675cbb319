import { limits } from '../core/limits.ts';
import { consoleSchema, type RawConsole } from './console.ts';

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

const audit = object(
  { file: path, key: secret },
  {
    rotate_bytes: { type: 'integer', minimum: 1024 * 1024 },
    keep: { type: 'integer', minimum: 1, maximum: 100_000 },
    sync: { enum: ['group', 'each'] },
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
    { tls: object({ certificate: path, key: secret }), hosts: texts, url },
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
    { scope: text, resource: text },
  ),
  token_exchange: object({ token_url: url, client_id: text, client_secret: secret }, { scope: text, audience: text }),
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
    record: object({ directory: path }),
    privacy: object({ key: secret }),
    listeners: { type: 'array', items: listener, minItems: 1, maxItems: 100 },
    upstreams: { type: 'array', items: upstream, minItems: 1, maxItems: 1000 },
  },
  {
    admin: object({ listen: address }, { hosts: texts }),
    console: consoleSchema({ object, text, texts, url, secret, address }),
    history: object({ window_seconds: { type: 'integer', minimum: 1, maximum: limits.historyWindowSecondsMax } }),
    limits: object({}, Object.fromEntries(Object.keys(limits).map((bound) => [snakeCase(bound), limit]))),
  },
);

/** The file after the schema: what {@link configSchema} lets through, in the file's own names. */
export interface RawConfig {
  readonly identity: { readonly issuers: readonly RawIssuer[] };
  readonly policy: {
    readonly bundle: string;
    readonly data: string;
    readonly verification?: {
      readonly algorithm: string;
      readonly key: string;
      readonly scope?: string;
    };
    readonly watch?: boolean;
  };
  readonly audit: {
    readonly file: string;
    readonly key: string;
    readonly rotate_bytes?: number;
    readonly keep?: number;
    readonly sync?: 'group' | 'each';
  };
  readonly record: { readonly directory: string };
  readonly privacy: { readonly key: string };
  readonly listeners: readonly RawListener[];
  readonly upstreams: readonly RawUpstream[];
  readonly admin?: { readonly listen: string; readonly hosts?: readonly string[] };
  readonly console?: RawConsole;
  readonly history?: { readonly window_seconds: number };
  readonly limits?: Readonly<Record<string, number>>;
}

/** `identity.issuers[]` of the file. */
export interface RawIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms?: readonly string[];
  readonly authorized_parties?: readonly string[];
  readonly clock_skew_seconds?: number;
  readonly groups_claim?: string;
  readonly token_type?: 'at+jwt' | 'any';
  readonly ca?: string;
  readonly allow_insecure_http?: boolean;
}

/** `listeners[]` of the file. */
export type RawListener =
  | {
      readonly protocol: 'postgres';
      readonly listen: string;
      readonly tls: { readonly certificate: string; readonly key: string };
      readonly upstreams: readonly string[];
    }
  | {
      readonly protocol: 'http';
      readonly listen: string;
      readonly upstreams: readonly string[];
      readonly tls?: { readonly certificate: string; readonly key: string };
      readonly hosts?: readonly string[];
      readonly url?: string;
    }
  | {
      readonly protocol: 'ssh';
      readonly listen: string;
      readonly host_keys: readonly string[];
      readonly certificate_authority: { readonly key: string; readonly lifetime_seconds?: number };
      readonly upstreams: readonly string[];
    };

/** A PostgreSQL server among `upstreams[]` of the file. */
export interface RawPostgresUpstream {
  readonly name: string;
  readonly protocol: 'postgres';
  readonly address: string;
  readonly tls: { readonly mode: 'verify-full' | 'disable'; readonly ca?: string; readonly server_name?: string };
  readonly logins: Readonly<Record<string, RawLogin>>;
  readonly databases?: readonly string[];
  readonly search_path?: readonly string[];
}

/** An SSH host among `upstreams[]` of the file. */
export interface RawSshUpstream {
  readonly name: string;
  readonly protocol: 'ssh';
  readonly address: string;
  readonly logins: Readonly<Record<string, RawLogin>>;
  readonly host_keys?: readonly string[];
  readonly host_authorities?: readonly string[];
  readonly command_path?: string;
}

/** An HTTP API or MCP server among `upstreams[]` of the file. */
export interface RawHttpUpstream {
  readonly name: string;
  readonly protocol: 'http';
  readonly address: string;
  readonly tls: {
    readonly mode: 'verify-full' | 'disable';
    readonly ca?: string;
    readonly server_name?: string;
    readonly certificate?: string;
    readonly key?: string;
  };
  readonly prefix?: string;
  readonly host?: string;
  readonly credential?: RawHttpCredential;
  readonly routes?: readonly RawRoute[];
  readonly openapi?: string;
  readonly mcp?: string;
  readonly websockets?: boolean;
}

/** `upstreams[].credential` of the file: exactly one of these. */
export interface RawHttpCredential {
  readonly bearer?: string;
  readonly basic?: { readonly user: string; readonly password: string };
  readonly header?: { readonly name: string; readonly value: string };
  readonly client_credentials?: RawTokenRequest & { readonly resource?: string };
  readonly token_exchange?: RawTokenRequest & { readonly audience?: string };
}

/** How a token is asked for. */
export interface RawTokenRequest {
  readonly token_url: string;
  readonly client_id: string;
  readonly client_secret: string;
  readonly scope?: string;
}

/** `upstreams[].routes[]` of the file. */
export interface RawRoute {
  readonly path: string;
  readonly method?: string;
  readonly operation_id?: string;
  readonly tags?: readonly string[];
}

/** `upstreams[]` of the file. */
export type RawUpstream = RawPostgresUpstream | RawSshUpstream | RawHttpUpstream;

/** One entry of `upstreams[].logins` of the file. */
export interface RawLogin {
  readonly user: string;
  readonly password?: string;
  readonly certificate?: string;
  readonly key?: string;
}

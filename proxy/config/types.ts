import type { Limits } from '../core/limits.ts';

/** Where a secret is: `env:NAME` or `file:/absolute/path`. Never the secret itself; `core/secret-ref.ts` reads it. */
export type SecretReference = string;

/** A host and a TCP port; port 0 lets the operating system choose. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** One trusted token issuer (`identity.issuers[]`). */
export interface IssuerConfig {
  readonly issuer: string;
  readonly audience: string;
  /** Signature algorithms that are accepted. Undefined: the identity service's own list. */
  readonly algorithms: readonly string[] | undefined;
  /** Values of `azp` that are accepted. Undefined: any. */
  readonly authorizedParties: readonly string[] | undefined;
  readonly clockSkewSeconds: number;
  /** The claim that lists groups. */
  readonly groupsClaim: string;
  /** `at+jwt`: only RFC 9068 access tokens. `any`: for issuers that do not mark theirs. */
  readonly tokenType: 'at+jwt' | 'any';
  /** PEM of the CA that signed the issuer's certificate; undefined: the system's. Absolute path. */
  readonly ca: string | undefined;
  readonly allowInsecureHttp: boolean;
}

/** How bundles are verified (`policy.verification`). */
export interface VerificationConfig {
  readonly algorithm: string;
  /** A public key in PEM, or the shared secret of an HS algorithm. */
  readonly key: SecretReference;
  readonly scope: string | undefined;
}

/** How to log in at an upstream under one name that clients may ask for. */
export type LoginConfig =
  | { readonly user: string; readonly password: SecretReference }
  | { readonly user: string; readonly certificate: string; readonly key: SecretReference };

/** How the gateway speaks TLS to an upstream. */
export type UpstreamTlsConfig =
  | { readonly mode: 'disable' }
  | {
      readonly mode: 'verify-full';
      /** PEM of the CA; undefined: the system's. Absolute path. */
      readonly ca: string | undefined;
      /** The name in the certificate when it is not the host of the address. */
      readonly serverName: string | undefined;
    };

/** One PostgreSQL upstream. */
export interface PostgresUpstreamConfig {
  readonly protocol: 'postgres';
  readonly name: string;
  readonly address: Address;
  readonly tls: UpstreamTlsConfig;
  /** The databases that clients may name. Undefined: any. */
  readonly databases: readonly string[] | undefined;
  /** The search path that the gateway fixes for every session. */
  readonly searchPath: readonly string[];
  /** What a client gives as user name → how the gateway logs in. */
  readonly logins: ReadonlyMap<string, LoginConfig>;
}

/** How the gateway logs in at an SSH host: with a key, a key and a certificate for it, or a password. */
export type SshLoginConfig =
  | { readonly user: string; readonly key: SecretReference; readonly certificate: string | undefined }
  | { readonly user: string; readonly password: SecretReference };

/** One SSH host. */
export interface SshUpstreamConfig {
  readonly protocol: 'ssh';
  readonly name: string;
  readonly address: Address;
  /** Public keys of the host (`ssh-ed25519 AAAA…`). One of these two is given at least; there is no trust on first use. */
  readonly hostKeys: readonly string[];
  /** Public keys of authorities that sign certificates for the host. */
  readonly hostAuthorities: readonly string[];
  /** The search path for programs that commands run with. */
  readonly commandPath: string;
  readonly logins: ReadonlyMap<string, SshLoginConfig>;
}

/** What the gateway shows an HTTP upstream in the place of the agent's token. */
export type HttpCredentialConfig =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: SecretReference }
  | { readonly kind: 'basic'; readonly user: string; readonly password: SecretReference }
  | { readonly kind: 'header'; readonly name: string; readonly value: SecretReference }
  | {
      /** A token of the gateway's own (RFC 6749 section 4.4), or one for the agent's (RFC 8693). */
      readonly kind: 'client_credentials' | 'token_exchange';
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: SecretReference;
      readonly scope: string | undefined;
      readonly audience: string | undefined;
      /** What the token is for, as a URI (RFC 8707). */
      readonly resource: string | undefined;
      /** An exchange is asked for with a token of the gateway's own as `actor_token`, for these. */
      readonly actor: { readonly scope: string | undefined; readonly resource: string | undefined } | undefined;
    };

/** A route of an HTTP API, as a template. */
export interface RouteConfig {
  readonly path: string;
  readonly method: string | undefined;
  readonly operationId: string | undefined;
  readonly tags: readonly string[];
}

/** One HTTP API or MCP server. */
export interface HttpUpstreamConfig {
  readonly protocol: 'http';
  readonly name: string;
  readonly address: Address;
  readonly tls: UpstreamTlsConfig;
  /** A client certificate for it. */
  readonly certificate: { readonly file: string; readonly key: SecretReference } | undefined;
  /** How requests for it are told: by the first part of the path, which is taken off, or by the host. */
  readonly prefix: string | undefined;
  readonly host: string | undefined;
  readonly credential: HttpCredentialConfig;
  readonly routes: readonly RouteConfig[];
  /** An OpenAPI document with further routes. Absolute path. */
  readonly openapi: string | undefined;
  /** The path of its MCP endpoint, behind the prefix; undefined when it has none. */
  readonly mcp: string | undefined;
  readonly websockets: boolean;
}

/** Anything that can be reached. */
export type UpstreamConfig = PostgresUpstreamConfig | SshUpstreamConfig | HttpUpstreamConfig;

/** Where approvals are kept: in a file of this gateway's own, or in a PostgreSQL database that several share. */
export type StoreConfig =
  | { readonly kind: 'embedded'; readonly path: string }
  | {
      readonly kind: 'postgres';
      /** Without a password in it. */
      readonly url: string;
      readonly password: SecretReference | undefined;
      /** PEM; the server is verified with it, by name. Undefined: as the URL's sslmode says. Absolute path. */
      readonly ca: string | undefined;
    };

/** Who is told of requests for approval. */
export interface NotifyConfig {
  readonly webhooks: readonly { readonly name: string; readonly url: string; readonly secret: SecretReference }[];
  readonly slack:
    | {
        /** Of Slack's Web API. */
        readonly url: string;
        readonly token: SecretReference;
        readonly channel: string;
        readonly signingSecret: SecretReference;
        /** By Slack's id of a person: who that is to the gateway. */
        readonly users: ReadonlyMap<
          string,
          { readonly issuer: string; readonly id: string; readonly groups: readonly string[] }
        >;
      }
    | undefined;
}

/** A listener for PostgreSQL clients and the upstreams that are reached through it. */
export interface PostgresListenerConfig {
  readonly protocol: 'postgres';
  readonly listen: Address;
  readonly tls: { readonly certificate: string; readonly key: SecretReference };
  readonly upstreams: readonly PostgresUpstreamConfig[];
}

/** A listener for SSH clients and the hosts that are reached through it. */
export interface SshListenerConfig {
  readonly protocol: 'ssh';
  readonly listen: Address;
  /** Private keys, in OpenSSH's format or PEM. */
  readonly hostKeys: readonly SecretReference[];
  /** Signs the certificates that agents log in with. */
  readonly certificateAuthority: { readonly key: SecretReference; readonly lifetimeSeconds: number };
  readonly upstreams: readonly SshUpstreamConfig[];
}

/** A listener for HTTP clients and the APIs that are reached through it. */
export interface HttpListenerConfig {
  readonly protocol: 'http';
  readonly listen: Address;
  /** Undefined: in clear, which is for loopback only. */
  readonly tls: { readonly certificate: string; readonly key: SecretReference } | undefined;
  /** Host names that it may be asked for by, besides those of its upstreams. */
  readonly hosts: readonly string[];
  /** How clients know it, for what it says about itself (RFC 9728); without it the address. */
  readonly url: string | undefined;
  /** Methods whose requests may have a body besides POST, PUT and PATCH. */
  readonly bodyMethods: readonly string[];
  /** Upstreams take `%2F` in a path for a part of a name. */
  readonly encodedSlashes: boolean;
  readonly upstreams: readonly HttpUpstreamConfig[];
}

/** A listener for clients that are told of a proxy (`HTTPS_PROXY`), and the APIs whose traffic is opened up in it. */
export interface ForwardProxyListenerConfig {
  readonly protocol: 'forward_proxy';
  readonly listen: Address;
  /** What policy and the trail call the proxy itself. */
  readonly name: string;
  /** Undefined: in clear, which is for loopback only. */
  readonly tls: { readonly certificate: string; readonly key: SecretReference } | undefined;
  /** Signs what clients of the upstreams are shown over TLS. Undefined: no TLS to an upstream. */
  readonly certificateAuthority: { readonly certificate: string; readonly key: SecretReference } | undefined;
  readonly upstreams: readonly HttpUpstreamConfig[];
}

/** One listener and the upstreams that are reached through it. */
export type ListenerConfig =
  | PostgresListenerConfig
  | SshListenerConfig
  | HttpListenerConfig
  | ForwardProxyListenerConfig;

/** Where copies of the audit trail's lines go (`audit.sinks[]`). */
export interface AuditSinkConfig {
  readonly type: 'stdout' | 'opa' | 'webhook' | 'otlp';
  readonly name: string;
  /** Nothing is permitted while it is too far behind. */
  readonly required: boolean;
  /** Of all but stdout. */
  readonly url: string | undefined;
  /** A bearer token, or what a webhook is signed with. */
  readonly secret: SecretReference | undefined;
  /** PEM of the CA; undefined: the system's. Absolute path. */
  readonly ca: string | undefined;
}

/** The console and its API (`console`). */
export interface ConsoleConfig {
  readonly listen: Address;
  /** What browsers call it by, an origin; undefined: the address. */
  readonly url: string | undefined;
  /** Absolute path of a PEM, and its key. Undefined: in clear. */
  readonly tls: { readonly certificate: string; readonly key: SecretReference } | undefined;
  readonly oidc: {
    readonly issuer: string;
    /** Of tokens for the API; never one of the data path. */
    readonly audience: string;
    /** Undefined: nobody signs in with a browser. */
    readonly clientId: string | undefined;
    readonly clientSecret: SecretReference | undefined;
    /** What the command line asks for a token as (RFC 8628). */
    readonly deviceClientId: string | undefined;
    readonly scopes: readonly string[];
    readonly groupsClaim: string;
    readonly tokenType: 'at+jwt' | 'any';
    /** Absolute path; undefined: the system's. */
    readonly ca: string | undefined;
    readonly allowInsecureHttp: boolean;
  };
  /** Groups by the role they have. */
  readonly roles: {
    readonly viewer: readonly string[];
    readonly approver: readonly string[];
    readonly admin: readonly string[];
  };
}

/** A bucket of S3 or of what speaks like it. */
export interface RecordUploadConfig {
  /** Without the bucket, which is the first part of the path there. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Of the keys, without a slash at its ends; empty for none. */
  readonly prefix: string;
  readonly accessKeyId: SecretReference;
  readonly secretAccessKey: SecretReference;
  /** Absolute path; undefined for the system's. */
  readonly ca: string | undefined;
}

/** The configuration, parsed once and frozen. Paths are absolute; secrets are references. */
export interface Config {
  /** The file it came from. */
  readonly file: string;
  readonly identity: { readonly issuers: readonly IssuerConfig[] };
  readonly policy: {
    readonly bundle: string;
    readonly data: string;
    readonly verification: VerificationConfig | undefined;
    /** Activate a changed bundle or data file by itself. */
    readonly watch: boolean;
  };
  readonly audit: {
    readonly file: string;
    readonly key: SecretReference;
    readonly rotateBytes: number;
    /** Rotated files that are kept. */
    readonly keep: number;
    /** `group`: synced in the background; `always`: before anything is forwarded. */
    readonly sync: 'group' | 'each';
    /** PKCS #8 PEM of an Ed25519 key that signs heads. */
    readonly signingKey: SecretReference | undefined;
    readonly sinks: readonly AuditSinkConfig[];
  };
  readonly record: {
    readonly directory: string;
    /** Encrypts recordings. Undefined: they are in clear. */
    readonly key: SecretReference | undefined;
    /** Keys of earlier recordings, to read them with. */
    readonly oldKeys: readonly SecretReference[];
    /** Undefined: for ever. */
    readonly retentionDays: number | undefined;
    /** Of all recordings together. Undefined: no bound. */
    readonly bytesMax: number | undefined;
    /** Where copies of recordings go. Undefined: nowhere. */
    readonly upload: RecordUploadConfig | undefined;
  };
  readonly privacy: { readonly key: SecretReference };
  readonly store: StoreConfig;
  readonly notify: NotifyConfig;
  readonly admin: {
    readonly listen: Address;
    /** Host names it may be asked for by, besides `localhost` and addresses. */
    readonly hosts: readonly string[];
  };
  /** Undefined: there is none. */
  readonly console: ConsoleConfig | undefined;
  readonly history: { readonly windowSeconds: number };
  /** A file that remembers what tools of MCP servers were at their first use. Absolute path; undefined: memory only. */
  readonly mcp: { readonly pins: string | undefined };
  readonly listeners: readonly ListenerConfig[];
  readonly limits: Limits;
}

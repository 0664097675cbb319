/** The configuration file as the schema lets it through, in the file's own names. `../config.ts` reads it. */
import type { RawConsole } from './console.ts';

/** The file after the schema: what the schema lets through, in the file's own names. */
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
    readonly signing_key?: string;
    readonly sinks?: readonly RawAuditSink[];
    readonly sync?: 'group' | 'each';
  };
  readonly record: {
    readonly directory: string;
    readonly key?: string;
    readonly old_keys?: readonly string[];
    readonly retention_days?: number;
    readonly bytes_max?: number;
    readonly upload?: RawRecordUpload;
  };
  readonly privacy: { readonly key: string };
  readonly listeners: readonly RawListener[];
  readonly upstreams: readonly RawUpstream[];
  readonly store?: { readonly path?: string; readonly url?: string; readonly password?: string; readonly ca?: string };
  readonly notify?: RawNotify;
  readonly admin?: { readonly listen: string; readonly hosts?: readonly string[] };
  readonly console?: RawConsole;
  readonly history?: { readonly window_seconds: number };
  readonly mcp?: { readonly pins: string };
  readonly limits?: Readonly<Record<string, number>>;
}

/** `record.upload` of the file. */
export interface RawRecordUpload {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix?: string;
  readonly access_key_id: string;
  readonly secret_access_key: string;
  readonly ca?: string;
}

/** `notify` of the file. */
export interface RawNotify {
  readonly webhooks?: readonly {
    readonly name: string;
    readonly url: string;
    readonly secret: string;
    readonly allow_insecure_http?: boolean;
  }[];
  readonly slack?: {
    readonly token: string;
    readonly channel: string;
    readonly signing_secret: string;
    readonly users: readonly {
      readonly slack: string;
      readonly issuer: string;
      readonly id: string;
      readonly groups: readonly string[];
    }[];
    readonly url?: string;
  };
}

/** `audit.sinks[]` as the file has it; which keys go with which type is in the schema. */
export interface RawAuditSink {
  readonly type: 'stdout' | 'opa' | 'webhook' | 'otlp';
  readonly name: string;
  readonly required?: boolean;
  readonly url?: string;
  readonly token?: string;
  readonly secret?: string;
  readonly ca?: string;
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
      readonly body_methods?: readonly string[];
      readonly encoded_slashes?: boolean;
    }
  | {
      readonly protocol: 'forward_proxy';
      readonly listen: string;
      readonly name: string;
      readonly upstreams?: readonly string[];
      readonly tls?: { readonly certificate: string; readonly key: string };
      readonly certificate_authority?: { readonly certificate: string; readonly key: string };
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
  readonly client_credentials?: RawTokenRequest;
  readonly token_exchange?: RawTokenRequest & {
    readonly actor?: { readonly scope?: string; readonly resource?: string };
  };
}

/** How a token is asked for. */
export interface RawTokenRequest {
  readonly token_url: string;
  readonly client_id: string;
  readonly client_secret: string;
  readonly scope?: string;
  readonly audience?: string;
  readonly resource?: string;
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

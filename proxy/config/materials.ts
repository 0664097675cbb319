/** Everything that the configuration only refers to: secrets, keys and certificates, read and looked at. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { types } from 'node:util';
import { resolveSecret } from '../core/secret-ref.ts';
import type {
  Config,
  ConsoleConfig,
  HttpUpstreamConfig,
  ListenerConfig,
  LoginConfig,
  PostgresUpstreamConfig,
  RecordUploadConfig,
  SecretReference,
  SshLoginConfig,
  SshUpstreamConfig,
  UpstreamConfig,
} from './types.ts';

/** A certificate chain and its key, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** How the gateway proves who it is at an upstream. */
export type Login =
  | { readonly user: string; readonly password: string }
  | { readonly user: string; readonly certificate: string; readonly key: string };

/** What one PostgreSQL upstream's configuration refers to. */
export interface PostgresMaterials {
  readonly protocol: 'postgres';
  /** PEM; undefined for the system's. */
  readonly ca: string | undefined;
  readonly logins: ReadonlyMap<string, Login>;
}

/** How the gateway proves who it is at an SSH host. */
export type SshLogin =
  | { readonly user: string; readonly key: string; readonly certificate: string | undefined }
  | { readonly user: string; readonly password: string };

/** What one SSH host's configuration refers to. */
export interface SshMaterials {
  readonly protocol: 'ssh';
  readonly logins: ReadonlyMap<string, SshLogin>;
}

/** What one HTTP upstream's configuration refers to. */
export interface HttpMaterials {
  readonly protocol: 'http';
  /** PEM; undefined for the system's. */
  readonly ca: string | undefined;
  readonly clientCertificate: KeyPair | undefined;
  /** The one secret of its credential; empty when it has none. */
  readonly secret: string;
  /** The text of its OpenAPI document. */
  readonly openapi: string | undefined;
}

/** What one upstream's configuration refers to. */
export type UpstreamMaterials = PostgresMaterials | SshMaterials | HttpMaterials;

/** What one listener's configuration refers to. */
export type ListenerMaterials =
  | ({ readonly protocol: 'postgres' } & KeyPair)
  /** Undefined: in clear. */
  | { readonly protocol: 'http'; readonly tls: KeyPair | undefined }
  | {
      readonly protocol: 'forward_proxy';
      readonly tls: KeyPair | undefined;
      readonly certificateAuthority: KeyPair | undefined;
    }
  /** Private keys as they are in their files. */
  | { readonly protocol: 'ssh'; readonly hostKeys: readonly string[]; readonly certificateAuthority: string };

/** What the console's configuration refers to. */
export interface ConsoleMaterials {
  /** Undefined: in clear. */
  readonly tls: KeyPair | undefined;
  readonly clientSecret: string | undefined;
  /** PEM of the provider's CA; undefined for the system's. */
  readonly ca: string | undefined;
}

/** What `record.upload` refers to. */
export interface RecordUploadMaterials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** PEM; undefined for the system's. */
  readonly ca: string | undefined;
}

/** All that a configuration refers to. Held in memory only. */
export interface Materials {
  readonly auditKey: Uint8Array;
  /** PEM. */
  readonly auditSigningKey: string | undefined;
  /** In the order of `audit.sinks`. */
  readonly auditSinks: readonly { readonly secret: string | undefined; readonly ca: string | undefined }[];
  /** Recordings are encrypted with it; undefined: in clear. */
  readonly recordKey: Uint8Array | undefined;
  readonly oldRecordKeys: readonly Uint8Array[];
  /** Of the bucket that recordings are uploaded to. */
  readonly recordUpload: RecordUploadMaterials | undefined;
  readonly privacyKey: Uint8Array;
  readonly verificationKey: string | undefined;
  /** Of the channels that are told of requests for approval. */
  readonly notify: {
    /** In the order of `notify.webhooks`. */
    readonly webhooks: readonly string[];
    readonly slack: { readonly token: string; readonly signingSecret: string } | undefined;
  };
  /** Of a store with a URL. */
  readonly store: { readonly password: string | undefined; readonly ca: string | undefined };
  /** In the order of `identity.issuers`; undefined for the system's CAs. */
  readonly issuerCas: readonly (string | undefined)[];
  readonly console: ConsoleMaterials | undefined;
  /** In the order of `listeners`. */
  readonly listeners: readonly ListenerMaterials[];
  /** By name. */
  readonly upstreams: ReadonlyMap<string, UpstreamMaterials>;
}

/**
 * Reads them all.
 * @throws Error that names the key of the configuration and the file, never a content.
 */
export async function loadMaterials(config: Config): Promise<Materials> {
  const upstreams = new Map(
    config.listeners.flatMap(({ upstreams }) => upstreams.map((one: UpstreamConfig) => [one.name, one] as const)),
  );
  const { verification } = config.policy;
  return {
    auditKey: await secret('audit.key', config.audit.key),
    auditSigningKey: config.audit.signingKey && asText(await secret('audit.signing_key', config.audit.signingKey)),
    auditSinks: await Promise.all(
      config.audit.sinks.map(async ({ name, secret: reference, ca }) => ({
        secret: reference && asText(await secret(`audit.sinks, ${name}`, reference)),
        ca: await authority(`CA of the sink ${name}`, ca),
      })),
    ),
    ...(await recordSecrets(config)),
    recordUpload: config.record.upload && (await recordUploadMaterials(config.record.upload)),
    privacyKey: await secret('privacy.key', config.privacy.key),
    verificationKey: verification && asText(await secret('policy.verification.key', verification.key)),
    store: await storeMaterials(config),
    notify: await notifyMaterials(config),
    issuerCas: await Promise.all(config.identity.issuers.map(({ ca, issuer }) => authority(`CA of ${issuer}`, ca))),
    console: config.console && (await consoleMaterials(config.console)),
    listeners: await Promise.all(config.listeners.map((one, index) => listenerMaterials(`listeners[${index}]`, one))),
    upstreams: new Map(
      await Promise.all([...upstreams].map(async ([name, one]) => [name, await upstreamMaterials(one)] as const)),
    ),
  };
}

async function notifyMaterials({ notify: { webhooks, slack } }: Config): Promise<Materials['notify']> {
  const read = async (key: string, reference: SecretReference) => asText(await secret(key, reference));
  return {
    webhooks: await Promise.all(webhooks.map((one, index) => read(`notify.webhooks[${index}].secret`, one.secret))),
    slack: slack && {
      token: await read('notify.slack.token', slack.token),
      signingSecret: await read('notify.slack.signing_secret', slack.signingSecret),
    },
  };
}

async function storeMaterials({ store }: Config): Promise<Materials['store']> {
  if (store.kind === 'embedded') return { password: undefined, ca: undefined };
  const { password, ca } = store;
  return {
    password: password === undefined ? undefined : asText(await secret('store.password', password)),
    ca: await authority('CA of the store', ca),
  };
}

/** Also for the command line, which reads recordings without serving. */
export async function recordSecrets(config: Config): Promise<Pick<Materials, 'recordKey' | 'oldRecordKeys'>> {
  const { key, oldKeys } = config.record;
  return {
    recordKey: key === undefined ? undefined : await secret('record.key', key),
    oldRecordKeys: await Promise.all(oldKeys.map((one, index) => secret(`record.old_keys[${index}]`, one))),
  };
}

async function recordUploadMaterials(upload: RecordUploadConfig): Promise<RecordUploadMaterials> {
  return {
    accessKeyId: asText(await secret('record.upload.access_key_id', upload.accessKeyId)),
    secretAccessKey: asText(await secret('record.upload.secret_access_key', upload.secretAccessKey)),
    ca: await authority('CA of record.upload', upload.ca),
  };
}

async function consoleMaterials({ tls, oidc }: ConsoleConfig): Promise<ConsoleMaterials> {
  const { clientSecret } = oidc;
  return {
    tls: tls && (await keyPair('console.tls', tls.certificate, tls.key)),
    clientSecret: clientSecret && asText(await secret('console.oidc.client_secret', clientSecret)),
    ca: await authority('CA of console.oidc', oidc.ca),
  };
}

async function listenerMaterials(what: string, listener: ListenerConfig): Promise<ListenerMaterials> {
  if (listener.protocol === 'postgres') {
    const { certificate, key } = listener.tls;
    return { protocol: 'postgres', ...(await keyPair(`${what}.tls`, certificate, key)) };
  }
  if (listener.protocol === 'http') {
    const { tls } = listener;
    return { protocol: 'http', tls: tls && (await keyPair(`${what}.tls`, tls.certificate, tls.key)) };
  }
  if (listener.protocol === 'forward_proxy') {
    const { tls, certificateAuthority: authority } = listener;
    const signer = `${what}.certificate_authority`;
    const pair = authority && (await keyPair(signer, authority.certificate, authority.key));
    if (pair !== undefined && !new X509Certificate(pair.certificate).ca) {
      throw new Error(`${signer}: the certificate is not one of an authority`);
    }
    return {
      protocol: 'forward_proxy',
      tls: tls && (await keyPair(`${what}.tls`, tls.certificate, tls.key)),
      certificateAuthority: pair,
    };
  }
  const hostKeys = listener.hostKeys.map(async (key, index) =>
    asText(await secret(`${what}.host_keys[${index}]`, key)),
  );
  return {
    protocol: 'ssh',
    hostKeys: await Promise.all(hostKeys),
    certificateAuthority: asText(await secret(`${what}.certificate_authority.key`, listener.certificateAuthority.key)),
  };
}

async function upstreamMaterials(upstream: UpstreamConfig): Promise<UpstreamMaterials> {
  switch (upstream.protocol) {
    case 'postgres':
      return postgresMaterials(upstream);
    case 'ssh':
      return sshMaterials(upstream);
    case 'http':
      return httpMaterials(upstream);
  }
}

async function httpMaterials(upstream: HttpUpstreamConfig): Promise<HttpMaterials> {
  const what = `upstream ${upstream.name}`;
  const { tls, certificate, openapi, credential } = upstream;
  const reference = secretOf(credential);
  return {
    protocol: 'http',
    ca: await authority(`CA of ${what}`, tls.mode === 'disable' ? undefined : tls.ca),
    clientCertificate: certificate && (await keyPair(what, certificate.file, certificate.key)),
    secret: reference === undefined ? '' : asText(await secret(`${what}, credential`, reference)),
    openapi: openapi === undefined ? undefined : await text(what, openapi),
  };
}

function secretOf(credential: HttpUpstreamConfig['credential']): SecretReference | undefined {
  switch (credential.kind) {
    case 'none':
      return undefined;
    case 'bearer':
      return credential.token;
    case 'basic':
      return credential.password;
    case 'header':
      return credential.value;
    default:
      return credential.clientSecret;
  }
}

async function postgresMaterials(upstream: PostgresUpstreamConfig): Promise<PostgresMaterials> {
  const what = `upstream ${upstream.name}`;
  const ca = upstream.tls.mode === 'disable' ? undefined : upstream.tls.ca;
  return {
    protocol: 'postgres',
    ca: await authority(`CA of ${what}`, ca),
    logins: await byName(upstream.logins, (name, login) => loginMaterials(`${what}, login ${name}`, login)),
  };
}

async function sshMaterials(upstream: SshUpstreamConfig): Promise<SshMaterials> {
  const what = `upstream ${upstream.name}`;
  return {
    protocol: 'ssh',
    logins: await byName(upstream.logins, (name, login) => sshLoginMaterials(`${what}, login ${name}`, login)),
  };
}

async function byName<From, To>(
  logins: ReadonlyMap<string, From>,
  read: (name: string, login: From) => Promise<To>,
): Promise<ReadonlyMap<string, To>> {
  return new Map(await Promise.all([...logins].map(async ([name, login]) => [name, await read(name, login)] as const)));
}

async function sshLoginMaterials(what: string, login: SshLoginConfig): Promise<SshLogin> {
  if ('password' in login) return { user: login.user, password: asText(await secret(what, login.password)) };
  const { user, certificate } = login;
  return {
    user,
    key: asText(await secret(what, login.key)),
    certificate: certificate === undefined ? undefined : await text(what, certificate),
  };
}

async function loginMaterials(what: string, login: LoginConfig): Promise<Login> {
  if ('certificate' in login) return { user: login.user, ...(await keyPair(what, login.certificate, login.key)) };
  return { user: login.user, password: asText(await secret(what, login.password)) };
}

async function keyPair(what: string, certificateFile: string, keyReference: SecretReference): Promise<KeyPair> {
  const certificate = await pem(what, certificateFile);
  const key = asText(await secret(what, keyReference));
  if (!matches(certificate, key)) throw new Error(`${what}: ${certificateFile} and the key do not belong together`);
  return { certificate, key };
}

function matches(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

async function authority(what: string, file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : await pem(what, file);
}

async function pem(what: string, file: string): Promise<string> {
  const content = await text(what, file);
  try {
    new X509Certificate(content);
  } catch (cause) {
    throw new Error(`${what}: ${file} holds no certificate in PEM`, { cause });
  }
  return content;
}

async function text(what: string, file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(`${what}: ${file} cannot be read`, { cause });
  });
}

async function secret(what: string, reference: SecretReference): Promise<Uint8Array> {
  try {
    return await resolveSecret(reference);
  } catch (cause) {
    const why = types.isNativeError(cause) ? cause.message : 'unreadable';
    throw new Error(`${what}: ${why}`, { cause });
  }
}

function asText(secretBytes: Uint8Array): string {
  return Buffer.from(secretBytes).toString('utf8');
}

/** Everything that the configuration only refers to: secrets, keys and certificates, read and looked at. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { types } from 'node:util';
import { resolveSecret } from '../core/secret-ref.ts';
import type { Config, LoginConfig, PostgresUpstreamConfig, SecretReference } from './types.ts';

/** A certificate chain and its key, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** How the gateway proves who it is at an upstream. */
export type Login =
  | { readonly user: string; readonly password: string }
  | { readonly user: string; readonly certificate: string; readonly key: string };

/** What one upstream's configuration refers to. */
export interface UpstreamMaterials {
  /** PEM; undefined for the system's. */
  readonly ca: string | undefined;
  readonly logins: ReadonlyMap<string, Login>;
}

/** All that a configuration refers to. Held in memory only. */
export interface Materials {
  readonly auditKey: Uint8Array;
  readonly privacyKey: Uint8Array;
  readonly verificationKey: string | undefined;
  /** In the order of `identity.issuers`; undefined for the system's CAs. */
  readonly issuerCas: readonly (string | undefined)[];
  /** In the order of `listeners`. */
  readonly listeners: readonly KeyPair[];
  /** By name. */
  readonly upstreams: ReadonlyMap<string, UpstreamMaterials>;
}

/**
 * Reads them all.
 * @throws Error that names the key of the configuration and the file, never a content.
 */
export async function loadMaterials(config: Config): Promise<Materials> {
  const upstreams = new Map(config.listeners.flatMap((listener) => listener.upstreams.map((one) => [one.name, one])));
  const { verification } = config.policy;
  return {
    auditKey: await secret('audit.key', config.audit.key),
    privacyKey: await secret('privacy.key', config.privacy.key),
    verificationKey: verification && asText(await secret('policy.verification.key', verification.key)),
    issuerCas: await Promise.all(config.identity.issuers.map(({ ca, issuer }) => authority(`CA of ${issuer}`, ca))),
    listeners: await Promise.all(
      config.listeners.map(({ tls }, index) => keyPair(`listeners[${index}].tls`, tls.certificate, tls.key)),
    ),
    upstreams: new Map(
      await Promise.all([...upstreams].map(async ([name, one]) => [name, await upstreamMaterials(one)] as const)),
    ),
  };
}

async function upstreamMaterials(upstream: PostgresUpstreamConfig): Promise<UpstreamMaterials> {
  const what = `upstream ${upstream.name}`;
  const logins = [...upstream.logins].map(
    async ([name, login]) => [name, await loginMaterials(`${what}, login ${name}`, login)] as const,
  );
  const ca = upstream.tls.mode === 'disable' ? undefined : upstream.tls.ca;
  return { ca: await authority(`CA of ${what}`, ca), logins: new Map(await Promise.all(logins)) };
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
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(`${what}: ${file} cannot be read`, { cause });
  });
  try {
    new X509Certificate(text);
  } catch (cause) {
    throw new Error(`${what}: ${file} holds no certificate in PEM`, { cause });
  }
  return text;
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

/**
 * Configuration: one YAML file, parsed once into a frozen {@link Config}. An unknown key, a missing one or
 * a secret in clear is an error that names the key and the line. `README.md` in `config/` lists the keys.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { types } from 'node:util';
import { readNotify, readStore } from './config/approvals.ts';
import { readConsole } from './config/console.ts';
import { ConfigDocument, ConfigError, type KeyPath } from './config/document.ts';
import { type Readers, readListener } from './config/listeners.ts';
import { snakeCase } from './config/schema.ts';
import { readSinks } from './config/sinks.ts';
import type { Address, Config, UpstreamConfig } from './config/types.ts';
import { readRecordUpload } from './config/upload.ts';
import { readUpstream } from './config/upstreams.ts';
import { type Limits, limits } from './core/limits.ts';

export { ConfigError, type Problem } from './config/document.ts';
export type * from './config/types.ts';

/** Reads and parses a configuration file. @throws ConfigError with everything that is wrong with it. */
export async function loadConfig(file: string): Promise<Config> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const why = types.isNativeError(error) && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError(file, [{ path: '', line: 1, column: 1, message: `cannot be read (${why})` }]);
  }
  return parseConfig(file, text);
}

/**
 * Parses the text of a configuration. Relative paths, those in `file:` references included, start at the
 * directory of `file`.
 * @throws ConfigError with everything that is wrong with it.
 */
export function parseConfig(file: string, text: string): Config {
  const document = new ConfigDocument(file, text);
  const raw = document.value;
  const directory = dirname(resolve(file));
  const path = (relative: string) => resolve(directory, relative);
  const secret = (reference: string) =>
    reference.startsWith('file:') ? `file:${path(reference.slice('file:'.length))}` : reference;
  const address = (written: string, at: KeyPath) => parseAddress(document, written, at);
  const read: Readers = { path, secret, address };

  const upstreams = new Map<string, UpstreamConfig>();
  raw.upstreams.forEach((upstream, index) => {
    const at: KeyPath = ['upstreams', index];
    if (upstreams.has(upstream.name)) document.add([...at, 'name'], 'is the name of another upstream');
    upstreams.set(upstream.name, readUpstream(document, upstream, at, read));
  });
  const listeners = raw.listeners.map((listener, index) =>
    readListener(document, listener, ['listeners', index], { read, upstreams }),
  );

  const issuers = raw.identity.issuers.map((issuer, index) => {
    const allowInsecureHttp = issuer.allow_insecure_http ?? false;
    if (issuer.issuer.startsWith('http:') && !allowInsecureHttp) {
      document.add(['identity', 'issuers', index, 'issuer'], 'must be https (or say allow_insecure_http, for tests)');
    }
    return {
      issuer: issuer.issuer,
      audience: issuer.audience,
      algorithms: issuer.algorithms,
      authorizedParties: issuer.authorized_parties,
      clockSkewSeconds: issuer.clock_skew_seconds ?? 5,
      groupsClaim: issuer.groups_claim ?? 'groups',
      tokenType: issuer.token_type ?? 'at+jwt',
      ca: issuer.ca === undefined ? undefined : path(issuer.ca),
      allowInsecureHttp,
    };
  });

  const { verification } = raw.policy;
  const config: Config = {
    file: resolve(file),
    identity: { issuers },
    policy: {
      bundle: path(raw.policy.bundle),
      data: path(raw.policy.data),
      verification: verification && {
        algorithm: verification.algorithm,
        key: secret(verification.key),
        scope: verification.scope,
      },
      watch: raw.policy.watch ?? true,
    },
    audit: {
      file: path(raw.audit.file),
      key: secret(raw.audit.key),
      rotateBytes: raw.audit.rotate_bytes ?? 256 * 1024 * 1024,
      keep: raw.audit.keep ?? 1_000,
      sync: raw.audit.sync ?? 'group',
      signingKey: raw.audit.signing_key === undefined ? undefined : secret(raw.audit.signing_key),
      sinks: readSinks(document, raw.audit.sinks ?? [], read),
    },
    record: {
      directory: path(raw.record.directory),
      key: raw.record.key === undefined ? undefined : secret(raw.record.key),
      oldKeys: (raw.record.old_keys ?? []).map(secret),
      retentionDays: raw.record.retention_days,
      bytesMax: raw.record.bytes_max,
      upload: readRecordUpload(document, raw.record, read),
    },
    privacy: { key: secret(raw.privacy.key) },
    store: readStore(document, raw, read),
    notify: readNotify(document, raw, read),
    admin: {
      listen: address(raw.admin?.listen ?? '127.0.0.1:9464', ['admin', 'listen']),
      hosts: raw.admin?.hosts ?? [],
    },
    console:
      raw.console &&
      readConsole(
        document,
        raw.console,
        read,
        issuers.map(({ audience }) => audience),
      ),
    history: { windowSeconds: raw.history?.window_seconds ?? limits.historyWindowSeconds },
    mcp: { pins: raw.mcp === undefined ? undefined : path(raw.mcp.pins) },
    listeners,
    limits: mergeLimits(raw.limits ?? {}),
  };
  document.throwIfWrong();
  return freeze(config);
}

function parseAddress(document: ConfigDocument, written: string, at: KeyPath): Address {
  const colon = written.lastIndexOf(':');
  const port = Number(written.slice(colon + 1));
  if (port > 65_535) document.add(at, 'has a port past 65535');
  return { host: written.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port };
}

function mergeLimits(overrides: Readonly<Record<string, number>>): Limits {
  const merged: { -readonly [Name in keyof Limits]: number } = { ...limits };
  for (const name of limitNames) merged[name] = overrides[snakeCase(name)] ?? merged[name];
  return merged;
}

const limitNames = Object.keys(limits).filter((name): name is keyof Limits => name in limits);

function freeze<T>(value: T): T {
  if (value !== null && typeof value === 'object' && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of value instanceof Map ? value.values() : Object.values(value)) freeze(part);
  }
  return value;
}

import type { ConfigDocument, KeyPath } from './document.ts';
import type { Readers } from './listeners.ts';
import type { RawLogin, RawPostgresUpstream, RawSshUpstream, RawUpstream } from './schema.ts';
import type {
  LoginConfig,
  PostgresUpstreamConfig,
  SshLoginConfig,
  SshUpstreamConfig,
  UpstreamConfig,
} from './types.ts';

/** One of `upstreams[]`; what is wrong with it is noted in the document. */
export function readUpstream(
  document: ConfigDocument,
  upstream: RawUpstream,
  at: KeyPath,
  read: Readers,
): UpstreamConfig {
  return upstream.protocol === 'ssh'
    ? sshUpstream(document, upstream, at, read)
    : postgresUpstream(document, upstream, at, read);
}

function postgresUpstream(
  document: ConfigDocument,
  upstream: RawPostgresUpstream,
  at: KeyPath,
  read: Readers,
): PostgresUpstreamConfig {
  const { mode, ca, server_name: serverName } = upstream.tls;
  if (mode === 'disable' && (ca !== undefined || serverName !== undefined)) {
    document.add([...at, 'tls', 'mode'], 'is disable, so ca and server_name mean nothing');
  }
  return {
    protocol: upstream.protocol,
    name: upstream.name,
    address: read.address(upstream.address, [...at, 'address']),
    tls: mode === 'disable' ? { mode } : { mode, ca: ca === undefined ? undefined : read.path(ca), serverName },
    databases: upstream.databases,
    searchPath: upstream.search_path ?? ['public'],
    logins: readLogins(upstream.logins, (login, name) => postgresLogin(document, login, [...at, 'logins', name], read)),
  };
}

/** Where programs are looked for, as Debian's sshd has it for everybody, administrators included. */
const defaultCommandPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function sshUpstream(
  document: ConfigDocument,
  upstream: RawSshUpstream,
  at: KeyPath,
  read: Readers,
): SshUpstreamConfig {
  const { host_keys: hostKeys = [], host_authorities: hostAuthorities = [] } = upstream;
  if (hostKeys.length + hostAuthorities.length === 0) {
    document.add(at, 'needs host_keys or host_authorities: a host is never trusted on first use');
  }
  return {
    protocol: upstream.protocol,
    name: upstream.name,
    address: read.address(upstream.address, [...at, 'address']),
    hostKeys,
    hostAuthorities,
    commandPath: upstream.command_path ?? defaultCommandPath,
    logins: readLogins(upstream.logins, (login, name) => sshLogin(document, login, [...at, 'logins', name], read)),
  };
}

function readLogins<Login>(
  logins: Readonly<Record<string, RawLogin>>,
  readOne: (login: RawLogin, name: string) => Login,
): ReadonlyMap<string, Login> {
  return new Map(Object.entries(logins).map(([name, login]) => [name, readOne(login, name)] as const));
}

/** Exactly one way to prove who the gateway is: a password, or a certificate with its key. */
function postgresLogin(document: ConfigDocument, login: RawLogin, at: KeyPath, read: Readers): LoginConfig {
  const { user, password, certificate, key } = login;
  if (password !== undefined && certificate === undefined && key === undefined) {
    return { user, password: read.secret(password) };
  }
  if (password === undefined && certificate !== undefined && key !== undefined) {
    return { user, certificate: read.path(certificate), key: read.secret(key) };
  }
  document.add(at, 'needs either password, or certificate and key');
  return { user, password: '' };
}

/** A key, a key with a certificate for it, or a password. A `+` would end the name in `login+upstream`. */
function sshLogin(document: ConfigDocument, login: RawLogin, at: KeyPath, read: Readers): SshLoginConfig {
  const { user, password, certificate, key } = login;
  if (String(at.at(-1)).includes('+')) document.add(at, 'has a + in its name');
  if (key !== undefined && password === undefined) {
    return { user, key: read.secret(key), certificate: certificate === undefined ? undefined : read.path(certificate) };
  }
  if (key === undefined && certificate === undefined && password !== undefined) {
    return { user, password: read.secret(password) };
  }
  document.add(at, 'needs either key (and a certificate for it), or password');
  return { user, password: '' };
}

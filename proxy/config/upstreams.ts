import type { ConfigDocument, KeyPath } from './document.ts';
import { isLoopback, type Readers } from './listeners.ts';
import type {
  RawHttpCredential,
  RawHttpUpstream,
  RawLogin,
  RawPostgresUpstream,
  RawSshUpstream,
  RawUpstream,
} from './raw.ts';
import type {
  HttpCredentialConfig,
  HttpUpstreamConfig,
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
  switch (upstream.protocol) {
    case 'postgres':
      return postgresUpstream(document, upstream, at, read);
    case 'ssh':
      return sshUpstream(document, upstream, at, read);
    case 'http':
      return httpUpstream(document, upstream, at, read);
  }
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

function httpUpstream(
  document: ConfigDocument,
  upstream: RawHttpUpstream,
  at: KeyPath,
  read: Readers,
): HttpUpstreamConfig {
  const { mode, ca, server_name: serverName, certificate, key } = upstream.tls;
  if (mode === 'disable' && [ca, serverName, certificate, key].some((one) => one !== undefined)) {
    document.add([...at, 'tls', 'mode'], 'is disable, so nothing else of tls means anything');
  }
  if ((certificate === undefined) !== (key === undefined)) {
    document.add([...at, 'tls'], 'needs a certificate and its key, or neither');
  }
  return {
    protocol: upstream.protocol,
    name: upstream.name,
    address: read.address(upstream.address, [...at, 'address']),
    tls: mode === 'disable' ? { mode } : { mode, ca: ca === undefined ? undefined : read.path(ca), serverName },
    certificate:
      certificate === undefined || key === undefined
        ? undefined
        : { file: read.path(certificate), key: read.secret(key) },
    prefix: upstream.prefix,
    host: upstream.host?.toLowerCase(),
    credential: httpCredential(document, upstream.credential, [...at, 'credential'], read),
    routes: (upstream.routes ?? []).map(({ path, method, operation_id: operationId, tags = [] }) => ({
      ...{ path, method, operationId, tags },
    })),
    openapi: upstream.openapi === undefined ? undefined : read.path(upstream.openapi),
    mcp: upstream.mcp,
    websockets: upstream.websockets ?? false,
  };
}

function httpCredential(
  document: ConfigDocument,
  raw: RawHttpCredential = {},
  at: KeyPath,
  read: Readers,
): HttpCredentialConfig {
  const { bearer, basic, header, client_credentials: own, token_exchange: exchanged } = raw;
  if (bearer !== undefined) return { kind: 'bearer', token: read.secret(bearer) };
  if (basic !== undefined) return { kind: 'basic', user: basic.user, password: read.secret(basic.password) };
  if (header !== undefined)
    return { kind: 'header', name: header.name.toLowerCase(), value: read.secret(header.value) };
  const kind = own === undefined ? 'token_exchange' : 'client_credentials';
  const request = own ?? exchanged;
  if (request === undefined) return { kind: 'none' };
  const tokenUrl = URL.parse(request.token_url);
  if (tokenUrl === null || (tokenUrl.protocol === 'http:' && !isLoopback(tokenUrl.hostname))) {
    document.add([...at, kind, 'token_url'], 'must be an https URL: only loopback may be in clear');
  }
  return {
    kind,
    tokenUrl: request.token_url,
    clientId: request.client_id,
    clientSecret: read.secret(request.client_secret),
    scope: request.scope,
    audience: request.audience,
    resource: request.resource,
    actor: exchanged?.actor && { scope: exchanged.actor.scope, resource: exchanged.actor.resource },
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

/** The protocols that the gateway speaks: adding one is a folder and a line here. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { parse as parseYaml } from 'yaml';
import type { ListenerMaterials, UpstreamMaterials } from '../config/materials.ts';
import type {
  ForwardProxyListenerConfig,
  HttpCredentialConfig,
  HttpListenerConfig,
  ListenerConfig,
  PostgresListenerConfig,
  SshListenerConfig,
} from '../config/types.ts';
import type { Limits } from '../core/limits.ts';
import type { Masker } from '../core/masker.ts';
import type { Clock, ProtocolAdapter } from '../core/ports.ts';
import type { JsonObject } from '../core/types.ts';
import { createForwardAdapter } from './http/forward/index.ts';
import { createHttpAdapter } from './http/index.ts';
import type { HttpCredential, HttpUpstream } from './http/upstreams.ts';
import { createPostgresAdapter } from './postgres/index.ts';
import { createSshAdapter } from './ssh/index.ts';

/** What every adapter is made of, whatever its protocol. */
export interface AdapterParts {
  /** What the listener's configuration refers to, as it is now; another object after a reload. */
  readonly listener: () => ListenerMaterials;
  /** The same for each upstream, by its name. */
  readonly upstreams: ReadonlyMap<string, UpstreamMaterials>;
  readonly masker: Masker;
  /** Issuers whose tokens are accepted. */
  readonly issuers: readonly string[];
  /** A file for the first use of tools of MCP servers. */
  readonly mcpPins: string | undefined;
  readonly clock: Clock;
  readonly limits: Limits;
}

/** The adapter for one listener. */
export function createAdapter(listener: ListenerConfig, parts: AdapterParts): ProtocolAdapter {
  switch (listener.protocol) {
    case 'postgres':
      return postgresAdapter(listener, parts);
    case 'ssh':
      return sshAdapter(listener, parts);
    case 'http':
      return httpAdapter(listener, parts);
    case 'forward_proxy':
      return forwardAdapter(listener, parts);
  }
}

function postgresAdapter(listener: PostgresListenerConfig, parts: AdapterParts): ProtocolAdapter {
  const secureContext = derived((materials: ListenerMaterials): SecureContext => {
    if (materials.protocol !== 'postgres') throw new Error('a PostgreSQL listener without a certificate');
    const { certificate: cert, key } = materials;
    // One context for all connections of a listener, so that TLS sessions resume.
    return createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
  });
  secureContext(parts.listener());
  return createPostgresAdapter({
    ...parts,
    tls: () => secureContext(parts.listener()),
    upstreams: listener.upstreams.map(({ name, address, tls, databases, searchPath }) => {
      const { ca, logins } = materialsOf(parts, name, 'postgres');
      return {
        name,
        ...address,
        tls: tls.mode === 'disable' ? tls : { mode: tls.mode, ca, serverName: tls.serverName },
        databases,
        searchPath,
        logins,
      };
    }),
  });
}

function sshAdapter(listener: SshListenerConfig, parts: AdapterParts): ProtocolAdapter {
  return createSshAdapter({
    ...parts,
    keys: () => {
      const materials = parts.listener();
      if (materials.protocol !== 'ssh') throw new Error('an SSH listener without host keys');
      return materials;
    },
    certificateLifetimeSeconds: listener.certificateAuthority.lifetimeSeconds,
    upstreams: listener.upstreams.map(({ name, address, hostKeys, hostAuthorities, commandPath }) => {
      const { logins } = materialsOf(parts, name, 'ssh');
      return { name, ...address, hostKeys, hostAuthorities, commandPath, logins };
    }),
  });
}

function httpAdapter(listener: HttpListenerConfig, parts: AdapterParts): ProtocolAdapter {
  return createHttpAdapter({
    ...parts,
    tls: httpTls(parts),
    hosts: listener.hosts,
    url: listener.url,
    bodyMethods: listener.bodyMethods,
    encodedSlashes: listener.encodedSlashes,
    upstreams: httpUpstreams(listener, parts),
  });
}

function forwardAdapter(listener: ForwardProxyListenerConfig, parts: AdapterParts): ProtocolAdapter {
  const materials = parts.listener();
  if (materials.protocol !== 'forward_proxy') throw new Error('a forward proxy with the materials of another');
  return createForwardAdapter({
    ...parts,
    name: listener.name,
    tls: httpTls(parts),
    hosts: [],
    url: undefined,
    bodyMethods: [],
    encodedSlashes: false,
    certificateAuthority: materials.certificateAuthority,
    upstreams: httpUpstreams(listener, parts),
  });
}

function httpTls(parts: AdapterParts): () => SecureContext | undefined {
  const secureContext = derived((materials: ListenerMaterials): { readonly context: SecureContext | undefined } => {
    if (materials.protocol !== 'http' && materials.protocol !== 'forward_proxy') {
      throw new Error('an HTTP listener with the materials of another');
    }
    const { tls } = materials;
    return { context: tls && createSecureContext({ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' }) };
  });
  secureContext(parts.listener());
  return () => secureContext(parts.listener()).context;
}

function httpUpstreams(
  listener: HttpListenerConfig | ForwardProxyListenerConfig,
  parts: AdapterParts,
): readonly HttpUpstream[] {
  return listener.upstreams.map((upstream) => {
    const { name, address, tls, host, credential, openapi: _file, certificate: _, ...rest } = upstream;
    const { ca, clientCertificate, secret, openapi } = materialsOf(parts, name, 'http');
    return {
      ...{ name, ...address, ...rest, clientCertificate },
      tls: tls.mode === 'disable' ? tls : { mode: tls.mode, ca, serverName: tls.serverName },
      ownHost: host,
      credential: httpCredential(credential, secret),
      openapi: openapi === undefined ? undefined : parseObject(name, openapi),
    };
  });
}

/** The secret in the place of the reference to it. */
function httpCredential(credential: HttpCredentialConfig, secret: string): HttpCredential {
  switch (credential.kind) {
    case 'none':
      return credential;
    case 'bearer':
      return { kind: 'bearer', token: secret };
    case 'basic':
      return { kind: 'basic', user: credential.user, password: secret };
    case 'header':
      return { kind: 'header', name: credential.name, value: secret };
    default:
      return { ...credential, clientSecret: secret };
  }
}

/** An OpenAPI document, JSON or YAML. @throws Error when it is neither */
function parseObject(name: string, text: string): JsonObject {
  const value: unknown = parseYaml(text);
  if (!isObject(value)) throw new Error(`upstream ${name}: the OpenAPI document is not an object`);
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function materialsOf<Protocol extends UpstreamMaterials['protocol']>(
  { upstreams }: AdapterParts,
  name: string,
  protocol: Protocol,
): Extract<UpstreamMaterials, { protocol: Protocol }> {
  const known = upstreams.get(name);
  if (known === undefined || !isOf(known, protocol)) throw new Error(`the materials of ${name} were not loaded`);
  return known;
}

function isOf<Protocol extends UpstreamMaterials['protocol']>(
  materials: UpstreamMaterials,
  protocol: Protocol,
): materials is Extract<UpstreamMaterials, { protocol: Protocol }> {
  return materials.protocol === protocol;
}

/** What is made of an object once, and again only of another object. */
function derived<From extends object, To>(make: (from: From) => To): (from: From) => To {
  const made = new WeakMap<From, { readonly value: To }>();
  return (from) => {
    const known = made.get(from) ?? { value: make(from) };
    made.set(from, known);
    return known.value;
  };
}

/** Everything a gateway reads, written into one folder: configuration, keys, certificates, data. For tests and the demo. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import type { JsonObject } from '../../proxy/core/types.ts';
import { formatPrivateKey, publicKeyOf } from '../../proxy/protocols/ssh/private-key.ts';
import { publicKeyLine } from '../../proxy/protocols/ssh/public-key.ts';
import { type KeyPair, makeCertificates } from './tls.ts';

/** One upstream to be written into the configuration. */
export interface UpstreamFiles {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** PEM of the CA to verify it with; undefined: no TLS. */
  readonly ca: string | undefined;
  readonly serverName?: string;
  readonly databases?: readonly string[];
  readonly searchPath?: readonly string[];
  readonly logins: Readonly<
    Record<string, { readonly user: string; readonly password: string } | ({ readonly user: string } & KeyPair)>
  >;
}

/** One SSH host to be written into the configuration. */
export interface SshUpstreamFiles {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Public keys of the host, as lines. */
  readonly hostKeys: readonly string[];
  /** Public keys of authorities that certify it, as lines. */
  readonly hostAuthorities?: readonly string[];
  readonly commandPath?: string;
  readonly logins: Readonly<Record<string, { readonly user: string; readonly key: string }>>;
}

/** One HTTP upstream to be written into the configuration; the secret of its credential goes into a file. */
export interface HttpUpstreamFiles {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** PEM of the CA to verify it with; undefined: no TLS. */
  readonly ca?: string;
  readonly serverName?: string;
  /** Shown to the upstream. */
  readonly client?: KeyPair;
  readonly prefix?: string;
  readonly ownHost?: string;
  /** `credential:` with `SECRET` in the place of the reference. */
  readonly credential?: JsonObject;
  readonly secret?: string;
  readonly routes?: readonly JsonObject[];
  readonly mcp?: string;
  readonly websockets?: boolean;
}

/** What {@link writeGatewayFiles} writes. */
export interface GatewayFilesOptions {
  /** An existing folder. */
  readonly directory: string;
  readonly issuer: string;
  readonly audience: string;
  readonly upstreams: readonly UpstreamFiles[];
  /** A second listener, for SSH, when there is anything to reach by it. */
  readonly ssh?: {
    readonly port?: number;
    readonly lifetimeSeconds?: number;
    readonly upstreams: readonly SshUpstreamFiles[];
  };
  /** A listener for HTTP, in clear on loopback, with upstreams as they stand in the configuration. */
  readonly http?: {
    readonly port?: number;
    readonly tls?: boolean;
    readonly url?: string;
    readonly hosts?: readonly string[];
    /** Further keys of the listener, as the configuration has them. */
    readonly listener?: JsonObject;
    readonly upstreams: readonly HttpUpstreamFiles[];
  };
  /** A forward proxy, in clear on loopback unless `tls` says otherwise, that opens up tunnels to these of the HTTP upstreams. */
  readonly forward?: {
    readonly port?: number;
    readonly tls?: boolean;
    /** Whether it has a certificate authority: that of {@link GatewayFiles.ca}. */
    readonly inspects: boolean;
    readonly upstreams: readonly string[];
  };
  /** `data.config`. */
  readonly data: JsonObject;
  /** A bundle to copy. */
  readonly bundle: string;
  /** `limits:` of the configuration, in its own snake case. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Ports of the PostgreSQL listener and of admin; 0 by default. */
  readonly port?: number;
  readonly adminPort?: number;
  /** Further top-level keys of the configuration, merged over what is written (one level deep). */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Where everything is, as absolute paths. */
export interface GatewayFiles {
  readonly configFile: string;
  readonly caFile: string;
  /** PEM of the CA that signed the listener's certificate (localhost, 127.0.0.1, ::1). */
  readonly ca: string;
  readonly auditFile: string;
  readonly auditKeyFile: string;
  readonly auditKey: Buffer;
  readonly privacyKey: Buffer;
  readonly recordDirectory: string;
  readonly dataFile: string;
  readonly bundleFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The public host key of the SSH listener, as a line. */
  readonly sshHostKey: string;
  /** The public key of the authority that certifies agents, as a line. */
  readonly sshAuthority: string;
}

/** Writes them; secrets are readable by their owner only. */
export async function writeGatewayFiles(options: GatewayFilesOptions): Promise<GatewayFiles> {
  const { directory } = options;
  const at = (name: string) => join(directory, name);
  const certificates = await makeCertificates();
  const [hostKey, authority] = [makeKey('sallyport'), makeKey('sallyport-ca')];
  const auditKey = randomBytes(32).toString('base64url');
  const privacyKey = randomBytes(32).toString('base64url');
  const files: GatewayFiles = {
    configFile: at('sallyport.yaml'),
    caFile: at('ca.pem'),
    ca: certificates.ca,
    auditFile: at('audit/audit.jsonl'),
    auditKeyFile: at('keys/audit'),
    auditKey: Buffer.from(auditKey),
    privacyKey: Buffer.from(privacyKey),
    recordDirectory: at('recordings'),
    dataFile: at('data.json'),
    bundleFile: at('bundle.tar.gz'),
    certificateFile: at('tls.crt'),
    keyFile: at('keys/tls.key'),
    sshHostKey: hostKey.publicKey,
    sshAuthority: authority.publicKey,
  };
  await mkdir(at('keys'), { recursive: true, mode: 0o700 });
  await mkdir(files.recordDirectory, { recursive: true, mode: 0o700 });
  await writeFile(files.caFile, certificates.ca);
  await writeFile(files.certificateFile, certificates.server.certificate);
  await writeSecret(files.keyFile, certificates.server.key);
  await writeSecret(files.auditKeyFile, auditKey);
  await writeSecret(at('keys/privacy'), privacyKey);
  await writeFile(files.dataFile, `${JSON.stringify(options.data, undefined, 2)}\n`);
  await copyFile(options.bundle, files.bundleFile);
  await writeSecret(at('keys/ssh-host'), hostKey.privateKey);
  await writeSecret(at('keys/ssh-ca'), authority.privateKey);
  await writeSecret(at('keys/ca'), certificates.authority.key);
  const { ssh } = options;
  const upstreams = await Promise.all([
    ...options.upstreams.map((upstream) => writeUpstream(directory, upstream)),
    ...(ssh?.upstreams ?? []).map((upstream) => writeSshUpstream(directory, upstream)),
    ...(options.http?.upstreams ?? []).map((upstream) => writeHttpUpstream(directory, upstream)),
  ]);
  const config: Record<string, unknown> = {
    identity: {
      issuers: [{ issuer: options.issuer, audience: options.audience, allow_insecure_http: true }],
    },
    policy: { bundle: './bundle.tar.gz', data: './data.json' },
    audit: { file: './audit/audit.jsonl', key: 'file:./keys/audit' },
    record: { directory: './recordings' },
    privacy: { key: 'file:./keys/privacy' },
    admin: { listen: `127.0.0.1:${options.adminPort ?? 0}` },
    listeners: [
      ...(options.upstreams.length === 0 ? [] : [postgresListener(options)]),
      ...(ssh === undefined ? [] : [sshListener(ssh)]),
      ...(options.http === undefined ? [] : [httpListener(options.http)]),
      ...(options.forward === undefined ? [] : [forwardListener(options.forward)]),
    ],
    upstreams,
    ...(options.limits && { limits: options.limits }),
  };
  for (const [key, value] of Object.entries(options.config ?? {})) config[key] = { ...Object(config[key]), ...value };
  await writeFile(files.configFile, stringify(config));
  return files;
}

/** An Ed25519 key as OpenSSH's files hold it. */
function makeKey(comment: string): { readonly privateKey: string; readonly publicKey: string } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { type, blob } = publicKeyOf(privateKey);
  return {
    privateKey: formatPrivateKey(privateKey, comment, randomBytes(4).readUInt32BE()),
    publicKey: publicKeyLine(type, blob, comment),
  };
}

function postgresListener({ port, upstreams }: GatewayFilesOptions) {
  return {
    protocol: 'postgres',
    listen: `127.0.0.1:${port ?? 0}`,
    tls: { certificate: './tls.crt', key: 'file:./keys/tls.key' },
    upstreams: upstreams.map(({ name }) => name),
  };
}

function sshListener({ port, lifetimeSeconds, upstreams }: NonNullable<GatewayFilesOptions['ssh']>) {
  return {
    protocol: 'ssh',
    listen: `127.0.0.1:${port ?? 0}`,
    host_keys: ['file:./keys/ssh-host'],
    certificate_authority: {
      key: 'file:./keys/ssh-ca',
      ...(lifetimeSeconds !== undefined && { lifetime_seconds: lifetimeSeconds }),
    },
    upstreams: upstreams.map(({ name }) => name),
  };
}

function httpListener({ port, tls, url, hosts, listener, upstreams }: NonNullable<GatewayFilesOptions['http']>) {
  return {
    protocol: 'http',
    listen: `127.0.0.1:${port ?? 0}`,
    ...(tls && { tls: { certificate: './tls.crt', key: 'file:./keys/tls.key' } }),
    ...(url !== undefined && { url }),
    ...(hosts && { hosts }),
    ...listener,
    upstreams: upstreams.map(({ name }) => name),
  };
}

function forwardListener({ port, tls, inspects, upstreams }: NonNullable<GatewayFilesOptions['forward']>) {
  return {
    protocol: 'forward_proxy',
    name: 'egress',
    listen: `127.0.0.1:${port ?? 0}`,
    ...(tls && { tls: { certificate: './tls.crt', key: 'file:./keys/tls.key' } }),
    ...(inspects && { certificate_authority: { certificate: './ca.pem', key: 'file:./keys/ca' } }),
    ...(upstreams.length > 0 && { upstreams: [...upstreams] }),
  };
}

async function writeHttpUpstream(directory: string, upstream: HttpUpstreamFiles): Promise<Record<string, unknown>> {
  const { name, host, port, ca, serverName, client, prefix, ownHost, credential, secret, routes, mcp, websockets } =
    upstream;
  const secretFile = `keys/${name}-credential`;
  if (secret !== undefined) await writeSecret(join(directory, secretFile), secret);
  const caFile = `upstream-${name}-ca.pem`;
  if (ca !== undefined) await writeFile(join(directory, caFile), ca);
  const clientFile = `keys/${name}-client`;
  if (client !== undefined) {
    await writeFile(join(directory, `${clientFile}.crt`), client.certificate);
    await writeSecret(join(directory, `${clientFile}.key`), client.key);
  }
  const reference = JSON.stringify(credential ?? null).replaceAll('"SECRET"', JSON.stringify(`file:./${secretFile}`));
  return {
    name,
    protocol: 'http',
    address: `${host}:${port}`,
    tls:
      ca === undefined
        ? { mode: 'disable' }
        : {
            ...{ mode: 'verify-full', ca: `./${caFile}` },
            ...(serverName !== undefined && { server_name: serverName }),
            ...(client && { certificate: `./${clientFile}.crt`, key: `file:./${clientFile}.key` }),
          },
    ...(prefix !== undefined && { prefix }),
    ...(ownHost !== undefined && { host: ownHost }),
    ...(credential && { credential: JSON.parse(reference) }),
    ...(routes && { routes }),
    ...(mcp !== undefined && { mcp }),
    ...(websockets && { websockets }),
  };
}

async function writeSshUpstream(directory: string, upstream: SshUpstreamFiles): Promise<Record<string, unknown>> {
  const logins: Record<string, unknown> = {};
  for (const [name, { user, key }] of Object.entries(upstream.logins)) {
    const file = `keys/${upstream.name}-${name}`;
    await writeSecret(join(directory, file), key);
    logins[name] = { user, key: `file:./${file}` };
  }
  return {
    name: upstream.name,
    protocol: 'ssh',
    address: `${upstream.host}:${upstream.port}`,
    ...(upstream.hostKeys.length > 0 && { host_keys: upstream.hostKeys }),
    ...(upstream.hostAuthorities && { host_authorities: upstream.hostAuthorities }),
    ...(upstream.commandPath !== undefined && { command_path: upstream.commandPath }),
    logins,
  };
}

async function writeUpstream(directory: string, upstream: UpstreamFiles): Promise<Record<string, unknown>> {
  const inside = (name: string) => `./${relative(directory, join(directory, name))}`;
  const logins: Record<string, unknown> = {};
  for (const [name, login] of Object.entries(upstream.logins)) {
    const base = `keys/${upstream.name}-${name}`;
    if ('password' in login) {
      await writeSecret(join(directory, base), login.password);
      logins[name] = { user: login.user, password: `file:${inside(base)}` };
    } else {
      await writeFile(join(directory, `${base}.crt`), login.certificate);
      await writeSecret(join(directory, `${base}.key`), login.key);
      logins[name] = { user: login.user, certificate: inside(`${base}.crt`), key: `file:${inside(`${base}.key`)}` };
    }
  }
  const caFile = `upstream-${upstream.name}-ca.pem`;
  if (upstream.ca !== undefined) await writeFile(join(directory, caFile), upstream.ca);
  return {
    name: upstream.name,
    protocol: 'postgres',
    address: `${upstream.host}:${upstream.port}`,
    tls:
      upstream.ca === undefined
        ? { mode: 'disable' }
        : {
            mode: 'verify-full',
            ca: inside(caFile),
            ...(upstream.serverName !== undefined && { server_name: upstream.serverName }),
          },
    ...(upstream.databases && { databases: upstream.databases }),
    ...(upstream.searchPath && { search_path: upstream.searchPath }),
    logins,
  };
}

async function writeSecret(file: string, secret: string): Promise<void> {
  await writeFile(file, secret, { mode: 0o600 });
}

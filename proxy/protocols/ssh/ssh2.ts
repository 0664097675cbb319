/**
 * The one door to the package `ssh2`, with what its types do not know: the repairs that the gateway stands on
 * (`scripts/patches/README.md`). Without them data is lost and memory is not bounded, so without them nothing is served.
 */
import type { Duplex } from 'node:stream';
import type * as types from 'ssh2';
import ssh2 from 'ssh2';
import { GatewayError } from '../../core/errors.ts';

export type {
  AuthContext,
  ClientChannel,
  ParsedKey,
  PublicKeyAuthContext,
  ServerChannel,
  Session,
} from 'ssh2';

/** The revision of `scripts/patches/ssh2+1.17.0.patch` that this code was written for. */
const patchRevision = 3;

/** Lets the repaired package pass. @throws GatewayError `internal_error` for any other */
export function requirePatched(module: object): void {
  if (Reflect.get(module, 'sallyport') !== patchRevision) {
    throw new GatewayError(
      'internal_error',
      'The package ssh2 lacks the gateway’s repairs: install with development dependencies, or from the published package.',
    );
  }
}

requirePatched(ssh2);

/** Bounds on how long and for how much one set of keys is used; both have defaults (1 GiB, one hour). */
export interface RekeyBounds {
  readonly bytes?: number;
  readonly ms?: number;
}

/** What a server is made of. */
export interface ServerOptions extends types.ServerConfig {
  /** Channels of one connection, those that are being decided about included. Unbounded by default. */
  readonly maxChannels?: number;
  readonly rekey?: RekeyBounds;
  /** Ciphers for a client that calls itself this; those of `algorithms` when there is no answer. */
  readonly ciphersFor?: (software: string) => string[] | undefined;
}

/** Speaks the server's side on sockets that are given to it. */
export type Server = Omit<types.Server, 'injectSocket'> & { injectSocket(socket: Duplex): void };

/** Makes one that has no sockets. */
export const Server: new (options: ServerOptions) => Server = ssh2.Server as unknown as new (
  options: ServerOptions,
) => Server;

/** What a client is made of. */
export interface ClientOptions extends Omit<types.ConnectConfig, 'algorithms'> {
  readonly algorithms?: Omit<types.Algorithms, 'serverHostKey'> & { readonly serverHostKey?: readonly string[] };
  /** Shown in place of the public key of `privateKey`, as SSH writes it. */
  readonly certificate?: Buffer;
  readonly rekey?: RekeyBounds;
}

/** A connection to a host. */
export type Client = Omit<types.Client, 'connect'> & { connect(options: ClientOptions): void };

/** Makes one that is not connected. */
export const Client: new () => Client = ssh2.Client as unknown as new () => Client;

export type { Connection } from 'ssh2';

/** A client's connection to this server. */
export interface ServerConnection extends types.Connection {
  /** The program and version that the client calls itself. */
  readonly ident: string;
  /** Shows text to the user while the login is not over. @returns false when it is too late, or too early, for that */
  banner(text: string): boolean;
}

/** Opens a channel that a client has asked for. When the client is gone by then, what is returned closes at once. */
export type AcceptChannel<Channel> = () => Channel;

/** Refuses a channel, with a reason code of RFC 4254 section 5.1 and a text for people. */
export type RejectChannel = (reason?: number, description?: string) => void;

/** Reads a key in any of the formats of OpenSSH and PEM; an Error tells what is wrong with it. */
export const parseKey = ssh2.utils.parseKey;

/** What OpenSSL does in one call a packet; everything else takes twice the time or more. */
const fastCiphers = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const;

/**
 * What is offered and accepted on both sides, best first. Nothing that rests on SHA-1, no CBC, and no compression: it
 * costs memory before a login and tells lengths apart.
 */
export const algorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group14-sha256',
  ],
  cipher: [...fastCiphers, 'aes128-ctr', 'aes256-ctr', 'chacha20-poly1305@openssh.com'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
} satisfies types.Algorithms;

/**
 * The client's order decides, and OpenSSH's puts GCM last: it is offered nothing else. Every version since 6.2 has it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4253#section-7.1
 */
export function ciphersFor(software: string): string[] | undefined {
  return /^OpenSSH_([7-9]|\d\d)/.test(software) ? [...fastCiphers] : undefined;
}

/**
 * The gateway's own way into a host: TCP, a key exchange with a host that proves who it is, the login. The credentials
 * are the gateway's and never reach a client.
 */
import { asGatewayError, GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { parseCertificate } from './certificate.ts';
import { type HostIdentity, type HostKeyCheck, hostKeyCheck } from './host-key.ts';
import { algorithms, Client, type ClientOptions, parseKey } from './ssh2.ts';
import type { SshLogin } from './target.ts';

/** Where a host is, who it is, and how to log in. */
export interface SshUpstreamOptions extends HostIdentity {
  readonly port: number;
  readonly credentials: SshLogin;
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'sshConnectTimeoutMs' | 'sshKeepaliveIntervalMs' | 'sshKeepaliveUnansweredMax'>;
}

/** A connection that is logged in. */
export interface SshLink {
  readonly client: Client;
  /** Settles when the connection is gone, for whatever reason. Never rejects. */
  readonly closed: Promise<void>;
  /** Says goodbye and closes. What runs at the host over this connection is hung up. */
  end(): void;
}

/**
 * Connects and logs in.
 * @throws GatewayError `upstream_unavailable` when the host cannot be reached, is not the one that is configured, refuses
 * the login, or takes longer than `sshConnectTimeoutMs`. Its message says which, and names no credential.
 */
export async function connectUpstream(options: SshUpstreamOptions): Promise<SshLink> {
  const { host, port, limits } = options;
  const check = configured(
    () => hostKeyCheck(options, options.clock),
    'The host’s identity is not configured properly.',
  );
  const login = configured(() => loginOptions(options), 'The gateway’s credential for the host cannot be used.');
  const client = new Client();
  const verdict: Verdict = { refused: undefined };
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  const ready = new Promise<void>((resolve, reject) => {
    client.once('ready', resolve);
    // Also after the login: an error without a listener would end the process. What it means is told by `closed`.
    client.on('error', (error) => reject(explain(error, verdict)));
    void closed.then(() => reject(unavailable('The host closed the connection during the login.')));
  });
  try {
    client.connect({
      ...login,
      ...{ host, port, readyTimeout: limits.sshConnectTimeoutMs },
      keepaliveInterval: limits.sshKeepaliveIntervalMs,
      keepaliveCountMax: limits.sshKeepaliveUnansweredMax,
      algorithms: { ...algorithms, serverHostKey: check.algorithms },
      hostVerifier: verifier(check, verdict),
      ident: 'sallyport',
    });
    await ready;
  } catch (thrown) {
    client.destroy();
    throw asGatewayError(thrown, 'upstream_unavailable', 'The host could not be reached.');
  }
  return { client, closed, end: () => void client.end() };
}

/** Why the host's key was refused, once it was: the error of the key exchange does not tell. */
interface Verdict {
  refused: string | undefined;
}

function verifier(check: HostKeyCheck, verdict: Verdict): (shown: Buffer) => boolean {
  return (shown) => {
    verdict.refused = check.refuse(shown);
    return verdict.refused === undefined;
  };
}

/** One method, once: whatever else the host offers is not tried. */
function loginOptions({ credentials, clock }: SshUpstreamOptions): ClientOptions {
  const { user: username } = credentials;
  if ('password' in credentials) return { username, password: credentials.password, authHandler: ['password'] };
  const parsed = parseKey(credentials.key);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error || !key.isPrivateKey()) throw new Error('not a private key');
  const login = { username, privateKey: credentials.key, authHandler: ['publickey' as const] };
  if (credentials.certificate === undefined) return login;
  const certificate = readCertificate(credentials.certificate, key.getPublicSSH(), clock);
  return { ...login, certificate };
}

/** A certificate that the host could not accept is found here, where it can be told why. */
function readCertificate(line: string, publicKey: Buffer, clock: Clock): Buffer {
  const [, base64 = ''] = line.trim().split(/\s+/, 2);
  const blob = Buffer.from(base64, 'base64');
  const read = parseCertificate(blob);
  if ('fault' in read) throw new Error(read.fault.message);
  const { certificate } = read;
  if (certificate.type !== 'user') throw new Error('not a user certificate');
  if (!certificate.publicKey.blob.equals(publicKey)) throw new Error('a certificate for another key');
  if (BigInt(Math.floor(clock.nowMs() / 1000)) >= certificate.validBefore) {
    throw unavailable('The gateway’s certificate for the host has expired.');
  }
  return blob;
}

/** What a library throws about configuration may quote it, so that only the cause keeps it. */
function configured<Value>(make: () => Value, message: string): Value {
  try {
    return make();
  } catch (cause) {
    throw cause instanceof GatewayError ? cause : unavailable(message, cause);
  }
}

function explain(error: Error & { readonly level?: string }, { refused }: Verdict): GatewayError {
  if (refused !== undefined) return unavailable(refused, error);
  switch (error.level) {
    case 'client-socket':
    case 'client-dns':
      return unavailable('The host could not be reached.', error);
    case 'client-timeout':
      return unavailable('The host took too long to connect.', error);
    case 'client-authentication':
      return unavailable('The host refused the gateway’s login.', error);
    default:
      return unavailable('The host does not speak SSH in a way that the gateway accepts.', error);
  }
}

function unavailable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('upstream_unavailable', message, cause === undefined ? {} : { cause });
}

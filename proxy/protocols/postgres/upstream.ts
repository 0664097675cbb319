/**
 * The gateway's own way into an upstream: TCP or a Unix socket, TLS with a verified name, the login.
 * The credentials are the gateway's and never reach a client.
 */
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { asGatewayError, GatewayError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { ByteSource } from './byte-source.ts';
import { startup } from './codec.ts';
import { type AuthenticationMethod, login } from './upstream-login.ts';

export { type BoundQuery, UpstreamSession } from './upstream-session.ts';
export type { AuthenticationMethod };

/** How to speak TLS to an upstream. */
export type UpstreamTls =
  /** Only over a Unix socket or to this machine's loopback. */
  | { readonly mode: 'disable' }
  | {
      readonly mode: 'verify-full';
      /** PEM of the CA that must have signed; undefined: the system's. */
      readonly ca?: string | undefined;
      /** PEM of a client certificate and its key. */
      readonly certificate?: string | undefined;
      readonly key?: string | undefined;
      /** The name that the certificate must be for, when it is not `host`. */
      readonly serverName?: string | undefined;
    };

/** Where an upstream is and how to log in. */
export interface UpstreamOptions {
  /** A name, an address, or the absolute path of the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly tls: UpstreamTls;
  readonly user: string;
  readonly password?: string | undefined;
  /** What the server may ask for. Default: SCRAM-SHA-256, and the password itself inside TLS. MD5 must be asked for. */
  readonly methods?: readonly AuthenticationMethod[] | undefined;
  readonly database: string;
  /** Settings for the startup packet. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly connectTimeoutMs?: number | undefined;
}

/** A connection that is logged in and ready for a query. */
export interface UpstreamLink {
  /** Paused; what came behind ReadyForQuery is unread in it. Its errors are its owner's to listen to. */
  readonly socket: Socket;
  /** What the server reported with ParameterStatus. */
  readonly parameters: ReadonlyMap<string, string>;
  /** For {@link sendCancel}. Never shown to a client. */
  readonly key: UpstreamKey;
  /** `server_version` as reported: `18.4`, `17.2 (Debian …)`. Empty when it was not. */
  readonly serverVersion: string;
}

/** What cancels a connection, as its server gave it. */
export interface UpstreamKey {
  readonly pid: number;
  readonly secret: Buffer;
}

/**
 * Connects and logs in.
 * @throws GatewayError `upstream_unavailable` when it cannot be reached, verified or logged in to, or takes longer than
 * `connectTimeoutMs`; `upstream_unknown` when it has no such database. Neither names a credential.
 */
export async function connectUpstream(options: UpstreamOptions): Promise<UpstreamLink> {
  const opening = new Opening(options.connectTimeoutMs ?? limits.postgresConnectTimeoutMs);
  try {
    const socket = await openSocket(options, opening);
    const result = await login(socket, options);
    opening.finish();
    return result;
  } catch (thrown) {
    throw opening.fail(thrown);
  }
}

/**
 * Asks the server to cancel what runs on the connection with `key`. Settles when the server has closed the request's
 * connection, which is when the signal was sent, or when it cannot be done in time. Never rejects.
 */
export async function sendCancel(options: UpstreamOptions, key: UpstreamKey): Promise<void> {
  const opening = new Opening(limits.postgresCancelTimeoutMs);
  try {
    const socket = await openSocket(options, opening);
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.resume();
    socket.write(startup.cancelRequest(key.pid, key.secret));
    await closed;
    opening.finish();
  } catch (thrown) {
    opening.fail(thrown);
  }
}

/** A connection on its way, with one deadline over all steps. */
class Opening {
  socket: Socket | undefined;
  readonly #timer: NodeJS.Timeout;
  #expired = false;

  constructor(timeoutMs: number) {
    this.#timer = setTimeout(() => {
      this.#expired = true;
      this.socket?.destroy(new Error('it took too long'));
    }, timeoutMs);
  }

  finish(): void {
    clearTimeout(this.#timer);
  }

  /** Closes what is open and says what went wrong. */
  fail(thrown: unknown): GatewayError {
    this.finish();
    this.socket?.destroy();
    if (this.#expired) return new GatewayError('upstream_unavailable', 'The upstream took too long to connect.');
    return asGatewayError(thrown, 'upstream_unavailable', 'The upstream could not be reached.');
  }
}

async function openSocket(options: UpstreamOptions, opening: Opening): Promise<Socket> {
  const { host, port, tls } = options;
  const local = host.startsWith('/');
  const raw = local ? connect({ path: `${host}/.s.PGSQL.${port}` }) : connect({ host, port });
  opening.socket = raw;
  raw.setNoDelay(true);
  await settled(raw, 'connect');
  if (tls.mode === 'verify-full') return startTls(raw, options.host, tls, opening);
  if (!local && !isLoopback(raw.remoteAddress ?? '')) {
    throw new GatewayError('upstream_unavailable', 'An upstream that is not on this machine must use TLS.');
  }
  return raw;
}

async function startTls(
  raw: Socket,
  host: string,
  tls: Extract<UpstreamTls, { mode: 'verify-full' }>,
  opening: Opening,
): Promise<TLSSocket> {
  const source = new ByteSource(raw);
  raw.write(startup.sslRequest());
  const answer = await source.read(1);
  source.release();
  if (answer === undefined) throw new GatewayError('upstream_unavailable', 'The upstream closed the connection.');
  if (answer.toString('latin1') !== 'S') {
    throw new GatewayError('upstream_unavailable', 'The upstream does not offer TLS.');
  }
  // What came before encryption must not be taken for what was sent inside it (CVE-2021-23222).
  if (raw.readableLength > 0) throw new GatewayError('upstream_unavailable', 'The upstream spoke before TLS began.');
  const name = tls.serverName ?? host;
  const socket = connectTls({
    socket: raw,
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ALPNProtocols: ['postgresql'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  });
  opening.socket = socket;
  try {
    await settled(socket, 'secureConnect');
  } catch (cause) {
    throw new GatewayError(
      'upstream_unavailable',
      'TLS with the upstream failed: its certificate could not be verified.',
      {
        cause,
      },
    );
  }
  return socket;
}

/** Waits for `event`. @throws what the socket fails with before it. */
function settled(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  // From now on, until whoever gets the socket adds listeners: an error must not end the process.
  socket.on('error', () => {});
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed')));
  });
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);
}

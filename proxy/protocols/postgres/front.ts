/**
 * The client's side of a login: the packets before TLS, TLS itself, the startup packet, the token. Everything that a
 * client can get wrong here is a value, not an exception; nothing it sends is believed before its token was verified.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
import type { Duplex } from 'node:stream';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Limits } from '../../core/limits.ts';
import type { Connection } from '../../core/ports.ts';
import type { Fault, Refusal } from '../../core/types.ts';
import { ByteSource } from './byte-source.ts';
import { backend, frontend, frontendTypes, ProtocolFault, startup } from './codec.ts';
import { refusalFields } from './refuse.ts';
import { readStartup, type Startup } from './startup-options.ts';

/** What {@link acceptClient} needs. */
export interface FrontOptions {
  /** The gateway's certificate and key. One context for all connections, so that TLS sessions resume. */
  readonly tls: SecureContext;
  readonly limits: Pick<Limits, 'loginTimeoutMs' | 'tokenBytesMax' | 'postgresStartupBytesMax' | 'postgresLingerMs'>;
}

/** How a login began. Whoever receives it owns the socket, except with `closed`. */
export type FrontOutcome =
  | {
      readonly kind: 'session';
      /** Paused, with no listener of ours but one for errors. What the client sent behind its token is still in it. */
      readonly socket: TLSSocket;
      readonly startup: Startup;
      /** The credential, not verified. Never log it. */
      readonly token: string;
      /** What is left of the time for the whole login. */
      readonly remainingMs: () => number;
      /** Tells the client why there is no session, and closes. */
      readonly fail: (refusal: Refusal) => void;
    }
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: Buffer; readonly socket: Duplex }
  /** The client broke a rule: audit `fault`, then `fail` with the refusal, which answers and closes. */
  | { readonly kind: 'refused'; readonly fault: Fault; readonly fail: (refusal: Refusal) => void }
  /** The client went away, or TLS failed. Nothing is left to answer; `fault` is set when it is worth an audit. */
  | { readonly kind: 'closed'; readonly fault?: Fault };

/** Takes an accepted socket that nobody has read from. Never rejects, and settles within `loginTimeoutMs`. */
export function acceptClient(socket: Connection['socket'], options: FrontOptions): Promise<FrontOutcome> {
  return new Login(socket, options).run();
}

/** A rule broken: what to audit, and the SQLSTATE to tell it with. */
class Broken {
  readonly fault: Fault;
  readonly sqlstate: string;

  constructor(code: Fault['code'], sqlstate: string, message: string) {
    this.fault = { code, message };
    this.sqlstate = sqlstate;
  }
}

/** The client is gone. */
class Gone {
  readonly fault: Fault | undefined;

  constructor(fault?: Fault) {
    this.fault = fault;
  }
}

type StartupPacket = Extract<startup.FirstPacket, { kind: 'startup' }>;
type CancelPacket = Extract<startup.FirstPacket, { kind: 'cancel' }>;

/** The state of one login. */
class Login {
  readonly #options: FrontOptions;
  readonly #startedMs = performance.now();
  /** The raw socket, then the TLS socket over it. */
  #socket: Duplex;
  #source: ByteSource;
  #expired = false;

  constructor(socket: Connection['socket'], options: FrontOptions) {
    this.#options = options;
    this.#socket = socket;
    socket.setNoDelay?.(true);
    // An error is followed by `close`, which ends the reads; without a listener it would end the process.
    socket.on('error', () => {});
    this.#source = new ByteSource(socket);
  }

  async run(): Promise<FrontOutcome> {
    const timer = setTimeout(() => {
      this.#expired = true;
      this.#source.cancel();
      // In a handshake there are no words to say it in.
      if (this.#socket instanceof TLSSocket && this.#socket.alpnProtocol === null) this.#socket.destroy();
    }, this.#options.limits.loginTimeoutMs);
    try {
      return this.#outcome(await this.#login());
    } catch {
      this.#socket.destroy();
      return { kind: 'closed', fault: { code: 'internal_error', message: 'The login failed inside the gateway.' } };
    } finally {
      clearTimeout(timer);
      this.#source.release();
    }
  }

  #outcome(end: Broken | Gone | CancelPacket | { startup: Startup; token: string }): FrontOutcome {
    const socket = this.#socket;
    if (end instanceof Gone && this.#expired && !socket.destroyed) {
      return this.#outcome(new Broken('limit_reached', '57014', 'The login took too long.'));
    }
    if (end instanceof Gone) {
      socket.destroy();
      return end.fault === undefined ? { kind: 'closed' } : { kind: 'closed', fault: end.fault };
    }
    const { postgresLingerMs, loginTimeoutMs } = this.#options.limits;
    if (end instanceof Broken) {
      const fail = (refusal: Refusal) => refuse(socket, refusal, postgresLingerMs, end.sqlstate);
      return { kind: 'refused', fault: end.fault, fail };
    }
    if ('kind' in end) return { kind: 'cancel', pid: end.pid, secret: end.secret, socket };
    if (!(socket instanceof TLSSocket)) throw new Error('a token was read outside of TLS');
    return {
      kind: 'session',
      socket,
      startup: end.startup,
      token: end.token,
      remainingMs: () => Math.max(0, this.#startedMs + loginTimeoutMs - performance.now()),
      fail: (refusal) => refuse(socket, refusal, postgresLingerMs),
    };
  }

  async #login(): Promise<Broken | Gone | CancelPacket | { startup: Startup; token: string }> {
    const packet = await this.#firstPackets();
    if (packet instanceof Broken || packet instanceof Gone || packet.kind === 'cancel') return packet;
    const checked = this.#checkStartup(packet);
    if (checked instanceof Broken) return checked;
    const token = await this.#askForToken();
    return typeof token === 'string' ? { startup: checked, token } : token;
  }

  /** Up to the packet that is no request for encryption. */
  async #firstPackets(): Promise<Broken | Gone | StartupPacket | CancelPacket> {
    const direct = await this.#directTls();
    if (direct instanceof Broken || direct instanceof Gone) return direct;
    let gssAsked = false;
    for (;;) {
      const packet = await this.#readFirstPacket();
      if (packet instanceof Broken || packet instanceof Gone || packet.kind === 'cancel') return packet;
      const encrypted = this.#socket instanceof TLSSocket;
      if (packet.kind === 'startup') {
        if (encrypted) return packet;
        return new Broken(
          'operation_unsupported',
          '28000',
          'Connections without TLS are refused: use sslmode=verify-full.',
        );
      }
      if (encrypted || (packet.kind === 'gss_request' && gssAsked)) return malformed('encryption was asked for twice');
      // What came behind the request came before encryption, and must not be taken for what was sent inside it.
      if (this.#socket.readableLength > 0) return malformed('bytes follow a request for encryption');
      this.#socket.write(packet.kind === 'ssl_request' ? 'S' : 'N');
      if (packet.kind === 'gss_request') gssAsked = true;
      else if (!(await this.#startTls())) return tlsFailed();
    }
  }

  /** TLS without a request for it is recognised by its first byte, and must name the protocol it is for. */
  async #directTls(): Promise<Broken | Gone | undefined> {
    const first = await this.#source.read(1);
    if (first === undefined) return new Gone();
    this.#socket.unshift(first);
    if (first[0] !== tlsHandshakeByte) return undefined;
    if (!(await this.#startTls())) return tlsFailed();
    const { alpnProtocol } = this.#socket instanceof TLSSocket ? this.#socket : { alpnProtocol: false };
    return alpnProtocol === alpn ? undefined : malformed(`direct TLS requires the ALPN protocol ${alpn}`);
  }

  /** Puts TLS over the socket, which keeps what it holds unread for it. False when the handshake failed. */
  async #startTls(): Promise<boolean> {
    this.#source.release();
    const socket = new TLSSocket(this.#socket, {
      isServer: true,
      secureContext: this.#options.tls,
      ALPNProtocols: [alpn],
    });
    this.#socket = socket;
    socket.disableRenegotiation();
    socket.on('error', () => {});
    // Outside of a tls.Server, which has more to do with them, errors of the TLS layer are told this way alone.
    socket.on('_tlsError', () => socket.destroy());
    const done = await new Promise<boolean>((resolve) => {
      socket.once('secure', () => resolve(true));
      socket.once('close', () => resolve(false));
    });
    this.#source = new ByteSource(socket);
    if (this.#expired) this.#source.cancel();
    return done;
  }

  async #readFirstPacket(): Promise<Broken | Gone | startup.FirstPacket> {
    const header = await this.#source.read(4);
    if (header === undefined) return new Gone();
    const length = header.readInt32BE(0);
    if (length < 8 || length > this.#options.limits.postgresStartupBytesMax) {
      return malformed('the length of the startup packet is invalid');
    }
    const body = await this.#source.read(length - 4);
    if (body === undefined) return new Gone();
    return startup.parseFirstPacket(body) ?? malformed('the startup packet is malformed');
  }

  #checkStartup(packet: StartupPacket): Broken | Startup {
    if (packet.major !== 3) {
      return new Broken(
        'operation_unsupported',
        '0A000',
        `Protocol ${packet.major}.${packet.minor} is not supported: use 3.0.`,
      );
    }
    const checked = readStartup(packet.parameters);
    if ('sqlstate' in checked) return new Broken('operation_unsupported', checked.sqlstate, checked.message);
    const extensions = [...packet.parameters.keys()].filter((name) => name.startsWith('_pq_.'));
    if (packet.minor > 0 || extensions.length > 0) {
      this.#socket.write(backend.negotiateProtocolVersion(startup.protocol30, extensions));
    }
    return checked;
  }

  /** The token comes as a password: every client can send one. */
  async #askForToken(): Promise<Broken | Gone | string> {
    this.#socket.write(backend.authentication(backend.authenticationCodes.cleartext));
    const message = await this.#source.message(this.#options.limits.tokenBytesMax + 6);
    if (message === undefined) return new Gone();
    if (message instanceof ProtocolFault)
      return new Broken(message.code, '08P01', `Reading the token: ${message.message}.`);
    if (message.type !== frontendTypes.password)
      return malformed('a message other than the password came before the login');
    const answer = frontend.parsePassword(message.body);
    if (answer === undefined) return malformed('the password message is malformed');
    if (answer.password !== '') return answer.password;
    return new Broken(
      'credential_missing',
      '28000',
      'The password is empty: send an OIDC access token as the password.',
    );
  }
}

/** What clients name in ALPN. @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL */
const alpn = 'postgresql';
const tlsHandshakeByte = 0x16;

function malformed(message: string): Broken {
  return new Broken('operation_malformed', '08P01', `The login is malformed: ${message}.`);
}

function tlsFailed(): Gone {
  return new Gone({ code: 'operation_malformed', message: 'The TLS handshake failed.' });
}

function refuse(socket: Duplex, refusal: Refusal, lingerMs: number, sqlstate?: string): void {
  const fields = new Map(refusalFields(refusal, 'FATAL'));
  if (sqlstate !== undefined) fields.set('C', sqlstate);
  endWith(socket, backend.errorResponse(fields), lingerMs);
}

/**
 * Sends last words and closes. What the client still sends is read and dropped for at most `lingerMs`: closing over
 * unread bytes would reset the connection and could take the last words with it.
 */
export function endWith(socket: Duplex, words: Buffer, lingerMs: number): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
  socket.on('data', () => {});
  socket.end(words);
  socket.resume();
}

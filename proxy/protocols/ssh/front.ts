/**
 * The client's side of a login: one connection's attempts to say who it is, until one holds. An identity is bound only
 * once its signature or its token was verified, by the attempt that brought it, and by nothing that came before.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4252
 */
import { GatewayError, refusalCodes } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Clock, Connection, Gateway } from '../../core/ports.ts';
import type { Fault, Identity } from '../../core/types.ts';
import { certificateTypeName, parseCertificate } from './certificate.ts';
import { identityFromCertificate } from './identity-certificate.ts';
import type { IssuedKeys } from './issued-keys.ts';
import { verifySignature } from './public-key.ts';
import type { SshServer } from './server.ts';
import type { AuthContext, PublicKeyAuthContext, ServerConnection } from './ssh2.ts';
import { exchangeUser, requestedTarget } from './target.ts';

/** What {@link acceptClient} needs. */
export interface FrontOptions {
  readonly server: SshServer;
  readonly gateway: Pick<Gateway, 'authenticate'>;
  /** The public key that certificates of agents are signed with. */
  readonly authority: Buffer;
  /** Tokens that were exchanged for a certificate: they are no passwords any more. */
  readonly issued: Pick<IssuedKeys, 'isBound'>;
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'loginTimeoutMs' | 'sshLoginAttemptsMax' | 'tokenBytesMax'>;
}

/** How a login ended. */
export type FrontOutcome =
  | {
      readonly kind: 'session';
      /** Logged in just now: whoever takes it must listen before it yields to the event loop. */
      readonly client: ServerConnection;
      readonly user: string;
      readonly identity: Identity;
      /** The token itself where it was one; a certificate otherwise. Never log it. */
      readonly token: string | undefined;
    }
  /** The client went away or was sent away. `fault` says what is worth an audit, the last of its attempts above all. */
  | { readonly kind: 'closed'; readonly fault?: Fault };

/** The only kind of certificate that the gateway issues, and so the only one that it takes. */
const certificateType = certificateTypeName('ssh-ed25519');

const notSsh: Fault = { code: 'operation_malformed', message: 'The client does not speak SSH as the gateway does.' };

/** Takes an accepted socket that nobody has read from. Never rejects, and settles within `loginTimeoutMs`. */
export function acceptClient(connection: Connection, options: FrontOptions): Promise<FrontOutcome> {
  return new Promise((resolve) => new Login(connection, options, resolve));
}

class Login {
  readonly #connection: Connection;
  readonly #options: FrontOptions;
  readonly #settle: (outcome: FrontOutcome) => void;
  readonly #timer: NodeJS.Timeout;
  #attempts = 0;
  #greeted = false;
  #fault: Fault | undefined;
  #settled = false;

  constructor(connection: Connection, options: FrontOptions, resolve: (outcome: FrontOutcome) => void) {
    this.#connection = connection;
    this.#options = options;
    this.#settle = (outcome) => {
      if (this.#settled) return;
      this.#settled = true;
      clearTimeout(this.#timer);
      connection.socket.removeListener('close', this.#closed);
      resolve(outcome);
    };
    this.#timer = setTimeout(() => {
      this.#fault ??= { code: 'limit_reached', message: 'The login took too long.' };
      connection.socket.destroy();
    }, options.limits.loginTimeoutMs);
    connection.socket.on('close', this.#closed);
    options.server.serve(connection.socket, (client) => this.#greet(client));
  }

  readonly #closed = () => {
    const { bytesRead } = this.#connection.socket;
    if (!this.#greeted && bytesRead !== undefined && bytesRead > 0) this.#fault ??= notSsh;
    this.#settle(this.#fault === undefined ? { kind: 'closed' } : { kind: 'closed', fault: this.#fault });
  };

  #greet(client: ServerConnection): void {
    this.#greeted = true;
    // Errors end the connection by themselves; without a listener they would end the process.
    client.on('error', (error: Error & { readonly level?: string }) => {
      if (error.level !== 'socket') this.#fault ??= notSsh;
    });
    client.on('authentication', (attempt) => void this.#attempt(client, attempt));
  }

  async #attempt(client: ServerConnection, attempt: AuthContext): Promise<void> {
    if (attempt.method !== 'none') this.#attempts += 1;
    if (this.#attempts > this.#options.limits.sshLoginAttemptsMax) {
      this.#fault = { code: 'limit_reached', message: 'Too many attempts to log in.' };
      client.end();
      return;
    }
    try {
      const held = await this.#judge(attempt);
      if (this.#settled) return;
      if (held === undefined) {
        attempt.reject(['publickey', 'password']);
        return;
      }
      if (held === 'offered') {
        // Without a signature this only says that the key would do.
        attempt.accept();
        return;
      }
      client.once('ready', () => this.#settle({ kind: 'session', client, user: attempt.username, ...held }));
      attempt.accept();
    } catch (thrown) {
      const fault: Fault =
        thrown instanceof GatewayError ? thrown : { code: 'internal_error', message: 'The login failed.' };
      this.#refuse(client, attempt, fault);
    }
  }

  /** Says why before the failure itself, which has no words. */
  #refuse(client: ServerConnection, attempt: AuthContext, fault: Fault): void {
    this.#fault = { code: fault.code, message: fault.message };
    client.banner(`sallyport: ${fault.message} (${fault.code})\r\n${hintOf(fault.code)}`);
    attempt.reject(['publickey', 'password']);
  }

  /** `offered`: the key would do, once it signs. Undefined: nothing that could hold. @throws GatewayError for what does not. */
  async #judge(
    attempt: AuthContext,
  ): Promise<{ readonly identity: Identity; readonly token: string | undefined } | 'offered' | undefined> {
    if (attempt.method === 'password') return await this.#byToken(attempt.password, attempt.username);
    if (attempt.method !== 'publickey' || attempt.key.algo !== certificateType) return undefined;
    if (attempt.username === exchangeUser) return undefined;
    return this.#byCertificate(attempt);
  }

  async #byToken(token: string, user: string): Promise<{ readonly identity: Identity; readonly token: string }> {
    if (Buffer.byteLength(token) > this.#options.limits.tokenBytesMax) {
      throw new GatewayError('credential_invalid', 'The token is too large.');
    }
    const identity = await this.#options.gateway.authenticate({ kind: 'bearer', secret: token });
    // Bound to a key, so that whoever finds the token can do nothing with it.
    if (user !== exchangeUser && this.#options.issued.isBound(token)) {
      throw new GatewayError('credential_invalid', 'The token was exchanged for a certificate: log in with that.');
    }
    return { identity, token };
  }

  #byCertificate(attempt: PublicKeyAuthContext) {
    const { key, signature, blob, username } = attempt;
    const read = parseCertificate(key.data);
    if ('fault' in read) throw fault(read.fault);
    const { upstream } = requestedTarget(username, this.#connection.upstream);
    const held = identityFromCertificate(read.certificate, {
      authority: this.#options.authority,
      principal: upstream,
      nowMs: this.#options.clock.nowMs(),
    });
    if ('fault' in held) throw fault(held.fault);
    if (signature === undefined) return 'offered';
    if (blob === undefined || !verifySignature(read.certificate.publicKey, key.algo, blob, signature)) {
      throw new GatewayError('credential_invalid', 'The signature does not verify.');
    }
    return { identity: held.identity, token: undefined };
  }
}

function fault({ code, message }: Fault): GatewayError {
  return new GatewayError(code === 'credential_expired' ? code : 'credential_invalid', message);
}

function hintOf(code: string): string {
  const hint = Object.hasOwn(refusalCodes, code) ? refusalCodes[code as keyof typeof refusalCodes] : undefined;
  return hint === undefined ? '' : `sallyport: ${hint}\r\n`;
}

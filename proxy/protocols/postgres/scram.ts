/**
 * The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, as PostgreSQL speaks it.
 * @see https://datatracker.ietf.org/doc/html/rfc5802
 * @see https://datatracker.ietf.org/doc/html/rfc7677
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';

/** What a {@link ScramExchange} is made from. */
export interface ScramOptions {
  readonly password: string;
  /** What the server offers. */
  readonly mechanisms: readonly string[];
  /** The data of `tls-server-end-point` (see {@link serverEndPoint}), or `undefined` when the channel cannot be bound. */
  readonly channelBinding: Buffer | undefined;
  /** Fewer rounds make the exchange cheap to crack, more make us work for the server. */
  readonly iterationsMin: number;
  readonly iterationsMax: number;
  /** For tests: a fixed client nonce, printable and without commas. */
  readonly nonce?: string;
}

/** Raised when the server does not play by the rules, or is not the one that knows the password. Names no secret. */
export class ScramError extends Error {
  override readonly name = 'ScramError';
}

/** One exchange: send `first` with `mechanism`, then `respond`, then `verify`. @throws ScramError in each step. */
export class ScramExchange {
  readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS';
  /** client-first-message. */
  readonly first: Buffer;
  readonly #options: ScramOptions;
  readonly #nonce: string;
  readonly #header: string;
  #serverSignature: Buffer | undefined;

  constructor(options: ScramOptions) {
    const { mechanisms, channelBinding } = options;
    const bound = channelBinding !== undefined && mechanisms.includes(plus);
    if (!bound && !mechanisms.includes(plain)) throw new ScramError('the server offers no mechanism we know');
    this.#options = options;
    this.mechanism = bound ? plus : plain;
    // `y` tells a server that could have bound the channel that somebody took its offer away.
    this.#header = bound ? 'p=tls-server-end-point,,' : channelBinding === undefined ? 'n,,' : 'y,,';
    this.#nonce = options.nonce ?? randomBytes(18).toString('base64');
    this.first = Buffer.from(`${this.#header}${this.#clientFirstBare}`);
  }

  /** PostgreSQL takes the user from the startup packet and ignores this one. */
  get #clientFirstBare(): string {
    return `n=,r=${this.#nonce}`;
  }

  /** Takes server-first-message, returns client-final-message. */
  async respond(serverFirst: Buffer): Promise<Buffer> {
    const text = serverFirst.toString('latin1');
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})$/.exec(text);
    const [, nonce = '', salt = '', rounds = ''] = match ?? [];
    if (match === null) throw new ScramError('the first message of the server is malformed');
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new ScramError('the nonce of the server does not extend ours');
    }
    const iterations = Number(rounds);
    const { iterationsMin, iterationsMax, channelBinding } = this.#options;
    if (iterations < iterationsMin || iterations > iterationsMax) {
      throw new ScramError(`the server asks for ${iterations} iterations, outside of the bounds`);
    }
    const binding = this.mechanism === plus ? (channelBinding ?? empty) : empty;
    const bindingText = Buffer.concat([Buffer.from(this.#header), binding]).toString('base64');
    const withoutProof = `c=${bindingText},r=${nonce}`;
    const authMessage = `${this.#clientFirstBare},${text},${withoutProof}`;

    const prepared = saslPrep(this.#options.password);
    const salted = await derive(prepared, Buffer.from(salt, 'base64'), iterations, 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash('sha256').update(clientKey).digest();
    const proof = hmac(storedKey, authMessage);
    for (let at = 0; at < proof.length; at++) proof[at] = (proof[at] ?? 0) ^ (clientKey[at] ?? 0);
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage);
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }

  /** Takes server-final-message: only a server that knows the password's verifier can have written it. */
  verify(serverFinal: Buffer): void {
    const match = /^v=([A-Za-z0-9+/=]+)$/.exec(serverFinal.toString('latin1'));
    const signature = Buffer.from(match?.[1] ?? '', 'base64');
    const expected = this.#serverSignature;
    if (expected === undefined || signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
      throw new ScramError('the signature of the server is wrong');
    }
  }
}

const plain = 'SCRAM-SHA-256';
const plus = 'SCRAM-SHA-256-PLUS';
const empty = Buffer.alloc(0);
const derive = promisify(pbkdf2);

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** The hash a certificate's signature algorithm uses; MD5 and SHA-1 are replaced by SHA-256. */
const endPointHashes: ReadonlyMap<string, string> = new Map([
  ['1.2.840.113549.1.1.4', 'sha256'],
  ['1.2.840.113549.1.1.5', 'sha256'],
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.2.840.10045.4.1', 'sha256'],
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
]);

/**
 * The `tls-server-end-point` data of a server's certificate (DER), or `undefined` when its signature algorithm has no
 * single hash (RSA-PSS, EdDSA): the channel is then not bound.
 * @see https://datatracker.ietf.org/doc/html/rfc5929#section-4.1
 */
export function serverEndPoint(certificate: Buffer): Buffer | undefined {
  const algorithm = new X509Certificate(certificate).signatureAlgorithmOid;
  const hash = algorithm === undefined ? undefined : endPointHashes.get(algorithm);
  return hash === undefined ? undefined : createHash(hash).update(certificate).digest();
}

/**
 * SASLprep for passwords: spaces become spaces, what maps to nothing is dropped, then NFKC. A password with control
 * characters is taken as it is, as PostgreSQL does with what SASLprep prohibits; unassigned and bidirectional
 * characters are not checked.
 * @see https://datatracker.ietf.org/doc/html/rfc4013
 */
function saslPrep(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password) || /\p{Cc}/u.test(password)) return password;
  return password
    .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replaceAll(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .normalize('NFKC');
}

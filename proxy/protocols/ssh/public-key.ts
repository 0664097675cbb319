/**
 * Public keys and signatures as SSH writes them. Three kinds of key are known, and a certificate is none of them: where
 * a key belongs, above all the key of an authority, a certificate is refused like any other unknown type.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8709 https://www.rfc-editor.org/rfc/rfc5656 https://www.rfc-editor.org/rfc/rfc8332
 */
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { limits } from '../../core/limits.ts';
import { WireReader } from './wire.ts';

/** The types of keys that are accepted. `ssh-rsa` is the name of the key; signatures with SHA-1 of that name are not. */
export type KeyType = 'ssh-ed25519' | 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521' | 'ssh-rsa';

/** A public key that was read completely. */
export interface PublicKey {
  readonly type: KeyType;
  /** The key as SSH writes it: two keys are the same when these bytes are. */
  readonly blob: Buffer;
  readonly key: KeyObject;
}

const curves = {
  'ecdsa-sha2-nistp256': { name: 'nistp256', jwk: 'P-256', bytes: 32, digest: 'sha256' },
  'ecdsa-sha2-nistp384': { name: 'nistp384', jwk: 'P-384', bytes: 48, digest: 'sha384' },
  'ecdsa-sha2-nistp521': { name: 'nistp521', jwk: 'P-521', bytes: 66, digest: 'sha512' },
} as const;

/** How many strings a key of each type consists of, after its type. */
export const keyFields: Readonly<Record<KeyType, number>> = {
  'ssh-ed25519': 1,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'ssh-rsa': 2,
};

/** Which kinds of key make a signature of an algorithm. What is not here is refused. */
const signedBy: Readonly<Record<string, KeyType>> = {
  'ssh-ed25519': 'ssh-ed25519',
  'ecdsa-sha2-nistp256': 'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384': 'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521': 'ecdsa-sha2-nistp521',
  'rsa-sha2-256': 'ssh-rsa',
  'rsa-sha2-512': 'ssh-rsa',
};

/** Whether a name is that of a {@link KeyType}. */
export function isKeyType(name: string): name is KeyType {
  return Object.hasOwn(keyFields, name);
}

/** A key from its bytes; `undefined` for any other type, a weak RSA key, a point off the curve, bytes before or after. */
export function parsePublicKey(blob: Buffer): PublicKey | undefined {
  const reader = new WireReader(blob);
  const type = reader.text();
  if (!isKeyType(type)) return undefined;
  const jwk = readers[type](reader);
  if (jwk === undefined || !reader.done) return undefined;
  try {
    return { type, blob: Buffer.from(blob), key: createPublicKey({ key: jwk, format: 'jwk' }) };
  } catch {
    return undefined; // OpenSSL says that it is none: a point that is not on its curve, for example
  }
}

type Jwk = Record<string, string>;

const readers: Readonly<Record<KeyType, (reader: WireReader) => Jwk | undefined>> = {
  'ssh-ed25519': (reader) => {
    const key = reader.string();
    return key.length === 32 ? { kty: 'OKP', crv: 'Ed25519', x: key.toString('base64url') } : undefined;
  },
  'ecdsa-sha2-nistp256': (reader) => ecdsa(reader, 'ecdsa-sha2-nistp256'),
  'ecdsa-sha2-nistp384': (reader) => ecdsa(reader, 'ecdsa-sha2-nistp384'),
  'ecdsa-sha2-nistp521': (reader) => ecdsa(reader, 'ecdsa-sha2-nistp521'),
  'ssh-rsa': rsa,
};

/** Only the uncompressed form of a point, as RFC 5656 has it. */
function ecdsa(reader: WireReader, type: keyof typeof curves): Jwk | undefined {
  const { name, jwk, bytes } = curves[type];
  const curve = reader.text();
  const point = reader.string();
  if (curve !== name || point.length !== 1 + 2 * bytes || point[0] !== 4) return undefined;
  const coordinate = (from: number) => point.toString('base64url', from, from + bytes);
  return { kty: 'EC', crv: jwk, x: coordinate(1), y: coordinate(1 + bytes) };
}

/** The size is bounded on both sides: small ones are weak, and large ones (or large exponents) cost the verifier. */
function rsa(reader: WireReader): Jwk | undefined {
  const exponent = reader.mpint();
  const modulus = reader.mpint();
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < limits.sshRsaBitsMin || bits > limits.sshRsaBitsMax || ((modulus.at(-1) ?? 0) & 1) === 0) return undefined;
  const e = exponent.length < 1 || exponent.length > 4 ? 0 : exponent.readUIntBE(0, exponent.length);
  if (e < 3 || e % 2 === 0) return undefined;
  return { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') };
}

/**
 * A line as in `authorized_keys` without options: type, base64, and a comment that is not looked at.
 *
 * @returns `undefined` when the line is longer than `limits.sshPublicKeyLineBytesMax` or not such a line.
 */
export function parsePublicKeyLine(line: string): PublicKey | undefined {
  if (line.length > limits.sshPublicKeyLineBytesMax) return undefined;
  const text = line.trim();
  if (/[\0\r\n]/.test(text)) return undefined; // a second line, above all
  const [type, base64 = ''] = text.split(/[ \t]+/, 2);
  const blob = Buffer.from(base64, 'base64');
  if (blob.toString('base64') !== base64) return undefined;
  const key = parsePublicKey(blob);
  return key?.type === type ? key : undefined;
}

/** Type, base64 and comment, as `ssh-keygen` writes a public key or a certificate. No line feed. */
export function publicKeyLine(type: string, blob: Buffer, comment = ''): string {
  return `${type} ${blob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`;
}

/** The fingerprint that OpenSSH shows: `SHA256:` and base64 without padding. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${hash('sha256', blob, 'base64').replace(/=+$/, '')}`;
}

/**
 * Verifies a signature, `string algorithm, string signature`, by a key.
 *
 * @param algorithm - that the signature must be of, as the request named it. That of a certificate
 *   (`rsa-sha2-256-cert-v01@openssh.com`) stands for the one its key signs with. SHA-1 (`ssh-rsa`) is not known.
 * @returns false for whatever is not exactly such a signature of these bytes.
 */
export function verifySignature(key: PublicKey, algorithm: string, data: Uint8Array, signature: Buffer): boolean {
  const plain = algorithm.endsWith(certificateSuffix) ? algorithm.slice(0, -certificateSuffix.length) : algorithm;
  const reader = new WireReader(signature);
  const named = reader.text();
  const value = reader.string();
  const type = Object.hasOwn(signedBy, plain) ? signedBy[plain] : undefined;
  if (!reader.done || named !== plain || type !== key.type) return false;
  try {
    switch (type) {
      case 'ssh-ed25519':
        return value.length === 64 && verify(null, data, key.key, value);
      case 'ssh-rsa':
        return verify(plain === 'rsa-sha2-256' ? 'sha256' : 'sha512', data, key.key, padded(value, key.key));
      default:
        return verifyEcdsa(key, type, data, value);
    }
  } catch {
    return false; // a number that OpenSSL does not take for one of this key's
  }
}

/** How the names of algorithms and types of certificates end. */
export const certificateSuffix = '-cert-v01@openssh.com';

/** Some clients leave leading zeros out; the number is the same. */
function padded(value: Buffer, key: KeyObject): Buffer {
  const bytes = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
  return value.length >= bytes ? value : Buffer.concat([Buffer.alloc(bytes - value.length), value]);
}

/** `mpint r, mpint s` (RFC 5656 section 3.1.2). */
function verifyEcdsa(key: PublicKey, type: keyof typeof curves, data: Uint8Array, value: Buffer): boolean {
  const { bytes, digest } = curves[type];
  const reader = new WireReader(value);
  const [r, s] = [reader.mpint(), reader.mpint()];
  if (!reader.done || r.length > bytes || s.length > bytes) return false;
  const fixed = Buffer.alloc(2 * bytes);
  r.copy(fixed, bytes - r.length);
  s.copy(fixed, 2 * bytes - s.length);
  return verify(digest, data, { key: key.key, dsaEncoding: 'ieee-p1363' }, fixed);
}

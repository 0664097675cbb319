import { type KeyObject, sign } from 'node:crypto';
import { limits } from '../../core/limits.ts';
import { type CertificateType, certificateTypeName, parseCertificate } from './certificate.ts';
import { publicKeyOf } from './private-key.ts';
import type { PublicKey } from './public-key.ts';
import { WireReader, wireString, wireUint32, wireUint64 } from './wire.ts';

/** What a new certificate says. */
export interface CertificateContents {
  readonly type: CertificateType;
  /** The key it certifies: its holder has proven nothing yet, and does so at each login. */
  readonly publicKey: PublicKey;
  readonly serial: bigint;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds since the epoch: valid from the first on, and before the second. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly criticalOptions: ReadonlyMap<string, Uint8Array>;
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  /** 32 random bytes, so that nobody can choose all of what the authority signs. */
  readonly nonce: Uint8Array;
}

/**
 * Signs a certificate.
 *
 * @param authority - an Ed25519 private key.
 * @returns the certificate, or `undefined` when it would not be one that {@link parseCertificate} reads: too large, a
 *   comma in a principal, a control character in a name.
 */
export function signCertificate(authority: KeyObject, contents: CertificateContents): Buffer | undefined {
  const { type, publicKey, serial, keyId, principals, validAfter, validBefore, criticalOptions, extensions } = contents;
  const fields = new WireReader(publicKey.blob);
  fields.string(); // its type, which becomes that of a certificate
  const signed = Buffer.concat([
    wireString(certificateTypeName(publicKey.type)),
    wireString(contents.nonce),
    publicKey.blob.subarray(fields.position),
    wireUint64(serial),
    wireUint32(type === 'user' ? 1 : 2),
    wireString(keyId),
    wireString(Buffer.concat(principals.map(wireString))),
    wireUint64(validAfter),
    wireUint64(validBefore),
    wireString(options(criticalOptions)),
    wireString(options(extensions)),
    wireString(''), // reserved
    wireString(publicKeyOf(authority).blob),
  ]);
  if (signed.length > limits.sshCertificateBytesMax) return undefined;
  const signature = Buffer.concat([wireString('ssh-ed25519'), wireString(sign(null, signed, authority))]);
  const blob = Buffer.concat([signed, wireString(signature)]);
  return 'certificate' in parseCertificate(blob) ? blob : undefined;
}

/** Pairs of name and data, ordered by the bytes of the names. */
function options(entries: ReadonlyMap<string, Uint8Array>): Buffer {
  const named = [...entries].map(([name, data]) => ({ name: Buffer.from(name, 'utf8'), data }));
  named.sort((a, b) => Buffer.compare(a.name, b.name));
  return Buffer.concat(named.flatMap(({ name, data }) => [wireString(name), wireString(data)]));
}

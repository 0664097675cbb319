/**
 * OpenSSH certificates, read strictly: what OpenSSH would ignore (a reserved field, an unknown type) is refused here,
 * and so is whatever one reader could take for something else than another.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-sshm-cert/
 */
import { limits } from '../../core/limits.ts';
import type { Fault } from '../../core/types.ts';
import {
  certificateSuffix,
  isKeyType,
  type KeyType,
  keyFields,
  type PublicKey,
  parsePublicKey,
  verifySignature,
} from './public-key.ts';
import { WireReader, wireString } from './wire.ts';

/** Whom a certificate speaks of. */
export type CertificateType = 'user' | 'host';

/** A certificate that was read completely. Nothing in it is to be believed before {@link verifyCertificate}. */
export interface Certificate {
  readonly type: CertificateType;
  /** The key it certifies. */
  readonly publicKey: PublicKey;
  readonly serial: bigint;
  /** What its authority calls it, for logs; never compared. */
  readonly keyId: string;
  /** Each as its authority wrote it. Compare with one at a time; joining them would let a comma make two of one. */
  readonly principals: readonly string[];
  /** Seconds since the epoch: valid from the first on, and before the second. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** Name → data, in the order of the names. */
  readonly criticalOptions: ReadonlyMap<string, Buffer>;
  readonly extensions: ReadonlyMap<string, Buffer>;
  /** The key of whoever signed it: never a certificate itself. */
  readonly authority: PublicKey;
  readonly signature: Buffer;
  /** The bytes that are signed. */
  readonly signed: Buffer;
}

/** Not exported: a verified certificate can be made nowhere else. */
const verified = Symbol('verified');

/** A certificate that {@link verifyCertificate} found to hold. */
export interface VerifiedCertificate extends Certificate {
  readonly [verified]: true;
}

/** What a certificate must say to be accepted. */
export interface CertificateExpectation {
  readonly type: CertificateType;
  /** Keys of the authorities, as SSH writes them. */
  readonly authorities: readonly Buffer[];
  readonly nowMs: number;
  /** One of its principals, letter by letter: there are no patterns, and none at all is none that matches. */
  readonly principal: string;
  /** Critical options that the caller enforces. With any other the certificate is refused. */
  readonly knownCriticalOptions: readonly string[];
}

const types: ReadonlyMap<number, CertificateType> = new Map([
  [1, 'user'],
  [2, 'host'],
]);

/** How a key of a type is called once it is certified: `ssh-ed25519-cert-v01@openssh.com`. */
export function certificateTypeName(type: KeyType): string {
  return `${type}${certificateSuffix}`;
}

/**
 * Reads a certificate of up to `limits.sshCertificateBytesMax`.
 *
 * @returns a `credential_invalid` fault for anything else than exactly one well-formed certificate.
 */
export function parseCertificate(blob: Buffer): { readonly certificate: Certificate } | { readonly fault: Fault } {
  if (blob.length > limits.sshCertificateBytesMax) return { fault: invalid('The certificate is too large.') };
  const bytes = Buffer.from(blob); // what is verified must not change under whoever holds the packet's buffer
  const reader = new WireReader(bytes);
  const name = reader.text();
  const keyType = name.endsWith(certificateSuffix) ? name.slice(0, -certificateSuffix.length) : '';
  if (!isKeyType(keyType)) return { fault: invalid('The certificate is of a type that is not accepted.') };

  reader.string(); // the nonce: the signature covers it, and it says nothing
  const from = reader.position;
  for (let field = 0; field < keyFields[keyType]; field++) reader.string();
  const publicKey = parsePublicKey(Buffer.concat([wireString(keyType), bytes.subarray(from, reader.position)]));
  const serial = reader.uint64();
  const type = types.get(reader.uint32());
  const keyId = reader.text();
  const principals = parsePrincipals(reader.string());
  const validAfter = reader.uint64();
  const validBefore = reader.uint64();
  const criticalOptions = parseOptions(reader.string());
  const extensions = parseOptions(reader.string());
  const reserved = reader.string();
  const authority = parsePublicKey(reader.string());
  const signed = bytes.subarray(0, reader.position);
  const signature = reader.string();

  if (!reader.done || reserved.length > 0 || type === undefined) return { fault: malformed };
  if (publicKey === undefined || authority === undefined) {
    return { fault: invalid('The certificate is for a key, or of an authority, of a kind that is not accepted.') };
  }
  if (principals === undefined) return { fault: invalid('The certificate’s principals are not acceptable.') };
  if (criticalOptions === undefined || extensions === undefined) return { fault: malformed };
  return {
    certificate: {
      ...{ type, publicKey, serial, keyId, principals, validAfter, validBefore, criticalOptions, extensions },
      ...{ authority, signature, signed },
    },
  };
}

/** A comma would let one principal pass for two wherever a list is written as text, as in CVE-2026-35414. */
function parsePrincipals(bytes: Buffer): readonly string[] | undefined {
  const reader = new WireReader(bytes);
  const principals: string[] = [];
  while (reader.more) {
    const principal = reader.text();
    if (principal === '' || principal.includes(',') || principals.length === limits.sshCertificatePrincipalsMax) {
      return undefined;
    }
    principals.push(principal);
  }
  return reader.done ? principals : undefined;
}

/** Names in ascending order of their bytes, each once: the format says so, and then two readers cannot disagree. */
function parseOptions(bytes: Buffer): ReadonlyMap<string, Buffer> | undefined {
  const reader = new WireReader(bytes);
  const options = new Map<string, Buffer>();
  let last: Buffer | undefined;
  while (reader.more) {
    const name = reader.text();
    const data = reader.string();
    const written = Buffer.from(name, 'utf8');
    if (name === '' || (last !== undefined && Buffer.compare(last, written) >= 0)) return undefined;
    options.set(name, data);
    last = written;
  }
  return reader.done ? options : undefined;
}

/**
 * Whether a certificate holds here and now, for one principal. Who signed it is looked at before anything it says.
 *
 * @returns a fault with `credential_expired` or `credential_invalid` otherwise.
 */
export function verifyCertificate(
  certificate: Certificate,
  expected: CertificateExpectation,
): { readonly verified: VerifiedCertificate } | { readonly fault: Fault } {
  const { authority, signature, signed } = certificate;
  if (!expected.authorities.some((trusted) => trusted.equals(authority.blob))) {
    return { fault: invalid('The certificate is of an authority that is not trusted here.') };
  }
  // Any algorithm that its key can sign with; which these are, `verifySignature` knows.
  if (!verifySignature(authority, new WireReader(signature).text(), signed, signature)) {
    return { fault: invalid('The certificate’s signature does not verify.') };
  }
  const { type, principals, validAfter, validBefore, criticalOptions } = certificate;
  if (type !== expected.type) return { fault: invalid(`The certificate is not a ${expected.type} certificate.`) };
  const now = BigInt(Math.floor(expected.nowMs / 1000));
  if (now < validAfter) return { fault: invalid('The certificate is not valid yet.') };
  if (now >= validBefore) return { fault: { code: 'credential_expired', message: 'The certificate has expired.' } };
  if (!principals.includes(expected.principal)) {
    return { fault: invalid('The certificate is not for what was asked for.') };
  }
  if (![...criticalOptions.keys()].every((name) => expected.knownCriticalOptions.includes(name))) {
    return { fault: invalid('The certificate has a critical option that is not known here.') };
  }
  return { verified: { ...certificate, [verified]: true } };
}

function invalid(message: string): Fault {
  return { code: 'credential_invalid', message };
}

const malformed: Fault = invalid('The certificate is malformed.');

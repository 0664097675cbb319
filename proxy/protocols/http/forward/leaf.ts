/**
 * Certificates for the hosts that agents believe they speak to, signed by an authority that the agents were told to
 * trust. Node can read X.509 but not issue it, hence the library.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280
 */
import 'reflect-metadata';
import { createPrivateKey, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { Limits } from '../../../core/limits.ts';
import type { Clock } from '../../../core/ports.ts';

/** An authority: its certificate and key, PEM. */
export interface Authority {
  readonly certificate: string;
  readonly key: string;
}

interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: webcrypto.CryptoKey;
  readonly algorithm: webcrypto.EcdsaParams | webcrypto.Algorithm;
  /** The one key of all certificates that this gateway issues; lives as long as the process. */
  readonly leaf: webcrypto.CryptoKeyPair;
  readonly leafKey: string;
}

const leafAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** A clock that goes a little behind accepts them all the same. */
const backdatedMs = 5 * 60_000;

/** Issues and keeps them, one for each host. */
export class LeafCertificates {
  readonly #authority: Authority;
  readonly #clock: Clock;
  readonly #limits: Pick<Limits, 'httpLeafCertificatesMax' | 'httpLeafLifetimeMs'>;
  readonly #issued = new Map<string, { readonly untilMs: number; readonly context: Promise<SecureContext> }>();
  #issuer: Promise<Issuer> | undefined;

  constructor(
    authority: Authority,
    clock: Clock,
    limits: Pick<Limits, 'httpLeafCertificatesMax' | 'httpLeafLifetimeMs'>,
  ) {
    this.#authority = authority;
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * What a server with this name presents.
   *
   * @param host - a name or an address, without brackets
   * @throws what the library says of an authority that it cannot sign with
   */
  async contextFor(host: string): Promise<SecureContext> {
    const nowMs = this.#clock.nowMs();
    const known = this.#issued.get(host);
    if (known !== undefined && nowMs < known.untilMs) return await known.context;
    const { httpLeafCertificatesMax, httpLeafLifetimeMs } = this.#limits;
    const context = this.#issue(host, nowMs);
    this.#issued.delete(host);
    if (this.#issued.size >= httpLeafCertificatesMax) {
      const [oldest] = this.#issued.keys();
      if (oldest !== undefined) this.#issued.delete(oldest);
    }
    this.#issued.set(host, { untilMs: nowMs + httpLeafLifetimeMs / 2, context });
    context.catch(() => this.#issued.delete(host));
    return await context;
  }

  async #issue(host: string, nowMs: number): Promise<SecureContext> {
    this.#issuer ??= openIssuer(this.#authority);
    const { certificate, key, algorithm, leaf, leafKey } = await this.#issuer;
    const issued = await X509CertificateGenerator.create({
      // At most 64 characters by RFC 5280; what a client looks at is the alternative name.
      subject: [{ CN: [host.slice(0, 64)] }],
      serialNumber: randomBytes(16).toString('hex').replace(/^./, '4'),
      issuer: certificate.subject,
      publicKey: leaf.publicKey,
      signingKey: key,
      signingAlgorithm: algorithm,
      notBefore: new Date(nowMs - backdatedMs),
      notAfter: new Date(nowMs + this.#limits.httpLeafLifetimeMs),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension([{ type: isIP(host) === 0 ? 'dns' : 'ip', value: host }]),
        await AuthorityKeyIdentifierExtension.create(certificate),
      ],
    });
    return createSecureContext({
      cert: `${issued.toString('pem')}\n${certificate.toString('pem')}`,
      key: leafKey,
      minVersion: 'TLSv1.2',
    });
  }
}

async function openIssuer({ certificate, key }: Authority): Promise<Issuer> {
  const privateKey = createPrivateKey(key);
  const { name, hash, ...rest } = algorithmOf(privateKey);
  const leaf = await webcrypto.subtle.generateKey(leafAlgorithm, true, ['sign', 'verify']);
  return {
    certificate: new X509Certificate(certificate),
    key: privateKey.toCryptoKey({ name, ...(hash && { hash }), ...rest }, true, ['sign']),
    algorithm: { name, ...(hash && { hash }) },
    leaf,
    leafKey: KeyObject.from(leaf.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** How an authority's key signs. @throws Error for a kind of key that no authority should have */
function algorithmOf(key: KeyObject): { readonly name: string; readonly hash?: string; readonly namedCurve?: string } {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    case 'ed25519':
      return { name: 'Ed25519' };
    case 'ec':
      if (curve === 'prime256v1') return { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' };
      if (curve === 'secp384r1') return { name: 'ECDSA', hash: 'SHA-384', namedCurve: 'P-384' };
      break;
    default:
  }
  throw new Error('the key of the certificate authority is neither RSA, nor Ed25519, nor on P-256 or P-384');
}

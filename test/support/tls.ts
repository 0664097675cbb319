/**
 * A certificate authority of one's own, for tests and the demo: a CA, a server certificate for this machine's loopback
 * names, and client certificates. Node can read X.509 but not issue it, hence the library.
 */
import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** What {@link makeCertificates} issues. Everything is PEM and valid for a week. */
export interface Certificates {
  /** The CA's certificate: what a verifying peer is given. */
  readonly ca: string;
  /** The CA with its key, for who is to issue certificates itself. */
  readonly authority: KeyPair;
  readonly server: KeyPair;
  readonly client: KeyPair;
  /** Issues one more client certificate whose common name is `commonName`. */
  issueClient(commonName: string): Promise<KeyPair>;
  /** Issues one more server certificate for `names` (DNS names or IP addresses). */
  issueServer(names: readonly string[]): Promise<KeyPair>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const weekMs = 7 * 24 * 3_600_000;

/** A new CA with a server certificate for localhost, 127.0.0.1 and ::1, and a client certificate for `client`. */
export async function makeCertificates(options: { clientName?: string } = {}): Promise<Certificates> {
  const caKeys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const ca = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Sallyport test CA',
    keys: caKeys,
    signingAlgorithm: algorithm,
    ...validity(),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  const issuer = { ca, signingKey: caKeys.privateKey };
  const issueServer = (names: readonly string[]) =>
    issue(issuer, names[0] ?? 'localhost', ExtendedKeyUsage.serverAuth, names);
  const issueClient = (commonName: string) => issue(issuer, commonName, ExtendedKeyUsage.clientAuth, []);
  return {
    ca: ca.toString('pem'),
    authority: { certificate: ca.toString('pem'), key: privatePem(caKeys.privateKey) },
    server: await issueServer(['localhost', '127.0.0.1', '::1']),
    client: await issueClient(options.clientName ?? 'client'),
    issueClient,
    issueServer,
  };
}

async function issue(
  issuer: { ca: X509Certificate; signingKey: webcrypto.CryptoKey },
  commonName: string,
  usage: ExtendedKeyUsage,
  names: readonly string[],
): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${commonName}`,
    issuer: issuer.ca.subject,
    publicKey: keys.publicKey,
    signingKey: issuer.signingKey,
    signingAlgorithm: algorithm,
    ...validity(),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([usage]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.ca.publicKey),
      ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names.map(alternativeName))]),
    ],
  });
  return { certificate: certificate.toString('pem'), key: privatePem(keys.privateKey) };
}

function privatePem(privateKey: webcrypto.CryptoKey): string {
  return KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
}

function alternativeName(name: string): { type: 'ip' | 'dns'; value: string } {
  return { type: /^[\d.]+$|:/.test(name) ? 'ip' : 'dns', value: name };
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 60_000), notAfter: new Date(now + weekMs) };
}

/** The keys that make what the gateway leaves behind evidence: one that signs the heads of the trail, one that seals recordings. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What was written. */
export interface EvidenceKeys {
  /** PEM of the public half of the signing key. */
  readonly publicKeyFile: string;
  /** The keys of the gateway's configuration that refer to them. */
  readonly config: Readonly<Record<'audit' | 'record', Readonly<Record<string, string>>>>;
}

/** Writes them below the demo's folder; secrets are readable by their owner only. */
export async function writeEvidenceKeys(directory: string): Promise<EvidenceKeys> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  await mkdir(join(directory, 'keys'), { recursive: true, mode: 0o700 });
  const secret = { mode: 0o600 };
  await writeFile(join(directory, 'keys/signing'), privateKey.export({ type: 'pkcs8', format: 'pem' }), secret);
  await writeFile(join(directory, 'keys/record'), randomBytes(32).toString('base64url'), secret);
  const publicKeyFile = join(directory, 'signing.pub.pem');
  await writeFile(publicKeyFile, publicKey.export({ type: 'spki', format: 'pem' }));
  return {
    publicKeyFile,
    config: { audit: { signing_key: 'file:./keys/signing' }, record: { key: 'file:./keys/record' } },
  };
}

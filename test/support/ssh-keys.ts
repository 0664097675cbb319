/** Keys, and certificates made by OpenSSH's own `ssh-keygen`, for tests and the demo. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomInt } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatPrivateKey, publicKeyOf } from '../../proxy/protocols/ssh/private-key.ts';

/** A key as files hold it: `-----BEGIN OPENSSH PRIVATE KEY-----…` and `ssh-ed25519 AAAA… comment`. */
export interface SshKey {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** The kinds of key OpenSSH makes that matter here; the number is the size in bits where there is a choice. */
export type SshKeyType = 'ed25519' | 'ecdsa-256' | 'ecdsa-384' | 'ecdsa-521' | 'rsa-2048' | 'rsa-3072';

/** What a certificate says. */
export interface CertificateRequest {
  /** The authority that signs. */
  readonly ca: SshKey;
  /** The public line of the key that is certified. */
  readonly publicKey: string;
  readonly kind: 'user' | 'host';
  readonly principals: readonly string[];
  readonly keyId?: string;
  /** As `ssh-keygen -V` takes it; `-1m:+1h` by default. */
  readonly validity?: string;
  /** As `ssh-keygen -O` takes them: `clear`, `force-command=…`, `critical:name=value`, `extension:name=value`. */
  readonly options?: readonly string[];
  readonly serial?: number;
}

/** Makes a key without a passphrase. Any but an Ed25519 one needs `ssh-keygen`. */
export async function makeSshKey(type: SshKeyType = 'ed25519', comment = 'sallyport-test'): Promise<SshKey> {
  if (type !== 'ed25519') return await makeByKeygen(type, comment);
  const { privateKey } = generateKeyPairSync(type);
  return {
    privateKey: formatPrivateKey(privateKey, comment, randomInt(2 ** 32)),
    publicKey: `ssh-ed25519 ${publicKeyOf(privateKey).blob.toString('base64')} ${comment}`,
  };
}

function makeByKeygen(type: SshKeyType, comment: string): Promise<SshKey> {
  return inFolder(async (directory) => {
    const file = join(directory, 'key');
    const [name = '', bits = ''] = type.split('-');
    await keygen('-q', '-t', name, '-b', bits, '-N', '', '-C', comment, '-f', file);
    return {
      privateKey: await readFile(file, 'utf8'),
      publicKey: (await readFile(`${file}.pub`, 'utf8')).trim(),
    };
  });
}

/** Signs a certificate. @returns its line, `ssh-ed25519-cert-v01@openssh.com AAAA… comment`. */
export function makeCertificate(request: CertificateRequest): Promise<string> {
  return inFolder(async (directory) => {
    const ca = join(directory, 'ca');
    const subject = join(directory, 'subject');
    await writeFile(ca, request.ca.privateKey, { mode: 0o600 });
    await writeFile(`${subject}.pub`, `${request.publicKey}\n`);
    await keygen(
      ...['-q', '-s', ca, '-I', request.keyId ?? 'sallyport-test', '-z', String(request.serial ?? 0)],
      ...(request.kind === 'host' ? ['-h'] : []),
      // Without principals it is valid for everybody, which is ssh-keygen's meaning of leaving -n away.
      ...(request.principals.length === 0 ? [] : ['-n', request.principals.join(',')]),
      ...['-V', request.validity ?? '-1m:+1h'],
      ...(request.options ?? []).flatMap((option) => ['-O', option]),
      `${subject}.pub`,
    );
    return (await readFile(`${subject}-cert.pub`, 'utf8')).trim();
  });
}

async function keygen(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('ssh-keygen', args, { env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' } });
}

async function inFolder<Result>(work: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-keys-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

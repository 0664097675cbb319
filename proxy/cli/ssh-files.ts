/**
 * The key and the certificate of an agent, as ssh reads them: `key`, `key.pub` and `key-cert.pub` in one directory. Each
 * file is replaced at once, and a key never while there is a certificate for it that holds: whoever read the one can rely
 * on the other. Only one login at a time writes.
 */

import type { KeyObject } from 'node:crypto';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lockTrail } from '../audit/lock.ts';
import { limits } from '../core/limits.ts';
import { type Certificate, parseCertificate } from '../protocols/ssh/certificate.ts';
import { formatPrivateKey, parsePrivateKey, publicKeyOf } from '../protocols/ssh/private-key.ts';
import { publicKeyLine } from '../protocols/ssh/public-key.ts';

/** What is in the directory. */
export interface SavedIdentity {
  readonly key: KeyObject;
  /** What the key was last used for; see {@link saveKey}. */
  readonly purpose: string;
  /** A certificate for that key, not verified, and what it was fetched for; undefined when there is none. */
  readonly certificate: (Certificate & { readonly purpose: string }) | undefined;
}

/** Makes the directory, for nobody else. @throws Error when others may write to it. */
export async function prepareDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { mode, uid } = await stat(directory);
  const own = process.getuid === undefined || process.getuid() === uid;
  if (!own || (mode & 0o022) !== 0) throw new Error(`${directory} can be written by others; chmod 700 it`);
}

/** What is saved; undefined when there is no key that can be read. */
export async function readIdentity(directory: string): Promise<SavedIdentity | undefined> {
  const [privateText, publicText, certificateText] = await Promise.all(
    ['key', 'key.pub', 'key-cert.pub'].map((name) => readFile(join(directory, name), 'utf8').catch(() => '')),
  );
  const key = parsePrivateKey(privateText ?? '');
  if (key === undefined) return undefined;
  const { blob } = publicKeyOf(key);
  const [, written, purpose = ''] = (publicText ?? '').trim().split(' ');
  const certificate = readCertificateLine(certificateText ?? '');
  const [, , certificatePurpose = ''] = (certificateText ?? '').trim().split(' ');
  return {
    key,
    purpose: written === blob.toString('base64') ? purpose : '',
    certificate: certificate?.publicKey.blob.equals(blob) ? { ...certificate, purpose: certificatePurpose } : undefined,
  };
}

/** The certificate in a line `ssh-ed25519-cert-v01@openssh.com AAAA… comment`; not verified. */
export function readCertificateLine(line: string): Certificate | undefined {
  if (line.length > 2 * limits.sshCertificateBytesMax) return undefined;
  const [type = '', base64 = ''] = line.trim().split(' ', 2);
  const parsed = parseCertificate(Buffer.from(base64, 'base64'));
  if ('fault' in parsed) return undefined;
  return type === `${parsed.certificate.publicKey.type}-cert-v01@openssh.com` ? parsed.certificate : undefined;
}

/**
 * Saves a key. The gateway may bind a token to it, so this comes before anything is asked of it: a login that fails
 * halfway can then be repeated.
 *
 * @param purpose - becomes the comment of the public key; a later login finds out by it whether the key is for the same.
 */
export async function saveKey(directory: string, key: KeyObject, purpose: string): Promise<void> {
  const { type, blob } = publicKeyOf(key);
  const saved = await readFile(join(directory, 'key'), 'utf8').catch(() => '');
  // The same key stays the same file: somebody may be reading it.
  if (parsePrivateKey(saved)?.equals(key) !== true) {
    await replace(directory, 'key', formatPrivateKey(key, 'sallyport', randomInt(2 ** 32)));
  }
  await replace(directory, 'key.pub', `${publicKeyLine(type, blob, purpose)}\n`);
}

/**
 * Saves a certificate for the key that is there.
 *
 * @param line - as the gateway wrote it; its comment gives way to the purpose. A key can be used for another purpose while
 *   its certificate still is for an earlier one, so each says its own.
 */
export async function saveCertificate(directory: string, line: string, purpose: string): Promise<void> {
  const [type, base64] = line.split(' ');
  await replace(directory, 'key-cert.pub', `${type} ${base64} ${purpose}\n`);
}

async function replace(directory: string, name: string, content: string): Promise<void> {
  await replaceFile(join(directory, name), content, 0o600);
}

/** Puts a whole file in the place of another, so that no reader sees half of either. */
export async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  const draft = `${file}.${randomBytes(8).toString('hex')}`;
  try {
    await writeFile(draft, content, { mode, flag: 'wx' });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/**
 * Does something while no other login does anything in the directory.
 * @throws Error when another one takes longer than `limits.sshLoginLockTimeoutMs`.
 */
export async function alone<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  const endMs = performance.now() + limits.sshLoginLockTimeoutMs;
  for (;;) {
    const unlock = tryLock(directory);
    if (unlock !== undefined) {
      try {
        return await work();
      } finally {
        unlock();
      }
    }
    if (performance.now() > endMs) throw new Error(`another login in ${directory} does not end`);
    await new Promise((resolve) => setTimeout(resolve, limits.sshLoginLockIntervalMs));
  }
}

function tryLock(directory: string): (() => void) | undefined {
  try {
    return lockTrail(join(directory, 'key'));
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw error; // the system's, not that somebody has it
    return undefined;
  }
}

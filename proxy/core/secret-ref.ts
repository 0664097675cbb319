import { readFile, stat } from 'node:fs/promises';
import { limits } from './limits.ts';

/**
 * Resolves a reference to a secret: `env:NAME` or `file:PATH`. One line feed at the end is not part of it.
 *
 * Errors name the reference, never the secret; a reference of another form is not repeated either, because it may be
 * the secret itself, written where a reference belongs.
 * @throws Error when there is nothing there, or more than `limits.secretBytesMax`.
 */
export async function resolveSecret(reference: string): Promise<Uint8Array> {
  const colon = reference.indexOf(':');
  const scheme = reference.slice(0, colon);
  const target = reference.slice(colon + 1);
  if (scheme === 'env') return trimmed(fromEnvironment(target), reference);
  if (scheme === 'file') return trimmed(await fromFile(target), reference);
  throw new Error('a secret is referred to as env:NAME or file:PATH');
}

function fromEnvironment(name: string): Uint8Array {
  const value = process.env[name];
  if (value === undefined) throw new Error(`env:${name} is not set`);
  return Buffer.from(value, 'utf8');
}

async function fromFile(path: string): Promise<Uint8Array> {
  const { mode, size } = await stat(path);
  if (size > limits.secretBytesMax) throw new Error(`file:${path} is larger than ${limits.secretBytesMax} bytes`);
  if ((mode & 0o004) !== 0) process.emitWarning(`file:${path} can be read by every user of this machine`);
  return readFile(path);
}

function trimmed(bytes: Uint8Array, reference: string): Uint8Array {
  const end = bytes.at(-1) === 10 ? (bytes.at(-2) === 13 ? bytes.length - 2 : bytes.length - 1) : bytes.length;
  if (end === 0) throw new Error(`${reference} is empty`);
  if (end > limits.secretBytesMax) throw new Error(`${reference} is larger than ${limits.secretBytesMax} bytes`);
  return bytes.subarray(0, end);
}

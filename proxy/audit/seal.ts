import { createHash, createHmac, hash } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { Entry } from './line.ts';

/** What the first line of a trail is chained to. */
export const genesisHash = '0'.repeat(64);

/** The bytes between a line's members and its hash, between hash and MAC, and after that. */
export const hashPrefix = ',"hash":"';
export const macPrefix = '","mac":"';
export const sealSuffix = '"}';
/** Both of 64 hex digits, with what stands around them, and the newline. */
export const sealBytes = hashPrefix.length + 64 + macPrefix.length + 64 + sealSuffix.length + 1;

const blockBytes = 64;
const hashBytes = 64;

/**
 * Seals lines: `hash = SHA-256(previous hash in hex ‖ the line's bytes before ,"hash":")`, which everybody can compute and
 * a signed head pins, and `mac = HMAC-SHA256(key, hash in hex)`, which proves the lines that no head covers yet.
 *
 * HMAC is composed from two one-shot hashes, because that takes half the time of `createHmac`; the verifier uses
 * `createHmac`, so the two check each other.
 * @see https://www.rfc-editor.org/rfc/rfc2104#section-2
 */
export class Sealer {
  /** previous hash ‖ line */
  readonly #line: Buffer;
  /** inner pad ‖ hash */
  readonly #inner = Buffer.alloc(blockBytes + hashBytes);
  /** outer pad ‖ inner digest */
  readonly #outer = Buffer.alloc(blockBytes + 32);
  /** Bytes of the line sealed last, newline included. */
  lastBytes = 0;

  /**
   * @param key - at least `limits.auditKeyBytesMin` bytes
   * @param lineBytesMax - the longest line that will be sealed, in bytes
   */
  constructor(key: Uint8Array, lineBytesMax: number) {
    this.#line = Buffer.allocUnsafeSlow(hashBytes + lineBytesMax);
    const padded = Buffer.alloc(blockBytes);
    padded.set(key.length > blockBytes ? createHash('sha256').update(key).digest() : key);
    for (let index = 0; index < blockBytes; index++) {
      this.#inner[index] = (padded[index] ?? 0) ^ 0x36;
      this.#outer[index] = (padded[index] ?? 0) ^ 0x5c;
    }
  }

  /**
   * Writes one sealed line into `target` at `at`.
   * @param start - what `lineStart` gave; with the entry's members at most `lineBytesMax` bytes of UTF-8
   * @returns the line's hash in hex; the line took `lastBytes` bytes
   */
  seal(previousHash: string, start: string, entry: Entry, target: Buffer, at: number): string {
    const line = this.#line;
    line.write(previousHash, 0, hashBytes, 'latin1');
    let end = hashBytes + line.write(start, hashBytes, 'latin1');
    if (entry.members !== '') end = this.#member(entry.members, end);
    if (entry.own !== '') end = this.#member(entry.own, end);
    const digest = hash('sha256', line.subarray(0, end), 'hex');
    this.#inner.write(digest, blockBytes, hashBytes, 'latin1');
    this.#outer.write(hash('sha256', this.#inner, 'binary'), blockBytes, 32, 'latin1');
    const mac = hash('sha256', this.#outer, 'hex');
    line.copy(target, at, hashBytes, end);
    const length = end - hashBytes;
    const sealed = `${hashPrefix}${digest}${macPrefix}${mac}${sealSuffix}\n`;
    target.write(sealed, at + length, sealBytes, 'latin1');
    this.lastBytes = length + sealBytes;
    return digest;
  }

  #member(text: string, at: number): number {
    this.#line[at] = 0x2c;
    return at + 1 + this.#line.write(text, at + 1, 'utf8');
  }
}

/** The hash that a line must carry. `open` is the line's bytes before `,"hash":"`. */
export function expectedHash(previousHash: string, open: Uint8Array): string {
  return createHash('sha256').update(previousHash, 'latin1').update(open).digest('hex');
}

/** The mac that a line of this hash must carry. */
export function expectedMac(key: Uint8Array, lineHash: string): string {
  return createHmac('sha256', key).update(lineHash, 'latin1').digest('hex');
}

/** Names a key without telling anything about it: the start of an HMAC of a fixed text. */
export function keyId(key: Uint8Array): string {
  return createHmac('sha256', key).update('sallyport audit key id').digest('hex').slice(0, 16);
}

/** @throws RangeError when the key is too short to seal anything. */
export function checkKey(key: Uint8Array): void {
  if (key.length < limits.auditKeyBytesMin)
    throw new RangeError(`the audit key has ${key.length} bytes; it needs at least ${limits.auditKeyBytesMin}`);
}

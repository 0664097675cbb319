import { createHash, createHmac, hash } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { Entry } from './line.ts';

/** What the first line of a trail is chained to. */
export const genesisMac = '0'.repeat(64);

/** The bytes between a line's members and its MAC, and after it. */
export const sealPrefix = ',"mac":"';
export const sealSuffix = '"}';
/** `,"mac":"` + 64 hex digits + `"}` + newline. */
export const sealBytes = sealPrefix.length + 64 + sealSuffix.length + 1;

const blockBytes = 64;
const headBytes = blockBytes + 64;

/**
 * Seals lines: `mac = HMAC-SHA256(key, previous mac in hex ‖ the line's bytes before ,"mac":")`.
 *
 * HMAC is composed from two one-shot hashes, because that takes half the time of `createHmac` (0.85 µs against
 * 1.65 µs for 500 bytes); the verifier uses `createHmac`, so the two check each other.
 * @see https://www.rfc-editor.org/rfc/rfc2104#section-2
 */
export class Sealer {
  /** inner pad ‖ previous mac ‖ line */
  readonly #inner: Buffer;
  /** outer pad ‖ inner digest */
  readonly #outer = Buffer.alloc(blockBytes + 32);
  /** Bytes of the line sealed last, newline included. */
  lastBytes = 0;

  /**
   * @param key - at least `limits.auditKeyBytesMin` bytes
   * @param lineBytesMax - the longest line that will be sealed, in bytes
   */
  constructor(key: Uint8Array, lineBytesMax: number) {
    this.#inner = Buffer.allocUnsafeSlow(headBytes + lineBytesMax);
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
   * @returns the line's mac in hex; the line took `lastBytes` bytes
   */
  seal(previousMac: string, start: string, entry: Entry, target: Buffer, at: number): string {
    const inner = this.#inner;
    inner.write(previousMac, blockBytes, 64, 'latin1');
    let end = headBytes + inner.write(start, headBytes, 'latin1');
    if (entry.members !== '') end = this.#member(entry.members, end);
    if (entry.own !== '') end = this.#member(entry.own, end);
    this.#outer.write(hash('sha256', inner.subarray(0, end), 'binary'), blockBytes, 32, 'latin1');
    const mac = hash('sha256', this.#outer, 'hex');
    inner.copy(target, at, headBytes, end);
    const length = end - headBytes;
    target.write(`${sealPrefix}${mac}${sealSuffix}\n`, at + length, sealBytes, 'latin1');
    this.lastBytes = length + sealBytes;
    return mac;
  }

  #member(text: string, at: number): number {
    this.#inner[at] = 0x2c;
    return at + 1 + this.#inner.write(text, at + 1, 'utf8');
  }
}

/** The mac that a line must carry. `open` is the line's bytes before `,"mac":"`. */
export function expectedMac(key: Uint8Array, previousMac: string, open: Uint8Array): string {
  return createHmac('sha256', key).update(previousMac, 'latin1').update(open).digest('hex');
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

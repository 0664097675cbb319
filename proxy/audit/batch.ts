import { type Entry, lineStart } from './line.ts';
import { Sealer } from './seal.ts';
import type { Head } from './tail.ts';

/**
 * Lines on their way to the file, sealed one after the other into one buffer, so that one `write` takes them all.
 * Nothing counts as written until `committed` says how far the file got.
 */
export class Batch {
  readonly #sealer: Sealer;
  readonly #buffer: Buffer;
  #heads: Head[] = [];
  #ends: number[] = [];
  #length = 0;

  /** @param bytesMax - all lines of a batch together; @param lineBytesMax - one of them */
  constructor(key: Uint8Array, lineBytesMax: number, bytesMax: number) {
    this.#sealer = new Sealer(key, lineBytesMax);
    this.#buffer = Buffer.allocUnsafeSlow(bytesMax);
  }

  /** Starts over, behind `head`. `newline` ends a line that was cut off. */
  begin(newline: boolean): void {
    this.#heads = [];
    this.#ends = [];
    this.#length = 0;
    if (newline) this.#buffer[this.#length++] = 10;
  }

  /** Seals one more line. */
  add(previous: Head, entry: Entry): Head {
    const seq = previous.seq + 1;
    const hash = this.#sealer.seal(previous.hash, lineStart(seq, entry), entry, this.#buffer, this.#length);
    this.#length += this.#sealer.lastBytes;
    const head = { seq, hash };
    this.#heads.push(head);
    this.#ends.push(this.#length);
    return head;
  }

  /** The bytes to write, from `offset`. Valid until `begin`. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  get length(): number {
    return this.#length;
  }

  get lines(): number {
    return this.#heads.length;
  }

  /** How many whole lines the first `bytes` bytes hold, where the last of them ends, and the head after it. */
  committed(bytes: number): { lines: number; end: number; head: Head | undefined } {
    let lines = 0;
    while (lines < this.#ends.length && (this.#ends[lines] ?? Infinity) <= bytes) lines += 1;
    return { lines, end: this.#ends[lines - 1] ?? 0, head: this.#heads[lines - 1] };
  }
}

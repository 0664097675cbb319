/**
 * Rewrites parts of a run of bytes into one new buffer. What stays is copied in long stretches, as late as possible;
 * nothing is allocated for a part. Positions in the input only go forwards.
 */
export class Splice {
  readonly input: Buffer;
  readonly #end: number;
  #output: Buffer;
  /** Where the next byte of the output goes. */
  #to = 0;
  /** Input from here on is neither copied nor dropped yet. */
  #from: number;

  constructor(input: Buffer, start: number, end: number) {
    this.input = input;
    this.#from = start;
    this.#end = end;
    const size = end - start;
    this.#output = Buffer.allocUnsafeSlow(size + (size >> 3) + 64);
  }

  /** Where in the output the input byte at `at` will be, if all between here and there stays. */
  positionOf(at: number): number {
    return this.#to + (at - this.#from);
  }

  /** Copies the input up to `at`. */
  keepUntil(at: number): void {
    const size = at - this.#from;
    if (size <= 0) return;
    this.#reserve(size);
    this.input.copy(this.#output, this.#to, this.#from, at);
    this.#to += size;
    this.#from = at;
  }

  /** Drops the input up to `at`. */
  dropUntil(at: number): void {
    this.#from = at;
  }

  /** Forgets the output from `position` on. */
  rewind(position: number): void {
    this.#to = position;
  }

  /** Appends bytes to the output. */
  put(bytes: Uint8Array): void {
    const size = bytes.length;
    this.#reserve(size);
    if (size > 64) {
      this.#output.set(bytes, this.#to);
    } else {
      const output = this.#output;
      for (let index = 0; index < size; index++) output[this.#to + index] = bytes[index] ?? 0;
    }
    this.#to += size;
  }

  /** Appends a text as UTF-8. Returns how many bytes it took. */
  putText(text: string): number {
    this.#reserve(3 * text.length);
    const size = this.#output.write(text, this.#to, 'utf8');
    this.#to += size;
    return size;
  }

  /** Appends a 32-bit integer, big-endian, and returns where it is. */
  putInt32(value: number): number {
    this.#reserve(4);
    const position = this.#to;
    writeInt32(this.#output, position, value);
    this.#to += 4;
    return position;
  }

  /** Changes an integer that is in the output already. */
  patchInt32(position: number, value: number): void {
    writeInt32(this.#output, position, value);
  }

  /** Copies what is left and returns the whole output. The splice is done. */
  finish(): Buffer {
    this.keepUntil(this.#end);
    return this.#output.subarray(0, this.#to);
  }

  /** Makes room for `size` bytes and for what of the input is still to come. */
  #reserve(size: number): void {
    if (this.#to + size <= this.#output.length) return;
    const room = this.#to + size + (this.#end - this.#from);
    const larger = Buffer.allocUnsafeSlow(room + (room >> 1));
    this.#output.copy(larger, 0, 0, this.#to);
    this.#output = larger;
  }
}

/** A signed 32-bit integer, big-endian. */
export function int32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

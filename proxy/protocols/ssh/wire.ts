/**
 * The data types of SSH, read within bounds and written (RFC 4251 section 5). A string is four bytes of length and that
 * many bytes; an mpint is a string in two's complement, of which only positive numbers occur here.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4251#section-5
 */

/**
 * Bounds-checked reads over one structure. A read past the end, or of something that is not what it must be, clears
 * `ok` and answers with an empty value; check {@link WireReader.done} once, at the end.
 */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;
  #ok = true;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** True when every read succeeded so far. */
  get ok(): boolean {
    return this.#ok;
  }

  /** True when every read succeeded and nothing is left. */
  get done(): boolean {
    return this.#ok && this.#at === this.#bytes.length;
  }

  /** True while a further element of a list can be there: something is left and nothing failed. */
  get more(): boolean {
    return this.#ok && this.#at < this.#bytes.length;
  }

  get position(): number {
    return this.#at;
  }

  uint32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#bytes.readUInt32BE(at);
  }

  uint64(): bigint {
    const at = this.#take(8);
    return at < 0 ? 0n : this.#bytes.readBigUInt64BE(at);
  }

  /** A string, as a view. */
  string(): Buffer {
    const length = this.uint32();
    const at = this.#take(length);
    return at < 0 ? empty : this.#bytes.subarray(at, at + length);
  }

  /** A string in UTF-8 without control characters: what a person reads, or what is compared. */
  text(): string {
    const bytes = this.string();
    const text = this.#ok ? utf8(bytes) : '';
    if (text !== undefined && !/\p{Cc}/u.test(text)) return text;
    this.fail();
    return '';
  }

  /** The magnitude of a positive mpint, big-endian and without leading zeros. Zero, negative or padded is a failed read. */
  mpint(): Buffer {
    const bytes = this.string();
    const [first = 0x80, second = 0] = bytes;
    const padding = first === 0;
    if (first < 0x80 && (!padding || second >= 0x80)) return padding ? bytes.subarray(1) : bytes;
    this.fail();
    return empty;
  }

  /** Marks the structure as malformed. */
  fail(): void {
    this.#ok = false;
  }

  #take(length: number): number {
    const at = this.#at;
    if (!this.#ok || length > this.#bytes.length - at) {
      this.#ok = false;
      return -1;
    }
    this.#at = at + length;
    return at;
  }
}

/** A string: its length and its bytes. Text is written in UTF-8. */
export function wireString(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([wireUint32(bytes.length), bytes]);
}

/** Four bytes, big-endian. */
export function wireUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Eight bytes, big-endian. */
export function wireUint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

const empty = Buffer.alloc(0);
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The most bytes of a statement, portal or parameter name: PostgreSQL's NAMEDATALEN less its NUL. */
export const nameBytesMax = 63;

/**
 * Bounds-checked reads over one message body. A read past the end, a missing NUL or a name PostgreSQL would truncate
 * clears `ok` and answers with an empty value; check {@link Cursor.done} once, at the end.
 */
export class Cursor {
  readonly #body: Buffer;
  #at = 0;
  #ok = true;

  constructor(body: Buffer) {
    this.#body = body;
  }

  /** True when every read succeeded so far. */
  get ok(): boolean {
    return this.#ok;
  }

  /** True when every read succeeded and nothing is left. */
  get done(): boolean {
    return this.#ok && this.#at === this.#body.length;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#body.length - this.#at;
  }

  uint8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#body.readUInt8(at);
  }

  int16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#body.readInt16BE(at);
  }

  /** Counts are unsigned: the server reads up to 65,535 of a thing. */
  uint16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#body.readUInt16BE(at);
  }

  int32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#body.readInt32BE(at);
  }

  uint32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#body.readUInt32BE(at);
  }

  /** `length` bytes, as a view. A negative length is a failed read. */
  bytes(length: number): Buffer {
    const at = length < 0 ? this.fail() : this.#take(length);
    return at < 0 ? empty : this.#body.subarray(at, at + length);
  }

  /** Bytes up to a NUL, which is consumed and not included, as a view. */
  cstring(): Buffer {
    const from = this.#at;
    const nul = this.#ok ? this.#body.indexOf(0, from) : -1;
    if (nul < 0) {
      this.fail();
      return empty;
    }
    this.#at = nul + 1;
    return this.#body.subarray(from, nul);
  }

  /** A NUL-terminated text in UTF-8; other bytes are a failed read. */
  text(): string {
    const from = this.#at;
    const nul = this.#ok ? this.#body.indexOf(0, from) : -1;
    const text = nul < 0 ? undefined : utf8(this.#body, from, nul);
    if (text === undefined) {
      this.fail();
      return '';
    }
    this.#at = nul + 1;
    return text;
  }

  /**
   * The name of a statement or portal. One over {@link nameBytesMax} is a failed read: the server would look up its
   * first 63 bytes, so that two names here could be one there.
   */
  name(): string {
    const from = this.#at;
    const text = this.text();
    if (this.#at - from - 1 > nameBytesMax) this.fail();
    return text;
  }

  /** Everything that is left, as a view. */
  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  /** Marks the body as malformed. Returns -1. */
  fail(): -1 {
    this.#ok = false;
    return -1;
  }

  #take(length: number): number {
    const at = this.#at;
    if (!this.#ok || at + length > this.#body.length) return this.fail();
    this.#at = at + length;
    return at;
  }
}

const empty = Buffer.alloc(0);
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** `body[from..to)` as UTF-8, or `undefined` when it is not. */
function utf8(body: Buffer, from: number, to: number): string | undefined {
  for (let at = from; at < to; at++) {
    if ((body[at] ?? 0) < 0x80) continue;
    try {
      return decoder.decode(body.subarray(from, to));
    } catch {
      return undefined;
    }
  }
  return body.toString('latin1', from, to);
}

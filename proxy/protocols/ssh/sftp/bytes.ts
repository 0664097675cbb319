/** Small pieces that packets are read from and built of. */
import { headerBytes } from './packet-types.ts';

const empty = Buffer.alloc(0);
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as UTF-8, or `undefined` when they are not. */
export function utf8(bytes: Buffer): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Bounds-checked reads over the body of one packet. A read past the end clears `ok` and answers with an empty value;
 * check {@link Cursor.done} once, at the end.
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

  uint32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#body.readUInt32BE(at);
  }

  /** Past 2⁵³ the nearest number that there is: no file is that long, so that nothing depends on the difference. */
  uint64(): number {
    const at = this.#take(8);
    return at < 0 ? 0 : this.#body.readUInt32BE(at) * 2 ** 32 + this.#body.readUInt32BE(at + 4);
  }

  /** A counted string, as a view. */
  string(): Buffer {
    const length = this.uint32();
    const at = this.#take(length);
    return at < 0 ? empty : this.#body.subarray(at, at + length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (!this.#ok || at + length > this.#body.length) {
      this.#ok = false;
      return -1;
    }
    this.#at = at + length;
    return at;
  }
}

/** Four bytes, big-endian. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Eight bytes, big-endian; takes whole numbers up to 2⁵³. */
export function uint64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** A counted string; text as UTF-8. */
export function string(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** A whole packet: length, type, request id (or version), body. */
export function packet(type: number, id: number, ...body: readonly Uint8Array[]): Buffer {
  let length = headerBytes - 4;
  for (const part of body) length += part.length;
  const bytes = Buffer.allocUnsafe(length + 4);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt32BE(id, 5);
  let at = headerBytes;
  for (const part of body) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

import { isUtf8 } from 'node:buffer';

/** Checks that bytes that come in pieces are UTF-8. One object for one stream. @see https://www.rfc-editor.org/rfc/rfc3629#section-4 */
export class Utf8Check {
  /** The beginning of a character whose rest has not come, at most three bytes. */
  #begun: Buffer = none;

  /** Whether the stream is UTF-8 with the next piece, as far as that can be told. */
  push(piece: Buffer): boolean {
    let from = 0;
    if (this.#begun.length > 0) {
      from = Math.min(piece.length, characterBytes(this.#begun[0] ?? 0) - this.#begun.length);
      this.#begun = Buffer.concat([this.#begun, piece.subarray(0, from)]);
      if (this.#begun.length === characterBytes(this.#begun[0] ?? 0)) {
        if (!isUtf8(this.#begun)) return false;
        this.#begun = none;
      }
    }
    if (from >= piece.length) return true;
    const whole = piece.length - begunBytes(piece.subarray(from));
    if (whole < piece.length) this.#begun = Buffer.from(piece.subarray(whole));
    return isUtf8(from === 0 && whole === piece.length ? piece : piece.subarray(from, whole));
  }

  /** Whether the stream may end here. */
  finish(): boolean {
    return this.#begun.length === 0;
  }
}

const none = Buffer.alloc(0);

/** How many bytes a character has that begins with one. */
function characterBytes(first: number): number {
  return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/** How many bytes at the end of some bytes begin a character and do not end it. */
export function begunBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) return characterBytes(byte) > back ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

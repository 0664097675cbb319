/** Bytes that are kept until it is known what becomes of them, however small the pieces are in which they come. */
export class HeldBytes {
  length = 0;
  /** Valid up to `length`. */
  bytes: Buffer = none;

  /** Adds bytes from `start` to `end`. */
  append(piece: Buffer, start: number, end: number): void {
    const needed = this.length + end - start;
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, needed, roomBytes));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    piece.copy(this.bytes, this.length, start, end);
    this.length = needed;
  }

  /** Forgets what is held; a buffer of the usual size is used again. */
  clear(): void {
    if (this.bytes.length > roomBytes) this.bytes = none;
    this.length = 0;
  }
}

const none = Buffer.alloc(0);
const roomBytes = 1024;

/**
 * The beginning of a masked answer, before its status is sent. What turns out not to be maskable in there is then refused in
 * words: a client that was already told 200 can only be cut off.
 */
export class HeldAnswer {
  readonly headers: Map<string, string | string[]>;
  readonly pieces: Buffer[] = [];
  bytes = 0;
  readonly #bytesMax: number;

  /** @param bytesMax - of masked body that is held; 0 for an answer that is shown as soon as there is any */
  constructor(headers: Map<string, string | string[]>, bytesMax: number) {
    this.headers = headers;
    this.#bytesMax = bytesMax;
  }

  /** Keeps pieces. True once it is time to show them. */
  isFull(pieces: readonly Buffer[]): boolean {
    for (const piece of pieces) {
      if (piece.length === 0) continue;
      this.pieces.push(piece);
      this.bytes += piece.length;
    }
    return this.bytes > 0 && this.bytes >= this.#bytesMax;
  }
}

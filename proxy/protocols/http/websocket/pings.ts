/**
 * Pings go through, so that each side learns whether the other is there; what is in them does not, because nothing looks into it.
 * One object for the pings of one side: each is replaced by a number, and the answer to that number by what it answers.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2
 */
export class Pings {
  readonly #heldMax: number;
  /** The oldest first. */
  readonly #held = new Map<number, Buffer>();
  #last = 0;

  /** @param heldMax - without an answer; past it the oldest is given up, as a side may answer the latest only */
  constructor(heldMax: number) {
    this.#heldMax = heldMax;
  }

  /** What is sent in the place of a ping. */
  ask(payload: Buffer): Buffer {
    this.#last = (this.#last + 1) >>> 0;
    this.#held.set(this.#last, payload);
    const [oldest] = this.#held.keys();
    if (this.#held.size > this.#heldMax && oldest !== undefined) this.#held.delete(oldest);
    const number = Buffer.alloc(4);
    number.writeUInt32BE(this.#last);
    return number;
  }

  /** What the answer is to; undefined when nobody asked. Those before it are answered by it. */
  answer(payload: Buffer): Buffer | undefined {
    const number = payload.length === 4 ? payload.readUInt32BE(0) : 0;
    const asked = this.#held.get(number);
    if (asked === undefined) return undefined;
    for (const earlier of this.#held.keys()) {
      this.#held.delete(earlier);
      if (earlier === number) break;
    }
    return asked;
  }
}

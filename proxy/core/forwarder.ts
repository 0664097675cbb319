import type { Writable } from 'node:stream';
import type { Permit } from './permit.ts';

/**
 * Collects the bytes that leave for one socket while a chunk is worked through: ranges of the chunk that
 * follow each other become one write without a copy, whatever is put between them goes out in order.
 */
export class ChunkWriter {
  readonly #sink: Writable;
  #chunk: Buffer | undefined;
  #from = 0;
  #to = 0;
  #pieces: Buffer[] = [];

  constructor(sink: Writable) {
    this.#sink = sink;
  }

  /** Sends `chunk[from..to)` on. */
  range(chunk: Buffer, from: number, to: number): void {
    if (chunk === this.#chunk && from === this.#to) {
      this.#to = to;
      return;
    }
    this.#closeRange();
    this.#chunk = chunk;
    this.#from = from;
    this.#to = to;
  }

  /** Sends bytes of the gateway's own. */
  insert(bytes: Buffer): void {
    this.#closeRange();
    this.#pieces.push(bytes);
  }

  /** Hands everything collected to the socket, in one write. False when the socket asks to wait for `drain`. */
  flush(): boolean {
    this.#closeRange();
    const pieces = this.#pieces;
    const [first] = pieces;
    if (first === undefined || !this.#sink.writable) return true;
    this.#pieces = [];
    return this.#sink.write(pieces.length === 1 ? first : Buffer.concat(pieces));
  }

  #closeRange(): void {
    if (this.#chunk === undefined) return;
    this.#pieces.push(this.#chunk.subarray(this.#from, this.#to));
    this.#chunk = undefined;
  }
}

/** A {@link ChunkWriter} towards an upstream: every byte needs a permit that is still open. */
export class Forwarder {
  readonly #writer: ChunkWriter;

  constructor(upstream: Writable) {
    this.#writer = new ChunkWriter(upstream);
  }

  /** Forwards `chunk[from..to)` under a permit. @throws when the permit was completed. */
  forward(permit: Permit, chunk: Buffer, from: number, to: number): void {
    demandOpen(permit);
    this.#writer.range(chunk, from, to);
  }

  /** Forwards bytes of the gateway's own under a permit. @throws when the permit was completed. */
  insert(permit: Permit, bytes: Buffer): void {
    demandOpen(permit);
    this.#writer.insert(bytes);
  }

  flush(): boolean {
    return this.#writer.flush();
  }
}

function demandOpen(permit: Permit): void {
  if (!permit.open) throw new Error(`the permit ${permit.decisionId} was completed`);
}

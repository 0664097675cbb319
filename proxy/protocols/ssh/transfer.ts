import { createHash, type Hash } from 'node:crypto';

/** What one side of an opaque stream came to. */
export interface StreamTotal {
  readonly bytes: number;
  /** In hexadecimal, of all of it. */
  readonly sha256: string;
}

/**
 * Counts and hashes both directions of a stream that nobody looks into (rsync, git): what its recording has in place of
 * its content. Keeps no byte.
 */
export class StreamTotals {
  readonly #client = new Tally();
  readonly #host = new Tally();

  fromClient(chunk: Uint8Array): void {
    this.#client.add(chunk);
  }

  fromHost(chunk: Uint8Array): void {
    this.#host.add(chunk);
  }

  /** What came from each side until now; both may go on. */
  totals(): { readonly client: StreamTotal; readonly host: StreamTotal } {
    return { client: this.#client.total(), host: this.#host.total() };
  }
}

class Tally {
  #bytes = 0;
  readonly #hash: Hash = createHash('sha256');

  add(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    this.#hash.update(chunk);
  }

  total(): StreamTotal {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') };
  }
}

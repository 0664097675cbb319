import { limits } from '../core/limits.ts';
import { digestBytes, digestOf, segmentHeadBytes, segmentMagic } from './format.ts';

/** Follows the digests through a recording, which takes no key, up to the one that the audit trail names. */
export class DigestChain {
  #rest: Buffer = Buffer.alloc(0);
  /** Of the header line or the last segment. */
  #digest: string | undefined;
  #broken = false;

  /** Takes the next piece of the file. */
  push(chunk: Uint8Array): void {
    if (this.#broken) return;
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    if (this.#digest === undefined) {
      const end = this.#rest.indexOf(10) + 1;
      if (end === 0) return;
      this.#digest = digestOf(this.#rest.subarray(0, end));
      this.#rest = this.#rest.subarray(end);
    }
    while (this.#segment(this.#digest)) {
      // Each segment moves the digest on.
    }
  }

  /** The last digest in hex; undefined when the digests do not hold to the end of the file. */
  end(): string | undefined {
    if (this.#broken || this.#digest === undefined || this.#rest.length > 0) return undefined;
    return Buffer.from(this.#digest, 'latin1').toString('hex');
  }

  #segment(previous: string): boolean {
    const rest = this.#rest;
    if (rest.length < segmentHeadBytes) return false;
    const payloadEnd = segmentHeadBytes + rest.readUInt32BE(8);
    this.#broken = rest.readUInt32BE(0) !== segmentMagic || payloadEnd > limits.recordSegmentBytesMax;
    if (this.#broken || rest.length < payloadEnd + digestBytes) return false;
    const digest = digestOf(Buffer.concat([Buffer.from(previous, 'latin1'), rest.subarray(0, payloadEnd)]));
    this.#broken = rest.toString('latin1', payloadEnd, payloadEnd + digestBytes) !== digest;
    this.#digest = digest;
    this.#rest = rest.subarray(payloadEnd + digestBytes);
    return !this.#broken;
  }
}

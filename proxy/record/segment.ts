import { limits } from '../core/limits.ts';
import type { RecordFrame } from '../core/ports.ts';
import {
  digestBytes,
  digestOf,
  frameBytesMax,
  type Payload,
  segmentHeadBytes,
  segmentMagic,
  writeFrame,
} from './format.ts';
import { encryptSegment, tagBytes } from './keys.ts';

const payloadStart = digestBytes + segmentHeadBytes;

/**
 * Frames being gathered into one segment. The buffer starts with room for the previous digest, so that hashing and
 * writing need no copy: `previous digest ‖ head ‖ payload ‖ tag ‖ digest`, of which all but the first goes to the file, the
 * tag only where it is encrypted.
 */
export class Segment {
  readonly buffer: Buffer;
  #end = payloadStart;

  /** @param buffer - from a {@link SegmentPool}, or larger when one frame needs it */
  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  /** Bytes of its frames. */
  get payloadBytes(): number {
    return this.#end - payloadStart;
  }

  fits(frame: RecordFrame, payloadBytes: number): boolean {
    return this.#end + frameBytesMax(frame, payloadBytes) + tagBytes + digestBytes <= this.buffer.length;
  }

  add(frame: RecordFrame, payload: Payload, timeMs: number): void {
    this.#end = writeFrame(this.buffer, this.#end, frame, payload, timeMs);
  }

  /**
   * Closes the segment, encrypted where there is a key.
   * @returns its bytes for the file, and its digest, which the next segment continues
   */
  seal(index: number, previousDigest: string, dataKey: Uint8Array | undefined): { bytes: Buffer; digest: string } {
    const { buffer } = this;
    const end = this.#end + (dataKey === undefined ? 0 : tagBytes);
    buffer.write(previousDigest, 0, digestBytes, 'latin1');
    buffer.writeUInt32BE(segmentMagic, digestBytes);
    buffer.writeUInt32BE(index, digestBytes + 4);
    buffer.writeUInt32BE(end - payloadStart, digestBytes + 8);
    if (dataKey !== undefined) {
      const head = buffer.subarray(digestBytes, payloadStart);
      const payload = buffer.subarray(payloadStart, this.#end);
      encryptSegment(dataKey, index, head, payload, buffer.subarray(this.#end, end));
    }
    const digest = digestOf(buffer.subarray(0, end));
    buffer.write(digest, end, digestBytes, 'latin1');
    return { bytes: buffer.subarray(digestBytes, end + digestBytes), digest };
  }
}

/** What a segment's buffer holds besides payload. */
const overheadBytes = payloadStart + tagBytes + digestBytes;

/** Buffers for segments, kept for reuse: a session that is quiet holds none. */
export class SegmentPool {
  readonly #spare: Buffer[] = [];

  /** A buffer that takes at least this frame. */
  take(frame: RecordFrame, payloadBytes: number): Buffer {
    const bytes = Math.max(limits.recordSegmentBytes, frameBytesMax(frame, payloadBytes) + overheadBytes);
    return (bytes === limits.recordSegmentBytes ? this.#spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
  }

  give(buffer: Buffer): void {
    if (buffer.length === limits.recordSegmentBytes && this.#spare.length < limits.recordSpareSegmentsMax)
      this.#spare.push(buffer);
  }
}

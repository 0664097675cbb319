import type { Fault } from '../../../core/types.ts';
import { headerBytes } from './packet-types.ts';

/** Receives what a {@link PacketReader} finds, in stream order. */
export interface PacketSink {
  /**
   * How much of a packet of `total` bytes (its length field included) is wanted in one piece before `onPacket`; the
   * header at least, the whole packet at most. Asked once a packet. Bounds what the reader holds.
   */
  prefixBytes(type: number, id: number, total: number): number;
  /**
   * A packet begins. `chunk[from..to)` is at least its prefix and at most all of it: the chunk that was pushed when the
   * prefix lay wholly in it, else a buffer of its own. A view: copy what is kept. Returning `true` stops the reader
   * behind it.
   */
  onPacket(type: number, id: number, total: number, chunk: Buffer, from: number, to: number): boolean;
  /** More of the packet that was begun: `chunk[from..to)`. Returning `true` stops the reader behind it. */
  onPart(chunk: Buffer, from: number, to: number, last: boolean): boolean;
}

/**
 * Finds the packets in one direction of an SFTP stream, cut anywhere. Keeps at most one prefix; everything else is
 * handed on as ranges of the chunk it came in, without a copy.
 */
export class PacketReader {
  readonly #packetBytesMax: number;
  readonly #header = Buffer.alloc(headerBytes);
  /** What was read of a prefix that did not come in one chunk, and how much of it there is to be. */
  #partial: Buffer | undefined;
  #filled = 0;
  #wanted = 0;
  /** Bytes of the packet that was begun which are still to come. */
  #rest = 0;
  #fault: Fault | undefined;

  /** `packetBytesMax` is what the length field of a packet may say at most. */
  constructor(packetBytesMax: number) {
    this.#packetBytesMax = packetBytesMax;
  }

  /** True between two packets: no byte of an unfinished one has been read. */
  get atBoundary(): boolean {
    return this.#rest === 0 && this.#partial === undefined;
  }

  /** True while a packet was begun and is not at its end. */
  get midPacket(): boolean {
    return this.#rest > 0;
  }

  /**
   * Reads `chunk`. Returns how many bytes were consumed: all of them, or fewer when the sink stopped the reader (push
   * the remainder to go on). Returns the fault when a length is impossible; every later push returns it too.
   */
  push(chunk: Buffer, sink: PacketSink): number | Fault {
    if (this.#fault !== undefined) return this.#fault;
    const end = chunk.length;
    let at = 0;
    while (at < end) {
      if (this.#rest > 0) {
        const from = at;
        at = Math.min(end, from + this.#rest);
        this.#rest -= at - from;
        if (sink.onPart(chunk, from, at, this.#rest === 0)) return at;
        continue;
      }
      if (this.#partial === undefined && end - at >= headerBytes) {
        const total = this.#total(chunk, at);
        if (typeof total !== 'number') return total;
        const type = chunk.readUInt8(at + 4);
        const id = chunk.readUInt32BE(at + 5);
        const wanted = prefix(sink, type, id, total);
        if (end - at >= wanted) {
          const from = at;
          at = Math.min(end, from + total);
          this.#rest = from + total - at;
          if (sink.onPacket(type, id, total, chunk, from, at)) return at;
          continue;
        }
        this.#partial = Buffer.allocUnsafe(wanted);
        this.#wanted = wanted;
      }
      at = this.#collect(chunk, at);
      if (this.#filled < this.#wanted) break;
      const stop = this.#finish(sink);
      if (typeof stop !== 'boolean') return stop;
      if (stop) return at;
    }
    return end;
  }

  #collect(chunk: Buffer, at: number): number {
    if (this.#partial === undefined) {
      this.#partial = this.#header;
      this.#wanted = headerBytes;
    }
    const to = Math.min(at + this.#wanted - this.#filled, chunk.length);
    chunk.copy(this.#partial, this.#filled, at, to);
    this.#filled += to - at;
    return to;
  }

  /** The header is whole and may ask for more, or the prefix is whole. True when the sink asked to stop. */
  #finish(sink: PacketSink): boolean | Fault {
    const collected = this.#partial ?? this.#header;
    const total = this.#total(collected, 0);
    if (typeof total !== 'number') return total;
    const type = collected.readUInt8(4);
    const id = collected.readUInt32BE(5);
    if (collected === this.#header) {
      const wanted = prefix(sink, type, id, total);
      this.#partial = Buffer.allocUnsafe(wanted);
      this.#header.copy(this.#partial);
      this.#wanted = wanted;
      if (wanted > headerBytes) return false;
    }
    const whole = this.#partial ?? collected;
    this.#partial = undefined;
    this.#filled = 0;
    this.#rest = total - this.#wanted;
    return sink.onPacket(type, id, total, whole, 0, this.#wanted);
  }

  /** The bytes of a whole packet whose header is at `at`, or the fault of its length. */
  #total(bytes: Buffer, at: number): number | Fault {
    const length = bytes.readUInt32BE(at);
    if (length < headerBytes - 4) {
      this.#fault = { code: 'operation_malformed', message: `A packet of ${length} bytes is none.` };
      return this.#fault;
    }
    if (length > this.#packetBytesMax) {
      this.#fault = { code: 'operation_too_large', message: `A packet of ${length} bytes is over the bound.` };
      return this.#fault;
    }
    return length + 4;
  }
}

function prefix(sink: PacketSink, type: number, id: number, total: number): number {
  return Math.min(total, Math.max(headerBytes, sink.prefixBytes(type, id, total)));
}

import { ProtocolFault } from './fault.ts';
import { type Direction, knownTypes } from './message-types.ts';

/** Receives what a {@link MessageReader} finds, in stream order. */
export interface MessageSink {
  /**
   * One inspected message, whole. `body` is what follows the length. `chunk.subarray(from, to)` is the message with
   * its header: the chunk that was pushed when it lay wholly in it, else a buffer of its own. Both are views: copy
   * what is kept after the next `push`. Returning `true` stops the reader right behind this
   * message; `false` goes on.
   */
  onMessage(type: number, body: Buffer, chunk: Buffer, from: number, to: number): boolean;
  /**
   * A part of a message that is not inspected: `chunk[from..to)`. The `first` part holds the whole five-byte header
   * (and is a buffer of its own when the header was split); `last` is set when the message ends with this part.
   */
  onPassthrough(type: number, chunk: Buffer, from: number, to: number, first: boolean, last: boolean): void;
  /**
   * An inspected message of `bytes` (header included) that is over its bound. `true`: its bytes are discarded as they
   * arrive and the stream goes on behind it. Without this method, or otherwise, it is a fault.
   */
  onOversize?(type: number, bytes: number): boolean;
}

/** How a {@link MessageReader} treats each message. Both functions are asked once a message, at its header. */
export interface MessageReaderOptions {
  readonly direction: Direction;
  /** Whether messages of this type are to be accumulated whole. May change its answer from message to message. */
  readonly inspect: (type: number) => boolean;
  /** The most bytes, header included, that an inspected message of this type may have. */
  readonly maxInspectedBytes: (type: number) => number;
  /** The most bytes, header included, that any message may have. */
  readonly maxMessageBytes: number;
}

const headerBytes = 5;
const firstCapacityBytes = 8 * 1024;

/**
 * Finds the messages in a stream, after the startup packet, cut anywhere. Keeps at most a header and one inspected
 * message; what is not inspected is handed on as ranges of the chunk it came in, without a copy.
 *
 * The length is never trusted with memory: the buffer of a message in several chunks grows with what arrived.
 *
 * @see https://www.postgresql.org/docs/18/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS
 */
export class MessageReader {
  readonly #options: MessageReaderOptions;
  readonly #known: Uint8Array;
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #type = 0;
  /** Bytes of the current passed-through or discarded message still to come. */
  #skip = 0;
  #discard = false;
  /** The current inspected message, header included, while it is incomplete. */
  #partial: Buffer | undefined;
  #partialFilled = 0;
  #partialBytes = 0;
  #fault: ProtocolFault | undefined;

  constructor(options: MessageReaderOptions) {
    this.#options = options;
    this.#known = knownTypes(options.direction);
  }

  /** True between two messages: no byte of an unfinished one has been read. */
  get atBoundary(): boolean {
    return this.#skip === 0 && this.#headerFilled === 0 && this.#partial === undefined;
  }

  /**
   * Reads `chunk`. Returns how many bytes were consumed: all of them, or fewer when the sink stopped the reader (push
   * the remainder to go on). Returns the fault when the stream is not protocol 3.0 or breaks a bound; every later
   * push returns it too.
   */
  push(chunk: Buffer, sink: MessageSink): number | ProtocolFault {
    if (this.#fault !== undefined) return this.#fault;
    const end = chunk.length;
    let at = 0;
    while (at < end) {
      if (this.#skip > 0) {
        at = this.#pass(chunk, at, sink);
      } else if (this.#partial !== undefined) {
        at = this.#accumulate(this.#partial, chunk, at);
        if (this.#partialFilled === this.#partialBytes && this.#finish(sink)) return at;
      } else if (this.#headerFilled > 0 || end - at < headerBytes) {
        const wanted = Math.min(headerBytes - this.#headerFilled, end - at);
        chunk.copy(this.#header, this.#headerFilled, at, at + wanted);
        this.#headerFilled += wanted;
        at += wanted;
        // An unknown type is a fault at its first byte: a peer that speaks something else may never send five.
        if (this.#known[this.#header[0] ?? 0] === 0) return this.#fail('operation_malformed', 'unknown message type');
        if (this.#headerFilled < headerBytes) break;
        this.#headerFilled = 0;
        const stop = this.#startSplit(sink);
        if (stop === true) return at;
        if (stop !== false) return stop;
      } else {
        const type = chunk[at] ?? 0;
        const total = this.#size(type, chunk.readInt32BE(at + 1));
        if (typeof total !== 'number') return total;
        const to = at + total;
        if (!this.#options.inspect(type)) {
          const last = to <= end;
          sink.onPassthrough(type, chunk, at, last ? to : end, true, last);
          if (!last) {
            this.#type = type;
            this.#skip = to - end;
          }
          at = last ? to : end;
        } else if (total > this.#options.maxInspectedBytes(type)) {
          const fault = this.#oversize(type, total, sink);
          if (fault !== undefined) return fault;
          this.#skip = total;
        } else if (to <= end) {
          if (sink.onMessage(type, chunk.subarray(at + headerBytes, to), chunk, at, to) === true) return to;
          at = to;
        } else {
          this.#begin(type, total);
        }
      }
    }
    return end;
  }

  /** The header came in several chunks and is now whole in `#header`. True when the sink asked to stop. */
  #startSplit(sink: MessageSink): boolean | ProtocolFault {
    const type = this.#header[0] ?? 0;
    const total = this.#size(type, this.#header.readInt32BE(1));
    if (typeof total !== 'number') return total;
    if (!this.#options.inspect(type)) {
      sink.onPassthrough(type, Buffer.from(this.#header), 0, headerBytes, true, total === headerBytes);
      this.#type = type;
      this.#skip = total - headerBytes;
    } else if (total > this.#options.maxInspectedBytes(type)) {
      const fault = this.#oversize(type, total, sink);
      if (fault !== undefined) return fault;
      this.#skip = total - headerBytes;
      this.#discard = this.#skip > 0;
    } else {
      const message = this.#begin(type, total);
      this.#header.copy(message);
      this.#partialFilled = headerBytes;
      if (total === headerBytes) return this.#finish(sink);
    }
    return false;
  }

  #pass(chunk: Buffer, at: number, sink: MessageSink): number {
    const to = Math.min(at + this.#skip, chunk.length);
    this.#skip -= to - at;
    if (!this.#discard) sink.onPassthrough(this.#type, chunk, at, to, false, this.#skip === 0);
    else if (this.#skip === 0) this.#discard = false;
    return to;
  }

  #begin(type: number, total: number): Buffer {
    const message = Buffer.allocUnsafe(Math.min(total, firstCapacityBytes));
    this.#type = type;
    this.#partial = message;
    this.#partialFilled = 0;
    this.#partialBytes = total;
    return message;
  }

  #accumulate(partial: Buffer, chunk: Buffer, at: number): number {
    const wanted = Math.min(this.#partialBytes - this.#partialFilled, chunk.length - at);
    const needed = this.#partialFilled + wanted;
    let target = partial;
    if (needed > partial.length) {
      target = Buffer.allocUnsafe(Math.min(this.#partialBytes, Math.max(needed, partial.length * 2)));
      partial.copy(target, 0, 0, this.#partialFilled);
      this.#partial = target;
    }
    chunk.copy(target, this.#partialFilled, at, at + wanted);
    this.#partialFilled = needed;
    return at + wanted;
  }

  #finish(sink: MessageSink): boolean {
    const message = this.#partial;
    if (message === undefined) return false;
    this.#partial = undefined;
    const total = this.#partialBytes;
    return sink.onMessage(this.#type, message.subarray(headerBytes, total), message, 0, total) === true;
  }

  /** The bytes of the whole message, or the fault of its header. `length` counts itself and the body, not the type. */
  #size(type: number, length: number): number | ProtocolFault {
    if (this.#known[type] === 0) return this.#fail('operation_malformed', 'unknown message type');
    if (length < 4) return this.#fail('operation_malformed', `length ${length} of a message is below 4`);
    if (length + 1 > this.#options.maxMessageBytes) {
      return this.#fail('operation_too_large', `a message of ${length} bytes is over the bound`);
    }
    return length + 1;
  }

  #oversize(type: number, total: number, sink: MessageSink): ProtocolFault | undefined {
    if (sink.onOversize?.(type, total) !== true) {
      return this.#fail('operation_too_large', `a message of ${total} bytes is over the bound`);
    }
    this.#type = type;
    this.#discard = true;
    return undefined;
  }

  #fail(code: ProtocolFault['code'], message: string): ProtocolFault {
    this.#fault = new ProtocolFault(code, message);
    return this.#fault;
  }
}

import type { Duplex } from 'node:stream';
import { ProtocolFault } from './codec.ts';

/**
 * Takes exact numbers of bytes from a socket during a login. What was not asked for stays in the socket, whose own
 * high-water mark bounds it, so that the socket can be handed on (to TLS, to the relay) without losing a byte.
 */
export class ByteSource {
  readonly #socket: Duplex;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('readable', this.#awake);
    socket.on('end', this.#end);
    socket.on('close', this.#end);
  }

  /** The next `count` bytes, or `undefined` when the stream ends (or {@link ByteSource.cancel} is called) before them. */
  async read(count: number): Promise<Buffer | undefined> {
    while (!this.#ended) {
      const bytes: unknown = this.#socket.read(count);
      // An ended stream gives what is left, which may be less.
      if (bytes instanceof Buffer) return bytes.length === count ? bytes : undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return undefined;
  }

  /** The next message of at most `bytesMax`, header included, or why there is none. */
  async message(bytesMax: number): Promise<{ type: number; body: Buffer } | ProtocolFault | undefined> {
    const header = await this.read(5);
    if (header === undefined) return undefined;
    const length = header.readInt32BE(1);
    if (length < 4) return new ProtocolFault('operation_malformed', `length ${length} of a message is below 4`);
    if (length + 1 > bytesMax) {
      return new ProtocolFault('operation_too_large', `a message of ${length} bytes is over the bound`);
    }
    const body = length === 4 ? Buffer.alloc(0) : await this.read(length - 4);
    return body === undefined ? undefined : { type: header.readUInt8(0), body };
  }

  /** Ends a waiting `read` and every later one. */
  cancel(): void {
    this.#end();
  }

  /** Lets go of the socket, for its next owner. */
  release(): void {
    this.#socket.removeListener('readable', this.#awake);
    this.#socket.removeListener('end', this.#end);
    this.#socket.removeListener('close', this.#end);
  }

  readonly #awake = (): void => {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  };

  readonly #end = (): void => {
    this.#ended = true;
    this.#awake();
  };
}

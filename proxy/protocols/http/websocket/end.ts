import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Limits } from '../../../core/limits.ts';
import { type CloseWords, writeClose } from './close.ts';
import { type Opcode, opcodes, writeFrame } from './frames.ts';
import { MessageReader } from './messages.ts';
import { Pings } from './pings.ts';

/** One end of a WebSocket that is read: what it says, and what it is told. */
export class End {
  readonly isClient: boolean;
  readonly socket: Duplex;
  readonly reader: MessageReader;
  /** Those that this end asked. */
  readonly pings: Pings;
  /** It sent its Close. */
  hasClosed = false;
  /** Payload that it was sent, and the hash of that. */
  bytes = 0;
  readonly hash = createHash('sha256');
  /** It was sent a Close: nothing may follow (RFC 6455 section 5.5.1). */
  #isTold = false;

  constructor(isClient: boolean, socket: Duplex, limits: Limits) {
    this.isClient = isClient;
    this.socket = socket;
    this.reader = new MessageReader(isClient, limits.httpWebsocketMessageBytesMax);
    this.pings = new Pings(limits.httpWebsocketPingsMax);
  }

  /** Sends a whole message, a ping or a pong. */
  send(kind: 'text' | 'binary' | 'ping' | 'pong', payload: Buffer): void {
    this.bytes += payload.length;
    this.hash.update(payload);
    this.#write(opcodes[kind], payload);
  }

  /** Sends a Close, the first one only. */
  close(words: CloseWords): void {
    this.#write(opcodes.close, writeClose(words));
    this.#isTold = true;
  }

  #write(opcode: Opcode, payload: Buffer): void {
    if (this.#isTold || !this.socket.writable) return;
    this.socket.cork();
    for (const piece of writeFrame(opcode, payload, this.isClient ? undefined : randomBytes(4))) {
      this.socket.write(piece);
    }
    this.socket.uncork();
  }
}

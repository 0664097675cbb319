import { isUtf8 } from 'node:buffer';
import { HeldBytes } from '../../../core/masker.ts';
import { type CloseWords, FrameFault, readClose } from './close.ts';
import { FrameReader, opcodes, tooLarge } from './frames.ts';

/** One message, whole. */
export interface Message {
  readonly kind: 'text' | 'binary';
  readonly payload: Buffer;
}

/** What one side said. */
export type Said =
  | Message
  | { readonly kind: 'ping' | 'pong'; readonly payload: Buffer }
  | ({ readonly kind: 'close' } & CloseWords);

/**
 * Puts the frames of one direction together to messages. A message is given when it is whole, whatever it was cut into; control
 * frames between its parts come at once (RFC 6455 section 5.4). What comes behind a Close is not read.
 */
export class MessageReader {
  readonly #frames: FrameReader;
  readonly #bytesMax: number;
  #begun: 'text' | 'binary' | undefined;
  readonly #parts = new HeldBytes();
  #isClosed = false;

  /**
   * @param isMasked - true for what a client sends
   * @param bytesMax - of one message
   */
  constructor(isMasked: boolean, bytesMax: number) {
    this.#frames = new FrameReader(isMasked, bytesMax);
    this.#bytesMax = bytesMax;
  }

  /** Takes the next piece. @throws FrameFault, behind what was said before it; nothing can be read afterwards */
  *push(piece: Buffer): Generator<Said, void> {
    if (this.#isClosed) return;
    for (const { opcode, isFinal, payload } of this.#frames.push(piece)) {
      if (opcode === opcodes.close) {
        this.#isClosed = true;
        yield { kind: 'close', ...readClose(payload) };
        return;
      }
      if (opcode === opcodes.ping || opcode === opcodes.pong) {
        yield { kind: opcode === opcodes.ping ? 'ping' : 'pong', payload };
        continue;
      }
      if ((opcode === opcodes.continuation) !== (this.#begun !== undefined)) {
        throw new FrameFault(1002, 'operation_malformed', 'A message begins inside another, or goes on without one.');
      }
      this.#begun ??= opcode === opcodes.text ? 'text' : 'binary';
      if (this.#parts.length + payload.length > this.#bytesMax) throw tooLarge(this.#bytesMax);
      if (!isFinal) this.#parts.append(payload, 0, payload.length);
      else yield this.#whole(this.#begun, payload);
    }
  }

  #whole(kind: 'text' | 'binary', last: Buffer): Message {
    const payload =
      this.#parts.length === 0 ? last : Buffer.concat([this.#parts.bytes.subarray(0, this.#parts.length), last]);
    this.#parts.clear();
    this.#begun = undefined;
    if (kind === 'text' && !isUtf8(payload)) throw new FrameFault(1007, 'operation_malformed', 'A text is not UTF-8.');
    return { kind, payload };
  }
}

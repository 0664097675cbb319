import { HeldBytes } from '../../../core/masker.ts';
import { FrameFault } from './close.ts';

/** What a frame is. @see https://www.rfc-editor.org/rfc/rfc6455#section-5.2 */
export const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** One of {@link opcodes}. */
export type Opcode = (typeof opcodes)[keyof typeof opcodes];

/** One frame, whole and unmasked. */
export interface Frame {
  readonly opcode: Opcode;
  /** The last one of its message. */
  readonly isFinal: boolean;
  readonly payload: Buffer;
}

const known: ReadonlySet<number> = new Set(Object.values(opcodes));
const controlBytesMax = 125;

/**
 * Reads the frames of one direction, strictly: no extension was agreed on, so that a reserved bit or opcode is a fault, as is a
 * frame that is masked where its direction is not, a length that is written longer than need be, and a control frame in parts.
 * The frames do not depend on how the bytes were cut.
 */
export class FrameReader {
  readonly #isMasked: boolean;
  readonly #payloadBytesMax: number;
  readonly #header = Buffer.alloc(14);
  #headerBytes = 0;
  /** How long the header is, as far as it is known by now. */
  #headerLength = 2;
  #payloadLength = 0;
  readonly #payload = new HeldBytes();

  /**
   * @param isMasked - true for what a client sends (RFC 6455 section 5.1)
   * @param payloadBytesMax - a longer frame is a fault by its header already
   */
  constructor(isMasked: boolean, payloadBytesMax: number) {
    this.#isMasked = isMasked;
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** Takes the next piece; gives the frames that end in it. @throws FrameFault, behind the frames before it; nothing can be read afterwards */
  *push(piece: Buffer): Generator<Frame, void> {
    for (let at = 0; at < piece.length; ) {
      while (this.#headerBytes < this.#headerLength && at < piece.length) {
        this.#header[this.#headerBytes++] = piece[at++] ?? 0;
        if (this.#headerBytes === 2) this.#begin();
        if (this.#headerBytes === this.#headerLength) this.#measure();
      }
      if (this.#headerBytes < this.#headerLength) return;
      const end = Math.min(piece.length, at + this.#payloadLength - this.#payload.length);
      this.#payload.append(piece, at, end);
      at = end;
      if (this.#payload.length === this.#payloadLength) yield this.#take();
    }
  }

  /** The first two bytes: they say how long the header is. */
  #begin(): void {
    const [first = 0, second = 0] = this.#header;
    const opcode = first & 0x0f;
    const length = second & 0x7f;
    if ((first & 0x70) !== 0) throw malformed('A frame has a reserved bit set.');
    if (!known.has(opcode)) throw malformed('A frame is of a kind that is not known.');
    if (second >> 7 !== Number(this.#isMasked)) throw malformed('A frame is masked where it must not be, or is not.');
    if (opcode >= opcodes.close) {
      if (first < 0x80) throw malformed('A control frame comes in parts.');
      if (length > controlBytesMax) throw malformed('A control frame is too long.');
    }
    this.#headerLength = 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (this.#isMasked ? 4 : 0);
  }

  /** The whole header: it says how long the payload is. */
  #measure(): void {
    const short = (this.#header[1] ?? 0) & 0x7f;
    const length =
      short === 127 ? this.#header.readBigUInt64BE(2) : BigInt(short === 126 ? this.#header.readUInt16BE(2) : short);
    if ((short === 127 && length < 0x10000n) || (short === 126 && length < 126n)) {
      throw malformed('A frame writes its length longer than need be.');
    }
    if (length > this.#payloadBytesMax) throw tooLarge(this.#payloadBytesMax);
    this.#payloadLength = Number(length);
  }

  #take(): Frame {
    const [first = 0] = this.#header;
    // A copy: what is held is used again.
    const payload = Buffer.from(this.#payload.bytes.subarray(0, this.#payload.length));
    if (this.#isMasked) mask(payload, this.#header.subarray(this.#headerLength - 4, this.#headerLength));
    this.#payload.clear();
    this.#headerBytes = 0;
    this.#headerLength = 2;
    return { opcode: (first & 0x0f) as Opcode, isFinal: first >= 0x80, payload };
  }
}

/**
 * Writes one frame, a whole message or a control frame, as the two or one pieces it is made of.
 *
 * @param key - four bytes, for what goes to a server: the payload is then a copy (RFC 6455 section 5.3)
 */
export function writeFrame(opcode: Opcode, payload: Buffer, key?: Buffer): Buffer[] {
  const { length } = payload;
  const header = Buffer.alloc(2 + (length > 0xffff ? 8 : length > 125 ? 2 : 0));
  header[0] = 0x80 | opcode;
  header[1] = (key === undefined ? 0 : 0x80) | (length > 0xffff ? 127 : length > 125 ? 126 : length);
  if (length > 0xffff) header.writeBigUInt64BE(BigInt(length), 2);
  else if (length > 125) header.writeUInt16BE(length, 2);
  if (key === undefined) return length === 0 ? [header] : [header, payload];
  const masked = Buffer.from(payload);
  mask(masked, key);
  return [header, key, masked];
}

function mask(bytes: Buffer, key: Buffer): void {
  for (let at = 0; at < bytes.length; at++) bytes[at] = (bytes[at] ?? 0) ^ (key[at & 3] ?? 0);
}

function malformed(message: string): FrameFault {
  return new FrameFault(1002, 'operation_malformed', message);
}

/** What is longer than is held. */
export function tooLarge(bytesMax: number): FrameFault {
  return new FrameFault(1009, 'operation_too_large', `A message has at most ${bytesMax} bytes.`);
}

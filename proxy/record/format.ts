import { hash } from 'node:crypto';
import type { RecordFrame } from '../core/ports.ts';

/** `SPSG` */
export const segmentMagic = 0x53505347;
/** Magic, index, payload length. */
export const segmentHeadBytes = 12;
export const digestBytes = 32;

/** Flags of a frame. */
export const flags = { json: 1, truncated: 2 } as const;

/** length, kind length, decision length, time, flags, original length */
const frameFixedBytes = 4 + 1 + 1 + 6 + 1 + 4;
const shortTextBytesMax = 255;

/** The most bytes that {@link writeFrame} takes for a payload of this size. */
export function frameBytesMax(frame: RecordFrame, payloadBytes: number): number {
  return frameFixedBytes + frame.kind.length + (frame.decisionId?.length ?? 0) + payloadBytes;
}

/** What a frame carries: bytes as they are, or JSON text with the number of its bytes. */
export interface Payload {
  readonly data: Uint8Array | string;
  readonly bytes: number;
  /** How long it was before it was replaced by a note that it was too long; 0 when it was not. */
  readonly truncatedFrom: number;
}

/**
 * Writes one frame at `at`. The caller made sure of the room.
 * @param timeMs - since the recording began
 * @returns where the frame ends
 */
export function writeFrame(target: Buffer, at: number, frame: RecordFrame, payload: Payload, timeMs: number): number {
  let end = at + 4;
  end = writeShortText(target, end, frame.kind);
  end = writeShortText(target, end, frame.decisionId ?? '');
  const time = Math.max(0, Math.floor(timeMs));
  target.writeUInt16BE(Math.floor(time / 0x1_0000_0000) & 0xffff, end);
  target.writeUInt32BE(time % 0x1_0000_0000, end + 2);
  end += 6;
  const { data } = payload;
  target[end++] = (typeof data === 'string' ? flags.json : 0) | (payload.truncatedFrom > 0 ? flags.truncated : 0);
  if (payload.truncatedFrom > 0) end = target.writeUInt32BE(payload.truncatedFrom, end);
  if (typeof data === 'string') end += target.write(data, end, 'utf8');
  else {
    target.set(data, end);
    end += data.length;
  }
  target.writeUInt32BE(end - at - 4, at);
  return end;
}

/** One length byte, then Latin-1: kinds and decision ids are ASCII. */
function writeShortText(target: Buffer, at: number, text: string): number {
  if (text.length > shortTextBytesMax) throw new RangeError('a kind or decision id of a frame is too long');
  target[at] = text.length;
  return at + 1 + target.write(text, at + 1, 'latin1');
}

/** `SHA-256(previous digest ‖ segment head ‖ payload)`, where the first previous digest is that of the header line. */
export function digestOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'binary');
}

import { isUtf8 } from 'node:buffer';
import { begunBytes } from '../../../core/masker/utf8.ts';

/** Why a WebSocket is ended by the gateway, in the protocol's numbers and in ours. */
export class FrameFault extends Error {
  /** RFC 6455 section 7.4.1: what whoever is at fault is told. */
  readonly closeCode: number;
  /** A code of a refusal. */
  readonly code: string;

  constructor(closeCode: number, code: string, message: string) {
    super(message);
    this.name = 'FrameFault';
    this.closeCode = closeCode;
    this.code = code;
  }
}

/** What a Close frame says. Without a code it says nothing. */
export interface CloseWords {
  readonly closeCode: number | undefined;
  readonly reason: Buffer;
}

/** A control frame has 125 bytes, two of which are the code. */
const reasonBytesMax = 123;

/** Reads the payload of a Close frame. @throws FrameFault for what must not be in one (RFC 6455 sections 5.5.1 and 7.4) */
export function readClose(payload: Buffer): CloseWords {
  if (payload.length === 0) return { closeCode: undefined, reason: payload };
  const closeCode = payload.length === 1 ? 0 : payload.readUInt16BE(0);
  const reason = payload.subarray(2);
  const isKnown = (closeCode >= 1000 && closeCode <= 1014) || (closeCode >= 3000 && closeCode <= 4999);
  // 1004 is reserved; 1005 and 1006 stand for what was never sent.
  if (!isKnown || [1004, 1005, 1006].includes(closeCode)) {
    throw new FrameFault(1002, 'operation_malformed', 'A Close frame has a code that must not be sent.');
  }
  if (!isUtf8(reason)) throw new FrameFault(1007, 'operation_malformed', 'The reason of a close is not UTF-8.');
  return { closeCode, reason };
}

/** Writes the payload of a Close frame; a reason that is too long is cut between two characters. */
export function writeClose({ closeCode, reason }: CloseWords): Buffer {
  if (closeCode === undefined) return Buffer.alloc(0);
  const cut = reason.subarray(0, reasonBytesMax);
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(closeCode);
  return Buffer.concat([payload, cut.subarray(0, cut.length - begunBytes(cut))]);
}

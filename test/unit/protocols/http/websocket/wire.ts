/** WebSocket frames as bytes, well-formed or not. Uses no test framework. */

/** How a frame is written. */
export interface Written {
  readonly opcode: number;
  readonly payload?: Buffer | string;
  readonly final?: boolean;
  /** RSV1 is 4, RSV2 is 2, RSV3 is 1. */
  readonly reserved?: number;
  /** True for what a client sends. */
  readonly masked?: boolean;
  /** The bytes of its length behind the first: 0, 2 or 8; as short as can be unless said. */
  readonly lengthBytes?: 0 | 2 | 8;
}

/** Writes one frame. */
export function frame({ opcode, payload = '', final = true, reserved = 0, masked = false, lengthBytes }: Written) {
  const bytes = Buffer.from(payload);
  const size = lengthBytes ?? (bytes.length > 0xffff ? 8 : bytes.length > 125 ? 2 : 0);
  const length = Buffer.alloc(size);
  if (size === 2) length.writeUInt16BE(bytes.length);
  if (size === 8) length.writeBigUInt64BE(BigInt(bytes.length));
  const short = size === 0 ? bytes.length : size === 2 ? 126 : 127;
  const key = masked ? Buffer.from([0x37, 0xfa, 0x21, 0x3d]) : Buffer.alloc(0);
  return Buffer.concat([
    Buffer.from([(final ? 0x80 : 0) | (reserved << 4) | opcode, (masked ? 0x80 : 0) | short]),
    ...[length, key],
    masked ? Buffer.from(bytes.map((byte, at) => byte ^ (key[at & 3] ?? 0))) : bytes,
  ]);
}

/** The payload of a Close. */
export function closing(code: number, reason: Buffer | string = ''): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return Buffer.concat([payload, Buffer.from(reason)]);
}

/** Small pieces that messages are built from. */

/** One byte. */
export function uint8(value: number): Buffer {
  return Buffer.from([value]);
}

/** Two bytes, big-endian; takes -32,768 to 65,535, since counts are unsigned and attribute numbers are not. */
export function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  if (value < 0) bytes.writeInt16BE(value);
  else bytes.writeUInt16BE(value);
  return bytes;
}

/** Four bytes, big-endian; takes -2³¹ to 2³²-1, since OIDs are unsigned and lengths are not. */
export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  if (value < 0) bytes.writeInt32BE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

/** A NUL-terminated string. @throws RangeError when `value` contains a NUL, which would end it early. */
export function cstring(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  if (bytes.includes(0)) throw new RangeError('a string on the wire cannot contain NUL');
  return Buffer.concat([bytes, nul]);
}

/** A counted list: int16 count, then the items. */
export function list(items: readonly Uint8Array[]): Buffer {
  return Buffer.concat([int16(items.length), ...items]);
}

/** A value: int32 length and bytes, or -1 for NULL. */
export function nullable(value: Uint8Array | null): Buffer {
  return value === null ? int32(-1) : Buffer.concat([int32(value.length), value]);
}

/** A whole message: type byte, length, body. */
export function message(type: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 4;
  for (const part of parts) length += part.length;
  const bytes = Buffer.allocUnsafe(length + 1);
  bytes.writeUInt8(type, 0);
  bytes.writeInt32BE(length, 1);
  let at = 5;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const nul = Buffer.alloc(1);

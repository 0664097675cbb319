import { Cursor, packet, string, uint32, uint64, utf8 } from './bytes.ts';
import { handleBytesMax, headerBytes, packetTypes, sftpVersion, statusCodes } from './packet-types.ts';
import { isKnownExtension } from './requests.ts';

/** A STATUS of the gateway's own. `text` is for people; a client may show it. */
export function statusReply(id: number, code: number, text: string): Buffer {
  return packet(packetTypes.status, id, uint32(code), string(text), string('en'));
}

/** The INIT that is sent to the host whatever version the client offered: later versions are other protocols. */
export function initPacket(): Buffer {
  return packet(packetTypes.init, sftpVersion);
}

/**
 * The host's VERSION as the client is shown it: with those extensions alone that are let through, so that clients do
 * without the others from the start. Undefined when it is malformed or of another version.
 */
export function visibleVersion(whole: Buffer): Buffer | undefined {
  const cursor = new Cursor(whole.subarray(headerBytes));
  if (whole.readUInt32BE(5) !== sftpVersion) return undefined;
  const shown: Buffer[] = [];
  while (cursor.ok && !cursor.done) {
    const called = cursor.string();
    const value = cursor.string();
    if (cursor.ok && isKnownExtension(called.toString('latin1'))) shown.push(string(called), string(value));
  }
  return cursor.done ? packet(packetTypes.version, sftpVersion, ...shown) : undefined;
}

/** The handle of a HANDLE, byte for byte as latin1; undefined when the packet is malformed. */
export function handleOf(whole: Buffer): string | undefined {
  const cursor = new Cursor(whole.subarray(headerBytes));
  const handle = cursor.string();
  return cursor.done && handle.length <= handleBytesMax ? handle.toString('latin1') : undefined;
}

/** The one path that a NAME answers REALPATH with; undefined when it is none, or not text. */
export function pathOf(whole: Buffer): string | undefined {
  if (whole.readUInt8(4) !== packetTypes.name) return undefined;
  const cursor = new Cursor(whole.subarray(headerBytes));
  const count = cursor.uint32();
  const path = cursor.string();
  if (!cursor.ok || count !== 1 || path.includes(0)) return undefined;
  return utf8(path);
}

/** The code of a STATUS, or `ok` for any other answer; undefined when the STATUS is cut short. */
export function statusOf(packetStart: Buffer): number | undefined {
  if (packetStart.readUInt8(4) !== packetTypes.status) return statusCodes.ok;
  return packetStart.length < headerBytes + 4 ? undefined : packetStart.readUInt32BE(headerBytes);
}

/** The same packet under another id. Writes into the bytes it is given and returns them. */
export function readdressed(start: Buffer, id: number): Buffer {
  start.writeUInt32BE(id, 5);
  return start;
}

/**
 * The answer to `limits@openssh.com`, with nothing in it above the gateway's own bounds: a host may take longer packets,
 * but they would not reach it. Any other answer is returned as it is.
 */
export function clampedLimits(whole: Buffer, packetBytesMax: number, handlesMax: number): Buffer {
  if (whole.readUInt8(4) !== packetTypes.extendedReply) return whole;
  const cursor = new Cursor(whole.subarray(headerBytes));
  const [packetBytes, readBytes, writeBytes, handles] = [
    cursor.uint64(),
    cursor.uint64(),
    cursor.uint64(),
    cursor.uint64(),
  ];
  if (!cursor.ok) return whole;
  const dataBytesMax = packetBytesMax - 1_024;
  return packet(
    packetTypes.extendedReply,
    whole.readUInt32BE(5),
    uint64(Math.min(packetBytes, packetBytesMax)),
    uint64(Math.min(readBytes, dataBytesMax)),
    uint64(Math.min(writeBytes, dataBytesMax)),
    // 0 is a host's word for "not known".
    uint64(Math.min(handles || handlesMax, handlesMax)),
  );
}

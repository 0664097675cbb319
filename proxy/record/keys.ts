import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { Json, JsonObject } from '../core/types.ts';

/** Wraps the data keys of recordings. Made from a secret; neither secret nor key is in any file. */
export interface RecordingKey {
  /** Names the key in the header of a recording, so that it can be replaced. Tells nothing about it. */
  readonly id: string;
  readonly wrapping: Uint8Array;
}

const cipher = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;

/** What GCM adds to a segment: the tag that proves it. */
export const tagBytes = 16;

/**
 * A key from a secret.
 * @param secret - at least `limits.recordKeyBytesMin` bytes, random
 * @throws RangeError when it is shorter
 */
export function recordingKey(secret: Uint8Array): RecordingKey {
  if (secret.length < limits.recordKeyBytesMin)
    throw new RangeError(`the key of recordings has ${secret.length} bytes; it needs ${limits.recordKeyBytesMin}`);
  const derive = (info: string, bytes: number) =>
    new Uint8Array(hkdfSync('sha256', secret, 'sallyport recordings', info, bytes));
  return { id: Buffer.from(derive('key id', 8)).toString('hex'), wrapping: derive('key encryption', keyBytes) };
}

/** A new data key for one recording, and what its header says so that it can be opened again. */
export function newDataKey(key: RecordingKey, session: string): { dataKey: Uint8Array; encryption: JsonObject } {
  const dataKey = randomBytes(keyBytes);
  const nonce = randomBytes(nonceBytes);
  const wrap = createCipheriv(cipher, key.wrapping, nonce).setAAD(Buffer.from(session));
  const wrapped = Buffer.concat([nonce, wrap.update(dataKey), wrap.final(), wrap.getAuthTag()]);
  return { dataKey, encryption: { cipher, key_id: key.id, wrapped_key: wrapped.toString('base64url') } };
}

/** The recording is encrypted with a key that was not given. */
export class RecordingLocked extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RecordingLocked';
  }
}

/**
 * The data key of a recording from its header. Undefined when the recording is in clear.
 * @throws RecordingLocked when none of the keys opens it.
 */
export function openDataKey(header: JsonObject, keys: readonly RecordingKey[]): Uint8Array | undefined {
  const { encryption, session } = header;
  if (encryption === undefined) return undefined;
  const { key_id: id, wrapped_key: wrapped } = asObject(encryption);
  const key = keys.find((one) => one.id === id);
  if (key === undefined) throw new RecordingLocked(`encrypted with the key ${String(id)}, which was not given`);
  try {
    const bytes = Buffer.from(String(wrapped), 'base64url');
    const unwrap = createDecipheriv(cipher, key.wrapping, bytes.subarray(0, nonceBytes));
    unwrap.setAAD(Buffer.from(String(session))).setAuthTag(bytes.subarray(-tagBytes));
    const dataKey = Buffer.concat([unwrap.update(bytes.subarray(nonceBytes, -tagBytes)), unwrap.final()]);
    if (dataKey.length === keyBytes) return dataKey;
  } catch {
    // Said below.
  }
  throw new RecordingLocked(`the header does not open with the key ${key.id}: it was changed`);
}

function asObject(value: Json): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

/** A data key encrypts one recording, so the number of a segment is a nonce that never comes twice. */
function nonceOf(segment: number): Buffer {
  const nonce = Buffer.alloc(nonceBytes);
  nonce.writeUInt32BE(segment, nonceBytes - 4);
  return nonce;
}

/** Encrypts the payload of a segment where it stands, and writes the tag behind it. @param head - is proven with it */
export function encryptSegment(
  dataKey: Uint8Array,
  segment: number,
  head: Uint8Array,
  payload: Buffer,
  tag: Buffer,
): void {
  const seal = createCipheriv(cipher, dataKey, nonceOf(segment)).setAAD(head);
  seal.update(payload).copy(payload);
  seal.final();
  seal.getAuthTag().copy(tag);
}

/** The payload of a segment in clear. @throws Error when it is not what was encrypted */
export function decryptSegment(dataKey: Uint8Array, segment: number, head: Uint8Array, payload: Buffer): Buffer {
  const open = createDecipheriv(cipher, dataKey, nonceOf(segment)).setAAD(head);
  open.setAuthTag(payload.subarray(-tagBytes));
  const clear = open.update(payload.subarray(0, -tagBytes));
  open.final();
  return clear;
}

import { GatewayError } from '../core/errors.ts';
import type { AuditEvent } from '../core/ports.ts';
import type { JsonObject } from '../core/types.ts';
import { hashPrefix, macPrefix, sealBytes, sealSuffix } from './seal.ts';

/** The version of the format, in every `trail_opened` event. */
export const formatVersion = 2;

/** Events of the trail itself; all others come from the gate. */
export const trailOpened = 'trail_opened';
export const trailClosed = 'trail_closed';

/** Members that every line has; an event may not bring its own. */
const reserved = ['seq', 'time', 'event', 'hash', 'mac'] as const;

/** Room for what {@link lineStart} and the seal add to an event. */
export const lineOverheadBytes = 384;

/**
 * An event on its way to its place in the trail. Kept in parts, because joining strings costs more than writing
 * the parts one after the other.
 */
export interface Entry {
  readonly time: string;
  readonly event: string;
  /** Serialised members, without braces, UTF-8 when written. Either may be empty. */
  readonly members: string;
  readonly own: string;
}

/**
 * Serialises an event.
 * @throws GatewayError `internal_error` when the event could not be one line of the trail.
 */
export function serialiseEvent(event: AuditEvent, time: string, bytesMax: number): Entry {
  for (const name of reserved) if (name in event.own) throw unfit(event, `brings its own "${name}"`);
  const { members } = event;
  const own = serialiseOwn(event).slice(1, -1);
  const length = members.length + own.length;
  if (length * 3 > bytesMax && Buffer.byteLength(members) + Buffer.byteLength(own) > bytesMax)
    throw unfit(event, `is larger than ${bytesMax} bytes`);
  if (members.includes('\n')) throw unfit(event, 'contains a raw line feed');
  return { time, event: event.event, members, own };
}

function serialiseOwn(event: AuditEvent): string {
  try {
    return JSON.stringify(event.own);
  } catch (cause) {
    throw new GatewayError('internal_error', `an audit event "${event.event}" cannot be serialised`, { cause });
  }
}

function unfit(event: AuditEvent, why: string): GatewayError {
  return new GatewayError('internal_error', `an audit event "${event.event}" ${why}`);
}

/** What comes before an entry's members: `{"seq":1,"time":"…","event":"…"`. ASCII. */
export function lineStart(seq: number, entry: Entry): string {
  return `{"seq":${seq},"time":"${entry.time}","event":"${entry.event}"`;
}

/** One line, taken apart. The members are whatever the event brought. */
export interface Line {
  readonly seq: number;
  readonly time: string;
  readonly event: string;
  readonly hash: string;
  readonly mac: string;
  /** The bytes the hash covers, besides the hash before. */
  readonly open: Uint8Array;
  readonly members: JsonObject;
}

const sealPattern = new RegExp(`^${hashPrefix}([0-9a-f]{64})${macPrefix}([0-9a-f]{64})${sealSuffix}$`);

/** Takes a line apart. `bytes` is without its newline. Undefined when it is not a line of a trail. */
export function parseLine(bytes: Uint8Array): Line | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const openEnd = text.length - (sealBytes - 1);
  if (openEnd < 0) return undefined;
  const [, hash, mac] = sealPattern.exec(text.toString('latin1', openEnd)) ?? [];
  if (hash === undefined || mac === undefined) return undefined;
  const members = parseObject(text);
  if (members === undefined) return undefined;
  const { seq, time, event } = members;
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1) return undefined;
  if (typeof time !== 'string' || typeof event !== 'string') return undefined;
  return { seq, time, event, hash, mac, open: text.subarray(0, openEnd), members };
}

function parseObject(text: Buffer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text.toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Narrows what `JSON.parse` gave to an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a `trail_opened` event says about the line before it. */
export interface Opening {
  readonly previous: { readonly seq: number; readonly hash: string };
  /** A last line that was cut off by a crash or a full disk; kept, and pinned by its hash. */
  readonly torn: { readonly bytes: number; readonly sha256: string } | undefined;
  readonly keyId: string;
}

/** The opening in a `trail_opened` line. Undefined when the line is not one. */
export function parseOpening(line: Line): Opening | undefined {
  const { previous, torn, key_id } = line.members;
  if (line.event !== trailOpened || !isObject(previous) || typeof key_id !== 'string') return undefined;
  if (typeof previous.seq !== 'number' || typeof previous.hash !== 'string') return undefined;
  const chain = { seq: previous.seq, hash: previous.hash };
  if (torn === undefined) return { previous: chain, torn: undefined, keyId: key_id };
  if (!isObject(torn) || typeof torn.bytes !== 'number' || typeof torn.sha256 !== 'string') return undefined;
  return { previous: chain, torn: { bytes: torn.bytes, sha256: torn.sha256 }, keyId: key_id };
}

import { createReadStream } from 'node:fs';
import { limits } from '../core/limits.ts';
import type { Json, JsonObject } from '../core/types.ts';
import { digestBytes, digestOf, flags, segmentHeadBytes, segmentMagic } from './format.ts';
import { decryptSegment, openDataKey, type RecordingKey, tagBytes } from './keys.ts';

/** One frame of a recording, or what the reader itself has to say (`header`, `cut`). */
export interface Frame {
  /** `header` comes first. `cut` comes last when the recording ends without its `end`: the gateway or its disk stopped. */
  readonly kind: string;
  /** Milliseconds since the recording began. */
  readonly timeMs: number;
  readonly decisionId: string | undefined;
  readonly data: JsonObject | Uint8Array;
  /** How many bytes the JSON had that was too long to keep; its `data` is then empty. */
  readonly truncatedFrom: number | undefined;
}

/** What was read is no recording, or not what was written. `message` says where. */
export class RecordingDamaged extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RecordingDamaged';
  }
}

/**
 * Reads a recording in bounded memory.
 * @param keys - that it may be encrypted with
 * @throws RecordingDamaged after the frames before the damage, RecordingLocked after the header; errors of the file system as
 *   they come.
 */
export function readRecording(file: string, keys: readonly RecordingKey[] = []): AsyncGenerator<Frame> {
  return parseRecording(createReadStream(file), keys);
}

/** Reads a recording from pieces of any size. */
export async function* parseRecording(
  chunks: AsyncIterable<Uint8Array>,
  keys: readonly RecordingKey[] = [],
): AsyncGenerator<Frame> {
  const parser = new Parser(keys);
  for await (const chunk of chunks) yield* parser.push(chunk);
  yield* parser.end();
}

class Parser {
  readonly #keys: readonly RecordingKey[];
  #dataKey: Uint8Array | undefined;
  #rest: Buffer = Buffer.alloc(0);
  /** Of the header line or the segment read last; undefined until the header was read. */
  #digest: string | undefined;
  #segments = 0;
  #ended = false;
  #timeMs = 0;

  constructor(keys: readonly RecordingKey[]) {
    this.#keys = keys;
  }

  *push(chunk: Uint8Array): Generator<Frame> {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    if (this.#digest === undefined) {
      const newline = this.#rest.indexOf(10);
      if (newline === -1 && this.#rest.length <= limits.recordSegmentBytesMax) return;
      const header = this.#header(this.#rest.subarray(0, newline + 1));
      yield header;
      this.#dataKey = openDataKey(header.data, this.#keys);
      this.#rest = this.#rest.subarray(newline + 1);
    }
    for (let segment = this.#segment(); segment !== undefined; segment = this.#segment()) yield* this.#frames(segment);
  }

  *end(): Generator<Frame> {
    if (this.#digest === undefined) throw new RecordingDamaged('the header is missing or incomplete');
    if (this.#ended && this.#rest.length === 0) return;
    const data = { segments: this.#segments, bytes_of_unfinished_segment: this.#rest.length };
    yield { kind: 'cut', timeMs: this.#timeMs, decisionId: undefined, data, truncatedFrom: undefined };
  }

  #header(line: Buffer): Frame & { readonly data: JsonObject } {
    const data = parseJson(line.toString('utf8'), 'the header');
    if (data.format !== 'sprec') throw new RecordingDamaged('this is not a recording');
    const version = data.encryption === undefined ? 1 : 2;
    if (data.version !== version)
      throw new RecordingDamaged(`the format has version ${String(data.version)}, not ${version}`);
    this.#digest = digestOf(line);
    return { kind: 'header', timeMs: 0, decisionId: undefined, data, truncatedFrom: undefined };
  }

  /** The payload of the next whole segment, checked. */
  #segment(): Buffer | undefined {
    const rest = this.#rest;
    if (rest.length < segmentHeadBytes) return undefined;
    const length = rest.readUInt32BE(8);
    if (rest.readUInt32BE(0) !== segmentMagic || length > limits.recordSegmentBytesMax) throw this.#damaged();
    const payloadEnd = segmentHeadBytes + length;
    if (rest.length < payloadEnd + digestBytes) return undefined;
    const digest = rest.toString('latin1', payloadEnd, payloadEnd + digestBytes);
    const previous = Buffer.from(this.#digest ?? '', 'latin1');
    if (digestOf(Buffer.concat([previous, rest.subarray(0, payloadEnd)])) !== digest) throw this.#damaged();
    if (rest.readUInt32BE(4) !== this.#segments || this.#ended) throw this.#damaged();
    this.#digest = digest;
    this.#segments += 1;
    this.#rest = rest.subarray(payloadEnd + digestBytes);
    return this.#clear(rest.subarray(0, segmentHeadBytes), rest.subarray(segmentHeadBytes, payloadEnd));
  }

  /** @param head - of the segment that was counted last */
  #clear(head: Buffer, payload: Buffer): Buffer {
    if (this.#dataKey === undefined) return payload;
    try {
      if (payload.length >= tagBytes) return decryptSegment(this.#dataKey, this.#segments - 1, head, payload);
    } catch {
      // Said below.
    }
    throw this.#damaged();
  }

  *#frames(payload: Buffer): Generator<Frame> {
    let at = 0;
    while (at < payload.length) {
      if (payload.length - at < 4) throw this.#damaged();
      const end = at + 4 + payload.readUInt32BE(at);
      if (end > payload.length) throw this.#damaged();
      const frame = this.#frame(payload.subarray(at + 4, end));
      this.#timeMs = frame.timeMs;
      this.#ended ||= frame.kind === 'end';
      yield frame;
      at = end;
    }
  }

  #frame(bytes: Buffer): Frame {
    const kind = this.#shortText(bytes, 0);
    const decision = this.#shortText(bytes, 1 + kind.length);
    let at = 2 + kind.length + decision.length;
    if (bytes.length < at + 7) throw this.#damaged();
    const timeMs = bytes.readUIntBE(at, 6);
    const set = bytes.readUInt8(at + 6);
    at += 7;
    const truncated = (set & flags.truncated) !== 0;
    if (truncated && bytes.length < at + 4) throw this.#damaged();
    const truncatedFrom = truncated ? bytes.readUInt32BE(at) : undefined;
    const body = bytes.subarray(truncated ? at + 4 : at);
    const data = (set & flags.json) === 0 ? body : parseJson(body.toString('utf8'), `a frame of kind ${kind}`);
    return { kind, timeMs, decisionId: decision === '' ? undefined : decision, data, truncatedFrom };
  }

  #shortText(bytes: Buffer, at: number): string {
    const length = bytes[at];
    if (length === undefined || bytes.length < at + 1 + length) throw this.#damaged();
    return bytes.toString('latin1', at + 1, at + 1 + length);
  }

  #damaged(): RecordingDamaged {
    return new RecordingDamaged(`segment ${this.#segments} is damaged: nothing behind it can be trusted`);
  }
}

function parseJson(text: string, what: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RecordingDamaged(`${what} is not JSON`);
  }
  if (!isObject(value)) throw new RecordingDamaged(`${what} is not an object`);
  return value;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { limits } from '../core/limits.ts';

/** One message of the `rows` frames of a PostgreSQL recording, as far as a person can read it. */
export type RecordedRow =
  | { readonly kind: 'row'; readonly values: readonly (string | null)[] }
  | { readonly kind: 'copy'; readonly text: string }
  /** What does not look like either; nothing behind it in this operation can be read. */
  | { readonly kind: 'unreadable'; readonly bytes: number };

/** The columns of a result, where the recording has them. */
export interface RecordedColumns {
  /** Type OIDs or names, and formats (0 text, 1 binary); both may be shorter than the row. */
  readonly types: readonly (number | string)[];
  readonly formats: readonly number[];
}

const dataRow = 0x44;
const copyData = 0x64;
const headBytes = 5;

/**
 * Cuts the bytes of one operation's `rows` frames into messages. Frames follow the network, not the messages, so a
 * message may begin in one and end in another.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class RowReader {
  #rest: Buffer = Buffer.alloc(0);
  #lost = false;

  /** Bytes of a last message that is not whole: the recording kept only the beginning of the operation. */
  get unfinishedBytes(): number {
    return this.#rest.length;
  }

  *push(bytes: Uint8Array, columns?: RecordedColumns): Generator<RecordedRow> {
    if (this.#lost) return;
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= headBytes) {
      const type = this.#rest.readUInt8(0);
      const end = 1 + this.#rest.readUInt32BE(1);
      if ((type !== dataRow && type !== copyData) || end < headBytes || end > limits.recordSegmentBytesMax) {
        yield this.#giveUp();
        return;
      }
      if (this.#rest.length < end) return;
      const body = this.#rest.subarray(headBytes, end);
      const row = type === copyData ? { kind: 'copy' as const, text: readable(body) } : readRow(body, columns);
      if (row === undefined) {
        yield this.#giveUp();
        return;
      }
      yield row;
      this.#rest = this.#rest.subarray(end);
    }
  }

  #giveUp(): RecordedRow {
    const { length } = this.#rest;
    this.#lost = true;
    this.#rest = Buffer.alloc(0);
    return { kind: 'unreadable', bytes: length };
  }
}

function readRow(body: Buffer, columns: RecordedColumns | undefined): RecordedRow | undefined {
  if (body.length < 2) return undefined;
  const count = body.readUInt16BE(0);
  const values: (string | null)[] = [];
  let at = 2;
  for (let index = 0; index < count; index++) {
    if (body.length - at < 4) return undefined;
    const length = body.readInt32BE(at);
    at += 4;
    if (length < -1 || length > body.length - at) return undefined;
    const value = length === -1 ? undefined : body.subarray(at, at + length);
    values.push(value === undefined ? null : readValue(value, columns?.types[index], columns?.formats[index]));
    at += Math.max(length, 0);
  }
  return at === body.length ? { kind: 'row', values } : undefined;
}

type BinaryReader = { readonly bytes: number; read(value: Buffer): string };

const int2: BinaryReader = { bytes: 2, read: (value) => String(value.readInt16BE(0)) };
const int4: BinaryReader = { bytes: 4, read: (value) => String(value.readInt32BE(0)) };
const int8: BinaryReader = { bytes: 8, read: (value) => String(value.readBigInt64BE(0)) };
const float4: BinaryReader = { bytes: 4, read: (value) => String(value.readFloatBE(0)) };
const float8: BinaryReader = { bytes: 8, read: (value) => String(value.readDoubleBE(0)) };
const bool: BinaryReader = { bytes: 1, read: (value) => (value[0] === 0 ? 'f' : 't') };

/** By name and by the OID in PostgreSQL's pg_type. */
const binaryReaders: ReadonlyMap<number | string, BinaryReader> = new Map<number | string, BinaryReader>([
  ...[16, 'bool'].map((type) => [type, bool] as const),
  ...[20, 'int8'].map((type) => [type, int8] as const),
  ...[21, 'int2'].map((type) => [type, int2] as const),
  ...[23, 'int4'].map((type) => [type, int4] as const),
  ...[700, 'float4'].map((type) => [type, float4] as const),
  ...[701, 'float8'].map((type) => [type, float8] as const),
]);

function readValue(value: Buffer, type: number | string | undefined, format: number | undefined): string {
  const reader = format === 1 && type !== undefined ? binaryReaders.get(type) : undefined;
  return reader?.bytes === value.length ? reader.read(value) : readable(value);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Text where the bytes are text, hex in PostgreSQL's own notation where not. */
function readable(value: Uint8Array): string {
  try {
    const text = utf8.decode(value);
    if (!text.includes('\0')) return text;
  } catch {
    // Not UTF-8: shown as hex.
  }
  return `\\x${Buffer.from(value).toString('hex')}`;
}

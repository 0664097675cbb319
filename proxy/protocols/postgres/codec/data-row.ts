import { list, message, nullable } from './bytes.ts';
import { backend } from './message-types.ts';

/** Where the values of one DataRow lie. Reused from row to row, so that reading a row allocates nothing. */
export class RowFields {
  /** Of each value, where its bytes start in the chunk that was read (behind its length). */
  starts = new Int32Array(16);
  /** Of each value, how many bytes it has; -1 for NULL. */
  lengths = new Int32Array(16);

  /**
   * Reads the body of a DataRow that lies in `chunk[from..to)`. Returns the number of its values, or -1 when it is
   * malformed: a count or length that does not fit the body exactly.
   */
  read(chunk: Buffer, from: number, to: number): number {
    if (from < 0 || to > chunk.length || to - from < 2) return -1;
    const count = chunk.readUInt16BE(from);
    let at = from + 2;
    if (count * 4 > to - at) return -1;
    if (count > this.starts.length) this.#grow(count);
    for (let index = 0; index < count; index++) {
      if (to - at < 4) return -1;
      const length = chunk.readInt32BE(at);
      at += 4;
      this.starts[index] = at;
      this.lengths[index] = length;
      if (length === -1) continue;
      if (length < 0 || length > to - at) return -1;
      at += length;
    }
    return at === to ? count : -1;
  }

  /** A row has at most 65,535 values by its count, 1,664 by what PostgreSQL selects. */
  #grow(count: number): void {
    this.starts = new Int32Array(count);
    this.lengths = new Int32Array(count);
  }
}

/** The values of a DataRow as views of its body, or `undefined` when it is malformed. For where speed does not matter. */
export function parseDataRow(body: Buffer): readonly (Buffer | null)[] | undefined {
  const fields = new RowFields();
  const count = fields.read(body, 0, body.length);
  if (count < 0) return undefined;
  return Array.from({ length: count }, (_, index) => {
    const from = fields.starts[index] ?? 0;
    const length = fields.lengths[index] ?? -1;
    return length === -1 ? null : body.subarray(from, from + length);
  });
}

/** DataRow. */
export const dataRow = (values: readonly (Uint8Array | null)[]): Buffer =>
  message(backend.dataRow, list(values.map(nullable)));

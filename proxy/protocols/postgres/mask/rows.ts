import { limits } from '../../../core/limits.ts';
import type { Masker } from '../../../core/masker.ts';
import { type CellMask, type ColumnFormat, type ColumnMask, cellMask, type MaskOptions } from './cell.ts';
import { int32, Splice } from './splice.ts';

/** What became of a run of DataRow messages. The counts are of this run alone. */
export type MaskedRows =
  | { readonly output: Buffer; readonly rows: number; readonly cells: number }
  | { readonly fault: string };

/** The masks of one result set, ready to be applied to its rows. Keeps no state between calls. */
export interface RowMask {
  /** True when no column is masked: the rows may be forwarded as they are. */
  readonly identity: boolean;
  /**
   * Masks the DataRow messages in `input[start, end)`, which must be whole and back to back (a partial one at the end of
   * a chunk is the caller's to keep, up to `limits.maskedRowBytesMax`). Returns them in a new buffer, which is the
   * caller's. A message that is not what was promised is a fault, and then nothing of the run may be forwarded.
   */
  apply(input: Buffer, start: number, end: number): MaskedRows;
}

/**
 * Prepares the masks of a result set.
 *
 * @param plan - one entry a column; `undefined` leaves it alone.
 * @param columns - type and format of each column as the rows will have them (for the extended protocol: what Bind
 * asked for, not what Describe of the statement said).
 */
export function compileRowMask(
  plan: readonly (ColumnMask | undefined)[],
  columns: readonly ColumnFormat[],
  masker: Masker,
  options: MaskOptions = {},
): RowMask | { readonly fault: string } {
  if (plan.length !== columns.length) return { fault: 'The result has another number of columns than was judged.' };
  if (plan.length > limits.resultColumnsMax) return { fault: 'The result has too many columns.' };
  const cells = columns.map((column, index) => {
    const mask = plan[index];
    return mask === undefined ? undefined : cellMask(mask, column, masker, options);
  });
  const identity = cells.every((cell) => cell === undefined);
  return { identity, apply: (input, start, end) => new Run(cells, input, start, end).result() };
}

const dataRow = 0x44;
/** Type, length and column count of a DataRow. @see https://www.postgresql.org/docs/18/protocol-message-formats.html */
const headerBytes = 7;

const malformed = 'A row of the result is malformed.';

/** One run over whole rows. Nothing is allocated for a row, and for a cell only the string that a value mask needs. */
class Run {
  readonly #cells: readonly (CellMask | undefined)[];
  readonly #input: Buffer;
  readonly #end: number;
  readonly #splice: Splice;
  #at: number;
  #masked = 0;

  constructor(cells: readonly (CellMask | undefined)[], input: Buffer, start: number, end: number) {
    this.#cells = cells;
    this.#input = input;
    this.#at = start;
    this.#end = end;
    this.#splice = new Splice(input, start, end);
  }

  result(): MaskedRows {
    let rows = 0;
    for (; this.#at < this.#end; rows++) {
      const fault = this.#row();
      if (fault !== undefined) return { fault };
    }
    return { output: this.#splice.finish(), rows, cells: this.#masked };
  }

  /** Masks the row at `#at` and moves past it. */
  #row(): string | undefined {
    const input = this.#input;
    const start = this.#at;
    if (this.#end - start < headerBytes || input[start] !== dataRow) return malformed;
    const length = int32(input, start + 1);
    const end = start + 1 + length;
    if (length > limits.maskedRowBytesMax) return 'A row of the result is too large to be masked.';
    if (length < headerBytes - 1 || end > this.#end) return malformed;
    const cells = this.#cells;
    const count = ((input[start + 5] ?? 0) << 8) | (input[start + 6] ?? 0);
    if (count !== cells.length) return 'A row has another number of columns than the result.';

    const position = this.#splice.positionOf(start + 1);
    let growth = 0;
    let at = start + headerBytes;
    for (let column = 0; column < count; column++) {
      if (at + 4 > end) return malformed;
      const size = int32(input, at);
      const next = at + 4 + Math.max(size, 0);
      if (size < -1 || next > end) return malformed;
      const cell = cells[column];
      if (cell !== undefined && (size >= 0 || cell.kind === 'constant')) growth += this.#mask(cell, at, next);
      at = next;
    }
    if (at !== end) return malformed;
    if (growth !== 0) this.#splice.patchInt32(position, length + growth);
    this.#at = end;
    return undefined;
  }

  /** Writes the masked cell in place of input `[at, next)`, its length included. Returns by how much it grew. */
  #mask(cell: CellMask, at: number, next: number): number {
    const splice = this.#splice;
    splice.keepUntil(at);
    splice.dropUntil(next);
    this.#masked++;
    const was = next - at - 4;
    if (cell.kind === 'value' && was <= limits.maskedValueBytesMax) {
      const position = splice.putInt32(0);
      const size = splice.putText(cell.apply(this.#input.toString('utf8', at + 4, next)));
      splice.patchInt32(position, size);
      return size - was;
    }
    const bytes = cell.kind === 'value' ? cell.tooLong : cell.bytes;
    splice.putInt32(bytes?.length ?? -1);
    if (bytes !== undefined) splice.put(bytes);
    return (bytes?.length ?? 0) - was;
  }
}

import { limits } from '../../../core/limits.ts';
import type { Masker } from '../../../core/masker.ts';
import type { CopyOptions } from '../classification.ts';
import { type CellMask, type ColumnMask, cellMask, type MaskOptions } from './cell.ts';
import { csvDialect, type Dialect, textDialect } from './copy-dialect.ts';
import { int32, Splice } from './splice.ts';

/** What became of a run of CopyData messages. `cells` are the masked ones of this run; `rows` the ones that ended in it. */
export type MaskedCopy =
  | { readonly output: Buffer; readonly rows: number; readonly cells: number }
  | { readonly fault: string };

/** The masks of one COPY TO STDOUT. Keeps its place between calls: one object for one COPY. */
export interface CopyMask {
  /** True when no column is masked: the messages may be forwarded as they are. */
  readonly identity: boolean;
  /**
   * Masks the CopyData messages in `input[start, end)`, which must be whole and back to back. A row may begin in one and
   * end in another, of this call or a later one. Returns messages in a new buffer, which is the caller's; one whose
   * content is held back entirely is left out. After a fault nothing more of this COPY may be forwarded.
   */
  apply(input: Buffer, start: number, end: number): MaskedCopy;
  /** To be asked at CopyDone: says what is wrong when the data ended inside a row. */
  finish(): { readonly fault: string } | undefined;
}

/**
 * Prepares the masks of one COPY TO STDOUT in the text or CSV format.
 *
 * @param plan - one entry a copied column, in the order of the COPY; `undefined` leaves it alone.
 * @param typeOids - their types; `undefined` for one that whoever reads the data takes for text.
 * @param options - the options as PostgreSQL understood them. The binary format, options that were not understood, and
 * ones under which the data could be read in two ways are a fault, unless nothing is masked.
 */
export function compileCopyMask(
  plan: readonly (ColumnMask | undefined)[],
  typeOids: readonly (number | undefined)[],
  options: CopyOptions,
  masker: Masker,
  maskOptions: MaskOptions = {},
): CopyMask | { readonly fault: string } {
  if (plan.length !== typeOids.length) return { fault: 'The COPY has another number of columns than was judged.' };
  const cells = plan.map((mask, index) =>
    mask === undefined ? undefined : cellMask(mask, { typeOid: typeOids[index], format: 0 }, masker, maskOptions),
  );
  if (cells.every((cell) => cell === undefined)) return unmasked;
  const dialect = dialectOf(options);
  if ('fault' in dialect) return dialect;
  const rows = new CopyRows(cells, dialect, options.header);
  return {
    identity: false,
    apply: (input, start, end) => rows.messages(input, start, end),
    finish: () => (rows.atRowStart ? undefined : { fault: 'The COPY data ended inside a row.' }),
  };
}

const unmasked: CopyMask = {
  identity: true,
  apply: (input, start, end) => ({ output: Buffer.from(input.subarray(start, end)), rows: 0, cells: 0 }),
  finish: () => undefined,
};

function dialectOf(options: CopyOptions): Dialect | { readonly fault: string } {
  if (options.unknown) return { fault: 'The COPY has an option the gateway does not know.' };
  if (options.format === 'binary') return { fault: 'Masked columns cannot be copied in the binary format.' };
  return options.format === 'csv' ? csvDialect(options) : textDialect(options);
}

const copyData = 0x64;
const newline = 0x0a;
/** Type and length of a CopyData message. */
const headerBytes = 5;

/** Follows the data through its fields, byte by byte, and replaces the masked ones. */
class CopyRows {
  readonly #cells: readonly (CellMask | undefined)[];
  readonly #dialect: Dialect;
  #column = 0;
  /** The row under way is the header: column names, not values. */
  #header: boolean;
  /** The field at hand began in an earlier message. */
  #continued = false;
  /** What a value mask has of a field that is not whole yet, at most `limits.maskedValueBytesMax` bytes of it. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #rows = 0;
  #masked = 0;

  constructor(cells: readonly (CellMask | undefined)[], dialect: Dialect, header: boolean) {
    this.#cells = cells;
    this.#dialect = dialect;
    this.#header = header;
  }

  get atRowStart(): boolean {
    return this.#column === 0 && !this.#continued;
  }

  messages(input: Buffer, start: number, end: number): MaskedCopy {
    this.#rows = 0;
    this.#masked = 0;
    const splice = new Splice(input, start, end);
    for (let at = start; at < end; ) {
      if (end - at < headerBytes || input[at] !== copyData) return { fault: malformed };
      const length = int32(input, at + 1);
      const next = at + 1 + length;
      if (length < headerBytes - 1 || next > end) return { fault: malformed };
      const position = splice.positionOf(at);
      const fault = this.#payload(splice, at + headerBytes, next);
      if (fault !== undefined) return { fault };
      const size = splice.positionOf(next) - position - headerBytes;
      if (size !== next - at - headerBytes) {
        splice.keepUntil(next);
        if (size === 0) splice.rewind(position);
        else splice.patchInt32(position + 1, headerBytes - 1 + size);
      }
      at = next;
    }
    return { output: splice.finish(), rows: this.#rows, cells: this.#masked };
  }

  /** Masks the content of one message. */
  #payload(splice: Splice, start: number, end: number): string | undefined {
    const { input } = splice;
    const dialect = this.#dialect;
    for (let at = start; at < end; ) {
      const cell = this.#header ? undefined : this.#cells[this.#column];
      const stop = dialect.scan(input, at, end);
      if (stop < 0) return malformed;
      if (cell !== undefined) {
        splice.keepUntil(at);
        splice.dropUntil(stop);
        // Only what is split over messages is copied aside.
        if (cell.kind === 'value' && (this.#continued || stop === end)) this.#hold(input, at, stop);
        if (stop < end) this.#write(splice, cell, this.#continued ? this.#taken() : input.subarray(at, stop));
      }
      this.#continued = stop === end;
      if (stop === end) return undefined;
      const fault = this.#advance(input[stop] === newline);
      if (fault !== undefined) return fault;
      at = stop + 1;
    }
    return undefined;
  }

  /** Moves on to the next field. */
  #advance(rowEnds: boolean): string | undefined {
    this.#column++;
    if (rowEnds !== (this.#column === this.#cells.length)) return 'A copied row has another number of columns.';
    if (!rowEnds) return undefined;
    this.#column = 0;
    if (!this.#header) this.#rows++;
    this.#header = false;
    return undefined;
  }

  #hold(input: Buffer, start: number, end: number): void {
    this.#heldBytes += end - start;
    if (this.#heldBytes > limits.maskedValueBytesMax) this.#held = [];
    else this.#held.push(Buffer.from(input.subarray(start, end)));
  }

  /** The whole of a field that was held; `undefined` when it was too long to be. */
  #taken(): Buffer | undefined {
    const held = this.#heldBytes > limits.maskedValueBytesMax ? undefined : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }

  /** Writes what stands for a field that just ended. */
  #write(splice: Splice, cell: CellMask, raw: Buffer | undefined): void {
    const dialect = this.#dialect;
    if (cell.kind === 'value' && raw !== undefined && dialect.isNull(raw)) {
      splice.put(raw);
      return;
    }
    this.#masked++;
    if (cell.kind === 'value' && raw !== undefined && raw.length <= limits.maskedValueBytesMax) {
      splice.putText(dialect.encode(cell.apply(dialect.decode(raw.toString('utf8')))));
      return;
    }
    const constant = cell.kind === 'value' ? cell.tooLong : cell.bytes;
    splice.put(constant === undefined ? dialect.nullBytes : dialect.encodeConstant(constant));
  }
}

const malformed = 'The COPY data is malformed.';

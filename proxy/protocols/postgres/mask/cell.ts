import type { Masker } from '../../../core/masker.ts';
import type { MaskMethod } from '../../../core/types.ts';
import { jsonMask } from './json.ts';
import { isText, oids, typeConstant } from './types.ts';

/**
 * How one column of a result is hidden. `method`: the column is exactly a masked base column, and policy named how.
 * `derived`: its value only depends on one, so that no method fits and every cell is NULL. (A constant of the type would
 * be taken for a result: a count of 0 reads as "there are none".)
 */
export type ColumnMask = { readonly kind: 'method'; readonly method: MaskMethod } | { readonly kind: 'derived' };

/** Type and format of a column as the client will read it. `typeOid` undefined: known to be text to whoever reads it. */
export interface ColumnFormat {
  readonly typeOid: number | undefined;
  /** 0 text, 1 binary. */
  readonly format: 0 | 1;
}

/**
 * A column mask made ready for one type and format. `constant`: the bytes of every cell, `undefined` for NULL; cells
 * that are NULL are replaced too, so that it stays hidden which ones are. `value`: computed from the UTF-8 text of each
 * cell that is not NULL; a cell past `limits.maskedValueBytesMax` becomes `tooLong`.
 */
export type CellMask =
  | { readonly kind: 'constant'; readonly bytes: Uint8Array | undefined }
  | { readonly kind: 'value'; readonly apply: (text: string) => string; readonly tooLong: Uint8Array };

/** What the catalog knows and a type OID does not say. */
export interface MaskOptions {
  /** OIDs of installed types whose values are text to every client, such as citext. */
  readonly textOids?: ReadonlySet<number> | undefined;
}

const toNull: CellMask = { kind: 'constant', bytes: undefined };

/**
 * Makes a column mask ready. The result is a value every client can read as the column's type:
 *
 * - text types: what the method says;
 * - json, jsonb: what the method says, as JSON (see `json.ts`);
 * - numbers, booleans, dates and times, uuid, addresses, bytea: under any method but `null`, the type's constant (zero,
 *   false, 2000-01-01, empty). A part or a hash of a number is no number, and a shorter one could still be guessed;
 * - everything else (arrays, composites, ranges, enums, unknown types): NULL.
 */
export function cellMask(mask: ColumnMask, column: ColumnFormat, masker: Masker, options: MaskOptions): CellMask {
  if (mask.kind === 'derived' || mask.method.method === 'null') return toNull;
  const { typeOid, format } = column;
  if (typeOid === oids.json || typeOid === oids.jsonb) {
    return jsonMask(masker.compile(mask.method), mask.method, typeOid === oids.jsonb && format === 1);
  }
  if (typeOid === undefined || isText(typeOid) || options.textOids?.has(typeOid) === true) {
    const compiled = masker.compile(mask.method);
    if (compiled.kind === 'value') {
      return { kind: 'value', apply: compiled.apply, tooLong: Buffer.from(compiled.tooLong) };
    }
    return compiled.value === null ? toNull : { kind: 'constant', bytes: Buffer.from(compiled.value) };
  }
  return { kind: 'constant', bytes: typeConstant(typeOid, format) };
}

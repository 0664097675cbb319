/**
 * Hides masked columns in what PostgreSQL sends: result rows, COPY data, and the texts of errors and notices.
 * Bytes in, bytes out; no I/O. The parts are in `mask/`.
 */
export type { ColumnFormat, ColumnMask, MaskOptions } from './mask/cell.ts';
export { type CopyMask, compileCopyMask, type MaskedCopy } from './mask/copy.ts';
export { compileRowMask, type MaskedRows, type RowMask } from './mask/rows.ts';
export { type ErrorFields, scrubError, scrubNotice } from './mask/scrub.ts';

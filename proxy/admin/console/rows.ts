/**
 * Rows of PostgreSQL as they are in recordings: DataRow and CopyData messages, masked, cut anywhere.
 * `proxy/record/postgres-rows.ts` does the same for the command line. Pure.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** The values of one row; undefined where the bytes are no row. */
export type Row = readonly (string | null)[];

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Cuts bytes into rows; what is not whole waits for the next piece. */
export class Rows {
  #rest = new Uint8Array(0);
  #lost = false;

  push(bytes: Uint8Array): Row[] {
    if (this.#lost) return [];
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const view = new DataView(all.buffer);
    const rows: Row[] = [];
    let at = 0;
    while (all.length - at >= 5) {
      const type = all[at];
      const end = at + 1 + view.getUint32(at + 1);
      if ((type !== 0x44 && type !== 0x64) || end < at + 5) {
        this.#lost = true;
        return rows;
      }
      if (end > all.length) break;
      rows.push(
        type === 0x64 ? [readable(all.subarray(at + 5, end)).replace(/\n$/, '')] : dataRow(all, view, at + 5, end),
      );
      at = end;
    }
    this.#rest = all.slice(at);
    return rows;
  }
}

function dataRow(all: Uint8Array, view: DataView, start: number, end: number): Row {
  const values: (string | null)[] = [];
  if (end - start < 2) return values;
  let at = start + 2;
  for (let left = view.getUint16(start); left > 0 && end - at >= 4; left--) {
    const length = view.getInt32(at);
    at += 4;
    if (length > end - at) break;
    values.push(length < 0 ? null : readable(all.subarray(at, at + length)));
    at += Math.max(length, 0);
  }
  return values;
}

/** Text where the bytes are text, hex in PostgreSQL's own notation where not. */
function readable(value: Uint8Array): string {
  try {
    const text = utf8.decode(value);
    if (!text.includes('\0')) return text;
  } catch {
    // Not UTF-8: shown as hex.
  }
  return `\\x${[...value].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

import type { CopyOptions } from '../classification.ts';

/** How the fields of COPY data are delimited and written. Holds the place inside a field between calls of `scan`. */
export interface Dialect {
  /**
   * Looks for the end of the field at hand: the position of the delimiter or newline, or `end` when it is further on
   * (the next call continues), or −1 when the data is not what PostgreSQL writes.
   */
  scan(input: Uint8Array, at: number, end: number): number;
  /** Whether the raw field can only be NULL. */
  isNull(raw: Uint8Array): boolean;
  /** The value of a raw field that is not NULL. */
  decode(raw: string): string;
  encode(value: string): string;
  /** As `encode`, remembering the result for the same array. */
  encodeConstant(value: Uint8Array): Uint8Array;
  readonly nullBytes: Uint8Array;
}

type Fault = { readonly fault: string };

const newline = 0x0a;
const backslash = 0x5c;

/**
 * The text format: a backslash takes the next byte with it, so that an unescaped delimiter or newline ends a field.
 * Only the default NULL mark, `\N`, can be told from a value; with another one NULLs are masked like values.
 *
 * @see https://www.postgresql.org/docs/18/sql-copy.html
 */
export function textDialect(options: CopyOptions): Dialect | Fault {
  const { delimiter, nullText } = options;
  if (!isByte(delimiter) || /[\\.a-z0-9\r\n]/.test(delimiter)) return odd('delimiter');
  if (!isPlain(nullText, delimiter)) return odd('NULL text');
  // A NULL text that ends in a lone backslash would take the delimiter behind it along.
  if ((/\\*$/.exec(nullText)?.[0].length ?? 0) % 2 === 1) return odd('NULL text');

  const end = delimiter.charCodeAt(0);
  const nullBytes = Buffer.from(nullText);
  const escapable = new RegExp(`[\\\\\b\f\n\r\t\v${delimiter === '\t' ? '' : classLiteral(delimiter)}]`, 'g');
  const encode = (value: string): string => value.replace(escapable, (char) => `\\${letters.get(char) ?? char}`);
  let escaped = false;
  return {
    scan(input, from, until) {
      let at = from;
      if (escaped && at < until) {
        escaped = false;
        at++;
      }
      for (; at < until; at++) {
        const byte = input[at];
        if (byte === end || byte === newline) return at;
        if (byte === backslash && ++at === until) escaped = true;
      }
      return until;
    },
    isNull: (raw) => nullText === '\\N' && raw.length === 2 && nullBytes.equals(raw),
    decode: (raw) => (raw.includes('\\') ? raw.replace(/\\([\s\S])/g, (_, char) => controls.get(char) ?? char) : raw),
    encode,
    encodeConstant: remembering(encode),
    nullBytes,
  };
}

/** CSV: quoted fields may hold anything, with quotes escaped; PostgreSQL quotes a value that looks like the NULL text. */
export function csvDialect(options: CopyOptions): Dialect | Fault {
  const { delimiter, quote, escape: escaping, nullText } = options;
  if (!isByte(delimiter) || /[\r\n]/.test(delimiter)) return odd('delimiter');
  if (!isByte(quote) || quote === delimiter || /[\r\n]/.test(quote)) return odd('quote');
  if (!isByte(escaping) || /[\r\n]/.test(escaping)) return odd('escape');
  if (!isPlain(nullText, delimiter) || nullText.includes(quote)) return odd('NULL text');

  const nullBytes = Buffer.from(nullText);
  const needsQuotes = (value: string): boolean =>
    value === '' ||
    value === nullText ||
    value === '\\.' ||
    /^[ \t]|[ \t]$|[\r\n]/.test(value) ||
    value.includes(delimiter) ||
    value.includes(quote) ||
    value.includes(escaping);
  const encode = (value: string): string => {
    if (!needsQuotes(value)) return value;
    let out = quote;
    for (const char of value) out += char === quote || char === escaping ? escaping + char : char;
    return out + quote;
  };
  const decode = (raw: string): string => {
    if (!raw.startsWith(quote)) return raw;
    let out = '';
    const inner = raw.slice(1, -1);
    for (let at = 0; at < inner.length; at++) {
      const next = inner[at + 1];
      if (inner[at] === escaping && (next === quote || next === escaping)) at++;
      out += inner[at];
    }
    return out;
  };
  return {
    scan: csvScanner(delimiter.charCodeAt(0), quote.charCodeAt(0), escaping.charCodeAt(0)),
    isNull: (raw) => nullBytes.equals(raw),
    decode,
    encode,
    encodeConstant: remembering(encode),
    nullBytes,
  };
}

const place = { start: 0, plain: 1, quoted: 2, escaped: 3, closing: 4, closed: 5 } as const;

/** Follows one CSV field after the other. `closing` is a quote that is either doubled or the last, where it escapes itself. */
function csvScanner(delimiter: number, quote: number, escaping: number): Dialect['scan'] {
  let state: number = place.start;
  return (input, from, until) => {
    for (let at = from; at < until; at++) {
      const byte = input[at];
      if (state === place.quoted) {
        if (byte === escaping) state = escaping === quote ? place.closing : place.escaped;
        else if (byte === quote) state = place.closed;
      } else if (state === place.escaped || (state === place.closing && byte === quote)) {
        state = place.quoted;
      } else if (byte === delimiter || byte === newline) {
        state = place.start;
        return at;
      } else if (state === place.start) {
        state = byte === quote ? place.quoted : place.plain;
      } else if (state !== place.plain || byte === quote) {
        return -1;
      }
    }
    return until;
  };
}

/** One byte of ASCII. */
function isByte(text: string): boolean {
  return text.length === 1 && text.charCodeAt(0) > 0 && text.charCodeAt(0) < 128;
}

function isPlain(nullText: string, delimiter: string): boolean {
  return !nullText.includes(delimiter) && !/[\r\n]/.test(nullText) && nullText.length <= 256;
}

function odd(what: string): Fault {
  return { fault: `The ${what} of the COPY is not one under which columns can be masked.` };
}

function classLiteral(char: string): string {
  return /[\^\]\-\\]/.test(char) ? `\\${char}` : char;
}

function remembering(encode: (value: string) => string): (value: Uint8Array) => Uint8Array {
  const known = new WeakMap<Uint8Array, Uint8Array>();
  return (value) => {
    const bytes = known.get(value) ?? Buffer.from(encode(Buffer.from(value).toString('utf8')));
    known.set(value, bytes);
    return bytes;
  };
}

const letters: ReadonlyMap<string, string> = new Map([
  ['\b', 'b'],
  ['\f', 'f'],
  ['\n', 'n'],
  ['\r', 'r'],
  ['\t', 't'],
  ['\v', 'v'],
]);

const controls: ReadonlyMap<string, string> = new Map(Array.from(letters, ([char, letter]) => [letter, char]));

import { begunBytes } from './utf8.ts';

/**
 * Strings of JSON as bytes and back. In between they are UTF-8, but for halves of pairs that stand alone (`\ud800`), which JSON
 * allows and UTF-8 does not: these are written as if they were characters of their own, which they become again.
 *
 * @see https://simonsapin.github.io/wtf-8/
 */

const quote = 0x22;
const backslash = 0x5c;
const unicode = 0x75;
/** What `\n` and its like stand for, by the second byte; the others stand for themselves. */
const escapes = new Uint8Array(256).map((_, byte) => byte);
for (const [letter, byte] of Object.entries({ b: 8, t: 9, n: 10, f: 12, r: 13 })) escapes[letter.charCodeAt(0)] = byte;

/**
 * Writes the characters of a string to a buffer that has room for its bytes. They are fewer than before, never more.
 *
 * @param bytes - inside of the quotation marks, of JSON that was checked
 * @returns where they end in `target`
 */
export function decodeString(bytes: Buffer, start: number, end: number, target: Buffer, to: number): number {
  let at = to;
  for (let from = start; from < end; ) {
    const byte = bytes[from] ?? 0;
    if (byte !== backslash) {
      target[at++] = byte;
      from++;
      continue;
    }
    const letter = bytes[from + 1] ?? 0;
    if (letter !== unicode) {
      target[at++] = escapes[letter] ?? 0;
      from += 2;
      continue;
    }
    let code = unit(bytes, from);
    from += 6;
    if ((code & 0xfc00) === 0xd800 && from + 6 <= end && isUnit(bytes, from)) {
      const low = unit(bytes, from);
      if ((low & 0xfc00) === 0xdc00) {
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        from += 6;
      }
    }
    at = put(code, target, at);
  }
  return at;
}

function isUnit(bytes: Buffer, at: number): boolean {
  return bytes[at] === backslash && bytes[at + 1] === unicode;
}

/** The code unit of `\uXXXX`. */
function unit(bytes: Buffer, at: number): number {
  let code = 0;
  for (let digit = at + 2; digit < at + 6; digit++) {
    const byte = bytes[digit] ?? 0;
    code = (code << 4) | (byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57);
  }
  return code;
}

function put(code: number, target: Buffer, to: number): number {
  let at = to;
  if (code < 0x80) {
    target[at++] = code;
    return at;
  }
  if (code < 0x800) target[at++] = 0xc0 | (code >> 6);
  else {
    if (code < 0x10000) target[at++] = 0xe0 | (code >> 12);
    else {
      target[at++] = 0xf0 | (code >> 18);
      target[at++] = 0x80 | ((code >> 12) & 0x3f);
    }
    target[at++] = 0x80 | ((code >> 6) & 0x3f);
  }
  target[at++] = 0x80 | (code & 0x3f);
  return at;
}

/** How many bytes at the end of a part of a string can only be decoded with what follows: an escape, or the first of a pair. */
export function undecidedBytes(bytes: Buffer, start: number, end: number): number {
  let at = bytes.indexOf(backslash, start);
  while (at >= 0 && at < end) {
    const length = bytes[at + 1] === unicode ? 6 : 2;
    if (at + length > end) return end - at;
    const isHigh = length === 6 && (unit(bytes, at) & 0xfc00) === 0xd800;
    if (isHigh && at + 12 > end && (at + 6 === end || bytes[at + 6] === backslash)) return end - at;
    at = bytes.indexOf(backslash, at + length);
  }
  return 0;
}

/** Bytes as JSON writes them inside of quotation marks, with no more escapes than needed. What is no character becomes U+FFFD. */
export function encodeString(bytes: Buffer): string {
  let text = '';
  let from = 0;
  // The first byte of a lone half is that of no character when the second is above 0x9f.
  for (let at = bytes.indexOf(0xed); at >= 0; at = bytes.indexOf(0xed, at + 1)) {
    const second = bytes[at + 1] ?? 0;
    if (second < 0xa0 || second > 0xbf) continue;
    const code = 0xd000 | ((second & 0x3f) << 6) | ((bytes[at + 2] ?? 0) & 0x3f);
    text += `${encodeCharacters(bytes.toString('utf8', from, at))}\\u${code.toString(16)}`;
    from = at + 3;
  }
  return text + encodeCharacters(bytes.toString('utf8', from));
}

function encodeCharacters(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Whether a scalar is a string. */
export function isQuoted(bytes: Buffer, start: number): boolean {
  return bytes[start] === quote;
}

/** The text of a scalar: of a string without its quotation marks and escapes, of anything else as it is written. */
export function scalarText(bytes: Buffer, start: number, end: number): string {
  if (!isQuoted(bytes, start)) return bytes.toString('latin1', start, end);
  const text = bytes.toString('utf8', start + 1, end - 1);
  return text.includes('\\') ? String(JSON.parse(`"${text}"`)) : text;
}

/** A text as JSON writes it. Most are short and need no escapes, which a loop finds out faster than the platform is called. */
export function quotedText(text: string): string {
  if (text.length > shortLength) return JSON.stringify(text);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e || code === quote || code === backslash) return JSON.stringify(text);
  }
  return `"${text}"`;
}
const shortLength = 64;

/** Encodes a string that comes in pieces. */
export class StringEncoder {
  #begun: Buffer = Buffer.alloc(0);

  /** What can be written by now; the rest with nothing more. */
  push(piece: Buffer): string {
    const bytes = this.#begun.length === 0 ? piece : Buffer.concat([this.#begun, piece]);
    const whole = bytes.length - begunBytes(bytes);
    this.#begun = Buffer.from(bytes.subarray(whole));
    return encodeString(bytes.subarray(0, whole));
  }

  finish(): string {
    return encodeString(this.#begun);
  }
}

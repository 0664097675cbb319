/**
 * A set of bytes from ranges (`A-Z`) and single characters; a dash stands for itself at the end. `beyondAscii` adds all
 * bytes from 128, which are letters of some alphabet more often than not.
 */
export function table(characters: string, beyondAscii = false): Uint8Array {
  const set = new Uint8Array(256);
  for (let at = 0; at < characters.length; at++) {
    const low = characters.charCodeAt(at);
    const isRange = characters[at + 1] === '-' && at + 2 < characters.length;
    set.fill(1, low, (isRange ? characters.charCodeAt(at + 2) : low) + 1);
    if (isRange) at += 2;
  }
  return beyondAscii ? set.fill(1, 128) : set;
}

/** The bytes that are not in a set. */
export function not(set: Uint8Array): Uint8Array {
  return set.map((member) => 1 - member);
}

/** The ASCII digits. */
export const digit = table('0-9');
/** ASCII letters and digits. */
export const alphanumeric = table('A-Za-z0-9');
/** What may stand before a word or number: no ASCII letter, no digit. */
export const wordBreak = not(alphanumeric);
/** The alphabet of RFC 4648, section 5, without padding. */
export const base64Url = table('A-Za-z0-9_-');

/** What stands between the groups of a number. */
export const separator = table(' .-');

/** The same set for three bytes in a row. */
export function three(set: Uint8Array): readonly Uint8Array[] {
  return [set, set, set];
}

/** The end of the bytes of a set from `at`, no further than `limit`. */
export function run(set: Uint8Array, bytes: Buffer, at: number, limit: number): number {
  let here = at;
  while (here < limit && set[bytes[here] ?? 0] === 1) here++;
  return here;
}

/** Whether there is a byte of the set at `at`. */
export function isIn(set: Uint8Array, bytes: Buffer, at: number, end: number): boolean {
  return at < end && set[bytes[at] ?? 0] === 1;
}

/** Whether the bytes from `at`, as far as they go, are those of an ASCII word: a beginning at the very end counts. */
export function begins(word: string, bytes: Buffer, at: number, end: number): boolean {
  const length = Math.min(word.length, end - at);
  for (let index = 0; index < length; index++) if (bytes[at + index] !== word.charCodeAt(index)) return false;
  return true;
}

/**
 * Where a word begins that ends before `end`, or −1. The word is lower-case ASCII and matches in any case; `skipped`
 * bytes may stand inside it, one at a time.
 */
export function endingWord(word: string, bytes: Buffer, end: number, skipped?: Uint8Array): number {
  let here = end;
  for (let index = word.length - 1; index >= 0; index--) {
    here--;
    if (index < word.length - 1 && skipped?.[bytes[here] ?? 0] === 1) here--;
    if (here < 0) return -1;
    const byte = bytes[here] ?? 0;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== word.charCodeAt(index)) return -1;
  }
  return here;
}

/** Where the bytes of a set that end before `at` begin, at most `count` of them. */
export function runBack(set: Uint8Array, bytes: Buffer, at: number, count: number): number {
  let here = at;
  while (here > 0 && at - here < count && set[bytes[here - 1] ?? 0] === 1) here--;
  return here;
}

/**
 * The end of a fixed shape and of the number it ends in: `d` a digit, `-` a dash, dot or space, anything else itself.
 * `at` when it is another, −1 when the bytes end inside it or right behind it.
 */
export function shape(pattern: string, bytes: Buffer, at: number, end: number, final: boolean): number {
  for (let index = 0; index < pattern.length; index++) {
    const here = at + index;
    if (here >= end) return final ? at : -1;
    const expected = pattern.charCodeAt(index);
    const byte = bytes[here] ?? 0;
    const fits = expected === 0x64 ? digit[byte] === 1 : expected === 0x2d ? separator[byte] === 1 : byte === expected;
    if (!fits) return at;
  }
  const stop = at + pattern.length;
  if (stop >= end && !final) return -1;
  return isIn(digit, bytes, stop, end) ? at : stop;
}

import type { Detector } from './detector.ts';
import { alphanumeric, digit, isIn, not, run, separator, shape, table, three, wordBreak } from './scan.ts';

const localPart = table("A-Za-z0-9._%+'-", true);
const domainPart = table('A-Za-z0-9.-', true);
const localBytesMax = 64;
const domainBytesMax = 253;
const at = 0x40;
const dot = 0x2e;
const dash = 0x2d;
const space = 0x20;
const plus = 0x2b;
const parenthesis = 0x28;

/** `local@domain.tld`; bytes outside ASCII count as letters. @see https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1 */
export const email: Detector = {
  heads: [[localPart, table("A-Za-z0-9._%+'@-", true)]],
  after: not(localPart),
  needs: { byte: at, within: localBytesMax },
  lengthMax: localBytesMax + 1 + domainBytesMax,
  match(bytes, start, end, final) {
    const local = run(localPart, bytes, start, Math.min(end, start + localBytesMax + 1));
    if (local - start > localBytesMax) return start;
    if (local === end) return final ? start : -1;
    if (bytes[local] !== at) return start;
    const limit = local + 1 + domainBytesMax;
    let stop = run(domainPart, bytes, local + 1, Math.min(end, limit));
    if (stop === end && !final && stop < limit) return -1;
    while (bytes[stop - 1] === dot || bytes[stop - 1] === dash) stop--;
    return isDomain(bytes, local + 1, stop) ? stop : start;
  },
};

/** At least two labels, none empty, of which the last has two bytes or more and begins with a letter. */
function isDomain(bytes: Buffer, start: number, end: number): boolean {
  let label = start;
  for (let here = start; here < end; here++) {
    if (bytes[here] !== dot) continue;
    if (here === label) return false;
    label = here + 1;
  }
  return label > start && end - label > 1 && bytes[label] !== dash && !isIn(digit, bytes, label, end);
}

/** `ddd-dd-dddd` with dashes, dots or spaces, without the numbers that are never given out. */
export const socialSecurityNumber: Detector = {
  heads: [[table('0-8'), digit, digit, separator]],
  after: not(digit),
  lengthMax: 11,
  match(bytes, start, end, final) {
    const stop = shape('ddd-dd-dddd', bytes, start, end, final);
    if (stop <= start) return stop;
    const text = bytes.toString('latin1', start, stop);
    const never = text.startsWith('000') || text.startsWith('666') || text.startsWith('00', 4) || text.endsWith('0000');
    return text[3] === text[6] && !never ? stop : start;
  },
};

const cardDigitsMin = 13;
const cardDigitsMax = 19;
const cardByte = table('0-9 -');

/** 13 to 19 digits with a valid checksum, alone or with single spaces or dashes between. */
export const creditCard: Detector = {
  heads: [[table('2-6'), ...three(cardByte)]],
  after: not(digit),
  lengthMax: cardDigitsMax + 18,
  match(bytes, start, end, final) {
    // What is not one is mostly a date or an amount: that shows at its end.
    for (let here = start + cardDigitsMin - 1; here > start; here--) {
      if (here < end && cardByte[bytes[here] ?? 0] !== 1) return start;
    }
    let best = start;
    let count = 0;
    // Luhn's sums, if the digits at even places are the doubled ones, and if those at odd places are.
    let even = 0;
    let odd = 0;
    for (let here = start; ; here++) {
      if (here >= end && !final) return -1;
      if (isIn(digit, bytes, here, end)) {
        const value = (bytes[here] ?? 0) - 0x30;
        const doubled = value > 4 ? 2 * value - 9 : 2 * value;
        even += count % 2 === 0 ? doubled : value;
        odd += count % 2 === 0 ? value : doubled;
        if (++count > cardDigitsMax) return best;
        continue;
      }
      const number = here > start && digit[bytes[here - 1] ?? 0] === 1;
      if (number && count >= cardDigitsMin && (count % 2 === 0 ? even : odd) % 10 === 0) best = here;
      if (!number || here >= end || (bytes[here] !== space && bytes[here] !== dash)) return best;
    }
  },
};

const upper = table('A-Z');
const upperOrDigit = table('A-Z0-9');
const ibanBytesMax = 34;

/** Country, check digits and account, in one piece or in groups, with a valid checksum (ISO 13616). */
export const iban: Detector = {
  heads: [[upper, upper, digit, digit]],
  after: wordBreak,
  lengthMax: ibanBytesMax + 8,
  match(bytes, start, end, final) {
    let best = start;
    let count = 0;
    let rest = 0;
    for (let here = start; ; here++) {
      if (here >= end && !final) return -1;
      const byte = bytes[here] ?? 0;
      if (here < end && upperOrDigit[byte] === 1) {
        if (++count > 4) rest = mod97(rest, byte);
        if (count > ibanBytesMax) return best;
        continue;
      }
      const word = bytes[here - 1] !== space;
      if (word && count >= 15 && !isIn(alphanumeric, bytes, here, end) && isValid(rest, bytes, start)) best = here;
      if (!word || here >= end || byte !== space) return best;
    }
  },
};

/** Takes the first four bytes last. @see https://en.wikipedia.org/wiki/International_Bank_Account_Number#Validating_the_IBAN */
function isValid(rest: number, bytes: Buffer, start: number): boolean {
  let all = rest;
  for (let here = start; here < start + 4; here++) all = mod97(all, bytes[here] ?? 0);
  return all === 1;
}

/** The remainder with one more byte: a digit counts as itself, a letter as 10 to 35. */
function mod97(rest: number, byte: number): number {
  return (byte > 0x39 ? rest * 100 + byte - 55 : rest * 10 + byte - 0x30) % 97;
}

const phoneSeparator = table(' .()-');
const phoneBytesMax = 32;

/** `+` and 8 to 15 digits with separators, or the North American shapes `(ddd) ddd-dddd` and `ddd-ddd-dddd`. */
export const phone: Detector = {
  heads: [
    [table('+'), ...three(table('0-9 .()-'))],
    [table('('), digit, digit, digit],
    [table('2-9'), digit, digit, separator],
  ],
  after: wordBreak,
  lengthMax: phoneBytesMax,
  match(bytes, start, end, final) {
    if (bytes[start] === parenthesis) {
      const spaced = shape('(ddd) ddd-dddd', bytes, start, end, final);
      return spaced === start ? shape('(ddd)ddd-dddd', bytes, start, end, final) : spaced;
    }
    if (bytes[start] !== plus) return shape('ddd-ddd-dddd', bytes, start, end, final);
    let digits = 0;
    let stop = start;
    for (let here = start + 1; here < start + phoneBytesMax; here++) {
      if (here >= end && !final) return -1;
      if (isIn(digit, bytes, here, end)) {
        if (++digits > 15) return start;
        stop = here + 1;
      } else if (!isIn(phoneSeparator, bytes, here, end)) break;
    }
    return digits >= 8 ? stop : start;
  },
};

/** Four numbers up to 255 with dots between, not part of a longer such row. */
export const ipv4: Detector = {
  heads: [
    [digit, table('.'), digit],
    [digit, digit, table('.'), digit],
    [digit, digit, digit, table('.')],
  ],
  after: wordBreak,
  lengthMax: 15,
  match(bytes, start, end, final) {
    if (bytes[start - 1] === dot && start > 1 && isIn(digit, bytes, start - 2, end)) return start;
    let here = start;
    for (let part = 0; part < 4; part++) {
      if (part > 0 && (here >= end || bytes[here++] !== dot)) return start;
      let value = 0;
      const begin = here;
      while (isIn(digit, bytes, here, end) && here - begin < 4) value = 10 * value + (bytes[here++] ?? 0) - 0x30;
      if (here === end && !final && here - begin < 4) return -1;
      if (here === begin || here - begin > 3 || value > 255) return start;
    }
    const dotted = here < end && bytes[here] === dot;
    if (dotted && here + 1 >= end && !final) return -1;
    return isIn(alphanumeric, bytes, here, end) || (dotted && isIn(digit, bytes, here + 1, end)) ? start : here;
  },
};

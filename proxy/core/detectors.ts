import { limits } from './limits.ts';

/**
 * Finds one kind of sensitive text. Hand-written so that the work for one position is bounded whatever the text: never
 * more than `lengthMax` characters are looked at.
 */
export interface Detector {
  /** ASCII characters a match can begin with, one entry a code. */
  readonly first: Uint8Array;
  /** Whether a match can begin with any character outside ASCII. */
  readonly firstBeyondAscii?: boolean;
  /** The longest match, in code units. */
  readonly lengthMax: number;
  /** After a match of `lengthMax`, characters (by ASCII code) that still belong to it. */
  readonly goesOn?: Uint8Array;
  /**
   * The end of the longest match that begins at `at`, or `at` when there is none, or −1 when only what follows `text` can
   * tell (never when `final`). `text` holds at least one earlier character where there is one.
   */
  match(text: string, at: number, final: boolean): number;
}

/**
 * The built-in detectors by the names that `masks.text` uses. What they cannot see: values written in words, split by
 * other characters than the usual separators, encoded, or spread over lines; `us_ssn` and `phone` look at shapes, so
 * they also hide other numbers of that shape.
 */
export const detectors: ReadonlyMap<string, Detector> = new Map<string, Detector>([
  ['email', { first: table("A-Za-z0-9._%+'-"), firstBeyondAscii: true, lengthMax: 64 + 1 + 253, match: email }],
  ['us_ssn', { first: table('0-8'), lengthMax: 11, match: socialSecurityNumber }],
  ['credit_card', { first: table('2-6'), lengthMax: 19 + 18, match: creditCard }],
  ['iban', { first: table('A-Z'), lengthMax: 34 + 8, match: iban }],
  ['phone', { first: table('+(2-9'), lengthMax: 32, match: phone }],
  ['ipv4', { first: table('0-9'), lengthMax: 15, match: ipv4 }],
  ['aws_access_key', { first: table('A'), lengthMax: 20, match: awsAccessKey }],
  ['jwt', { first: table('e'), lengthMax: 8 * 1024, goesOn: table('A-Za-z0-9_.-'), match: jsonWebToken }],
  [
    'private_key',
    {
      first: table('-'),
      lengthMax: limits.detectorHoldLengthMax,
      goesOn: table('A-Za-z0-9+/=\\\n\r\t '),
      match: privateKey,
    },
  ],
]);

const digit = table('0-9');
const alphanumeric = table('A-Za-z0-9');
const localPart = table("A-Za-z0-9._%+'-");
const domainPart = table('A-Za-z0-9.-');
const base64Url = table('A-Za-z0-9_-');
const keyLabel = table('A-Z0-9 ');

/** `local@domain.tld`; letters outside ASCII count as letters. @see https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1 */
function email(text: string, at: number, final: boolean): number {
  if (isIn(localPart, text, at - 1, true)) return at;
  const local = run(localPart, text, at, at + 65, true);
  if (local - at > 64) return at;
  if (local === text.length) return final ? at : -1;
  if (text[local] !== '@') return at;
  const stop = run(domainPart, text, local + 1, local + 255, true);
  if (stop === text.length && !final && stop < local + 254) return -1;
  let end = stop;
  while (end > local && (text[end - 1] === '.' || text[end - 1] === '-')) end--;
  const domain = text.slice(local + 1, end);
  const top = domain.lastIndexOf('.') + 1;
  return top > 1 && !domain.includes('..') && /^[^0-9-].+$/.test(domain.slice(top)) ? end : at;
}

/** `ddd-dd-dddd` with dashes or spaces, without the numbers that are never given out. */
function socialSecurityNumber(text: string, at: number, final: boolean): number {
  if (isIn(digit, text, at - 1)) return at;
  const end = shape('ddd-dd-dddd', text, at, final);
  if (end <= at) return end;
  const separators = text[at + 3] === text[at + 6];
  const never = ['000', '666'].includes(text.slice(at, at + 3)) || text.startsWith('00', at + 4);
  return separators && !never && !text.startsWith('0000', at + 7) ? end : at;
}

/** 13 to 19 digits with a valid checksum, alone or with single spaces or dashes between. */
function creditCard(text: string, at: number, final: boolean): number {
  if (isIn(digit, text, at - 1)) return at;
  let best = at;
  let digits = '';
  for (let here = at; ; here++) {
    if (here >= text.length && !final) return -1;
    if (isIn(digit, text, here)) {
      digits += text[here];
      if (digits.length > 19) return best;
      continue;
    }
    const number = here > at && isIn(digit, text, here - 1);
    if (number && digits.length >= 13 && luhn(digits)) best = here;
    if (!number || (text[here] !== ' ' && text[here] !== '-')) return best;
  }
}

/** @see https://en.wikipedia.org/wiki/Luhn_algorithm */
function luhn(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    const value = Number(digits[digits.length - 1 - index]);
    sum += index % 2 === 0 ? value : value > 4 ? 2 * value - 9 : 2 * value;
  }
  return sum % 10 === 0;
}

/** Country, check digits and account, in one piece or in groups of four, with a valid checksum (ISO 13616). */
function iban(text: string, at: number, final: boolean): number {
  if (isIn(alphanumeric, text, at - 1)) return at;
  let best = at;
  let compact = '';
  for (let here = at; ; here++) {
    if (here >= text.length && !final) return -1;
    const upper = isIn(alphanumeric, text, here) && !(text.charCodeAt(here) >= 97);
    if (upper) {
      compact += text[here];
      if (compact.length > 34) return best;
      if (compact.length === 4 && !/^[A-Z]{2}[0-9]{2}$/.test(compact)) return at;
      continue;
    }
    const word = here > at && text[here - 1] !== ' ';
    if (word && compact.length >= 15 && !isIn(alphanumeric, text, here) && mod97(compact) === 1) best = here;
    if (!word || text[here] !== ' ') return best;
  }
}

/** @see https://en.wikipedia.org/wiki/International_Bank_Account_Number#Validating_the_IBAN */
function mod97(compact: string): number {
  let rest = 0;
  for (const char of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(char, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest;
}

/** `+` and 8 to 15 digits with separators, or the North American shapes `(ddd) ddd-dddd` and `ddd-ddd-dddd`. */
function phone(text: string, at: number, final: boolean): number {
  if (isIn(alphanumeric, text, at - 1)) return at;
  if (text[at] !== '+') {
    const shapes = text[at] === '(' ? ['(ddd) ddd-dddd', '(ddd)ddd-dddd'] : ['ddd-ddd-dddd'];
    const ends = shapes.map((one) => shape(one, text, at, final));
    return Math.max(...ends) > at ? Math.max(...ends) : Math.min(...ends);
  }
  let digits = 0;
  let end = at;
  for (let here = at + 1; here < at + 32; here++) {
    if (here >= text.length && !final) return -1;
    if (isIn(digit, text, here)) {
      if (++digits > 15) return at;
      end = here + 1;
    } else if (here >= text.length || !' -.()'.includes(text[here] ?? 'x')) break;
  }
  return digits >= 8 ? end : at;
}

/** Four numbers up to 255 with dots between, not part of a longer such row. */
function ipv4(text: string, at: number, final: boolean): number {
  if (isIn(alphanumeric, text, at - 1) || (text[at - 1] === '.' && isIn(digit, text, at - 2))) return at;
  let here = at;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && text[here++] !== '.') return at;
    const end = run(digit, text, here, here + 4);
    if (end === text.length && !final && end - here < 4) return -1;
    if (end === here || end - here > 3 || Number(text.slice(here, end)) > 255) return at;
    here = end;
  }
  if (text[here] === '.' && here + 1 >= text.length && !final) return -1;
  return isIn(alphanumeric, text, here) || (text[here] === '.' && isIn(digit, text, here + 1)) ? at : here;
}

/** The id of an access key: `AKIA…` (long-lived) or `ASIA…` (temporary), 20 characters. */
function awsAccessKey(text: string, at: number, final: boolean): number {
  if (isIn(alphanumeric, text, at - 1)) return at;
  const end = run(alphanumeric, text, at, at + 21);
  if (end === text.length && !final && end - at <= 20) return -1;
  return /^A(?:KI|SI)A[A-Z0-9]{16}$/.test(text.slice(at, end)) ? end : at;
}

/** Three or more base64url parts of which the first begins a JSON object. @see https://www.rfc-editor.org/rfc/rfc7515#section-7.1 */
function jsonWebToken(text: string, at: number, final: boolean): number {
  const limit = at + 8 * 1024;
  if (!begins('eyJ', text, at)) return at;
  if (isIn(base64Url, text, at - 1)) return at;
  let here = at;
  for (let part = 0; part < 2; part++) {
    // A long text in base64 without a dot is something else: a header is short.
    const bound = part === 0 ? at + 1024 : limit;
    const end = run(base64Url, text, here, bound);
    if (end === text.length && !final && end < bound) return -1;
    if (part === 1 && end === limit) return limit;
    if (text[end] !== '.' || end - here < (part === 0 ? 10 : 2)) return at;
    here = end + 1;
  }
  let end = run(base64Url, text, here, limit);
  while (end < limit && text[end] === '.' && isIn(base64Url, text, end + 1)) end = run(base64Url, text, end + 1, limit);
  if (end >= text.length - 1 && !final && end < limit) return -1;
  return end;
}

const opening = '-----BEGIN ';

/** A PEM block whose label ends in PRIVATE KEY (or …BLOCK); one that is cut off counts. @see https://www.rfc-editor.org/rfc/rfc7468 */
function privateKey(text: string, at: number, final: boolean): number {
  if (!begins(opening, text, at)) return at;
  if (text.length < at + opening.length) return final ? at : -1;
  const label = run(keyLabel, text, at + opening.length, at + opening.length + 64);
  if (label === text.length && !final) return -1;
  if (!/PRIVATE KEY(?: BLOCK)?$/.test(text.slice(at, label))) return at;
  const limit = at + limits.detectorHoldLengthMax;
  const closing = text.indexOf('-----END ', label);
  const end = closing < 0 ? -1 : text.indexOf('-----', closing + 9);
  if (end >= 0 && end + 5 <= limit) return end + 5;
  if (text.length >= limit) return limit;
  return final ? text.length : -1;
}

/** Whether the text, as far as it goes, begins with `prefix` at `at`: so a beginning at the very end still counts. */
function begins(prefix: string, text: string, at: number): boolean {
  return text.startsWith(prefix.slice(0, text.length - at), at);
}

/**
 * The end of a fixed shape and of the number it ends in: `d` a digit, `-` a dash, dot or space, anything else itself.
 * `at` when it is another, −1 when the text ends inside it or right behind it.
 */
function shape(pattern: string, text: string, at: number, final: boolean): number {
  for (let index = 0; index < pattern.length; index++) {
    const char = text[at + index];
    if (char === undefined) return final ? at : -1;
    const expected = pattern[index];
    const fits =
      expected === 'd'
        ? isIn(digit, text, at + index)
        : expected === '-'
          ? char === '-' || char === ' ' || char === '.'
          : char === expected;
    if (!fits) return at;
  }
  const end = at + pattern.length;
  if (end >= text.length && !final) return -1;
  return isIn(digit, text, end) ? at : end;
}

/** The end of the characters of a set from `at`, no further than `limit`. */
function run(set: Uint8Array, text: string, at: number, limit: number, letters = false): number {
  let here = at;
  while (here < limit && isIn(set, text, here, letters)) here++;
  return here;
}

/** Whether there is a character at `at` that is in the set, or outside ASCII where `letters` says that counts. */
function isIn(set: Uint8Array, text: string, at: number, letters = false): boolean {
  if (at < 0 || at >= text.length) return false;
  const code = text.charCodeAt(at);
  return code < 128 ? set[code] === 1 : letters;
}

/** A set of ASCII characters from ranges (`A-Z`) and single characters; a dash stands for itself at the end. */
function table(characters: string): Uint8Array {
  const set = new Uint8Array(128);
  for (let at = 0; at < characters.length; at++) {
    const low = characters.charCodeAt(at);
    const isRange = characters[at + 1] === '-' && at + 2 < characters.length;
    const high = isRange ? characters.charCodeAt(at + 2) : low;
    for (let code = low; code <= high; code++) set[code] = 1;
    if (isRange) at += 2;
  }
  return set;
}

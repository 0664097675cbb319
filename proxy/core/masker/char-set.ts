/** An inclusive range of code points. */
export type Range = readonly [low: number, high: number];

/** A set of code points: a table for ASCII, sorted ranges for the rest. */
export interface CharSet {
  readonly ascii: Uint8Array;
  /** Disjoint, sorted, flattened: low, high, low, high, … all past ASCII. */
  readonly rest: Int32Array;
}

const last = 0x10ffff;

/** The ASCII digits. */
export const digits: readonly Range[] = [[0x30, 0x39]];

/** ASCII letters, digits and the underscore. */
export const words: readonly Range[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];

/** ECMAScript's white space and line terminators. @see https://tc39.es/ecma262/#prod-WhiteSpace */
export const spaces: readonly Range[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];

/** Everything that is in none of the ranges. */
export function complement(ranges: readonly Range[]): readonly Range[] {
  const out: Range[] = [];
  let from = 0;
  for (const [low, high] of merged(ranges)) {
    if (low > from) out.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= last) out.push([from, last]);
  return out;
}

/**
 * The set of the ranges, or of everything else when negated. `ignoreCase` adds the other case of ASCII letters, and of
 * ranges of a single character outside ASCII; it does not fold long ranges outside ASCII.
 */
export function charSet(ranges: readonly Range[], negated: boolean, ignoreCase: boolean): CharSet {
  const folded = ignoreCase ? [...ranges, ...ranges.flatMap(otherCase)] : ranges;
  const final = negated ? complement(folded) : merged(folded);
  const ascii = new Uint8Array(128);
  const rest: number[] = [];
  for (const [low, high] of final) {
    for (let code = low; code <= high && code < 128; code++) ascii[code] = 1;
    if (high >= 128) rest.push(Math.max(low, 128), high);
  }
  return { ascii, rest: Int32Array.from(rest) };
}

/** Whether the code point is in the set. */
export function includes(set: CharSet, code: number): boolean {
  if (code < 128) return set.ascii[code] === 1;
  const rest = set.rest;
  let low = 0;
  let high = rest.length >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > (rest[2 * middle + 1] ?? -1)) low = middle + 1;
    else high = middle;
  }
  return 2 * low < rest.length && code >= (rest[2 * low] ?? last + 1);
}

function merged(ranges: readonly Range[]): readonly Range[] {
  const out: [number, number][] = [];
  for (const [low, high] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const top = out.at(-1);
    if (top !== undefined && low <= top[1] + 1) top[1] = Math.max(top[1], high);
    else out.push([low, high]);
  }
  return out;
}

function otherCase([low, high]: Range): Range[] {
  const out: Range[] = [];
  const upper = overlap(low, high, 0x41, 0x5a);
  if (upper !== undefined) out.push([upper[0] + 32, upper[1] + 32]);
  const lower = overlap(low, high, 0x61, 0x7a);
  if (lower !== undefined) out.push([lower[0] - 32, lower[1] - 32]);
  if (low === high && low >= 128) {
    const char = String.fromCodePoint(low);
    for (const variant of [char.toLowerCase(), char.toUpperCase()]) {
      const code = variant.codePointAt(0);
      if (code !== undefined && Array.from(variant).length === 1) out.push([code, code]);
    }
  }
  return out;
}

function overlap(low: number, high: number, from: number, to: number): Range | undefined {
  const start = Math.max(low, from);
  const end = Math.min(high, to);
  return start <= end ? [start, end] : undefined;
}

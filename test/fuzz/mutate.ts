/** A whole number from 0 to below `bound`. */
export type Random = (bound: number) => number;

/** Reproducible randomness: the same seed, the same numbers (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(1, bound);
  };
}

/** Numbers at which lengths and counts go wrong. */
const interesting = [-2_147_483_648, -2, -1, 0, 1, 3, 4, 5, 127, 255, 256, 32_767, 65_535, 65_536, 2_147_483_647];
const bytesMax = 64 * 1024;

/** One to six changes to `bytes`, with parts of `other`. */
export function mutate(bytes: Buffer, other: Buffer, random: Random): Buffer {
  let result = Buffer.from(bytes);
  for (let changes = 1 + random(6); changes > 0; changes--) result = change(result, other, random);
  return result.subarray(0, bytesMax);
}

function change(bytes: Buffer, other: Buffer, random: Random): Buffer<ArrayBuffer> {
  const at = random(bytes.length + 1);
  const to = Math.min(bytes.length, at + random(32));
  const copy = Buffer.from(bytes);
  switch (random(8)) {
    case 0:
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << random(8));
      return copy;
    case 1:
      if (at < copy.length) copy[at] = random(256);
      return copy;
    case 2:
      if (at + 4 <= copy.length) copy.writeInt32BE(interesting[random(interesting.length)] ?? 0, at);
      return copy;
    case 3:
      if (at + 2 <= copy.length) copy.writeUInt16BE((interesting[random(interesting.length)] ?? 0) & 0xffff, at);
      return copy;
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 6:
      return Buffer.from(bytes.subarray(0, at));
    default: {
      const from = random(other.length + 1);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(from, from + random(200)), bytes.subarray(at)]);
    }
  }
}

import { type Detector, detectors } from '../detectors.ts';
import { limits } from '../limits.ts';
import type { CompiledMask } from '../masker.ts';

/** A detector, and the mask for what it finds. */
export interface Active {
  readonly detector: Detector;
  readonly mask: CompiledMask;
}

/** Bytes to be masked together. */
export interface Find {
  readonly start: number;
  readonly end: number;
  /** Undefined when several detectors found parts of them. */
  readonly by: Active | undefined;
  /** The detector whose find ends where this ends. */
  readonly last: Detector;
  /** Whether that find is as long as its detector looks, so that more may belong to it. */
  readonly overlong: boolean;
}

/** A place from which on only more bytes can tell. */
export interface Open {
  readonly start: number;
  readonly end?: undefined;
}

/** Detectors that are of use only near a certain byte. */
interface Need {
  readonly byte: number;
  readonly within: number;
  readonly bit: number;
  /** Where the byte comes next; the end of what is there when it does not. */
  next: number;
}

const space = 0x20;
const headBytes = 4;

/**
 * What is made of the detectors and masks of a text, once for all texts. Every head of a detector is a bit, and tables by
 * byte say which of them a byte allows before a find, as its first byte, its second, and so on.
 */
class Tables {
  /** By bit: a detector is there once for each of its heads. */
  readonly active: Active[] = [];
  readonly after = new Int32Array(256);
  readonly afterSpace = new Int32Array(256);
  readonly afterOther = new Int32Array(256);
  readonly first = new Int32Array(256);
  readonly second = new Int32Array(256);
  readonly third = new Int32Array(256);
  readonly fourth = new Int32Array(256);
  readonly needs: Omit<Need, 'next'>[] = [];

  /** @throws RangeError for a name that is no detector */
  constructor(masks: ReadonlyMap<string, CompiledMask>) {
    for (const name of masks.keys()) if (!detectors.has(name)) throw new RangeError('no detector has this name');
    // In the order of the detectors, not of the masks: what a tie comes to must not depend on the order of policies.
    for (const [name, detector] of detectors) {
      const mask = masks.get(name);
      if (mask === undefined) continue;
      const active = { detector, mask };
      for (const head of detector.heads) this.#enter(active, head);
    }
  }

  #enter(active: Active, head: readonly Uint8Array[]): void {
    const { after, afterSpace, afterOther, needs } = active.detector;
    const bit = 1 << (this.active.push(active) - 1);
    enter(this.after, after, bit);
    enter(this.afterSpace, afterSpace, bit);
    enter(this.afterOther, afterOther, bit);
    for (const [index, table] of [this.first, this.second, this.third, this.fourth].entries()) {
      enter(table, head[index], bit);
    }
    if (needs !== undefined) this.needs.push({ ...needs, bit });
  }
}

const tables = new WeakMap<ReadonlyMap<string, CompiledMask>, Tables>();

/**
 * Looks for what any of some detectors finds. A detector is asked only where all tables agree, and the most of a text costs
 * two looks a byte.
 */
export class Finder {
  readonly #active: readonly Active[];
  readonly #after: Int32Array;
  readonly #afterSpace: Int32Array;
  readonly #afterOther: Int32Array;
  readonly #first: Int32Array;
  readonly #second: Int32Array;
  readonly #third: Int32Array;
  readonly #fourth: Int32Array;
  readonly #needs: readonly Need[];

  /**
   * @param masks - by detector name; what is made of one object is kept for its next use.
   * @throws RangeError for a name that is no detector
   */
  constructor(masks: ReadonlyMap<string, CompiledMask>) {
    const made = tables.get(masks) ?? new Tables(masks);
    tables.set(masks, made);
    this.#active = made.active;
    this.#after = made.after;
    this.#afterSpace = made.afterSpace;
    this.#afterOther = made.afterOther;
    this.#first = made.first;
    this.#second = made.second;
    this.#third = made.third;
    this.#fourth = made.fourth;
    this.#needs = made.needs.map((need) => ({ ...need, next: -1 }));
  }

  /** Forgets where it was: other bytes stand in the buffer. */
  reset(): void {
    for (const need of this.#needs) need.next = -1;
  }

  /** The first find from `from` on, or the first place that may become one; at least one byte stands before `from`. */
  next(bytes: Buffer, from: number, end: number, final: boolean): Find | Open | undefined {
    const first = this.#first;
    const after = this.#after;
    let before = after[bytes[from - 1] ?? 0] ?? 0;
    for (let at = from; at < end; ) {
      // The same detectors are of use up to here.
      let stop = end;
      let useful = -1;
      for (const need of this.#needs) {
        const near = this.#next(need, bytes, at, end) - need.within;
        if (near > at) useful &= ~need.bit;
        stop = Math.min(stop, near > at ? near : need.next + 1);
      }
      for (; at < stop; at++) {
        const byte = bytes[at] ?? 0;
        const bits = before & (first[byte] ?? 0) & useful;
        before = after[byte] ?? 0;
        if (bits === 0) continue;
        const likely = this.#likely(bytes, at, end, bits);
        if (likely === 0) continue;
        const find = this.#longest(bytes, at, end, final, likely);
        if (find !== undefined) return this.#widened(find, bytes, end, final);
      }
    }
    return undefined;
  }

  /** What `next` does, for one place. */
  at(bytes: Buffer, at: number, end: number, final: boolean): Find | Open | undefined {
    const likely = this.#candidates(bytes, at, end);
    const find = likely === 0 ? undefined : this.#longest(bytes, at, end, final, likely);
    return find === undefined ? undefined : this.#widened(find, bytes, end, final);
  }

  #candidates(bytes: Buffer, at: number, end: number): number {
    let bits = (this.#after[bytes[at - 1] ?? 0] ?? 0) & (this.#first[bytes[at] ?? 0] ?? 0);
    if (bits === 0) return 0;
    for (const need of this.#needs) {
      if ((bits & need.bit) !== 0 && this.#next(need, bytes, at, end) - need.within > at) bits &= ~need.bit;
    }
    return this.#likely(bytes, at, end, bits);
  }

  /** Which of some detectors the bytes around a place allow; those that are not there yet allow all. */
  #likely(bytes: Buffer, at: number, end: number, candidates: number): number {
    let bits = candidates;
    bits &= (bytes[at - 1] === space ? this.#afterSpace : this.#afterOther)[bytes[at - 2] ?? 0] ?? 0;
    if (at + headBytes <= end) {
      bits &= this.#second[bytes[at + 1] ?? 0] ?? 0;
      bits &= this.#third[bytes[at + 2] ?? 0] ?? 0;
      return bits & (this.#fourth[bytes[at + 3] ?? 0] ?? 0);
    }
    if (at + 1 < end) bits &= this.#second[bytes[at + 1] ?? 0] ?? 0;
    return at + 2 < end ? bits & (this.#third[bytes[at + 2] ?? 0] ?? 0) : bits;
  }

  #next(need: Need, bytes: Buffer, at: number, end: number): number {
    if (need.next < at) need.next = seek(bytes, need.byte, at, end);
    return need.next;
  }

  /**
   * A find with what other detectors find in it: a part that one mask keeps may be what another would hide.
   */
  #widened(found: Find | Open, bytes: Buffer, end: number, final: boolean): Find | Open {
    if (found.end === undefined) return found;
    const { start } = found;
    let { end: stop, by, last, overlong } = found;
    const except = by === undefined ? 0 : this.#bitsOf(by);
    const whole = by?.mask.kind === 'constant';
    for (let at = start + 1; at < stop && stop - start < limits.detectorHoldLengthMax; at++) {
      const likely = this.#candidates(bytes, at, end) & ~except;
      if (likely === 0) continue;
      const other = this.#longest(bytes, at, end, final, likely);
      if (other === undefined) continue;
      if (other.end === undefined) return { start };
      if (other.end <= stop && whole) continue;
      by = undefined;
      if (other.end <= stop) continue;
      ({ end: stop, last, overlong } = other);
    }
    return { start, end: stop, by, last, overlong };
  }

  #bitsOf(active: Active): number {
    return this.#active.reduce((bits, one, index) => (one === active ? bits | (1 << index) : bits), 0);
  }

  /** The longest find at `at`. Where several begin there, only a constant may stand for all of them. */
  #longest(bytes: Buffer, at: number, end: number, final: boolean, candidates: number): Find | Open | undefined {
    let stop = at;
    let by: Active | undefined;
    let several = false;
    for (let bits = candidates; bits !== 0; bits &= bits - 1) {
      const active = this.#active[31 - Math.clz32(bits & -bits)];
      const other = active?.detector.match(bytes, at, end, final) ?? at;
      if (other < 0) return { start: at };
      if (other <= at) continue;
      several ||= by !== undefined && active !== by;
      if (other > stop || (other === stop && isConstant(active) && !isConstant(by))) by = active;
      stop = Math.max(stop, other);
    }
    if (by === undefined) return undefined;
    const { detector: last } = by;
    const overlong = stop - at >= last.lengthMax;
    return { start: at, end: stop, by: several && !isConstant(by) ? undefined : by, last, overlong };
  }
}

function isConstant(active: Active | undefined): boolean {
  return active?.mask.kind === 'constant';
}

/** Gives a detector's bit to the bytes of a set, or to all. */
function enter(table: Int32Array, set: Uint8Array | undefined, bit: number): void {
  for (let byte = 0; byte < 256; byte++) if (set?.[byte] !== 0) table[byte] = (table[byte] ?? 0) | bit;
}

const nearBytes = 16;
/** Up to here a loop costs less than a call. */
const shortBytes = 64;

/** Where a byte comes next, or `end`. What is near is found without the cost of a call into the platform. */
function seek(bytes: Buffer, byte: number, at: number, end: number): number {
  const near = end - at <= shortBytes ? end : at + nearBytes;
  for (let here = at; here < near; here++) if (bytes[here] === byte) return here;
  if (near >= end) return end;
  const found = bytes.indexOf(byte, near);
  return found < 0 || found > end ? end : found;
}

import { limits } from '../limits.ts';
import type { CompiledMask } from '../masker.ts';
import { type ByteMasker, createByteMasker } from './bytes.ts';
import { Finder } from './finder.ts';
import { decodeString, encodeString, StringEncoder, undecidedBytes } from './json-string.ts';

const quote = 0x22;
const colon = 0x3a;
const lineFeed = 0x0a;
const escapeByte = 0x1b;
const clock = { monotonicMs: () => 0 };
/** Most strings fit, and a search in it that finds nothing is over soon. */
const roomBytes = 1024;
/** What is kept of a name: what detectors look behind, but for the signs around it. */
const nameBytesMax = limits.detectorLookBehindBytes - 5;
/** Where a name begins: behind a line feed and a quotation mark. */
const nameAt = 2;

/**
 * Looks for the finds of detectors in strings, numbers and names of a JSON document, decoded. A member's value is looked at
 * with its name before it, `"name":"value`, as detectors of named secrets need it. One without finds is left as it is written.
 */
export class JsonText {
  /** How many finds were masked so far. */
  matches = 0;
  readonly #masks: ReadonlyMap<string, CompiledMask>;
  readonly #finder: Finder;
  /** Holds what stands before a value, and the value. */
  readonly #room = Buffer.alloc(roomBytes);
  /** Where the last name ends in it. */
  #nameEnd = nameAt;

  /** @throws RangeError for a name that is no detector */
  constructor(masks: ReadonlyMap<string, CompiledMask>) {
    this.#masks = masks;
    this.#finder = new Finder(masks);
  }

  /**
   * Looks at a name, and keeps it for the value that follows.
   *
   * @param raw - valid from `start` to `end`: the name with its quotation marks
   * @returns what to write in its place, if anything
   */
  name(raw: Buffer, start: number, end: number): string | undefined {
    const room = this.#roomFor(end - start);
    room[0] = lineFeed;
    room[1] = quote;
    const stop = decodeString(raw, start + 1, end - 1, room, nameAt);
    const written = this.#look(room, nameAt, stop, stop < nameAt + end - start - 2);
    const kept = Math.min(stop - nameAt, nameBytesMax);
    this.#nameEnd = nameAt + kept;
    if (stop > this.#nameEnd) room.copy(this.#room, nameAt, stop - kept, stop);
    return written;
  }

  /**
   * Looks at a string or a number.
   *
   * @param raw - valid from `start` to `end`: all of it, a string with its quotation marks
   * @param isMember - whether it belongs to the last name
   * @returns what to write in its place, if anything: a string
   */
  value(raw: Buffer, start: number, end: number, isMember: boolean): string | undefined {
    const mark = raw[start] === quote ? 1 : 0;
    const from = this.#before(isMember, mark);
    let room = this.#room;
    if (from + end - start > roomBytes) {
      room = Buffer.allocUnsafe(from + end - start);
      this.#room.copy(room, 0, 0, from);
    }
    const stop = decodeString(raw, start + mark, end - mark, room, from);
    return this.#look(room, from, stop, stop - from < end - start - 2 * mark);
  }

  /** Begins to look at a string that is too long to be held; it is written anew, found or not. */
  long(isMember: boolean): LongText {
    return new LongText(this.#masker(this.#before(isMember, 1)));
  }

  /** Counts what was found in a long string that ended. */
  count({ matches }: LongText): void {
    this.matches += matches;
  }

  /** Prepares the room for a value: where it begins, behind its name if it has one, and its quotation mark. */
  #before(isMember: boolean, mark: number): number {
    const room = this.#room;
    room[0] = lineFeed;
    room[1] = quote;
    if (!isMember) return 1 + mark;
    room[this.#nameEnd] = room[this.#nameEnd + 2] = quote;
    room[this.#nameEnd + 1] = colon;
    return this.#nameEnd + 2 + mark;
  }

  #masker(from: number, room: Buffer = this.#room): ByteMasker {
    const made = createByteMasker(this.#masks, { clock, before: Buffer.from(room.subarray(0, from)) });
    if ('error' in made) throw new RangeError(made.error);
    return made.masker;
  }

  #roomFor(bytes: number): Buffer {
    return bytes + nameAt <= roomBytes ? this.#room : Buffer.allocUnsafe(bytes + nameAt);
  }

  /** @param wasEscaped - whether bytes of a terminal sequence may be there, which are never written as they are */
  #look(room: Buffer, from: number, stop: number, wasEscaped: boolean): string | undefined {
    const isColoured = wasEscaped && room.subarray(from, stop).includes(escapeByte);
    this.#finder.reset();
    // Only a masker sees through colours.
    if (!isColoured && this.#finder.next(room, from, stop, true) === undefined) return undefined;
    const masker = this.#masker(from, room);
    // A copy: the masker may give parts of what it got, and the room is used again.
    const masked = Buffer.concat([...masker.push(Buffer.from(room.subarray(from, stop))), ...masker.finish()]);
    if (masker.matches === 0) return undefined;
    this.matches += masker.matches;
    return `"${encodeString(masked)}"`;
  }
}

/** A string that is looked through while it passes. */
export class LongText {
  readonly #masker: ByteMasker;
  readonly #encoder = new StringEncoder();
  /** An escape whose rest has not come. */
  #begun: Buffer = Buffer.alloc(0);

  constructor(masker: ByteMasker) {
    this.#masker = masker;
  }

  get matches(): number {
    return this.#masker.matches;
  }

  /** Takes the next part, without quotation marks, and returns what can be written by now. */
  push(part: Buffer): string {
    const raw = Buffer.concat([this.#begun, part]);
    const end = raw.length - undecidedBytes(raw, 0, raw.length);
    this.#begun = raw.subarray(end);
    return this.#decoded(raw, end);
  }

  finish(): string {
    const rest = this.#decoded(this.#begun, this.#begun.length);
    return rest + this.#encoder.push(Buffer.concat(this.#masker.finish())) + this.#encoder.finish();
  }

  #decoded(raw: Buffer, end: number): string {
    const decoded = Buffer.allocUnsafe(end);
    const bytes = decoded.subarray(0, decodeString(raw, 0, end, decoded, 0));
    return this.#encoder.push(Buffer.concat(this.#masker.push(bytes)));
  }
}

import { isUtf8 } from 'node:buffer';
import { limits } from '../limits.ts';
import { type CompiledMask, maskText } from '../masker.ts';
import type { Clock } from '../ports.ts';
import { View } from './escapes.ts';
import { type Find, Finder } from './finder.ts';

/** Masks what detectors find in bytes that arrive in pieces. One object for one stream. */
export interface ByteMasker {
  /** How many finds were masked so far. */
  readonly matches: number;
  /** Bytes that are held back because they may be the beginning of a find. */
  readonly heldBytes: number;
  /** When {@link idle} is due, on the monotonic clock: `idleMs` after the first byte that is held back came. */
  readonly idleAtMs: number | undefined;
  /** Takes the next piece and returns what can be shown by now: parts of the piece where there is nothing to mask. */
  push(piece: Buffer): Buffer[];
  /**
   * Shows what is held back, for somebody who waits for it (a prompt). What is a find if nothing follows is masked, and
   * what goes on behind it is hidden where the detector can tell; of a find that is completed only later, the part that was
   * shown stays shown and the rest is hidden. So whoever can make a stream pause in the middle of a value sees its beginning.
   */
  idle(): Buffer[];
  /** Returns the rest. Nothing may be pushed afterwards. */
  finish(): Buffer[];
}

/**
 * Makes a masker of one stream. Bytes that belong to no find go out as they came, whatever their encoding; a value is
 * given to its mask as text, decoded as UTF-8 where it is that and as Latin-1 where not.
 *
 * - The result does not depend on how the stream was cut, as long as nobody calls `idle`.
 * - What may still turn out to be part of a find is held back, never more than twice `limits.detectorHoldLengthMax` bytes.
 *   Pieces much smaller than what is held (a 64th) are only gathered.
 * - Takes time proportional to the bytes, whatever they are and however they are cut.
 * - Finds that overlap are hidden together as `***`, and one past its detector's longest is hidden to its end.
 * - Terminal sequences that only colour (`ESC [ … m` and the like) are looked through, and go with the find they stand in;
 *   those that move the cursor end a word.
 *
 * What it cannot see, besides what the detectors cannot: values that a terminal would put together out of what stands in
 * different places, overwrites (`\r`, backspace) or repeats (`ESC [ b`), and values with a string sequence (a window's title) inside.
 *
 * @param masks - by detector name; the `null` method removes a find.
 * @param options.idleMs - see {@link ByteMasker.idleAtMs}
 * @param options.before - what stands before the stream for detectors that look behind, and is not masked; a line feed if nothing does
 * @returns an error for a name that is no detector.
 */
export function createByteMasker(
  masks: ReadonlyMap<string, CompiledMask>,
  options: {
    readonly clock: Pick<Clock, 'monotonicMs'>;
    readonly idleMs?: number;
    readonly before?: Buffer | undefined;
  },
): { readonly masker: ByteMasker } | { readonly error: string } {
  try {
    const { clock, idleMs = limits.maskIdleMs, before = Buffer.from([lineFeed]) } = options;
    return { masker: new Stream(new Finder(masks), clock, idleMs, before) };
  } catch (error) {
    if (error instanceof RangeError) return { error: 'A text mask names an unknown detector.' };
    throw error;
  }
}

/** How sure a decision must be: more may follow, somebody waits, or nothing follows. */
type Mode = 'more' | 'idle' | 'final';

const empty = Buffer.alloc(0);
const lineFeed = 0x0a;

/**
 * Where bytes are looked at. One for all streams: nothing in it is of use after a call.
 * The bytes that go out are never taken from here.
 */
let workspace = Buffer.allocUnsafeSlow(2 * limits.maskSliceBytes);

class Stream implements ByteMasker {
  matches = 0;
  idleAtMs: number | undefined;
  readonly #finder: Finder;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #idleMs: number;
  /** The last bytes, as detectors see them, before those that are held. */
  #context: Buffer;
  /** Bytes as they came that are not decided about, of which the first `#shown` were shown by `idle`. */
  #held: Buffer = empty;
  #shown = 0;
  /** How many bytes must be there before it is worth looking at the held ones again. */
  #enough = 0;
  /** Set behind a find that was too long: what still belongs to it. */
  #goesOn: Uint8Array | undefined;

  constructor(finder: Finder, clock: Pick<Clock, 'monotonicMs'>, idleMs: number, before: Buffer) {
    this.#finder = finder;
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#context = before.subarray(Math.max(0, before.length - limits.detectorLookBehindBytes));
  }

  get heldBytes(): number {
    return this.#held.length - this.#shown;
  }

  push(piece: Buffer): Buffer[] {
    const out: Buffer[] = [];
    for (let from = 0; from < piece.length; from += limits.maskSliceBytes) {
      this.#take(piece.subarray(from, from + limits.maskSliceBytes), 'more', out);
    }
    this.#keepTime(piece.length);
    return out;
  }

  idle(): Buffer[] {
    const out: Buffer[] = [];
    if (this.heldBytes > 0) this.#take(empty, 'idle', out);
    this.idleAtMs = undefined;
    return out;
  }

  finish(): Buffer[] {
    const out: Buffer[] = [];
    this.#take(empty, 'final', out);
    this.idleAtMs = undefined;
    return out;
  }

  /** When the first held byte came, if it can be known; earlier otherwise. */
  #keepTime(newBytes: number): void {
    if (this.heldBytes === 0) this.idleAtMs = undefined;
    else if (this.idleAtMs === undefined || this.heldBytes <= newBytes) {
      this.idleAtMs = this.#clock.monotonicMs() + this.#idleMs;
    }
  }

  #take(piece: Buffer, mode: Mode, out: Buffer[]): void {
    const held = this.#held;
    const length = held.length + piece.length;
    if (mode === 'more' && length < this.#enough) {
      this.#held = Buffer.concat([held, piece], length);
      return;
    }
    const start = this.#context.length;
    if (workspace.length < start + length) workspace = Buffer.allocUnsafeSlow(2 * (start + length));
    this.#context.copy(workspace);
    this.#finder.reset();
    const plain = !held.includes(escapeByte) && !piece.includes(escapeByte);
    let view: View | Plain;
    if (plain) {
      held.copy(workspace, start);
      piece.copy(workspace, start + held.length);
      view = new Plain(start, length);
    } else view = View.of(Buffer.concat([held, piece], length), workspace, start, mode !== 'more');
    const scan = new Scan(held, piece, view, this.#shown, out);
    const decided = this.#scan(scan, start, mode);
    const from = view.cameAt(decided);
    if (mode === 'more') scan.show(from);
    else scan.show(view.taken);
    this.#held = from === length ? empty : scan.copy(from, length);
    this.#shown = Math.max(0, scan.shown - from);
    this.#enough = this.#held.length + (this.#held.length >> 6);
    const context = workspace.subarray(Math.max(0, decided - limits.detectorLookBehindBytes), decided);
    this.#context = Buffer.from(context);
  }

  /** Shows and masks. Returns from where on, in the view, things are not decided. */
  #scan(scan: Scan, start: number, mode: Mode): number {
    const { view } = scan;
    const end = view.end;
    let at = start;
    let undecided = -1;
    while (at < end) {
      if (this.#goesOn !== undefined) at = this.#swallow(scan, this.#goesOn, at);
      let found = this.#finder.next(workspace, at, end, mode === 'final');
      if (found === undefined) break;
      if (found.end === undefined) {
        if (mode !== 'idle') return found.start;
        const { start: place } = found;
        found = this.#finder.at(workspace, place, end, true);
        if (found?.end === undefined) {
          if (undecided < 0) undecided = place;
          at = place + 1;
          continue;
        }
      }
      undecided = -1;
      this.#mask(scan, found, mode);
      at = found.end;
    }
    return undecided < 0 ? end : undecided;
  }

  #swallow(scan: Scan, goesOn: Uint8Array, start: number): number {
    const { view } = scan;
    let at = start;
    while (at < view.end && goesOn[workspace[at] ?? 0] === 1) at++;
    if (at < view.end) this.#goesOn = undefined;
    if (at > start) {
      scan.show(view.cameAt(start));
      scan.skip(view.cameAt(at - 1) + 1);
    }
    return at;
  }

  #mask(scan: Scan, { start, end, by, last, overlong }: Find, mode: Mode): void {
    const { view } = scan;
    this.matches++;
    scan.show(view.cameAt(start));
    scan.skip(view.cameAt(end - 1) + 1);
    if (overlong || (mode === 'idle' && end === view.end)) this.#goesOn = last.goesOn;
    let text = maskText;
    if (by?.mask.kind === 'constant') text = by.mask.value ?? '';
    else if (by !== undefined) {
      const tooLong = overlong && last.goesOn !== undefined;
      text = tooLong ? by.mask.tooLong : by.mask.apply(decode(workspace.subarray(start, end)));
    }
    scan.put(text);
  }
}

const escapeByte = 0x1b;

function decode(value: Buffer): string {
  return isUtf8(value) ? value.toString('utf8') : value.toString('latin1');
}

/** The view of bytes without terminal sequences: the bytes themselves. */
class Plain {
  readonly end: number;
  readonly taken: number;
  readonly #start: number;

  constructor(start: number, length: number) {
    this.#start = start;
    this.end = start + length;
    this.taken = length;
  }

  cameAt(place: number): number {
    return place - this.#start;
  }
}

/** What becomes of the held bytes and a new piece. Places are in the two of them, as they came. */
class Scan {
  readonly view: View | Plain;
  readonly #held: Buffer;
  readonly #piece: Buffer;
  readonly #out: Buffer[];
  /** Up to where bytes were shown or left out. */
  shown: number;

  constructor(held: Buffer, piece: Buffer, view: View | Plain, shown: number, out: Buffer[]) {
    this.#held = held;
    this.#piece = piece;
    this.view = view;
    this.shown = shown;
    this.#out = out;
  }

  /** Shows the bytes up to a place. */
  show(to: number): void {
    const from = this.shown;
    if (to <= from) return;
    const split = this.#held.length;
    if (from < split) this.#out.push(this.#held.subarray(from, Math.min(to, split)));
    if (to > split) this.#out.push(this.#piece.subarray(Math.max(0, from - split), to - split));
    this.shown = to;
  }

  /** Leaves out the bytes up to a place. */
  skip(to: number): void {
    this.shown = Math.max(this.shown, to);
  }

  put(text: string): void {
    if (text !== '') this.#out.push(Buffer.from(text));
  }

  copy(from: number, to: number): Buffer {
    return Buffer.concat([
      this.#held.subarray(from),
      this.#piece.subarray(Math.max(0, from - this.#held.length), Math.max(0, to - this.#held.length)),
    ]);
  }
}

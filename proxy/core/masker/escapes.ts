import { limits } from '../limits.ts';

/**
 * Bytes as detectors see them: without the terminal sequences that only colour them. A place in them is a place in the
 * bytes as they came, plus what was left out before it.
 */
export class View {
  /** Where the view ends in the buffer it was written to. */
  end = 0;
  /** How many bytes as they came it accounts for; the rest may be the beginning of a sequence. */
  taken = 0;
  /** Alternately a place in the view, and the place as it came: what follows one follows the other, up to the next. */
  readonly #cuts: number[] = [];
  #cut = 0;

  /** Where the byte at a place of the view came. Places must be asked for in order. */
  cameAt(place: number): number {
    if (place >= this.end) return this.taken;
    while ((this.#cuts[this.#cut + 2] ?? Infinity) <= place) this.#cut += 2;
    return place - (this.#cuts[this.#cut] ?? 0) + (this.#cuts[this.#cut + 1] ?? 0);
  }

  /** Makes the view of `raw`, writing it to `target` from `start`. `final` when nothing follows. */
  static of(raw: Buffer, target: Buffer, start: number, final: boolean): View {
    const view = new View();
    view.end = start;
    while (view.taken < raw.length) {
      const found = raw.indexOf(escapeByte, view.taken);
      const stop = found < 0 ? raw.length : found;
      if (stop > view.taken) view.#copy(raw, target, view.taken, stop);
      view.taken = stop;
      if (found < 0) break;
      const length = sequenceLength(raw, found);
      if (length === incomplete && !final) break;
      if (length <= 0 || separates(raw, found, length)) view.#copy(raw, target, found, found + 1);
      view.taken = found + Math.max(1, length);
    }
    return view;
  }

  #copy(raw: Buffer, target: Buffer, from: number, to: number): void {
    this.#cuts.push(this.end, from);
    if (to - from === 1) target[this.end++] = raw[from] ?? 0;
    else this.end += raw.copy(target, this.end, from, to);
  }
}

const escapeByte = 0x1b;
const none = 0;
const incomplete = -1;

/**
 * How long the sequence is that begins at `at`: a control sequence (`ESC [ … m`), or one of two or three bytes. `none` when
 * it is not one, `incomplete` when only more bytes can tell. What could carry text of its own is not one: strings (window
 * titles, links: ESC and one of `]PX^_`), and numbers of more than five digits.
 * @see https://ecma-international.org/publications-and-standards/standards/ecma-48/
 */
function sequenceLength(raw: Buffer, at: number): number {
  const second = raw[at + 1];
  if (second === undefined) return incomplete;
  if (second === 0x5b) return controlSequenceLength(raw, at);
  if (second >= 0x20 && second <= 0x2f) {
    const third = raw[at + 2];
    if (third === undefined) return incomplete;
    return third >= 0x30 && third <= 0x7e ? 3 : none;
  }
  return shortFinals.includes(second) ? 2 : none;
}

/** Save, restore, next line, reverse line feed, reset, keypad modes, the end of a string. */
const shortFinals = Buffer.from('78DEHMc=>\\');

function controlSequenceLength(raw: Buffer, at: number): number {
  let here = at + 2;
  let digits = 0;
  for (let intermediate = false; here < at + limits.terminalSequenceBytesMax; here++) {
    const byte = raw[here];
    if (byte === undefined) return incomplete;
    if (byte >= 0x40 && byte <= 0x7e) return here + 1 - at;
    if (byte < 0x20 || byte > 0x7e) return none;
    digits = byte >= 0x30 && byte <= 0x39 ? digits + 1 : 0;
    if (digits > 5 || (intermediate && byte >= 0x30)) return none;
    intermediate = byte < 0x30;
  }
  return none;
}

/** What moves the cursor or clears the screen separates words; colours, erasing to the end of a line and modes do not. */
const moves = Buffer.from('ABCDEFGHIJLMPSTX@Z`adefrsu');
const shortColours = Buffer.from('=>');

function separates(raw: Buffer, at: number, length: number): boolean {
  if (length === 3 && raw[at + 1] !== 0x5b) return false;
  const final = raw[at + length - 1] ?? 0;
  return raw[at + 1] === 0x5b ? moves.includes(final) : !shortColours.includes(final);
}

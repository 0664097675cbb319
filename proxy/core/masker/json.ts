import { GatewayError } from '../errors.ts';
import { limits } from '../limits.ts';
import { type CompiledMask, maskText } from '../masker.ts';
import { HeldBytes } from './held-bytes.ts';
import type { JsonPaths, JsonPlace } from './json-paths.ts';
import * as json from './json-states.ts';
import { isQuoted, quotedText, scalarText } from './json-string.ts';
import { JsonText, type LongText } from './json-text.ts';
import { Pieces } from './pieces.ts';
import { Utf8Check } from './utf8.ts';

/** Masks JSON that arrives in pieces. One object for any number of documents, one after the other. */
export interface JsonMasker {
  /** How many values and finds were masked so far, in all documents. */
  readonly matches: number;
  /** Takes the next piece and returns what can be shown by now. @throws GatewayError when it is no JSON; then it is of no more use. */
  push(piece: Buffer): Buffer[];
  /** Ends a document and returns its rest. @throws GatewayError when it is not whole */
  finish(): Buffer[];
}

/** What a masker of JSON hides. */
export interface JsonMaskOptions {
  /** Values by where they stand. */
  readonly paths: JsonPaths;
  /** By detector: what is found in strings, numbers and names. */
  readonly text?: ReadonlyMap<string, CompiledMask> | undefined;
  /** `lines`: any number of documents, each with a line of its own (empty ones allowed), as in NDJSON. */
  readonly documents?: 'one' | 'lines';
}

/**
 * Makes a masker of JSON. Takes exactly what `JSON.parse` takes, in UTF-8, to `limits.jsonDepthMax` levels. Everything that is not
 * masked goes out byte by byte as it came, numbers with all their digits and duplicate members included (each is masked).
 *
 * - A masked string, number, `true` or `false` becomes the string that the mask makes of its text, or `null`. A `null` stays,
 *   except under a constant. One longer than `limits.maskedValueBytesMax` is hidden whole.
 * - A masked object or array is hidden whole: no part of it is a text that a method was meant for.
 * - A string, number or name that detectors find something in is written anew, and a path's mask is put over that. Strings longer
 *   than `limits.jsonStringHeldBytesMax` are written anew in any case, which changes their escapes and nothing else.
 *
 * The result does not depend on how the document was cut. Time is proportional to its bytes; what is held is bounded.
 *
 * @throws RangeError for a name that is no detector
 */
export function createJsonMasker({ paths, text, documents = 'one' }: JsonMaskOptions): JsonMasker {
  const looksFor = text === undefined || text.size === 0 ? undefined : new JsonText(text);
  return new Scanner(paths, looksFor, documents === 'lines');
}

/** What becomes of the scalar that is being read. */
type Mode = 'show' | 'hold' | 'hide' | 'rewrite';

const brace = 0x7b;
const bracket = 0x5b;
const firstLetter = 0x61;
/** Of `null`. */
const letterN = 0x6e;
const empty = Buffer.alloc(0);
/** Bytes that are looked at in one call: short calls are what keeps the loop compiled. */
const sliceBytes = 2048;

class Scanner implements JsonMasker {
  readonly #paths: JsonPaths;
  readonly #text: JsonText | undefined;
  readonly #lines: boolean;
  readonly #tables: json.Tables;
  readonly #utf8 = new Utf8Check();
  readonly #out = new Pieces();
  #maskedValues = 0;
  #failed = false;

  #state = json.beforeValue;
  /** What is next, by the innermost container. */
  #table: Uint8Array;
  /** The containers around the next value, and where they are. */
  #depth = 0;
  readonly #isObject = new Uint8Array(limits.jsonDepthMax + 1);
  readonly #places: JsonPlace[] = [];
  /** Where the next value is. */
  #place: JsonPlace;

  /** From where on the piece is to be shown. */
  #shown = 0;
  /** Where the name or scalar that is held begins in the piece, or −1; what came of it in earlier pieces is in `#held`. */
  #tokenAt = -1;
  readonly #held = new HeldBytes();
  #isEscaped = false;
  #mode: Mode = 'show';
  #long: LongText | undefined;
  /** The depth of the container that is hidden, or −1, and what stands for it or for the scalar that is. */
  #hiddenDepth = -1;
  #hidden: Buffer = empty;

  constructor(paths: JsonPaths, text: JsonText | undefined, lines: boolean) {
    this.#paths = paths;
    this.#text = text;
    this.#lines = lines;
    this.#tables = lines ? json.ofLines : json.ofDocument;
    this.#table = this.#tables.nothing;
    this.#place = paths.root;
  }

  get matches(): number {
    return this.#maskedValues + (this.#text?.matches ?? 0);
  }

  push(piece: Buffer): Buffer[] {
    return this.#guarded(() => {
      if (!this.#utf8.push(piece)) throw malformed();
      this.#shown = 0;
      for (let at = 0; at < piece.length; ) {
        const to = Math.min(piece.length, at + sliceBytes);
        at = this.#mode === 'show' ? this.#scan(piece, at, to) : this.#scanScalar(piece, at, to);
      }
      this.#putOff(piece);
      return this.#out.take();
    });
  }

  finish(): Buffer[] {
    return this.#guarded(() => {
      const isBetween = this.#lines && this.#state === json.beforeValue;
      if (this.#depth > 0 || !(json.mayEnd(this.#state) || isBetween) || !this.#utf8.finish()) throw malformed();
      // Only a number can have been waiting for its end.
      if (this.#mode !== 'show') this.#endScalar(empty, 0);
      this.#state = json.beforeValue;
      this.#place = this.#paths.root;
      return this.#out.take();
    });
  }

  #guarded(work: () => Buffer[]): Buffer[] {
    if (this.#failed) throw malformed();
    this.#failed = true;
    const out = work();
    this.#failed = false;
    return out;
  }

  /** Goes through bytes up to `to`, or behind the first of a scalar that is not simply shown. Returns where it stopped. */
  #scan(piece: Buffer, from: number, to: number): number {
    let table = this.#table;
    let state = this.#state;
    let at = json.isString(state) ? json.plainEnd(piece, from, to) : from;
    while (at < to) {
      const next = table[(state << 8) | (piece[at] ?? 0)] ?? 0;
      at++;
      if (next < json.stringStart) {
        state = next;
      } else if (next < json.firstAction) {
        state = next - json.stringStart;
        at = json.plainEnd(piece, at, to);
      } else {
        state = this.#act(next, piece, at - 1);
        if (this.#mode !== 'show') break;
        if (state === json.inName) at = json.plainEnd(piece, at, to);
        else table = this.#table;
      }
    }
    if (state === json.error) throw malformed();
    this.#state = state;
    return at;
  }

  #act(action: number, piece: Buffer, at: number): number {
    switch (action) {
      case json.nameStart:
        this.#tokenAt = at;
        this.#isEscaped = false;
        return json.inName;
      case json.nameEnd:
        this.#endName(piece, at + 1);
        return this.#place.mask === undefined && this.#text === undefined ? json.beforeQuietColon : json.beforeColon;
      case json.value:
        return this.#begin(piece, at);
      case json.close:
        return this.#close(at);
      case json.nameEscape:
        this.#isEscaped = true;
        return json.inName + 1;
      default:
        // The end of a line.
        this.#place = this.#paths.root;
        return json.beforeValue;
    }
  }

  /** Where the innermost container is. */
  get #container(): JsonPlace {
    return this.#places[this.#depth] ?? this.#paths.root;
  }

  #begin(piece: Buffer, at: number): number {
    const byte = piece[at] ?? 0;
    if (byte === brace || byte === bracket) this.#open(piece, at, byte === brace);
    else {
      const { mask } = this.#place;
      if (mask?.kind === 'constant') this.#hide(piece, at, this.#place.hidden);
      else if (byte !== letterN && (mask !== undefined || (this.#text !== undefined && byte < firstLetter))) {
        this.#tokenAt = at;
        this.#mode = 'hold';
      }
    }
    return json.begin[byte] ?? json.error;
  }

  #open(piece: Buffer, at: number, isObject: boolean): void {
    if (this.#depth >= limits.jsonDepthMax) {
      throw new GatewayError('limit_reached', 'A JSON document is nested too deeply.');
    }
    const place = this.#place;
    this.#depth++;
    this.#places[this.#depth] = place;
    this.#isObject[this.#depth] = isObject ? 1 : 0;
    if (this.#hiddenDepth < 0 && place.mask !== undefined) {
      this.#hide(piece, at, place.hidden);
      this.#mode = 'show';
      this.#hiddenDepth = this.#depth;
    }
    this.#enter();
  }

  #close(at: number): number {
    if (this.#hiddenDepth === this.#depth) {
      this.#showHidden(at + 1);
      this.#hiddenDepth = -1;
    }
    this.#depth--;
    this.#enter();
    return json.afterValue;
  }

  /** Gets ready for what is inside of the innermost container. */
  #enter(): void {
    const tables = this.#tables;
    const isHidden = this.#hiddenDepth >= 0;
    if (this.#depth === 0) this.#table = tables.nothing;
    else if (this.#isObject[this.#depth] === 1) {
      const isQuiet = isHidden || (this.#text === undefined && this.#container.isDead);
      this.#table = isQuiet ? tables.quietObject : tables.object;
      // Members of a quiet one, which are not looked up, are where nothing is masked.
      if (isQuiet && !isHidden) this.#place = this.#container;
    } else if (isHidden) this.#table = tables.quietArray;
    else {
      this.#place = this.#container.element;
      this.#table = this.#text === undefined && this.#place.mask === undefined ? tables.quietArray : tables.array;
    }
  }

  #endName(piece: Buffer, end: number): void {
    if (this.#text === undefined && this.#held.length === 0 && !this.#isEscaped) {
      if (end - this.#tokenAt > limits.jsonNameBytesMax) throw nameTooLong();
      this.#place = this.#container.member(piece, this.#tokenAt + 1, end - 1);
      this.#tokenAt = -1;
      return;
    }
    const { bytes, start, stop } = this.#token(piece, end);
    if (stop - start > limits.jsonNameBytesMax) throw nameTooLong();
    this.#place = this.#isEscaped
      ? this.#container.named(scalarText(bytes, start, stop))
      : this.#container.member(bytes, start + 1, stop - 1);
    this.#settle(piece, end, this.#text?.name(bytes, start, stop));
  }

  /** Goes through a scalar up to `to` or to its end. Returns where it stopped. */
  #scanScalar(piece: Buffer, from: number, to: number): number {
    const table = this.#table;
    const room = this.#mode === 'hold' ? this.#heldMax - this.#held.length + this.#tokenAt : Number.POSITIVE_INFINITY;
    const stop = Math.min(to, Math.max(from, room));
    let state = this.#state;
    for (let at = json.isString(state) ? json.plainEnd(piece, from, stop) : from; at < stop; at++) {
      const next = table[(state << 8) | (piece[at] ?? 0)] ?? 0;
      if (json.isNumber(state) && !json.isNumber(next)) {
        // The byte is behind the number, and no part of it.
        this.#state = state;
        this.#endScalar(piece, at);
        return at;
      }
      state = next;
      if (state !== json.afterValue) continue;
      this.#state = state;
      this.#endScalar(piece, at + 1);
      return at + 1;
    }
    if (state === json.error) throw malformed();
    this.#state = state;
    if (stop < to) this.#letGo(piece, stop);
    return stop;
  }

  get #heldMax(): number {
    return this.#place.mask === undefined ? limits.jsonStringHeldBytesMax : limits.maskedValueBytesMax;
  }

  /** A scalar is longer than what is held: from now on nothing of it is. */
  #letGo(piece: Buffer, at: number): void {
    const { bytes, start, stop } = this.#token(piece, at);
    const isString = isQuoted(bytes, start);
    if (this.#place.mask === undefined && isString && this.#text !== undefined) {
      this.#long = this.#text.long(this.#isObject[this.#depth] === 1);
      const begun = `"${this.#long.push(bytes.subarray(start + 1, stop))}`;
      this.#settle(piece, at, begun);
      this.#mode = 'rewrite';
    } else {
      this.#settle(piece, at, '');
      this.#mode = 'hide';
      this.#hidden = this.#place.mask === undefined ? Buffer.from(JSON.stringify(maskText)) : this.#place.hidden;
    }
  }

  #endScalar(piece: Buffer, end: number): void {
    if (this.#mode === 'hide') this.#showHidden(end);
    else if (this.#mode === 'rewrite') this.#endLong(piece, end);
    else {
      const { bytes, start, stop } = this.#token(piece, end);
      this.#settle(piece, end, this.#masked(bytes, start, stop));
    }
    this.#mode = 'show';
  }

  #endLong(piece: Buffer, end: number): void {
    const long = this.#long;
    if (long === undefined) return;
    this.#out.write(`${long.push(piece.subarray(this.#shown, end - 1))}${long.finish()}"`);
    this.#text?.count(long);
    this.#long = undefined;
    this.#shown = end;
  }

  /** What to write in place of a scalar, if anything. */
  #masked(bytes: Buffer, start: number, stop: number): string | undefined {
    const { mask } = this.#place;
    const looked = this.#text?.value(bytes, start, stop, this.#isObject[this.#depth] === 1);
    if (mask?.kind !== 'value') return looked;
    this.#maskedValues++;
    const text = looked === undefined ? scalarText(bytes, start, stop) : String(JSON.parse(looked));
    return quotedText(text.length > limits.maskedValueBytesMax ? mask.tooLong : mask.apply(text));
  }

  /** All of a held name or scalar, up to `end`. */
  #token(piece: Buffer, end: number): { readonly bytes: Buffer; readonly start: number; readonly stop: number } {
    const held = this.#held;
    if (held.length === 0) return { bytes: piece, start: this.#tokenAt, stop: end };
    held.append(piece, this.#tokenAt, end);
    return { bytes: held.bytes, start: 0, stop: held.length };
  }

  /** Shows what is held, or what is written in its place. */
  #settle(piece: Buffer, end: number, written: string | undefined): void {
    if (this.#held.length > 0) {
      if (written === undefined) this.#out.add(this.#held.bytes, 0, this.#held.length);
      this.#held.clear();
    } else if (written !== undefined) this.#out.add(piece, this.#shown, this.#tokenAt);
    else {
      this.#tokenAt = -1;
      return;
    }
    if (written !== undefined) this.#out.write(written);
    this.#shown = end;
    this.#tokenAt = -1;
  }

  /** Leaves out what comes, up to where `#showHidden` is called. */
  #hide(piece: Buffer, at: number, hidden: Buffer): void {
    this.#out.add(piece, this.#shown, at);
    this.#hidden = hidden;
    this.#mode = 'hide';
  }

  #showHidden(end: number): void {
    this.#maskedValues++;
    this.#out.add(this.#hidden, 0, this.#hidden.length);
    this.#shown = end;
  }

  /** Shows the rest of a piece, but for what is held, which is kept. */
  #putOff(piece: Buffer): void {
    if (this.#mode === 'hide' || this.#hiddenDepth >= 0) return;
    if (this.#long !== undefined) this.#out.write(this.#long.push(piece.subarray(this.#shown)));
    else if (this.#tokenAt < 0) this.#out.add(piece, this.#shown, piece.length);
    else {
      if (this.#held.length === 0) this.#out.add(piece, this.#shown, this.#tokenAt);
      this.#held.append(piece, this.#tokenAt, piece.length);
      this.#tokenAt = 0;
      if (this.#mode === 'show' && this.#held.length > limits.jsonNameBytesMax) throw nameTooLong();
    }
  }
}

function malformed(): GatewayError {
  return new GatewayError(
    'mask_unprovable',
    'What should be a JSON document is not one, so nothing can be masked in it.',
  );
}

function nameTooLong(): GatewayError {
  return new GatewayError('limit_reached', 'A name in a JSON document is longer than the bound allows.');
}

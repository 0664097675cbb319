import { StringDecoder } from 'node:string_decoder';
import type { CompiledMask } from '../masker.ts';
import { type ByteMasker, createByteMasker } from './bytes.ts';

/** Masks what detectors find in a text that arrives in pieces. One object for one text. */
export interface TextMasker {
  /** How many finds were masked so far. */
  readonly matches: number;
  /** Takes the next piece and returns what can be shown by now. */
  push(piece: string): string;
  /** Returns the rest. Nothing may be pushed afterwards. */
  finish(): string;
}

/**
 * Makes a masker of one text: {@link createByteMasker} over its UTF-8 bytes, so that the two can never disagree. A pair of
 * surrogates may be cut in two; a lone one comes out as U+FFFD.
 *
 * @param masks - by detector name; the `null` method removes a find.
 * @returns an error for a name that is no detector.
 */
export function createTextMasker(
  masks: ReadonlyMap<string, CompiledMask>,
): { readonly masker: TextMasker } | { readonly error: string } {
  const made = createByteMasker(masks, { clock: { monotonicMs: () => 0 } });
  return 'error' in made ? made : { masker: new Text(made.masker) };
}

class Text implements TextMasker {
  readonly #bytes: ByteMasker;
  readonly #decoder = new StringDecoder('utf8');
  /** The first half of a pair, while the second has not come. */
  #half = '';

  constructor(bytes: ByteMasker) {
    this.#bytes = bytes;
  }

  get matches(): number {
    return this.#bytes.matches;
  }

  push(piece: string): string {
    const text = this.#half + piece;
    const last = text.charCodeAt(text.length - 1);
    const whole = (last & 0xfc00) === 0xd800 ? text.length - 1 : text.length;
    this.#half = text.slice(whole);
    return this.#text(this.#bytes.push(Buffer.from(text.slice(0, whole))));
  }

  finish(): string {
    const rest = this.#bytes.push(Buffer.from(this.#half));
    return this.#text([...rest, ...this.#bytes.finish()]) + this.#decoder.end();
  }

  #text(bytes: readonly Buffer[]): string {
    return bytes.map((one) => this.#decoder.write(one)).join('');
  }
}

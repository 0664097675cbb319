import { type Detector, detectors } from '../detectors.ts';
import { limits } from '../limits.ts';
import type { CompiledMask } from '../masker.ts';

/** Masks what detectors find in a text that arrives in pieces. One object for one text. */
export interface TextMasker {
  /** How many finds were masked so far. */
  readonly matches: number;
  /** Takes the next piece and returns what can be shown by now. */
  push(piece: string): string;
  /** Returns the rest. Nothing may be pushed afterwards. */
  finish(): string;
}

/** Characters before the place at hand that detectors look back at. */
const lookBehind = 2;

/**
 * Makes a masker of one text. What may still turn out to be part of a find is held back, never more than a small
 * multiple of `limits.detectorHoldLengthMax` code units; the result does not depend on how the text was cut. Finds that
 * overlap are hidden together as `***`, and one past its detector's longest is hidden to its end.
 *
 * @param masks - by detector name; the `null` method removes a find.
 * @returns an error for a name that is no detector.
 */
export function createTextMasker(
  masks: ReadonlyMap<string, CompiledMask>,
): { readonly masker: TextMasker } | { readonly error: string } {
  const active: Active[] = [];
  for (const [name, mask] of masks) {
    const detector = detectors.get(name);
    if (detector === undefined) return { error: 'A text mask names an unknown detector.' };
    active.push({ detector, mask });
  }
  return { masker: new Stream(active) };
}

interface Active {
  readonly detector: Detector;
  readonly mask: CompiledMask;
}

/** A find; `by` is undefined when several overlap. */
interface Find {
  readonly end: number;
  readonly by: Active | undefined;
}

class Stream implements TextMasker {
  matches = 0;
  /** By ASCII code of the first character; the last entry is for all others. */
  readonly #starts: readonly (readonly Active[])[];
  /** What was shown last, for looking back, and what is held back. */
  #text = '';
  #shown = 0;
  /** Set behind a find that was too long: what still belongs to it. */
  #goesOn: Uint8Array | undefined;

  constructor(active: readonly Active[]) {
    this.#starts = Array.from({ length: 129 }, (_, code) =>
      active.filter(({ detector }) => (code < 128 ? detector.first[code] === 1 : detector.firstBeyondAscii === true)),
    );
  }

  push(piece: string): string {
    this.#text += piece;
    return this.#scan(false);
  }

  finish(): string {
    return this.#scan(true);
  }

  #scan(final: boolean): string {
    const text = this.#text;
    let out = '';
    let at = this.#shown;
    let from = at;
    while (at < text.length) {
      if (this.#goesOn?.[text.charCodeAt(at)] === 1) {
        from = ++at;
        continue;
      }
      this.#goesOn = undefined;
      const find = this.#find(text, at, final);
      if (find === 'open') break;
      if (find === undefined) {
        at++;
        continue;
      }
      out += text.slice(from, at) + this.#replacement(text.slice(at, find.end), find);
      at = find.end;
      from = at;
    }
    out += text.slice(from, at);
    const keep = Math.max(0, at - lookBehind);
    this.#text = text.slice(keep);
    this.#shown = at - keep;
    return out;
  }

  /**
   * The find that begins at `at`, with what other detectors find in it: a part that one mask keeps may be what another
   * would hide. `open` when only more text can tell.
   */
  #find(text: string, at: number, final: boolean): Find | 'open' | undefined {
    const first = this.#longest(text, at, final, undefined);
    if (first === undefined || first === 'open') return first;
    let { end, by }: Find = first;
    for (let inner = at + 1; inner < end && end - at < limits.detectorHoldLengthMax; inner++) {
      const other = this.#longest(text, inner, final, first.by);
      if (other === 'open') return 'open';
      if (other === undefined || (other.end <= end && first.by?.mask.kind === 'constant')) continue;
      end = Math.max(end, other.end);
      by = undefined;
    }
    return { end, by };
  }

  #longest(text: string, at: number, final: boolean, except: Active | undefined): Find | 'open' | undefined {
    let best: Find | undefined;
    for (const active of this.#starts[Math.min(text.charCodeAt(at), 128)] ?? []) {
      if (active === except) continue;
      const end = active.detector.match(text, at, final);
      if (end < 0) return 'open';
      if (end > (best?.end ?? at)) best = { end, by: active };
    }
    return best;
  }

  #replacement(value: string, { by }: Find): string {
    this.matches++;
    if (by === undefined) return '***';
    const { detector, mask } = by;
    const overlong = detector.goesOn !== undefined && value.length >= detector.lengthMax;
    if (overlong) this.#goesOn = detector.goesOn;
    if (mask.kind === 'constant') return mask.value ?? '';
    return overlong ? mask.tooLong : mask.apply(value);
  }
}

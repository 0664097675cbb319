import { createHash } from 'node:crypto';
import type { Secrets } from './schema.ts';

/** Identifiers the gateway makes (ULIDs): 26 letters and digits at random, which may look like anything. */
const identifiers = /\b01[0-9A-Z]{24}\b/g;

/** How each line of an audit trail is sealed: 128 digits as good as at random. */
const seals = /,"hash":"[0-9a-f]{64}","mac":"[0-9a-f]{64}"\}$/gm;

/**
 * Looks for what a value could have been turned into on its way out: five letters of it in a row, forwards or
 * backwards, in any case, in hexadecimal or base64; ten digits of its MD5; a number or date as it is written.
 */
export class MarkerSearch {
  /** By length: pieces in lower case. */
  readonly #pieces = new Map<number, Set<string>>([
    [5, new Set()],
    [10, new Set()],
  ]);
  readonly #base64 = new Set<string>();
  readonly #exact: readonly string[];

  constructor(all: readonly Secrets[]) {
    for (const text of all.flatMap(({ texts }) => texts)) this.#add(text.toLowerCase());
    this.#exact = [...new Set(all.flatMap(({ exact }) => exact))];
  }

  #add(text: string): void {
    for (const form of [text, [...text].reverse().join('')]) {
      this.#cut(form, 5, 1);
      this.#cut(Buffer.from(form).toString('hex'), 10, 2);
      this.#cut(createHash('md5').update(form).digest('hex'), 10, 1);
      for (const shift of ['', '.', '..']) {
        const encoded = Buffer.from(shift + form).toString('base64');
        for (let at = 4; at + 8 <= encoded.length - 4; at++) this.#base64.add(encoded.slice(at, at + 8));
      }
    }
  }

  #cut(text: string, length: number, step: number): void {
    for (let at = 0; at + length <= text.length; at += step) this.#pieces.get(length)?.add(text.slice(at, at + length));
  }

  /** The first leak in some bytes, with what stands around it; `undefined` when there is none. */
  find(bytes: Buffer): string | undefined {
    const text = bytes.toString('latin1').replace(identifiers, '').replace(seals, '}');
    const at = this.#at(text);
    return at === undefined ? undefined : JSON.stringify(text.slice(Math.max(0, at - 80), at + 80));
  }

  #at(text: string): number | undefined {
    const lower = text.toLowerCase();
    for (const [length, pieces] of this.#pieces) {
      for (let at = 0; at + length <= lower.length; at++) if (pieces.has(lower.slice(at, at + length))) return at;
    }
    for (let at = 0; at + 8 <= text.length; at++) if (this.#base64.has(text.slice(at, at + 8))) return at;
    const exact = this.#exact.map((each) => text.indexOf(each)).filter((each) => each >= 0);
    return exact.length > 0 ? Math.min(...exact) : undefined;
  }
}

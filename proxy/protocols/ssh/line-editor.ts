/**
 * Edits a line at a client's terminal: takes its keys, gives what to show, and says when a line is done. Pure: bytes in,
 * text out. It knows the keys that every terminal sends alike; others ring the bell and change nothing.
 */
import { StringDecoder } from 'node:string_decoder';

/** What came of some keys. */
export type LineEvent =
  | { readonly kind: 'line'; readonly text: string }
  /** Control-C: the line is dropped. */
  | { readonly kind: 'interrupt' }
  /** Control-D on an empty line. */
  | { readonly kind: 'end' };

/** What to show, and what happened, in order. */
export interface Edited {
  readonly show: string;
  readonly event: LineEvent | undefined;
  /** Keys behind the event, for whoever reads next: they may not be meant for this line. */
  readonly rest: Buffer;
}

const bell = '\u0007';
const clearLine = '\u001b[K';

/** One line at a time, with the lines before it. */
export class LineEditor {
  readonly #lengthMax: number;
  readonly #historyMax: number;
  #decoder = new StringDecoder('utf8');
  #escape = '';
  #before = '';
  #after = '';
  #history: string[] = [];
  #at = 0;
  #skipFeed = false;

  /** @param bounds - characters of a line, and lines that are remembered */
  constructor(bounds: { readonly lengthMax: number; readonly historyMax: number }) {
    this.#lengthMax = bounds.lengthMax;
    this.#historyMax = bounds.historyMax;
  }

  /** Takes keys up to the first that ends the line. */
  push(keys: Buffer): Edited {
    let show = '';
    for (let index = 0; index < keys.length; index++) {
      const decoded = this.#decoder.write(keys.subarray(index, index + 1));
      for (const key of decoded) {
        const result = this.#key(key);
        show += result.show;
        if (result.event !== undefined) return { show, event: result.event, rest: keys.subarray(index + 1) };
      }
    }
    return { show, event: undefined, rest: Buffer.alloc(0) };
  }

  #key(key: string): { show: string; event?: LineEvent } {
    const feed = key === '\n' && this.#skipFeed;
    this.#skipFeed = key === '\r';
    if (feed) return { show: '' };
    if (this.#escape !== '') return { show: this.#escaped(key) };
    switch (key) {
      case '\r':
      case '\n':
        return this.#done();
      case '\u0003':
        this.#reset();
        return { show: '^C\r\n', event: { kind: 'interrupt' } };
      case '\u0004':
        if (this.#before + this.#after !== '') return { show: bell };
        return { show: '\r\n', event: { kind: 'end' } };
      case '\u0001':
        return { show: this.#move(-[...this.#before].length) };
      case '\u0005':
        return { show: this.#move([...this.#after].length) };
      case '\u0008':
      case '\u007f':
        return { show: this.#erase(1) };
      case '\u0015':
        return { show: this.#erase([...this.#before].length) };
      case '\u0017':
        return { show: this.#erase([...(/\S*\s*$/.exec(this.#before)?.[0] ?? '')].length) };
      case '\u001b':
        this.#escape = key;
        return { show: '' };
      default:
        return { show: this.#insert(key) };
    }
  }

  #insert(key: string): string {
    const code = key.codePointAt(0) ?? 0;
    const control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    if (control || this.#before.length + this.#after.length >= this.#lengthMax) return bell;
    this.#before += key;
    return this.#after === '' ? key : key + this.#redraw();
  }

  /** The rest of the line behind the cursor, with the cursor put back. */
  #redraw(): string {
    const width = [...this.#after].length;
    return this.#after + clearLine + (width === 0 ? '' : `\u001b[${width}D`);
  }

  #erase(count: number): string {
    const characters = [...this.#before];
    const erased = Math.min(count, characters.length);
    if (erased === 0) return bell;
    this.#before = characters.slice(0, -erased).join('');
    return `\u001b[${erased}D${this.#redraw()}`;
  }

  #move(by: number): string {
    const all = [...this.#before, ...this.#after];
    const from = [...this.#before].length;
    const to = Math.max(0, Math.min(all.length, from + by));
    if (to === from) return by === 0 ? '' : bell;
    this.#before = all.slice(0, to).join('');
    this.#after = all.slice(to).join('');
    return to < from ? `\u001b[${from - to}D` : `\u001b[${to - from}C`;
  }

  /** The arrow keys, and Home and End as most terminals send them. */
  #escaped(key: string): string {
    this.#escape += key;
    const sequence = this.#escape.slice(1);
    if (/^(\[\d{0,2}|O)$/.test(sequence)) return '';
    this.#escape = '';
    switch (sequence) {
      case '[A':
      case 'OA':
        return this.#recall(this.#at - 1);
      case '[B':
      case 'OB':
        return this.#recall(this.#at + 1);
      case '[C':
      case 'OC':
        return this.#move(1);
      case '[D':
      case 'OD':
        return this.#move(-1);
      case '[H':
      case 'OH':
        return this.#move(-[...this.#before].length);
      case '[F':
      case 'OF':
        return this.#move([...this.#after].length);
      default:
        return bell;
    }
  }

  #recall(at: number): string {
    if (at < 0 || at > this.#history.length) return bell;
    const width = [...this.#before].length;
    this.#at = at;
    this.#before = this.#history[at] ?? '';
    this.#after = '';
    return (width === 0 ? '' : `\u001b[${width}D`) + this.#before + clearLine;
  }

  #done(): { show: string; event: LineEvent } {
    const text = this.#before + this.#after;
    if (text.trim() !== '' && text !== this.#history.at(-1)) {
      this.#history.push(text);
      if (this.#history.length > this.#historyMax) this.#history.shift();
    }
    this.#reset();
    return { show: '\r\n', event: { kind: 'line', text } };
  }

  #reset(): void {
    this.#before = '';
    this.#after = '';
    this.#at = this.#history.length;
  }
}

/**
 * The form in which OPA hashes the JSON documents of a bundle: no white space, keys sorted by their UTF-8 bytes,
 * numbers exactly as written, strings escaped as Go's encoder does with HTML escaping off.
 * (JSON.parse and JSON.stringify would rewrite `1.0` and `1e3`, and the hash would differ.)
 *
 * @param text - well-formed JSON, nested at most `depthMax` deep.
 * @throws SyntaxError for anything else, a key twice included.
 */
export function canonicalJson(text: string, depthMax = 256): string {
  const reader = new Reader(text, depthMax);
  const canonical = reader.value(0);
  reader.end();
  return canonical;
}

const space = /[ \t\n\r]*/y;
// Loose on purpose: JSON.parse has the last word on what is in it.
const string = /"(?:[^"\\]|\\.)*"/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const word = /true|false|null/y;

class Reader {
  readonly #text: string;
  readonly #depthMax: number;
  #at = 0;

  constructor(text: string, depthMax: number) {
    this.#text = text;
    this.#depthMax = depthMax;
  }

  value(depth: number): string {
    if (depth > this.#depthMax) throw new SyntaxError('nested too deeply');
    this.#take(space);
    if (this.#skip('{')) return this.#object(depth);
    if (this.#skip('[')) return this.#array(depth);
    const text = this.#take(string);
    if (text !== '') return quote(text);
    const scalar = this.#take(number) || this.#take(word);
    if (scalar === '') throw new SyntaxError(`unexpected character at ${this.#at}`);
    return scalar;
  }

  end(): void {
    this.#take(space);
    if (this.#at !== this.#text.length) throw new SyntaxError(`unexpected character at ${this.#at}`);
  }

  #object(depth: number): string {
    const members = new Map<string, string>();
    while (!this.#closes('}', members.size === 0)) {
      this.#take(space);
      const key = this.#take(string);
      this.#take(space);
      if (key === '' || !this.#skip(':')) throw new SyntaxError(`expected a member at ${this.#at}`);
      const name = JSON.parse(key) as string;
      if (members.has(name)) throw new SyntaxError(`a key twice before ${this.#at}`);
      members.set(name, `${quote(key)}:${this.value(depth + 1)}`);
    }
    const sorted = [...members].sort(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
    return `{${sorted.map(([, member]) => member).join(',')}}`;
  }

  #array(depth: number): string {
    const items: string[] = [];
    while (!this.#closes(']', items.length === 0)) items.push(this.value(depth + 1));
    return `[${items.join(',')}]`;
  }

  /** True at the closing bracket; otherwise a comma is consumed, unless this is the first item. */
  #closes(bracket: string, first: boolean): boolean {
    this.#take(space);
    if (this.#skip(bracket)) return true;
    if (!first && !this.#skip(',')) throw new SyntaxError(`expected a comma at ${this.#at}`);
    return false;
  }

  #skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }
}

/** A JSON string literal as Go writes it: lone surrogates become U+FFFD, line separators are escaped. */
function quote(literal: string): string {
  return JSON.stringify((JSON.parse(literal) as string).toWellFormed())
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

/**
 * JSON that policy and an upstream cannot read differently. RFC 8259 leaves open what parsers do with names that come
 * twice, large numbers, lone surrogates and a byte order mark; all of them are refused here instead.
 */
import { isUtf8 } from 'node:buffer';
import { limits } from '../../../core/limits.ts';
import type { Json } from '../../../core/types.ts';
import type { Refused } from '../contract.ts';
import { malformed, refused } from '../refused.ts';
import { isExactNumber, parseWithDigits } from './digits.ts';

/** Reads a JSON text. Linear in its length; `JSON.parse` has the last word on what is JSON. */
export function parseJson(bytes: Uint8Array): { readonly value: Json } | Refused<400 | 413> {
  const text = textOf(bytes);
  return typeof text === 'string' ? parseJsonText(text) : text;
}

/**
 * Reads what an upstream answers. Nobody decides by it, so that it may have numbers of any size, which keep their digits,
 * and as many members as its bytes hold; an object with the same name twice is refused all the same, for a mask finds one.
 */
export function parseAnswerJson(bytes: Uint8Array): { readonly value: Json } | Refused<400 | 413> {
  const text = textOf(bytes);
  return typeof text === 'string' ? read(text, { strict: false, parse: parseWithDigits }) : text;
}

/** Reads a JSON text that came as characters, in a query for example. */
export function parseJsonText(text: string): { readonly value: Json } | Refused<400 | 413> {
  return read(text, { strict: true, parse: JSON.parse });
}

function textOf(bytes: Uint8Array): string | Refused<400 | 413> {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return malformed('The JSON begins with a byte order mark.');
  }
  if (!isUtf8(bytes)) return malformed('The JSON is not UTF-8.');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function read(
  text: string,
  { strict, parse }: { readonly strict: boolean; readonly parse: (text: string) => Json },
): { readonly value: Json } | Refused<400 | 413> {
  const problem = new Inspection(text, strict).run();
  if (problem !== undefined) return problem;
  try {
    return { value: parse(text) };
  } catch {
    return malformed('The JSON cannot be parsed.');
  }
}

/**
 * Looks at a text that should be JSON for what parsers disagree on. It follows the nesting and takes strings and numbers
 * apart; grammar is left to `JSON.parse`, which refuses whatever made this one stop early or see nonsense.
 */
class Inspection {
  readonly #text: string;
  readonly #strict: boolean;
  /** The names that each open object has had so far, by how they fold; undefined for an array. */
  readonly #open: (Map<string, string> | undefined)[] = [];
  #at = 0;
  #members = 0;
  #nameNext = false;

  /** @param strict - false for what only has to be the same to whoever masks it and whoever reads it */
  constructor(text: string, strict: boolean) {
    this.#text = text;
    this.#strict = strict;
  }

  run(): Refused<400 | 413> | undefined {
    const { httpJsonDepthMax, httpJsonMembersMax } = limits;
    while (this.#at < this.#text.length) {
      const character = this.#text.charAt(this.#at);
      let problem: string | undefined;
      if (character === '"') {
        problem = this.#string();
      } else if (character === '-' || (character >= '0' && character <= '9')) {
        problem = this.#number();
      } else {
        this.#at++;
        this.#structure(character);
      }
      if (problem !== undefined) return malformed(problem);
      if (this.#open.length > httpJsonDepthMax) {
        return refused(413, 'operation_too_large', `The JSON is nested deeper than ${httpJsonDepthMax} levels.`);
      }
      if (this.#strict && this.#members > httpJsonMembersMax) {
        return refused(413, 'operation_too_large', `The JSON has more than ${httpJsonMembersMax} members.`);
      }
    }
    return undefined;
  }

  #structure(character: string): void {
    if (character === '{' || character === '[') {
      this.#open.push(character === '{' ? new Map() : undefined);
      this.#nameNext = character === '{';
      this.#members++;
    } else if (character === '}' || character === ']') {
      this.#open.pop();
      this.#nameNext = false;
    } else if (character === ',') {
      this.#nameNext = this.#open.at(-1) !== undefined;
      this.#members++;
    }
  }

  #string(): string | undefined {
    const from = this.#at;
    let end = this.#text.indexOf('"', from + 1);
    while (end >= 0 && this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1);
    this.#at = end < 0 ? this.#text.length : end + 1;
    if (end < 0) return undefined;
    const written = this.#text.slice(from, end + 1);
    const value = unquoted(written);
    if (value === undefined) return undefined;
    // Only an escape can write these: the text is UTF-8, and a raw control character is no JSON.
    if (this.#strict && value.length < written.length - 2) {
      if (!value.isWellFormed()) return 'The JSON has half a character in it (a lone surrogate).';
      if (value.includes('\0')) return 'The JSON has a NUL in a string.';
    }
    if (!this.#nameNext) return undefined;
    this.#nameNext = false;
    return this.#name(value);
  }

  #isEscaped(quote: number): boolean {
    let backslashes = 0;
    while (this.#text.charCodeAt(quote - 1 - backslashes) === 0x5c) backslashes++;
    return backslashes % 2 === 1;
  }

  #name(name: string): string | undefined {
    if (name === '__proto__') return 'The JSON has a member that JavaScript gives a meaning of its own.';
    // Go and others match names without regard to case, and the last one wins.
    const fold = this.#strict ? name.toUpperCase().toLowerCase() : name;
    const names = this.#open.at(-1);
    const before = names?.get(fold);
    if (before === name) return 'The JSON has an object with the same name twice.';
    if (before !== undefined) return 'The JSON has an object with names that differ in case only.';
    names?.set(fold, name);
    return undefined;
  }

  #number(): string | undefined {
    const number = /[-+.\deE]+/y;
    number.lastIndex = this.#at;
    const [literal = ''] = number.exec(this.#text) ?? [];
    this.#at += literal.length;
    return !this.#strict || isExactNumber(literal) ? undefined : 'The JSON has a number that parsers read differently.';
  }
}

function unquoted(quoted: string): string | undefined {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    return undefined;
  }
}

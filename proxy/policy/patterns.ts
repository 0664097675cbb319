import { parseMaskMethod } from '../core/masker.ts';
import type { Json } from '../core/types.ts';

/**
 * Regular expressions in policy and data. OPA's engine (RE2) leaves a rule with a pattern it cannot compile
 * undefined, so that a deny silently vanishes: each pattern is checked when bundle or data are activated.
 *
 * Accepts what RE2, Go and JavaScript agree on, less a little; it errs towards refusing.
 *
 * @returns what is wrong with the pattern, or `undefined`.
 * @see https://github.com/google/re2/wiki/Syntax
 */
export function patternProblem(pattern: string): string | undefined {
  if (pattern.length > 1_000) return 'longer than 1000 characters';
  if (!pattern.isWellFormed()) return 'not well-formed Unicode';
  try {
    new Parser(pattern).read();
    // Whatever the grammar below let through must also be a pattern to somebody who wrote an engine.
    new RegExp(pattern.replace(/^\(\?[ims]+\)/, '').replaceAll('(?P<', '(?<'));
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : 'not a regular expression';
  }
}

const repeatMax = 1_000;

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): void {
    const flags = /^\(\?[ims]+\)/.exec(this.#text)?.[0] ?? '';
    this.#at = flags.length;
    this.#alternatives();
    if (this.#at < this.#text.length) throw new Error('an unmatched )');
  }

  #alternatives(): void {
    if (++this.#depth > 50) throw new Error('nested too deeply');
    while (this.#at < this.#text.length && this.#text[this.#at] !== ')') {
      if (this.#text[this.#at] === '|') this.#at += 1;
      else this.#term();
    }
    this.#depth -= 1;
  }

  #term(): void {
    const character = this.#text[this.#at];
    if (character === '(') this.#group();
    else if (character === '[') this.#class();
    else if (character === '\\') this.#escape(false);
    else if (character !== undefined && '*+?{}]'.includes(character)) throw new Error(`a stray ${character}`);
    else {
      this.#at += 1;
      // ^ and $ cannot be repeated in every engine.
      if (character === '^' || character === '$') return;
    }
    this.#quantifier();
  }

  #group(): void {
    const opening = /\((?:\?(?:P<[A-Za-z_]\w*>|[ims]*:))?/y;
    opening.lastIndex = this.#at;
    this.#at += opening.exec(this.#text)?.[0].length ?? 0;
    if (this.#text[this.#at] === '?') throw new Error('look-around, or a group of an unknown kind');
    this.#alternatives();
    if (this.#text[this.#at] !== ')') throw new Error('an unclosed group');
    this.#at += 1;
  }

  #class(): void {
    this.#at += this.#text[this.#at + 1] === '^' ? 2 : 1;
    if (this.#text[this.#at] === ']') throw new Error('an empty class');
    while (this.#text[this.#at] !== ']') {
      if (this.#at >= this.#text.length) throw new Error('an unclosed class');
      if (this.#text[this.#at] === '[') throw new Error('an unescaped [ in a class');
      if (this.#text[this.#at] === '\\') this.#escape(true);
      else this.#at += 1;
    }
    this.#at += 1;
  }

  #escape(inClass: boolean): void {
    const allowed = inClass
      ? /\\(?:[dDwWsStnrfv]|x[0-9a-fA-F]{2}|[!-/:-@[-`{-~])/y
      : /\\(?:[dDwWsStnrfvbB]|x[0-9a-fA-F]{2}|[!-/:-@[-`{-~])/y;
    allowed.lastIndex = this.#at;
    const found = allowed.exec(this.#text)?.[0];
    if (found === undefined) throw new Error('an escape that is not known everywhere (a back-reference?)');
    this.#at += found.length;
  }

  #quantifier(): void {
    const quantifier = /(?:[*+?]|\{(\d+)(?:,(\d*))?\})\??/y;
    quantifier.lastIndex = this.#at;
    const found = quantifier.exec(this.#text);
    if (found === null) return;
    const [whole, least = '0', most = ''] = found;
    if (Number(least) > repeatMax || Number(most) > repeatMax) throw new Error(`repeats more than ${repeatMax} times`);
    if (most !== '' && Number(most) < Number(least)) throw new Error('repeats from more to less');
    this.#at += whole.length;
  }
}

/**
 * Every pattern in a data document: the strings (or lists of strings) under a key named `pattern` or `patterns`, which
 * policies match with, and masks by pattern, which the gateway applies.
 *
 * @returns the first problem with one, or `undefined`.
 */
export function dataPatternProblem(value: Json | undefined, key = ''): string | undefined {
  if (typeof value === 'string') {
    const problem = key === 'pattern' || key === 'patterns' ? patternProblem(value) : undefined;
    return problem === undefined ? undefined : `a pattern in the data is not usable: ${problem}`;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const children = Array.isArray(value) ? value.map((item: Json) => [key, item] as const) : Object.entries(value);
  for (const [name, child] of children) {
    const problem = name === 'redact_pattern' ? maskProblem(child) : dataPatternProblem(child, name);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function maskProblem(parameters: Json): string | undefined {
  const parsed = parseMaskMethod({ redact_pattern: parameters });
  return 'error' in parsed ? `a mask in the data is not usable: ${parsed.error}` : undefined;
}

const call = /\b(regex\.(?:match|find_all_string_submatch_n)|glob\.match)\(\s*/g;
const argument = /"((?:[^"\\\n]|\\.)*)"|`([^`]*)`|((?:[A-Za-z_][\w.]*)(?:\[[^\]]*\])*\.(?:pattern|glob))\b/y;

/**
 * Every pattern in a Rego source: each must be a literal, or be read from a key named `pattern` (or `glob`),
 * which in data is checked by {@link dataPatternProblem}. Calls in comments and strings count too.
 *
 * @returns the first problem with one, or `undefined`.
 */
export function sourcePatternProblem(source: string): string | undefined {
  for (const found of source.matchAll(call)) {
    argument.lastIndex = found.index + found[0].length;
    const [, quoted, raw, reference] = argument.exec(source) ?? [];
    const name = found[1] ?? '';
    if (reference !== undefined && !reference.startsWith('input.')) continue;
    const literal = raw ?? (quoted === undefined ? undefined : unquoted(quoted));
    if (literal === undefined) return `${name}() has a pattern that cannot be checked`;
    const problem = name === 'glob.match' ? globProblem(literal) : patternProblem(literal);
    if (problem !== undefined) return `${name}() has a pattern that is not usable: ${problem}`;
  }
  return undefined;
}

function unquoted(quoted: string): string | undefined {
  try {
    return JSON.parse(`"${quoted}"`) as string;
  } catch {
    return undefined;
  }
}

/** Globs with plain characters, `*`, `**`, `?`, and `{a,b}` one level deep. */
function globProblem(glob: string): string | undefined {
  return /^(?:[^\\[\]{}]|\{[^\\[\]{}]*\})*$/.test(glob) ? undefined : 'only *, **, ? and {a,b} can be used in a glob';
}

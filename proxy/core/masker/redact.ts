import { type CharSet, includes } from './char-set.ts';
import { op, type Pattern } from './pattern.ts';

/**
 * Returns a function that replaces every character of a text that is part of any match of the pattern; matches that
 * touch or overlap are replaced together, once. "Any match", not "the leftmost ones": it hides the most, and can be
 * found in one pass. Takes time proportional to the text's length times the pattern's states at worst, whatever the
 * text; keeps no state between calls. Empty matches replace nothing.
 */
export function redactor(pattern: Pattern, replacement: string): (text: string) => string {
  const search = new Search(pattern);
  return (text) => {
    const spans = search.spans(text);
    if (spans.length === 0) return text;
    let out = '';
    let from = 0;
    for (let span = 0; span < spans.length; span += 2) {
      out += text.slice(from, spans[span]) + replacement;
      from = spans[span + 1] ?? from;
    }
    return out + text.slice(from);
  };
}

/** One set of live states: those that consume a character, oldest start first. */
class Threads {
  count = 0;
  readonly states: Int32Array;
  readonly starts: Int32Array;

  constructor(size: number) {
    this.states = new Int32Array(size);
    this.starts = new Int32Array(size);
  }
}

/**
 * Simulates the automaton from every start at once. Each state remembers only the earliest start that reached it, so
 * that the match ending at a position is known by its longest extent, and one pass finds the union of all matches.
 */
class Search {
  readonly #pattern: Pattern;
  readonly #mark: Int32Array;
  readonly #stack: Int32Array;
  readonly #first: CharSet['ascii'] | undefined;
  #generation = 0;
  #current: Threads;
  #upcoming: Threads;
  #matchedFrom = -1;

  constructor(pattern: Pattern) {
    const size = pattern.ops.length;
    this.#pattern = pattern;
    this.#mark = new Int32Array(size);
    this.#stack = new Int32Array(2 * size + 2);
    this.#current = new Threads(size);
    this.#upcoming = new Threads(size);
    this.#first = firstCharacters(pattern);
  }

  /** The matched parts as start, end, start, end, … in code units; disjoint, in order, not touching. */
  spans(text: string): number[] {
    const spans: number[] = [];
    this.#current.count = 0;
    this.#matchedFrom = -1;
    this.#mark.fill(0);
    this.#generation = 1;
    for (let at = 0; ; at = this.#step(text, at)) {
      at = this.#skip(text, at);
      this.#add(this.#current, this.#pattern.start, at, text, at);
      if (this.#matchedFrom >= 0 && this.#matchedFrom < at) append(spans, this.#matchedFrom, at);
      if (at >= text.length) return spans;
    }
  }

  /** Where a match can begin next, when none is under way. */
  #skip(text: string, from: number): number {
    const first = this.#first;
    if (first === undefined || this.#current.count > 0 || this.#matchedFrom >= 0) return from;
    let at = from;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code >= 128 || first[code] === 1) break;
    }
    if (at > from) this.#generation++;
    return at;
  }

  /** Consumes the character at `at`; returns where the next one is. */
  #step(text: string, at: number): number {
    const code = text.codePointAt(at) ?? 0;
    const after = at + (code > 0xffff ? 2 : 1);
    const { states, starts, count } = this.#current;
    const { sets, next } = this.#pattern;
    this.#generation++;
    this.#upcoming.count = 0;
    this.#matchedFrom = -1;
    for (let thread = 0; thread < count; thread++) {
      const state = states[thread] ?? 0;
      const set = sets[state];
      if (set !== undefined && includes(set, code)) {
        this.#add(this.#upcoming, next[state] ?? 0, starts[thread] ?? 0, text, after);
      }
    }
    [this.#current, this.#upcoming] = [this.#upcoming, this.#current];
    return after;
  }

  /** Follows everything that consumes nothing from `state`. First come keeps a state, and the oldest starts come first. */
  #add(threads: Threads, state: number, start: number, text: string, at: number): void {
    const { ops, next, other } = this.#pattern;
    const stack = this.#stack;
    let depth = 0;
    stack[depth++] = state;
    while (depth > 0) {
      const here = stack[--depth] ?? 0;
      if (this.#mark[here] === this.#generation) continue;
      this.#mark[here] = this.#generation;
      const code = ops[here];
      if (code === op.match) {
        if (this.#matchedFrom < 0) this.#matchedFrom = start;
      } else if (code === op.set) {
        threads.states[threads.count] = here;
        threads.starts[threads.count++] = start;
      } else if (code === op.split) {
        stack[depth++] = other[here] ?? 0;
        stack[depth++] = next[here] ?? 0;
      } else if (holds(code, text, at)) {
        stack[depth++] = next[here] ?? 0;
      }
    }
  }
}

function holds(code: number | undefined, text: string, at: number): boolean {
  if (code === op.atStart) return at === 0;
  if (code === op.atEnd) return at === text.length;
  return (isWord(text, at - 1) !== isWord(text, at)) === (code === op.atWord);
}

function isWord(text: string, at: number): boolean {
  const code = at >= 0 && at < text.length ? text.charCodeAt(at) : 0;
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122);
}

/** The ASCII characters a match can begin with, or `undefined` when a match can be empty. */
function firstCharacters(pattern: Pattern): Uint8Array | undefined {
  const ascii = new Uint8Array(128);
  const seen = new Set<number>();
  const open = [pattern.start];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    if (seen.has(state)) continue;
    seen.add(state);
    const code = pattern.ops[state];
    if (code === op.match) return undefined;
    if (code === op.set) {
      for (let char = 0; char < 128; char++) ascii[char] = (ascii[char] ?? 0) | (pattern.sets[state]?.ascii[char] ?? 0);
      continue;
    }
    open.push(pattern.next[state] ?? 0);
    if (code === op.split) open.push(pattern.other[state] ?? 0);
  }
  return ascii;
}

/** Adds a span that ends after all earlier ones, joining those it touches. */
function append(spans: number[], start: number, end: number): void {
  let from = start;
  while (spans.length > 0 && (spans.at(-1) ?? 0) >= from) {
    spans.pop();
    from = Math.min(from, spans.pop() ?? from);
  }
  spans.push(from, end);
}

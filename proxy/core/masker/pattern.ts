import { limits } from '../limits.ts';
import { type CharSet, charSet, complement, digits, type Range, spaces, words } from './char-set.ts';

/**
 * A compiled pattern: a Thompson automaton over code points. One entry per state; `next` is the state after it,
 * `other` the second branch of a `split`, `sets` the characters a `set` state consumes.
 *
 * @see https://swtch.com/~rsc/regexp/regexp1.html
 */
export interface Pattern {
  readonly ops: Uint8Array;
  readonly next: Int32Array;
  readonly other: Int32Array;
  readonly sets: readonly (CharSet | undefined)[];
  readonly start: number;
}

/** What a state does. The assertions consume nothing. */
export const op = { match: 0, set: 1, split: 2, atStart: 3, atEnd: 4, atWord: 5, notAtWord: 6 } as const;

/**
 * Compiles a pattern of the safe subset, or says in a sentence why it is not one. Literals, `.`, classes, `\d \w \s`
 * and their negations, `\b \B ^ $`, groups, `|`, `* + ? {n} {n,} {n,m}`, escapes `\xHH \uHHHH \u{H…}`, and a leading
 * `(?i)`, `(?s)` or `(?is)`. What needs backtracking (back-references, look-around) or has no meaning where every
 * match counts (lazy and possessive quantifiers) is an error, never ignored. Bounded by `limits.maskPatternLengthMax`
 * code units and, after repetitions are written out, `limits.maskPatternStatesMax` states.
 */
export function compilePattern(source: string): { readonly pattern: Pattern } | { readonly error: string } {
  if (source.length === 0) return { error: 'The pattern is empty.' };
  if (source.length > limits.maskPatternLengthMax) return { error: 'The pattern is too long.' };
  if (!source.isWellFormed()) return { error: 'The pattern is not well-formed text.' };
  try {
    const { node, ignoreCase, dotAll } = new Parser(source).parse();
    return { pattern: build(node, ignoreCase, dotAll) };
  } catch (thrown) {
    if (thrown instanceof PatternError) return { error: thrown.message };
    throw thrown;
  }
}

class PatternError extends Error {}

type Node =
  | { readonly type: 'set'; readonly ranges: readonly Range[]; readonly negated: boolean }
  | { readonly type: 'dot' }
  | { readonly type: 'assert'; readonly op: number }
  | { readonly type: 'sequence' | 'choice'; readonly nodes: readonly Node[] }
  | { readonly type: 'repeat'; readonly node: Node; readonly min: number; readonly max: number };

const groupDepthMax = 32;

/** Recursive descent over code points; its depth is bounded by `groupDepthMax`. */
class Parser {
  readonly #text: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#text = Array.from(source);
  }

  parse(): { node: Node; ignoreCase: boolean; dotAll: boolean } {
    const flags = /^\(\?([is]{1,2})\)/.exec(this.#text.slice(0, 5).join(''));
    if (flags !== null) this.#at = flags[0].length;
    const node = this.#choice();
    if (this.#at < this.#text.length) throw new PatternError('A parenthesis is closed that was never opened.');
    return { node, ignoreCase: flags?.[1]?.includes('i') ?? false, dotAll: flags?.[1]?.includes('s') ?? false };
  }

  #choice(): Node {
    const nodes = [this.#sequence()];
    while (this.#take('|')) nodes.push(this.#sequence());
    return nodes.length === 1 && nodes[0] !== undefined ? nodes[0] : { type: 'choice', nodes };
  }

  #sequence(): Node {
    const nodes: Node[] = [];
    for (let char = this.#peek(); char !== undefined && char !== '|' && char !== ')'; char = this.#peek()) {
      nodes.push(this.#quantified());
    }
    return { type: 'sequence', nodes };
  }

  #quantified(): Node {
    const node = this.#atom();
    const bounds = this.#quantifier();
    if (bounds === undefined) return node;
    if (node.type === 'assert') throw new PatternError('An assertion cannot be repeated.');
    const after = this.#peek();
    if (after === '?' || after === '+' || after === '*') {
      throw new PatternError('Lazy, possessive and doubled quantifiers are not supported.');
    }
    return { type: 'repeat', node, ...bounds };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Infinity };
    if (this.#take('+')) return { min: 1, max: Infinity };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (!this.#take('{')) return undefined;
    const min = this.#number();
    const max = this.#take(',') ? (this.#peek() === '}' ? Infinity : this.#number()) : min;
    if (!this.#take('}') || max < min) throw new PatternError('A repetition is malformed; escape a literal brace.');
    return { min, max };
  }

  #number(): number {
    let text = '';
    for (let char = this.#peek(); char !== undefined && char >= '0' && char <= '9'; char = this.#peek()) {
      text += char;
      this.#at++;
    }
    if (text === '' || text.length > 4) throw new PatternError('A repetition needs a small number.');
    return Number(text);
  }

  #atom(): Node {
    const char = this.#next();
    switch (char) {
      case '(':
        return this.#group();
      case '[':
        return this.#class();
      case '.':
        return { type: 'dot' };
      case '^':
        return { type: 'assert', op: op.atStart };
      case '$':
        return { type: 'assert', op: op.atEnd };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
      case '{':
        throw new PatternError('A quantifier has nothing to repeat.');
      case '}':
      case ']':
        throw new PatternError(`A literal ${char} must be escaped.`);
      default:
        return literal(char);
    }
  }

  #group(): Node {
    if (this.#take('?') && !this.#take(':')) throw new PatternError('Only plain and (?:…) groups are supported.');
    if (++this.#depth > groupDepthMax) throw new PatternError('Groups are nested too deeply.');
    const node = this.#choice();
    if (!this.#take(')')) throw new PatternError('A parenthesis is not closed.');
    this.#depth--;
    return node;
  }

  #escape(): Node {
    const char = this.#next();
    if (char === 'b') return { type: 'assert', op: op.atWord };
    if (char === 'B') return { type: 'assert', op: op.notAtWord };
    const shorthand = shorthands.get(char);
    if (shorthand !== undefined) return { type: 'set', ranges: shorthand, negated: false };
    return literal(this.#escaped(char));
  }

  /** The character an escape stands for, given the one after the backslash. */
  #escaped(char: string): string {
    const control = controls.get(char);
    if (control !== undefined) return control;
    if (char === 'x') return this.#hex(2);
    if (char === 'u') return this.#take('{') ? this.#hex(6, '}') : this.#hex(4);
    if (/^[0-9A-Za-z]$/.test(char)) throw new PatternError(`The escape \\${char} is not supported.`);
    return char;
  }

  #hex(length: number, end?: string): string {
    let text = '';
    while (text.length < length && this.#peek() !== end) text += this.#next();
    if (end !== undefined && !this.#take(end)) throw new PatternError('A \\u{…} escape is not closed.');
    const point = /^[0-9a-fA-F]+$/.test(text) ? Number.parseInt(text, 16) : -1;
    if (point < 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      throw new PatternError('A hexadecimal escape is not a character.');
    }
    return String.fromCodePoint(point);
  }

  #class(): Node {
    const negated = this.#take('^');
    const ranges: Range[] = [];
    while (!this.#take(']')) {
      const low = this.#classAtom();
      const isRange = this.#peek() === '-' && this.#text[this.#at + 1] !== ']';
      if (typeof low !== 'string') {
        if (isRange) throw new PatternError('A range cannot begin with a class.');
        ranges.push(...low);
      } else if (isRange) {
        this.#at++;
        const high = this.#classAtom();
        if (typeof high !== 'string' || point(high) < point(low)) throw new PatternError('A range is out of order.');
        ranges.push([point(low), point(high)]);
      } else {
        ranges.push([point(low), point(low)]);
      }
    }
    if (ranges.length === 0) throw new PatternError('A class is empty.');
    return { type: 'set', ranges, negated };
  }

  #classAtom(): string | readonly Range[] {
    const char = this.#next();
    if (char === '[') throw new PatternError('A literal [ in a class must be escaped.');
    if (char !== '\\') return char;
    const escaped = this.#next();
    if (escaped === 'b') throw new PatternError('The escape \\b is not supported in a class.');
    return shorthands.get(escaped) ?? this.#escaped(escaped);
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #next(): string {
    const char = this.#text[this.#at++];
    if (char === undefined) throw new PatternError('The pattern ends in the middle of something.');
    return char;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }
}

const shorthands: ReadonlyMap<string, readonly Range[]> = new Map([
  ['d', digits],
  ['D', complement(digits)],
  ['w', words],
  ['W', complement(words)],
  ['s', spaces],
  ['S', complement(spaces)],
]);

const controls: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['f', '\f'],
  ['v', '\v'],
]);

function literal(char: string): Node {
  return { type: 'set', ranges: [[point(char), point(char)]], negated: false };
}

function point(char: string): number {
  return char.codePointAt(0) ?? 0;
}

/** Thompson's construction, from the end backwards, so that every state knows its successor when it is made. */
function build(root: Node, ignoreCase: boolean, dotAll: boolean): Pattern {
  const ops: number[] = [];
  const next: number[] = [];
  const other: number[] = [];
  const sets: (CharSet | undefined)[] = [];
  const anything = charSet(dotAll ? [[0, 0x10ffff]] : complement([[10, 10]]), false, false);

  const add = (code: number, after: number, set?: CharSet, branch = -1): number => {
    if (ops.length >= limits.maskPatternStatesMax) throw new PatternError('The pattern needs too many states.');
    ops.push(code);
    next.push(after);
    other.push(branch);
    sets.push(set);
    return ops.length - 1;
  };

  const emit = (node: Node, after: number): number => {
    switch (node.type) {
      case 'set':
        return add(op.set, after, charSet(node.ranges, node.negated, ignoreCase));
      case 'dot':
        return add(op.set, after, anything);
      case 'assert':
        return add(node.op, after);
      case 'sequence':
        return node.nodes.reduceRight((state, part) => emit(part, state), after);
      case 'choice':
        return node.nodes
          .map((part) => emit(part, after))
          .reduceRight((rest, part) => add(op.split, part, undefined, rest));
      case 'repeat':
        return repeat(node, after);
    }
  };

  const repeat = (node: Node & { type: 'repeat' }, after: number): number => {
    let state = after;
    if (node.max === Infinity) {
      const loop = add(op.split, -1, undefined, after);
      next[loop] = emit(node.node, loop);
      state = loop;
    } else {
      for (let count = node.min; count < node.max; count++) {
        const inner = emit(node.node, state);
        state = add(op.split, inner, undefined, after);
      }
    }
    for (let count = 0; count < node.min; count++) state = emit(node.node, state);
    return state;
  };

  const start = emit(root, add(op.match, -1));
  return { ops: Uint8Array.from(ops), next: Int32Array.from(next), other: Int32Array.from(other), sets, start };
}

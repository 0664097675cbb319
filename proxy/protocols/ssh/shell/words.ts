/**
 * Words of the syntax tree to the words a command would get: quote removal, parameters, tildes, braces and field
 * splitting, as far as all of it is known now. The rest is dynamic, with a reason.
 */
import type { DoubleQuotedChild, ParsedScript, SyntaxNode, Word, WordPart } from 'unbash';
import { forEachChild } from 'unbash';
import { limits } from '../../../core/limits.ts';
import { expandBraces } from './braces.ts';
import type { State } from './state.ts';

/** What a word needs from the walk that it is part of. */
export interface WordContext {
  readonly state: State;
  /** bash reads the word, and not some other shell. */
  readonly bash: boolean;
  /** Notes why a word is dynamic. */
  note(reason: string): void;
  /** A script inside the word: a command or process substitution. */
  nested(script: ParsedScript): void;
}

/** Words that one word expands to; none when it is dynamic. */
export type Fields = readonly string[] | undefined;

/** Whether unquoted text takes part in field splitting and globbing. */
interface Piece {
  readonly value: string;
  readonly splits: boolean;
  /** An empty word is kept only when something of it was quoted. */
  readonly quoted: boolean;
}

type Pieces = readonly Piece[] | undefined;

/**
 * @param word of a command
 * @returns the fields it expands to; undefined when that is not known, which is noted
 */
export function resolveFields(word: Word, context: WordContext): Fields {
  const { parts } = word;
  if (parts === undefined) return resolveBare(word, context);
  if (isAllParameters(parts)) return context.state.parameters;
  let choices: Piece[][] = [[]];
  for (const [index, part] of parts.entries()) {
    const alternatives = index === 0 && startsWithTilde(part) ? tilde(part, parts, context) : expand(part, context);
    if (alternatives === undefined) return dynamic(word, context);
    const [only = []] = alternatives;
    if (alternatives.length === 1) for (const choice of choices) choice.push(...only);
    else if (choices.length * alternatives.length > limits.shellBraceWordsMax) {
      context.note('brace_expansion');
      return dynamic(word, context);
    } else choices = choices.flatMap((choice) => alternatives.map((pieces) => [...choice, ...pieces]));
  }
  const fields: string[] = [];
  for (const pieces of choices) {
    const split = splitFields(pieces);
    if (split === undefined) {
      context.note('glob');
      return undefined;
    }
    fields.push(...split);
  }
  return checked(fields, context);
}

/**
 * @param word that is neither split nor globbed: an assignment's value, the word of a `case`
 * @returns its one value; undefined when that is not known, which is noted
 */
export function resolveValue(word: Word, context: WordContext): string | undefined {
  const { parts } = word;
  // A tilde is expanded behind every colon of such a word.
  if (/(?:^|:)~/.test(word.text) && !/^~(?:\/[\w./-]*)?$/.test(word.text)) context.note('tilde');
  if (parts === undefined) return resolveBare(word, context)?.[0] ?? '';
  return joinPieces(parts, word, context);
}

/**
 * @param parts of a here-document's body
 * @returns its text; undefined when that is not known, which is noted
 */
export function resolveBody(parts: readonly WordPart[], context: WordContext): string | undefined {
  return joinPieces(parts, undefined, context);
}

function joinPieces(parts: readonly WordPart[], word: Word | undefined, context: WordContext): string | undefined {
  let value = '';
  for (const part of parts) {
    // Neither braces nor globs are expanded in such places, by shells that agree on it; they are rare enough to refuse.
    const alternatives = expand(part, context);
    if (alternatives?.length !== 1) {
      if (alternatives !== undefined) context.note('brace_expansion');
      if (word !== undefined) visitAll(word, context);
      else for (const each of parts) visitAll(each, context);
      return undefined;
    }
    for (const piece of alternatives[0] ?? []) value += piece.value;
  }
  return checked([value], context)?.[0];
}

function resolveBare(word: Word, context: WordContext): Fields {
  const { text } = word;
  if (text.startsWith('~')) {
    const home = tildeValue(text, context);
    return home === undefined ? undefined : [home];
  }
  if (/[=:]~/.test(text)) context.note('tilde');
  return [word.value];
}

/** A dynamic word is read on for the commands in it. */
function dynamic(word: Word, context: WordContext): undefined {
  visitAll(word, context);
  return undefined;
}

/** Hands every script inside a node to the walk. */
export function visitAll(node: SyntaxNode, context: WordContext): void {
  forEachChild(node, (child) => {
    if (child.type === 'Script') context.nested(child);
    else visitAll(child, context);
  });
}

const isAllParameters = (parts: readonly WordPart[]): boolean => {
  const [part] = parts;
  return parts.length === 1 && part?.type === 'DoubleQuoted' && part.text === '"$@"';
};

const startsWithTilde = (part: WordPart): part is Extract<WordPart, { type: 'Literal' }> =>
  part.type === 'Literal' && part.text.startsWith('~');

/** `~` and `~/…` with nothing quoted in front of the slash; whatever else begins with a tilde is dynamic. */
function tilde(
  part: Extract<WordPart, { type: 'Literal' }>,
  parts: readonly WordPart[],
  context: WordContext,
): readonly (readonly Piece[])[] | undefined {
  const whole = part.text.startsWith('~/') || (part.text === '~' && parts.length === 1);
  const value = whole ? tildeValue(part.text, context) : undefined;
  if (value === undefined) {
    context.note('tilde');
    return undefined;
  }
  return [[literal(value)]];
}

function tildeValue(text: string, context: WordContext): string | undefined {
  const home = context.state.variables.get('HOME');
  if (home === undefined || !/^~(?:$|\/)/.test(text) || text.includes('\\')) {
    context.note('tilde');
    return undefined;
  }
  return home + text.slice(1);
}

const literal = (value: string): Piece => ({ value, splits: false, quoted: false });
const quoted = (value: string): Piece => ({ value, splits: false, quoted: true });

/** The ways one part may read (several for braces), each as pieces; undefined when it is dynamic, which is noted. */
function expand(part: WordPart, context: WordContext): readonly (readonly Piece[])[] | undefined {
  switch (part.type) {
    case 'Literal':
      if (/[=:]~/.test(part.text)) context.note('tilde');
      return [[literal(part.value)]];
    case 'SingleQuoted':
      return [[quoted(part.value)]];
    case 'AnsiCQuoted':
      if (!context.bash) return refuse('bash_only', context);
      // Escapes beyond ASCII name bytes, which this text cannot hold.
      if (part.text.includes('\\') && /[^\t\n\x20-\x7e]/.test(part.value)) return refuse('control_character', context);
      return [[quoted(part.value)]];
    case 'DoubleQuoted': {
      const pieces = doubleQuoted(part.parts, context);
      return pieces === undefined ? undefined : [pieces];
    }
    case 'SimpleExpansion':
    case 'ParameterExpansion': {
      const value = parameter(part, context);
      return value === undefined ? undefined : [[{ value, splits: true, quoted: false }]];
    }
    case 'BraceExpansion': {
      if (!context.bash) return refuse('bash_only', context);
      const words = expandBraces(part.text);
      if (words === undefined) return refuse('brace_expansion', context);
      return words.map((word) => [literal(word)]);
    }
    default:
      return refuse(reasons[part.type], context);
  }
}

const reasons = {
  Glob: 'glob',
  ExtendedGlob: 'glob',
  LocaleString: 'locale_string',
  CommandExpansion: 'command_substitution',
  ArithmeticExpansion: 'arithmetic',
  ProcessSubstitution: 'process_substitution',
} as const;

function refuse(reason: string, context: WordContext): undefined {
  context.note(reason);
  return undefined;
}

function doubleQuoted(parts: readonly DoubleQuotedChild[], context: WordContext): Pieces {
  let value = '';
  for (const part of parts) {
    if (part.type === 'Literal') value += part.value;
    else if (part.type === 'SimpleExpansion' || part.type === 'ParameterExpansion') {
      const known = parameter(part, context);
      if (known === undefined) return undefined;
      value += known;
    } else return refuse(reasons[part.type], context);
  }
  return [quoted(value)];
}

/** `$x`, `${x}`, `${x:-word}` and `${x:+word}` of a known x, and the positional parameters. */
function parameter(
  part: Extract<WordPart, { type: 'SimpleExpansion' | 'ParameterExpansion' }>,
  context: WordContext,
): string | undefined {
  const { parameters, variables } = context.state;
  let name = part.type === 'SimpleExpansion' ? part.text.slice(1) : part.parameter;
  if (part.type === 'ParameterExpansion') {
    if (part.prefix !== undefined || part.index !== undefined) return refuse('parameter_expansion', context);
    if (part.operation !== undefined) return parameterDefault(name, part.operation, context);
  } else if (name.startsWith('{')) name = name.slice(1, -1);
  if (/^[1-9]\d{0,3}$/.test(name)) return parameters[Number(name) - 1] ?? '';
  if (name === '#') return String(parameters.length);
  const value = variables.get(name);
  return value ?? refuse('unknown_variable', context);
}

function parameterDefault(
  name: string,
  operation: NonNullable<Extract<WordPart, { type: 'ParameterExpansion' }>['operation']>,
  context: WordContext,
): string | undefined {
  const position = /^[1-9]\d{0,3}$/.test(name);
  const value = position ? context.state.parameters[Number(name) - 1] : context.state.variables.get(name);
  if (operation.type !== 'Default' || (value === undefined && !position)) {
    return refuse(operation.type === 'Default' ? 'unknown_variable' : 'parameter_expansion', context);
  }
  const set = operation.operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
  if (operation.operator.endsWith('-')) return set ? value : simpleOperand(operation.operand, context);
  if (operation.operator.endsWith('+')) return set ? simpleOperand(operation.operand, context) : '';
  return refuse('parameter_expansion', context);
}

/** A default that is plain text; quoting and splitting inside one differ between shells. */
function simpleOperand(word: Word, context: WordContext): string | undefined {
  return /^[\w./:@%+=,-]*$/.test(word.text) ? word.text : refuse('parameter_expansion', context);
}

/** Splits what came unquoted out of parameters at blanks; undefined when it would be matched against files. */
function splitFields(pieces: readonly Piece[]): readonly string[] | undefined {
  const fields: string[] = [];
  let field: string | undefined;
  for (const { value, splits, quoted: keeps } of pieces) {
    if (!splits) {
      if (keeps || value !== '') field = (field ?? '') + value;
      continue;
    }
    if (/[*?[\\]/.test(value)) return undefined;
    const words = value.split(/[ \t\n]+/);
    for (const [index, word] of words.entries()) {
      if (index > 0 && field !== undefined) {
        fields.push(field);
        field = undefined;
      }
      if (word !== '') field = (field ?? '') + word;
    }
  }
  return field === undefined ? fields : [...fields, field];
}

function checked(fields: readonly string[], context: WordContext): Fields {
  const length = fields.reduce((sum, field) => sum + field.length, 0);
  if (length > limits.shellWordLengthMax) return refuse('too_much', context);
  return fields;
}

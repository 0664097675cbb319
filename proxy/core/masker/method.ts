import { limits } from '../limits.ts';
import type { Json, JsonObject, MaskMethod } from '../types.ts';
import { compilePattern } from './pattern.ts';

/**
 * Reads one mask of a policy result: an object with the method's name as its only key and its parameters as the value,
 * `{"keep_last": {"count": 4}}`, `{"null": {}}`. Misspelt, missing, extra or out-of-bounds parameters are errors, and
 * so is a pattern outside the safe subset; a text may not hold NUL or a lone surrogate, which the wire could not carry.
 *
 * @returns the method, or a sentence for the policy's author that quotes nothing but names.
 */
export function parseMaskMethod(json: Json): { readonly method: MaskMethod } | { readonly error: string } {
  if (!isObject(json)) return { error: 'A mask must be an object with one method.' };
  const [entry, ...others] = Object.entries(json);
  if (entry === undefined || others.length > 0) return { error: 'A mask must have exactly one method.' };
  const [name, parameters] = entry;
  if (!isObject(parameters)) return { error: 'The parameters of a mask method must be an object.' };
  switch (name) {
    case 'null':
    case 'hash':
    case 'email':
      return exactly(parameters) ?? { method: { method: name } };
    case 'replace':
      return exactly(parameters, 'value') ?? replace(parameters.value);
    case 'keep_first':
    case 'keep_last':
      return exactly(parameters, 'count') ?? keep(name, parameters.count);
    case 'redact_pattern':
      return exactly(parameters, 'pattern', 'value') ?? redact(parameters.pattern, parameters.value);
    default:
      return { error: 'The mask method is unknown.' };
  }
}

/**
 * Which of two masks of the same thing applies. The order, most private first: `null`, `replace`, `hash`,
 * `keep_first`/`keep_last`, `email`, `redact_pattern`. Within one rank: the smaller text of two replacements, the
 * smaller count of two keeps. Where neither hides what the other does (a first and a last part, two patterns), the
 * answer is a mask of that rank that shows nothing. So the result never depends on the order of the policies:
 * commutative, associative, idempotent.
 */
export function mostPrivate(a: MaskMethod, b: MaskMethod): MaskMethod {
  const difference = ranks[a.method] - ranks[b.method];
  if (difference !== 0) return difference < 0 ? a : b;
  if (a.method === 'replace' && b.method === 'replace') return a.value <= b.value ? a : b;
  if (a.method === 'redact_pattern' && b.method === 'redact_pattern') {
    return a.pattern === b.pattern && a.value === b.value ? a : redactAll;
  }
  if ('count' in a && 'count' in b) {
    if (a.method === b.method) return a.count <= b.count ? a : b;
    return keepNothing;
  }
  return a;
}

const ranks: Readonly<Record<MaskMethod['method'], number>> = {
  null: 0,
  replace: 1,
  hash: 2,
  keep_first: 3,
  keep_last: 3,
  email: 4,
  redact_pattern: 5,
};

/** `keep_first` of nothing is `keep_last` of nothing: this one stands for both. */
const keepNothing: MaskMethod = { method: 'keep_last', count: 0 };
const redactAll: MaskMethod = { method: 'redact_pattern', pattern: '(?s).+', value: '***' };

type Parsed = { readonly method: MaskMethod } | { readonly error: string };

function replace(value: Json | undefined): Parsed {
  return isText(value) ? { method: { method: 'replace', value } } : { error: 'The replacement is not a short text.' };
}

function keep(method: 'keep_first' | 'keep_last', count: Json | undefined): Parsed {
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > limits.maskKeepCountMax) {
    return { error: `The count must be a whole number from 0 to ${limits.maskKeepCountMax}.` };
  }
  return { method: count === 0 ? keepNothing : { method, count } };
}

function redact(pattern: Json | undefined, value: Json | undefined): Parsed {
  if (typeof pattern !== 'string') return { error: 'The pattern is not a text.' };
  if (!isText(value)) return { error: 'The replacement is not a short text.' };
  const compiled = compilePattern(pattern);
  return 'error' in compiled ? compiled : { method: { method: 'redact_pattern', pattern, value } };
}

function isText(value: Json | undefined): value is string {
  return (
    typeof value === 'string' &&
    value.length <= limits.maskTextLengthMax &&
    value.isWellFormed() &&
    !value.includes('\0')
  );
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function exactly(parameters: JsonObject, ...names: string[]): { readonly error: string } | undefined {
  const given = Object.keys(parameters);
  if (given.length === names.length && names.every((name) => given.includes(name))) return undefined;
  return { error: names.length === 0 ? 'The method takes no parameters.' : `The method takes: ${names.join(', ')}.` };
}

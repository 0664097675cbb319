import { limits } from './limits.ts';
import { keyedHasher } from './masker/keyed-hash.ts';
import { compilePattern, type Pattern } from './masker/pattern.ts';
import { redactor } from './masker/redact.ts';
import type { MaskMethod } from './types.ts';

export { type ByteMasker, createByteMasker } from './masker/bytes.ts';
export { HeldBytes } from './masker/held-bytes.ts';
export { createJsonMasker, type JsonMasker } from './masker/json.ts';
export { compileJsonPath, type JsonPath, type JsonStep } from './masker/json-path.ts';
export { JsonPaths } from './masker/json-paths.ts';
export { hashPrefix } from './masker/keyed-hash.ts';
export { mostPrivate, parseMaskMethod } from './masker/method.ts';
export { createTextMasker, type TextMasker } from './masker/stream.ts';
export { Utf8Check } from './masker/utf8.ts';

/** What stands for the hidden part of a text. Always the same, so that it tells nothing about a length. */
export const maskText = '***';

/**
 * A mask made ready for many values. A `constant` needs no value (`null` stands for the absence of one, whatever the
 * protocol calls it). A `value` mask is a pure function of one text of at most `limits.maskedValueBytesMax` bytes;
 * callers write `tooLong` for a longer one instead of reading it.
 */
export type CompiledMask =
  | { readonly kind: 'constant'; readonly value: string | null }
  | { readonly kind: 'value'; readonly apply: (value: string) => string; readonly tooLong: string };

/** Hides values. Pure: the same value under the same key and method always gives the same result. */
export interface Masker {
  /** Makes a method ready. The same method object gives the same compiled mask. @throws when a pattern was never validated. */
  compile(method: MaskMethod): CompiledMask;
  /** Masks one value; for callers that meet one value now and then. */
  apply(method: MaskMethod, value: string): string | null;
  /**
   * What is kept in place of a value: `hmac:` and 32 lower-case hexadecimal digits, the first 128 bits of HMAC-SHA256
   * over the value's UTF-8 bytes. The `hash` method gives the same, so that an auditor can follow one value through
   * results, audit events and recordings. Stable for a key; without the key nothing can be guessed and compared.
   */
  keyedHash(value: string | Uint8Array): string;
}

/**
 * Makes the masker of a gateway.
 *
 * - `null`, `replace`: a constant; they hide as well whether there was a value.
 * - `hash`: see `keyedHash`. Equal values stay equal.
 * - `keep_first`, `keep_last`: up to `count` code points of one end and `***`. A value of no more than `count` code
 *   points is hidden whole. The length is not preserved, because it tells something.
 * - `email`: `***@` and the domain, which stays readable. What is not one address with a plausible domain is hidden whole.
 * - `redact_pattern`: see `redactor`.
 *
 * @param options.key - secret, at least 32 bytes; gateways that should give the same hashes share it.
 */
export function createMasker(options: { readonly key: Uint8Array }): Masker {
  const keyedHash = keyedHasher(options.key);
  const ready = new WeakMap<MaskMethod, CompiledMask>();
  const compile = (method: MaskMethod): CompiledMask => {
    const known = ready.get(method) ?? make(method, keyedHash);
    ready.set(method, known);
    return known;
  };
  const apply = (method: MaskMethod, value: string): string | null => {
    const mask = compile(method);
    if (mask.kind === 'constant') return mask.value;
    return Buffer.byteLength(value) > limits.maskedValueBytesMax ? mask.tooLong : mask.apply(value);
  };
  return { compile, apply, keyedHash };
}

function make(method: MaskMethod, keyedHash: (value: string) => string): CompiledMask {
  switch (method.method) {
    case 'null':
      return { kind: 'constant', value: null };
    case 'replace':
      return { kind: 'constant', value: method.value };
    case 'hash':
      return { kind: 'value', apply: keyedHash, tooLong: maskText };
    case 'keep_first':
    case 'keep_last':
      if (method.count === 0) return { kind: 'constant', value: maskText };
      return { kind: 'value', apply: keep(method.method, method.count), tooLong: maskText };
    case 'email':
      return { kind: 'value', apply: email, tooLong: maskText };
    case 'redact_pattern':
      return { kind: 'value', apply: redactor(compiled(method.pattern), method.value), tooLong: method.value };
  }
}

function keep(end: 'keep_first' | 'keep_last', count: number): (value: string) => string {
  if (end === 'keep_first') {
    return (value) => {
      let cut = 0;
      for (let kept = 0; kept < count && cut < value.length; kept++) cut += isPair(value, cut) ? 2 : 1;
      return cut >= value.length ? maskText : value.slice(0, cut) + maskText;
    };
  }
  return (value) => {
    let cut = value.length;
    for (let kept = 0; kept < count && cut > 0; kept++) cut -= isPair(value, cut - 2) ? 2 : 1;
    return cut <= 0 ? maskText : maskText + value.slice(cut);
  };
}

function isPair(value: string, at: number): boolean {
  return at >= 0 && (value.charCodeAt(at) & 0xfc00) === 0xd800 && (value.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
}

function email(value: string): string {
  const at = value.indexOf('@');
  const domain = value.slice(at + 1);
  return at > 0 && domain.length <= 253 && domainShape.test(domain) ? `${maskText}@${domain}` : maskText;
}

/** Dot-separated labels, the last one alphabetic or encoded; one pass, because the labels and dots exclude each other. */
const domainShape = /^(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{1,62}$/;

const patterns = new Map<string, Pattern>();

/** Compiled patterns by their text; when full, the oldest goes. */
function compiled(source: string): Pattern {
  const known = patterns.get(source);
  if (known !== undefined) return known;
  const result = compilePattern(source);
  if ('error' in result) throw new TypeError(`a mask pattern that was never validated: ${result.error}`);
  const oldest = patterns.keys().next();
  if (patterns.size >= limits.maskPatternsCachedMax && oldest.done !== true) patterns.delete(oldest.value);
  patterns.set(source, result.pattern);
  return result.pattern;
}

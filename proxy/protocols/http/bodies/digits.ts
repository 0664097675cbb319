/**
 * Numbers that keep their digits: what a double would change (`12345678901234567890`, `1E400`, `-0`) stands in a parsed value
 * as the text that it came as, and is written as such. It is no number to whoever asks, and no object with members.
 *
 * @see https://tc39.es/proposal-json-parse-with-source/
 */
import type { Json } from '../../../core/types.ts';

declare global {
  interface JSON {
    parse(text: string, reviver: (key: string, value: Json, context: { readonly source?: string }) => unknown): Json;
    rawJSON(text: string): object;
    isRawJSON(value: unknown): boolean;
  }
}

/** Parses a JSON text whose numbers may be any. @throws SyntaxError */
export function parseWithDigits(text: string): Json {
  // A reviver sees every value: most texts have nothing for it to do.
  if (!/[-+.\deE]{16}|\d[eE]|-0/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && !isExactNumber(source) ? JSON.rawJSON(source) : value,
  );
}

/**
 * Whether a JSON number is the same to whoever reads it as a double, an integer of 64 bits or a decimal: not past 2⁵³,
 * no digits that a double drops, no negative zero.
 */
export function isExactNumber(literal: string): boolean {
  const value = Number(literal);
  if (Number.isNaN(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER || Object.is(value, -0)) return false;
  // A decimal number of 15 digits survives being a double; most are short enough to be sure at a glance.
  if (literal.length <= 15 && !/e/i.test(literal)) return true;
  return decimal(literal) === decimal(String(value));
}

/** A number's digits without zeros around them, and its exponent, as text. */
function decimal(literal: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(literal) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const trimmed = digits.replace(/(?<!0)0+$/, '');
  const power = trimmed === '' ? 0 : Number(exponent) - fraction.length + (digits.length - trimmed.length);
  return `${sign}${trimmed}e${power}`;
}

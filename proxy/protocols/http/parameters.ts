import { limits } from '../../core/limits.ts';
import type { Header, Refused } from './contract.ts';
import { decodePercent } from './percent.ts';
import { malformed, refused } from './refused.ts';

/** A parameter as it stood in a query or a form. */
export interface Parameter {
  readonly pair: Header;
  /** It had no `=`; its value is empty. */
  readonly bare: boolean;
}

/**
 * Names by which frameworks let a parameter of a query or a form take the place of the method: Rails, Symfony and
 * Laravel (`_method`), and what reads the header of that name from a parameter as well.
 */
const overriding: ReadonlySet<string> = new Set([
  '_method',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  '$httpmethod',
]);

/** Whether a server may take a parameter's value for the request's method. */
export function overridesMethod(name: string): boolean {
  return overriding.has(name.toLowerCase());
}

/**
 * Splits `application/x-www-form-urlencoded` text (a query as well) once: at `&`, then at the first `=`; `+` is a space.
 * Empty pieces are left out, as by every server. A parameter without a name, a broken escape, what is not UTF-8 and NUL
 * are malformed.
 *
 * @see https://url.spec.whatwg.org/#urlencoded-parsing
 */
export function parseParameters(text: string, where: 'query' | 'form'): readonly Parameter[] | Refused<400 | 413> {
  const parameters: Parameter[] = [];
  for (const piece of text.split('&')) {
    if (piece === '') continue;
    if (parameters.length === limits.httpParametersMax) {
      return refused(413, 'operation_too_large', `The ${where} has more than ${limits.httpParametersMax} parameters.`);
    }
    const equals = piece.indexOf('=');
    const name = decode(equals < 0 ? piece : piece.slice(0, equals));
    const value = equals < 0 ? '' : decode(piece.slice(equals + 1));
    if (name === undefined || value === undefined) {
      return malformed(`The ${where} has an escape that is not one, or text that is not UTF-8.`);
    }
    if (name === '') return malformed(`The ${where} has a parameter without a name.`);
    if (name.includes('\0') || value.includes('\0')) return malformed(`The ${where} has a NUL in it.`);
    parameters.push({ pair: [name, value], bare: equals < 0 });
  }
  return parameters;
}

function decode(text: string): string | undefined {
  return decodePercent(text.includes('+') ? text.replaceAll('+', '%20') : text);
}

import type { BodyResult } from '../contract.ts';
import { overridesMethod, parseParameters } from '../parameters.ts';
import { malformed } from '../refused.ts';

/**
 * Reads `application/x-www-form-urlencoded`. A body is forwarded as it came, so what servers split or decode differently
 * is refused rather than written anew: `;` between fields, bytes that are not ASCII, another character set, a method in a field.
 */
export function parseForm(bytes: Uint8Array): BodyResult {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  if (!/^[\x20-\x7e]*$/.test(text)) return malformed('The form has characters that must be percent-encoded.');
  if (text.includes(';')) return malformed('The form has a semicolon in it, which must be written as %3B.');
  const parameters = parseParameters(text, 'form');
  if ('fault' in parameters) return parameters;
  const fields = parameters.map(({ pair }) => pair);
  for (const [name, value] of fields) {
    const problem = fieldProblem(name, value);
    if (problem !== undefined) return malformed(problem);
  }
  return { kind: 'form', fields };
}

/** What a field must not do to the form that it is in. @param value - undefined when it is not known */
export function fieldProblem(name: string, value: string | undefined): string | undefined {
  if (overridesMethod(name)) return 'The form has a field that overrides the method of the request.';
  // https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#attr-fe-name-charset
  if (name === '_charset_' && value?.toLowerCase() !== 'utf-8') return 'The form says that it is not UTF-8.';
  return undefined;
}

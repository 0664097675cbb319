import { createHash } from 'node:crypto';
import type { Json } from '../../../core/types.ts';

/**
 * JSON in the one form of RFC 8785: members sorted by their UTF-16 code units, no white space, numbers as ECMAScript
 * writes them, or as they came where it could not. Recursive: for values whose depth the JSON parser has bounded.
 */
export function canonicalJson(value: Json): string {
  if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}

/** SHA-256 of a text, in hexadecimal; of a value's canonical form, that is. */
export function digestOf(canonical: string): string {
  return createHash('sha256').update(canonical).digest('hex');
}

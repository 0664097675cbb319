import type { MediaType } from '../media-type.ts';

/** Whether a media type is JSON (RFC 6839 section 3.1). Sequences of JSON texts are not. */
export function isJsonType(type: string): boolean {
  return type === 'application/json' || type === 'text/json' || type.endsWith('+json');
}

/** Whether it says nothing about its character set, or UTF-8. */
export function isUtf8Type({ parameters }: MediaType): boolean {
  return /^utf-?8$/i.test(parameters.get('charset') ?? 'utf-8');
}

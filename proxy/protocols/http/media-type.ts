/** What a Content-Type says, and the one way it is written. */
export interface MediaType {
  /** `type/subtype` in lower case. */
  readonly type: string;
  /** Names in lower case, each once. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Type and parameters as they are forwarded. */
  readonly text: string;
}

const token = /^[\w!#$%&'*+.^`|~-]+$/;

/**
 * Reads a media type (RFC 9110 section 8.3.1). A parameter that comes twice, a backslash in a quoted value and
 * anything that is not the grammar make it `undefined`: servers differ on all of them.
 */
export function parseMediaType(text: string): MediaType | undefined {
  const essence = /[a-z\d][\w!#$&^.+-]{0,126}\/[a-z\d][\w!#$&^.+-]{0,126}/iy;
  const [type = ''] = essence.exec(text) ?? [];
  if (type === '') return undefined;
  const parameters = new Map<string, string>();
  const piece = /[ \t]*;[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:([\w!#$%&'*+.^`|~-]+)|"([\t \x21\x23-\x5b\x5d-\x7e]*)"))?/y;
  piece.lastIndex = type.length;
  let at = type.length;
  while (at < text.length) {
    const found = piece.exec(text);
    if (found === null) return undefined;
    at = piece.lastIndex;
    const [, name, bare, quoted] = found;
    if (name === undefined) continue;
    const key = name.toLowerCase();
    if (parameters.has(key)) return undefined;
    parameters.set(key, bare ?? quoted ?? '');
  }
  const written = [...parameters].map(([name, value]) => `; ${name}=${token.test(value) ? value : `"${value}"`}`);
  return { type: type.toLowerCase(), parameters, text: type.toLowerCase() + written.join('') };
}

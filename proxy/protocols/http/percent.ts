/**
 * Percent-encoding (RFC 3986 section 2.1), read strictly and written in one way, so that a text has one encoding.
 * What is written is what every server decodes alike: `+` and `;` mean different things to different ones and are
 * always encoded.
 */

/** Decodes escapes as UTF-8. `undefined` for a broken escape or for what is not UTF-8, overlong forms included. */
export function decodePercent(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** One segment of a path; `:` `@` `$` `&` `,` `=` `!` `'` `(` `)` `*` stay as they are, and so does `;` where it may stand. */
export function encodeSegment(text: string): string {
  if (/^[\w\-.~!$&'()*,:;=@]*$/.test(text)) return text;
  return encodeURIComponent(text).replace(/%(?:24|26|2C|3A|3B|3D|40)/g, decodeURIComponent);
}

/**
 * A name or a value in a query; `:` `@` `$` `,` `/` `!` `'` `(` `)` `*` stay as they are. A second `?` does not: a server
 * that splits a target at each of them would lose what is behind it.
 */
export function encodeParameter(text: string): string {
  if (/^[\w\-.~!$'()*,:@/]*$/.test(text)) return text;
  return encodeURIComponent(text).replace(/%(?:24|2C|2F|3A|40)/g, decodeURIComponent);
}

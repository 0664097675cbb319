/** Controls but tab, format characters (among them those that turn the direction of text), line separators. */
const unprintable = /(?!\t)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Text from an agent or an upstream, for a terminal: what could move the cursor or hide other text is escaped as JSON
 * does. Inside of JSON the result is still the same JSON.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (found) =>
    Array.from({ length: found.length }, (_, at) => escaped(found, at)).join(''),
  );
}

function escaped(text: string, at: number): string {
  if (text === '\n') return '\\n';
  return `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
}

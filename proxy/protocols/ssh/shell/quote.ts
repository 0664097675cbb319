/**
 * Writing a word so that bash, dash, busybox sh and zsh read exactly that word: the one form of quoting in which no
 * shell knows an escape, an alias, a reserved word or an expansion.
 */

/**
 * @param word any text without NUL
 * @returns it in single quotes, with `'\''` for each quote inside
 */
export function quote(word: string): string {
  return word.includes("'") ? `'${word.replaceAll("'", "'\\''")}'` : `'${word}'`;
}

/**
 * A here-document's delimiter that is no line of its body.
 *
 * @param body the text between the delimiters
 * @returns a word of letters and digits, the same for the same body
 */
export function delimiterFor(body: string): string {
  const lines = new Set(body.split('\n'));
  let number = 0;
  while (lines.has(`EOF${number}`)) number++;
  return `EOF${number}`;
}

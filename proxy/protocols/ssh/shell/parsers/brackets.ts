/** Bracket expressions of regular expressions, which hide the sign that would end the expression from some tools only. */

/** A bracket closes what is not its first character; neither brackets nor backslashes are inside, but for classes. */
const plain = /^(?:[^[\]\\]|\\.|\[(?!\^?\])\^?(?:\[:\w+:\]|[^[\]\\])+\])*$/s;

/**
 * @param text of a regular expression, or a part of one
 * @returns whether its bracket expressions, if any, end in it, and where every tool sees them end
 */
export const hasPlainBrackets = (text: string): boolean => plain.test(text);

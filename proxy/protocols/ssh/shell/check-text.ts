/** What a text must be before it is parsed: of a bounded size and nesting, and made of characters that are what they look like. */
import { limits } from '../../../core/limits.ts';
import type { ShellFault } from './classification.ts';

/** Characters that show as something else, or as nothing: blanks beyond ASCII, joiners, marks of direction. */
const deceptive = /[\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/u;

/**
 * @param text of a command or script
 * @returns a fault that ends it; undefined when it may be parsed
 */
export function textFault(text: string): ShellFault | undefined {
  if (Buffer.byteLength(text) > limits.shellTextBytesMax) {
    return { code: 'operation_too_large', message: 'The command is longer than the gateway reads.' };
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(text) || !text.isWellFormed()) {
    return { code: 'operation_malformed', message: 'The command contains control characters.' };
  }
  if (isTooNested(text)) {
    return { code: 'operation_too_large', message: 'The command is nested more deeply than the gateway reads.' };
  }
  return undefined;
}

/** @returns whether a text has characters that a reader would not see for what they are */
export const isDeceptive = (text: string): boolean => deceptive.test(text);

/** Counts what makes the parser slow, wherever it stands, quoted or not. */
function isTooNested(text: string): boolean {
  const substitutions = text.match(/[$<>]\(|`|\$\{|<</g)?.length ?? 0;
  return substitutions > limits.shellExpansionsMax || bracketDepth(text) > limits.shellNestingMax;
}

function bracketDepth(text: string): number {
  let depth = 0;
  let most = 0;
  for (const char of text) {
    if (char === '(' || char === '{' || char === '[') most = Math.max(most, ++depth);
    else if ((char === ')' || char === '}' || char === ']') && depth > 0) depth--;
  }
  return most;
}

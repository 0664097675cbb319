/**
 * Whether the syntax tree accounts for the text. The parser is forgiving: it passes over the parenthesis in `ls ( x` and
 * the semicolon in `ls & ;` without a word, where shells refuse the whole. What its words leave of the text is therefore
 * read again, by rules that are no more than the shell's own.
 */
import { forEachChild, type SyntaxNode } from 'unbash';

/** A stretch of the text that a word, a redirection or something that is refused for itself accounts for. */
interface Stretch {
  readonly pos: number;
  readonly end: number;
}

const leaves = new Set<SyntaxNode['type']>([
  'Word',
  'Assignment',
  'Redirect',
  'HereString',
  'HereDoc',
  'Function',
  'Coproc',
  'Select',
  'TestCommand',
  'ArithmeticCommand',
  'ArithmeticFor',
  'Time',
]);

/** What may stand between them. Reserved words end where a blank or an operator begins. */
const between =
  /\\\n|[ \t]+|#[^\n]*|\n|&&|\|\||;;&?|;&|\|&|[;&|()]|(?:[{}!]|if|then|elif|else|fi|for|in|do|done|while|until|case|esac)(?=$|[\s;&|()<>])/y;

/**
 * @param text that was parsed
 * @param tree that came of it without an error
 * @returns whether all of it is in the tree, and nothing is left open: a backslash at the end is read in different ways
 */
export function isAccountedFor(text: string, tree: SyntaxNode): boolean {
  if (backslashesAtEnd(text) % 2 === 1) return false;
  const stretches: Stretch[] = [];
  let loops = 0;
  const visit = (node: SyntaxNode): void => {
    if (node.type === 'For' || node.type === 'While') loops++;
    if (leaves.has(node.type)) stretches.push(node);
    else forEachChild(node, visit);
    if (node.type === 'HereDoc') stretches.push({ pos: node.body.pos, end: node.closing?.end ?? node.body.end });
  };
  visit(tree);
  stretches.sort((one, other) => one.pos - other.pos || one.end - other.end);
  const tokens = tokensBetween(text, stretches);
  // The body of a loop may also be in braces, for some shells.
  return tokens !== undefined && tokens.filter((token) => token === 'do').length === loops && areInPlace(tokens);
}

function backslashesAtEnd(text: string): number {
  let at = text.length;
  while (text[at - 1] === '\\') at--;
  return text.length - at;
}

/** Operators and reserved words in order, with an empty text for each stretch; undefined when there is anything else. */
function tokensBetween(text: string, stretches: readonly Stretch[]): readonly string[] | undefined {
  const tokens: string[] = [];
  let at = 0;
  for (const { pos, end } of [...stretches, { pos: text.length, end: text.length }]) {
    if (pos < at || (pos === at && !mayTouch(text, pos))) return undefined;
    const gap = text.slice(at, pos);
    for (between.lastIndex = 0; between.lastIndex < gap.length; ) {
      const [token] = between.exec(gap) ?? [];
      if (token === undefined) return undefined;
      if (!/^(?:[ \t#]|\\\n)/.test(token)) tokens.push(token);
    }
    if (end > pos) tokens.push('');
    at = end;
  }
  return tokens;
}

/** Only a redirection may follow without a blank, and one whose descriptor is not the end of what stands in front. */
function mayTouch(text: string, at: number): boolean {
  if (at === 0 || at === text.length || text[at - 1] === '\n') return true;
  return /[<>&]/.test(text[at] ?? '') && !/(?:^|[\s<>&|])\d+$/.test(text.slice(Math.max(0, at - 16), at));
}

/** Behind these no command has ended, so that none can be separated from the next, and one may begin in parentheses. */
const opening = /^(?:\n|;;?&?|&&?|\|[|&]?|\(|[{!]|if|then|elif|else|do|while|until)$/;

function areInPlace(tokens: readonly string[]): boolean {
  return [...tokens, '\n'].every((token, index) => {
    const before = tokens[index - 1] ?? '\n';
    if (before === '!') return !/^(?:[\n;&|)]|&&|\|\|)/.test(token);
    if (token === ';' || token === '&' || token === '|' || token === '|&' || token === '&&' || token === '||')
      return !opening.test(before);
    // A pattern of `case` ends in a parenthesis as well.
    if (token === '(') return opening.test(before) || before === 'in' || before === ')';
    return true;
  });
}

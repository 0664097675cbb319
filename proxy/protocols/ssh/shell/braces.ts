/** Brace expansion of texts that hold nothing else: `{a,b}`, `{1..5}`, `{a..e..2}`. */
import { limits } from '../../../core/limits.ts';

/** Characters that stand for themselves wherever they are in a word, besides the braces' own. */
const plain = /^[\w./:+=@%,{}-]*$/;
const sequence = /^(-?\d{1,6}|[A-Za-z])\.\.(-?\d{1,6}|[A-Za-z])(?:\.\.(-?\d{1,6}))?$/;

/**
 * @param text one brace expression with its braces
 * @returns its words in order, at most `shellBraceWordsMax`; undefined when it holds more than plain text, or more words
 */
export function expandBraces(text: string): readonly string[] | undefined {
  if (!plain.test(text) || !text.startsWith('{') || !text.endsWith('}')) return undefined;
  const inner = text.slice(1, -1);
  const range = sequence.exec(inner);
  if (range !== null) return expandSequence(range[1] ?? '', range[2] ?? '', range[3]);
  const choices = splitChoices(inner);
  if (choices === undefined) return undefined;
  const words: string[] = [];
  for (const choice of choices) {
    const expanded = expandChoice(choice);
    if (expanded === undefined || words.length + expanded.length > limits.shellBraceWordsMax) return undefined;
    words.push(...expanded);
  }
  return words;
}

/** The parts between the commas of one level; undefined when braces do not match or there is no comma. */
function splitChoices(inner: string): string[] | undefined {
  const choices: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < inner.length; at++) {
    const char = inner[at];
    if (char === '{') depth++;
    else if (char === '}' && --depth < 0) return undefined;
    else if (char === ',' && depth === 0) {
      choices.push(inner.slice(from, at));
      from = at + 1;
    }
  }
  if (depth !== 0 || choices.length === 0) return undefined;
  return [...choices, inner.slice(from)];
}

/** One choice may hold one more brace expression; more than that is not looked at. */
function expandChoice(choice: string): readonly string[] | undefined {
  const open = choice.indexOf('{');
  if (open < 0) return [choice];
  const close = choice.lastIndexOf('}');
  const middle = expandBraces(choice.slice(open, close + 1));
  return middle?.map((word) => choice.slice(0, open) + word + choice.slice(close + 1));
}

function expandSequence(from: string, to: string, step: string | undefined): readonly string[] | undefined {
  const numbers = /\d/.test(from);
  if (numbers !== /\d/.test(to)) return undefined;
  // Leading zeros pad, and letters may pass through punctuation: neither is worth being wrong about.
  if ([from, to].some((end) => /^-?0\d/.test(end))) return undefined;
  if (!numbers && from < 'a' !== to < 'a') return undefined;
  const [first, last] = numbers ? [Number(from), Number(to)] : [from.charCodeAt(0), to.charCodeAt(0)];
  const stride = Math.abs(Number(step ?? 1)) || 1;
  if (Math.abs(last - first) / stride >= limits.shellBraceWordsMax) return undefined;
  const words: string[] = [];
  for (let at = first; first <= last ? at <= last : at >= last; at += first <= last ? stride : -stride) {
    words.push(numbers ? String(at) : String.fromCharCode(at));
  }
  return words;
}

import { limits } from '../limits.ts';

/** One step from a value to some of what it holds. */
export interface JsonStep {
  /** A member's name; undefined for every member and every element. */
  readonly name: string | undefined;
  /** Whether the step may begin at anything below the value as well. */
  readonly descends: boolean;
  /** Whether lists in between are looked through, however deep: where a step names fields and not places. */
  readonly throughLists?: boolean;
}

/** A path as policies write it, read. Without steps it is the whole document. */
export interface JsonPath {
  readonly steps: readonly JsonStep[];
}

/**
 * Reads a path: the part of JSONPath that says the same of every document, whatever its values. `$` and then any of
 * `.name`, `['any name']`, `["any name"]`, `.*`, `[*]`, and each with `..` before it for "at any depth". No positions, slices,
 * unions and filters: what they would leave unmasked depends on the document.
 *
 * @param text - at most `limits.jsonPathLengthMax` code units and `limits.jsonPathStepsMax` steps
 * @returns the path, or a sentence for the policy's author
 * @see https://www.rfc-editor.org/rfc/rfc9535#section-2
 */
export function compileJsonPath(text: string): { readonly path: JsonPath } | { readonly error: string } {
  if (text.length > limits.jsonPathLengthMax || !text.isWellFormed())
    return { error: 'A JSON path is not a short text.' };
  if (!text.startsWith('$')) return { error: 'A JSON path begins with $.' };
  const steps: JsonStep[] = [];
  for (let at = 1; at < text.length; ) {
    stepShape.lastIndex = at;
    const groups = stepShape.exec(text)?.groups;
    if (groups === undefined) return { error: 'A JSON path has a step that is not supported.' };
    const { dots, word, quoted } = groups;
    const name = quoted === undefined ? word : unquoted(quoted);
    if (quoted !== undefined && name === undefined) return { error: 'A JSON path has a name that cannot be read.' };
    steps.push({ name, descends: dots === '..' });
    at = stepShape.lastIndex;
  }
  if (steps.length > limits.jsonPathStepsMax) return { error: 'A JSON path has too many steps.' };
  return { path: { steps } };
}

/** A step: dots and a name or star, or brackets, before which two dots may stand and one may not. Matches in one way only. */
const stepShape =
  /(?<dots>\.\.?(?!\[)|\.\.(?=\[)|(?=\[))(?:(?<word>[A-Za-z_\x80-\u{10ffff}][A-Za-z0-9_\x80-\u{10ffff}]*)|\*|\[(?:\*|(?<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))\])/uy;

/** The name between quotation marks, or undefined when its escapes are not those of JSON (and `\'`). */
function unquoted(quoted: string): string | undefined {
  const single = quoted.startsWith("'");
  const inner = quoted.slice(1, -1);
  const inJson: Readonly<Record<string, string>> = { "\\'": "'", '"': '\\"' };
  const asJson = single ? inner.replace(/\\.|"/g, (found) => inJson[found] ?? found) : inner;
  try {
    const name: unknown = JSON.parse(`"${asJson}"`);
    return typeof name === 'string' && name.isWellFormed() ? name : undefined;
  } catch {
    return undefined;
  }
}

import type { BaseColumn, ClassifiedStatement, Literal } from './classification.ts';
import type { Token } from './lineage/tokens.ts';

/** Keeps a value that nobody may keep: the same value under the same key gives the same hash. */
export type KeyedHash = (value: Uint8Array) => string;

/**
 * Which literals of an operation may not be kept, in the order of the text. Safe by default: one whose company
 * is unknown, and every one of an incompletely classified statement, may not.
 *
 * @param sensitive - whether a value of this column may not be kept
 */
export function hiddenLiterals(
  statements: readonly ClassifiedStatement[],
  sensitive: (column: BaseColumn) => boolean,
): readonly boolean[] {
  return statements.flatMap((statement) =>
    literalsOf(statement).map((literal) => hides(statement, literal.meets, sensitive)),
  );
}

/**
 * The text of a query string with every hidden literal replaced by its keyed hash.
 *
 * @param text - the query string, UTF-8
 * @param places - where the literals are, as byte offsets in ascending order
 * @param hidden - for each of them, whether it may not be kept
 */
export function redactText(
  text: Buffer,
  places: readonly Token[],
  hidden: readonly boolean[],
  hash: KeyedHash,
): string {
  if (!hidden.includes(true)) return text.toString('utf8');
  let redacted = '';
  let at = 0;
  for (const [index, { start, end }] of places.entries()) {
    if (hidden[index] === false || start < at || end > text.length) continue;
    redacted += `${text.toString('utf8', at, start)}'${hash(text.subarray(start, end))}'`;
    at = end;
  }
  return redacted + text.toString('utf8', at);
}

/** Whether the value of parameter `$number` may not be kept. */
export function hidesParameter(
  statements: readonly ClassifiedStatement[],
  number: number,
  sensitive: (column: BaseColumn) => boolean,
): boolean {
  return statements.some((statement) => hides(statement, statement.parameters.get(number) ?? 'unknown', sensitive));
}

/** All constants in the text of a statement, in ascending order: those of what it prepares or executes included. */
export function literalsOf({ control, literals }: ClassifiedStatement): readonly Literal[] {
  if (control.type === 'execute') return ascending([...literals, ...control.arguments]);
  if (control.type === 'prepare') return ascending([...literals, ...control.statement.literals]);
  return literals;
}

/** In the order of the text, each place once, with all the company it keeps. */
function ascending(literals: readonly Literal[]): readonly Literal[] {
  const byStart = new Map<number, Literal>();
  for (const literal of literals) {
    const known = byStart.get(literal.start);
    byStart.set(literal.start, known === undefined ? literal : { ...known, meets: both(known.meets, literal.meets) });
  }
  return [...byStart.values()].sort((one, other) => one.start - other.start);
}

function both(one: Literal['meets'], other: Literal['meets']): Literal['meets'] {
  return one === 'unknown' || other === 'unknown' ? 'unknown' : [...one, ...other];
}

function hides(
  statement: ClassifiedStatement,
  meets: readonly BaseColumn[] | 'unknown',
  sensitive: (column: BaseColumn) => boolean,
): boolean {
  return meets === 'unknown' || statement.incomplete.length > 0 || meets.some(sensitive);
}

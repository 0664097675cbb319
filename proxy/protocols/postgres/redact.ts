import type { BaseColumn, ClassifiedStatement, Literal } from './classification.ts';

/** Keeps a value that nobody may keep: the same value under the same key gives the same hash. */
export type KeyedHash = (value: Uint8Array) => string;

/**
 * The text of a query string with every literal that meets a sensitive column replaced by its keyed hash.
 * Safe by default: a literal whose company is unknown, and every literal of an incompletely classified
 * statement, is replaced too.
 *
 * @param text - the query string, UTF-8
 * @param sensitive - whether a value of this column may not be kept
 */
export function redactText(
  text: Uint8Array,
  statements: readonly ClassifiedStatement[],
  sensitive: (column: BaseColumn) => boolean,
  hash: KeyedHash,
): string {
  const hidden = statements
    .flatMap((statement) => literalsOf(statement).filter((literal) => hides(statement, literal.meets, sensitive)))
    .sort((one, other) => one.start - other.start);
  const buffer = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  let redacted = '';
  let at = 0;
  for (const { start, end } of hidden) {
    if (start < at || end > buffer.length) continue;
    redacted += `${buffer.toString('utf8', at, start)}'${hash(buffer.subarray(start, end))}'`;
    at = end;
  }
  return redacted + buffer.toString('utf8', at);
}

/** Whether the value of parameter `$number` may not be kept. */
export function hidesParameter(
  statements: readonly ClassifiedStatement[],
  number: number,
  sensitive: (column: BaseColumn) => boolean,
): boolean {
  return statements.some((statement) => hides(statement, statement.parameters.get(number) ?? 'unknown', sensitive));
}

function literalsOf(statement: ClassifiedStatement): readonly Literal[] {
  const { control } = statement;
  if (control.type === 'execute') return [...statement.literals, ...control.arguments];
  if (control.type === 'prepare') return [...statement.literals, ...control.statement.literals];
  return statement.literals;
}

function hides(
  statement: ClassifiedStatement,
  meets: readonly BaseColumn[] | 'unknown',
  sensitive: (column: BaseColumn) => boolean,
): boolean {
  return meets === 'unknown' || statement.incomplete.length > 0 || meets.some(sensitive);
}

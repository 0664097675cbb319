import { mostPrivate } from '../../core/masker.ts';
import type { Decision, Fault, Masks, Obligation } from '../../core/types.ts';
import type { BaseColumn, ClassifiedStatement, OutputColumn } from './classification.ts';
import type { ColumnMask } from './mask.ts';

/** How one statement's result is carried out. */
export interface ResultPlan {
  readonly statement: ClassifiedStatement;
  /** Per output column; `undefined` when no column of this result is masked. */
  readonly columns: readonly (ColumnMask | undefined)[] | undefined;
}

/** How an allowed operation is carried out: what `enforce` makes of a decision. */
export interface OperationPlan {
  /** In the order of the statements. */
  readonly results: readonly ResultPlan[];
  /** More rows than this end the operation with an error. */
  readonly maxRows: number;
  /** Longer than this and the operation is cancelled. */
  readonly timeoutMs: number;
  /** False when the decision asks for metadata only. */
  readonly recordRows: boolean;
  /** Errors and notices from here on may carry a value that is masked. */
  readonly sensitive: boolean;
}

/** What the PostgreSQL path can carry out; the gate refuses anything else. */
export const supports = { masks: ['columns'], obligations: ['max_rows', 'timeout_ms', 'record'] } as const;

/**
 * Makes the plan of an allow, or says which mask cannot be proven to apply.
 *
 * @param sensitiveRelation - whether any column of the relation is labelled
 */
export function planOf(
  statements: readonly ClassifiedStatement[],
  decision: Decision,
  sensitiveRelation: (schema: string, name: string) => boolean,
): { plan: OperationPlan } | { fault: Fault } {
  const results: ResultPlan[] = [];
  for (const statement of statements) {
    const result = resultPlan(statement, decision.masks);
    if ('fault' in result) return result;
    results.push(result);
  }
  const bounds = boundsOf(decision.obligations);
  if ('fault' in bounds) return bounds;
  const sensitive =
    decision.masks.columns.size > 0 ||
    statements.some(({ relations }) => relations.some(({ schema, name }) => sensitiveRelation(schema, name)));
  return { plan: { results, sensitive, ...bounds } };
}

function resultPlan(statement: ClassifiedStatement, masks: Masks): ResultPlan | { fault: Fault } {
  if (masks.columns.size === 0) return { statement, columns: undefined };
  if (
    statement.relations.some(({ schema, name, columns }) =>
      columns.some(
        (column) => column.uses.includes('sink') && maskOf(masks, { schema, relation: name, column: column.name }),
      ),
    )
  ) {
    return { fault: unprovable('A masked column would be copied to where its mask is lost.') };
  }
  if (statement.output === undefined) return { statement, columns: undefined };
  const columns: (ColumnMask | undefined)[] = [];
  for (const output of statement.output) {
    if (output.unknown)
      return { fault: unprovable(`The origin of the output column ${output.name} cannot be followed.`) };
    columns.push(columnMask(output, masks));
  }
  if (columns.every((mask) => mask === undefined)) return { statement, columns: undefined };
  const { control } = statement;
  if (control.type === 'copy_out' && (control.options.format === 'binary' || control.options.unknown)) {
    return { fault: unprovable('COPY of masked columns is possible in the text and CSV formats only.') };
  }
  return { statement, columns };
}

function columnMask(output: OutputColumn, masks: Masks): ColumnMask | undefined {
  const methods = [...output.from, ...output.through].flatMap((column) => maskOf(masks, column) ?? []);
  if (methods.length === 0) return undefined;
  return output.exact && output.from.length === 1
    ? { kind: 'method', method: methods.reduce(mostPrivate) }
    : { kind: 'derived' };
}

function maskOf(masks: Masks, { schema, relation, column }: BaseColumn) {
  return masks.columns.get(`${schema}.${relation}`)?.get(column);
}

/** The strictest of each obligation; policies of one decision may ask more than once. */
function boundsOf(
  obligations: readonly Obligation[],
): { maxRows: number; timeoutMs: number; recordRows: boolean } | { fault: Fault } {
  const bounds = { maxRows: Number.POSITIVE_INFINITY, timeoutMs: Number.POSITIVE_INFINITY, recordRows: true };
  for (const { type, properties } of obligations) {
    const { value } = properties;
    if (type === 'record' && (value === 'full' || value === 'metadata')) {
      if (value === 'metadata') bounds.recordRows = false;
      continue;
    }
    // What is not this path's to honour is the gate's, which has refused what is nobody's.
    if (!(supports.obligations as readonly string[]).includes(type)) continue;
    if (type === 'record' || typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      return { fault: { code: 'obligation_unsupported', message: `The obligation ${type} has no usable value.` } };
    }
    const key = type === 'max_rows' ? 'maxRows' : 'timeoutMs';
    bounds[key] = Math.min(bounds[key], value);
  }
  return bounds;
}

function unprovable(message: string): Fault {
  return { code: 'mask_unprovable', message };
}

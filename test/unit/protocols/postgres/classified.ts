/** Classified statements and decisions for tests of what is made from them. */
import type { Decision, MaskMethod, Obligation } from '../../../../proxy/core/types.ts';
import type {
  BaseColumn,
  ClassifiedStatement,
  ColumnUse,
  OutputColumn,
  RelationUse,
} from '../../../../proxy/protocols/postgres/classification.ts';
import { emptyStatement } from '../../../../proxy/protocols/postgres/database.ts';

/** A SELECT, unless something else is said. */
export function statement(more: Partial<ClassifiedStatement> = {}): ClassifiedStatement {
  return { ...emptyStatement, verb: 'select', ...more };
}

export function column(relation: string, name: string, schema = 'public'): BaseColumn {
  return { schema, relation, column: name };
}

/** An output column that is exactly one base column, unless something else is said. */
export function output(from: readonly BaseColumn[], more: Partial<OutputColumn> = {}): OutputColumn {
  return { name: 'x', from, through: [], exact: from.length === 1, unknown: false, ...more };
}

/** A relation that is read, with the uses of its columns. */
export function relation(
  name: string,
  uses: Readonly<Record<string, readonly ColumnUse[]>> = {},
  more: Partial<RelationUse> = {},
): RelationUse {
  const columns = Object.entries(uses).map(([column, of]) => ({ name: column, uses: of }));
  return { schema: 'public', name, kind: 'table', access: 'read', via: '', columns, wholeRow: false, ...more };
}

/** An allow with masks by `schema.relation` and column. */
export function allow(
  masks: Readonly<Record<string, Readonly<Record<string, MaskMethod>>>> = {},
  obligations: readonly Obligation[] = [],
): Decision {
  const columns = new Map(Object.entries(masks).map(([name, of]) => [name, new Map(Object.entries(of))]));
  return {
    effect: 'allow',
    reasons: [],
    shadow: [],
    masks: { columns, json: new Map(), text: new Map() },
    obligations,
    labels: [],
    accessRequest: undefined,
    quarantine: undefined,
    bundleRevision: 'b',
    dataRevision: 'd',
  };
}

/**
 * What is known of the value of one expression: which columns can influence it.
 */
import type { ColumnFact, Oid } from './snapshot.ts';

/** A named field of a row. */
export interface Field {
  readonly name: string;
  readonly value: Value;
}

/** The lineage of one value. Immutable, but for the literal group, which only ever grows. */
export interface Value {
  /** Columns (of tables and of views named by the statement) that can influence it. */
  readonly columns: ReadonlySet<ColumnFact>;
  /** It is the unchanged value of one of `columns`. */
  readonly bare: boolean;
  /** Anything may have influenced it. */
  readonly unknown: boolean;
  /** Its type, zero when not inferred. */
  readonly type: Oid;
  /** Its fields, when it is a row whose fields are known one by one. */
  readonly row: readonly Field[] | undefined;
  /** Constants and parameters that were combined into it. */
  readonly literals: LiteralGroup | undefined;
  /** It is made of constants and parameters alone. */
  readonly constant: boolean;
}

const noColumns: ReadonlySet<ColumnFact> = new Set();

/** A value no column influences. */
export const nothing: Value = {
  columns: noColumns,
  bare: false,
  unknown: false,
  type: 0,
  row: undefined,
  literals: undefined,
  constant: false,
};

/** A value anything may have influenced. */
export const anything: Value = { ...nothing, unknown: true };

/** The value of one column. */
export function columnValue(column: ColumnFact): Value {
  return { ...nothing, columns: new Set([column]), bare: true, type: column.type };
}

/** A constant or parameter. */
export function literalValue(type: Oid, group: LiteralGroup): Value {
  return { ...nothing, type, literals: group, constant: true };
}

/** The same value under another type and not bare: casts, field selection, collation. */
export function derived(value: Value, type: Oid): Value {
  return { ...value, bare: false, type, row: undefined };
}

/** A value that all of `values` can influence. Their literals are taken to have met all their columns. */
export function combine(values: readonly Value[], type: Oid = 0, unknown = false): Value {
  const columns = unionColumns(values);
  const literals = meet(values, columns, unknown);
  let constant = true;
  for (const value of values) {
    if (value.unknown) unknown = true;
    if (!value.constant) constant = false;
  }
  if (unknown && literals !== undefined) literals.find().unknown = true;
  return { columns, bare: false, unknown, type, row: undefined, literals, constant: constant && !unknown };
}

/** Like `combine`, but what `values` contain was not compared with one another (AND, OR, control flow). */
export function apart(values: readonly Value[], type: Oid = 0): Value {
  return {
    columns: unionColumns(values),
    bare: false,
    unknown: values.some((value) => value.unknown),
    type,
    row: undefined,
    literals: undefined,
    constant: values.every((value) => value.constant),
  };
}

/**
 * One of several values, row by row: set operations, VALUES, merged join columns. Unchanged if each is and none may
 * be converted to the type of another: that can round, cut off or fail, and so tell more than equality does.
 */
export function either(values: readonly Value[]): Value {
  const columns = unionColumns(values);
  // Literals without a type become text.
  const untyped = values.every((value) => value.type === unknownType) ? textType : 0;
  const type = values.find((value) => value.type !== 0 && value.type !== unknownType)?.type ?? untyped;
  const kept = values.every((value) => value.type === unknownType || (value.type !== 0 && alike(value.type, type)));
  return {
    columns,
    bare: kept && columns.size > 0 && values.every((value) => value.bare || value.columns.size === 0),
    unknown: values.some((value) => value.unknown),
    type: values.every((value) => value.type === type || value.type === unknownType) ? type : 0,
    row: undefined,
    literals: meet(values, columns, false),
    constant: values.every((value) => value.constant),
  };
}

/** The same type, or text and varchar, which have the same values. */
function alike(one: Oid, other: Oid): boolean {
  return one === other || (stringTypes.has(one) && stringTypes.has(other));
}

const textType: Oid = 25;
const stringTypes: ReadonlySet<Oid> = new Set([textType, 1043]);

/** The type of a literal before anything says otherwise. */
const unknownType: Oid = 705;

/** The union of the columns of several values, sharing the set where only one has any. */
export function unionColumns(values: readonly Value[]): ReadonlySet<ColumnFact> {
  let only: ReadonlySet<ColumnFact> = noColumns;
  let union: Set<ColumnFact> | undefined;
  for (const { columns } of values) {
    if (columns.size === 0 || columns === only) continue;
    if (only.size === 0) {
      only = columns;
      continue;
    }
    union ??= new Set(only);
    for (const column of columns) union.add(column);
  }
  return union ?? only;
}

/** Adds columns to a value. */
export function tainted(value: Value, columns: ReadonlySet<ColumnFact>, unknown = false): Value {
  if (columns.size === 0 && !unknown) return value;
  const all = new Set(value.columns);
  for (const column of columns) all.add(column);
  return { ...value, columns: all, bare: false, constant: false, unknown: value.unknown || unknown, row: undefined };
}

/** A disjoint set of constants and parameters that met, and the columns they met. */
export class LiteralGroup {
  #parent: LiteralGroup | undefined;
  #rank = 0;
  /** Meaningful on the root only. */
  readonly columns = new Set<ColumnFact>();
  unknown = false;

  find(): LiteralGroup {
    let root: LiteralGroup = this;
    while (root.#parent !== undefined) root = root.#parent;
    let each: LiteralGroup = this;
    while (each.#parent !== undefined) {
      const next = each.#parent;
      each.#parent = root;
      each = next;
    }
    return root;
  }

  /** Joins two groups and returns the root of both. */
  static union(one: LiteralGroup, other: LiteralGroup): LiteralGroup {
    let big = one.find();
    let small = other.find();
    if (big === small) return big;
    if (big.#rank < small.#rank) [big, small] = [small, big];
    if (big.#rank === small.#rank) big.#rank++;
    small.#parent = big;
    for (const column of small.columns) big.columns.add(column);
    small.columns.clear();
    if (small.unknown) big.unknown = true;
    return big;
  }
}

/** Joins the literals of several values into one group that met all of `columns`. */
export function meet(
  values: readonly Value[],
  columns: ReadonlySet<ColumnFact>,
  unknown: boolean,
): LiteralGroup | undefined {
  let group: LiteralGroup | undefined;
  for (const { literals } of values) {
    if (literals !== undefined) group = group === undefined ? literals.find() : LiteralGroup.union(group, literals);
  }
  if (group === undefined) return undefined;
  for (const column of columns) group.columns.add(column);
  if (unknown || values.some((value) => value.unknown)) group.unknown = true;
  return group;
}

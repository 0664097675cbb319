/**
 * Column references, whole rows and stars.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/parser/parse_expr.c (transformColumnRef)
 */
import type { Analysis } from './analysis.ts';
import { type Ast, list, strings } from './ast.ts';
import { isStar } from './names.ts';
import { columnOf, findColumn, findItem, type Item, type Scope } from './scope.ts';
import type { ColumnFact } from './snapshot.ts';
import { implicitCastFunctions } from './types.ts';
import { anything, combine, type Field, type Value } from './value.ts';

/** What a column reference turned out to be. */
export type Reference = { readonly value: Value } | { readonly row: Item };

/** Resolves a `ColumnRef` that is not a star. An unknown or ambiguous name makes the statement incomplete. */
export function resolveReference(a: Analysis, body: Ast, scope: Scope): Reference {
  const fields = list(body, 'fields');
  const starred = isStar(fields);
  const names = strings(starred ? fields.slice(0, -1) : fields);
  if (names === undefined || names.length === 0 || names.length > 4) return lost(a, 'unknown_column');
  // Inside an expression `t.*` is the row, as `t` is where no column has that name.
  if (starred) return rowOf(a, findOwner(a, names, scope));
  if (names.length === 1) return resolvePlain(a, names[0] ?? '', scope);
  const name = names.at(-1) ?? '';
  const owner = findOwner(a, names.slice(0, -1), scope);
  if (owner === undefined) return lost(a, 'unknown_column');
  if (owner === 'ambiguous') return lost(a, 'ambiguous_column');
  const value = columnOf(owner, name);
  if (value === 'ambiguous') return lost(a, 'ambiguous_column');
  // `t.f` may also be a call of a function f(t): not followed.
  return value === undefined ? lost(a, 'unknown_column') : { value: named(a, value) };
}

function resolvePlain(a: Analysis, name: string, scope: Scope): Reference {
  const value = findColumn(scope, name);
  if (value === 'ambiguous') return lost(a, 'ambiguous_column');
  if (value !== undefined) return { value: named(a, value) };
  return rowOf(a, findItem(scope, name));
}

function rowOf(a: Analysis, owner: Item | 'ambiguous' | undefined): Reference {
  if (owner === 'ambiguous') return lost(a, 'ambiguous_column');
  return owner === undefined ? lost(a, 'unknown_column') : { row: owner };
}

function lost(a: Analysis, why: string): Reference {
  a.incomplete.add(why);
  return { value: anything };
}

/** The item that `t`, `schema.t` or `database.schema.t` means. */
export function findOwner(a: Analysis, names: readonly string[], scope: Scope): Item | 'ambiguous' | undefined {
  const name = names.at(-1) ?? '';
  if (names.length === 1) return findItem(scope, name);
  if (names.length === 3 && names[0] !== a.around.database) return undefined;
  return findItem(scope, name, names.at(-2));
}

/** Notes that the columns of a value were named. */
export function named(a: Analysis, value: Value): Value {
  for (const column of value.columns) nameColumn(a, column);
  return value;
}

function nameColumn(a: Analysis, column: ColumnFact): void {
  a.record(column.relation).named.add(column);
  if (a.snapshot.foreignCasts.length > 0) for (const code of implicitCastFunctions(a, column.type)) a.call(code);
}

/** The row of an item as one value. */
export function wholeRow(a: Analysis, of: Item): Value {
  if (of.relation !== undefined) a.record(of.relation).wholeRow = true;
  const values = of.columns.map((field) => field.value);
  return { ...combine(values, of.relation?.rowType ?? 0), row: of.columns, constant: false };
}

/** The columns a star stands for; `undefined`, and the statement incomplete, when that is not known. */
export function expandStar(a: Analysis, qualifier: readonly Ast[], scope: Scope): readonly Field[] | undefined {
  const fields = starFields(a, qualifier, scope);
  if (fields === undefined) {
    a.incomplete.add('unknown_relation');
    return undefined;
  }
  for (const field of fields) named(a, field.value);
  return fields;
}

function starFields(a: Analysis, qualifier: readonly Ast[], scope: Scope): readonly Field[] | undefined {
  if (qualifier.length === 0) {
    const shown = scope.items.filter((each) => each.columnsVisible && (!each.lateralOnly || scope.lateralActive));
    return shown.flatMap((each) => each.columns);
  }
  const names = strings(qualifier);
  const owner = names === undefined ? undefined : findOwner(a, names, scope);
  if (owner === undefined || owner === 'ambiguous') return undefined;
  return owner.columns;
}

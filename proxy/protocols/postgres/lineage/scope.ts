/**
 * Which names mean what at one place of a statement: PostgreSQL's parse namespace, rebuilt.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/parser/parse_relation.c
 */
import type { Relation } from './snapshot.ts';
import { systemColumn } from './snapshot.ts';
import { columnValue, type Field, type Value } from './value.ts';

/** One entry of a FROM list as names see it. */
export interface Item {
  /** Alias or relation name; empty when it cannot be named. */
  readonly name: string;
  /** The relation behind it; set for tables and views only. */
  readonly relation: Relation | undefined;
  /** Its name is an alias, so `schema.name` does not reach it. */
  readonly aliased: boolean;
  readonly columns: readonly Field[];
  /** Its columns can be named without qualification. */
  columnsVisible: boolean;
  /** It can be named. */
  readonly nameVisible: boolean;
  /** Only LATERAL items may see it: it stands to their left in the same FROM list. */
  lateralOnly: boolean;
  /** System columns, made when first asked for. */
  readonly system: Map<string, Value>;
}

/** A query in a WITH list. */
export interface CommonTable {
  readonly name: string;
  /** Its columns; while it is being analysed, those of its non-recursive part. */
  columns: readonly Field[] | undefined;
  /** Analyses it if that has not happened yet: WITH RECURSIVE allows references forward. */
  readonly analyse: () => void;
}

/** One query level. */
export interface Scope {
  readonly parent: Scope | undefined;
  readonly items: Item[];
  readonly commonTables: Map<string, CommonTable>;
  /** What is analysed right now may see items that are `lateralOnly`. */
  lateralActive: boolean;
}

/** A new query level inside another one. */
export function nest(parent: Scope | undefined): Scope {
  return { parent, items: [], commonTables: new Map(), lateralActive: false };
}

/** An entry of a FROM list. */
export function item(name: string, columns: readonly Field[], relation?: Relation, aliased = false): Item {
  return {
    name,
    relation,
    aliased,
    columns: columns.map(varying),
    columnsVisible: true,
    nameVisible: name !== '',
    lateralOnly: false,
    system: new Map(),
  };
}

/** A column differs from row to row: to compare with one that is made of constants is a join, not a lookup. */
function varying(field: Field): Field {
  return field.value.constant ? { ...field, value: { ...field.value, constant: false } } : field;
}

/** What a lookup found. */
export type Found<What> = What | 'ambiguous' | undefined;

/** The column of that name in one item. */
export function columnOf(of: Item, name: string): Found<Value> {
  let found: Value | undefined;
  for (const field of of.columns) {
    if (field.name !== name) continue;
    if (found !== undefined) return 'ambiguous';
    found = field.value;
  }
  return found ?? systemValue(of, name);
}

function systemValue(of: Item, name: string): Value | undefined {
  if (of.relation === undefined) return undefined;
  const known = of.system.get(name);
  if (known !== undefined) return known;
  const column = systemColumn(of.relation, name);
  if (column === undefined) return undefined;
  const value = columnValue(column);
  of.system.set(name, value);
  return value;
}

function visible(scope: Scope, candidate: Item): boolean {
  return !candidate.lateralOnly || scope.lateralActive;
}

/** The column an unqualified name means: the innermost level that has one decides. */
export function findColumn(scope: Scope, name: string, localOnly = false): Found<Value> {
  for (let level: Scope | undefined = scope; level !== undefined; level = localOnly ? undefined : level.parent) {
    let found: Value | undefined;
    for (const candidate of level.items) {
      if (!candidate.columnsVisible || !visible(level, candidate)) continue;
      const column = columnOf(candidate, name);
      if (column === undefined) continue;
      if (column === 'ambiguous' || found !== undefined) return 'ambiguous';
      found = column;
    }
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The item a name or `schema.name` means. */
export function findItem(scope: Scope, name: string, schema?: string): Found<Item> {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    let found: Item | undefined;
    for (const candidate of level.items) {
      if (!candidate.nameVisible || !visible(level, candidate)) continue;
      if (!matches(candidate, name, schema)) continue;
      if (found !== undefined) return 'ambiguous';
      found = candidate;
    }
    if (found !== undefined) return found;
  }
  return undefined;
}

function matches(candidate: Item, name: string, schema: string | undefined): boolean {
  if (schema === undefined) return candidate.name === name;
  return !candidate.aliased && candidate.relation?.schema === schema && candidate.relation.name === name;
}

/** The query of a WITH list that a name means. */
export function findCommonTable(scope: Scope, name: string): CommonTable | undefined {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    const found = level.commonTables.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

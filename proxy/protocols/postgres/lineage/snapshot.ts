/**
 * One database's catalog as the classifier sees it: immutable, resolved, and looked up by name.
 * Built by `catalog.ts` from rows of text.
 */
import type { RelationUse } from '../classification.ts';

/** An OID. Zero: not known. */
export type Oid = number;

/** A column of a relation; its object identity is what lineage sets are made of. */
export interface ColumnFact {
  readonly relation: Relation;
  readonly name: string;
  /** Negative for system columns. */
  readonly attnum: number;
  readonly type: Oid;
  /** Computed from other columns: COPY leaves it out. */
  readonly generated: boolean;
  /** The columns it is computed from: it says what they say. */
  readonly sources: readonly ColumnFact[];
}

/** A table, view, sequence, … or the row of a composite type. */
export interface Relation {
  readonly oid: Oid;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationUse['kind'] | 'composite';
  readonly columns: readonly ColumnFact[];
  readonly byName: ReadonlyMap<string, ColumnFact>;
  /** The OID of its row type. */
  readonly rowType: Oid;
  /** What `pg_get_viewdef` says, with every name outside pg_catalog qualified. */
  readonly viewText: string | undefined;
  readonly parents: readonly Relation[];
  readonly children: readonly Relation[];
  /** Relations whose rows are deleted or changed with rows of this one. */
  readonly cascades: readonly Relation[];
  /** It has rules other than a view's own: what a write does is written elsewhere. */
  readonly hasRules: boolean;
  /** Functions that run when rows are read (row security) or written (triggers, defaults, checks, generated columns). */
  readonly hidden: readonly HiddenFunction[];
}

/** A function that runs without being named. */
export interface HiddenFunction {
  readonly on: 'read' | 'write';
  readonly name: FunctionName;
}

/** A function by name; overloads share it. */
export interface FunctionName {
  readonly schema: string;
  readonly name: string;
  readonly volatility: 'immutable' | 'stable' | 'volatile' | 'unknown';
}

/** One function, aggregate, window function or procedure. */
export interface FunctionFact extends FunctionName {
  readonly oid: Oid;
  readonly kind: 'function' | 'aggregate' | 'window' | 'procedure';
  readonly returnsSet: boolean;
  /** How many arguments a CALL may pass: OUT ones count for procedures. */
  readonly callArguments: number;
  /** Input arguments. */
  readonly argumentTypes: readonly Oid[];
  readonly defaults: number;
  readonly variadic: boolean;
  readonly returns: Oid;
  /** OUT, INOUT and TABLE parameters, when there are any. */
  readonly outputs: readonly { readonly name: string; readonly type: Oid }[];
}

/** A type. */
export interface TypeFact {
  readonly oid: Oid;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'base' | 'composite' | 'domain' | 'enum' | 'pseudo' | 'range' | 'multirange';
  /** The relation of a composite type's fields. */
  readonly relationOid: Oid;
  /** Of a domain. */
  readonly baseType: Oid;
  /** Of an array. */
  readonly element: Oid;
  /** Its category is that of strings. */
  readonly isString: boolean;
  /** The array type over this one. */
  readonly array: Oid;
  /** Functions outside pg_catalog that run when a value of this type is read from text or checked. */
  readonly functions: readonly FunctionName[];
}

/** An operator. */
export interface OperatorFact {
  readonly schema: string;
  readonly name: string;
  readonly left: Oid;
  readonly right: Oid;
  readonly result: Oid;
  readonly code: FunctionName;
}

/** A cast between two types. */
export interface CastFact {
  readonly source: Oid;
  readonly target: Oid;
  /** `explicit`: only where it is written. `assignment`: where a value is stored, too. `implicit`: anywhere. */
  readonly context: 'explicit' | 'assignment' | 'implicit';
  /** `undefined` when it needs no function of its own. */
  readonly code: FunctionName | undefined;
}

/** The catalog at one moment. */
export interface Snapshot {
  /** Schema → name → relation. */
  readonly relations: ReadonlyMap<string, ReadonlyMap<string, Relation>>;
  readonly relationByOid: ReadonlyMap<Oid, Relation>;
  /** Name → every function of that name. */
  readonly functions: ReadonlyMap<string, readonly FunctionFact[]>;
  readonly types: ReadonlyMap<Oid, TypeFact>;
  readonly typesByName: ReadonlyMap<string, ReadonlyMap<string, TypeFact>>;
  readonly operators: ReadonlyMap<string, readonly OperatorFact[]>;
  /** By source. */
  readonly casts: ReadonlyMap<Oid, readonly CastFact[]>;
  /** Those that run a function outside the system schemas. */
  readonly foreignCasts: readonly (CastFact & { readonly code: FunctionName })[];
  /** Schemas that the login may use. */
  readonly schemas: ReadonlySet<string>;
}

/** System columns of a table, by name, with their attribute numbers. @see https://www.postgresql.org/docs/current/ddl-system-columns.html */
const systemAttributes: ReadonlyMap<string, readonly [number, Oid]> = new Map([
  ['ctid', [-1, 27]],
  ['xmin', [-2, 28]],
  ['cmin', [-3, 29]],
  ['xmax', [-4, 28]],
  ['cmax', [-5, 29]],
  ['tableoid', [-6, 26]],
]);

const systemColumns = new WeakMap<Relation, Map<string, ColumnFact>>();

/** A system column of a table, or `undefined` when there is no such thing (views have none). */
export function systemColumn(relation: Relation, name: string): ColumnFact | undefined {
  const attribute = systemAttributes.get(name);
  if (attribute === undefined || relation.kind === 'view' || relation.kind === 'composite') return undefined;
  let known = systemColumns.get(relation);
  if (known === undefined) {
    known = new Map();
    systemColumns.set(relation, known);
  }
  let column = known.get(name);
  if (column === undefined) {
    column = { relation, name, attnum: attribute[0], type: attribute[1], generated: false, sources: [] };
    known.set(name, column);
  }
  return column;
}

/** Every ancestor, nearest first. */
export function ancestors(relation: Relation): Relation[] {
  return closure(relation, (each) => each.parents);
}

/** Every descendant (inheritance children and partitions), nearest first. */
export function descendants(relation: Relation): Relation[] {
  return closure(relation, (each) => each.children);
}

function closure(relation: Relation, next: (relation: Relation) => readonly Relation[]): Relation[] {
  const found = new Set<Relation>();
  const open = [...next(relation)];
  for (let each = open.shift(); each !== undefined; each = open.shift()) {
    if (found.has(each)) continue;
    found.add(each);
    open.push(...next(each));
  }
  return [...found];
}

/** True for the schemas that come with the server. */
export function isSystem(schema: string): boolean {
  return schema === 'pg_catalog' || schema === 'information_schema';
}

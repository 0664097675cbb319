/**
 * Type names → types, and what runs when a value changes its type.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, kindOf, list, strings } from './ast.ts';
import { type FunctionName, isSystem, type Oid, type Relation, type Snapshot, type TypeFact } from './snapshot.ts';

/** OIDs that never change. @see https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
export const oids = {
  bool: 16,
  int8: 20,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  xml: 142,
  unknown: 705,
  bit: 1560,
  numeric: 1700,
  record: 2249,
  recordArray: 2287,
  anyarray: 2277,
  anyelement: 2283,
  anynonarray: 2776,
  anyenum: 3500,
  anyrange: 3831,
  anycompatiblerange: 5080,
  anymultirange: 4537,
  anycompatiblemultirange: 4538,
  jsonb: 3802,
  anycompatible: 5077,
  anycompatiblearray: 5078,
  anycompatiblenonarray: 5079,
} as const;

/** A literal whose type nothing has decided by the end of a query is text. */
export function settledType(type: Oid): Oid {
  return type === oids.unknown ? oids.text : type;
}

/** Resolves a `TypeName`; zero, and the statement incomplete, when it is not known. */
export function resolveType(a: Analysis, typeName: Ast | undefined): Oid {
  if (typeName === undefined) return 0;
  a.seen.add(typeName);
  for (const modifier of list(typeName, 'typmods')) {
    a.seen.add(bodyOf(modifier));
    // A length or precision meets no column.
    if (kindOf(modifier) === 'A_Const') a.literal(bodyOf(modifier));
    else if (kindOf(modifier) !== 'ColumnRef') a.incomplete.add('unknown_node');
  }
  const names = strings(list(typeName, 'names')) ?? [];
  const type = lookUpType(a, names);
  if (type === undefined) {
    a.incomplete.add('unknown_type');
    return 0;
  }
  noteType(a, type);
  return list(typeName, 'arrayBounds').some((bound) => kindOf(bound) !== '') ? type.array : type.oid;
}

/** A type by its name, qualified or on the search path. */
export function lookUpType(a: Analysis, names: readonly string[]): TypeFact | undefined {
  const name = names.at(-1);
  if (name === undefined) return undefined;
  if (names.length === 1) {
    for (const schema of a.around.path) {
      const found = a.snapshot.typesByName.get(schema)?.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const [schema] = names.slice(-2);
  if (names.length > 3 || (names.length === 3 && names[0] !== a.around.database)) return undefined;
  return schema === undefined ? undefined : a.snapshot.typesByName.get(schema)?.get(name);
}

/** Records what runs when text becomes a value of this type, or it is checked. */
export function noteType(a: Analysis, type: TypeFact): void {
  for (const name of functionsOfType(a.snapshot, type)) a.call(name);
}

/**
 * Functions outside the system schemas that run when text becomes a value of this type, when it is checked, or when it
 * silently becomes another: its own, and those of what is inside it (a domain's base, an array's elements, a row's fields).
 */
export function functionsOfType(snapshot: Snapshot, type: TypeFact): ReadonlySet<FunctionName> {
  const found = new Set<FunctionName>();
  const seen = new Set<TypeFact>([type]);
  // A set is walked on while it grows.
  for (const each of seen) {
    for (const name of [...each.functions, ...implicitCastFunctions({ snapshot }, each.oid)]) found.add(name);
    const fields = snapshot.relationByOid.get(each.relationOid)?.columns ?? [];
    for (const oid of [each.baseType, each.element, ...fields.map((field) => field.type)]) {
      const inner = snapshot.types.get(oid);
      if (inner !== undefined) seen.add(inner);
    }
  }
  return found;
}

/** The type under a domain. */
export function baseType(a: Analysis, oid: Oid): Oid {
  let each = oid;
  for (let depth = 0; depth < 32; depth++) {
    const type = a.snapshot.types.get(each);
    if (type?.kind !== 'domain') return each;
    each = type.baseType;
  }
  return 0;
}

/** The relation that lists a composite type's fields. */
export function compositeOf(a: Analysis, oid: Oid): Relation | undefined {
  const type = a.snapshot.types.get(baseType(a, oid));
  return type?.kind === 'composite' ? a.snapshot.relationByOid.get(type.relationOid) : undefined;
}

/** The element type of an array type, zero for anything else. */
export function elementOf(a: Analysis, oid: Oid): Oid {
  const type = a.snapshot.types.get(baseType(a, oid));
  return type?.kind === 'base' ? type.element : 0;
}

/** The array type over a type, zero when not known. */
export function arrayOf(a: Analysis, oid: Oid): Oid {
  return a.snapshot.types.get(oid)?.array ?? 0;
}

/** Functions outside the system schemas that an explicit cast may run. A source of zero may be any type. */
export function castFunctions(a: Analysis, source: Oid, target: Oid): FunctionName[] {
  const to = baseType(a, target);
  const from = source === oids.unknown ? oids.unknown : baseType(a, source);
  const found: FunctionName[] = [];
  for (const cast of a.snapshot.foreignCasts) {
    if (cast.target !== to && cast.target !== target) continue;
    if (from !== 0 && cast.source !== from && cast.source !== source) continue;
    found.push(cast.code);
  }
  return found;
}

/**
 * Functions that values of a type may run through without a cast being written. A cast from one of the server's types to
 * somebody's is left out: only that type's own functions, operators and columns ask for it, and these are noted.
 */
export function implicitCastFunctions({ snapshot }: Pick<Analysis, 'snapshot'>, type: Oid): FunctionName[] {
  const isOwn = (oid: Oid): boolean => !isSystem(snapshot.types.get(oid)?.schema ?? '');
  const found: FunctionName[] = [];
  for (const cast of snapshot.foreignCasts) {
    // to_json() and its kin use an explicit cast to json where there is one.
    const silent = cast.context !== 'explicit' || cast.target === oids.json || cast.target === oids.jsonb;
    if (!silent) continue;
    const away = cast.source === type && (isOwn(type) || !isOwn(cast.target));
    if (away || (cast.target === type && isOwn(type))) found.push(cast.code);
  }
  return found;
}

/**
 * True when a value of one type may silently become the other, or when in doubt.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/parser/parse_coerce.c (can_coerce_type)
 */
export function mayBecome(a: Analysis, source: Oid, target: Oid): boolean {
  if (source === 0 || source === oids.unknown || source === target || target === 0) return true;
  const from = baseType(a, source);
  const to = baseType(a, target);
  if (from === to || from === 0) return true;
  const one = a.snapshot.types.get(from);
  const other = a.snapshot.types.get(to);
  if (one === undefined || other === undefined) return true;
  if (other.kind === 'pseudo') return fitsPseudoType(one, to);
  // A literal of a pseudo-type (record, cstring) and rows of any shape: the server looks closer than this.
  if (one.kind === 'pseudo' || (one.kind === 'composite' && other.kind === 'composite')) return true;
  if (one.element !== 0 && other.element !== 0) return mayBecome(a, one.element, other.element);
  const casts = [...(a.snapshot.casts.get(source) ?? []), ...(a.snapshot.casts.get(from) ?? [])];
  return casts.some((cast) => cast.context === 'implicit' && (cast.target === to || cast.target === target));
}

function fitsPseudoType(type: TypeFact, pseudo: Oid): boolean {
  switch (pseudo) {
    case oids.anyarray:
    case oids.anycompatiblearray:
      return type.element !== 0;
    case oids.anyenum:
      return type.kind === 'enum';
    case oids.anyrange:
    case oids.anycompatiblerange:
      return type.kind === 'range';
    case oids.anymultirange:
    case oids.anycompatiblemultirange:
      return type.kind === 'multirange';
    case oids.record:
      return type.kind === 'composite';
    default:
      return true;
  }
}

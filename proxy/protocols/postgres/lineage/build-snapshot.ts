/**
 * Catalog rows → `Snapshot`. Pure. A row that does not read as expected is a fault: half a catalog is none.
 */
import {
  type CastFact,
  type ColumnFact,
  type FunctionFact,
  type FunctionName,
  type HiddenFunction,
  isSystem,
  type OperatorFact,
  type Relation,
  type Snapshot,
  type TypeFact,
} from './snapshot.ts';

/** Rows of text, as `CatalogQuery` gives them. */
export type Rows = readonly (readonly (string | null)[])[];

/** The answers to the questions of `catalog-queries.ts`, both parts concatenated. */
export interface CatalogRows {
  readonly relations: Rows;
  readonly columns: Rows;
  readonly inheritance: Rows;
  readonly generated: Rows;
  readonly cascades: Rows;
  readonly functions: Rows;
  readonly types: Rows;
  readonly operators: Rows;
  readonly casts: Rows;
  readonly typeFunctions: Rows;
  readonly hiddenFunctions: Rows;
  readonly namespaces: Rows;
}

type Row = readonly (string | null)[];

function cell(row: Row, index: number): string {
  const value = row[index];
  if (value === undefined || value === null) throw new TypeError('a catalog row lacks a cell');
  return value;
}

function oid(row: Row, index: number): number {
  const value = Number(cell(row, index));
  if (!Number.isInteger(value)) throw new TypeError('a catalog row holds something other than a number');
  return value;
}

function truth(row: Row, index: number): boolean {
  const value = cell(row, index);
  return value === 't' || value === 'true';
}

/** An `oidvector` (`1 2 3`) or an array of numbers (`{1,2,3}`). */
function oids(value: string | null | undefined): number[] {
  if (value === null || value === undefined) return [];
  return (value.match(/-?\d+/g) ?? []).map(Number);
}

/** An array of text in PostgreSQL's notation. */
export function textArray(value: string): string[] {
  const texts: string[] = [];
  const pattern = /"((?:[^"\\]|\\.)*)"|([^,{}"]+)/gs;
  for (const match of value.matchAll(pattern)) {
    const quoted = match[1];
    texts.push(quoted === undefined ? (match[2] ?? '') : quoted.replace(/\\(.)/gs, '$1'));
  }
  return texts;
}

const volatilities: Record<string, FunctionName['volatility']> = { i: 'immutable', s: 'stable', v: 'volatile' };

function functionName(row: Row, index: number): FunctionName {
  return {
    schema: cell(row, index),
    name: cell(row, index + 1),
    volatility: volatilities[cell(row, index + 2)] ?? 'unknown',
  };
}

const relationKinds: Record<string, Relation['kind']> = {
  r: 'table',
  p: 'partitioned_table',
  v: 'view',
  m: 'materialized_view',
  f: 'foreign_table',
  S: 'sequence',
  c: 'composite',
};

interface Draft extends Relation {
  readonly columns: DraftColumn[];
  readonly byName: Map<string, ColumnFact>;
  readonly parents: Relation[];
  readonly children: Relation[];
  readonly cascades: Relation[];
  readonly hidden: HiddenFunction[];
}

interface DraftColumn extends ColumnFact {
  readonly sources: ColumnFact[];
}

function readRelations(rows: CatalogRows): Map<number, Draft> {
  const byOid = new Map<number, Draft>();
  for (const row of rows.relations) {
    byOid.set(oid(row, 0), {
      oid: oid(row, 0),
      schema: cell(row, 1),
      name: cell(row, 2),
      kind: relationKinds[cell(row, 3)] ?? 'unknown',
      rowType: oid(row, 4),
      hasRules: truth(row, 5),
      viewText: row[6] ?? undefined,
      columns: [],
      byName: new Map(),
      parents: [],
      children: [],
      cascades: [],
      hidden: [],
    });
  }
  for (const row of rows.columns) {
    const relation = byOid.get(oid(row, 0));
    if (relation === undefined) continue;
    const column: DraftColumn = {
      relation,
      attnum: oid(row, 1),
      name: cell(row, 2),
      type: oid(row, 3),
      generated: cell(row, 4) !== '',
      sources: [],
    };
    relation.columns.push(column);
    relation.byName.set(column.name, column);
  }
  for (const row of rows.generated) {
    const columns = byOid.get(oid(row, 0))?.columns ?? [];
    const source = columns.find((each) => each.attnum === oid(row, 2));
    if (source !== undefined) columns.find((each) => each.attnum === oid(row, 1))?.sources.push(source);
  }
  for (const row of rows.cascades) {
    const referencing = byOid.get(oid(row, 1));
    if (referencing !== undefined) byOid.get(oid(row, 0))?.cascades.push(referencing);
  }
  for (const row of rows.inheritance) {
    const inheritor = byOid.get(oid(row, 0));
    const parent = byOid.get(oid(row, 1));
    if (inheritor === undefined || parent === undefined) continue;
    inheritor.parents.push(parent);
    parent.children.push(inheritor);
  }
  for (const row of rows.hiddenFunctions) {
    const on = cell(row, 1) === 'r' ? 'read' : 'write';
    byOid.get(oid(row, 0))?.hidden.push({ on, name: functionName(row, 2) });
  }
  return byOid;
}

const functionKinds: Record<string, FunctionFact['kind']> = {
  f: 'function',
  a: 'aggregate',
  w: 'window',
  p: 'procedure',
};

/** Facts of rows that stay the same objects from snapshot to snapshot: those of what came with the server. */
const functionOfRow = new WeakMap<Row, FunctionFact>();

function knownFunction(row: Row): FunctionFact {
  let known = functionOfRow.get(row);
  if (known === undefined) {
    known = readFunction(row);
    functionOfRow.set(row, known);
  }
  return known;
}

function readFunction(row: Row): FunctionFact {
  const modes = (row[11] ?? '').replace(/[{},]/g, '');
  const allTypes = oids(row[10]);
  const names = row[12] === null || row[12] === undefined ? [] : textArray(row[12]);
  const outputs: { name: string; type: number }[] = [];
  for (let index = 0; index < modes.length; index++) {
    const mode = modes[index];
    if (mode === 'o' || mode === 'b' || mode === 't') {
      outputs.push({ name: names[index] || `column${outputs.length + 1}`, type: allTypes[index] ?? 0 });
    }
  }
  return {
    oid: oid(row, 0),
    schema: cell(row, 1),
    name: cell(row, 2),
    kind: functionKinds[cell(row, 3)] ?? 'procedure',
    volatility: volatilities[cell(row, 4)] ?? 'unknown',
    returnsSet: truth(row, 5),
    defaults: oid(row, 6),
    variadic: oid(row, 7) !== 0,
    returns: oid(row, 8),
    callArguments: Math.max(allTypes.length, oids(row[9]).length),
    argumentTypes: oids(row[9]),
    outputs,
  };
}

const typeKinds: Record<string, TypeFact['kind']> = {
  b: 'base',
  c: 'composite',
  d: 'domain',
  e: 'enum',
  p: 'pseudo',
  r: 'range',
  m: 'multirange',
};

function readTypes(rows: CatalogRows): Map<number, TypeFact> {
  const functions = new Map<number, FunctionName[]>();
  for (const row of rows.typeFunctions) add(functions, oid(row, 0), functionName(row, 1));
  const byOid = new Map<number, TypeFact>();
  for (const row of rows.types) {
    byOid.set(oid(row, 0), {
      oid: oid(row, 0),
      schema: cell(row, 1),
      name: cell(row, 2),
      kind: typeKinds[cell(row, 3)] ?? 'pseudo',
      relationOid: oid(row, 4),
      baseType: oid(row, 5),
      element: oid(row, 6),
      array: oid(row, 7),
      isString: cell(row, 8) === 'S',
      functions: functions.get(oid(row, 0)) ?? [],
    });
  }
  return byOid;
}

function add<Key, Item>(map: Map<Key, Item[]>, key: Key, item: Item): void {
  const items = map.get(key);
  if (items === undefined) map.set(key, [item]);
  else items.push(item);
}

function bySchema<Item extends { schema: string; name: string }>(
  items: Iterable<Item>,
): Map<string, Map<string, Item>> {
  const schemas = new Map<string, Map<string, Item>>();
  for (const item of items) {
    let names = schemas.get(item.schema);
    if (names === undefined) {
      names = new Map();
      schemas.set(item.schema, names);
    }
    names.set(item.name, item);
  }
  return schemas;
}

const castContexts: Record<string, CastFact['context']> = { e: 'explicit', a: 'assignment', i: 'implicit' };

/** Builds the snapshot. @throws TypeError when a row is not what the queries ask for. */
export function buildSnapshot(rows: CatalogRows): Snapshot {
  const relationByOid = readRelations(rows);
  const functions = new Map<string, FunctionFact[]>();
  for (const row of rows.functions) {
    const each = knownFunction(row);
    add(functions, each.name, each);
  }
  const types = readTypes(rows);
  const operators = new Map<string, OperatorFact[]>();
  for (const row of rows.operators) {
    const each = {
      schema: cell(row, 0),
      name: cell(row, 1),
      left: oid(row, 2),
      right: oid(row, 3),
      result: oid(row, 4),
      code: functionName(row, 5),
    };
    add(operators, each.name, each);
  }
  const casts = new Map<number, CastFact[]>();
  const foreignCasts: (CastFact & { readonly code: FunctionName })[] = [];
  for (const row of rows.casts) {
    const each = {
      source: oid(row, 0),
      target: oid(row, 1),
      context: castContexts[cell(row, 2)] ?? 'implicit',
      code: cell(row, 4) === '' ? undefined : functionName(row, 3),
    };
    add(casts, each.source, each);
    if (each.code !== undefined && !isSystem(each.code.schema)) foreignCasts.push({ ...each, code: each.code });
  }
  return {
    relations: bySchema(relationByOid.values()),
    relationByOid,
    functions,
    types,
    typesByName: bySchema(types.values()),
    operators,
    casts,
    foreignCasts,
    schemas: new Set(rows.namespaces.filter((row) => truth(row, 1)).map((row) => cell(row, 0))),
  };
}

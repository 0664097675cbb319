/** Tells the constants of a statement whose value cannot change what is said about it. */

const none: ReadonlySet<string> = new Set();
/** Node → its fields in which a constant is only a value: compared, computed with or stored. */
const valueFields: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['A_Expr', new Set(['lexpr', 'rexpr'])],
  ['ResTarget', new Set(['val'])],
  ['SelectStmt', new Set(['valuesLists'])],
]);
/** Nodes that only hold others together. */
const transparent: ReadonlySet<string> = new Set(['List', 'A_ArrayExpr', 'items', 'elements']);
const expressionKinds: ReadonlySet<unknown> = new Set(['AEXPR_OP', 'AEXPR_IN', 'AEXPR_BETWEEN']);

/**
 * The byte offsets of the constants that are inert: operands of operators, members of IN lists, values of INSERT,
 * UPDATE and VALUES, bare output columns. Anywhere else (ORDER BY 1, LIMIT, arguments of functions, casts) a
 * constant may have a say in what the statement means, and is not listed.
 *
 * @param tree - statements as the parser gave them
 */
export function inertConstants(tree: unknown): ReadonlySet<number> {
  const found = new Set<number>();
  visit(tree, false, found);
  return found;
}

function visit(value: unknown, inert: boolean, found: Set<number>): void {
  if (Array.isArray(value)) for (const item of value) visit(item, inert, found);
  else if (typeof value === 'object' && value !== null)
    for (const [key, child] of Object.entries(value)) node(key, child, inert, found);
}

function node(name: string, value: unknown, inert: boolean, found: Set<number>): void {
  if (typeof value !== 'object' || value === null) return;
  if (name === 'A_Const') {
    const location: unknown = 'location' in value ? value.location : undefined;
    if (inert && typeof location === 'number') found.add(location);
    return;
  }
  if (transparent.has(name)) {
    visit(value, inert, found);
    return;
  }
  if (name === 'SelectStmt' && readsSettings(value)) return;
  const fields = valueFieldsOf(name, value);
  if (fields.size === 0) {
    visit(value, false, found);
    return;
  }
  for (const [field, child] of Object.entries(value)) visit(child, fields.has(field), found);
}

/** In a query over pg_settings a compared constant may be the name of the setting that is changed (`settings.ts`). */
function readsSettings(select: object): boolean {
  const from: unknown = 'fromClause' in select ? select.fromClause : undefined;
  return Array.isArray(from) && from.some((item: unknown) => Object(item).RangeVar?.relname === 'pg_settings');
}

function valueFieldsOf(name: string, value: object): ReadonlySet<string> {
  if (name === 'A_Expr' && !('kind' in value && expressionKinds.has(value.kind))) return none;
  return valueFields.get(name) ?? none;
}

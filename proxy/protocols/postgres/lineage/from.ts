/**
 * FROM lists: relations, subqueries, joins, functions, XMLTABLE, JSON_TABLE.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/parser/parse_clause.c (transformFromClauseItem)
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, flag, isAst, kindOf, list, strings, text } from './ast.ts';
import { joinCondition } from './conditions.ts';
import { expression, expressions } from './expressions.ts';
import { rangeFunction } from './from-functions.ts';
import { query } from './queries.ts';
import { readRelation } from './relations.ts';
import { findCommonTable, type Item, item, nest, type Scope } from './scope.ts';
import { resolveType } from './types.ts';
import { anything, combine, either, type Field, nothing, type Value } from './value.ts';

/** What one FROM item adds to the names: its entries, and the columns it has as a whole. */
interface Joined {
  readonly items: readonly Item[];
  readonly columns: readonly Field[];
}

/** Adds a FROM list to a scope. Items see those to their left only where LATERAL applies. */
export function fromClause(a: Analysis, nodes: readonly Ast[], scope: Scope): void {
  const added: Item[] = [];
  for (const node of nodes) {
    for (const each of fromItem(a, node, scope).items) {
      each.lateralOnly = true;
      scope.items.push(each);
      added.push(each);
    }
  }
  for (const each of added) each.lateralOnly = false;
}

function fromItem(a: Analysis, node: Ast, scope: Scope): Joined {
  const body = bodyOf(node);
  a.step(body);
  switch (kindOf(node)) {
    case 'RangeVar':
      return single(rangeVariable(a, body, scope));
    case 'RangeSubselect':
      return single(rangeSubselect(a, body, scope));
    case 'JoinExpr':
      return join(a, body, scope);
    case 'RangeFunction':
      return single(laterally(scope, true, () => rangeFunction(a, body, scope)));
    case 'RangeTableFunc':
      return single(laterally(scope, true, () => xmlTable(a, body, scope)));
    case 'JsonTable':
      return single(laterally(scope, true, () => jsonTable(a, body, scope)));
    case 'RangeTableSample':
      return sample(a, body, scope);
    default:
      a.incomplete.add('unknown_node');
      return { items: [], columns: [] };
  }
}

function single(one: Item): Joined {
  return { items: [one], columns: one.columns };
}

function laterally<Result>(scope: Scope, active: boolean, task: () => Result): Result {
  const before = scope.lateralActive;
  scope.lateralActive = active;
  try {
    return task();
  } finally {
    scope.lateralActive = before;
  }
}

/** An alias: its name, and names for the first columns. */
export function aliasOf(a: Analysis, body: Ast): { name: string; columns: readonly string[] } | undefined {
  const alias = child(body, 'alias');
  if (alias === undefined) return undefined;
  const columns = strings(list(alias, 'colnames'));
  if (columns === undefined) a.incomplete.add('unknown_node');
  return { name: text(alias, 'aliasname'), columns: columns ?? [] };
}

/** Renames the first columns. */
export function rename(columns: readonly Field[], names: readonly string[]): readonly Field[] {
  if (names.length === 0) return columns;
  return columns.map((field, index) => ({ name: names[index] ?? field.name, value: field.value }));
}

/** A table, view or WITH query by name. */
function rangeVariable(a: Analysis, body: Ast, scope: Scope): Item {
  const alias = aliasOf(a, body);
  const name = text(body, 'relname');
  const common =
    text(body, 'schemaname') === '' && text(body, 'catalogname') === '' ? findCommonTable(scope, name) : undefined;
  if (common !== undefined) {
    common.analyse();
    if (common.columns === undefined) a.incomplete.add('unknown_relation');
    return item(alias?.name ?? name, rename(common.columns ?? [], alias?.columns ?? []));
  }
  const relation = readRelation(a, body);
  if (relation === undefined) return item(alias?.name ?? name, []);
  return relationItem(relation, alias);
}

/** The entry of a relation. */
export function relationItem(
  relation: NonNullable<Item['relation']>,
  alias: { name: string; columns: readonly string[] } | undefined,
): Item {
  const columns = relation.columns.map((column) => ({
    name: column.name,
    value: { ...nothing, columns: new Set([column]), bare: true, type: column.type },
  }));
  return item(alias?.name ?? relation.name, rename(columns, alias?.columns ?? []), relation, alias !== undefined);
}

function rangeSubselect(a: Analysis, body: Ast, scope: Scope): Item {
  const alias = aliasOf(a, body);
  const select = child(body, 'subquery');
  const columns = laterally(scope, flag(body, 'lateral'), () =>
    select === undefined ? [] : query(a, select, nest(scope)),
  );
  return item(alias?.name ?? '', rename(columns, alias?.columns ?? []));
}

function sample(a: Analysis, body: Ast, scope: Scope): Joined {
  const relation = child(body, 'relation');
  const joined = relation === undefined ? { items: [], columns: [] } : fromItem(a, relation, scope);
  const values = [...expressions(a, list(body, 'args'), scope), expression(a, child(body, 'repeatable'), scope)];
  for (const value of values) a.use(value, 'predicate');
  const method = strings(list(body, 'method'))?.at(-1);
  if (method !== 'bernoulli' && method !== 'system') a.incomplete.add('unknown_function');
  return joined;
}

function join(a: Analysis, body: Ast, scope: Scope): Joined {
  const leftNode = child(body, 'larg');
  const rightNode = child(body, 'rarg');
  if (leftNode === undefined || rightNode === undefined) {
    a.incomplete.add('unknown_node');
    return { items: [], columns: [] };
  }
  const left = fromItem(a, leftNode, scope);
  // The right side may see the left one laterally.
  for (const each of left.items) each.lateralOnly = true;
  const before = scope.items.length;
  scope.items.push(...left.items);
  const right = fromItem(a, rightNode, scope);
  scope.items.length = before;
  for (const each of left.items) each.lateralOnly = false;
  return joinSides(a, body, scope, left, right);
}

function joinSides(a: Analysis, body: Ast, scope: Scope, left: Joined, right: Joined): Joined {
  const shared = flag(body, 'isNatural') ? natural(left, right) : (strings(list(body, 'usingClause')) ?? []);
  const merged = shared.map((name) => ({ name, value: mergeColumn(a, name, left, right) }));
  const rest = (side: Joined) => side.columns.filter((field) => !shared.includes(field.name));
  const columns = [...merged, ...rest(left), ...rest(right)];
  a.spend(columns.length);
  const children = [...left.items, ...right.items];
  const quals = child(body, 'quals');
  if (quals !== undefined) {
    // ON sees the two sides, and outer queries, nothing else of this level.
    joinCondition(a, quals, { ...nest(scope.parent), items: children, commonTables: scope.commonTables });
  }
  for (const each of children) each.columnsVisible = false;
  const alias = aliasOf(a, body);
  if (alias !== undefined) {
    const renamed = rename(columns, alias.columns);
    return { items: [item(alias.name, renamed)], columns: renamed };
  }
  const usingAlias = child(body, 'join_using_alias');
  const extra: Item[] = [];
  if (usingAlias !== undefined) {
    const only = item(text(usingAlias, 'aliasname'), merged);
    only.columnsVisible = false;
    extra.push(only);
  }
  return { items: [...children, item('', columns), ...extra], columns };
}

function natural(left: Joined, right: Joined): string[] {
  const names = new Set(right.columns.map((field) => field.name));
  return left.columns.map((field) => field.name).filter((name) => names.has(name));
}

/** `USING (name)`: an equality of the two columns, and one column in place of both. */
function mergeColumn(a: Analysis, name: string, left: Joined, right: Joined): Value {
  const one = left.columns.filter((field) => field.name === name);
  const other = right.columns.filter((field) => field.name === name);
  const [first] = one;
  const [second] = other;
  if (first === undefined || second === undefined || one.length > 1 || other.length > 1) {
    a.incomplete.add(one.length > 1 || other.length > 1 ? 'ambiguous_column' : 'unknown_column');
    return anything;
  }
  a.name(first.value.columns);
  a.name(second.value.columns);
  const kind = first.value.bare && second.value.bare ? 'join' : 'predicate';
  a.use(first.value, kind);
  a.use(second.value, kind);
  return either([first.value, second.value]);
}

/** XMLTABLE: every column depends on the document, the row path, and its own path and default. */
function xmlTable(a: Analysis, body: Ast, scope: Scope): Item {
  const shared = [expression(a, child(body, 'docexpr'), scope), expression(a, child(body, 'rowexpr'), scope)];
  for (const node of list(body, 'namespaces')) {
    const target = bodyOf(node);
    a.step(target);
    shared.push(expression(a, child(target, 'val'), scope));
  }
  for (const value of shared) a.use(value, 'predicate');
  const columns: Field[] = [];
  for (const node of list(body, 'columns')) {
    const column = bodyOf(node);
    a.step(column);
    const own = [expression(a, child(column, 'colexpr'), scope), expression(a, child(column, 'coldefexpr'), scope)];
    const type = resolveOptionalType(a, column);
    const value = combine([...shared, ...own], type);
    a.use(value, 'derived');
    columns.push({ name: text(column, 'colname'), value });
  }
  const alias = aliasOf(a, body);
  return item(alias?.name ?? 'xmltable', rename(columns, alias?.columns ?? []));
}

function resolveOptionalType(a: Analysis, column: Ast): number {
  return 'typeName' in column ? resolveType(a, child(column, 'typeName')) : 23;
}

/** JSON_TABLE: every column depends on everything inside; a path can only select from the document and what is passed. */
function jsonTable(a: Analysis, body: Ast, scope: Scope): Item {
  const values: Value[] = [];
  for (const field of ['context_item', 'pathspec', 'passing', 'on_error']) {
    jsonValues(a, body[field], scope, values);
  }
  const names: { name: string; type: number }[] = [];
  jsonColumns(a, list(body, 'columns'), scope, values, names);
  for (const value of values) a.use(value, 'predicate');
  const columns = names.map(({ name, type }) => ({ name, value: combine(values, type) }));
  const alias = aliasOf(a, body);
  return item(alias?.name ?? 'json_table', rename(columns, alias?.columns ?? []));
}

function jsonColumns(
  a: Analysis,
  nodes: readonly Ast[],
  scope: Scope,
  values: Value[],
  names: { name: string; type: number }[],
): void {
  const nested: Ast[] = [];
  for (const node of nodes) {
    const column = bodyOf(node);
    a.step(column);
    for (const field of ['pathspec', 'on_empty', 'on_error']) jsonValues(a, column[field], scope, values);
    if (text(column, 'coltype') === 'JTC_NESTED') nested.push(column);
    else names.push({ name: text(column, 'name'), type: resolveOptionalType(a, column) });
  }
  // Nested columns come after those of their level.
  for (const column of nested) jsonColumns(a, list(column, 'columns'), scope, values, names);
}

/** Every expression inside parts of JSON_TABLE that are not expressions themselves. */
function jsonValues(a: Analysis, part: unknown, scope: Scope, values: Value[]): void {
  if (Array.isArray(part)) {
    for (const each of part) jsonValues(a, each, scope, values);
  } else if (isAst(part)) {
    const kind = kindOf(part);
    const inner = part[kind];
    if (/^[A-Z]/.test(kind) && isAst(inner)) {
      values.push(expression(a, part, scope));
      return;
    }
    a.step(part);
    for (const field in part) jsonValues(a, part[field], scope, values);
  }
}

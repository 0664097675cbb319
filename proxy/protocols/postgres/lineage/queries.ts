/**
 * SELECT, VALUES, set operations and WITH → the columns they make.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/parser/analyze.c (transformSelectStmt)
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, constantText, emptyAst, flag, itemsOf, kindOf, list, text } from './ast.ts';
import { defineWindow, noteSortOperator, windowUses } from './calls.ts';
import { whereCondition } from './conditions.ts';
import { expression, expressions, starTargets } from './expressions.ts';
import { fromClause } from './from.ts';
import { modification } from './modify.ts';
import { outputName } from './names.ts';
import { findColumn, nest, type Scope } from './scope.ts';
import { noteSettingNames } from './settings.ts';
import { settledType } from './types.ts';
import { either, type Field, type Value } from './value.ts';
import { withClause } from './with.ts';

/**
 * Analyses a wrapped query in a scope of its own, made with `nest` by the caller.
 *
 * @returns its output columns; empty for a modification without RETURNING.
 */
export function query(a: Analysis, node: Ast, scope: Scope): readonly Field[] {
  const body = bodyOf(node);
  switch (kindOf(node)) {
    case 'SelectStmt':
      return settled(select(a, body, scope));
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return modification(a, kindOf(node), body, scope) ?? [];
    default:
      a.incomplete.add('unknown_node');
      return [];
  }
}

/** The types of a query's columns are decided when it ends: outside, a literal from it has a type. */
function settled(fields: readonly Field[]): readonly Field[] {
  if (fields.every(({ value }) => settledType(value.type) === value.type)) return fields;
  return fields.map(({ name, value }) => ({ name, value: { ...value, type: settledType(value.type) } }));
}

/** Analyses an unwrapped SELECT. */
export function select(a: Analysis, body: Ast, scope: Scope): readonly Field[] {
  a.step(body);
  const common = child(body, 'withClause');
  if (common !== undefined) withClause(a, common, scope);
  const operation = text(body, 'op');
  if (operation !== '' && operation !== 'SETOP_NONE') return setOperation(a, body, scope);
  const lists = list(body, 'valuesLists');
  return lists.length > 0 ? values(a, body, lists, scope) : simpleSelect(a, body, scope);
}

function simpleSelect(a: Analysis, body: Ast, scope: Scope): readonly Field[] {
  fromClause(a, list(body, 'fromClause'), scope);
  for (const node of list(body, 'windowClause')) {
    const window = bodyOf(node);
    a.step(window);
    defineWindow(scope, text(window, 'name'), windowUses(a, { ...window, name: '' }, scope));
  }
  noteSettingNames(a, body);
  const outputs = targetList(a, list(body, 'targetList'), scope);
  const where = child(body, 'whereClause');
  if (where !== undefined) whereCondition(a, where, scope);
  const having = child(body, 'havingClause');
  if (having !== undefined) a.use(expression(a, having, scope), 'predicate');
  orderBy(a, body, outputs, scope);
  for (const node of list(body, 'groupClause')) group(a, node, outputs, scope);
  distinct(a, list(body, 'distinctClause'), outputs, scope);
  limits(a, body, scope);
  locks(a, body, scope);
  return outputs;
}

/** The output columns of a target list. */
export function targetList(a: Analysis, nodes: readonly Ast[], scope: Scope): readonly Field[] {
  const outputs: Field[] = [];
  for (const node of nodes) {
    const target = bodyOf(node);
    a.step(target);
    const expressionNode = child(target, 'val');
    const starred = expressionNode === undefined ? undefined : starTargets(a, expressionNode, scope);
    if (starred !== undefined) {
      a.spend(starred.length);
      for (const { value } of starred) computed(a, value);
      outputs.push(...starred);
      continue;
    }
    const value = expression(a, expressionNode, scope);
    computed(a, value);
    const name = text(target, 'name') || outputName(expressionNode ?? emptyAst, a.subqueryNames);
    outputs.push({ name, value });
  }
  return outputs;
}

/**
 * What is computed from a column tells about it even where nobody reads the result: by an error, or by the rows
 * that a set-returning function makes.
 */
function computed(a: Analysis, value: Value): void {
  if (!value.bare) a.use(value, 'derived');
}

/** `ORDER BY` and `GROUP BY` may name an output column, or give its number. */
function keyValue(a: Analysis, node: Ast, outputs: readonly Field[], scope: Scope, columnsFirst: boolean): Value {
  const body = bodyOf(node);
  if (kindOf(node) === 'A_Const') {
    const position = Number(constantText(node));
    const output = outputs[position - 1];
    a.step(body);
    // A position is a constant in the text; it meets no column's value.
    a.literal(body);
    if (output !== undefined) return output.value;
    a.incomplete.add('unknown_column');
  }
  const name = plainName(node);
  if (name !== undefined && !(columnsFirst && findColumn(scope, name, true) !== undefined)) {
    const named = outputs.filter((output) => output.name === name);
    const [first] = named;
    if (first !== undefined) {
      a.step(body);
      // Several outputs of one name are an error unless they are the same expression: any of them, then.
      return named.length === 1 ? first.value : either(named.map((output) => output.value));
    }
  }
  return expression(a, node, scope);
}

function plainName(node: Ast): string | undefined {
  if (kindOf(node) !== 'ColumnRef') return undefined;
  const fields = list(bodyOf(node), 'fields');
  const [only] = fields;
  return fields.length === 1 && only !== undefined && kindOf(only) === 'String'
    ? text(bodyOf(only), 'sval')
    : undefined;
}

function orderBy(a: Analysis, body: Ast, outputs: readonly Field[], scope: Scope): void {
  for (const node of list(body, 'sortClause')) {
    const key = bodyOf(node);
    a.step(key);
    const expressionNode = child(key, 'node');
    if (expressionNode === undefined) continue;
    const value = keyValue(a, expressionNode, outputs, scope, false);
    noteSortOperator(a, key, value);
    a.use(value, 'order');
  }
}

function group(a: Analysis, node: Ast, outputs: readonly Field[], scope: Scope): void {
  switch (kindOf(node)) {
    case 'GroupingSet': {
      const body = bodyOf(node);
      a.step(body);
      for (const each of list(body, 'content')) group(a, each, outputs, scope);
      return;
    }
    case 'List':
      a.step(bodyOf(node));
      for (const each of itemsOf(node) ?? []) group(a, each, outputs, scope);
      return;
    case 'RowExpr':
      a.step(bodyOf(node));
      for (const each of list(bodyOf(node), 'args')) group(a, each, outputs, scope);
      return;
    default:
      a.use(keyValue(a, node, outputs, scope, true), 'group');
  }
}

function distinct(a: Analysis, nodes: readonly Ast[], outputs: readonly Field[], scope: Scope): void {
  if (nodes.length === 0) return;
  // A single null node: DISTINCT without ON.
  if (nodes.length === 1 && kindOf(nodes[0] ?? emptyAst) === '') {
    for (const output of outputs) a.use(output.value, 'group');
    return;
  }
  for (const node of nodes) a.use(keyValue(a, node, outputs, scope, false), 'group');
}

function limits(a: Analysis, body: Ast, scope: Scope): void {
  for (const value of expressions(
    a,
    [child(body, 'limitCount') ?? emptyAst, child(body, 'limitOffset') ?? emptyAst],
    scope,
  )) {
    a.use(value, 'predicate');
  }
}

/** FOR UPDATE and its kin lock rows as a write would. */
function locks(a: Analysis, body: Ast, scope: Scope): void {
  for (const node of list(body, 'lockingClause')) {
    const clause = bodyOf(node);
    a.step(clause);
    const names = list(clause, 'lockedRels').map((each) => {
      a.step(bodyOf(each));
      return text(bodyOf(each), 'relname');
    });
    for (const item of scope.items) {
      if (names.length > 0 && !names.includes(item.name)) continue;
      if (item.relation !== undefined) a.record(item.relation).locked = true;
      // A subquery's or a set operation's tables are locked, too: whatever was read so far.
      else for (const record of a.relations.values()) record.locked ||= record.read;
    }
  }
}

function values(a: Analysis, body: Ast, lists: readonly Ast[], scope: Scope): readonly Field[] {
  const rows = lists.map((node) => {
    a.step(bodyOf(node));
    return (itemsOf(node) ?? []).flatMap((each) => {
      const starred = starTargets(a, each, scope);
      const cells = starred?.map((field) => field.value) ?? [expression(a, each, scope)];
      for (const cell of cells) computed(a, cell);
      return cells;
    });
  });
  const [first] = rows;
  const outputs = (first ?? []).map((_, index) => ({
    name: `column${index + 1}`,
    value: either(rows.map((row) => row[index]).filter((value) => value !== undefined)),
  }));
  orderBy(a, body, outputs, scope);
  limits(a, body, scope);
  return outputs;
}

function setOperation(a: Analysis, body: Ast, scope: Scope): readonly Field[] {
  const left = select(a, child(body, 'larg') ?? emptyAst, nest(scope));
  const right = select(a, child(body, 'rarg') ?? emptyAst, nest(scope));
  const outputs = mergeOperands(a, body, left, right);
  orderBy(a, body, outputs, resultScope(scope));
  limits(a, body, scope);
  locks(a, body, scope);
  return outputs;
}

/** ORDER BY of a set operation sees its output columns and nothing else. */
function resultScope(scope: Scope): Scope {
  return { ...nest(undefined), commonTables: scope.commonTables };
}

/** Two operands of a set operation, column by column. Without ALL the rows are compared. */
export function mergeOperands(
  a: Analysis,
  body: Ast,
  left: readonly Field[],
  right: readonly Field[],
): readonly Field[] {
  if (left.length !== right.length) a.incomplete.add('unknown_columns');
  const outputs = left.map((field, index) => {
    const other = right[index]?.value;
    return { name: field.name, value: other === undefined ? field.value : either([field.value, other]) };
  });
  const compares = !flag(body, 'all') || text(body, 'op') !== 'SETOP_UNION';
  if (compares) for (const output of outputs) a.use(output.value, 'group');
  return outputs;
}

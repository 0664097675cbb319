/**
 * INSERT, UPDATE, DELETE and MERGE: what they store where, what they test, what they return.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, emptyAst, flag, kindOf, list, text } from './ast.ts';
import { joinCondition, whereCondition } from './conditions.ts';
import { expression, fieldsOf } from './expressions.ts';
import { aliasOf, fromClause, relationItem } from './from.ts';
import { select, targetList } from './queries.ts';
import { writeRelation } from './relations.ts';
import { type Item, item, nest, type Scope } from './scope.ts';
import type { ColumnFact, Relation } from './snapshot.ts';
import { implicitCastFunctions } from './types.ts';
import { anything, type Field, nothing, type Value } from './value.ts';
import { withClause } from './with.ts';

/** @returns the columns of RETURNING, or `undefined` without one. */
export function modification(a: Analysis, kind: string, body: Ast, scope: Scope): readonly Field[] | undefined {
  a.step(body);
  const common = child(body, 'withClause');
  if (common !== undefined) withClause(a, common, scope);
  const relation = writeRelation(a, child(body, 'relation') ?? emptyAst);
  const target = targetItem(a, body, relation);
  switch (kind) {
    case 'InsertStmt':
      return insert(a, body, scope, relation, target);
    case 'UpdateStmt':
      return update(a, body, scope, relation, target);
    case 'DeleteStmt':
      return remove(a, body, scope, target);
    default:
      return merge(a, body, scope, relation, target);
  }
}

function targetItem(a: Analysis, body: Ast, relation: Relation | undefined): Item {
  const alias = aliasOf(a, child(body, 'relation') ?? emptyAst);
  return relation === undefined ? item(alias?.name ?? '', []) : relationItem(relation, alias);
}

/** A target column by name; what is stored through a view is stored in what is under it. */
function targetColumn(a: Analysis, relation: Relation | undefined, name: string): ColumnFact | undefined {
  const column = relation?.byName.get(name);
  if (column === undefined) {
    if (relation !== undefined) a.incomplete.add('unknown_column');
    return undefined;
  }
  a.record(column.relation).named.add(column);
  for (const code of implicitCastFunctions(a, column.type)) a.call(code);
  return column;
}

/** A value ends up in a column. */
function store(a: Analysis, value: Value, column: ColumnFact | undefined): void {
  a.use(value, 'sink');
  const group = value.literals?.find();
  if (group === undefined) return;
  if (column === undefined) group.unknown = true;
  else group.columns.add(column);
}

/** Subscripts and fields of an assignment target: `SET a[1] = …`, `(a.b, …)`. */
function targetSteps(a: Analysis, target: Ast, scope: Scope): void {
  for (const step of list(target, 'indirection')) {
    if (kindOf(step) !== 'A_Indices') continue;
    const body = bodyOf(step);
    a.step(body);
    for (const bound of [child(body, 'lidx'), child(body, 'uidx')]) a.use(expression(a, bound, scope), 'predicate');
  }
}

function insert(
  a: Analysis,
  body: Ast,
  scope: Scope,
  relation: Relation | undefined,
  target: Item,
): readonly Field[] | undefined {
  a.effects.add('insert');
  const names = list(body, 'cols').map((node) => {
    const column = bodyOf(node);
    a.step(column);
    targetSteps(a, column, scope);
    return text(column, 'name');
  });
  const source = child(body, 'selectStmt');
  const values = source === undefined ? [] : select(a, bodyOf(source), nest(scope));
  const given = names.length > 0 ? names : (relation?.columns ?? []).slice(0, values.length).map((each) => each.name);
  if (names.length === 0 && relation !== undefined && values.length > relation.columns.length) {
    a.incomplete.add('unknown_columns');
  }
  const columns = given.map((name) => targetColumn(a, relation, name));
  for (const [index, value] of values.entries()) store(a, value.value, columns[index]);
  const conflict = child(body, 'onConflictClause');
  if (conflict !== undefined) {
    // EXCLUDED is the row that was to be inserted, not one that is stored.
    const excluded = (relation?.columns ?? []).map((column) => {
      const index = columns.indexOf(column);
      return { name: column.name, value: { ...(values[index]?.value ?? nothing), type: column.type } };
    });
    onConflict(a, conflict, scope, target, item('excluded', excluded, undefined, true));
  }
  return returning(a, body, scope, [target], target);
}

function onConflict(a: Analysis, body: Ast, scope: Scope, target: Item, excluded: Item): void {
  a.step(body);
  const { relation } = target;
  const inference = child(body, 'infer');
  const onTarget = { ...nest(scope), items: [target] };
  if (inference !== undefined) {
    a.step(inference);
    for (const node of list(inference, 'indexElems')) {
      const element = bodyOf(node);
      a.step(element);
      const name = text(element, 'name');
      if (name !== '') targetColumn(a, relation, name);
      // Whether a row conflicts tells whether its value is there.
      const inner = child(element, 'expr');
      const value = inner === undefined ? nameValue(target, name) : expression(a, inner, onTarget);
      a.use(value, 'predicate');
    }
    const where = child(inference, 'whereClause');
    if (where !== undefined) a.use(expression(a, where, onTarget), 'predicate');
  }
  if (text(body, 'action') !== 'ONCONFLICT_UPDATE') return;
  a.effects.add('update');
  const record = relation === undefined ? undefined : a.record(relation);
  if (record !== undefined) record.read = true;
  excluded.columnsVisible = false;
  const both = { ...nest(scope), items: [target, excluded] };
  assignments(a, list(body, 'targetList'), both, relation);
  const where = child(body, 'whereClause');
  if (where !== undefined) whereCondition(a, where, both);
}

function nameValue(of: Item, name: string): Value {
  return of.columns.find((field) => field.name === name)?.value ?? anything;
}

/** `SET a = x, (b, c) = (SELECT …)`. */
function assignments(a: Analysis, nodes: readonly Ast[], scope: Scope, relation: Relation | undefined): void {
  const sources = new Map<unknown, Value>();
  for (const node of nodes) {
    const target = bodyOf(node);
    a.step(target);
    targetSteps(a, target, scope);
    const column = targetColumn(a, relation, text(target, 'name'));
    const value = child(target, 'val');
    if (value !== undefined && kindOf(value) === 'MultiAssignRef') {
      store(a, multiple(a, bodyOf(value), scope, sources), column);
    } else store(a, expression(a, value, scope), column);
  }
}

/** One column of `(b, c) = …`. The parser repeats the source for every column, as text and so as objects. */
function multiple(a: Analysis, body: Ast, scope: Scope, sources: Map<unknown, Value>): Value {
  a.step(body);
  const source = child(body, 'source');
  if (source === undefined) return anything;
  const key = JSON.stringify(source);
  let value = sources.get(key);
  if (value === undefined) value = expression(a, source, scope);
  // The copies are the same nodes once more.
  else expression(a, source, scope);
  sources.set(key, value);
  const index = typeof body.colno === 'number' ? body.colno - 1 : 0;
  return fieldsOf(a, value)?.[index]?.value ?? value;
}

function update(
  a: Analysis,
  body: Ast,
  scope: Scope,
  relation: Relation | undefined,
  target: Item,
): readonly Field[] | undefined {
  a.effects.add('update');
  reads(a, relation);
  const inside = withTarget(a, body, scope, target, 'fromClause');
  assignments(a, list(body, 'targetList'), inside, relation);
  const where = child(body, 'whereClause');
  a.noteWrite(where !== undefined && whereCondition(a, where, inside));
  return returning(a, body, inside, inside.items, target);
}

function remove(a: Analysis, body: Ast, scope: Scope, target: Item): readonly Field[] | undefined {
  a.effects.add('delete');
  reads(a, target.relation);
  const inside = withTarget(a, body, scope, target, 'usingClause');
  const where = child(body, 'whereClause');
  a.noteWrite(where !== undefined && whereCondition(a, where, inside));
  return returning(a, body, inside, inside.items, target);
}

function reads(a: Analysis, relation: Relation | undefined): void {
  if (relation !== undefined) a.record(relation).read = true;
}

/** The target, then the FROM or USING list, whose subqueries cannot see the target. */
function withTarget(a: Analysis, body: Ast, scope: Scope, target: Item, field: string): Scope {
  scope.items.push(target);
  target.lateralOnly = true;
  fromClause(a, list(body, field), scope);
  target.lateralOnly = false;
  return scope;
}

function merge(
  a: Analysis,
  body: Ast,
  scope: Scope,
  relation: Relation | undefined,
  target: Item,
): readonly Field[] | undefined {
  a.effects.add('merge');
  reads(a, relation);
  const source = child(body, 'sourceRelation');
  fromClause(a, source === undefined ? [] : [source], scope);
  const sourceItems = [...scope.items];
  const both = { ...scope, items: [...sourceItems, target] };
  const condition = child(body, 'joinCondition');
  if (condition !== undefined) joinCondition(a, condition, both);
  for (const node of list(body, 'mergeWhenClauses')) {
    const visible = whenVisible(bodyOf(node));
    const items = visible === 'both' ? both.items : visible === 'source' ? sourceItems : [target];
    mergeAction(a, bodyOf(node), { ...scope, items }, relation);
  }
  return returning(a, body, both, both.items, target);
}

/** Which side a WHEN clause can see. Before PostgreSQL 17 there is only `matched`. */
function whenVisible(body: Ast): 'both' | 'source' | 'target' {
  switch (text(body, 'matchKind')) {
    case 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE':
      return 'target';
    case 'MERGE_WHEN_NOT_MATCHED_BY_TARGET':
      return 'source';
    case '':
      return flag(body, 'matched') ? 'both' : 'source';
    default:
      return 'both';
  }
}

function mergeAction(a: Analysis, body: Ast, scope: Scope, relation: Relation | undefined): void {
  a.step(body);
  const condition = child(body, 'condition');
  if (condition !== undefined) a.use(expression(a, condition, scope), 'predicate');
  switch (text(body, 'commandType')) {
    case 'CMD_INSERT': {
      a.effects.add('insert');
      const columns = list(body, 'targetList').map((node) => {
        a.step(bodyOf(node));
        targetSteps(a, bodyOf(node), scope);
        return targetColumn(a, relation, text(bodyOf(node), 'name'));
      });
      const values = list(body, 'values').map((node) => expression(a, node, scope));
      for (const [index, value] of values.entries()) {
        const implied = relation?.columns[index];
        const column = columns.length > 0 ? columns[index] : targetColumn(a, relation, implied?.name ?? '');
        store(a, value, column);
      }
      return;
    }
    case 'CMD_UPDATE':
      a.effects.add('update');
      assignments(a, list(body, 'targetList'), scope, relation);
      return;
    case 'CMD_DELETE':
      a.effects.add('delete');
      return;
    case 'CMD_NOTHING':
      return;
    default:
      a.incomplete.add('unknown_node');
  }
}

/** RETURNING, with OLD and NEW (PostgreSQL 18) as two more names for the target. */
function returning(
  a: Analysis,
  body: Ast,
  scope: Scope,
  items: readonly Item[],
  target: Item,
): readonly Field[] | undefined {
  const clause = child(body, 'returningClause');
  // Before PostgreSQL 18 RETURNING is a plain list.
  const targets = clause === undefined ? list(body, 'returningList') : list(clause, 'exprs');
  if (clause === undefined && targets.length === 0) return undefined;
  const versions: Item[] = [];
  if (clause !== undefined) {
    a.step(clause);
    versions.push(...oldAndNew(a, clause, items, target));
  }
  if (target.relation !== undefined) a.record(target.relation).read = true;
  return targetList(a, targets, { ...nest(scope), items: [...items, ...versions] });
}

function oldAndNew(a: Analysis, clause: Ast, items: readonly Item[], target: Item): Item[] {
  const names = new Map([
    ['RETURNING_OPTION_OLD', 'old'],
    ['RETURNING_OPTION_NEW', 'new'],
  ]);
  for (const node of list(clause, 'options')) {
    const option = bodyOf(node);
    a.step(option);
    names.set(text(option, 'option'), text(option, 'value'));
  }
  const taken = new Set(items.map((each) => each.name));
  return [...names.values()]
    .filter((name) => !taken.has(name))
    .map((name) => ({ ...target, name, aliased: true, columnsVisible: false, system: new Map() }));
}

/**
 * Expressions → lineage. Every kind of node the parser can put into an expression is listed; one that is not
 * makes the statement incomplete.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, flag, itemsOf, kindOf, list, number, stringOf, text } from './ast.ts';
import { functionCall, groupingFunction } from './calls.ts';
import { expandStar, resolveReference, wholeRow } from './columns.ts';
import { json, xml, xmlSerialize } from './documents.ts';
import { resolveOperator } from './operators.ts';
import { query } from './queries.ts';
import { columnOf, nest, type Scope } from './scope.ts';
import type { ColumnFact } from './snapshot.ts';
import { arrayOf, castFunctions, compositeOf, elementOf, oids, resolveType, settledType } from './types.ts';
import { anything, apart, combine, derived, type Field, literalValue, nothing, tainted, type Value } from './value.ts';

type Handler = (a: Analysis, body: Ast, scope: Scope) => Value;

/** The lineage of one expression. A null node is a null. */
export function expression(a: Analysis, node: Ast | undefined, scope: Scope): Value {
  if (node === undefined) return nothing;
  const kind = kindOf(node);
  if (kind === '') return nothing;
  const body = bodyOf(node);
  a.step(body);
  const handler = handlers.get(kind);
  if (handler === undefined) {
    a.incomplete.add('unknown_node');
    return anything;
  }
  return handler(a, body, scope);
}

/** Several expressions. */
export function expressions(a: Analysis, nodes: readonly Ast[], scope: Scope): Value[] {
  return nodes.map((node) => expression(a, node, scope));
}

const handlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['A_Const', constant],
  ['ParamRef', (a, body) => literalValue(0, a.parameter(number(body, 'number')))],
  ['ColumnRef', columnReference],
  ['A_Expr', operation],
  ['BoolExpr', (a, body, scope) => apart(expressions(a, list(body, 'args'), scope), oids.bool)],
  ['TypeCast', cast],
  ['CollateClause', collate],
  ['FuncCall', functionCall],
  ['A_Indirection', indirection],
  ['A_ArrayExpr', array],
  ['RowExpr', row],
  ['CaseExpr', caseExpression],
  ['CoalesceExpr', (a, body, scope) => choice(expressions(a, list(body, 'args'), scope))],
  ['MinMaxExpr', (a, body, scope) => choice(expressions(a, list(body, 'args'), scope))],
  ['NullTest', (a, body, scope) => combine([expression(a, child(body, 'arg'), scope)], oids.bool)],
  ['BooleanTest', (a, body, scope) => combine([expression(a, child(body, 'arg'), scope)], oids.bool)],
  ['SubLink', (a, body, scope) => subLink(a, body, scope)],
  ['SQLValueFunction', () => ({ ...nothing, constant: true })],
  ['GroupingFunc', groupingFunction],
  ['NamedArgExpr', (a, body, scope) => expression(a, child(body, 'arg'), scope)],
  ['SetToDefault', () => nothing],
  ['CurrentOfExpr', () => nothing],
  ['MergeSupportFunc', () => nothing],
  ['XmlExpr', xml],
  ['XmlSerialize', xmlSerialize],
  ['List', (a, body, scope) => combine(expressions(a, list(body, 'items'), scope))],
  ['JsonFuncExpr', json],
  ['JsonParseExpr', json],
  ['JsonScalarExpr', json],
  ['JsonSerializeExpr', json],
  ['JsonObjectConstructor', json],
  ['JsonArrayConstructor', json],
  ['JsonArrayQueryConstructor', json],
  ['JsonObjectAgg', json],
  ['JsonArrayAgg', json],
  ['JsonIsPredicate', json],
  ['JsonValueExpr', json],
  ['JsonKeyValue', json],
  ['JsonArgument', json],
]);

/** Whether a kind of node is an expression. */
export function isExpression(kind: string): boolean {
  return handlers.has(kind);
}

function constant(a: Analysis, body: Ast): Value {
  return literalValue(constantType(body), a.literal(body));
}

function constantType(body: Ast): number {
  if ('sval' in body || flag(body, 'isnull')) return oids.unknown;
  if ('ival' in body) return oids.int4;
  if ('boolval' in body) return oids.bool;
  if ('bsval' in body) return oids.bit;
  const float = child(body, 'fval');
  // Integers past 32 bits come as floats, too: int8 or numeric.
  return float !== undefined && /^-?\d+$/.test(text(float, 'fval')) ? 0 : oids.numeric;
}

function columnReference(a: Analysis, body: Ast, scope: Scope): Value {
  const reference = resolveReference(a, body, scope);
  return 'value' in reference ? reference.value : wholeRow(a, reference.row);
}

/** Operators, IN, LIKE, BETWEEN, NULLIF, IS DISTINCT FROM, ANY and ALL. */
function operation(a: Analysis, body: Ast, scope: Scope): Value {
  const left = child(body, 'lexpr');
  const right = child(body, 'rexpr');
  const lefts = left === undefined ? undefined : expression(a, left, scope);
  const rights = operands(a, right, scope);
  return applyOperator(a, body, lefts, rights);
}

/** The right side of an operator: one value, or those of a list (IN, BETWEEN). */
export function operands(a: Analysis, node: Ast | undefined, scope: Scope): Value[] {
  const items = itemsOf(node);
  if (items === undefined || node === undefined) return [expression(a, node, scope)];
  a.step(bodyOf(node));
  return expressions(a, items, scope);
}

const comparisons: Record<string, readonly string[]> = {
  AEXPR_BETWEEN: ['>=', '<='],
  AEXPR_NOT_BETWEEN: ['<', '>'],
  AEXPR_BETWEEN_SYM: ['>=', '<='],
  AEXPR_NOT_BETWEEN_SYM: ['<', '>'],
};

const knownOperations: ReadonlySet<string> = new Set([
  'AEXPR_OP',
  'AEXPR_OP_ANY',
  'AEXPR_OP_ALL',
  'AEXPR_DISTINCT',
  'AEXPR_NOT_DISTINCT',
  'AEXPR_NULLIF',
  'AEXPR_IN',
  'AEXPR_LIKE',
  'AEXPR_ILIKE',
  'AEXPR_SIMILAR',
  ...Object.keys(comparisons),
]);

/** What an `A_Expr` makes of its operands. */
export function applyOperator(a: Analysis, body: Ast, left: Value | undefined, rights: readonly Value[]): Value {
  const kind = text(body, 'kind');
  if (!knownOperations.has(kind)) a.incomplete.add('unknown_node');
  const names = comparisons[kind]?.map((sval) => [{ String: { sval } }]) ?? [list(body, 'name')];
  let unknown = false;
  let result = 0;
  const isRow = left?.row !== undefined || rights.some((each) => each.row !== undefined);
  const overArray = kind === 'AEXPR_OP_ANY' || kind === 'AEXPR_OP_ALL';
  for (const name of names) {
    for (const type of new Set(rights.map((each) => each.type))) {
      // Rows are compared field by field, by whatever operators their fields have.
      const leftType = isRow ? 0 : left?.type;
      const rightType = isRow ? 0 : overArray ? elementOf(a, type) : type;
      const resolved = resolveOperator(a, name, left === undefined ? undefined : (leftType ?? 0), rightType);
      unknown ||= resolved.unknown;
      result = resolved.result;
    }
  }
  const all = left === undefined ? rights : [left, ...rights];
  if (kind === 'AEXPR_NULLIF') result = left?.type ?? 0;
  else if (kind !== 'AEXPR_OP') result = oids.bool;
  return combine(all, result, unknown);
}

function cast(a: Analysis, body: Ast, scope: Scope): Value {
  const value = expression(a, child(body, 'arg'), scope);
  const type = resolveType(a, child(body, 'typeName'));
  return castTo(a, value, type);
}

/** A value after an explicit cast: no longer bare, and anything at all after a cast function of someone else's. */
export function castTo(a: Analysis, value: Value, type: number): Value {
  const functions = castFunctions(a, value.type, type);
  for (const each of functions) a.call(each);
  if (functions.length === 0) return derived(value, type);
  if (value.literals !== undefined) value.literals.find().unknown = true;
  return { ...derived(value, type), unknown: true, constant: false };
}

/** A collation decides what is equal to what: such a value no longer counts as a plain constant or column. */
function collate(a: Analysis, body: Ast, scope: Scope): Value {
  const value = expression(a, child(body, 'arg'), scope);
  return { ...derived(value, value.type), constant: false };
}

/** `x.field`, `x[1]`, `x[1:2]`. */
function indirection(a: Analysis, body: Ast, scope: Scope): Value {
  const steps = list(body, 'indirection');
  const argument = child(body, 'arg');
  const first = firstStep(a, argument, steps, scope);
  return first.rest.reduce((value, step) => oneStep(a, value, step, scope), first.value);
}

/** `(t).column` is the column itself, not the row. */
function firstStep(
  a: Analysis,
  argument: Ast | undefined,
  steps: readonly Ast[],
  scope: Scope,
): { value: Value; rest: readonly Ast[] } {
  const field = stringOf(steps[0]);
  if (argument !== undefined && field !== undefined && kindOf(argument) === 'ColumnRef') {
    const body = bodyOf(argument);
    a.step(body);
    const reference = resolveReference(a, body, scope);
    if ('value' in reference) return { value: reference.value, rest: steps };
    const column = columnOf(reference.row, field);
    if (column !== undefined && column !== 'ambiguous') {
      a.name(column.columns);
      return { value: column, rest: steps.slice(1) };
    }
    return { value: wholeRow(a, reference.row), rest: steps };
  }
  return { value: expression(a, argument, scope), rest: steps };
}

function oneStep(a: Analysis, value: Value, step: Ast, scope: Scope): Value {
  const field = stringOf(step);
  if (field !== undefined) return fieldOf(a, value, field);
  if (kindOf(step) !== 'A_Indices') {
    a.incomplete.add('unknown_node');
    return anything;
  }
  const body = bodyOf(step);
  a.step(body);
  const bounds = [expression(a, child(body, 'lidx'), scope), expression(a, child(body, 'uidx'), scope)];
  const type = flag(body, 'is_slice') ? value.type : elementOf(a, value.type);
  // What is subscripted may be jsonb: its subscripts select and so count.
  return combine([value, ...bounds], type);
}

/** One field of a composite value. */
export function fieldOf(a: Analysis, value: Value, name: string): Value {
  const known = value.row?.find((field) => field.name === name);
  if (known !== undefined) return known.value;
  const column = compositeOf(a, value.type)?.byName.get(name);
  if (column === undefined) {
    a.incomplete.add('unknown_field');
    return { ...anything, columns: value.columns };
  }
  return derived(value, column.type);
}

/** Every field of a composite value, or `undefined` when they are not known. */
export function fieldsOf(a: Analysis, value: Value): readonly Field[] | undefined {
  if (value.row !== undefined) return value.row;
  const relation = compositeOf(a, value.type);
  return relation?.columns.map((column) => ({ name: column.name, value: derived(value, column.type) }));
}

function array(a: Analysis, body: Ast, scope: Scope): Value {
  const elements = expressions(a, list(body, 'elements'), scope);
  const [first] = elements;
  const same = first !== undefined && elements.every((each) => each.type === first.type);
  return combine(elements, same ? arrayOf(a, settledType(first.type)) : 0);
}

function row(a: Analysis, body: Ast, scope: Scope): Value {
  const values: Value[] = [];
  for (const node of list(body, 'args')) {
    const fields = starTargets(a, node, scope);
    if (fields === undefined) values.push(expression(a, node, scope));
    else for (const field of fields) values.push(field.value);
  }
  const whole = combine(values, oids.record);
  return { ...whole, row: values.map((value, index) => ({ name: `f${index + 1}`, value })) };
}

function caseExpression(a: Analysis, body: Ast, scope: Scope): Value {
  const argument = child(body, 'arg');
  const tested: Value[] = argument === undefined ? [] : [expression(a, argument, scope)];
  const results: Value[] = [];
  for (const when of list(body, 'args')) {
    const branch = bodyOf(when);
    a.step(branch);
    const condition = expression(a, child(branch, 'expr'), scope);
    if (argument !== undefined) {
      const resolved = resolveOperator(a, [{ String: { sval: '=' } }], tested[0]?.type ?? 0, condition.type);
      if (resolved.unknown) tested.push(anything);
    }
    tested.push(condition);
    results.push(expression(a, child(branch, 'result'), scope));
  }
  results.push(expression(a, child(body, 'defresult'), scope));
  const condition = combine(tested);
  a.use(condition, 'predicate');
  const value = choice(results);
  return combine([value, condition], value.type);
}

/** One of several values. Which one can depend on all of them, so none counts as unchanged. */
function choice(values: readonly Value[]): Value {
  const type = values.find((value) => value.type !== 0 && value.type !== oids.unknown)?.type ?? 0;
  const same = values.every((value) => value.type === type || value.type === oids.unknown);
  return combine(values, same ? type : 0);
}

/** A subquery inside an expression: what it returns, and all that it tested on the way. */
function subLink(a: Analysis, body: Ast, scope: Scope): Value {
  const kind = text(body, 'subLinkType');
  const { outputs, tested } = subQuery(a, body, scope);
  const values = outputs.map((field) => field.value);
  const [first] = values;
  switch (kind) {
    case 'EXISTS_SUBLINK':
      // Whether there is a row does not depend on a column's value, but may on a computed one (set-returning functions).
      return tainted(
        combine(
          values.filter((value) => !value.bare),
          oids.bool,
        ),
        tested,
      );
    case 'EXPR_SUBLINK':
    case 'MULTIEXPR_SUBLINK':
      return inside(values.length === 1 && first !== undefined ? first : { ...combine(values), row: outputs }, tested);
    case 'ARRAY_SUBLINK':
      return inside(derived(combine(values), arrayOf(a, first?.type ?? 0)), tested);
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      const compared = compareWithSubQuery(a, body, scope, outputs);
      a.use(compared, 'predicate');
      return tainted(compared, tested);
    }
    default:
      a.incomplete.add('unknown_node');
      return anything;
  }
}

/** A scalar subquery without conditions hands its column on unchanged; with them its value tells about them. */
export function inside(value: Value, tested: ReadonlySet<ColumnFact>): Value {
  const row = value.row?.map((field) => ({ name: field.name, value: inside(field.value, tested) }));
  return { ...tainted(value, tested), row, constant: false };
}

/** The query inside a `SubLink`. */
export function subQuery(a: Analysis, body: Ast, scope: Scope) {
  const select = child(body, 'subselect');
  const { result, tested } = a.collecting(() => (select === undefined ? [] : query(a, select, nest(scope))));
  const [first] = result;
  if (first !== undefined) a.subqueryNames.set(body, first.name);
  return { outputs: result, tested };
}

/** `x IN (SELECT …)`, `x > ALL (SELECT …)`. */
export function compareWithSubQuery(a: Analysis, body: Ast, scope: Scope, outputs: readonly Field[]): Value {
  const test = expression(a, child(body, 'testexpr'), scope);
  const names = list(body, 'operName');
  const operator = names.length === 0 ? [{ String: { sval: '=' } }] : names;
  const isRow = outputs.length !== 1;
  const resolved = resolveOperator(a, operator, isRow ? 0 : test.type, isRow ? 0 : (outputs[0]?.value.type ?? 0));
  return combine([test, ...outputs.map((field) => field.value)], oids.bool, resolved.unknown);
}

const lostStar: readonly Field[] = [{ name: '*', value: anything }];

/** The fields a starred node stands for (`*`, `t.*`, `(row).*`), or `undefined` when it is no star. */
export function starTargets(a: Analysis, node: Ast, scope: Scope): readonly Field[] | undefined {
  const kind = kindOf(node);
  if (kind !== 'ColumnRef' && kind !== 'A_Indirection') return undefined;
  const body = bodyOf(node);
  const field = kind === 'ColumnRef' ? 'fields' : 'indirection';
  const parts = list(body, field);
  const last = parts.at(-1);
  if (last === undefined || kindOf(last) !== 'A_Star') return undefined;
  a.step(body);
  return kind === 'ColumnRef'
    ? (expandStar(a, parts.slice(0, -1), scope) ?? lostStar)
    : starOfRow(a, body, parts, scope);
}

function starOfRow(a: Analysis, body: Ast, parts: readonly Ast[], scope: Scope): readonly Field[] {
  const steps = parts.slice(0, -1);
  const argument = child(body, 'arg');
  // `(t).*` names the columns one by one, as `t.*` does.
  if (steps.length === 0 && argument !== undefined && kindOf(argument) === 'ColumnRef') {
    const reference = resolveReference(a, bodyOf(argument), scope);
    a.step(bodyOf(argument));
    if ('row' in reference) {
      for (const field of reference.row.columns) a.name(field.value.columns);
      return reference.row.columns;
    }
    return knownFields(a, reference.value);
  }
  return knownFields(a, indirection(a, { ...body, indirection: steps }, scope));
}

function knownFields(a: Analysis, value: Value): readonly Field[] {
  const fields = fieldsOf(a, value);
  if (fields !== undefined) return fields;
  a.incomplete.add('unknown_field');
  return lostStar;
}

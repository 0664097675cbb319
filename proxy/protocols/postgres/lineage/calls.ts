/**
 * Function calls: overloads, aggregates, windows, casts and columns in function notation.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, flag, kindOf, list, strings, text } from './ast.ts';
import { resolveReference } from './columns.ts';
import { castTo, expression, expressions, fieldsOf } from './expressions.ts';
import { type Call, resolveCall } from './functions.ts';
import { resolveOperator } from './operators.ts';
import { columnOf, type Scope } from './scope.ts';
import { noteSetting } from './settings.ts';
import { isSystem } from './snapshot.ts';
import { lookUpType, noteType, oids } from './types.ts';
import { anything, combine, derived, type Field, nothing, type Value } from './value.ts';

/** A call that was resolved, with its arguments' values. */
export interface Resolved {
  readonly call: Call;
  readonly args: readonly Value[];
  /** What the call comes to as one value. */
  readonly value: Value;
}

/** The lineage of a `FuncCall`. */
export function functionCall(a: Analysis, body: Ast, scope: Scope): Value {
  return columnInFunctionNotation(a, body, scope) ?? resolveFunctionCall(a, body, scope).value;
}

/** Resolves a `FuncCall`; the caller has stepped on it. */
export function resolveFunctionCall(a: Analysis, body: Ast, scope: Scope): Resolved {
  const nodes = list(body, 'args');
  const args = expressions(a, nodes, scope);
  const keys = sortKeys(a, list(body, 'agg_order'), scope);
  const beside = [...keys, ...filter(a, body, scope)];
  const over = child(body, 'over');
  if (over !== undefined) beside.push(windowUses(a, over, scope));
  if (flag(body, 'agg_distinct')) for (const value of args) a.use(value, 'group');
  const names = list(body, 'funcname');
  const call = resolveCall(a, names, {
    types: (flag(body, 'agg_within_group') ? [...args, ...keys] : args).map((value) => value.type),
    variadic: flag(body, 'func_variadic'),
    named: nodes.some((node) => kindOf(node) === 'NamedArgExpr'),
  });
  if (call.candidates.length === 0) {
    const value = castInFunctionNotation(a, names, args) ?? unresolved(a);
    return { call, args, value };
  }
  noteSetting(a, call, nodes);
  // A set-returning function makes rows, whose number tells about its arguments.
  if (call.candidates.some((each) => each.returnsSet)) for (const value of args) a.use(value, 'predicate');
  if (call.sink) for (const value of args) a.use(value, 'sink');
  const value = combine([...args, ...beside], call.result, call.unknown);
  const repeatable = call.candidates.every((each) => each.volatility !== 'volatile' && each.kind === 'function');
  const result = { ...value, constant: value.constant && repeatable };
  return { call, args, value: { ...result, row: outputRow(call, result) } };
}

/** The fields of a function's OUT parameters, as `(f(x)).field` names them. */
function outputRow(call: Call, value: Value): readonly Field[] | undefined {
  const [fact] = call.candidates;
  if (fact === undefined || fact.outputs.length < 2) return undefined;
  const shape = (each: typeof fact) => each.outputs.map((output) => output.name).join('\0');
  if (!call.candidates.every((each) => shape(each) === shape(fact))) return undefined;
  return fact.outputs.map((output) => ({ name: output.name, value: derived(value, output.type) }));
}

function unresolved(a: Analysis): Value {
  a.incomplete.add('unknown_function');
  return anything;
}

/** The uses in an aggregate's ORDER BY and FILTER; their values influence the result. */
export function orderAndFilter(a: Analysis, body: Ast, scope: Scope): Value[] {
  return [...sortKeys(a, list(body, 'agg_order'), scope), ...filter(a, body, scope)];
}

function filter(a: Analysis, body: Ast, scope: Scope): Value[] {
  const node = child(body, 'agg_filter');
  if (node === undefined) return [];
  const value = expression(a, node, scope);
  a.use(value, 'predicate');
  return [value];
}

/** The keys of an ORDER BY that knows no output names. */
export function sortKeys(a: Analysis, nodes: readonly Ast[], scope: Scope): Value[] {
  return nodes.map((node) => {
    const body = bodyOf(node);
    a.step(body);
    const value = expression(a, child(body, 'node'), scope);
    noteSortOperator(a, body, value);
    a.use(value, 'order');
    return value;
  });
}

/** `ORDER BY x USING <`: an operator like any other. */
export function noteSortOperator(a: Analysis, body: Ast, value: Value): void {
  const operator = list(body, 'useOp');
  if (operator.length > 0) resolveOperator(a, operator, value.type, value.type);
}

/** The uses in a window definition, and what it makes of the result. */
export function windowUses(a: Analysis, body: Ast, scope: Scope): Value {
  a.seen.add(body);
  const groups = expressions(a, list(body, 'partitionClause'), scope);
  for (const value of groups) a.use(value, 'group');
  const orders = sortKeys(a, list(body, 'orderClause'), scope);
  const frame = [expression(a, child(body, 'startOffset'), scope), expression(a, child(body, 'endOffset'), scope)];
  const named = text(body, 'name') || text(body, 'refname');
  const inherited = named === '' ? nothing : windowNamed(a, scope, named);
  return combine([...groups, ...orders, ...frame, inherited]);
}

const windows = new WeakMap<Scope, Map<string, Value>>();

/** Remembers what a window of the WINDOW clause depends on. */
export function defineWindow(scope: Scope, name: string, value: Value): void {
  let named = windows.get(scope);
  if (named === undefined) {
    named = new Map();
    windows.set(scope, named);
  }
  named.set(name, value);
}

function windowNamed(a: Analysis, scope: Scope, name: string): Value {
  const value = windows.get(scope)?.get(name);
  if (value !== undefined) return value;
  a.incomplete.add('unknown_window');
  return anything;
}

/** `column(t)` is `t.column` when there is no such function. */
function columnInFunctionNotation(a: Analysis, body: Ast, scope: Scope): Value | undefined {
  const names = strings(list(body, 'funcname'));
  const args = list(body, 'args');
  const [name] = names ?? [];
  const [argument] = args;
  if (names?.length !== 1 || name === undefined || args.length !== 1 || argument === undefined) return undefined;
  if (a.snapshot.functions.get(name)?.some((each) => a.around.path.includes(each.schema))) return undefined;
  if (kindOf(argument) === 'ColumnRef') {
    const reference = resolveReference(a, bodyOf(argument), scope);
    if ('row' in reference) {
      const column = columnOf(reference.row, name);
      if (column === undefined || column === 'ambiguous') return undefined;
      a.step(bodyOf(argument));
      a.name(column.columns);
      return column;
    }
  }
  if (lookUpType(a, [name]) !== undefined) return undefined;
  const value = expression(a, argument, scope);
  return fieldsOf(a, value)?.find((field) => field.name === name)?.value;
}

/** `text(x)` is `x::text`. */
function castInFunctionNotation(a: Analysis, names: readonly Ast[], args: readonly Value[]): Value | undefined {
  const [argument] = args;
  const type = lookUpType(a, strings(names) ?? []);
  if (type === undefined || argument === undefined || args.length !== 1) return undefined;
  noteType(a, type);
  return isSystem(type.schema) ? derived(argument, type.oid) : castTo(a, argument, type.oid);
}

/** GROUPING(…). */
export function groupingFunction(a: Analysis, body: Ast, scope: Scope): Value {
  const values = expressions(a, list(body, 'args'), scope);
  // It says which columns a row is grouped by, nothing of what is in them.
  for (const value of values) a.use(value, 'group');
  return { ...nothing, type: oids.int4 };
}

/**
 * Functions in FROM: what columns they make.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, flag, itemsOf, kindOf, list, strings } from './ast.ts';
import { type Resolved, resolveFunctionCall } from './calls.ts';
import { expression, expressions } from './expressions.ts';
import { aliasOf, rename } from './from.ts';
import { outputName } from './names.ts';
import { type Item, item, type Scope } from './scope.ts';
import { compositeOf, elementOf, oids, resolveType } from './types.ts';
import { anything, derived, type Field, nothing, type Value } from './value.ts';

/** `f(x)`, `ROWS FROM (f(x), g(y))`, WITH ORDINALITY, column definition lists. */
export function rangeFunction(a: Analysis, body: Ast, scope: Scope): Item {
  const alias = aliasOf(a, body);
  const entries = list(body, 'functions');
  const alone = entries.length === 1;
  const columns: Field[] = [];
  for (const entry of entries) {
    const [call, ownDefinitions] = itemsOf(entry) ?? [];
    a.seen.add(bodyOf(entry));
    const definitions = [...list(body, 'coldeflist'), ...(itemsOf(ownDefinitions) ?? [])];
    if (ownDefinitions !== undefined) a.seen.add(bodyOf(ownDefinitions));
    if (call === undefined) continue;
    const scalarName = alone ? alias?.name : undefined;
    columns.push(...functionColumns(a, call, definitions, scalarName, scope));
  }
  if (flag(body, 'ordinality')) columns.push({ name: 'ordinality', value: { ...nothing, type: oids.int8 } });
  const first = itemsOf(entries[0])?.[0];
  const name = alias?.name ?? (first === undefined ? '' : outputName(first, a.subqueryNames));
  return item(name, rename(columns, alias?.columns ?? []));
}

function functionColumns(
  a: Analysis,
  node: Ast,
  definitions: readonly Ast[],
  scalarName: string | undefined,
  scope: Scope,
): readonly Field[] {
  const own = outputName(node, a.subqueryNames);
  const body = bodyOf(node);
  if (kindOf(node) !== 'FuncCall') {
    const value = expression(a, node, scope);
    a.use(value, 'predicate');
    return [{ name: scalarName ?? own, value }];
  }
  a.step(body);
  if (definitions.length === 0 && isManyUnnest(body)) {
    a.seen.add(body);
    return unnestEach(a, body, scope, own);
  }
  const resolved = resolveFunctionCall(a, body, scope);
  const { value } = resolved;
  // How many rows there are depends on its arguments.
  a.use(value, 'predicate');
  if (definitions.length > 0) return defined(a, definitions, value);
  return composite(a, resolved) ?? [{ name: scalarName ?? own, value }];
}

/** `unnest(a, b)` in FROM is one column for each array. */
function isManyUnnest(body: Ast): boolean {
  const names = strings(list(body, 'funcname'));
  const unnest = names?.at(-1) === 'unnest' && (names.length === 1 || names[0] === 'pg_catalog');
  return unnest && list(body, 'args').length > 1 && !flag(body, 'func_variadic');
}

function unnestEach(a: Analysis, body: Ast, scope: Scope, name: string): readonly Field[] {
  a.call({ schema: 'pg_catalog', name: 'unnest', volatility: 'immutable' });
  return expressions(a, list(body, 'args'), scope).flatMap((value) => {
    a.use(value, 'predicate');
    const element = elementOf(a, value.type);
    return (
      compositeOf(a, element)?.columns.map((column) => ({ name: column.name, value: derived(value, column.type) })) ?? [
        { name, value: derived(value, element) },
      ]
    );
  });
}

/** `AS t (a integer, b text)`. */
function defined(a: Analysis, definitions: readonly Ast[], value: Value): readonly Field[] {
  return definitions.map((node) => {
    const column = bodyOf(node);
    a.step(column);
    const name = typeof column.colname === 'string' ? column.colname : '';
    return { name, value: derived(value, resolveType(a, child(column, 'typeName'))) };
  });
}

/** The columns of a function that returns rows; `undefined` for one that returns a single value. */
function composite(a: Analysis, { call, value }: Resolved): readonly Field[] | undefined {
  const [fact] = call.candidates;
  if (fact === undefined) return undefined;
  const shapes = new Set(call.candidates.map((each) => each.outputs.map((output) => output.name).join('\0')));
  if (shapes.size > 1) {
    a.incomplete.add('unknown_columns');
    return [{ name: '*', value: anything }];
  }
  if (fact.outputs.length > 0 && (fact.outputs.length > 1 || fact.returns === oids.record)) {
    return fact.outputs.map((output) => ({ name: output.name, value: derived(value, output.type) }));
  }
  const [output] = fact.outputs;
  if (output !== undefined) return compositeColumns(a, value) ?? [{ name: output.name, value }];
  if (call.result === oids.record) {
    a.incomplete.add('unknown_columns');
    return [{ name: '*', value: anything }];
  }
  return compositeColumns(a, value);
}

function compositeColumns(a: Analysis, value: Value): readonly Field[] | undefined {
  return compositeOf(a, value.type)?.columns.map((column) => ({
    name: column.name,
    value: derived(value, column.type),
  }));
}

/**
 * Expressions that build or take apart XML and JSON → lineage.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, isAst, kindOf, list, text } from './ast.ts';
import { orderAndFilter, windowUses } from './calls.ts';
import { expression, expressions, inside, isExpression } from './expressions.ts';
import { query } from './queries.ts';
import { nest, type Scope } from './scope.ts';
import { oids, resolveType } from './types.ts';
import { combine, derived, type Value } from './value.ts';

/** XMLELEMENT and its kin. */
export function xml(a: Analysis, body: Ast, scope: Scope): Value {
  const named = list(body, 'named_args').map((node) => {
    const target = bodyOf(node);
    a.step(target);
    return expression(a, child(target, 'val'), scope);
  });
  const values = [...named, ...expressions(a, list(body, 'args'), scope)];
  return combine(values, text(body, 'op') === 'IS_DOCUMENT' ? oids.bool : oids.xml);
}

/** XMLSERIALIZE. */
export function xmlSerialize(a: Analysis, body: Ast, scope: Scope): Value {
  const value = expression(a, child(body, 'expr'), scope);
  return derived(value, resolveType(a, child(body, 'typeName')));
}

/** SQL/JSON: everything inside can influence the result; aggregates have their own ORDER BY, FILTER and OVER. */
export function json(a: Analysis, body: Ast, scope: Scope): Value {
  const found: { values: Value[]; type: number } = { values: [], type: 0 };
  for (const field in body) jsonPart(a, field, body[field], scope, found);
  return combine(found.values, found.type);
}

function jsonPart(
  a: Analysis,
  field: string,
  part: unknown,
  scope: Scope,
  found: { values: Value[]; type: number },
): void {
  if (Array.isArray(part)) {
    for (const each of part) jsonPart(a, field, each, scope, found);
    return;
  }
  if (!isAst(part)) return;
  if (field === 'constructor') {
    found.values.push(...orderAndFilter(a, part, scope));
    const over = child(part, 'over');
    if (over !== undefined) found.values.push(windowUses(a, over, scope));
    const output = child(part, 'output');
    if (output !== undefined) jsonPart(a, 'output', output, scope, found);
  } else if (field === 'typeName') {
    found.type = resolveType(a, part);
  } else if (field === 'query') {
    const { result, tested } = a.collecting(() => query(a, part, nest(scope)));
    found.values.push(inside(combine(result.map((each) => each.value)), tested));
  } else if (isExpression(kindOf(part))) {
    found.values.push(expression(a, part, scope));
  } else if (kindOf(part).startsWith('Json') && isAst(part[kindOf(part)])) {
    const body = bodyOf(part);
    a.step(body);
    for (const inner in body) jsonPart(a, inner, body[inner], scope, found);
  } else {
    // An unwrapped part: JsonValueExpr, JsonOutput, JsonBehavior, JsonFormat.
    a.step(part);
    for (const inner in part) jsonPart(a, inner, part[inner], scope, found);
  }
}

/**
 * WHERE and ON: which columns are looked up by equality, which are joined, and which are tested in other ways.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, itemsOf, kindOf, list, strings, text } from './ast.ts';
import { applyOperator, compareWithSubQuery, expression, operands, subQuery } from './expressions.ts';
import type { Scope } from './scope.ts';
import { isSystem } from './snapshot.ts';
import { baseType, oids } from './types.ts';
import type { Value } from './value.ts';

/**
 * Records the uses in a WHERE clause.
 *
 * @returns whether it restricts anything: a condition without columns, or a column equal to itself, does not.
 *   A condition that happens to hold for every row cannot be told from one that does not.
 */
export function whereCondition(a: Analysis, node: Ast, scope: Scope): boolean {
  return condition(a, node, scope, true);
}

/** Records the uses in an ON clause: equality with a constant is a condition like any other there. */
export function joinCondition(a: Analysis, node: Ast, scope: Scope): void {
  condition(a, node, scope, false);
}

function condition(a: Analysis, node: Ast, scope: Scope, lookups: boolean): boolean {
  const body = bodyOf(node);
  switch (kindOf(node)) {
    case 'BoolExpr':
      return connective(a, node, body, scope, lookups);
    case 'SubLink':
      return subQueryCondition(a, node, body, scope);
    case 'A_Expr':
      return comparison(a, body, scope, lookups);
    case 'CurrentOfExpr':
      a.step(body);
      return true;
    default: {
      const value = expression(a, node, scope);
      a.use(value, 'predicate');
      return value.columns.size > 0;
    }
  }
}

function connective(a: Analysis, node: Ast, body: Ast, scope: Scope, lookups: boolean): boolean {
  const args = list(body, 'args');
  switch (text(body, 'boolop')) {
    case 'AND_EXPR':
      a.step(body);
      return args.map((each) => condition(a, each, scope, lookups)).some(Boolean);
    case 'OR_EXPR':
      a.step(body);
      return args.map((each) => condition(a, each, scope, false)).every(Boolean);
    case 'NOT_EXPR':
      a.step(body);
      return args.map((each) => condition(a, each, scope, false)).some(Boolean);
    default: {
      const value = expression(a, node, scope);
      a.use(value, 'predicate');
      return false;
    }
  }
}

/** EXISTS and IN as conditions: the subquery's own uses say what it tests. */
function subQueryCondition(a: Analysis, node: Ast, body: Ast, scope: Scope): boolean {
  const kind = text(body, 'subLinkType');
  if (kind !== 'EXISTS_SUBLINK' && kind !== 'ANY_SUBLINK') {
    const value = expression(a, node, scope);
    a.use(value, 'predicate');
    return value.columns.size > 0;
  }
  a.step(body);
  const { outputs, tested } = subQuery(a, body, scope);
  if (kind === 'EXISTS_SUBLINK') {
    for (const field of outputs) if (!field.value.bare) a.use(field.value, 'predicate');
    return tested.size > 0;
  }
  const compared = compareWithSubQuery(a, body, scope, outputs);
  const names = strings(list(body, 'operName')) ?? ['?'];
  const isEquality = (names.length === 0 || names.at(-1) === '=') && !compared.unknown;
  const testsColumn = kindOf(child(body, 'testexpr') ?? {}) === 'ColumnRef';
  const plain = isEquality && testsColumn && outputs.length === 1 && outputs[0]?.value.bare === true;
  a.use(compared, plain ? 'join' : 'predicate');
  return true;
}

function comparison(a: Analysis, body: Ast, scope: Scope, lookups: boolean): boolean {
  a.step(body);
  const leftNode = child(body, 'lexpr');
  const left = leftNode === undefined ? undefined : expression(a, leftNode, scope);
  const rights = operands(a, child(body, 'rexpr'), scope);
  const compared = applyOperator(a, body, left, rights);
  const use = left === undefined ? 'predicate' : classify(a, body, left, rights, compared, lookups);
  a.use(compared, use);
  return compared.columns.size > 0 && !(rights.length === 1 && rights[0] === left && left?.bare === true);
}

function classify(
  a: Analysis,
  body: Ast,
  left: Value,
  rights: readonly Value[],
  compared: Value,
  lookups: boolean,
): 'equality' | 'join' | 'predicate' {
  const kind = text(body, 'kind');
  const names = strings(list(body, 'name')) ?? [];
  const isEqual = names.at(-1) === '=' && (names.length === 1 || names[0] === 'pg_catalog');
  if (!isEqual || compared.unknown) return 'predicate';
  if (kind === 'AEXPR_IN' || kind === 'AEXPR_OP_ANY') {
    return lookups && isColumn(a, left) && rights.every((each) => each.constant) ? 'equality' : 'predicate';
  }
  const [right] = rights;
  if (kind !== 'AEXPR_OP' || right === undefined || itemsOf(child(body, 'rexpr')) !== undefined) return 'predicate';
  if (isColumn(a, left) && right.constant) return lookups ? 'equality' : 'predicate';
  if (isColumn(a, right) && left.constant) return lookups ? 'equality' : 'predicate';
  return isColumn(a, left) && isColumn(a, right) && joins(left, right) ? 'join' : 'predicate';
}

/** One unchanged column whose type's equality is the server's own. */
function isColumn(a: Analysis, value: Value): boolean {
  if (!value.bare || value.columns.size !== 1 || value.unknown) return false;
  const type = a.snapshot.types.get(baseType(a, value.type));
  if (type === undefined) return false;
  return isSystem(type.schema) ? !lax.has(type.oid) : type.kind === 'enum';
}

/** Types whose `=` compares an area, a length or less: box, lseg, path, polygon, circle, line, point, tsquery. */
const lax: ReadonlySet<number> = new Set([600, 601, 602, 603, 604, 628, 718, 3615, oids.record]);

/** Two columns of different relations, or of one relation met twice. */
function joins(left: Value, right: Value): boolean {
  const [one] = left.columns;
  const [other] = right.columns;
  if (one === undefined || other === undefined || left === right) return false;
  return one.relation !== other.relation || one === other;
}

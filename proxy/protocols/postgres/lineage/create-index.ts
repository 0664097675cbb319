/**
 * CREATE INDEX reads every row of its table: it works out expressions, tests a condition, and fails where two rows are
 * alike. What comes of that shows in errors and in the size of the index.
 *
 * @see https://www.postgresql.org/docs/current/sql-createindex.html
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, flag, list, text } from './ast.ts';
import { named } from './columns.ts';
import { defineRelation } from './define-relation.ts';
import { expression } from './expressions.ts';
import { relationItem } from './from.ts';
import { lookUpRelation } from './relations.ts';
import { nest } from './scope.ts';
import type { Relation } from './snapshot.ts';
import type { Meaning } from './statements.ts';
import { columnValue } from './value.ts';

/** Facts of a CREATE INDEX: what it tests of the columns of its table. Those that it only sorts tell nothing. */
export function createIndex(a: Analysis, body: Ast): Meaning {
  const target = child(body, 'relation');
  if (target !== undefined) {
    defineRelation(a, target, 'unknown');
    const relation = lookUpRelation(a, target);
    if (relation !== undefined) tested(a, body, relation);
  }
  return { verb: 'create_index', effects: ['ddl'] };
}

function tested(a: Analysis, body: Ast, relation: Relation): void {
  const scope = nest(undefined);
  scope.items.push(relationItem(relation, undefined));
  const where = child(body, 'whereClause');
  if (where !== undefined) a.use(expression(a, where, scope), 'predicate');
  for (const node of list(body, 'indexParams')) {
    const element = bodyOf(node);
    const inner = child(element, 'expr');
    if (inner !== undefined) a.use(expression(a, inner, scope), 'derived');
    const column = relation.byName.get(text(element, 'name'));
    if (column !== undefined && flag(body, 'unique')) a.use(named(a, columnValue(column)), 'group');
  }
}

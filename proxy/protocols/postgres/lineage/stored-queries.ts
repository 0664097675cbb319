/**
 * Queries whose rows are kept: SELECT INTO, CREATE TABLE AS, CREATE VIEW, materialized views.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, emptyAst, kindOf, text } from './ast.ts';
import { defineRelation } from './define-relation.ts';
import { query } from './queries.ts';
import { readRelation } from './relations.ts';
import { nest } from './scope.ts';
import type { Meaning } from './statements.ts';
import type { Field } from './value.ts';

/** `SELECT … INTO t`: the clause sits on the leftmost SELECT. `undefined` when there is none. */
export function intoRelation(a: Analysis, body: Ast, fields: readonly Field[]): Meaning | undefined {
  const into = intoOf(body);
  if (into === undefined) return undefined;
  a.step(into);
  store(a, fields);
  defineRelation(a, child(into, 'rel') ?? emptyAst, 'table');
  return { verb: 'select_into', effects: ['ddl', 'insert', 'select'] };
}

function intoOf(body: Ast): Ast | undefined {
  let each: Ast | undefined = body;
  for (; each !== undefined; each = child(each, 'larg')) {
    const into = child(each, 'intoClause');
    if (into !== undefined) return into;
  }
  return undefined;
}

/** The values end up where their masks are lost. */
function store(a: Analysis, fields: readonly Field[]): void {
  for (const { value } of fields) a.use(value, 'sink');
}

/** CREATE TABLE AS, CREATE MATERIALIZED VIEW. */
export function createTableAs(a: Analysis, body: Ast): Meaning {
  const node = child(body, 'query') ?? emptyAst;
  const materialized = text(body, 'objtype') === 'OBJECT_MATVIEW';
  if (kindOf(node) === 'ExecuteStmt') a.incomplete.add('unknown_prepared_statement');
  else store(a, query(a, node, nest(undefined)));
  const into = child(body, 'into') ?? emptyAst;
  defineRelation(a, child(into, 'rel') ?? emptyAst, materialized ? 'materialized_view' : 'table');
  a.seen.add(bodyOf(node));
  return {
    verb: materialized ? 'create_materialized_view' : 'create_table_as',
    effects: ['ddl', 'insert', 'select'],
    opaque: kindOf(node) === 'ExecuteStmt',
  };
}

/** CREATE VIEW: whoever reads the view reads the query, so its columns are kept. */
export function createView(a: Analysis, body: Ast): Meaning {
  store(a, query(a, child(body, 'query') ?? emptyAst, nest(undefined)));
  defineRelation(a, child(body, 'view') ?? emptyAst, 'view');
  return { verb: 'create_view', effects: ['ddl', 'select'] };
}

/** REFRESH MATERIALIZED VIEW: stores again what its definition reads. */
export function refresh(a: Analysis, body: Ast): Meaning {
  const relation = readRelation(a, child(body, 'relation') ?? emptyAst);
  if (relation !== undefined) a.record(relation).write = true;
  return { verb: 'refresh_materialized_view', effects: ['ddl'] };
}

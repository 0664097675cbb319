/**
 * WITH lists: plain, recursive, and ones that modify data.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, emptyAst, flag, isAst, kindOf, list, strings, text } from './ast.ts';
import { expression } from './expressions.ts';
import { rename } from './from.ts';
import { mergeOperands, query, select } from './queries.ts';
import { type CommonTable, nest, type Scope } from './scope.ts';
import { anything, combine, type Field, nothing } from './value.ts';

/** How often a recursive query is gone through before its columns are given up as unknown. */
const roundsMax = 32;

/** Defines the queries of a WITH list in a scope that has nothing else in it yet. All of them are analysed: they may modify. */
export function withClause(a: Analysis, body: Ast, scope: Scope): void {
  a.step(body);
  const recursive = flag(body, 'recursive');
  const tables: CommonTable[] = [];
  for (const node of list(body, 'ctes')) {
    const table = define(a, bodyOf(node), scope, recursive);
    tables.push(table);
    if (recursive) scope.commonTables.set(table.name, table);
    else {
      // Without RECURSIVE a query sees only those before it.
      table.analyse();
      scope.commonTables.set(table.name, table);
    }
  }
  for (const table of tables) table.analyse();
}

function define(a: Analysis, body: Ast, scope: Scope, recursive: boolean): CommonTable {
  let started = false;
  const table: CommonTable = {
    name: text(body, 'ctename'),
    columns: undefined,
    analyse() {
      if (started) return;
      started = true;
      a.step(body);
      const node = child(body, 'ctequery') ?? emptyAst;
      const names = strings(list(body, 'aliascolnames')) ?? [];
      const columns =
        recursive && isRecursiveShape(node) && mentions(node, table.name)
          ? fixpoint(a, table, bodyOf(node), names, scope)
          : rename(query(a, node, nest(scope)), names);
      table.columns = withSearchAndCycle(a, body, columns, scope);
    },
  };
  return table;
}

function isRecursiveShape(node: Ast): boolean {
  return kindOf(node) === 'SelectStmt' && text(bodyOf(node), 'op') === 'SETOP_UNION';
}

/** True when a relation of that name is read somewhere in a tree, whatever it means there. */
function mentions(part: unknown, name: string): boolean {
  if (Array.isArray(part)) return part.some((each) => mentions(each, name));
  if (!isAst(part)) return false;
  if (part.relname === name) return true;
  for (const field in part) if (mentions(part[field], name)) return true;
  return false;
}

/** Columns can only grow from round to round, so this ends; a bound on rounds makes sure. */
function fixpoint(
  a: Analysis,
  table: CommonTable,
  body: Ast,
  names: readonly string[],
  scope: Scope,
): readonly Field[] {
  a.step(body);
  const outer = nest(scope);
  const inner = child(body, 'withClause');
  if (inner !== undefined) withClause(a, inner, outer);
  const start = rename(select(a, child(body, 'larg') ?? emptyAst, nest(outer)), names);
  let columns = start;
  for (let round = 0; round < roundsMax; round++) {
    table.columns = columns;
    const step = select(a, child(body, 'rarg') ?? emptyAst, nest(outer));
    const next = mergeOperands(a, body, start, step);
    if (same(columns, next)) {
      rest(a, body);
      return next;
    }
    columns = next;
  }
  rest(a, body);
  return columns.map((field) => ({ name: field.name, value: anything }));
}

/** ORDER BY, LIMIT and locks have no place on a recursive union: the server refuses them. */
function rest(a: Analysis, body: Ast): void {
  if (list(body, 'sortClause').length > 0 || 'limitCount' in body || 'limitOffset' in body || 'lockingClause' in body) {
    a.incomplete.add('unknown_node');
  }
}

function same(one: readonly Field[], other: readonly Field[]): boolean {
  return one.every((field, index) => {
    const value = other[index]?.value;
    return (
      value !== undefined &&
      value.columns.size === field.value.columns.size &&
      value.bare === field.value.bare &&
      value.unknown === field.value.unknown
    );
  });
}

/** SEARCH and CYCLE add columns of their own. */
function withSearchAndCycle(a: Analysis, body: Ast, columns: readonly Field[], scope: Scope): readonly Field[] {
  const added: Field[] = [];
  const search = child(body, 'search_clause');
  const cycle = child(body, 'cycle_clause');
  if (search !== undefined) {
    a.step(search);
    const value = combineNamed(a, columns, list(search, 'search_col_list'));
    a.use(value, 'order');
    added.push({ name: text(search, 'search_seq_column'), value });
  }
  if (cycle !== undefined) {
    a.step(cycle);
    const value = combineNamed(a, columns, list(cycle, 'cycle_col_list'));
    a.use(value, 'group');
    const marks = [
      expression(a, child(cycle, 'cycle_mark_value'), scope),
      expression(a, child(cycle, 'cycle_mark_default'), scope),
    ];
    added.push({ name: text(cycle, 'cycle_mark_column'), value: combine([value, ...marks]) });
    added.push({ name: text(cycle, 'cycle_path_column'), value });
  }
  return added.length === 0 ? columns : [...columns, ...added];
}

function combineNamed(a: Analysis, columns: readonly Field[], names: readonly Ast[]) {
  const wanted = new Set(strings(names) ?? []);
  const found = columns.filter((field) => wanted.has(field.name));
  if (found.length !== wanted.size) a.incomplete.add('unknown_column');
  return found.length === 0 ? nothing : combine(found.map((field) => field.value));
}

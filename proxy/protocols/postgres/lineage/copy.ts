/**
 * COPY in all its forms.
 *
 * @see https://www.postgresql.org/docs/current/sql-copy.html
 */
import type { CopyOptions } from '../classification.ts';
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, constantText, emptyAst, flag, list, strings, text } from './ast.ts';
import { expression } from './expressions.ts';
import { query } from './queries.ts';
import { readRelation, writeRelation } from './relations.ts';
import { item, nest } from './scope.ts';
import type { ColumnFact, Relation } from './snapshot.ts';
import { type Meaning, selected } from './statements.ts';
import { columnValue, nothing } from './value.ts';

/** Facts of a COPY. Files and programs on the server are out of bounds whatever else it says. */
export function copy(a: Analysis, body: Ast): Meaning {
  a.step(body);
  const onServer = 'filename' in body || flag(body, 'is_program');
  if (onServer) {
    a.objects.add(flag(body, 'is_program') ? 'server_program:' : `server_file:${text(body, 'filename')}`);
    a.incomplete.add('server_file');
  }
  const options = copyOptions(list(body, 'options'));
  if (flag(body, 'is_from')) return copyIn(a, body, options, onServer);
  return copyOut(a, body, options, onServer);
}

function copyOut(a: Analysis, body: Ast, options: CopyOptions, onServer: boolean): Meaning {
  const node = child(body, 'query');
  const fields =
    node === undefined
      ? copiedColumns(a, body, readRelation(a, child(body, 'relation') ?? emptyAst)).map((column) => ({
          name: column.name,
          value: columnValue(column),
        }))
      : query(a, node, nest(undefined));
  if (onServer) for (const { value } of fields) a.use(value, 'sink');
  return {
    verb: 'copy_to',
    effects: ['copy', 'select'],
    plainConstants: !onServer,
    ...selected(a, fields),
    control: onServer ? { type: 'none' } : { type: 'copy_out', options },
  };
}

function copyIn(a: Analysis, body: Ast, options: CopyOptions, onServer: boolean): Meaning {
  const relation = writeRelation(a, child(body, 'relation') ?? emptyAst);
  copiedColumns(a, body, relation);
  const where = child(body, 'whereClause');
  if (where !== undefined) {
    // It tests the incoming rows, not stored ones.
    const incoming = (relation?.columns ?? []).map((column) => ({
      name: column.name,
      value: { ...nothing, type: column.type },
    }));
    const scope = nest(undefined);
    scope.items.push(item(relation?.name ?? '', incoming, undefined, true));
    a.use(expression(a, where, scope), 'predicate');
  }
  return {
    verb: 'copy_from',
    effects: ['copy', 'insert'],
    plainConstants: !onServer,
    control: onServer ? { type: 'none' } : { type: 'copy_in', options },
  };
}

/** The columns listed, or all that COPY takes: generated ones are left out. */
function copiedColumns(a: Analysis, body: Ast, relation: Relation | undefined): readonly ColumnFact[] {
  if (relation === undefined) return [];
  const names = strings(list(body, 'attlist'));
  if (names === undefined || names.length === 0) {
    const columns = relation.columns.filter((column) => !column.generated);
    a.name(columns);
    return columns;
  }
  return names.flatMap((name) => {
    const column = relation.byName.get(name);
    if (column === undefined) a.incomplete.add('unknown_column');
    else a.name([column]);
    return column ?? [];
  });
}

/** Options that say nothing about how bytes of COPY TO look, or nothing that masking must know. */
const ignored: ReadonlySet<string> = new Set([
  'freeze',
  'force_quote',
  'force_not_null',
  'force_null',
  'on_error',
  'log_verbosity',
  'reject_limit',
]);

/** The options of a COPY, with the defaults of its format. */
export function copyOptions(nodes: readonly Ast[]): CopyOptions {
  const given = new Map<string, string | undefined>();
  let unknown = false;
  for (const node of nodes) {
    const option = bodyOf(node);
    const name = text(option, 'defname');
    if (ignored.has(name)) continue;
    if (given.has(name)) unknown = true;
    given.set(name, constantText(child(option, 'arg')));
  }
  const take = (name: string) => {
    const value = given.get(name);
    given.delete(name);
    return value;
  };
  const headerGiven = given.has('header');
  const header = take('header')?.toLowerCase();
  const format = (take('format') ?? 'text').toLowerCase();
  const encoding = take('encoding')?.toLowerCase();
  if (encoding !== undefined && !['utf8', 'utf-8', 'unicode'].includes(encoding)) unknown = true;
  if (format !== 'text' && format !== 'csv' && format !== 'binary') unknown = true;
  const csv = format === 'csv';
  const quote = take('quote') ?? '"';
  const options: CopyOptions = {
    format: csv ? 'csv' : format === 'binary' ? 'binary' : 'text',
    delimiter: take('delimiter') ?? (csv ? ',' : '\t'),
    nullText: take('null') ?? (csv ? '' : '\\N'),
    header: headerGiven && (header === undefined || !['false', 'off', '0'].includes(header)),
    quote,
    escape: take('escape') ?? quote,
    unknown: false,
  };
  // `default` is for COPY FROM alone; whatever else is left was not understood.
  given.delete('default');
  return { ...options, unknown: unknown || given.size > 0 };
}

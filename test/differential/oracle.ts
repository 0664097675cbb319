/**
 * What the server itself says a statement refers to: the dependencies it records for a SQL-standard function body.
 *
 * PostgreSQL resolves every name of such a body when the function is created and writes down each relation and
 * column it found. Relations that came with the server are not written down, so they are not compared. Known
 * differences to what a statement names, each handled by `compare`:
 *
 * - a function's result or a `regclass` constant refers to a relation that the statement does not name;
 * - a reference to a whole relation is dropped when one of its columns is referred to as well;
 * - of MERGE's actions the target columns are not written down;
 * - ON CONFLICT DO UPDATE refers to every column, through EXCLUDED.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/catalog/dependency.c
 */
import type pg from 'pg';
import type { ClassifiedStatement } from '../../proxy/protocols/postgres/classification.ts';
import { constantTokens } from '../../proxy/protocols/postgres/lineage/tokens.ts';

/** Relation (`schema.name`) → columns. */
export type References = ReadonlyMap<string, ReadonlySet<string>>;

const dependencies = `SELECT n.nspname, c.relname, a.attname FROM pg_depend d
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid AND d.refobjsubid <> 0
WHERE d.classid = 'pg_proc'::regclass AND d.objid = 'pg_temp.differential'::regproc
  AND d.refclassid = 'pg_class'::regclass AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`;

/** Asks the server; `undefined` when it does not accept the statement (in a function body). */
export async function serverReferences(client: pg.Client, sql: string): Promise<References | undefined> {
  try {
    const results: unknown = await client.query(
      `BEGIN; CREATE FUNCTION pg_temp.differential() RETURNS void BEGIN ATOMIC ${sql}\n; END; ${dependencies}; ROLLBACK`,
    );
    const rows = Array.isArray(results) ? results[2]?.rows : undefined;
    return Array.isArray(rows) ? collect(rows) : undefined;
  } catch {
    await client.query('ROLLBACK');
    return undefined;
  }
}

function collect(rows: readonly { nspname: string; relname: string; attname: string | null }[]): References {
  const references = new Map<string, Set<string>>();
  for (const { nspname, relname, attname } of rows) {
    const key = `${nspname}.${relname}`;
    const columns = references.get(key) ?? new Set();
    if (attname !== null) columns.add(attname);
    references.set(key, columns);
  }
  return references;
}

const systemSchemas: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema']);

function split(relation: string): string[] {
  const dot = relation.indexOf('.');
  return [relation.slice(0, dot), relation.slice(dot + 1)];
}

/** Every identifier of a statement, outside its constants. */
function namesIn(sql: string): ReadonlySet<string> {
  const bytes = Buffer.from(sql);
  for (const { start, end } of constantTokens(bytes)) bytes.fill(0x20, start, end);
  const names = new Set<string>();
  for (const [, quoted, plain] of bytes
    .toString()
    .replace(/--[^\n]*|\/\*.*?\*\//gs, ' ')
    .matchAll(/"((?:[^"]|"")*)"|([A-Za-z_\x80-\uffff][\w$\x80-\uffff]*)/g)) {
    names.add(quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? '');
  }
  return names;
}

/** How a complete classification and the server disagree; empty when they do not. */
export function disagreements(statement: ClassifiedStatement, server: References, sql: string): string[] {
  const found: string[] = [];
  const own = statement.relations.filter(({ schema, via }) => via === '' && !systemSchemas.has(schema));
  const names = new Set(own.map(({ schema, name }) => `${schema}.${name}`));
  const text = namesIn(sql);
  for (const relation of server.keys()) {
    const [schema = '', name = ''] = split(relation);
    if (systemSchemas.has(schema) || names.has(relation) || !text.has(name)) continue;
    found.push(`the server refers to ${relation}`);
  }
  const merges = /\bmerge\b/i.test(sql);
  const conflicts = /\bon\s+conflict\b/i.test(sql);
  for (const relation of own) {
    const key = `${relation.schema}.${relation.name}`;
    const columns = server.get(key);
    if (columns === undefined) {
      found.push(`the server does not refer to ${key}`);
      continue;
    }
    const ours = new Set(relation.columns.map(({ name }) => name));
    const written = relation.access !== 'read';
    for (const column of columns) {
      if (!ours.has(column) && !(conflicts && written)) found.push(`the server refers to ${key}.${column}`);
    }
    for (const column of ours) {
      if (columns.has(column) || relation.wholeRow || (written && (merges || conflicts))) continue;
      found.push(`the server does not refer to ${key}.${column}`);
    }
  }
  return found;
}

/** What a RowDescription says of one result column. */
export interface Origin {
  readonly name: string;
  /** The column of a table or view whose value it is; `undefined` when it is computed. */
  readonly column: { readonly schema: string; readonly relation: string; readonly column: string } | undefined;
}

const originNames = `SELECT c.oid::int8::text || ' ' || a.attnum AS key, n.nspname, c.relname, a.attname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid = ANY ($1::oid[])`;

type FieldDef = pg.FieldDef;

/** Parse and Describe, never Bind: what a statement would return, without running it. */
function describe(client: pg.Client, sql: string): Promise<readonly FieldDef[]> {
  return new Promise((resolve, reject) => {
    let fields: readonly FieldDef[] = [];
    let failure: unknown;
    const ignore = () => {};
    client.query({
      submit(connection: pg.Connection) {
        connection.parse({ text: sql, name: '', types: [] }, true);
        connection.describe({ type: 'S', name: '' }, true);
        connection.sync();
      },
      handleRowDescription(message: { fields: readonly FieldDef[] }) {
        fields = message.fields;
      },
      handleError(error: unknown) {
        failure = error;
      },
      handleReadyForQuery() {
        if (failure === undefined) resolve(fields);
        else reject(failure);
      },
      handleDataRow: ignore,
      handlePortalSuspended: ignore,
      handleCommandComplete: ignore,
      handleEmptyQuery: ignore,
    });
  });
}

/** Where the server says the columns of a statement's result come from; `undefined` when it does not accept it. */
export async function serverOrigins(client: pg.Client, sql: string): Promise<readonly Origin[] | undefined> {
  try {
    const fields = await describe(client, sql);
    const oids = [...new Set(fields.map((field) => field.tableID))].filter((oid) => oid !== 0);
    const names = new Map<string, Origin['column']>();
    if (oids.length > 0) {
      const { rows } = await client.query<{ key: string; nspname: string; relname: string; attname: string }>({
        name: 'origins',
        text: originNames,
        values: [oids],
      });
      for (const { key, nspname, relname, attname } of rows) {
        names.set(key, { schema: nspname, relation: relname, column: attname });
      }
    }
    return fields.map(({ name, tableID, columnID }) => ({ name, column: names.get(`${tableID} ${columnID}`) }));
  } catch {
    return undefined;
  }
}

/** How the lineage of a result and the server's origins disagree. */
export function originDisagreements(statement: ClassifiedStatement, origins: readonly Origin[]): string[] {
  const output = statement.output ?? [];
  if (output.length !== origins.length) return [`the server has ${origins.length} columns, not ${output.length}`];
  const found: string[] = [];
  for (const [index, origin] of origins.entries()) {
    const own = output[index];
    if (own === undefined) continue;
    if (own.name !== origin.name) found.push(`the server calls column ${index + 1} ${origin.name}, not ${own.name}`);
    const { column } = origin;
    if (column === undefined) continue;
    const known = [...own.from, ...own.through].some(
      (each) => each.schema === column.schema && each.relation === column.relation && each.column === column.column,
    );
    const where = `${column.schema}.${column.relation}.${column.column}`;
    if (!known && !own.unknown) found.push(`the server takes column ${index + 1} from ${where}`);
  }
  return found;
}

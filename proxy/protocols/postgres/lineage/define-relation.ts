/**
 * Relations that a statement creates, alters or drops.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, text } from './ast.ts';
import { lookUpRelation } from './relations.ts';
import type { Relation } from './snapshot.ts';
import { lookUpType } from './types.ts';

/** Records a relation that is defined by the statement, existing or not. */
export function defineRelation(a: Analysis, body: Ast, kind: Relation['kind']): void {
  a.seen.add(body);
  const schema = text(body, 'schemaname');
  const temporary = text(body, 'relpersistence') === 't' || schema.startsWith('pg_temp');
  const existing = temporary ? undefined : lookUpRelation(a, body);
  const relation = existing ?? newRelation(a, schema, text(body, 'relname'), temporary ? 'temporary' : kind);
  const name = text(body, 'relname');
  if (temporary && (lookUpRelation(a, { relname: name }) ?? lookUpType(a, [name])) !== undefined) {
    // From here on the session's own relation, or its row type, would be meant wherever the other one is named.
    a.incomplete.add('temporary_shadows');
  }
  const record = a.record(relation);
  record.define = true;
  record.wholeRow = true;
}

/** A relation by name parts, as DROP and COMMENT have it. */
export function defineNamed(a: Analysis, names: readonly string[], kind: Relation['kind']): void {
  const [schema = ''] = names.length > 1 ? names.slice(-2) : [];
  defineRelation(a, { relname: names.at(-1) ?? '', schemaname: schema }, kind);
}

function newRelation(a: Analysis, schema: string, name: string, kind: Relation['kind']): Relation {
  // What is created without a schema goes to the first one on the path that exists.
  const first = a.around.path.find((each) => each !== 'pg_catalog') ?? '';
  const home = schema !== '' ? schema : kind === 'temporary' ? 'pg_temp' : first;
  for (const known of a.relations.keys()) {
    if (known.oid === 0 && known.schema === home && known.name === name) return known;
  }
  return {
    oid: 0,
    schema: home,
    name,
    kind,
    columns: [],
    byName: new Map(),
    rowType: 0,
    viewText: undefined,
    parents: [],
    children: [],
    cascades: [],
    hasRules: false,
    hidden: [],
  };
}

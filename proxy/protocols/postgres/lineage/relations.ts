/**
 * Relation names → relations.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, text } from './ast.ts';
import { descendants, type Oid, type Relation } from './snapshot.ts';
import { noteType } from './types.ts';

/** Looks a `RangeVar` up under the search path, without recording anything. */
export function lookUpRelation(a: Analysis, body: Ast): Relation | undefined {
  const name = text(body, 'relname');
  const schema = text(body, 'schemaname');
  const catalog = text(body, 'catalogname');
  if (catalog !== '' && catalog !== a.around.database) return undefined;
  if (schema !== '') return a.snapshot.relations.get(schema)?.get(name);
  for (const each of a.around.path) {
    const found = a.snapshot.relations.get(each)?.get(name);
    if (found !== undefined && found.kind !== 'composite') return found;
  }
  return undefined;
}

/** A relation that must exist; otherwise the statement is incomplete. */
export function knownRelation(a: Analysis, body: Ast): Relation | undefined {
  a.seen.add(body);
  const relation = lookUpRelation(a, body);
  if (relation === undefined || relation.kind === 'composite') {
    a.incomplete.add('unknown_relation');
    return undefined;
  }
  a.namedRelations.add(relation);
  return relation;
}

/** A relation that is read. Row security policies may run functions. */
export function readRelation(a: Analysis, body: Ast): Relation | undefined {
  const relation = knownRelation(a, body);
  if (relation === undefined) return undefined;
  a.record(relation).read = true;
  for (const hidden of relation.hidden) if (hidden.on === 'read') a.call(hidden.name);
  return relation;
}

/** A relation that is written. Triggers, checks and defaults may run functions; rules make it something else. */
export function writeRelation(a: Analysis, body: Ast): Relation | undefined {
  const relation = knownRelation(a, body);
  if (relation === undefined) return undefined;
  noteWritten(a, relation);
  return relation;
}

/** Records a write, and what it sets off: in its partitions, and wherever a foreign key takes it. */
export function noteWritten(a: Analysis, relation: Relation): void {
  const record = a.record(relation);
  if (record.write) return;
  record.write = true;
  for (const each of [relation, ...descendants(relation)]) {
    if (each.hasRules) a.incomplete.add('rule_on_relation');
    for (const hidden of each.hidden) a.call(hidden.name);
    for (const { type } of each.columns) noteColumnType(a, type);
    for (const referencing of each.cascades) {
      noteWritten(a, referencing);
      a.record(referencing).cascadedFrom ??= each;
    }
  }
}

/** A domain checks, and a type of someone else's reads, every value that is stored. */
function noteColumnType(a: Analysis, type: Oid): void {
  const fact = a.snapshot.types.get(type);
  if (fact !== undefined) noteType(a, fact);
}

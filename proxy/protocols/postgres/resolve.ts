import type { ClassifiedStatement, FunctionUse } from './classification.ts';
import type { Classified, Names, Portal, PreparedStatement } from './names.ts';
import { statementOf } from './names.ts';

/** The names a connection knows, and the group that asks. */
export interface NameScope {
  readonly statements: Names<PreparedStatement>;
  readonly portals: Names<Portal>;
  readonly group: number;
  /** DDL of this connection is not in the catalog snapshot yet. */
  readonly catalogDirty: boolean;
}

/** The statements of a query string with every EXECUTE and FETCH replaced by what it will run. */
export interface Resolved {
  readonly statements: readonly ClassifiedStatement[];
  /** True when nothing had to be looked up: the facts depend on the classification alone. */
  readonly alone: boolean;
}

/**
 * Follows names. `unsettled`: the meaning of a name depends on replies that are still on their way.
 * A name this connection never defined makes its statement incomplete.
 */
export function resolve(classified: Classified, scope: NameScope): Resolved | 'unsettled' {
  const local = new Map<string, ClassifiedStatement | undefined>();
  const statements: ClassifiedStatement[] = [];
  let dirty = scope.catalogDirty;
  let alone = !dirty;
  for (const statement of classified.statements) {
    const meaning = follow(statement, scope, local);
    if (meaning === 'unsettled') return 'unsettled';
    const stale = dirty && (meaning.relations.length > 0 || meaning.functions.length > 0);
    if (meaning !== statement || stale) alone = false;
    statements.push(stale ? incomplete(meaning, 'catalog_changed_in_transaction') : meaning);
    define(statement, local);
    if (statement.changesCatalog) dirty = true;
  }
  return { statements: alone ? classified.statements : statements, alone };
}

function follow(
  statement: ClassifiedStatement,
  scope: NameScope,
  local: ReadonlyMap<string, ClassifiedStatement | undefined>,
): ClassifiedStatement | 'unsettled' {
  const { control } = statement;
  if (control.type === 'execute') {
    const inner = find(`statement ${control.name}`, local, () => {
      const found = scope.statements.find(control.name, scope.group);
      return found === 'unsettled' ? found : found.value && statementOf(found.value);
    });
    if (inner === 'unsettled') return inner;
    return inner === undefined ? incomplete(statement, 'unknown_prepared_statement') : runs(statement, inner);
  }
  if (control.type === 'fetch') {
    const inner = find(`portal ${control.name}`, local, () => {
      const found = scope.portals.find(control.name, scope.group);
      return found === 'unsettled' ? found : found.value && statementOf(found.value.prepared);
    });
    if (inner === 'unsettled') return inner;
    return inner === undefined ? incomplete(statement, 'unknown_cursor') : runs(statement, inner);
  }
  return statement;
}

function find(
  key: string,
  local: ReadonlyMap<string, ClassifiedStatement | undefined>,
  otherwise: () => ClassifiedStatement | undefined | 'unsettled',
): ClassifiedStatement | undefined | 'unsettled' {
  return local.has(key) ? local.get(key) : otherwise();
}

/** Names that earlier statements of the same string define: when one fails, the rest of the string is not run. */
function define(statement: ClassifiedStatement, local: Map<string, ClassifiedStatement | undefined>): void {
  const { control } = statement;
  if (control.type === 'prepare') local.set(`statement ${control.name}`, control.statement);
  if (control.type === 'declare') local.set(`portal ${control.name}`, statement);
}

/** The outer statement with what the inner one does. */
function runs(outer: ClassifiedStatement, inner: ClassifiedStatement): ClassifiedStatement {
  const moves = outer.control.type === 'fetch' && outer.control.move;
  // A prepared COPY, SET or EXECUTE has effects on the relay of its own: only plain statements are followed.
  const nested = inner.control.type !== 'none' && inner.control.type !== 'declare' ? ['nested_execute'] : [];
  return {
    ...outer,
    effects: [...new Set([...inner.effects, ...outer.effects])],
    hasWhere: inner.hasWhere,
    limit: inner.limit,
    functions: [...outer.functions, ...inner.functions],
    relations: [...outer.relations, ...inner.relations],
    objects: [...outer.objects, ...inner.objects],
    settings: [...outer.settings, ...inner.settings],
    output: moves ? undefined : inner.output,
    incomplete: [...new Set([...outer.incomplete, ...inner.incomplete, ...nested])],
    changesCatalog: outer.changesCatalog || inner.changesCatalog,
    // What an EXECUTE's arguments meet is what the parameters of the statement meet: not followed, so hidden.
    literals: outer.literals.map((literal) => ({ ...literal, meets: 'unknown' as const })),
  };
}

function incomplete(statement: ClassifiedStatement, why: string): ClassifiedStatement {
  return { ...statement, incomplete: [...statement.incomplete, why] };
}

/** PostgreSQL's FirstNormalObjectId: the types below came with the server, and no user's function runs for them. */
const firstUserOid = 16_384;

/**
 * Adds what runs when parameters arrive: Parse may declare one to be of a domain, whose check is a function of somebody's.
 *
 * @param functionsOf - `undefined` for a type that is not known
 */
export function withParameterTypes(
  resolved: Resolved,
  types: readonly number[],
  functionsOf: (oid: number) => readonly FunctionUse[] | undefined,
): Resolved {
  if (types.every((oid) => oid < firstUserOid)) return resolved;
  const known = types.filter((oid) => oid >= firstUserOid).map(functionsOf);
  const functions = known.flatMap((uses) => uses ?? []);
  const why = known.includes(undefined) ? ['unknown_parameter_type'] : [];
  if (functions.length === 0 && why.length === 0) return resolved;
  const statements = resolved.statements.map((statement) => ({
    ...statement,
    functions: [...statement.functions, ...functions],
    incomplete: [...statement.incomplete, ...why],
  }));
  return { statements, alone: false };
}

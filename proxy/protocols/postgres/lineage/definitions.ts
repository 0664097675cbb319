/**
 * DDL, grants and roles: what is named, by kind. Bodies are not followed; functions and relations in them are listed.
 */
import type { Effect } from '../classification.ts';
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, flag, isAst, itemsOf, kindOf, list, stringOf, strings, text } from './ast.ts';
import { createIndex } from './create-index.ts';
import { defineNamed, defineRelation } from './define-relation.ts';
import { findFunctions } from './functions.ts';
import type { Relation } from './snapshot.ts';
import type { Meaning } from './statements.ts';
import { createTableAs, createView, refresh } from './stored-queries.ts';

type Handler = (a: Analysis, body: Ast) => Meaning;

/** `OBJECT_MATVIEW` → `materialized_view`. */
function objectName(type: string): string {
  const name = type.replace(/^OBJECT_/, '').toLowerCase();
  return objectNames[name] ?? name;
}

const objectNames: Record<string, string> = {
  matview: 'materialized_view',
  foreign_server: 'server',
  fdw: 'foreign_data_wrapper',
  tabconstraint: 'constraint',
  domconstraint: 'domain_constraint',
  statistic_ext: 'statistics',
  defacl: 'default_privileges',
};

const relationObjects: Record<string, Relation['kind']> = {
  OBJECT_TABLE: 'table',
  OBJECT_VIEW: 'view',
  OBJECT_MATVIEW: 'materialized_view',
  OBJECT_FOREIGN_TABLE: 'foreign_table',
  OBJECT_SEQUENCE: 'sequence',
};

const ddl: readonly Effect[] = ['ddl'];
const grant: readonly Effect[] = ['grant'];

/** A statement known by a fixed verb; `object` says which field names the object, as `kind:field`. */
function plain(verb: string, object = '', effects: readonly Effect[] = ddl): Handler {
  return (a, body) => {
    const [kind = '', field = ''] = object.split(':');
    if (field !== '') noteObject(a, kind, nameIn(body[field]));
    return { verb, effects };
  };
}

function noteObject(a: Analysis, kind: string, name: string): void {
  if (name !== '') a.objects.add(`${kind}:${name}`);
  // Types of a session's own are found before anyone else's.
  if (/^pg_temp\b/.test(name)) a.incomplete.add('temporary_shadows');
}

/** A name in any of the shapes the parser gives names. */
function nameIn(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(nameIn).filter(Boolean).join('.');
  if (!isAst(value)) return '';
  const plainText = stringOf(value);
  if (plainText !== undefined) return plainText;
  if (typeof value.rolename === 'string') return value.rolename;
  if (typeof value.roletype === 'string') return value.roletype.replace(/^ROLESPEC_/, '').toLowerCase();
  if (typeof value.relname === 'string') return nameIn([value.schemaname ?? '', value.relname]);
  if (Array.isArray(value.objname)) return nameIn(value.objname);
  if (Array.isArray(value.names)) return nameIn(value.names);
  if (Array.isArray(value.items)) return nameIn(value.items);
  return nameIn(bodyOf(value));
}

const handlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['CreateStmt', (a, body) => create(a, body, 'table')],
  ['CreateForeignTableStmt', foreignTable],
  ['CreateTableAsStmt', createTableAs],
  ['ViewStmt', createView],
  ['RefreshMatViewStmt', refresh],
  ['AlterTableStmt', alterTable],
  ['IndexStmt', createIndex],
  ['DropStmt', drop],
  ['RenameStmt', rename],
  ['CommentStmt', (a, body) => onObject(a, body, 'comment', 'objtype')],
  ['SecLabelStmt', (a, body) => onObject(a, body, 'security_label', 'objtype')],
  ['AlterObjectSchemaStmt', (a, body) => onObject(a, body, 'alter_schema_of', 'objectType')],
  ['AlterObjectDependsStmt', (a, body) => onObject(a, body, 'alter_depends', 'objectType')],
  ['AlterOwnerStmt', (a, body) => ({ ...onObject(a, body, 'alter_owner', 'objectType'), effects: ['ddl', 'grant'] })],
  ['CreateSeqStmt', sequence('create_sequence')],
  ['AlterSeqStmt', sequence('alter_sequence')],
  ['CreateSchemaStmt', plain('create_schema', 'schema:schemaname')],
  ['CreatedbStmt', plain('create_database', 'database:dbname')],
  ['DropdbStmt', plain('drop_database', 'database:dbname')],
  ['AlterDatabaseStmt', plain('alter_database', 'database:dbname')],
  ['AlterDatabaseSetStmt', plain('alter_database', 'database:dbname')],
  ['AlterDatabaseRefreshCollStmt', plain('alter_database', 'database:dbname')],
  ['AlterSystemStmt', plain('alter_system')],
  ['CreateTableSpaceStmt', plain('create_tablespace', 'tablespace:tablespacename')],
  ['DropTableSpaceStmt', plain('drop_tablespace', 'tablespace:tablespacename')],
  ['AlterTableSpaceOptionsStmt', plain('alter_tablespace', 'tablespace:tablespacename')],
  ['AlterTableMoveAllStmt', plain('alter_tablespace', 'tablespace:orig_tablespacename')],
  ['CreateExtensionStmt', plain('create_extension', 'extension:extname')],
  ['AlterExtensionStmt', plain('alter_extension', 'extension:extname')],
  ['AlterExtensionContentsStmt', plain('alter_extension', 'extension:extname')],
  ['CreateFdwStmt', plain('create_foreign_data_wrapper', 'foreign_data_wrapper:fdwname')],
  ['AlterFdwStmt', plain('alter_foreign_data_wrapper', 'foreign_data_wrapper:fdwname')],
  ['CreateForeignServerStmt', plain('create_server', 'server:servername')],
  ['AlterForeignServerStmt', plain('alter_server', 'server:servername')],
  ['CreateUserMappingStmt', plain('create_user_mapping', 'server:servername')],
  ['AlterUserMappingStmt', plain('alter_user_mapping', 'server:servername')],
  ['DropUserMappingStmt', plain('drop_user_mapping', 'server:servername')],
  ['ImportForeignSchemaStmt', plain('import_foreign_schema', 'server:server_name')],
  ['CreatePolicyStmt', (a, body) => onRelation(a, body, 'create_policy', 'table')],
  ['AlterPolicyStmt', (a, body) => onRelation(a, body, 'alter_policy', 'table')],
  ['CreateTrigStmt', (a, body) => onRelation(a, body, 'create_trigger', 'relation')],
  ['RuleStmt', (a, body) => onRelation(a, body, 'create_rule', 'relation')],
  ['CreateEventTrigStmt', plain('create_event_trigger', 'event_trigger:trigname')],
  ['AlterEventTrigStmt', plain('alter_event_trigger', 'event_trigger:trigname')],
  ['CreateAmStmt', plain('create_access_method', 'access_method:amname')],
  ['CreatePLangStmt', plain('create_language', 'language:plname')],
  ['CreateFunctionStmt', createFunction],
  ['AlterFunctionStmt', plain('alter_function', 'function:func')],
  ['DefineStmt', define],
  ['CreateDomainStmt', plain('create_domain', 'type:domainname')],
  ['AlterDomainStmt', plain('alter_domain', 'type:typeName')],
  ['CreateEnumStmt', plain('create_type', 'type:typeName')],
  ['AlterEnumStmt', plain('alter_type', 'type:typeName')],
  ['CreateRangeStmt', plain('create_type', 'type:typeName')],
  ['CompositeTypeStmt', plain('create_type', 'type:typevar')],
  ['AlterTypeStmt', plain('alter_type', 'type:typeName')],
  ['CreateOpClassStmt', plain('create_operator_class', 'operator_class:opclassname')],
  ['CreateOpFamilyStmt', plain('create_operator_family', 'operator_family:opfamilyname')],
  ['AlterOpFamilyStmt', plain('alter_operator_family', 'operator_family:opfamilyname')],
  ['AlterOperatorStmt', plain('alter_operator', 'operator:opername')],
  ['CreateCastStmt', plain('create_cast', 'type:targettype')],
  ['CreateTransformStmt', plain('create_transform', 'type:type_name')],
  ['CreateConversionStmt', plain('create_conversion', 'conversion:conversion_name')],
  ['CreateStatsStmt', plain('create_statistics', 'statistics:defnames')],
  ['AlterStatsStmt', plain('alter_statistics', 'statistics:defnames')],
  ['AlterCollationStmt', plain('alter_collation', 'collation:collname')],
  ['AlterTSDictionaryStmt', plain('alter_text_search_dictionary', 'dictionary:dictname')],
  ['AlterTSConfigurationStmt', plain('alter_text_search_configuration', 'configuration:cfgname')],
  ['CreatePublicationStmt', plain('create_publication', 'publication:pubname')],
  ['AlterPublicationStmt', plain('alter_publication', 'publication:pubname')],
  ['CreateSubscriptionStmt', plain('create_subscription', 'subscription:subname')],
  ['AlterSubscriptionStmt', plain('alter_subscription', 'subscription:subname')],
  ['DropSubscriptionStmt', plain('drop_subscription', 'subscription:subname')],
  ['DropOwnedStmt', plain('drop_owned', 'role:roles')],
  ['ReassignOwnedStmt', plain('reassign_owned', 'role:roles', ['ddl', 'grant'])],
  ['GrantStmt', grantStatement],
  ['GrantRoleStmt', grantRole],
  ['AlterDefaultPrivilegesStmt', plain('alter_default_privileges', '', grant)],
  ['CreateRoleStmt', plain('create_role', 'role:role', grant)],
  ['AlterRoleStmt', plain('alter_role', 'role:role', grant)],
  ['AlterRoleSetStmt', plain('alter_role', 'role:role', grant)],
  ['DropRoleStmt', plain('drop_role', 'role:roles', grant)],
]);

/** The kinds of statements handled here. */
export const definitionKinds: ReadonlySet<string> = new Set(handlers.keys());

const followed: ReadonlySet<string> = new Set(['CreateTableAsStmt', 'ViewStmt', 'RefreshMatViewStmt']);

/** Facts of a DDL, grant or role statement. */
export function definition(a: Analysis, kind: string, body: Ast): Meaning {
  a.changesCatalog = true;
  const handler = handlers.get(kind);
  if (handler === undefined) throw new TypeError(`no handler for ${kind}`);
  const meaning = handler(a, body);
  if (followed.has(kind)) return meaning;
  mentioned(a, body);
  return { ...meaning, opaque: true };
}

/** Relations and functions anywhere inside: defaults, checks and index expressions run functions. */
function mentioned(a: Analysis, part: unknown): void {
  if (Array.isArray(part)) {
    for (const each of part) mentioned(a, each);
    return;
  }
  if (!isAst(part)) return;
  if (typeof part.relname === 'string' && !a.seen.has(part)) defineRelation(a, part, 'unknown');
  const call = child(part, 'FuncCall');
  if (call !== undefined) noteFunctions(a, call);
  for (const field in part) mentioned(a, part[field]);
}

function noteFunctions(a: Analysis, call: Ast): void {
  const types = list(call, 'args').map(() => 0);
  const found = findFunctions(a, list(call, 'funcname'), {
    types,
    variadic: flag(call, 'func_variadic'),
    named: false,
  });
  for (const each of found) a.call(each);
  if (found.length > 0) return;
  noteObject(a, 'function', nameIn(call.funcname));
  a.incomplete.add('unknown_function');
}

function create(a: Analysis, body: Ast, kind: Relation['kind']): Meaning {
  const relation = child(body, 'relation');
  const partitioned = 'partspec' in body ? 'partitioned_table' : kind;
  if (relation !== undefined) defineRelation(a, relation, partitioned);
  return { verb: kind === 'foreign_table' ? 'create_foreign_table' : 'create_table', effects: ddl };
}

function foreignTable(a: Analysis, body: Ast): Meaning {
  noteObject(a, 'server', text(body, 'servername'));
  return create(a, child(body, 'base') ?? body, 'foreign_table');
}

function onRelation(a: Analysis, body: Ast, verb: string, field: string): Meaning {
  const relation = child(body, field);
  if (relation !== undefined) defineRelation(a, relation, 'unknown');
  return { verb, effects: ddl };
}

function alterTable(a: Analysis, body: Ast): Meaning {
  const type = text(body, 'objtype');
  const relation = child(body, 'relation');
  if (relation !== undefined) defineRelation(a, relation, relationObjects[type] ?? 'unknown');
  return { verb: `alter_${objectName(type) || 'table'}`, effects: ddl };
}

function sequence(verb: string): Handler {
  return (a, body) => {
    const relation = child(body, 'sequence');
    if (relation !== undefined) defineRelation(a, relation, 'sequence');
    return { verb, effects: ddl };
  };
}

function drop(a: Analysis, body: Ast): Meaning {
  const type = text(body, 'removeType');
  const kind = relationObjects[type];
  for (const object of list(body, 'objects')) {
    const names = strings(itemsOf(object) ?? []);
    if (kind !== undefined && names !== undefined) defineNamed(a, names, kind);
    else noteObject(a, objectName(type), nameIn(object));
  }
  if (text(body, 'behavior') === 'DROP_CASCADE') a.objects.add('option:cascade');
  return { verb: `drop_${objectName(type)}`, effects: ddl };
}

function rename(a: Analysis, body: Ast): Meaning {
  const type = text(body, 'renameType');
  if (!('relation' in body)) noteObject(a, objectName(type), nameIn(body.object) || text(body, 'subname'));
  return { verb: `rename_${objectName(type)}`, effects: ddl };
}

/** COMMENT ON, ALTER … OWNER TO and their kin: an object by its kind. */
function onObject(a: Analysis, body: Ast, verb: string, typeField: string): Meaning {
  const type = text(body, typeField);
  const object = child(body, 'object');
  const names = object === undefined ? undefined : strings(itemsOf(object) ?? []);
  const kind = relationObjects[type];
  if (kind !== undefined && names !== undefined && names.length > 0) defineNamed(a, names, kind);
  else if (type === 'OBJECT_COLUMN' && names !== undefined && names.length > 1) {
    defineNamed(a, names.slice(0, -1), 'unknown');
  } else if (object !== undefined) noteObject(a, objectName(type), nameIn(object));
  return { verb: `${verb}_${objectName(type)}`, effects: ddl };
}

function createFunction(a: Analysis, body: Ast): Meaning {
  const kind = flag(body, 'is_procedure') ? 'procedure' : 'function';
  noteObject(a, kind, nameIn(body.funcname));
  return { verb: `create_${kind}`, effects: ddl };
}

function define(a: Analysis, body: Ast): Meaning {
  const kind = objectName(text(body, 'kind'));
  noteObject(a, kind, nameIn(body.defnames));
  return { verb: `create_${kind}`, effects: ddl };
}

function grantStatement(a: Analysis, body: Ast): Meaning {
  const type = text(body, 'objtype');
  for (const object of list(body, 'objects')) {
    if (kindOf(object) === 'RangeVar') defineRelation(a, bodyOf(object), relationObjects[type] ?? 'unknown');
    else noteObject(a, objectName(type), nameIn(object));
  }
  for (const grantee of list(body, 'grantees')) noteObject(a, 'role', nameIn(bodyOf(grantee)));
  return { verb: flag(body, 'is_grant') ? 'grant' : 'revoke', effects: grant };
}

function grantRole(a: Analysis, body: Ast): Meaning {
  for (const role of list(body, 'granted_roles')) noteObject(a, 'role', text(bodyOf(role), 'priv_name'));
  for (const role of list(body, 'grantee_roles')) noteObject(a, 'role', nameIn(bodyOf(role)));
  return { verb: flag(body, 'is_grant') ? 'grant_role' : 'revoke_role', effects: grant };
}

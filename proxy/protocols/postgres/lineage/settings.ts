/**
 * Run-time settings that change what the rest of a session's statements mean, however they are changed.
 */
import type { Analysis } from './analysis.ts';
import { type Ast, bodyOf, child, constantText, emptyAst, kindOf, list, strings, text } from './ast.ts';
import type { Call } from './functions.ts';

/** Settings under which names resolve, or text is read, differently from what is assumed here. */
const meaning: ReadonlySet<string> = new Set([
  'search_path',
  'role',
  'session_authorization',
  'standard_conforming_strings',
  'backslash_quote',
  'escape_string_warning',
  'client_encoding',
  'transform_null_equals',
  'session_replication_role',
  'default_table_access_method',
  'array_nulls',
  'xmloption',
]);

/**
 * True when setting `name` to `value` may change what statements mean. `undefined`: back to the session's default.
 *
 * @param path - the schemas that names are looked up in, as the session was opened
 */
export function changesMeaning(name: string, value: string | undefined, path: readonly string[]): boolean {
  const setting = name.toLowerCase();
  if (!meaning.has(setting)) return false;
  if (value === undefined) return false;
  if (setting === 'search_path') return !keepsNames(value, path);
  if (setting === 'standard_conforming_strings') return value.toLowerCase() !== 'on';
  if (setting === 'client_encoding') return !['utf8', 'utf-8', 'unicode'].includes(value.toLowerCase());
  return setting !== 'escape_string_warning' && setting !== 'array_nulls' && setting !== 'xmloption';
}

/** The path as it is; or none, where a name means what it did or nothing at all. */
function keepsNames(value: string, path: readonly string[]): boolean {
  const schemas = value.split(',').map((schema) => schema.trim());
  if (schemas.length === 1 && ['', '""', 'pg_catalog'].includes(schemas[0] ?? '?')) return true;
  // Only names that mean themselves without quotes: anything else is not worth reading.
  if (!schemas.every((schema) => /^[a-z_][a-z0-9_]*$/.test(schema))) return false;
  const fixed = path[0] === 'pg_catalog' && schemas[0] !== 'pg_catalog' ? path.slice(1) : path;
  return schemas.length === fixed.length && schemas.every((schema, index) => schema === fixed[index]);
}

/** `set_config(name, value, local)` is SET in the shape of a function. */
export function noteSetting(a: Analysis, call: Call, args: readonly Ast[]): void {
  if (!call.candidates.some((each) => each.schema === 'pg_catalog' && each.name === 'set_config')) return;
  const name = literalText(args[0]) ?? a.settingNamed.get(bodyOf(args[0] ?? emptyAst));
  const value = literalText(args[1]);
  if (name === undefined) {
    a.incomplete.add('setting_unknown');
    return;
  }
  a.settings.push({ name, value, local: literalText(args[2]) === 'true' });
  if (changesMeaning(name, value ?? 'unknown', a.around.path)) {
    a.incomplete.add('setting_changes_meaning');
    a.changesCatalog = true;
  }
}

/**
 * `SELECT set_config(name, …) FROM pg_settings WHERE name = 'constant'`: how pg_dump changes a setting that not every
 * server has. The column is that constant wherever the call runs. No other shape is followed.
 */
export function noteSettingNames(a: Analysis, select: Ast): void {
  const [from, ...others] = list(select, 'fromClause');
  if (from === undefined || others.length > 0 || !isPgSettings(a, from)) return;
  const name = comparedName(child(select, 'whereClause'));
  if (name === undefined) return;
  for (const target of list(select, 'targetList')) {
    const call = child(bodyOf(target), 'val');
    const [argument] = call !== undefined && kindOf(call) === 'FuncCall' ? list(bodyOf(call), 'args') : [];
    if (argument !== undefined && isNameColumn(argument)) a.settingNamed.set(bodyOf(argument), name);
  }
}

function isPgSettings(a: Analysis, node: Ast): boolean {
  const body = bodyOf(node);
  if (kindOf(node) !== 'RangeVar' || text(body, 'relname') !== 'pg_settings' || child(body, 'alias') !== undefined)
    return false;
  const schema = text(body, 'schemaname') || a.around.path[0];
  return schema === 'pg_catalog';
}

/** The constant of `name = 'constant'`. */
function comparedName(node: Ast | undefined): string | undefined {
  if (node === undefined || kindOf(node) !== 'A_Expr') return undefined;
  const body = bodyOf(node);
  const operator = strings(list(body, 'name'));
  if (text(body, 'kind') !== 'AEXPR_OP' || operator?.length !== 1 || operator[0] !== '=') return undefined;
  const [left, right] = [child(body, 'lexpr'), child(body, 'rexpr')];
  return left !== undefined && isNameColumn(left) ? literalText(right) : undefined;
}

function isNameColumn(node: Ast): boolean {
  if (kindOf(node) !== 'ColumnRef') return false;
  const fields = strings(list(bodyOf(node), 'fields'));
  return fields?.length === 1 && fields[0] === 'name';
}

function literalText(node: Ast | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (kindOf(node) === 'A_Const') return constantText(node);
  if (kindOf(node) === 'TypeCast') return literalText(child(bodyOf(node), 'arg'));
  return undefined;
}

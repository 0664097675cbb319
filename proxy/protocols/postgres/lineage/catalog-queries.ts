/**
 * The questions the classifier asks an upstream about itself. Every name is qualified, every cell is text.
 *
 * What came with the server is asked about apart: it is most of the rows, and only a superuser who means to break
 * the server changes it. It has the object identifiers below 16384, whatever schema it is in.
 *
 * @see https://www.postgresql.org/docs/current/catalogs.html
 */

/** Which half of the catalog. */
export type Part = 'system' | 'user';

/** Makes `pg_get_viewdef` and `format_type` qualify every name outside pg_catalog. */
export const qualifyNames = `SET search_path TO ''`;

const systemSchemas = `('pg_catalog', 'information_schema')`;

/** Objects of one half, outside the schemas that belong to single sessions or to storage. */
function half(part: Part, oid: string, namespace: string): string {
  const which = part === 'system' ? '<' : '>=';
  return `${oid} ${which} 16384 AND ${namespace}.nspname !~ '^pg_(toast|temp_|toast_temp_)'`;
}

const relationKinds = `('r', 'p', 'v', 'm', 'f', 'S', 'c')`;

/** oid, schema, name, relkind, row type, has rules besides a view's own, view definition. */
export function relations(part: Part): string {
  return `SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltype,
  EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'D'),
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ${relationKinds} AND ${half(part, 'c.oid', 'n')}`;
}

/** relation, attnum, name, type, generated; in order. */
export function columns(part: Part): string {
  return `SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.attgenerated
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ${relationKinds} AND ${half(part, 'a.attrelid', 'n')}
ORDER BY a.attrelid, a.attnum`;
}

const dependencies = `pg_catalog.pg_depend d`;
const classOf = (catalog: string) => `'pg_catalog.${catalog}'::pg_catalog.regclass`;

/**
 * relation, attnum, attnum of a column it is computed from. The server keeps a dependency for each: of the expression
 * since PostgreSQL 15, of the column before.
 */
export const generated = `SELECT a.adrelid, a.adnum, d.refobjsubid
FROM pg_catalog.pg_attrdef a JOIN pg_catalog.pg_attribute g ON g.attrelid = a.adrelid AND g.attnum = a.adnum
JOIN ${dependencies} ON d.refclassid = ${classOf('pg_class')} AND d.refobjid = a.adrelid AND d.refobjsubid > 0
  AND d.refobjsubid <> a.adnum AND (d.classid = ${classOf('pg_attrdef')} AND d.objid = a.oid
    OR d.classid = ${classOf('pg_class')} AND d.objid = a.adrelid AND d.objsubid = a.adnum)
WHERE g.attgenerated <> ''`;

/** Referenced relation, referencing one whose rows change with it: foreign keys with CASCADE or SET. */
export const cascades = `SELECT DISTINCT confrelid, conrelid FROM pg_catalog.pg_constraint
WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))`;

/** child, parent. */
export const inheritance = `SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits ORDER BY inhrelid, inhseqno`;

/** oid, schema, name, kind, volatility, returns a set, defaults, variadic, result, argument types, all types, modes, names. */
export function functions(part: Part): string {
  return `SELECT p.oid, n.nspname, p.proname, p.prokind, p.provolatile, p.proretset, p.pronargdefaults, p.provariadic,
  p.prorettype, p.proargtypes, p.proallargtypes, p.proargmodes, p.proargnames
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE ${half(part, 'p.oid', 'n')}`;
}

/** oid, schema, name, kind, relation, base type, element, array, category. */
export function types(part: Part): string {
  return `SELECT t.oid, n.nspname, t.typname, t.typtype, t.typrelid, t.typbasetype, t.typelem, t.typarray, t.typcategory
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE ${half(part, 't.oid', 'n')}`;
}

/** schema, name, left, right, result, function schema, function name, function volatility. */
export function operators(part: Part): string {
  return `SELECT n.nspname, o.oprname, o.oprleft, o.oprright, o.oprresult, f.nspname, p.proname, p.provolatile
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode JOIN pg_catalog.pg_namespace f ON f.oid = p.pronamespace
WHERE ${half(part, 'o.oid', 'n')}`;
}

/** source, target, context, function schema, name, volatility; the function is empty where a cast needs none. */
export const casts = `SELECT c.castsource, c.casttarget, c.castcontext, coalesce(n.nspname, ''), coalesce(p.proname, ''),
  coalesce(p.provolatile, 'i')
FROM pg_catalog.pg_cast c LEFT JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace`;

/** What an object of a catalog depends on: a function, or the one behind an operator. */
function runsBy(catalog: string, object: string, filter = 'true'): string {
  return `JOIN ${dependencies} ON d.classid = ${classOf(catalog)} AND d.objid = ${object}
    AND d.refclassid IN (${classOf('pg_proc')}, ${classOf('pg_operator')}) AND ${filter}
  LEFT JOIN pg_catalog.pg_operator o ON d.refclassid = ${classOf('pg_operator')} AND o.oid = d.refobjid`;
}

const run = 'coalesce(o.oprcode::pg_catalog.oid, d.refobjid)';

/**
 * relation, `r` or `w`, function schema, name, volatility: what runs unnamed when rows are read (policies) or
 * written (triggers, policies, defaults, generated columns, checks, index expressions). The server records a
 * dependency on every function and operator it did not itself come with; triggers are listed whatever their function.
 */
export const hiddenFunctions = `SELECT x.relation, x.side, n.nspname, p.proname, p.provolatile FROM (
  SELECT t.tgrelid AS relation, 'w' AS side, t.tgfoid AS function
  FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
  UNION SELECT k.conrelid, 'w', ${run} FROM pg_catalog.pg_constraint k
    ${runsBy('pg_constraint', 'k.oid')} WHERE k.conrelid <> 0
  UNION SELECT a.adrelid, 'w', ${run} FROM pg_catalog.pg_attrdef a ${runsBy('pg_attrdef', 'a.oid')}
  UNION SELECT g.attrelid, 'w', ${run} FROM pg_catalog.pg_attribute g
    ${runsBy('pg_class', 'g.attrelid', 'd.objsubid = g.attnum')} WHERE g.attgenerated <> ''
  UNION SELECT i.indrelid, 'w', ${run} FROM pg_catalog.pg_index i ${runsBy('pg_class', 'i.indexrelid')}
  UNION SELECT l.polrelid, s.side, ${run} FROM pg_catalog.pg_policy l
    ${runsBy('pg_policy', 'l.oid')} CROSS JOIN (VALUES ('r'), ('w')) AS s (side)
) AS x JOIN pg_catalog.pg_proc p ON p.oid = x.function JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace`;

/** type, function schema, name, volatility: what runs when a value of a type is read from text or checked. */
export const typeFunctions = `SELECT t.oid, n.nspname, p.proname, p.provolatile
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_proc p ON p.oid = t.typinput
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname NOT IN ${systemSchemas}
UNION SELECT k.contypid, n.nspname, p.proname, p.provolatile
FROM pg_catalog.pg_constraint k ${runsBy('pg_constraint', 'k.oid')}
JOIN pg_catalog.pg_proc p ON p.oid = ${run} JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE k.contypid <> 0 AND n.nspname NOT IN ${systemSchemas}`;

/** schema, whether the login may use it: one that it may not is passed over on the search path. */
export const namespaces = `SELECT nspname, pg_catalog.has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace`;

function changes(catalog: string, key: string, oid: string, label: string, filter = 'true'): string {
  return `SELECT '${label}' AS catalog, pg_catalog.hashtext(${key} || ' ' || x.xmin::pg_catalog.text)::pg_catalog.int8 AS hash
FROM pg_catalog.${catalog} x WHERE ${oid} >= 16384 AND ${filter}`;
}

const key = 'x.oid::pg_catalog.text';
const lasting = (namespace: string) => `${namespace} IN (SELECT oid FROM n)`;
const ofRelation = (relation: string) => `${relation} IN (SELECT oid FROM c)`;

/**
 * Three cells a row that differ after any committed change to what the snapshot is made of: catalog, rows, sum.
 * Row versions (`xmin`) stand for contents. A collision of the sums would hide a change until the next one.
 * Temporary relations come and go unseen.
 */
export const fingerprint = `WITH n AS (
  SELECT oid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast|temp_|toast_temp_)'
), c AS (
  SELECT oid FROM pg_catalog.pg_class WHERE oid >= 16384 AND relkind IN ${relationKinds} AND relnamespace IN (SELECT oid FROM n)
), x AS (
${[
  changes('pg_class', key, 'x.oid', 'class', ofRelation('x.oid')),
  changes(
    'pg_attribute',
    `x.attrelid::pg_catalog.text || ' ' || x.attnum::pg_catalog.text`,
    'x.attrelid',
    'attribute',
    ofRelation('x.attrelid'),
  ),
  changes('pg_rewrite', key, 'x.oid', 'rewrite', ofRelation('x.ev_class')),
  changes('pg_trigger', key, 'x.oid', 'trigger', `NOT x.tgisinternal AND ${ofRelation('x.tgrelid')}`),
  changes('pg_policy', key, 'x.oid', 'policy', ofRelation('x.polrelid')),
  changes('pg_index', `x.indexrelid::pg_catalog.text`, 'x.indexrelid', 'index', ofRelation('x.indrelid')),
  changes('pg_attrdef', key, 'x.oid', 'default', ofRelation('x.adrelid')),
  changes('pg_constraint', key, 'x.oid', 'constraint', lasting('x.connamespace')),
  changes('pg_proc', key, 'x.oid', 'function', lasting('x.pronamespace')),
  changes('pg_type', key, 'x.oid', 'type', lasting('x.typnamespace')),
  changes('pg_operator', key, 'x.oid', 'operator', lasting('x.oprnamespace')),
  changes('pg_cast', key, 'x.oid', 'cast'),
  `SELECT 'inheritance', pg_catalog.hashtext(inhrelid::pg_catalog.text || ' ' || inhparent::pg_catalog.text)::pg_catalog.int8
FROM pg_catalog.pg_inherits`,
  `SELECT 'schema', pg_catalog.hashtext(nspname::pg_catalog.text
  || pg_catalog.has_schema_privilege(oid, 'USAGE')::pg_catalog.text)::pg_catalog.int8 FROM pg_catalog.pg_namespace
WHERE nspname !~ '^pg_(toast|temp_|toast_temp_)'`,
].join('\nUNION ALL ')}
) SELECT catalog, pg_catalog.count(*), pg_catalog.sum(hash) FROM x GROUP BY 1 ORDER BY 1`;

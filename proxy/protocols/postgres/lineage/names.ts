/**
 * The name PostgreSQL gives an output column that has none. It matters: outer queries refer to it.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/parser/parse_target.c (FigureColname)
 */
import { type Ast, bodyOf, child, kindOf, list, stringOf, text } from './ast.ts';

const fixed: Record<string, string> = {
  GroupingFunc: 'grouping',
  MergeSupportFunc: 'merge_action',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  CoalesceExpr: 'coalesce',
  XmlSerialize: 'xmlserialize',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonArrayAgg: 'json_arrayagg',
};

const byOperation: Record<string, Record<string, string>> = {
  MinMaxExpr: { IS_GREATEST: 'greatest', IS_LEAST: 'least' },
  XmlExpr: {
    IS_XMLCONCAT: 'xmlconcat',
    IS_XMLELEMENT: 'xmlelement',
    IS_XMLFOREST: 'xmlforest',
    IS_XMLPARSE: 'xmlparse',
    IS_XMLPI: 'xmlpi',
    IS_XMLROOT: 'xmlroot',
    IS_XMLSERIALIZE: 'xmlserialize',
  },
  JsonFuncExpr: { JSON_EXISTS_OP: 'json_exists', JSON_QUERY_OP: 'json_query', JSON_VALUE_OP: 'json_value' },
  SQLValueFunction: {
    SVFOP_CURRENT_DATE: 'current_date',
    SVFOP_CURRENT_TIME: 'current_time',
    SVFOP_CURRENT_TIME_N: 'current_time',
    SVFOP_CURRENT_TIMESTAMP: 'current_timestamp',
    SVFOP_CURRENT_TIMESTAMP_N: 'current_timestamp',
    SVFOP_LOCALTIME: 'localtime',
    SVFOP_LOCALTIME_N: 'localtime',
    SVFOP_LOCALTIMESTAMP: 'localtimestamp',
    SVFOP_LOCALTIMESTAMP_N: 'localtimestamp',
    SVFOP_CURRENT_ROLE: 'current_role',
    SVFOP_CURRENT_USER: 'current_user',
    SVFOP_USER: 'user',
    SVFOP_SESSION_USER: 'session_user',
    SVFOP_CURRENT_CATALOG: 'current_catalog',
    SVFOP_CURRENT_SCHEMA: 'current_schema',
  },
};

/** A name, and whether it is only a fallback (`weak`) that a cast may replace. */
interface Figured {
  readonly name: string;
  readonly weak: boolean;
}

const strong = (name: string): Figured => ({ name, weak: false });
const weak = (name: string): Figured => ({ name, weak: true });

/** @param subqueryNames - first output names of scalar subqueries that were already analysed. */
export function outputName(node: Ast, subqueryNames: ReadonlyMap<Ast, string>): string {
  return figure(node, subqueryNames)?.name ?? '?column?';
}

function lastString(nodes: readonly Ast[]): string | undefined {
  for (let index = nodes.length - 1; index >= 0; index--) {
    const found = stringOf(nodes[index]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function figure(node: Ast | undefined, names: ReadonlyMap<Ast, string>): Figured | undefined {
  if (node === undefined) return undefined;
  const kind = kindOf(node);
  const body = bodyOf(node);
  const always = fixed[kind];
  if (always !== undefined) return strong(always);
  const operations = byOperation[kind];
  if (operations !== undefined) {
    const name = operations[text(body, 'op')];
    return name === undefined ? undefined : strong(name);
  }
  switch (kind) {
    case 'ColumnRef': {
      const name = lastString(list(body, 'fields'));
      return name === undefined ? undefined : strong(name);
    }
    case 'A_Indirection': {
      const name = lastString(list(body, 'indirection'));
      return name === undefined ? figure(child(body, 'arg'), names) : strong(name);
    }
    case 'FuncCall': {
      const name = lastString(list(body, 'funcname'));
      return name === undefined ? undefined : strong(name);
    }
    case 'A_Expr':
      return text(body, 'kind') === 'AEXPR_NULLIF' ? strong('nullif') : undefined;
    case 'TypeCast':
      return figureCast(body, names);
    case 'CollateClause':
      return figure(child(body, 'arg'), names);
    case 'SubLink':
      return figureSubLink(body, names);
    case 'CaseExpr': {
      const inner = figure(child(body, 'defresult'), names);
      return inner === undefined || inner.weak ? weak('case') : inner;
    }
    default:
      return undefined;
  }
}

function figureCast(body: Ast, names: ReadonlyMap<Ast, string>): Figured | undefined {
  const inner = figure(child(body, 'arg'), names);
  if (inner !== undefined && !inner.weak) return inner;
  const type = child(body, 'typeName');
  const name = type === undefined ? undefined : lastString(list(type, 'names'));
  return name === undefined ? inner : weak(name);
}

function figureSubLink(body: Ast, names: ReadonlyMap<Ast, string>): Figured | undefined {
  switch (text(body, 'subLinkType')) {
    case 'EXISTS_SUBLINK':
      return strong('exists');
    case 'ARRAY_SUBLINK':
      return strong('array');
    case 'EXPR_SUBLINK': {
      const name = names.get(body);
      return name === undefined ? undefined : strong(name);
    }
    default:
      return undefined;
  }
}

/** True for a star: `*`, `t.*`, `(row).*`. */
export function isStar(nodes: readonly Ast[]): boolean {
  const last = nodes.at(-1);
  return last !== undefined && kindOf(last) === 'A_Star';
}

/**
 * One statement of a query string → its facts.
 */
import type { ClassifiedStatement, Control, Effect } from '../classification.ts';
import { Analysis, type Surroundings, TooComplex } from './analysis.ts';
import { type Ast, bodyOf, child, constantText, emptyAst, kindOf, list, number, text } from './ast.ts';
import { copy } from './copy.ts';
import { isCovered } from './coverage.ts';
import { definition, definitionKinds } from './definitions.ts';
import { explain } from './explain.ts';
import { commonFacts, outputColumns, sortEffects } from './finish.ts';
import { query } from './queries.ts';
import { nest } from './scope.ts';
import { intoRelation } from './stored-queries.ts';
import type { Token } from './tokens.ts';
import { resolveType } from './types.ts';
import { utility } from './utility.ts';
import type { Field } from './value.ts';

/** What a kind of statement says of itself; the rest is in the analysis. */
export interface Meaning {
  readonly verb: string;
  readonly effects: readonly Effect[];
  /** Columns of the result set. */
  readonly output?: readonly Field[] | undefined;
  readonly control?: Control;
  readonly limit?: number | undefined;
  /** Its body was not followed on purpose, so nodes that were not seen are no mistake. */
  readonly opaque?: boolean;
  /** Constants that are no expressions (counts, options, settings of the server's own) say nothing of any column. */
  readonly plainConstants?: boolean;
}

/** Where in the query string a statement is. */
export interface Place {
  readonly sql: Uint8Array;
  readonly tokens: readonly Token[];
  readonly start: number;
  readonly end: number;
}

/** Classifies one wrapped statement. Never throws for anything a client can send. */
export function classifyStatement(around: Surroundings, node: Ast, place: Place): ClassifiedStatement {
  const a = new Analysis(around);
  let meaning: Meaning;
  try {
    meaning = meaningOf(a, node, place);
    if (!meaning.opaque && !isCovered(a, node)) a.incomplete.add('unvisited_node');
  } catch (error) {
    if (!(error instanceof TooComplex)) throw error;
    a.incomplete.add('too_complex');
    meaning = { verb: verbOf(kindOf(node)), effects: ['utility'] };
  }
  return assemble(a, meaning, place);
}

function assemble(a: Analysis, meaning: Meaning, place: Place): ClassifiedStatement {
  const output = meaning.output === undefined ? undefined : outputColumns(a, meaning.output);
  return {
    verb: meaning.verb,
    effects: sortEffects([...meaning.effects, ...a.effects]),
    limit: meaning.limit,
    output,
    control: meaning.control ?? { type: 'none' },
    changesCatalog: a.changesCatalog,
    ...commonFacts(a, place, meaning.plainConstants === true),
  };
}

/** Dispatches on the kind of statement. */
export function meaningOf(a: Analysis, node: Ast, place: Place): Meaning {
  const kind = kindOf(node);
  const body = bodyOf(node);
  switch (kind) {
    case 'SelectStmt':
      return selectStatement(a, node, body);
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return modifyStatement(a, node, kind, body);
    case 'ExplainStmt':
      return explain(a, body, place);
    case 'CopyStmt':
      return copy(a, body);
    case 'PrepareStmt':
      return prepare(a, body, place);
    case 'DeclareCursorStmt':
      return declare(a, body, place);
    default: {
      a.step(body);
      if (definitionKinds.has(kind)) return definition(a, kind, body);
      const meaning = utility(a, kind, body, place);
      if (meaning !== undefined) return meaning;
      a.incomplete.add('unknown_statement');
      return { verb: verbOf(kind), effects: ['ddl'], opaque: true };
    }
  }
}

/** `AlterEnumStmt` → `alter_enum`. */
export function verbOf(kind: string): string {
  return kind
    .replace(/Stmt$/, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase();
}

function selectStatement(a: Analysis, node: Ast, body: Ast): Meaning {
  const fields = query(a, node, nest(undefined));
  const into = intoRelation(a, body, fields);
  if (into !== undefined) return into;
  return { ...selected(a, fields), verb: 'select', effects: ['select'], limit: constantLimit(body) };
}

/** Output columns of a query that returns them to the client. */
export function selected(a: Analysis, fields: readonly Field[]): { readonly output: readonly Field[] } {
  for (const { value } of fields) a.use(value, value.bare ? 'output' : 'derived');
  return { output: fields };
}

function constantLimit(body: Ast): number | undefined {
  const value = constantText(child(body, 'limitCount'));
  const limit = value === undefined || value === '' ? Number.NaN : Number(value);
  return Number.isSafeInteger(limit) && limit >= 0 ? limit : undefined;
}

const modifyVerbs: Record<string, 'insert' | 'update' | 'delete' | 'merge'> = {
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
};

function modifyStatement(a: Analysis, node: Ast, kind: string, body: Ast): Meaning {
  const fields = query(a, node, nest(undefined));
  const verb = modifyVerbs[kind] ?? 'update';
  const returns = 'returningClause' in body || list(body, 'returningList').length > 0;
  return { verb, effects: [verb], ...(returns ? selected(a, fields) : {}) };
}

/** PREPARE: the statement inside is classified on its own; what it will do is also what this says. */
function prepare(a: Analysis, body: Ast, place: Place): Meaning {
  const node = child(body, 'query') ?? emptyAst;
  const statement = classifyStatement(a.around, node, place);
  for (const type of list(body, 'argtypes')) {
    a.seen.add(bodyOf(type));
    resolveType(a, bodyOf(type));
  }
  // Once more into this analysis: preparing reveals whether names exist and is judged by the same facts.
  const inner = meaningOf(a, node, place);
  a.step(body);
  return {
    verb: 'prepare',
    effects: inner.effects,
    control: { type: 'prepare', name: text(body, 'name'), statement },
    ...(inner.opaque === undefined ? {} : { opaque: inner.opaque }),
  };
}

const holdOption = 0x20;
const binaryOption = 0x01;

function declare(a: Analysis, body: Ast, place: Place): Meaning {
  a.step(body);
  const node = child(body, 'query') ?? emptyAst;
  const inner = meaningOf(a, node, place);
  const options = number(body, 'options');
  // A binary cursor sends binary values where the client asked for text.
  if ((options & binaryOption) !== 0) a.incomplete.add('binary_cursor');
  return {
    ...inner,
    verb: 'declare_cursor',
    control: { type: 'declare', name: text(body, 'portalname'), hold: (options & holdOption) !== 0 },
  };
}

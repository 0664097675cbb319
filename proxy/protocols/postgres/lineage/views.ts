/**
 * What the columns of views come from, followed to the bottom.
 *
 * Conditions inside a view's definition are its owner's: they are not uses by the statement. What its columns
 * are made from is. A view that cannot be followed makes every statement that reads it incomplete.
 */
import { limits } from '../../../core/limits.ts';
import type { Parsed } from '../parser.ts';
import { Analysis, TooComplex } from './analysis.ts';
import { type Ast, child, emptyAst, isAst, kindOf, list } from './ast.ts';
import { isCovered } from './coverage.ts';
import { query } from './queries.ts';
import { nest } from './scope.ts';
import {
  ancestors,
  type ColumnFact,
  descendants,
  type FunctionName,
  type Relation,
  type Snapshot,
} from './snapshot.ts';
import type { Field, Value } from './value.ts';

/** A set of columns followed to the bottom. */
export interface Bottom {
  /** Columns of tables, foreign tables and sequences. */
  readonly base: ReadonlySet<ColumnFact>;
  /** Other names of the same values: view columns on the way, columns of inheritance parents, children and partitions. */
  readonly through: ReadonlySet<ColumnFact>;
  /** The value is that of one base column, unchanged. */
  readonly bare: boolean;
  readonly unknown: boolean;
}

/** A view, followed. */
export interface ViewFacts {
  readonly columns: ReadonlyMap<ColumnFact, Bottom>;
  /** Every relation under it, views included. */
  readonly relations: ReadonlySet<Relation>;
  /** Functions its definition runs. */
  readonly functions: readonly FunctionName[];
  /** It could not be followed. */
  readonly lost: boolean;
}

/** Parses a view's definition. */
export type ParseView = (sql: Uint8Array) => Parsed | Promise<Parsed>;

/** The views of one snapshot. Each is analysed when first needed. */
export class Views {
  readonly #snapshot: Snapshot;
  readonly #database: string;
  readonly #parse: ParseView;
  readonly #trees = new Map<Relation, Ast | undefined>();
  readonly #facts = new Map<Relation, ViewFacts>();
  readonly #bottoms = new Map<ColumnFact, Bottom>();
  readonly #open = new Set<Relation>();

  constructor(snapshot: Snapshot, database: string, parse: ParseView) {
    this.#snapshot = snapshot;
    this.#database = database;
    this.#parse = parse;
  }

  /** Parses what cannot be parsed synchronously later. */
  async prepare(): Promise<void> {
    for (const relation of this.#snapshot.relationByOid.values()) {
      if (relation.viewText === undefined || relation.viewText.length <= limits.parserInThreadBytesMax / 2) continue;
      this.#trees.set(relation, treeOf(await this.#parse(Buffer.from(relation.viewText))));
    }
  }

  /** Follows one column to the bottom. */
  bottom(column: ColumnFact): Bottom {
    let known = this.#bottoms.get(column);
    if (known === undefined) {
      known = column.relation.viewText === undefined ? ofTable(column) : this.#underView(column);
      this.#bottoms.set(column, known);
    }
    return known;
  }

  #underView(column: ColumnFact): Bottom {
    const under = this.facts(column.relation).columns.get(column);
    // System columns of materialized views say nothing of what is in them.
    if (under === undefined)
      return { base: new Set(), through: new Set([column]), bare: false, unknown: column.attnum > 0 };
    return { ...under, through: new Set([column, ...under.through]) };
  }

  /** Follows several columns. */
  bottomOf(value: Value): Bottom {
    const bottoms = [...value.columns].map((column) => this.bottom(column));
    return {
      base: new Set(bottoms.flatMap((each) => [...each.base])),
      through: new Set(bottoms.flatMap((each) => [...each.through])),
      bare: value.bare && bottoms.every((each) => each.bare),
      unknown: value.unknown || bottoms.some((each) => each.unknown),
    };
  }

  /** What a view reads. Only for relations with a definition. */
  facts(view: Relation): ViewFacts {
    const known = this.#facts.get(view);
    if (known !== undefined) return known;
    if (this.#open.has(view)) return lostView(view);
    this.#open.add(view);
    const facts = this.#analyse(view);
    this.#open.delete(view);
    this.#facts.set(view, facts);
    return facts;
  }

  #analyse(view: Relation): ViewFacts {
    const tree = this.#tree(view);
    if (tree === undefined) return lostView(view);
    const a = new Analysis({
      snapshot: this.#snapshot,
      views: this,
      // Definitions are asked for with an empty search path: every name outside pg_catalog is qualified.
      path: ['pg_catalog'],
      database: this.#database,
      steps: { left: limits.sqlLineageStepsMax },
    });
    let outputs: readonly Field[];
    try {
      outputs = query(a, tree, nest(undefined));
    } catch (error) {
      if (error instanceof TooComplex || error instanceof RangeError) return lostView(view);
      throw error;
    }
    const complete = a.incomplete.size === 0 && isCovered(a, tree) && outputs.length === view.columns.length;
    return complete ? this.#collect(a, view, outputs) : lostView(view);
  }

  #tree(view: Relation): Ast | undefined {
    if (!this.#trees.has(view)) {
      const parsed = this.#parse(Buffer.from(view.viewText ?? ''));
      this.#trees.set(view, parsed instanceof Promise ? undefined : treeOf(parsed));
    }
    return this.#trees.get(view);
  }

  #collect(a: Analysis, view: Relation, outputs: readonly Field[]): ViewFacts {
    const columns = new Map<ColumnFact, Bottom>();
    for (const [index, column] of view.columns.entries()) {
      const value = outputs[index]?.value;
      if (value !== undefined) columns.set(column, this.bottomOf(value));
    }
    const relations = new Set<Relation>();
    const functions = [...a.functions.values()];
    let lost = false;
    for (const relation of a.relations.keys()) {
      relations.add(relation);
      if (relation.viewText === undefined) continue;
      const inner = this.facts(relation);
      for (const each of inner.relations) relations.add(each);
      functions.push(...inner.functions);
      lost ||= inner.lost;
    }
    return { columns, relations, functions, lost };
  }
}

function lostView(view: Relation): ViewFacts {
  const nowhere: Bottom = { base: new Set(), through: new Set(), bare: false, unknown: true };
  const columns = new Map(view.columns.map((column) => [column, nowhere]));
  return { columns, relations: new Set(), functions: [], lost: true };
}

function treeOf(parsed: Parsed): Ast | undefined {
  if ('fault' in parsed || !isAst(parsed.tree)) return undefined;
  const statements = list(parsed.tree, 'stmts');
  const statement = child(statements[0] ?? emptyAst, 'stmt');
  return statements.length === 1 && statement !== undefined && kindOf(statement) === 'SelectStmt'
    ? statement
    : undefined;
}

/** A generated column is one of its own, and says what those say that it is computed from. */
function ofTable(column: ColumnFact): Bottom {
  return {
    base: new Set([column, ...column.sources]),
    through: new Set([column, ...column.sources].flatMap((each) => [...family(each)])),
    bare: column.sources.length === 0,
    unknown: false,
  };
}

/** The same column of inheritance parents, children and partitions: reading one may read the others' rows. */
function family(column: ColumnFact): ReadonlySet<ColumnFact> {
  const { relation } = column;
  if (relation.parents.length === 0 && relation.children.length === 0) return new Set();
  const found = new Set<ColumnFact>();
  for (const each of [...ancestors(relation), ...descendants(relation)]) {
    const same = each.byName.get(column.name);
    if (same !== undefined) found.add(same);
  }
  return found;
}

/**
 * What one statement's analysis has found so far. The walkers in this folder write into it; `finish.ts` reads it.
 */
import type { ColumnUse, Effect, SettingUse } from '../classification.ts';
import { type Ast, number } from './ast.ts';
import type { ColumnFact, FunctionName, Relation, Snapshot } from './snapshot.ts';
import { LiteralGroup, type Value } from './value.ts';
import type { Views } from './views.ts';

/** How the names of a statement are to be understood. */
export interface Surroundings {
  readonly snapshot: Snapshot;
  readonly views: Views;
  /** Schemas in search order, pg_catalog included. */
  readonly path: readonly string[];
  readonly database: string;
  /** Bound on expression nodes visited; shared by everything one query string makes us look at. */
  readonly steps: { left: number };
}

/** How a statement touches one relation. */
export interface RelationRecord {
  read: boolean;
  write: boolean;
  /** FOR UPDATE and its kin. */
  locked: boolean;
  define: boolean;
  wholeRow: boolean;
  /** The relation whose foreign key takes a write here. */
  cascadedFrom: Relation | undefined;
  /** Columns named, or meant by a star, whatever becomes of them. */
  readonly named: Set<ColumnFact>;
  readonly uses: Map<ColumnFact, Set<ColumnUse>>;
}

/** Thrown when a statement is too much work to follow; becomes `too_complex`. */
export class TooComplex extends Error {}

/** Uses that let an observer learn about a value without seeing it. */
const controlUses: ReadonlySet<ColumnUse> = new Set(['equality', 'predicate', 'order', 'group', 'join']);

/** The running record of one statement. */
export class Analysis {
  readonly around: Surroundings;
  readonly relations = new Map<Relation, RelationRecord>();
  /** Those that the statement names. */
  readonly namedRelations = new Set<Relation>();
  readonly functions = new Map<string, FunctionName>();
  /** What calls of `set_config` change. */
  readonly settings: SettingUse[] = [];
  readonly objects = new Set<string>();
  readonly incomplete = new Set<string>();
  readonly effects = new Set<Effect>();
  readonly literals: { readonly location: number; readonly group: LiteralGroup }[] = [];
  readonly parameters = new Map<number, LiteralGroup>();
  /** Bodies of nodes that were accounted for. */
  readonly seen = new Set<Ast>();
  /** Output names of scalar subqueries, which name the column they make. */
  readonly subqueryNames = new Map<Ast, string>();
  /** Columns that stand for the name of one setting wherever they are read. */
  readonly settingNamed = new Map<Ast, string>();
  /** `undefined` until there is an UPDATE or DELETE; then whether every one of them has a WHERE that restricts. */
  everyWriteRestricted: boolean | undefined;
  changesCatalog = false;
  readonly #collectors: Set<ColumnFact>[] = [];

  constructor(around: Surroundings) {
    this.around = around;
  }

  get snapshot(): Snapshot {
    return this.around.snapshot;
  }

  /** Counts one unit of work. @throws TooComplex */
  step(body: Ast): void {
    this.seen.add(body);
    if (--this.around.steps.left < 0) throw new TooComplex();
  }

  /** Counts columns that were made at once: stars over joins of joins multiply. @throws TooComplex */
  spend(units: number): void {
    this.around.steps.left -= units;
    if (this.around.steps.left < 0) throw new TooComplex();
  }

  record(relation: Relation): RelationRecord {
    let record = this.relations.get(relation);
    if (record === undefined) {
      record = {
        read: false,
        write: false,
        locked: false,
        define: false,
        wholeRow: false,
        cascadedFrom: undefined,
        named: new Set(),
        uses: new Map(),
      };
      this.relations.set(relation, record);
    }
    return record;
  }

  /** A column is named by the statement. */
  name(columns: Iterable<ColumnFact>): void {
    for (const column of columns) this.record(column.relation).named.add(column);
  }

  /** A value is used. */
  use(value: Value, use: ColumnUse): void {
    const control = controlUses.has(use);
    for (const column of value.columns) {
      const uses = this.record(column.relation).uses;
      const known = uses.get(column);
      if (known === undefined) uses.set(column, new Set([use]));
      else known.add(use);
      if (control) for (const collector of this.#collectors) collector.add(column);
    }
  }

  /** Runs `task` and returns with its result every column it tested, sorted or grouped by. */
  collecting<Result>(task: () => Result): { readonly result: Result; readonly tested: ReadonlySet<ColumnFact> } {
    const tested = new Set<ColumnFact>();
    this.#collectors.push(tested);
    try {
      return { result: task(), tested };
    } finally {
      this.#collectors.pop();
    }
  }

  /** A function runs. */
  call(name: FunctionName): void {
    const key = `${name.schema}.${name.name}`;
    const known = this.functions.get(key);
    // Overloads share an entry: the one with the most freedom stands for all.
    if (known === undefined || freedom(name) > freedom(known)) this.functions.set(key, name);
  }

  /** A constant at a byte offset. */
  literal(body: Ast): LiteralGroup {
    const group = new LiteralGroup();
    this.literals.push({ location: number(body, 'location'), group });
    return group;
  }

  /** A parameter; every occurrence is one group. */
  parameter(index: number): LiteralGroup {
    let group = this.parameters.get(index);
    if (group === undefined) {
      group = new LiteralGroup();
      this.parameters.set(index, group);
    }
    return group;
  }

  /** An UPDATE or DELETE was met. */
  noteWrite(restricted: boolean): void {
    this.everyWriteRestricted = (this.everyWriteRestricted ?? true) && restricted;
  }
}

function freedom(name: FunctionName): number {
  return ['immutable', 'stable', 'volatile', 'unknown'].indexOf(name.volatility);
}

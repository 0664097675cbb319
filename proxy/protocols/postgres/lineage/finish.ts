/**
 * What an analysis found → the facts of `classification.ts`, with every view followed to the bottom.
 */
import type {
  BaseColumn,
  ClassifiedStatement,
  ColumnUse,
  Effect,
  Literal,
  OutputColumn,
  RelationUse,
} from '../classification.ts';
import type { Analysis, RelationRecord } from './analysis.ts';
import { ancestors, type ColumnFact, descendants, type Relation } from './snapshot.ts';
import type { Place } from './statements.ts';
import { type Token, wordEnd } from './tokens.ts';
import type { Field, LiteralGroup } from './value.ts';

/** Strongest first. */
const strength: readonly Effect[] = [
  'ddl',
  'grant',
  'truncate',
  'delete',
  'merge',
  'update',
  'insert',
  'copy',
  'call',
  'set',
  'utility',
  'listen',
  'select',
  'explain',
  'transaction',
];

/** Relatives of one relation that are listed; a table with more partitions has the rest in `OutputColumn.through` only. */
const relativesMax = 100;

/** Effects in order, each once. */
export function sortEffects(effects: Iterable<Effect>): Effect[] {
  return [...new Set(effects)].sort((one, other) => strength.indexOf(one) - strength.indexOf(other));
}

/** A column as facts name it. */
export function baseColumn(column: ColumnFact): BaseColumn {
  return { schema: column.relation.schema, relation: column.relation.name, column: column.name };
}

function named(columns: Iterable<ColumnFact>): BaseColumn[] {
  return [...columns].map(baseColumn);
}

/** Output columns, followed to the bottom. */
export function outputColumns(a: Analysis, fields: readonly Field[]): OutputColumn[] {
  return fields.map(({ name, value }) => {
    const bottom = a.around.views.bottomOf(value);
    return {
      name,
      from: named(bottom.base),
      through: named(bottom.through),
      exact: bottom.bare && bottom.base.size === 1 && !bottom.unknown,
      unknown: bottom.unknown,
    };
  });
}

/** Collects relation facts under their name and the way they were reached. */
class RelationFacts {
  readonly #entries = new Map<
    string,
    {
      relation: Relation;
      via: string;
      read: boolean;
      write: boolean;
      define: boolean;
      wholeRow: boolean;
      columns: Map<string, Set<ColumnUse>>;
    }
  >();

  entry(relation: Relation, via: string) {
    const key = JSON.stringify([relation.schema, relation.name, via]);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { relation, via, read: false, write: false, define: false, wholeRow: false, columns: new Map() };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  add(column: ColumnFact, via: string, uses: Iterable<ColumnUse>): void {
    const { columns } = this.entry(column.relation, via);
    let known = columns.get(column.name);
    if (known === undefined) {
      known = new Set();
      columns.set(column.name, known);
    }
    for (const use of uses) known.add(use);
  }

  result(): RelationUse[] {
    return [...this.#entries.values()].map((entry) => ({
      schema: entry.relation.schema,
      name: entry.relation.name,
      kind: entry.relation.kind === 'composite' ? 'unknown' : entry.relation.kind,
      access: entry.define ? 'define' : entry.write ? (entry.read ? 'read_write' : 'write') : 'read',
      via: entry.via,
      columns: [...entry.columns].map(([name, uses]) => ({ name, uses: [...uses].sort() })),
      wholeRow: entry.wholeRow,
    }));
  }
}

/** Relation facts of everything the statement names, and of what lies behind it. */
export function relationUses(a: Analysis): RelationUse[] {
  const facts = new RelationFacts();
  for (const [relation, record] of a.relations) {
    if (relation.kind === 'composite') continue;
    const { cascadedFrom: from } = record;
    const reached = from === undefined || a.namedRelations.has(relation) ? '' : `${from.schema}.${from.name}`;
    copyAccess(facts.entry(relation, reached), record);
    for (const column of record.named) facts.add(column, reached, []);
    for (const [column, uses] of record.uses) facts.add(column, reached, uses);
    for (const [column, uses] of ofSources(record)) facts.add(column, reached, uses);
    const via = `${relation.schema}.${relation.name}`;
    if (relation.viewText === undefined) relatives(facts, relation, record, via);
    else underView(a, facts, relation, record, via);
  }
  return facts.result();
}

function copyAccess(
  entry: { read: boolean; write: boolean; define: boolean; wholeRow: boolean },
  record: RelationRecord,
): void {
  entry.read ||= record.read;
  entry.write ||= record.write || record.locked;
  entry.define ||= record.define;
  entry.wholeRow ||= record.wholeRow;
}

/** Parents, children and partitions hold or share the rows: labels on them count. */
function relatives(facts: RelationFacts, relation: Relation, record: RelationRecord, via: string): void {
  const family = [...ancestors(relation), ...descendants(relation)].slice(0, relativesMax);
  for (const relative of family) {
    copyAccess(facts.entry(relative, via), record);
    const share = (column: ColumnFact, uses: Iterable<ColumnUse>) => {
      const same = relative.byName.get(column.name);
      if (same !== undefined) facts.add(same, via, uses);
    };
    for (const column of record.named) share(column, []);
    for (const [column, uses] of record.uses) share(column, uses);
    for (const [column, uses] of ofSources(record)) share(column, uses);
  }
}

/**
 * What the uses of generated columns are for the columns that those are computed from. To hand one out is to hand out
 * these: whatever masks them hides it whole.
 */
function ofSources(record: RelationRecord): [ColumnFact, ColumnUse[]][] {
  const mapped = (use: ColumnUse) => (use === 'output' ? use : throughView(use, false));
  return [...record.uses].flatMap(([column, uses]) =>
    column.sources.map((source): [ColumnFact, ColumnUse[]] => [source, [...uses].map(mapped)]),
  );
}

function underView(a: Analysis, facts: RelationFacts, view: Relation, record: RelationRecord, via: string): void {
  const under = a.around.views.facts(view);
  if (under.lost) a.incomplete.add('view_unresolved');
  for (const name of under.functions) a.call(name);
  for (const relation of under.relations) {
    const entry = facts.entry(relation, via);
    entry.read = true;
    if (!record.write) continue;
    // Which of the relations under a view a write ends in is for the server to say: any of them.
    entry.write = true;
    if (relation.hasRules) a.incomplete.add('rule_on_relation');
    for (const hidden of relation.hidden) a.call(hidden.name);
  }
  const followed: [ColumnFact, Iterable<ColumnUse>][] = [...record.uses];
  for (const column of record.named) if (!record.uses.has(column)) followed.push([column, []]);
  for (const [column, uses] of followed) {
    const bottom = a.around.views.bottom(column);
    const mapped = [...uses].map((use) => throughView(use, bottom.bare));
    for (const each of bottom.base) facts.add(each, via, mapped);
    for (const each of bottom.through) if (each.relation !== view) facts.add(each, via, mapped);
  }
}

/** What a use of a view's column is for what that column is made of. */
function throughView(use: ColumnUse, bare: boolean): ColumnUse {
  if (bare) return use;
  if (use === 'output') return 'derived';
  return use === 'equality' || use === 'join' ? 'predicate' : use;
}

function meets(a: Analysis, groups: readonly LiteralGroup[]): readonly BaseColumn[] | 'unknown' {
  const columns = new Set<ColumnFact>();
  for (const group of groups) {
    const root = group.find();
    if (root.unknown) return 'unknown';
    for (const column of root.columns) {
      const bottom = a.around.views.bottom(column);
      if (bottom.unknown) return 'unknown';
      for (const each of bottom.base) columns.add(each);
      for (const each of bottom.through) columns.add(each);
    }
  }
  return named(columns);
}

/**
 * Which constants of a statement met which columns. One that the analysis knows nothing of met anything, unless the
 * kind of statement says otherwise (`plain`).
 */
export function literalFacts(a: Analysis, { sql, tokens, start, end }: Place, plain: boolean): Literal[] {
  const within = tokens.filter((token) => token.start >= start && token.start < end);
  const found = new Map<number, { token: Token; groups: LiteralGroup[] }>();
  for (const { location, group } of a.literals) {
    if (location < 0) continue;
    const token = tokenAt(sql, within, location);
    if (token === undefined) return [{ start, end, meets: 'unknown' }];
    const known = found.get(token.end);
    if (known === undefined) found.set(token.end, { token, groups: [group] });
    else known.groups.push(group);
  }
  const literals: Literal[] = [];
  for (const { token, groups } of found.values()) {
    literals.push({ start: token.start, end: token.end, meets: meets(a, groups) });
  }
  for (const token of within) if (!found.has(token.end)) literals.push({ ...token, meets: plain ? [] : 'unknown' });
  return literals.sort((one, other) => one.start - other.start);
}

/** The constant at the place the tree gives: a token, a sign in front of one, or a word. */
function tokenAt(sql: Uint8Array, tokens: readonly Token[], location: number): Token | undefined {
  let low = 0;
  let high = tokens.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tokens[middle]?.end ?? 0) <= location) low = middle + 1;
    else high = middle;
  }
  const token = tokens[low];
  if (token !== undefined && token.start <= location) return token;
  const byte = sql[location];
  if ((byte === 0x2d || byte === 0x2b) && token !== undefined) return { start: location, end: token.end };
  const end = wordEnd(sql, location);
  return end > location ? { start: location, end } : undefined;
}

/** Facts that do not depend on what kind of statement it is. */
export function commonFacts(
  a: Analysis,
  place: Place,
  plain: boolean,
): Pick<
  ClassifiedStatement,
  | 'functions'
  | 'relations'
  | 'objects'
  | 'settings'
  | 'start'
  | 'end'
  | 'literals'
  | 'parameters'
  | 'incomplete'
  | 'hasWhere'
> {
  // First: following views adds functions and reasons of incompleteness.
  const relations = relationUses(a);
  const parameters = new Map([...a.parameters].map(([index, group]) => [index, meets(a, [group])] as const));
  return {
    relations,
    functions: [...a.functions.values()].map(({ schema, name, volatility }) => ({ schema, name, volatility })),
    objects: [...a.objects],
    settings: a.settings,
    start: place.start,
    end: place.end,
    literals: literalFacts(a, place, plain),
    parameters,
    incomplete: [...a.incomplete].sort(),
    hasWhere: a.everyWriteRestricted,
  };
}

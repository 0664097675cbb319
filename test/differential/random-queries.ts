/**
 * Random queries over a small schema, typed so that most of them run. Repeatable: the same seed makes the same ones.
 *
 * The schema has the tables `p (id int, name text, secret text)` and `q (id int, p_id int, note text)`, and the view
 * `v (id, shown, hidden)` over `p`.
 */

/** A source of numbers from 0 to `below - 1`. */
export type Pick = (below: number) => number;

/** A small, fast generator (mulberry32). */
export function seeded(seed: number): Pick {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

type Kind = 'text' | 'int';
interface Column {
  readonly name: string;
  readonly kind: Kind;
}
interface Entry {
  readonly alias: string;
  readonly columns: readonly Column[];
}

/** Columns named `c1`, `c2`, … of a query, all of the kinds asked for. */
interface Made {
  readonly sql: string;
  readonly columns: readonly Column[];
}

const tables: Record<string, readonly Column[]> = {
  p: [
    { name: 'id', kind: 'int' },
    { name: 'name', kind: 'text' },
    { name: 'secret', kind: 'text' },
  ],
  q: [
    { name: 'id', kind: 'int' },
    { name: 'p_id', kind: 'int' },
    { name: 'note', kind: 'text' },
  ],
  v: [
    { name: 'id', kind: 'int' },
    { name: 'shown', kind: 'text' },
    { name: 'hidden', kind: 'text' },
  ],
};

/** Makes one query. */
export function randomQuery(pick: Pick): string {
  return new Maker(pick).query(3, []).sql;
}

class Maker {
  readonly #pick: Pick;
  #names = 0;

  constructor(pick: Pick) {
    this.#pick = pick;
  }

  #one<Item>(items: readonly Item[]): Item {
    const item = items[this.#pick(items.length)];
    if (item === undefined) throw new RangeError('nothing to choose from');
    return item;
  }

  #often(percent: number): boolean {
    return this.#pick(100) < percent;
  }

  #name(): string {
    return `t${++this.#names}`;
  }

  query(depth: number, outer: readonly Entry[], kinds?: readonly Kind[]): Made {
    const wanted = kinds ?? Array.from({ length: 1 + this.#pick(3) }, () => this.#one<Kind>(['text', 'int']));
    const choice = this.#pick(100);
    if (depth > 0 && choice < 10) return this.#union(depth, outer, wanted);
    if (depth > 0 && choice < 18) return this.#with(depth, outer, wanted);
    return this.#select(depth, outer, wanted);
  }

  #union(depth: number, outer: readonly Entry[], kinds: readonly Kind[]): Made {
    const operator = this.#one(['UNION ALL', 'UNION ALL', 'UNION', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL']);
    const left = this.query(depth - 1, outer, kinds);
    const right = this.query(depth - 1, outer, kinds);
    return { sql: `(${left.sql}) ${operator} (${right.sql})`, columns: left.columns };
  }

  #with(depth: number, outer: readonly Entry[], kinds: readonly Kind[]): Made {
    const name = this.#name();
    const inner = this.query(depth - 1, outer);
    const made = this.#select(depth - 1, outer, kinds, [{ sql: name, columns: inner.columns }]);
    const materialized = this.#one(['', ' MATERIALIZED', ' NOT MATERIALIZED']);
    return { sql: `WITH ${name} AS${materialized} (${inner.sql}) ${made.sql}`, columns: made.columns };
  }

  #select(
    depth: number,
    outer: readonly Entry[],
    kinds: readonly Kind[],
    sources: readonly { sql: string; columns: readonly Column[] }[] = [],
  ): Made {
    const { sql: from, entries } = this.#from(depth, outer, sources);
    const scope = [...entries, ...outer];
    const grouped = this.#often(15);
    const columns = kinds.map((kind, index) => ({ name: `c${index + 1}`, kind }));
    const targets = columns.map(({ name, kind }) => {
      const value = grouped ? this.#aggregate(kind, depth, scope) : this.#expression(kind, depth, scope);
      return `${value} AS ${name}`;
    });
    const parts = [`SELECT ${!grouped && this.#often(8) ? 'DISTINCT ' : ''}${targets.join(', ')} FROM ${from}`];
    if (this.#often(40)) parts.push(`WHERE ${this.#condition(depth, scope)}`);
    if (grouped && this.#often(60)) parts.push(`GROUP BY ${this.#column(this.#one<Kind>(['int', 'text']), entries)}`);
    if (grouped && this.#often(20)) parts.push(`HAVING ${this.#aggregate('int', depth, scope)} > 1`);
    if (this.#often(20)) parts.push(`ORDER BY ${columns.map((_, index) => index + 1).join(', ')}`);
    if (this.#often(15)) parts.push(`LIMIT ${this.#pick(4)}`);
    return { sql: parts.join(' '), columns };
  }

  #from(
    depth: number,
    outer: readonly Entry[],
    sources: readonly { sql: string; columns: readonly Column[] }[],
  ): { sql: string; entries: Entry[] } {
    const entries: Entry[] = [];
    let sql = '';
    const count = 1 + (this.#often(40) ? 1 : 0) + (this.#often(15) ? 1 : 0);
    for (let at = 0; at < count; at++) {
      const alias = this.#name();
      const source = this.#source(depth, [...entries, ...outer], outer, sources[at]);
      entries.push({ alias, columns: source.columns });
      const entry = `${source.sql} AS ${alias}`;
      if (at === 0) sql = entry;
      else if (this.#often(40)) sql = `${sql}, ${entry}`;
      else {
        const kind = source.sql.startsWith('LATERAL') ? 'LEFT JOIN' : this.#one(['JOIN', 'LEFT JOIN', 'FULL JOIN']);
        const key = `${this.#column('int', entries.slice(0, -1))} = ${this.#column('int', entries.slice(-1))}`;
        sql = `${sql} ${kind} ${entry} ON ${kind === 'FULL JOIN' || this.#often(70) ? key : this.#condition(0, entries)}`;
      }
    }
    return { sql, entries };
  }

  #source(
    depth: number,
    lateral: readonly Entry[],
    outer: readonly Entry[],
    given: { sql: string; columns: readonly Column[] } | undefined,
  ): { sql: string; columns: readonly Column[] } {
    if (given !== undefined) return given;
    const choice = this.#pick(100);
    if (depth > 0 && choice < 20) {
      const inner = this.query(depth - 1, outer);
      return { sql: `(${inner.sql})`, columns: inner.columns };
    }
    if (depth > 0 && choice < 30 && lateral.length > 0) {
      const inner = this.query(depth - 1, lateral);
      return { sql: `LATERAL (${inner.sql})`, columns: inner.columns };
    }
    if (choice < 36 && lateral.length > 0) {
      const made = [
        { name: 'c1', kind: 'text' as const },
        { name: 'c2', kind: 'int' as const },
      ];
      return {
        sql: `LATERAL (SELECT x AS c1, n::int AS c2 FROM string_to_table(${this.#expression('text', 0, lateral)}, 'a') WITH ORDINALITY AS s (x, n))`,
        columns: made,
      };
    }
    const name = this.#one(Object.keys(tables));
    return { sql: name, columns: tables[name] ?? [] };
  }

  #column(kind: Kind, scope: readonly Entry[]): string {
    const found = scope.flatMap(({ alias, columns }) =>
      columns.filter((column) => column.kind === kind).map((column) => `${alias}.${column.name}`),
    );
    if (found.length === 0) return kind === 'int' ? String(this.#pick(5)) : `'${this.#one(['a', 'b', 'x'])}'`;
    return this.#one(found);
  }

  #row(scope: readonly Entry[]): string {
    return this.#one(scope).alias;
  }

  #aggregate(kind: Kind, depth: number, scope: readonly Entry[]): string {
    const filter = this.#often(25) ? ` FILTER (WHERE ${this.#condition(0, scope)})` : '';
    const distinct = this.#often(15) ? 'DISTINCT ' : '';
    if (kind === 'int') {
      const call = this.#one([
        'count(*)',
        `count(${distinct}${this.#expression('text', 0, scope)})`,
        `sum(${this.#expression('int', 0, scope)})`,
        `max(length(${this.#expression('text', 0, scope)}))`,
      ]);
      return `(${call}${filter})::int`;
    }
    const call = this.#one([
      `min(${this.#expression('text', depth > 0 ? 1 : 0, scope)})`,
      `string_agg(${this.#expression('text', 0, scope)}, ',' ORDER BY ${this.#expression('text', 0, scope)})`,
      `array_agg(${this.#column('text', scope)} ORDER BY ${this.#column('int', scope)})`,
      `json_agg(${this.#row(scope)} ORDER BY ${this.#column('int', scope)})`,
    ]);
    return `(${call}${filter})::text`;
  }

  #expression(kind: Kind, depth: number, scope: readonly Entry[]): string {
    if (this.#often(45)) return this.#column(kind, scope);
    return kind === 'int' ? this.#int(depth, scope) : this.#text(depth, scope);
  }

  #int(depth: number, scope: readonly Entry[]): string {
    const less = Math.max(0, depth - 1);
    switch (this.#pick(depth > 0 ? 8 : 4)) {
      case 0:
        return String(this.#pick(9));
      case 1:
        return `length(${this.#expression('text', less, scope)})`;
      case 2:
        return `coalesce(${this.#column('int', scope)}, ${this.#pick(3)})`;
      case 3:
        return `(${this.#column('int', scope)} + ${this.#pick(3)})`;
      case 4:
        return `(CASE WHEN ${this.#condition(less, scope)} THEN ${this.#column('int', scope)} ELSE ${this.#pick(3)} END)`;
      case 5:
        return `(SELECT count(*)::int FROM (${this.query(less, scope).sql}) AS ${this.#name()})`;
      case 6:
        return `(row_number() OVER (PARTITION BY ${this.#column('int', scope)} ORDER BY ${this.#expression('text', 0, scope)}))::int`;
      default:
        return `(SELECT max(c1) FROM (${this.query(less, scope, ['int']).sql}) AS ${this.#name()})`;
    }
  }

  #text(depth: number, scope: readonly Entry[]): string {
    const less = Math.max(0, depth - 1);
    switch (this.#pick(depth > 0 ? 11 : 6)) {
      case 0:
        return `'${this.#one(['a', 'b', 'lorem'])}'`;
      case 1:
        return `(${this.#column('text', scope)} || ${this.#expression('text', 0, scope)})`;
      case 2:
        return `upper(${this.#column('text', scope)})`;
      case 3:
        return `left(${this.#column('text', scope)}, ${this.#expression('int', 0, scope)})`;
      case 4:
        return `(${this.#row(scope)})::text`;
      case 5:
        return `to_jsonb(${this.#row(scope)})::text`;
      case 6:
        return `(CASE WHEN ${this.#condition(less, scope)} THEN ${this.#column('text', scope)} ELSE 'no' END)`;
      case 7:
        return `(SELECT min(c1) FROM (${this.query(less, scope, ['text']).sql}) AS ${this.#name()})`;
      case 8:
        return `coalesce(nullif(${this.#column('text', scope)}, 'a'), ${this.#expression('text', less, scope)})`;
      case 9:
        return `(lag(${this.#column('text', scope)}) OVER (ORDER BY ${this.#expression('int', 0, scope)}, ${this.#column('int', scope)}))`;
      default:
        return `(EXISTS (${this.query(less, scope).sql}))::text`;
    }
  }

  #condition(depth: number, scope: readonly Entry[]): string {
    const less = Math.max(0, depth - 1);
    switch (this.#pick(depth > 0 ? 9 : 6)) {
      case 0:
        return `${this.#expression('int', less, scope)} ${this.#one(['=', '<', '>=', '<>'])} ${this.#pick(5)}`;
      case 1:
        return `${this.#expression('text', less, scope)} LIKE '%a%'`;
      case 2:
        return `${this.#column('text', scope)} = '${this.#one(['alpha', 'a', 'b1'])}'`;
      case 3:
        return `${this.#column('text', scope)} IS NOT NULL`;
      case 4:
        return `${this.#column('int', scope)} IN (1, 2, 4)`;
      case 5:
        return `${this.#column('text', scope)} < ${this.#column('text', scope)}`;
      case 6:
        return `(${this.#condition(less, scope)} ${this.#one(['AND', 'OR'])} NOT ${this.#condition(less, scope)})`;
      case 7:
        return `EXISTS (${this.query(less, scope).sql})`;
      default:
        return `${this.#expression('int', 0, scope)} IN (${this.query(less, scope, ['int']).sql})`;
    }
  }
}

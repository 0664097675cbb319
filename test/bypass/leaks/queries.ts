/** Random SELECTs. */
import { condition, constant, expression, type Scope, type Visible } from './expressions.ts';
import type { Random } from './random.ts';
import { type Column, type Kind, tables } from './schema.ts';

/** A query and what comes out of it. */
export interface Query {
  readonly sql: string;
  readonly columns: readonly Column[];
}

interface Item {
  readonly sql: string;
  readonly alias: string;
  readonly columns: readonly Column[];
}

/** How far a query may go. */
export interface Reach {
  readonly depth: number;
  /** How likely a labelled column is used where it may not be. */
  readonly daring: number;
  /** Queries of a WITH list that may be named. */
  readonly common: readonly Item[];
  /** Columns of outer queries. */
  readonly outer: readonly Visible[];
}

/** What can always be sorted by. */
const noColumn: Column = { name: '1', kind: 'int', type: 'int', labelled: false };

/** Makes queries; counts the aliases it gives. */
export class Queries {
  readonly #random: Random;
  #aliases = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A SELECT, perhaps with WITH and set operations. */
  query(reach: Reach): Query {
    const random = this.#random;
    if (reach.depth > 0 && random.chance(0.15)) return this.#withCommon(reach);
    if (reach.depth > 0 && random.chance(0.12)) return this.#setOperation(reach);
    if (random.chance(0.03)) return this.#values(reach);
    return this.#select(reach);
  }

  /** Columns of one FROM item, as they are written. */
  visible(item: { readonly alias: string; readonly columns: readonly Column[] }): Visible[] {
    return item.columns.map(({ name, kind, labelled }) => ({ sql: `${item.alias}.${name}`, kind, labelled }));
  }

  scope(items: readonly Item[], reach: Reach): Scope {
    return {
      columns: [...items.flatMap((item) => this.visible(item)), ...reach.outer],
      rows: items.map(({ alias, columns }) => ({ sql: alias, labelled: columns.some(({ labelled }) => labelled) })),
      depth: reach.depth,
      daring: reach.daring,
      subquery: (kind, scope) => this.#scalar(kind, scope, reach),
    };
  }

  #alias(): string {
    this.#aliases += 1;
    return `a${this.#aliases}`;
  }

  #select(reach: Reach): Query {
    const random = this.#random;
    const from = this.#from(reach);
    const scope = this.scope(from.items, reach);
    const grouped = random.chance(0.18);
    const { targets, columns, keys } = grouped ? this.#grouped(scope) : this.#targets(from.items, scope, reach);
    const parts = [`SELECT ${this.#distinct(scope, columns)}${targets.join(', ')}`, `FROM ${from.sql}`];
    if (random.chance(0.5)) parts.push(`WHERE ${condition(random, { ...scope, depth: Math.min(scope.depth, 2) })}`);
    if (keys.length > 0) parts.push(`GROUP BY ${this.#groupBy(keys)}`);
    if (grouped && random.chance(0.3)) parts.push(`HAVING count(*) > ${random.int(0, 2)}`);
    if (targets.some((target) => target.includes('OVER w'))) {
      parts.push(`WINDOW w AS (ORDER BY ${expression(random, 'int', { ...scope, depth: 0 })})`);
    }
    return { sql: `${parts.join(' ')}${this.#tail(scope, columns)}`, columns };
  }

  /** ORDER BY, LIMIT and their kin. */
  #tail(scope: Scope, columns: readonly Column[]): string {
    const random = this.#random;
    let tail = '';
    const orderable = columns.flatMap((column, index) => (sortable(column) && !column.labelled ? [index + 1] : []));
    if (random.chance(0.3)) {
      const key = random.make(
        () => (orderable.length > 0 ? String(random.pick(orderable)) : '1'),
        () => expression(random, random.pick(['int', 'text', 'date']), { ...scope, depth: 1 }),
        () =>
          random.pick(columns.filter((column) => !column.labelled || random.chance(scope.daring)).concat(noColumn))
            .name,
      );
      tail += ` ORDER BY ${key}${random.pick(['', ' DESC', ' NULLS FIRST'])}`;
    }
    if (random.chance(0.2))
      tail += ` LIMIT ${random.make(
        () => String(random.int(0, 5)),
        () => `(SELECT ${random.int(1, 4)})`,
      )}`;
    if (random.chance(0.05)) tail += ` OFFSET ${random.int(0, 3)}`;
    return tail;
  }

  #distinct(scope: Scope, columns: readonly Column[]): string {
    const random = this.#random;
    if (random.chance(0.9)) return '';
    if (columns.some(({ labelled, kind }) => labelled || kind === 'other') && !random.chance(scope.daring)) return '';
    return random.chance(0.7) ? 'DISTINCT ' : `DISTINCT ON (${expression(random, 'int', { ...scope, depth: 0 })}) `;
  }

  #targets(
    items: readonly Item[],
    scope: Scope,
    reach: Reach,
  ): { targets: string[]; columns: Column[]; keys: string[] } {
    const random = this.#random;
    const item = random.pick(items);
    if (random.chance(0.06)) {
      return {
        targets: [`${item.alias}.*`],
        columns: [...item.columns],
        keys: [],
      };
    }
    const targets: string[] = [];
    const columns: Column[] = [];
    for (const { sql, column } of random.many(1, 4, () => this.#target(item, scope, reach))) {
      const name = random.chance(0.8) ? `c${columns.length + 1}` : column.name;
      targets.push(`${sql} AS ${name}`);
      columns.push({ ...column, name });
    }
    return { targets, columns, keys: [] };
  }

  /** Bare columns mostly: labelled ones among them come back masked. */
  #target(item: Item, scope: Scope, reach: Reach): { sql: string; column: Column } {
    const random = this.#random;
    const kind = random.pick<Kind>(['int', 'text', 'text', 'date', 'numeric', 'json', 'texts']);
    if (random.chance(0.55)) {
      const column = random.pick(item.columns);
      const sql = random.make(
        () => `${item.alias}.${column.name}`,
        () => `(${item.alias}).${column.name}`,
        () => `${item.alias}.${column.name}`,
      );
      return { sql, column };
    }
    if (random.chance(0.04) && random.chance(reach.daring * 3)) {
      return { sql: item.alias, column: { name: 'whole', kind: 'other', type: 'record', labelled: true } };
    }
    const deep = { ...scope, depth: Math.min(scope.depth, 3) };
    const made = (sql: string, of: Kind) => ({ sql, column: { name: 'made', kind: of, type: of, labelled: false } });
    if (random.chance(0.85)) return made(`(${expression(random, kind, deep)})`, kind);
    const flat = { ...scope, depth: 0 };
    return random.make(
      () => made(`(rank() OVER (ORDER BY ${expression(random, 'int', flat)}))::integer`, 'int'),
      () =>
        made(
          `sum(${expression(random, 'int', flat)}) OVER (PARTITION BY ${expression(random, 'text', flat)})`,
          'numeric',
        ),
      () => made(`lag(${expression(random, 'text', flat)}) OVER (ORDER BY ${expression(random, 'int', flat)})`, 'text'),
      () => made(`first_value(${expression(random, 'date', flat)}) OVER w`, 'date'),
    );
  }

  #grouped(scope: Scope): { targets: string[]; columns: Column[]; keys: string[] } {
    const random = this.#random;
    const flat = { ...scope, depth: 0 };
    const keyKind = random.pick<Kind>(['int', 'text', 'date']);
    const key = expression(random, keyKind, flat);
    const aggregate = random.make(
      () => 'count(*)',
      () => `count(DISTINCT ${expression(random, 'text', flat)})`,
      () => `string_agg(${expression(random, 'text', flat)}, '|' ORDER BY ${expression(random, 'int', flat)})`,
      () => `array_agg(${expression(random, 'int', flat)} ORDER BY ${expression(random, 'int', flat)})`,
      () => `jsonb_agg(${expression(random, 'text', flat)} ORDER BY ${expression(random, 'int', flat)})`,
      () => `max(${expression(random, random.pick<Kind>(['int', 'text', 'date']), { ...scope, depth: 1 })})`,
      () => `sum(${expression(random, 'int', flat)}) FILTER (WHERE ${condition(random, flat)})`,
      () => `mode() WITHIN GROUP (ORDER BY ${expression(random, 'text', flat)})`,
    );
    const columns: Column[] = [
      { name: 'g', kind: keyKind, type: keyKind, labelled: false },
      { name: 'n', kind: 'other', type: 'text', labelled: false },
    ];
    // A constant key would be taken for the number of an output column.
    return { targets: [`${key} AS g`, `${aggregate} AS n`], columns, keys: /^[a-z]/.test(key) ? [key] : ['g'] };
  }

  #groupBy(keys: readonly string[]): string {
    const list = keys.join(', ');
    return this.#random.make(
      () => list,
      () => list,
      () => '1',
      () => `ROLLUP (${list})`,
      () => `GROUPING SETS ((${list}), ())`,
      () => `CUBE (${list})`,
    );
  }

  // --- FROM -------------------------------------------------------------------------------------------

  #from(reach: Reach): { sql: string; items: Item[] } {
    const random = this.#random;
    const first = this.#item(reach, []);
    const items = [first];
    let sql = first.sql;
    while (items.length < 3 && random.chance(0.35)) {
      const next = this.#item(reach, items);
      sql = this.#join(sql, items, next, reach);
      items.push(next);
    }
    return { sql, items };
  }

  #join(left: string, items: readonly Item[], next: Item, reach: Reach): string {
    const random = this.#random;
    const other = random.pick(items);
    const lateral = next.sql.startsWith('LATERAL');
    const shared = other.columns.filter(
      (column) =>
        next.columns.some(({ name, kind }) => name === column.name && kind === column.kind) && sortable(column),
    );
    const harmless = shared.filter(({ labelled }) => !labelled || random.chance(reach.daring));
    const on = () => {
      const one = this.#columnOf(other, 'int', reach);
      const two = this.#columnOf(next, 'int', reach);
      return one === undefined || two === undefined ? 'true' : `${one} = ${two}`;
    };
    return random.make(
      () => `${left}, ${next.sql}`,
      () => `${left} CROSS JOIN ${next.sql}`,
      () => `${left} JOIN ${next.sql} ON ${on()}`,
      () => `${left} LEFT JOIN ${next.sql} ON ${on()}`,
      () =>
        lateral ? `${left}, ${next.sql}` : `${left} ${random.pick(['RIGHT', 'FULL'])} JOIN ${next.sql} ON ${on()}`,
      () =>
        items.length === 1 && harmless.length > 0
          ? `${left} JOIN ${next.sql} USING (${random.pick(harmless).name})`
          : `${left}, ${next.sql}`,
      () => (random.chance(reach.daring) && !lateral ? `${left} NATURAL JOIN ${next.sql}` : `${left}, ${next.sql}`),
    );
  }

  #columnOf(item: Item, kind: Kind, reach: Reach): string | undefined {
    const labelled = this.#random.chance(reach.daring);
    const found = item.columns.filter((column) => column.kind === kind && column.labelled === labelled);
    return found.length === 0 ? undefined : `${item.alias}.${this.#random.pick(found).name}`;
  }

  #item(reach: Reach, before: readonly Item[]): Item {
    const random = this.#random;
    const alias = this.#alias();
    if (reach.common.length > 0 && random.chance(0.6)) {
      const common = random.pick(reach.common);
      return { sql: `${common.alias} AS ${alias}`, alias, columns: common.columns };
    }
    if (reach.depth > 0 && random.chance(0.22)) return this.#subquery(reach, before, alias);
    if (random.chance(0.12)) return this.#function(reach, before, alias);
    const table = random.pick(tables);
    const sample = random.chance(0.03) ? ' TABLESAMPLE bernoulli (100) REPEATABLE (1)' : '';
    const only = random.chance(0.05) && !table.name.startsWith('v_') ? 'ONLY ' : '';
    return {
      sql: `${only}${table.name} AS ${alias}${/^[vm]_/.test(table.name) ? '' : sample}`,
      alias,
      columns: table.columns,
    };
  }

  #subquery(reach: Reach, before: readonly Item[], alias: string): Item {
    const lateral = before.length > 0 && this.#random.chance(0.6);
    const outer = lateral ? before.flatMap((item) => this.visible(item)) : reach.outer;
    const inner = this.query({ ...reach, depth: reach.depth - 1, outer });
    return { sql: `${lateral ? 'LATERAL ' : ''}(${inner.sql}) AS ${alias}`, alias, columns: inner.columns };
  }

  /** Functions that make rows; their arguments may be columns of what stands before them. */
  #function(reach: Reach, before: readonly Item[], alias: string): Item {
    const random = this.#random;
    const scope = { ...this.scope(before, reach), depth: 1 };
    const column = (name: string, kind: Kind): Column => ({ name, kind, type: kind, labelled: false });
    const made = random.make<[string, Column[]]>(
      () => [
        `generate_series(1, least(${expression(random, 'int', scope)}, 200)) AS ${alias}(s)`,
        [column('s', 'int')],
      ],
      () => [`unnest(${expression(random, 'texts', scope)}) AS ${alias}(u)`, [column('u', 'text')]],
      () => [`string_to_table(${expression(random, 'text', scope)}, NULL) AS ${alias}(u)`, [column('u', 'text')]],
      () => [`regexp_split_to_table(${expression(random, 'text', scope)}, '') AS ${alias}(u)`, [column('u', 'text')]],
      () => [
        `jsonb_each_text(${expression(random, 'json', scope)}) AS ${alias}(k, v)`,
        [column('k', 'text'), column('v', 'text')],
      ],
      () => [
        `JSON_TABLE(${expression(random, 'json', scope)}, '$.k[*]' COLUMNS (o FOR ORDINALITY, v text PATH '$')) AS ${alias}`,
        [column('o', 'int'), column('v', 'text')],
      ],
      () => [`upper(${expression(random, 'text', scope)}) AS ${alias}(u)`, [column('u', 'text')]],
      () => [
        `ROWS FROM (generate_series(1, 3), unnest(${expression(random, 'texts', scope)})) WITH ORDINALITY AS ${alias}(s, u, o)`,
        [column('s', 'int'), column('u', 'text')],
      ],
    );
    return { sql: made[0], alias, columns: made[1] };
  }

  // --- WITH, set operations, VALUES --------------------------------------------------------------------

  #withCommon(reach: Reach): Query {
    const random = this.#random;
    const inner = { ...reach, depth: reach.depth - 1 };
    const alias = `w${this.#alias()}`;
    if (random.chance(0.2)) return this.#recursive(inner, alias);
    const common = this.query(inner);
    const how = random.pick(['', '', 'MATERIALIZED ', 'NOT MATERIALIZED ']);
    const item: Item = { sql: alias, alias, columns: common.columns };
    const main = this.#select({ ...inner, common: [...reach.common, item] });
    return { sql: `WITH ${alias} AS ${how}(${common.sql}) ${main.sql}`, columns: main.columns };
  }

  #recursive(reach: Reach, alias: string): Query {
    const random = this.#random;
    const start = random.pick(tables.filter(({ columns }) => columns.some(({ name }) => name === 'id')));
    const all = random.chance(0.5) ? ' ALL' : '';
    const value = expression(random, 'text', {
      ...this.scope([], reach),
      columns: this.visible({ alias: 's', columns: start.columns }),
      depth: 0,
    });
    const item: Item = {
      sql: alias,
      alias,
      columns: [
        { name: 'id', kind: 'int', type: 'int', labelled: false },
        { name: 'v', kind: 'text', type: 'text', labelled: false },
      ],
    };
    const main = this.#select({ ...reach, common: [item] });
    const sql = `WITH RECURSIVE ${alias}(id, v) AS (SELECT s.id, (${value})::text FROM ${start.name} s WHERE s.id < 4
      UNION${all} SELECT r.id + 1, r.v FROM ${alias} r WHERE r.id < 6) ${main.sql}`;
    return { sql, columns: main.columns };
  }

  #setOperation(reach: Reach): Query {
    const random = this.#random;
    const inner = { ...reach, depth: reach.depth - 1 };
    const left = this.#select(inner);
    const operator = random.pick(['UNION ALL', 'UNION ALL', 'UNION', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL']);
    const arms = left.columns.map((column) => this.#likeColumn(column));
    const right = random.chance(0.5) ? `SELECT ${arms.join(', ')}` : `VALUES (${arms.join(', ')})`;
    return { sql: `(${left.sql}) ${operator} ${right}`, columns: left.columns };
  }

  #likeColumn(column: Column): string {
    if (column.kind === 'other' || this.#random.chance(0.2)) return 'NULL';
    return constant(this.#random, column.kind);
  }

  #values(reach: Reach): Query {
    const scope = { ...this.scope([], reach), depth: 1 };
    const rows = this.#random.many(
      1,
      3,
      () => `(${expression(this.#random, 'int', scope)}, ${expression(this.#random, 'text', scope)})`,
    );
    return {
      sql: `VALUES ${rows.join(', ')}`,
      columns: [
        { name: 'column1', kind: 'int', type: 'int', labelled: false },
        { name: 'column2', kind: 'text', type: 'text', labelled: false },
      ],
    };
  }

  /** A subquery of one column and at most one row. */
  #scalar(kind: Kind, scope: Scope, reach: Reach): string {
    const random = this.#random;
    const item = this.#item({ ...reach, depth: 0, outer: scope.columns }, []);
    const inner = {
      ...this.scope([item], reach),
      columns: [...this.visible(item), ...scope.columns],
      depth: scope.depth - 1,
    };
    const where = random.chance(0.5) ? ` WHERE ${condition(random, { ...inner, depth: 0 })}` : '';
    return `(SELECT ${expression(random, kind, inner)} FROM ${item.sql}${where} LIMIT 1)`;
  }
}

function sortable({ kind }: Column): boolean {
  return kind !== 'other' && kind !== 'json';
}

/** Random statements: queries, changes to working data, COPY, EXPLAIN, settings and the catalog. */

import { dare } from './dares.ts';
import { condition, constant, expression, type Scope } from './expressions.ts';
import { Queries, type Query, type Reach } from './queries.ts';
import type { Random } from './random.ts';
import { type Column, tables } from './schema.ts';

const catalog = [
  'SELECT relname, relkind FROM pg_class WHERE relnamespace = 2200 ORDER BY 1',
  `SELECT attname, atttypid FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0 ORDER BY attnum`,
  `SELECT * FROM information_schema.columns WHERE table_name = 'people' ORDER BY ordinal_position`,
  `SELECT pg_get_viewdef('v_made'::regclass), pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'people'::regclass`,
  `SELECT histogram_bounds, most_common_vals FROM pg_stats WHERE tablename = 'people'`,
  `SELECT stavalues1 FROM pg_statistic WHERE starelid = 'people'::regclass`,
  `SELECT relpages, reltuples FROM pg_class WHERE oid = 'people'::regclass`,
  `SELECT pg_relation_size('people'), pg_total_relation_size('visits')`,
  `SELECT n_distinct, correlation FROM pg_stats`,
  `SELECT has_table_privilege('people', 'SELECT'), to_regclass('people')::text, obj_description('people'::regclass)`,
  'SELECT name, statement FROM pg_prepared_statements ORDER BY 1',
  'SELECT name, statement FROM pg_cursors ORDER BY 1',
  `SELECT query FROM pg_stat_activity`,
  `SELECT query_to_xml('SELECT * FROM people', true, true, '')`,
  `SELECT table_to_xml('people', true, true, '')`,
  `SELECT * FROM ts_stat('SELECT to_tsvector(name) FROM people')`,
  `SELECT * FROM vault`,
  `SELECT count(*) FROM vault`,
  `SELECT ctid, tableoid::regclass FROM people ORDER BY id`,
  `SELECT currval('scratch.notes_id_seq')`,
  `SELECT * FROM pg_sequences`,
  `SELECT last_value FROM scratch.notes_id_seq`,
];

const settings = [
  'SHOW TimeZone',
  `SET TimeZone TO 'UTC'`,
  `SET DateStyle TO 'ISO, DMY'`,
  `SET bytea_output TO 'escape'`,
  'SET extra_float_digits TO 0',
  `SET client_min_messages TO 'log'`,
  'RESET client_min_messages',
  `SET search_path TO 'scratch'`,
  `SET search_path TO ''; RESET search_path`,
  `SELECT set_config('search_path', 'scratch', false)`,
  'SET ROLE postgres',
  'SELECT 1 FROM nowhere',
  'SELECT nothing FROM people',
  'SELEC 1',
  `SELECT 'x'::integer`,
  'SELECT 1/0',
];

/** Makes statements. */
export class Statements {
  readonly queries: Queries;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    this.queries = new Queries(random);
  }

  /** Most dare nothing, so that they get through; the others try one thing or two. */
  reach(): Reach {
    const daring = this.#random.pick([0, 0, 0, 0, 0, 0, 0.15]);
    return { depth: this.#random.int(0, 3), daring, common: [], outer: [] };
  }

  query(): Query {
    return this.queries.query(this.reach());
  }

  /** Any statement that needs no data of the client. */
  any(): string {
    const random = this.#random;
    if (random.chance(0.3)) return dare(random, this.queries);
    const sort = random.next();
    if (sort < 0.66) return this.query().sql;
    if (sort < 0.82) return this.change();
    if (sort < 0.87) return this.copyOut();
    if (sort < 0.92) return this.explain();
    if (sort < 0.96) return random.pick(catalog);
    return random.pick(settings);
  }

  copyOut(): string {
    const random = this.#random;
    const options = random.pick([
      '',
      ' (FORMAT csv)',
      ' (FORMAT csv, HEADER, FORCE_QUOTE *)',
      ` (FORMAT csv, QUOTE '~', ESCAPE '!', DELIMITER ';')`,
      ` (DELIMITER '|', NULL 'null')`,
      ' (FORMAT binary)',
      ` (ENCODING 'LATIN1')`,
      ' (FORMAT text, HEADER true)',
    ]);
    if (random.chance(0.7)) return `COPY (${this.query().sql}) TO STDOUT${options}`;
    const table = random.pick(tables);
    const columns = random.many(1, 3, () => random.pick(table.columns).name);
    return `COPY ${table.name}${random.chance(0.5) ? ` (${[...new Set(columns)].join(', ')})` : ''} TO STDOUT${options}`;
  }

  explain(): string {
    const options = this.#random.pick([
      '',
      ' ANALYZE',
      ' VERBOSE',
      ' (COSTS OFF, VERBOSE)',
      ' (ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF)',
      ' (FORMAT json, COSTS OFF)',
      ' (GENERIC_PLAN, COSTS OFF)',
      ' (ANALYZE, SERIALIZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF)',
    ]);
    // Times and memory are never the same twice.
    const safe = options.includes('ANALYZE') && !options.includes('OFF') ? ' (COSTS OFF)' : options;
    return `EXPLAIN${safe} ${this.#random.chance(0.8) ? this.query().sql : this.change()}`;
  }

  /** INSERT, UPDATE, DELETE or MERGE of working data. */
  change(): string {
    const random = this.#random;
    const reach = { ...this.reach(), depth: random.int(0, 1) };
    const table = random.pick(tables.filter(({ columns }) => columns.some(({ name }) => name === 'id')));
    const source = { alias: 's', columns: table.columns, sql: `${table.name} AS s` };
    const scope = { ...this.queries.scope([source], reach), depth: random.int(0, 1) };
    return random.make(
      () => `INSERT INTO scratch.notes (k, t) SELECT ${expression(random, 'int', scope)}, ${expression(random, 'text', scope)}
        FROM ${source.sql} LIMIT 2${this.#returning('notes', reach)}`,
      () =>
        `INSERT INTO scratch.notes (k, t, d) VALUES (${constant(random, 'int')}, ${constant(random, 'text')}, DEFAULT)${this.#returning('notes', reach)}`,
      () => `INSERT INTO scratch.contacts (id, city, phone) VALUES (${random.int(1, 12)}, 'Rome', 'none')
        ON CONFLICT (id) DO UPDATE SET city = ${random.pick(['excluded.city', 'contacts.phone', 'excluded.phone', "'x'"])}${this.#returning('contacts', reach)}`,
      () => `UPDATE scratch.notes n SET t = ${expression(random, 'text', scope)} FROM ${source.sql}
        WHERE n.id = s.id AND ${condition(random, scope)}${this.#returning('n', reach)}`,
      () =>
        `UPDATE scratch.contacts SET city = ${random.pick(["'Bonn'", 'city', 'phone', 'upper(phone)'])} WHERE id = ${random.int(1, 9)}${this.#returning('contacts', reach)}`,
      () =>
        `DELETE FROM scratch.notes n USING ${source.sql} WHERE n.id = s.id AND n.id > 5 AND ${condition(random, scope)}${this.#returning('n', reach)}`,
      () => `MERGE INTO scratch.notes n USING ${source.sql} ON n.id = s.id
        WHEN MATCHED AND ${condition(random, scope)} THEN UPDATE SET t = ${expression(random, 'text', scope)}
        WHEN NOT MATCHED THEN DO NOTHING${random.chance(0.3) ? ' RETURNING merge_action(), n.id' : ''}`,
      () =>
        `WITH gone AS (DELETE FROM scratch.notes WHERE id = ${random.int(1, 9)} RETURNING id, t) ${this.#from('gone', reach)}`,
      () => `WITH made AS (INSERT INTO scratch.notes (k) SELECT ${expression(random, 'int', scope)} FROM ${source.sql}
        WHERE ${condition(random, scope)} LIMIT 1 RETURNING k) SELECT count(*) FROM made`,
    );
  }

  #from(alias: string, reach: Reach): string {
    const columns: Column[] = [
      { name: 'id', kind: 'int', type: 'int', labelled: false },
      { name: 't', kind: 'text', type: 'text', labelled: false },
    ];
    const inner = this.queries.query({ ...reach, depth: 0, common: [{ sql: alias, alias, columns }] });
    return inner.sql;
  }

  #returning(alias: string, reach: Reach): string {
    const random = this.#random;
    if (random.chance(0.5)) return '';
    const table = tables.find(({ name }) => name === (alias === 'contacts' ? 'scratch.contacts' : 'scratch.notes'));
    const scope: Scope = {
      ...this.queries.scope([{ alias, columns: table?.columns ?? [], sql: '' }], reach),
      depth: 1,
    };
    return ` RETURNING ${random.make(
      () => '*',
      () => `${alias}.id`,
      () => expression(random, 'text', scope),
      () => (alias === 'contacts' ? 'phone' : 'old.t, new.t'),
    )}`;
  }
}

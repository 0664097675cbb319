/** Random expressions over the columns that are in scope. */
import type { Random } from './random.ts';
import type { Kind } from './schema.ts';

/** A column that may be named. */
export interface Visible {
  readonly sql: string;
  readonly kind: Kind;
  readonly labelled: boolean;
}

/** What an expression may use. */
export interface Scope {
  readonly columns: readonly Visible[];
  /** Names of whole rows, and whether anything in them is labelled. */
  readonly rows: readonly { readonly sql: string; readonly labelled: boolean }[];
  /** How much deeper it may go. */
  readonly depth: number;
  /** How likely a labelled column is used where one of its kind could be. */
  readonly daring: number;
  /** Makes a scalar subquery of a kind. */
  readonly subquery: (kind: Kind, scope: Scope) => string;
}

type Make = (random: Random, scope: Scope) => string;

/** An expression of a kind. */
export function expression(random: Random, kind: Kind, scope: Scope): string {
  if (scope.depth <= 0 || random.chance(0.3)) return leaf(random, kind, scope);
  const inner: Scope = { ...scope, depth: scope.depth - 1 };
  if (random.chance(0.08)) return scope.subquery(kind, inner);
  if (random.chance(0.08)) return flow(random, kind, inner);
  return random.pick(makers[kind])(random, inner);
}

/** A column, or a constant. */
function leaf(random: Random, kind: Kind, scope: Scope): string {
  const labelled = random.chance(scope.daring);
  const found = scope.columns.filter((column) => column.kind === kind && column.labelled === labelled);
  return found.length > 0 && random.chance(0.85) ? random.pick(found).sql : constant(random, kind);
}

const texts = ['', 'a', 'word3', 'Oslo', 'kiosk', 'note1', 'red', 'x%', '%k%', 'item2', '12'];

/** A constant of a kind, never one that is labelled. */
export function constant(random: Random, kind: Kind): string {
  switch (kind) {
    case 'int':
      return String(random.pick([0, 1, 2, 3, 5, 7, 10, 42, -1, 1000]));
    case 'text':
      return `'${random.pick(texts)}'`;
    case 'date':
      return `date '20${random.int(20, 26)}-0${random.int(1, 9)}-1${random.int(0, 9)}'`;
    case 'numeric':
      return `${random.int(0, 99)}.5`;
    case 'json':
      return `'{"n": ${random.int(0, 9)}, "k": ["a"]}'::jsonb`;
    case 'texts':
      return `ARRAY['red', 'blue${random.int(0, 2)}']`;
    default:
      return 'NULL';
  }
}

function flow(random: Random, kind: Kind, scope: Scope): string {
  const of = () => expression(random, kind, scope);
  return random.make(
    () => `CASE WHEN ${condition(random, scope)} THEN ${of()} ELSE ${of()} END`,
    () => `coalesce(${of()}, ${of()})`,
    () => `nullif(${of()}, ${of()})`,
    () => `greatest(${of()}, ${of()})`,
    () => `(VALUES (${of()}))`,
    () => `(SELECT ${random.pick(['max', 'min'])}(${of()}))`,
    () => `(ARRAY[${of()}, ${of()}])[${expression(random, 'int', scope)}]`,
  );
}

const int: Make = (random, scope) => expression(random, 'int', scope);
const text: Make = (random, scope) => expression(random, 'text', scope);
const date: Make = (random, scope) => expression(random, 'date', scope);
const numeric: Make = (random, scope) => expression(random, 'numeric', scope);
const json: Make = (random, scope) => expression(random, 'json', scope);
const array: Make = (random, scope) => expression(random, 'texts', scope);

/** A whole row that is in scope, as JSON or text can be made of it. */
function row(random: Random, scope: Scope): string {
  const labelled = random.chance(scope.daring);
  const found = scope.rows.filter((each) => each.labelled === labelled);
  return found.length > 0 ? random.pick(found).sql : 'ROW(1, 2)';
}

const makers: Readonly<Record<Kind, readonly Make[]>> = {
  int: [
    (r, s) => `(${int(r, s)} ${r.pick(['+', '-', '*', '/', '%', '&', '#', '<<'])} ${int(r, s)})`,
    (r, s) => `length(${text(r, s)})`,
    (r, s) => `ascii(${text(r, s)})`,
    (r, s) => `position(${text(r, s)} IN ${text(r, s)})`,
    (r, s) => `abs(${int(r, s)})`,
    (r, s) => `extract(${r.pick(['year', 'month', 'doy'])} FROM ${date(r, s)})::integer`,
    (r, s) => `cardinality(${array(r, s)})`,
    (r, s) => `hashtext(${text(r, s)})`,
    (r, s) => `(${date(r, s)} - ${date(r, s)})`,
    (r, s) => `(${json(r, s)} ->> 'n')::integer`,
    (r, s) => `${text(r, s)}::integer`,
    (r, s) => `width_bucket(${int(r, s)}, 0, 100, 10)`,
    (r, s) => `pg_column_size(${row(r, s)})`,
    (r, s) => `octet_length(${text(r, s)})`,
    (r, s) => `round(${numeric(r, s)})::integer`,
    (r, s) => `jsonb_array_length(${json(r, s)} -> 'k')`,
  ],
  text: [
    (r, s) => `(${text(r, s)} || ${text(r, s)})`,
    (r, s) => `${r.pick(['upper', 'lower', 'reverse', 'md5', 'initcap', 'quote_literal', 'trim'])}(${text(r, s)})`,
    (r, s) => `substr(${text(r, s)}, ${int(r, s)})`,
    (r, s) => `left(${text(r, s)}, ${r.int(1, 6)})`,
    (r, s) => `replace(${text(r, s)}, ${text(r, s)}, '')`,
    (r, s) => `split_part(${text(r, s)}, '@', 1)`,
    (r, s) => `${int(r, s)}::text`,
    (r, s) => `${date(r, s)}::text`,
    (r, s) => `to_char(${date(r, s)}, 'YYYY-MM')`,
    (r, s) => `format('%s/%s', ${text(r, s)}, ${int(r, s)})`,
    (r, s) => `concat_ws('-', ${text(r, s)}, ${numeric(r, s)})`,
    (r, s) => `(${json(r, s)} ->> ${text(r, s)})`,
    (r, s) => `array_to_string(${array(r, s)}, ',')`,
    (r, s) => `(${array(r, s)})[${int(r, s)}]`,
    (r, s) => `encode(convert_to(${text(r, s)}, 'UTF8'), ${r.pick(["'hex'", "'base64'"])})`,
    (r, s) => `(${row(r, s)})::text`,
    (r, s) => `regexp_replace(${text(r, s)}, 'a', 'b')`,
    (r, s) => `translate(${text(r, s)}, 'abc', 'xyz')`,
    (r, s) => `(${text(r, s)} COLLATE "C")`,
    (r, s) => `xmlelement(name x, ${text(r, s)})::text`,
    (r, s) => `jsonb_path_query_first(${json(r, s)}, '$.k[0]')::text`,
  ],
  date: [
    (r, s) => `(${date(r, s)} + ${int(r, s)})`,
    (r, s) => `date_trunc('month', ${date(r, s)})::date`,
    (r, s) => `${text(r, s)}::date`,
    (r, s) => `make_date(2020, ${int(r, s)}, 1)`,
  ],
  numeric: [
    (r, s) => `(${numeric(r, s)} ${r.pick(['+', '*', '/'])} ${int(r, s)})`,
    (r, s) => `${int(r, s)}::numeric`,
    (r, s) => `sqrt(${numeric(r, s)})`,
    (r, s) => `round(${numeric(r, s)}, 1)`,
  ],
  json: [
    (r, s) => `to_jsonb(${text(r, s)})`,
    (r, s) => `to_jsonb(${row(r, s)})`,
    (r, s) => `jsonb_build_object('a', ${text(r, s)}, 'b', ${int(r, s)})`,
    (r, s) => `(${json(r, s)} || ${json(r, s)})`,
    (r, s) => `JSON_OBJECT('a': ${text(r, s)} RETURNING jsonb)`,
    (r, s) => `JSON_ARRAY(${text(r, s)}, ${int(r, s)} RETURNING jsonb)`,
    (r, s) => `JSON_QUERY(${json(r, s)}, '$.k')::jsonb`,
    (r, s) => `jsonb_set(${json(r, s)}, '{n}', to_jsonb(${int(r, s)}))`,
  ],
  texts: [
    (r, s) => `ARRAY[${text(r, s)}, ${text(r, s)}]`,
    (r, s) => `array_append(${array(r, s)}, ${text(r, s)})`,
    (r, s) => `string_to_array(${text(r, s)}, NULL)`,
    (r, s) => `(${array(r, s)} || ${array(r, s)})`,
    (r, s) => `ARRAY(SELECT ${text(r, s)})`,
  ],
  other: [() => 'NULL'],
};

const kinds: readonly Kind[] = ['int', 'text', 'date', 'numeric'];

/** A boolean expression. */
export function condition(random: Random, scope: Scope): string {
  const kind = random.pick(kinds);
  const inner: Scope = { ...scope, depth: scope.depth - 1 };
  const of = (of: Kind = kind) => expression(random, of, inner);
  if (scope.depth <= 0) return comparison(random, scope);
  return random.make(
    () => comparison(random, scope),
    () => comparison(random, scope),
    () => `${of()} ${random.pick(['=', '<', '>', '<>', '>='])} ${of()}`,
    () => `(${condition(random, inner)} ${random.pick(['AND', 'OR'])} ${condition(random, inner)})`,
    () => `NOT (${condition(random, inner)})`,
    () => `${of()} IS ${random.chance(0.5) ? 'NOT ' : ''}NULL`,
    () => `${of()} BETWEEN ${of()} AND ${of()}`,
    () => `${of()} IN (${of()}, ${of()})`,
    () => `${of('text')} ${random.pick(['LIKE', '~', 'ILIKE', 'SIMILAR TO'])} ${of('text')}`,
    () => `${of()} IS DISTINCT FROM ${of()}`,
    () => `${of('text')} = ANY (${of('texts')})`,
    () => `EXISTS (SELECT 1 WHERE ${condition(random, inner)})`,
    () => `${of()} IN (${inner.subquery(kind, inner)})`,
    () => `(${of()}, ${of('int')}) = (${of()}, ${of('int')})`,
    () => `${of('json')} @> ${of('json')}`,
    () => `starts_with(${of('text')}, ${of('text')})`,
    () => `${row(random, scope)} IS NOT NULL`,
  );
}

/** A column against a constant: what most conditions are. */
function comparison(random: Random, scope: Scope): string {
  const kind = random.pick(kinds);
  const operator = random.pick(['=', '=', '<', '>', '<=', '<>']);
  return `${leaf(random, kind, scope)} ${operator} ${constant(random, kind)}`;
}

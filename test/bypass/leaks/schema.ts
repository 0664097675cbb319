/**
 * A database that exists in two variants. They differ in labelled values and in nothing else, and no labelled value
 * looks like anything else in it.
 */
import type { JsonObject } from '../../../proxy/core/types.ts';

/** Which of the two. */
export type Variant = 'A' | 'B';

export type Kind = 'int' | 'text' | 'date' | 'numeric' | 'json' | 'texts' | 'other';

/** A column as the generator knows it. */
export interface Column {
  readonly name: string;
  readonly kind: Kind;
  /** What its type is called. */
  readonly type: string;
  readonly labelled: boolean;
}

export interface Table {
  /** As it is written in SQL. */
  readonly name: string;
  readonly columns: readonly Column[];
}

const open = (name: string, kind: Kind, type: string = kind): Column => ({ name, kind, type, labelled: false });
const secret = (name: string, kind: Kind, type: string = kind): Column => ({ name, kind, type, labelled: true });

const person = [
  open('id', 'int'),
  open('city', 'text'),
  open('grade', 'int'),
  open('joined', 'date'),
  open('tags', 'texts', 'text[]'),
  open('extra', 'json', 'jsonb'),
  secret('name', 'text'),
  secret('email', 'text', 'varchar'),
  secret('score', 'int'),
  secret('balance', 'numeric'),
  secret('born', 'date'),
  secret('doc', 'json', 'jsonb'),
  secret('words', 'texts', 'text[]'),
  secret('seen', 'other', 'timestamptz'),
  secret('raw', 'other', 'bytea'),
  secret('uid', 'other', 'uuid'),
  secret('host', 'other', 'inet'),
  secret('feel', 'other', 'mood'),
  secret('duo', 'other', 'pair'),
  secret('span', 'other', 'int4range'),
  secret('code', 'text', 'coded'),
  secret('flag', 'other', 'boolean'),
  secret('wait', 'other', 'interval'),
  secret('big', 'other', 'bigint'),
  secret('real4', 'other', 'real'),
  secret('fixed', 'text', 'char(12)'),
] as const;

/** Computed from labelled columns: as secret as these, though no label says so. */
const computed = [secret('handle', 'text'), secret('initials', 'text')] as const;

/** Everything an agent might read. */
export const tables: readonly Table[] = [
  { name: 'people', columns: [...person, ...computed] },
  {
    name: 'visits',
    columns: [
      open('id', 'int'),
      open('person_id', 'int'),
      open('place', 'text'),
      open('spent', 'int'),
      open('day', 'date'),
      secret('remark', 'text'),
    ],
  },
  { name: 'members', columns: [open('id', 'int'), open('region', 'text'), secret('pin', 'text')] },
  { name: 'members_low', columns: [open('id', 'int'), open('region', 'text'), secret('pin', 'text')] },
  { name: 'items', columns: [open('id', 'int'), open('label', 'text'), secret('tag', 'text')] },
  {
    name: 'items_special',
    columns: [open('id', 'int'), open('label', 'text'), secret('tag', 'text'), open('extra', 'int')],
  },
  {
    name: 'v_people',
    columns: [open('id', 'int'), open('town', 'text'), secret('who', 'text'), secret('score', 'int')],
  },
  { name: 'v_again', columns: [open('id', 'int'), open('town', 'text'), secret('who', 'text'), open('visits', 'int')] },
  { name: 'v_made', columns: [open('id', 'int'), secret('shout', 'text'), secret('rank', 'int')] },
  { name: 'm_people', columns: [open('id', 'int'), open('city', 'text'), secret('email', 'text', 'varchar')] },
  { name: 'plain', columns: [open('id', 'int'), open('word', 'text'), open('amount', 'int'), open('day', 'date')] },
  { name: 'scratch.notes', columns: [open('id', 'int'), open('k', 'int'), open('t', 'text'), open('d', 'date')] },
  { name: 'scratch.contacts', columns: [open('id', 'int'), open('city', 'text'), secret('phone', 'text')] },
];

/** Objects alone; the rows come with {@link rowsSql}. */
export const schemaSql = `
ALTER ROLE :role SET max_parallel_workers_per_gather = 0;
CREATE SCHEMA scratch;
CREATE TYPE mood AS ENUM ('calm', 'cross', 'glad');
CREATE TYPE pair AS (a text, b integer);
CREATE DOMAIN coded AS text CHECK (length(VALUE) < 100);
CREATE TABLE people (
  id integer PRIMARY KEY, city text NOT NULL, grade integer NOT NULL, joined date NOT NULL, tags text[], extra jsonb,
  name text NOT NULL, email varchar NOT NULL UNIQUE, score integer NOT NULL, balance numeric NOT NULL,
  born date NOT NULL, doc jsonb NOT NULL, words text[] NOT NULL, seen timestamptz, raw bytea, uid uuid, host inet, feel mood,
  duo pair, span int4range, code coded, flag boolean, wait interval, big bigint, real4 real, fixed char(12),
  handle text GENERATED ALWAYS AS (lower(name)) STORED, initials text GENERATED ALWAYS AS ("left"(name, 6)) VIRTUAL,
  CHECK (score > -100000000)
);
CREATE INDEX ON people (score);
CREATE INDEX ON people (born);
CREATE TABLE visits (
  id integer PRIMARY KEY, person_id integer NOT NULL REFERENCES people, place text NOT NULL, spent integer NOT NULL,
  day date NOT NULL, remark text
);
CREATE TABLE members (id integer, region text, pin text) PARTITION BY RANGE (id);
CREATE TABLE members_low PARTITION OF members FOR VALUES FROM (0) TO (5);
CREATE TABLE members_high PARTITION OF members FOR VALUES FROM (5) TO (100);
CREATE TABLE items (id integer, label text, tag text);
CREATE TABLE items_special (extra integer) INHERITS (items);
CREATE TABLE plain (id integer PRIMARY KEY, word text NOT NULL, amount integer NOT NULL, day date NOT NULL);
CREATE TABLE vault (id integer PRIMARY KEY, content text);
CREATE TABLE scratch.notes (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k integer DEFAULT 0, t text DEFAULT 'none', d date
);
CREATE TABLE scratch.contacts (id integer PRIMARY KEY, city text, phone text);
CREATE VIEW v_people AS SELECT id, city AS town, name AS who, score FROM people;
CREATE VIEW v_again AS
  SELECT v.id, v.town, v.who, count(w.id)::integer AS visits FROM v_people v LEFT JOIN visits w ON w.person_id = v.id
  GROUP BY v.id, v.town, v.who;
CREATE VIEW v_made AS SELECT id, upper(email::text) AS shout, rank() OVER (ORDER BY score)::integer AS rank FROM people;
CREATE MATERIALIZED VIEW m_people AS SELECT id, city, email FROM people;
GRANT USAGE ON SCHEMA public, scratch TO :role;
GRANT ALL ON SCHEMA scratch TO :role;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO :role;
GRANT ALL ON ALL TABLES IN SCHEMA scratch TO :role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA scratch TO :role;
`;

/** How many people there are. */
const count = 9;

/**
 * Letters as no word has them, so that any five of them in a row are a leak; none of them is a hexadecimal digit. Another
 * text for each variant and place.
 */
function marker(variant: Variant, place: number, length: number): string {
  const letters = variant === 'A' ? 'qzkxjvwp' : 'hgmrnykj';
  let state = place * 2_654_435_761 + (variant === 'A' ? 17 : 91);
  let text = '';
  while (text.length < length) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    text += letters[(state >>> 16) % letters.length];
  }
  return text;
}

/** Every labelled text of a variant, for the search; numbers and dates as they are written. */
export interface Secrets {
  readonly texts: readonly string[];
  readonly exact: readonly string[];
}

interface PersonSecrets {
  readonly texts: readonly string[];
  readonly exact: readonly string[];
  readonly sql: string;
}

/** The labelled values of one person. In every respect a query could test, the two variants differ somewhere. */
function personSecrets(variant: Variant, id: number): PersonSecrets {
  const odd = (id + (variant === 'A' ? 0 : 1)) % 2;
  const text = (place: number, length: number) => marker(variant, id * 40 + place, length);
  const name = text(1, 7 + ((id * (odd + 2)) % 9));
  const email = `${text(2, 8 + odd * 5)}@${text(3, 7)}.test`;
  const score = odd === 1 ? 7_310_465 + id * 1_013 : -2_918_477 - id * 977;
  const balance = `${odd === 1 ? '' : '-'}${83_917_204 + id * 7_919}.${odd}7`;
  const born = `${odd === 1 ? 1931 : 2047}-0${(id % 9) + 1}-${11 + ((id * 7) % 17)}`;
  const texts = [name, email.slice(0, -5), ...[4, 5, 6, 7, 8, 9, 10].map((place) => text(place, 9 + odd * 3))];
  const [, , key = '', word = '', other = '', raw = '', half = '', code = '', fixed = ''] = texts;
  const uid = `${odd === 1 ? 'c0ffee41' : 'deadbea7'}-7${id}31-4613-8579-${odd}00000000${id}31`;
  const host = `${odd === 1 ? 193 : 37}.46.135.${70 + id}`;
  const big = odd === 1 ? 8_102_030_405_060_700 + id : 17 + id;
  const seen = `${odd === 1 ? 1957 : 2063}-03-1${id} 05:43:21.123456+00`;
  const words = odd === 1 ? [word, other] : [word];
  const sql = [
    `'${name}'`,
    `'${email}'`,
    score,
    balance,
    `'${born}'`,
    `'${JSON.stringify(odd === 1 ? { [key]: word, n: score } : { [key]: [word, other] })}'`,
    `ARRAY[${words.map((each) => `'${each}'`).join()}]`,
    `'${seen}'`,
    `'${raw}'`,
    `'${uid}'`,
    `'${host}'`,
    odd === 1 ? `'cross'` : `'calm'`,
    `ROW('${half}', ${score})`,
    `'[${score},${score + 10 + odd * 20})'`,
    `'${code}'`,
    odd === 1,
    odd === 1 ? `'193 days 04:51:35'` : `'11 minutes'`,
    big,
    `${score}.5`,
    `'${fixed.slice(0, 9)}'`,
  ].join(', ');
  return { texts, exact: [String(Math.abs(score)), balance.slice(1), born, uid, host, seen.slice(0, 19)], sql };
}

/** The rows of a variant, in place of those there are, and what nobody may see of them. */
export function variantOf(variant: Variant): { readonly sql: string; readonly secrets: Secrets } {
  const texts: string[] = [];
  const exact: string[] = [];
  const statements = [
    `TRUNCATE people, visits, members, items, items_special, plain, vault, scratch.notes, scratch.contacts RESTART IDENTITY`,
  ];
  const keep = (text: string) => {
    texts.push(text);
    return `'${text}'`;
  };
  for (let id = 1; id <= count; id++) {
    const own = personSecrets(variant, id);
    texts.push(...own.texts);
    exact.push(...own.exact);
    const city = ['Oslo', 'Graz', 'Porto'][id % 3];
    statements.push(
      `INSERT INTO people VALUES (${id}, '${city}', ${id % 4}, '2021-02-0${id}', '{red,blue${id % 3}}', '{"n": ${id}}', ${own.sql})`,
      `INSERT INTO plain VALUES (${id}, 'word${id}', ${id * 10}, '2022-03-0${id}')`,
      `INSERT INTO members VALUES (${id}, '${city}', ${keep(marker(variant, 1000 + id, 8 + (id % 5)))})`,
      `INSERT INTO items VALUES (${id}, 'item${id}', ${keep(marker(variant, 2000 + id, 9))})`,
      `INSERT INTO vault VALUES (${id}, ${keep(marker(variant, 3000 + id, 12))})`,
      `INSERT INTO scratch.contacts VALUES (${id}, '${city}', ${keep(marker(variant, 4000 + id, 10))})`,
      `INSERT INTO scratch.notes (k, t, d) VALUES (${id % 5}, 'note${id}', '2023-04-0${id}')`,
    );
  }
  for (let id = 1; id <= 2 * count; id++) {
    const place = ['kiosk', 'museum', 'harbour', 'park'][id % 4];
    statements.push(
      `INSERT INTO visits VALUES (${id}, ${1 + (id % count)}, '${place}', ${id * 7}, '2024-05-${10 + id}',
       ${keep(marker(variant, 5000 + id, 6 + (id % 7)))})`,
    );
  }
  statements.push(
    `INSERT INTO items_special VALUES (50, 'special', ${keep(marker(variant, 6000, 11))}, 5)`,
    'REFRESH MATERIALIZED VIEW m_people',
  );
  return { sql: statements.join(';\n'), secrets: { texts, exact } };
}

const pii = (names: readonly string[]) => ({ columns: Object.fromEntries(names.map((name) => [name, ['pii']])) });

/** Merged over the repository's `data.config`. Every mask is the default one, which tells nothing: NULL. */
export const labels: JsonObject = {
  upstreams: {
    orders: {
      schemas: {
        public: {
          people: pii(person.filter(({ labelled }) => labelled).map(({ name }) => name)),
          visits: pii(['remark']),
          members: pii(['pin']),
          items: pii(['tag']),
          vault: { labels: ['secret'] },
        },
        scratch: { contacts: pii(['phone']) },
      },
    },
  },
  limits: { lookups_per_hour: 1_000_000 },
};

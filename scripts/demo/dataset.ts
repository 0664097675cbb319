/**
 * The demo's database: a shop with customers, orders, payments, tickets, secrets and views. The same seed
 * gives the same rows; nobody in it exists (example.com addresses, 555-01xx telephones, social security
 * numbers of a range that is never issued, card numbers of test ranges).
 */

/** How many rows of each. */
export interface DatasetSize {
  readonly customers: number;
  readonly orders: number;
  readonly tickets: number;
}

/** About thirty thousand rows. */
export const demoSize: DatasetSize = { customers: 5_000, orders: 12_000, tickets: 3_000 };

/** Tables, views and the schema that agents may write to. */
export const schemaSql = `
CREATE TABLE customers (
  id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, phone text, ssn text NOT NULL,
  date_of_birth date NOT NULL, city text NOT NULL, country text NOT NULL, segment text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE TABLE orders (
  id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers, status text NOT NULL,
  total_cents integer NOT NULL CHECK (total_cents > 0), currency text NOT NULL, placed_at timestamptz NOT NULL
);
CREATE TABLE payments (
  id integer PRIMARY KEY, order_id integer NOT NULL REFERENCES orders, card_number text NOT NULL,
  card_brand text NOT NULL, amount_cents integer NOT NULL, status text NOT NULL, paid_at timestamptz NOT NULL
);
CREATE TABLE tickets (
  id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers, subject text NOT NULL,
  priority text NOT NULL, status text NOT NULL, opened_at timestamptz NOT NULL
);
CREATE TABLE api_secrets (
  id integer PRIMARY KEY, service text NOT NULL, secret text NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON payments (order_id);
CREATE INDEX ON tickets (customer_id);
CREATE VIEW customer_contacts AS SELECT id, name, email, phone FROM customers;
CREATE VIEW revenue_by_country AS
  SELECT c.country, count(*) AS orders, sum(o.total_cents) AS total_cents
  FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status <> 'cancelled' GROUP BY c.country;
CREATE VIEW open_tickets AS SELECT id, customer_id, subject, priority, opened_at FROM tickets WHERE status = 'open';
CREATE SCHEMA scratch;
CREATE TABLE scratch.notes (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, author text NOT NULL, note text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
`;

/** A role that may read the shop and write to `scratch`: what the gateway logs in as. */
export function roleSql(role: string, password: string): string {
  return `
CREATE ROLE ${role} LOGIN PASSWORD '${password}';
GRANT USAGE ON SCHEMA public, scratch TO ${role};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role};
GRANT CREATE ON SCHEMA scratch TO ${role};
GRANT ALL ON ALL TABLES IN SCHEMA scratch TO ${role};
GRANT ALL ON ALL SEQUENCES IN SCHEMA scratch TO ${role};
`;
}

/** The rows, as INSERT statements of at most 500 rows each. */
export function* datasetSql(size: DatasetSize = demoSize, seed = 20_261_122): Generator<string> {
  const random = mulberry32(seed);
  yield* inserts(
    'customers',
    range(size.customers, (id) => customer(id, random)),
  );
  yield* inserts(
    'orders',
    range(size.orders, (id) => order(id, size.customers, random)),
  );
  yield* inserts(
    'payments',
    range(size.orders, (id) => payment(id, random)),
  );
  yield* inserts(
    'tickets',
    range(size.tickets, (id) => ticket(id, size.customers, random)),
  );
  yield* inserts(
    'api_secrets',
    range(services.length, (id) => secret(id, random)),
  );
  yield `INSERT INTO scratch.notes (author, note) VALUES
    ('support-agent', 'Refunds above 100 EUR go to a person.'), ('support-agent', 'Order 17 was sent twice.')`;
}

/** The customer whom the story looks up: the first one, whatever the seed. */
export const knownCustomer = { id: 1, email: 'ada.lindqvist@example.com', name: 'Ada Lindqvist', ssn: '987-65-4321' };

type Random = () => number;
type Row = readonly (string | number)[];

const firstNames =
  'Ada Bela Carla Dmitri Elin Farid Greta Hugo Ines Jonas Kaya Luca Mina Nils Olga Pablo Rosa Sami Tove Yara';
const lastNames =
  'Lindqvist Moreau Novak Okafor Petrov Quispe Rossi Santos Tanaka Ueda Varga Weber Xu Yilmaz Zhang Berg Costa Dahl';
const places = [
  ['Lisbon', 'PT'],
  ['Vienna', 'AT'],
  ['Malmo', 'SE'],
  ['Turin', 'IT'],
  ['Gdansk', 'PL'],
  ['Austin', 'US'],
  ['Osaka', 'JP'],
] as const;
const services = ['payments-api', 'mailer', 'search', 'warehouse', 'ledger', 'crm', 'analytics', 'backup'];
const subjects = [
  'Parcel did not arrive',
  'Refund please',
  'Wrong size',
  'Cannot sign in',
  'Invoice is missing',
  'Damaged box',
];

function customer(id: number, random: Random): Row {
  const first = id === 1 ? 'Ada' : pick(firstNames.split(' '), random);
  const last = id === 1 ? 'Lindqvist' : pick(lastNames.split(' '), random);
  const [city, country] = pick(places, random);
  const local = `${first}.${last}`.toLowerCase();
  return [
    id,
    `${first} ${last}`,
    id === 1 ? knownCustomer.email : `${local}.${id}@example.${pick(['com', 'org', 'net'], random)}`,
    `+1-555-01${digits(2, random)}`,
    // 987-65-4320 to -4329 are for advertisements; areas from 900 on are never issued.
    id === 1 ? knownCustomer.ssn : `9${digits(2, random)}-${digits(2, random)}-${digits(4, random)}`,
    day(1945, 2006, random),
    city,
    country,
    pick(['consumer', 'consumer', 'consumer', 'business'], random),
    `${day(2021, 2025, random)}T${time(random)}Z`,
  ];
}

function order(id: number, customers: number, random: Random): Row {
  const status = pick(['delivered', 'delivered', 'delivered', 'shipped', 'open', 'cancelled'], random);
  const total = 500 + Math.floor(random() ** 3 * 90_000);
  return [
    id,
    1 + Math.floor(random() * customers),
    status,
    total,
    'EUR',
    `${day(2024, 2025, random)}T${time(random)}Z`,
  ];
}

function payment(id: number, random: Random): Row {
  const [brand, prefix] = pick([['visa', '400000'] as const, ['mastercard', '520000'] as const], random);
  const amount = 500 + Math.floor(random() ** 3 * 90_000);
  const status = pick(['captured', 'captured', 'captured', 'refunded', 'failed'], random);
  return [
    id,
    id,
    withLuhn(`${prefix}${digits(9, random)}`),
    brand,
    amount,
    status,
    `${day(2024, 2025, random)}T${time(random)}Z`,
  ];
}

function ticket(id: number, customers: number, random: Random): Row {
  const status = pick(['open', 'waiting', 'closed', 'closed'], random);
  const priority = pick(['low', 'normal', 'normal', 'high'], random);
  return [
    id,
    1 + Math.floor(random() * customers),
    pick(subjects, random),
    priority,
    status,
    `${day(2025, 2025, random)}T${time(random)}Z`,
  ];
}

function secret(id: number, random: Random): Row {
  return [
    id,
    services[id - 1] ?? 'other',
    `demo_secret_${digits(24, random)}`,
    `${day(2024, 2025, random)}T${time(random)}Z`,
  ];
}

/** Appends the check digit of ISO/IEC 7812-1, so that detectors take the number for a card's. */
function withLuhn(number: string): string {
  let sum = 0;
  [...number].toReversed().forEach((digit, index) => {
    const doubled = Number(digit) * (index % 2 === 0 ? 2 : 1);
    sum += doubled > 9 ? doubled - 9 : doubled;
  });
  return `${number}${(10 - (sum % 10)) % 10}`;
}

function* inserts(table: string, rows: Iterable<Row>): Generator<string> {
  let batch: string[] = [];
  for (const row of rows) {
    batch.push(
      `(${row.map((value) => (typeof value === 'number' ? value : `'${value.replaceAll("'", "''")}'`)).join(',')})`,
    );
    if (batch.length < 500) continue;
    yield `INSERT INTO ${table} VALUES ${batch.join(',')}`;
    batch = [];
  }
  if (batch.length > 0) yield `INSERT INTO ${table} VALUES ${batch.join(',')}`;
}

function* range(count: number, make: (id: number) => Row): Generator<Row> {
  for (let id = 1; id <= count; id++) yield make(id);
}

function pick<T>(from: readonly T[], random: Random): T {
  const picked = from[Math.floor(random() * from.length)];
  if (picked === undefined) throw new Error('nothing to pick from');
  return picked;
}

function digits(count: number, random: Random): string {
  return Array.from({ length: count }, () => Math.floor(random() * 10)).join('');
}

function two(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}

function day(from: number, to: number, random: Random): string {
  return `${from + Math.floor(random() * (to - from + 1))}-${two(1 + random() * 12)}-${two(1 + random() * 28)}`;
}

function time(random: Random): string {
  return `${two(random() * 24)}:${two(random() * 60)}:${two(random() * 60)}`;
}

/** A small generator of pseudo-random numbers in [0, 1) with 32 bits of state: for data, never for secrets. */
function mulberry32(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

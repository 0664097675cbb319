/** The story: what an agent tries, and what each attempt must show. Data only; `main.ts` tells it. */
import { knownCustomer } from './dataset.ts';

/** What a client gets back. */
export interface Answer {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly rowCount: number;
}

/** One attempt. */
export interface Step {
  readonly title: string;
  /** One sentence on why it goes the way it goes. */
  readonly why: string;
  readonly sql: string;
  readonly parameters?: readonly unknown[];
  readonly expect: Allowed | Refused;
}

/** The attempt is answered. */
export interface Allowed {
  /** What is wrong with the answer, or nothing. */
  check(answer: Answer): string | undefined;
  /** At least one value was masked. */
  readonly masked?: true;
}

/** The attempt is refused, and the connection goes on. */
export interface Refused {
  readonly sqlstate: string;
  readonly code: string;
}

const denied = (code: string): Refused => ({ sqlstate: '42501', code });
const rows = (count: number) => (answer: Answer) =>
  answer.rowCount === count ? undefined : `expected ${count} rows, got ${answer.rowCount}`;

/** In the order they are told. */
export const story: readonly Step[] = [
  {
    title: 'A normal query',
    why: 'Reading is allowed; nothing in it is labelled.',
    sql: 'SELECT status, count(*) AS orders FROM orders GROUP BY status ORDER BY status',
    expect: { check: rows(4) },
  },
  {
    title: 'Personal data, masked',
    why: 'Columns labelled pii are masked by the gateway while the rows stream through it.',
    sql: 'SELECT id, name, email, phone, ssn, city FROM customers WHERE id <= 3 ORDER BY id',
    expect: { masked: true, check: (answer) => rows(3)(answer) ?? hidden(answer) },
  },
  {
    title: 'The same through a view, and under another name',
    why: 'Labels follow a column through views and aliases.',
    sql: 'SELECT id, name AS who, email AS contact FROM customer_contacts WHERE id = 1',
    expect: { masked: true, check: (answer) => rows(1)(answer) ?? hidden(answer) },
  },
  {
    title: 'Looking a customer up by e-mail',
    why: 'An equality lookup by a personal column is allowed: the agent must know the value already.',
    sql: 'SELECT id, city, segment FROM customers WHERE email = $1',
    parameters: [knownCustomer.email],
    expect: {
      check: (answer) =>
        rows(1)(answer) ?? (answer.rows[0]?.id === knownCustomer.id ? undefined : 'found another customer'),
    },
  },
  {
    title: 'Searching a range of social security numbers',
    why: 'A range, a sort or a pattern would give the masked value away bit by bit.',
    sql: "SELECT id FROM customers WHERE ssn BETWEEN '900-00-0000' AND '905-99-9999'",
    expect: denied('pii_use'),
  },
  {
    title: 'Dropping the database',
    why: 'Refused before a byte of it reaches PostgreSQL.',
    sql: 'DROP DATABASE shop',
    expect: denied('drop_database'),
  },
  {
    title: 'Something that is not SQL',
    why: 'What cannot be parsed cannot be judged.',
    sql: 'SELEC * FORM customers',
    expect: { sqlstate: '42601', code: 'operation_unparseable' },
  },
  {
    title: 'Changing a customer',
    why: 'Agents write to working data only.',
    sql: "UPDATE customers SET city = 'Nowhere' WHERE id = 1",
    expect: denied('write_outside_working_data'),
  },
  {
    title: 'Leaving a note where agents may write',
    why: 'The schema scratch is labelled working.',
    sql: "INSERT INTO scratch.notes (author, note) VALUES ('support-agent', 'Called back, all fine.') RETURNING id, author",
    expect: { check: rows(1) },
  },
  {
    title: 'Deleting all notes at once',
    why: 'UPDATE and DELETE need a WHERE, in working data too.',
    sql: 'DELETE FROM scratch.notes',
    expect: denied('change_without_where'),
  },
  {
    title: 'Reading the secrets table',
    why: 'A relation labelled secret is out of reach, masked or not.',
    sql: 'SELECT service, secret FROM api_secrets',
    expect: denied('secret_relation'),
  },
  {
    title: 'And the connection still works',
    why: 'A refusal is an error like any other: the session goes on.',
    sql: 'SELECT count(*) AS customers FROM customers',
    expect: { check: (answer) => (Number(answer.rows[0]?.customers) === 5_000 ? undefined : 'the count is wrong') },
  },
];

/** No value of the known customer's personal data is in the answer. */
function hidden(answer: Answer): string | undefined {
  const text = JSON.stringify(answer.rows);
  const leaked = [knownCustomer.email, knownCustomer.name, knownCustomer.ssn].filter((value) => text.includes(value));
  return leaked.length === 0 ? undefined : `${leaked.length} personal value(s) came through unmasked`;
}

/** Values that would give a leak away, in the shapes a leak can take. */

/** The columns of the stage that hold them. */
const sources = [
  'SELECT name, email, phone, ssn, date_of_birth::text FROM customers',
  'SELECT card_number FROM payments',
  'SELECT secret FROM api_secrets',
  'SELECT ssn FROM scratch.people',
  'SELECT ssn FROM members',
  'SELECT t, v, trim(c) AS c, d, i4::text, i8::text, n::text, dt::text, u::text, arr[1] AS a, (p).left_part AS p FROM vault',
];

/** Every value of the labelled columns, and the telling parts of one customer's. */
export async function canariesOf(
  sql: (text: string) => Promise<Record<string, unknown>[]>,
): Promise<readonly string[]> {
  const values = new Set<string>(['987-65', '65-4321', 'Lindqvist', 'lindqvist', 'ada.l']);
  for (const source of sources) {
    for (const row of await sql(source)) {
      for (const value of Object.values(row)) if (typeof value === 'string' && value.length > 5) values.add(value);
    }
  }
  return [...values];
}

/** The canaries that bytes contain: as they are, in capitals, backwards, in hex or in base64. */
export function leaksIn(bytes: Buffer, canaries: readonly string[]): readonly string[] {
  const text = bytes.toString('latin1');
  const folded = text.toLowerCase();
  return canaries.filter((canary) => {
    const utf8 = Buffer.from(canary);
    const plain = utf8.toString('latin1');
    return (
      folded.includes(plain.toLowerCase()) ||
      folded.includes([...plain].toReversed().join('').toLowerCase()) ||
      folded.includes(utf8.toString('hex')) ||
      text.includes(utf8.toString('base64').replace(/=+$/, '').slice(0, -1))
    );
  });
}

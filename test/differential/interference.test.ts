/**
 * Does lineage forget anything? Random queries run on two databases that differ in one column alone. What they answer
 * may differ only where the classifier says that this column had a say: in an output column whose origins include it,
 * or anywhere once the statement tests, sorts, groups or joins by it.
 *
 * SALLYPORT_DIFFERENTIAL=1 runs thousands of them instead of hundreds; SALLYPORT_SEED chooses others.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import type { ClassifiedStatement, ColumnUse } from '../../proxy/protocols/postgres/classification.ts';
import type { CatalogClassifier } from '../../proxy/protocols/postgres/classify.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { randomQuery, seeded } from './random-queries.ts';
import { classifierOn, connect } from './run.ts';

const rounds = process.env.SALLYPORT_DIFFERENTIAL === '1' ? 20_000 : 600;
const seed = Number(process.env.SALLYPORT_SEED ?? 1);

/** Neither database has statistics: plans must not depend on the values. */
function schema(secret: string): string {
  return `CREATE TABLE p (id int, name text, secret text); CREATE TABLE q (id int, p_id int, note text);
    INSERT INTO p SELECT n, (ARRAY['alpha', 'beta', 'gamma'])[n % 3 + 1], ${secret} FROM generate_series(1, 6) n;
    INSERT INTO q SELECT n, n % 6 + 1, 'note ' || n % 4 FROM generate_series(1, 8) n;
    CREATE VIEW v AS SELECT id, name AS shown, upper(secret) AS hidden FROM p WHERE id > 1`;
}

let server: PostgresServer;
const clients: pg.Client[] = [];
let classifier: CatalogClassifier;
beforeAll(async () => {
  server = await startPostgres({
    tls: false,
    settings: { autovacuum: 'off', statement_timeout: '3000' },
    exclusive: true,
  });
  const { host, port, user, password } = server;
  for (const [name, secret] of [
    ['one', `(ARRAY['a', 'ba1', 'zz'])[n % 3 + 1]`],
    ['other', `(ARRAY['xax', 'alpha', 'b', 'aaaa'])[n % 4 + 1] || n % 2`],
  ] as const) {
    await server.psql(`CREATE DATABASE ${name}`);
    await server.psql(schema(secret), { database: name });
    clients.push(await connect({ host, port, user, password, database: name }));
  }
  const catalog = await connect({ host, port, user, password, database: 'one' });
  clients.push(catalog);
  classifier = await classifierOn(catalog, 'one', user);
}, 60_000);
afterAll(async () => {
  await classifier?.close();
  await Promise.all(clients.map((client) => client.end()));
  await server?.stop();
});

type Answer = readonly (readonly (string | null)[])[] | 'error';

async function run(client: pg.Client | undefined, sql: string): Promise<Answer> {
  if (client === undefined) throw new Error('no connection');
  try {
    const result = await client.query<(string | null)[]>({ text: sql, rowMode: 'array', types: asText });
    return result.rows;
  } catch {
    return 'error';
  }
}

const asText = { getTypeParser: () => (value: string) => value };
const telling: ReadonlySet<ColumnUse> = new Set(['equality', 'predicate', 'order', 'group', 'join']);

/** Whether the statement's rows may depend on the secret at all. */
function tells(statement: ClassifiedStatement): boolean {
  return statement.relations.some(
    ({ name, columns }) =>
      name === 'p' && columns.some((column) => column.name === 'secret' && column.uses.some((use) => telling.has(use))),
  );
}

function columnOf(rows: readonly (readonly (string | null)[])[], index: number): string {
  return JSON.stringify(rows.map((row) => row[index] ?? null).sort());
}

/** Where the answers differ though they must not. */
function leaks(statement: ClassifiedStatement, one: Answer, other: Answer): string[] {
  if (one === 'error' || other === 'error') {
    const used = statement.relations.some(
      ({ name, columns }) => name === 'p' && columns.some((each) => each.name === 'secret' && each.uses.length > 0),
    );
    return one === other || used ? [] : ['one fails'];
  }
  if (tells(statement)) return [];
  if (one.length !== other.length) return ['the number of rows'];
  return (statement.output ?? []).flatMap(({ name, from, unknown }, index) => {
    const hidden = unknown || from.some((column) => column.relation === 'p' && column.column === 'secret');
    return hidden || columnOf(one, index) === columnOf(other, index) ? [] : [`column ${name}`];
  });
}

test('what a query answers depends on a column only where its lineage says so', async () => {
  const pick = seeded(seed);
  const found: string[] = [];
  const seen = { ran: 0, failed: 0, differed: 0, differedUntold: 0 };
  for (let round = 0; round < rounds; round++) {
    const sql = randomQuery(pick);
    const classification = await classifier.classify(Buffer.from(sql));
    const [statement] = 'statements' in classification ? classification.statements : [];
    const [one, other] = await Promise.all([run(clients[0], sql), run(clients[1], sql)]);
    if (one === 'error' && other === 'error') {
      seen.failed++;
      continue;
    }
    if (statement === undefined || statement.incomplete.length > 0) {
      found.push(`not complete: ${statement?.incomplete}\n  ${sql}`);
      continue;
    }
    seen.ran++;
    if (JSON.stringify(one) !== JSON.stringify(other)) {
      seen.differed++;
      if (!tells(statement)) seen.differedUntold++;
    }
    for (const leak of leaks(statement, one, other)) found.push(`${leak}\n  ${sql}`);
  }
  process.stdout.write(
    `interference: ${seen.ran} queries ran, ${seen.failed} failed; ${seen.differed} answered differently, ` +
      `${seen.differedUntold} of them in masked columns alone\n`,
  );
  expect(found).toEqual([]);
  // Otherwise the queries show nothing.
  expect(seen.ran).toBeGreaterThan(rounds / 2);
  expect(seen.differedUntold).toBeGreaterThan(rounds / 50);
}, 900_000);

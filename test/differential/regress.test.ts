/**
 * Every query and modification in PostgreSQL's regression suite: either the classifier names the same relations and
 * columns as the server does, and knows at least the origins that the server gives its result columns, or it says
 * that it is incomplete. Runs for minutes, so only in CI (CI=true) and when asked to: SALLYPORT_DIFFERENTIAL=1.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import type { CatalogClassifier } from '../../proxy/protocols/postgres/classify.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { regressionScripts } from './corpus.ts';
import { classifierOn, compareScript, connect, emptyReport } from './run.ts';

const wanted = process.env.SALLYPORT_DIFFERENTIAL === '1' || process.env.CI === 'true';

/** Disagreements that were looked at, and why they are none. */
const understood: readonly string[] = [
  // A row of a join alias: the server writes down the merged columns alone, though the row has all of them.
  'SELECT (j.*) IS NULL FROM (atest5 a JOIN atest5 b USING (one)) j',
  // A relation's row type, named as a type: no row of the relation is read.
  'SELECT (NULL::compositetable).a',
];

(wanted ? describe : describe.skip)('the regression suite of PostgreSQL', () => {
  let server: PostgresServer;
  let clients: pg.Client[] = [];
  let classifier: CatalogClassifier;

  beforeAll(async () => {
    const settings = {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      // A script may hold locks that the other connections run into; such a statement is not compared.
      lock_timeout: '200',
      statement_timeout: '2000',
      max_prepared_transactions: '5',
    };
    server = await startPostgres({ tls: false, settings, exclusive: true });
    await server.psql('CREATE DATABASE regression');
    const { host, port, user, password } = server;
    const address = { host, port, user, password, database: 'regression' };
    clients = await Promise.all([connect(address), connect(address), connect(address)]);
    const [, , catalog] = clients;
    if (catalog === undefined) throw new Error('no connection');
    classifier = await classifierOn(catalog, 'regression', user);
  }, 60_000);

  afterAll(async () => {
    await classifier?.close();
    await Promise.all(clients.map((client) => client.end()));
    await server?.stop();
  });

  test('is classified as the server resolves it, or incomplete', async () => {
    const [main, oracle] = clients;
    if (main === undefined || oracle === undefined) throw new Error('no connection');
    const report = emptyReport();
    for (const { name, text } of await regressionScripts()) {
      await compareScript(text, { main, oracle, classifier }, report, name);
    }
    const rate = report.completeOverRelations / report.overRelations;
    const reasons = [...report.reasons].map(([reason, count]) => `${reason} ${count}`).join(', ');
    process.stdout.write(
      `differential: ${report.accepted} statements, ${report.complete} complete; over relations ` +
        `${report.overRelations}, ${report.completeOverRelations} complete (${(100 * rate).toFixed(1)} %); ` +
        `${report.origins} origins of result columns compared; incomplete: ${reasons}\n`,
    );
    const unexplained = report.disagreements.filter((each) => !understood.some((known) => each.includes(known)));
    expect(unexplained).toEqual([]);
    expect(report.accepted).toBeGreaterThan(15_000);
    expect(rate).toBeGreaterThanOrEqual(0.9);
  }, 900_000);
});

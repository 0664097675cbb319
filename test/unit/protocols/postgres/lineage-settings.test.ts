import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CatalogClassifier, createClassifier } from '../../../../proxy/protocols/postgres/classify.ts';
import { Shapes } from '../../../../proxy/protocols/postgres/shapes.ts';
import { connectUpstream, UpstreamSession } from '../../../../proxy/protocols/postgres/upstream.ts';
import { type PostgresServer, startPostgres } from '../../../support/postgres.ts';

let server: PostgresServer;
let classifier: CatalogClassifier;
let link: UpstreamSession;

beforeAll(async () => {
  server = await startPostgres();
  const database = await server.createDatabase();
  await server.psql('CREATE TABLE wishes (name text, setting text)', { database });
  const { host, port, user, password, ca } = server;
  const tls = { mode: 'verify-full', ca, serverName: 'localhost' } as const;
  const parameters = { client_encoding: 'UTF8' };
  link = new UpstreamSession(
    await connectUpstream({ host, port, tls, user, password, database, parameters, connectTimeoutMs: 10_000 }),
  );
  classifier = await createClassifier({
    query: (sql) => link.query(sql),
    serverMajor: 18,
    searchPath: ['public'],
    database,
    user,
    clock: { monotonicMs: () => performance.now() },
  });
});
afterAll(async () => {
  await classifier?.close();
  link?.close();
  await server?.stop();
});

/** One cache for all, as on a gateway that has served somebody before. */
const shapes = new Shapes(100, 4096);
async function incompleteOf(sql: string): Promise<readonly string[]> {
  const { classification } = await shapes.classify(Buffer.from(sql), classifier.epoch, (text) =>
    classifier.classify(text),
  );
  if ('fault' in classification) throw new Error(classification.fault.message);
  return classification.statements.flatMap(({ incomplete }) => incomplete);
}

describe('set_config whose name is a column', () => {
  const change = (name: string) =>
    `SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = '${name}'`;

  test('is followed where pg_settings has that one name, as in what pg_dump sends', async () => {
    expect(await incompleteOf(change('restrict_nonsystem_relation_kind'))).toEqual([]);
  });

  test.each(['role', 'search_path', 'standard_conforming_strings', 'SESSION_AUTHORIZATION'])(
    'is not taken for another setting by a text of the same shape: %s',
    async (name) => {
      await incompleteOf(change('restrict_nonsystem_relation_kind'));
      expect(await incompleteOf(change(name))).toContain('setting_changes_meaning');
      expect(await incompleteOf(change('work_mem'))).toEqual([]);
    },
  );

  test.each([
    ['without a WHERE', "SELECT set_config(name, 'x', false) FROM pg_settings"],
    ['with another condition', "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name <> 'work_mem'"],
    [
      'with one of several names',
      "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'work_mem' OR name = 'role'",
    ],
    ['with a list', "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name IN ('work_mem', 'role')"],
    ['of another column', "SELECT set_config(setting, 'x', false) FROM pg_settings WHERE name = 'work_mem'"],
    ['with a parameter', "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = $1"],
    ['of another relation', "SELECT set_config(name, 'x', false) FROM wishes WHERE name = 'work_mem'"],
    [
      'of a relation of that name elsewhere',
      "SELECT set_config(name, 'x', false) FROM public.pg_settings WHERE name = 'work_mem'",
    ],
    [
      'beside another relation',
      "SELECT set_config(w.name, 'x', false) FROM pg_settings, wishes w WHERE pg_settings.name = 'work_mem'",
    ],
    ['renamed', "SELECT set_config(name, 'x', false) FROM pg_settings AS s (other, name) WHERE name = 'work_mem'"],
    ['in a query below', "SELECT (SELECT set_config(name, 'x', false)) FROM pg_settings WHERE name = 'work_mem'"],
    ['as part of an expression', "SELECT set_config(name || '', 'x', false) FROM pg_settings WHERE name = 'work_mem'"],
  ])('is not followed %s', async (_title, sql) => {
    expect(await incompleteOf(sql)).not.toEqual([]);
  });
});

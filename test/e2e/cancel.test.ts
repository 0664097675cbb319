import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import { describePrograms, openStage, run, type Stage } from '../clients/programs.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { cancelWire, connectWire, errorFields, frontend, statusOf, type WireClient } from '../support/wire-client.ts';

const sleepAllowed = { sql: { functions: ['pg_catalog.pg_sleep'] } };
const cancelled = '57014';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ data: sleepAllowed });
});
afterAll(() => gateway.stop());

const open: WireClient[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.destroy();
});

async function connect(subject?: string): Promise<WireClient> {
  const { host, port, ca, database } = gateway;
  const login = { host, port, ca, database, user: 'agent', password: await gateway.token(subject) };
  const client = await connectWire({ ...login, timeoutMs: 25_000 });
  open.push(client);
  return client;
}

/** How many sleeps with this number run at the upstream. */
async function sleeping(tag: number, of: Pick<TestGateway, 'sql' | 'database'> = gateway): Promise<number> {
  const rows = await of.sql(`SELECT 1 FROM pg_stat_activity
    WHERE datname = '${of.database}' AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%pg_sleep(${tag})%'`);
  return rows.length;
}

/** Sends a query that sleeps and waits until the upstream runs it. The number is how long, and tells it from others. */
async function sleep(client: WireClient, tag: number): Promise<void> {
  client.send(frontend.query(`SELECT pg_sleep(${tag})`));
  while ((await sleeping(tag)) === 0);
}

const ways = [
  ['without TLS, as most clients send it', 'none'],
  ['inside TLS', 'negotiated'],
  ['inside direct TLS', 'direct'],
] as const;
const endpoint = (tls: (typeof ways)[number][1]) => ({ host: gateway.host, port: gateway.port, ca: gateway.ca, tls });

describe('a cancel request', () => {
  test.each(ways)('ends the query that runs, and the session goes on: %s', async (_title, tls) => {
    const client = await connect();
    await sleep(client, 601);
    await cancelWire(endpoint(tls), client.processId, client.secret);
    const messages = await client.untilReady();
    expect(messages.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body).C)).toEqual([cancelled]);
    expect(await client.ping()).toBe('I');
    expect(await sleeping(601)).toBe(0);
  });

  test('aborts an open transaction, as any error does', async () => {
    const client = await connect();
    await client.query('BEGIN');
    await sleep(client, 602);
    await cancelWire(endpoint('none'), client.processId, client.secret);
    expect(statusOf(await client.untilReady())).toBe('E');
    expect(statusOf(await client.query('ROLLBACK'))).toBe('I');
  });

  test('ends what a pipeline runs, and skips to its Sync', async () => {
    const client = await connect();
    const one = (sql: string) => [frontend.parse(sql), frontend.bind(), frontend.execute()];
    client.send(
      ...one('SELECT pg_sleep(603)'),
      ...one('SELECT 1'),
      frontend.sync(),
      ...one('SELECT 2'),
      frontend.sync(),
    );
    while ((await sleeping(603)) === 0);
    await cancelWire(endpoint('none'), client.processId, client.secret);
    const types = (await client.untilReady(2)).map(({ type }) => type).filter((type) => 'EDZ'.includes(type));
    expect(types).toEqual(['E', 'Z', 'D', 'Z']);
  });

  test('is answered by the end of its connection alone, when nothing runs', async () => {
    const client = await connect();
    await cancelWire(endpoint('none'), client.processId, client.secret);
    expect(await client.ping()).toBe('I');
  });

  test('is in the trail as the end of the operation it ended', async () => {
    const client = await connect('impatient');
    await sleep(client, 604);
    await cancelWire(endpoint('none'), client.processId, client.secret);
    await client.untilReady();
    const isOwn = ({ event, action, subject }: JsonObject) =>
      event === 'decided' && action === 'select' && Object(subject).id === 'impatient';
    let completed: JsonObject | undefined;
    // What completed is written in the background.
    while (completed === undefined) {
      const events = await gateway.audit();
      const id = events.find(isOwn)?.decision_id;
      completed = events.find(({ event, decision_id }) => event === 'completed' && decision_id === id);
    }
    expect(completed).toMatchObject({ status: 'error', code: cancelled });
  });
});

describe('a cancel request ends nobody else’s query', () => {
  const attempts: readonly [string, (client: WireClient, other: WireClient) => readonly [number, Buffer]][] = [
    ['with the key of another session', (_client, other) => [other.processId, other.secret]],
    ['with the right process and a guessed secret', (client) => [client.processId, randomBytes(4)]],
    ['with the right process and another session’s secret', (client, other) => [client.processId, other.secret]],
    ['with the right secret of another process', (client, other) => [other.processId, client.secret]],
    ['with a secret that is longer', (client) => [client.processId, Buffer.concat([client.secret, Buffer.alloc(28)])]],
    ['with an empty secret', (client) => [client.processId, Buffer.alloc(0)]],
  ];
  test.each(attempts)('%s', async (_title, keyOf) => {
    const client = await connect();
    const other = await connect();
    await sleep(client, 611);
    const [processId, secret] = keyOf(client, other);
    await cancelWire(endpoint('none'), processId, secret);
    expect(await sleeping(611)).toBe(1);
    expect(await other.ping()).toBe('I');
    // The key itself still works.
    await cancelWire(endpoint('none'), client.processId, client.secret);
    const messages = await client.untilReady();
    expect(messages.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body).C)).toEqual([cancelled]);
  });

  test('with the process number of the upstream itself', async () => {
    const client = await connect();
    await sleep(client, 612);
    const [row] = await gateway.sql("SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(612)%'");
    expect(client.processId).not.toBe(row?.pid);
    await cancelWire(endpoint('none'), Number(row?.pid), client.secret);
    expect(await sleeping(612)).toBe(1);
  });

  test('with a key whose session has ended', async () => {
    const gone = await connect();
    await gone.end();
    const client = await connect();
    await sleep(client, 613);
    await cancelWire(endpoint('none'), gone.processId, gone.secret);
    expect(await sleeping(613)).toBe(1);
  });
});

test('a late cancel request never ends the next query', async () => {
  const client = await connect();
  let ended = 0;
  for (let again = 0; again < 60; again++) {
    // The first query ends by itself at about the time its cancel request arrives.
    client.send(frontend.query(`SELECT pg_sleep(0.00${again % 10})`));
    const [first] = await Promise.all([
      client.untilReady(),
      cancelWire(endpoint('none'), client.processId, client.secret),
    ]);
    if (first.some(({ type }) => type === 'E')) ended += 1;
    const next = await client.query('SELECT pg_sleep(0.001)');
    expect(next.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body))).toEqual([]);
  }
  // Otherwise nothing was late, or nothing was ended: the loop proved nothing.
  expect(ended).toBeGreaterThan(0);
  expect(ended).toBeLessThan(60);
});

describePrograms(['psql'], (programs) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage(programs, { data: sleepAllowed });
  });
  afterAll(() => stage.stop());

  test('Ctrl-C ends the query, at the upstream too', async () => {
    const ran = run(stage, 'psql', ['-XAt'], {
      input: 'SELECT pg_sleep(631);\n',
      started: (child) => {
        void (async () => {
          while ((await sleeping(631, stage.gateway)) === 0);
          child.kill('SIGINT');
        })();
      },
    });
    const { code, stderr } = await ran;
    expect(stderr).toContain('canceling statement due to user request');
    // What psql says when a script was stopped.
    expect(code).toBe(3);
    expect(await sleeping(631, stage.gateway)).toBe(0);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { type BackendMessage, connectWire, errorFields, frontend, type WireClient } from '../support/wire-client.ts';

let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const running: TestGateway[] = [];
const open: WireClient[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) client.destroy();
  for (const gateway of running.splice(0)) await gateway.stop();
});

async function start(limits: Record<string, number>): Promise<TestGateway> {
  const gateway = await startTestGateway({ postgres, limits });
  running.push(gateway);
  return gateway;
}

async function connect({ host, port, ca, database, token }: TestGateway): Promise<WireClient> {
  const login = { host, port, ca, database, user: 'agent', password: await token(), timeoutMs: 25_000 };
  const client = await connectWire(login);
  open.push(client);
  return client;
}

const ofType = (messages: readonly BackendMessage[], type: string) => messages.filter((one) => one.type === type);
/** The only column of each row, as text. */
const values = (messages: readonly BackendMessage[]) =>
  ofType(messages, 'D').map(({ body }) => body.toString('utf8', 6));
const numbers = Array.from({ length: 1000 }, (_, n) => n);
const statement = (n: number) => [frontend.parse(`SELECT ${n}`), frontend.bind(), frontend.execute()];

describe.each([
  ['shorter than it', 100_000],
  ['much longer than it', 16],
  ['longer than it by one round', 2_000],
])('the queue of expected replies, with pipelines that are %s', (_title, expected_replies_max) => {
  test('answers statements in their order, with one Sync at the end', async () => {
    const client = await connect(await start({ expected_replies_max }));
    const messages = await client.extended(...numbers.flatMap(statement));
    expect(values(messages)).toEqual(numbers.map(String));
    expect(await client.ping()).toBe('I');
  });

  test('answers statements in their order, with a Sync behind each', async () => {
    const client = await connect(await start({ expected_replies_max }));
    client.send(...numbers.flatMap((n) => [...statement(n), frontend.sync()]));
    expect(values(await client.untilReady(numbers.length))).toEqual(numbers.map(String));
    expect(await client.ping()).toBe('I');
  });

  test('answers simple queries in their order', async () => {
    const client = await connect(await start({ expected_replies_max }));
    client.send(...numbers.map((n) => frontend.query(`SELECT ${n}`)));
    expect(values(await client.untilReady(numbers.length))).toEqual(numbers.map(String));
    expect(await client.ping()).toBe('I');
  });

  test('skips to the Sync behind a refusal in the middle', async () => {
    const client = await connect(await start({ expected_replies_max }));
    const refused = [frontend.parse('DROP DATABASE postgres'), frontend.bind(), frontend.execute()];
    client.send(
      ...numbers.flatMap((n) => (n === 500 ? refused : statement(n))),
      frontend.sync(),
      ...statement(7),
      frontend.sync(),
    );
    const messages = await client.untilReady(2);
    expect(values(messages)).toEqual([...numbers.slice(0, 500).map(String), '7']);
    expect(ofType(messages, 'E').map(({ body }) => errorFields(body).C)).toEqual(['42501']);
    expect(await client.ping()).toBe('I');
  });

  test('skips to the Sync behind an error of the server in the middle', async () => {
    const client = await connect(await start({ expected_replies_max }));
    const failing = [frontend.parse('SELECT 1/0'), frontend.bind(), frontend.execute()];
    client.send(
      ...numbers.flatMap((n) => (n === 500 ? failing : statement(n))),
      frontend.sync(),
      ...statement(7),
      frontend.sync(),
    );
    const messages = await client.untilReady(2);
    expect(values(messages)).toEqual([...numbers.slice(0, 500).map(String), '7']);
    expect(ofType(messages, 'E').map(({ body }) => errorFields(body).C)).toEqual(['22012']);
    expect(await client.ping()).toBe('I');
  });
});

test('a client that sends and sends without reading is held back, and then served whole', async () => {
  const client = await connect(await start({ expected_replies_max: 100 }));
  const count = 300;
  client.socket.pause();
  const query = "SELECT repeat('x', 50000)";
  let taken = true;
  for (let n = 0; n < count; n++) taken = client.socket.write(frontend.query(query)) && taken;
  client.socket.resume();
  const rows = ofType(await client.untilReady(count), 'D');
  expect(rows.map(({ body }) => body.length)).toEqual(Array(count).fill(50_006));
});

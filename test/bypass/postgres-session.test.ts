/** What changes while a session lives, and what the gateway refuses when a part of it fails. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../proxy/core/clock.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import type { TestGatewayOptions } from '../support/gateway.ts';
import { frontend } from '../support/wire-client.ts';
import { type Agent, everyWay, tell } from './postgres-agent.ts';
import { openStage, type Stage, spoken } from './postgres-stage.ts';

const stages: Stage[] = [];
async function open(options: TestGatewayOptions = {}): Promise<Stage> {
  const stage = await openStage({ config: { policy: { watch: false } }, ...options });
  stages.push(stage);
  return stage;
}
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close();
});

/** Labels of a relation of the shop, in force when this resolves. */
async function label(stage: Stage, relation: string, labels: JsonObject): Promise<void> {
  const { files } = stage.gateway;
  const data: unknown = JSON.parse(await readFile(files.dataFile, 'utf8'));
  Object(data).upstreams.orders.schemas.public[relation] = labels;
  await writeFile(files.dataFile, JSON.stringify(data));
  await stage.gateway.reload();
}

async function agentWith(stage: Stage, says: JsonObject, subject = 'test-agent'): Promise<Agent> {
  return stage.agent({ token: await stage.gateway.token(subject, { claims: { says } }) });
}

describe('labels that change', () => {
  const sql = 'SELECT city FROM customers WHERE id <= 8 ORDER BY id';
  const { parse, bind, execute, describeStatement, describePortal } = frontend;

  test('mask what was prepared, bound, described, half read, declared or held before', async () => {
    const stage = await open();
    const agent = await stage.agent();
    const cities = (await stage.gateway.sql(sql)).map(({ city }) => [String(city)]);
    await agent.rows(`PREPARE by_sql AS ${sql}`);
    await agent.extended(parse(sql, 's'), describeStatement('s'));
    await agent.rows('BEGIN');
    await agent.rows(`DECLARE held CURSOR WITH HOLD FOR ${sql}`);
    await agent.rows('COMMIT');
    await agent.rows('BEGIN');
    await agent.rows(`DECLARE open_one CURSOR FOR ${sql}`);
    expect(await agent.extended(bind({ statement: 's', portal: 'p' }), describePortal('p'), execute('p', 2))).toEqual(
      cities.slice(0, 2),
    );
    expect(await agent.rows('FETCH 2 open_one')).toEqual(cities.slice(0, 2));

    await label(stage, 'customers', { columns: { city: ['pii'] } });
    const hidden = (count: number) => Array(count).fill([null]);
    expect(await agent.extended(execute('p', 2))).toEqual(hidden(2));
    expect(await agent.extended(execute('p'))).toEqual(hidden(4));
    expect(await agent.rows('FETCH 2 open_one')).toEqual(hidden(2));
    expect(await agent.extended(execute('open_one'))).toEqual(hidden(4));
    expect(await agent.rows('FETCH ALL p')).toEqual([]);
    expect(await agent.rows('EXECUTE by_sql')).toEqual(hidden(8));
    expect(await agent.extended(bind({ statement: 's' }), execute())).toEqual(hidden(8));
    expect(await agent.extended(bind({ statement: 's', resultFormats: [1] }), execute())).toEqual(hidden(8));
    expect(await agent.extended(bind({ statement: 'by_sql' }), execute())).toEqual(hidden(8));
    await agent.rows('COMMIT');
    expect(await agent.rows('FETCH ALL held')).toEqual(hidden(8));
    const ways = await everyWay(agent, sql);
    expect(Object.values(ways)).toEqual(Object.values(ways).map(() => hidden(8)));
  });

  test('take effect inside of a pipeline that waits', async () => {
    const stage = await open();
    const agent = await stage.agent();
    await agent.extended(parse('SELECT subject FROM tickets WHERE id = 1', 's'));
    await label(stage, 'tickets', { labels: ['secret'] });
    const told = tell(await agent.client.extended(bind({ statement: 's' }), execute()));
    expect(told).toMatchObject({ types: 'EZ', code: 'secret_relation', status: 'I' });
    // Binding alone hands over parameters.
    expect(tell(await agent.client.extended(bind({ statement: 's' })))).toMatchObject({ code: 'secret_relation' });
    expect(await agent.rows('SELECT 1')).toEqual([['1']]);
  });

  test('and cannot be read, leave what was in force', async () => {
    const stage = await open();
    const agent = await stage.agent();
    await writeFile(stage.gateway.files.dataFile, '{"upstreams": {"orders": {"schemas": 7}}}');
    await stage.gateway.reload().catch(() => {});
    await writeFile(stage.gateway.files.bundleFile, 'no bundle');
    await stage.gateway.reload().catch(() => {});
    expect(await agent.rows('SELECT ssn FROM customers WHERE id = 1')).toEqual([['***4321']]);
    expect(await agent.told('SELECT * FROM api_secrets')).toMatchObject({ code: 'secret_relation' });
    expect(await (await stage.agent()).rows('SELECT ssn FROM customers WHERE id = 1')).toEqual([['***4321']]);
  });
});

describe('a token', () => {
  test('that is not acceptable opens nothing at the upstream', async () => {
    const stage = await open();
    await stage.agent();
    const { gateway } = stage;
    const good = await gateway.token();
    const [head = '', body = '', signature = ''] = good.split('.');
    const tokens = [
      'hunter2',
      `${head}.${body}.`,
      `${head}.${body}.${signature.slice(0, -6)}AAAAAA`,
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
      await gateway.token('test-agent', { audience: 'https://other.example' }),
      `${good} `,
      `Bearer ${good}`,
      'x'.repeat(20_000),
    ];
    const before = stage.connections;
    for (const token of tokens) {
      await expect(stage.agent({ token })).rejects.toMatchObject({ fields: { S: 'FATAL' } });
    }
    expect(stage.connections).toBe(before);
    const kept = [await readFile(gateway.auditFile, 'utf8'), gateway.log.join('')].join('');
    for (const token of tokens) expect(kept).not.toContain(token);
  });

  test('that has expired permits nothing more, prepared or not, and nothing of it is forwarded', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
    const stage = await open({ clock, limits: { expiry_grace_ms: 60_000 } });
    const agent = await stage.agent({ token: await stage.gateway.token('mayfly', { lifetimeSeconds: 60 }) });
    await agent.extended(frontend.parse("INSERT INTO scratch.lines VALUES ('too late')", 's'));
    await agent.rows("PREPARE p AS INSERT INTO scratch.lines VALUES ('too late')");
    aheadMs = 3 * 60_000;
    const expired = { types: 'EZ', sqlstate: '28000', code: 'credential_expired' };
    expect(await agent.told("SELECT 'expired'")).toMatchObject(expired);
    expect(await agent.told('EXECUTE p')).toMatchObject(expired);
    const bound = await agent.client.extended(frontend.bind({ statement: 's' }), frontend.execute());
    expect(tell(bound)).toMatchObject({ sqlstate: '28000', code: 'credential_expired' });
    expect(stage.carried("'expired'")).toBe(false);
    expect(await stage.gateway.sql('SELECT line FROM scratch.lines')).toEqual([]);
  });
});

describe('a session that policy ends', () => {
  const quarantine = { scope: 'subject', ttl_seconds: 600, message: 'Stop.' };

  test('takes every session of its subject along, and lets none begin; others go on', async () => {
    const stage = await open(spoken);
    const calm = { allow: true };
    const one = await agentWith(stage, calm, 'suspect');
    const two = await agentWith(stage, calm, 'suspect');
    const other = await agentWith(stage, calm, 'somebody-else');
    const before = stage.connections;
    await expect(agentWith(stage, { quarantine }, 'suspect')).rejects.toMatchObject({
      fields: { S: 'FATAL', C: '28000', D: expect.stringContaining('"quarantined"') },
    });
    for (const agent of [one, two]) {
      expect(tell(await agent.client.untilClosed())).toMatchObject({ types: 'E', code: 'quarantined' });
    }
    await expect(agentWith(stage, calm, 'suspect')).rejects.toMatchObject({ fields: { S: 'FATAL', C: '28000' } });
    expect(stage.connections).toBe(before);
    expect(await other.rows('SELECT 1')).toEqual([['1']]);
  });

  test('by an obligation is answered once more, and then ended', async () => {
    const stage = await open(spoken);
    const says = { allow: true, obligations: [{ id: 'once', type: 'end_session', properties: {} }] };
    const agent = await agentWith(stage, says);
    expect(await agent.rows("INSERT INTO scratch.lines VALUES ('first') RETURNING line")).toEqual([['first']]);
    expect(tell(await agent.client.untilClosed())).toMatchObject({
      types: 'E',
      sqlstate: '57P01',
      code: 'session_ended',
    });
    expect(await stage.gateway.sql('SELECT line FROM scratch.lines')).toEqual([{ line: 'first' }]);
  });
});

test('lookups by equality are counted, whichever way they come', async () => {
  const stage = await open({ data: { limits: { max_rows: 10_000, lookups_per_hour: 3 } } });
  const agent = await stage.agent();
  const sql = "SELECT city FROM customers WHERE ssn = '900-00-0000'";
  const ways = await everyWay(agent, sql, ['simple', 'extended', 'prepared', 'cursor', 'copyText', 'binary']);
  expect(Object.values(ways).filter((rows) => Array.isArray(rows)).length).toBeLessThanOrEqual(3);
  // Another connection of the same subject has no allowance of its own.
  expect(await (await stage.agent()).told(sql)).toMatchObject({
    types: 'EZ',
    sqlstate: expect.any(String),
    status: 'I',
  });
  expect(await agent.rows('SELECT status FROM orders WHERE id = -1')).toEqual([]);
});

describe('when a part of the gateway fails', () => {
  test('a session that cannot be recorded does not begin', async () => {
    const stage = await open();
    await rm(stage.gateway.recordDir, { recursive: true, force: true });
    await writeFile(stage.gateway.recordDir, 'in the way');
    await expect(stage.agent()).rejects.toMatchObject({
      fields: { S: 'FATAL', D: expect.stringContaining('"record_unavailable"') },
    });
  });

  test('nothing is forwarded once the trail cannot be written, and it is again when it can', async () => {
    const stage = await open();
    const agent = await stage.agent();
    const folder = dirname(stage.gateway.auditFile);
    await rename(folder, `${folder}.away`);
    await writeFile(folder, 'in the way');
    let round = 0;
    let told = await agent.told('SELECT 0');
    // The trail looks once a second whether its file is still where it was.
    while (told.code === '') told = await agent.told(`SELECT ${++round}`);
    expect(told).toMatchObject({ types: 'EZ', sqlstate: '58030', code: 'audit_unavailable', status: 'I' });
    const insert = "INSERT INTO scratch.lines VALUES ('without a trace')";
    expect(await agent.told(insert)).toMatchObject({ code: 'audit_unavailable' });
    expect(await agent.toldExtended(insert)).toMatchObject({ code: 'audit_unavailable' });
    expect(stage.carried('without a trace')).toBe(false);
    expect(await stage.gateway.sql('SELECT line FROM scratch.lines')).toEqual([]);
    await rm(folder);
    await rename(`${folder}.away`, folder);
    do told = await agent.told('SELECT 1');
    while (told.code === 'audit_unavailable');
    expect(told).toMatchObject({ types: 'TDCZ', status: 'I' });
  });
});

describe('what an agent does with a catalog that changes', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });

  test('a statement behind DDL of the same transaction is refused until the catalog is known again', async () => {
    const agent = await stage.agent();
    await agent.rows('BEGIN; CREATE TABLE scratch.fresh AS SELECT status AS s FROM orders');
    expect(await agent.told('SELECT s FROM scratch.fresh')).toMatchObject({
      code: 'operation_incomplete',
      status: 'E',
    });
    await agent.rows('ROLLBACK');
    // Relations that were there before may be something else by now.
    await agent.rows('BEGIN; CREATE TABLE scratch.fresh (s text)');
    expect(await agent.told('SELECT line FROM scratch.lines')).toMatchObject({
      code: 'operation_incomplete',
      status: 'E',
    });
    await agent.rows('ROLLBACK');
    const both = 'CREATE TABLE scratch.fresh (s text); SELECT line FROM scratch.lines';
    expect(await agent.told(both)).toMatchObject({ code: 'operation_incomplete', status: 'I' });
    expect(await agent.rows('SELECT line FROM scratch.lines')).toEqual([]);
    const one = 'CREATE TABLE scratch.fresh (s text); INSERT INTO scratch.fresh VALUES (1)';
    expect(await agent.told(one)).toMatchObject({ code: 'operation_incomplete', status: 'I' });
    await agent.rows('CREATE TABLE scratch.fresh (s text)');
    expect(await agent.rows("INSERT INTO scratch.fresh VALUES ('now') RETURNING s")).toEqual([['now']]);
    await stage.close();
  });
});

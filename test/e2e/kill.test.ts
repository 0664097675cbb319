import { randomInt } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { trailFiles } from '../../proxy/audit/index.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type Frame, readRecording } from '../../proxy/record/index.ts';
import { parseTrail, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type GatewayProcess, sallyport, startGatewayProcess } from '../support/gateway-process.ts';

const rounds = 5;

/** How a writer sends its statements: the marker is in the text, or a parameter of a statement that it prepared once. */
const kinds = ['simple', 'extended', 'prepared'] as const;
type Kind = (typeof kinds)[number];

let prepared: TestGateway;
/** Every writer's subject, by its name in the markers. */
const writers: { readonly name: string; readonly kind: Kind }[] = [];

// Everything a gateway needs, as files, and what it stands on; the gateway itself gives its place to the one that is killed.
beforeAll(async () => {
  prepared = await startTestGateway({
    schemaSql: 'CREATE TABLE scratch.markers (marker text PRIMARY KEY); GRANT ALL ON scratch.markers TO :role;',
  });
  await prepared.gateway.close();
});
afterAll(() => prepared.stop());

// A test that fails before it kills its gateway leaves none behind.
const started: GatewayProcess[] = [];
afterEach(() => {
  for (const gateway of started.splice(0)) gateway.kill('SIGKILL');
});

async function start(): Promise<GatewayProcess> {
  const gateway = await startGatewayProcess(prepared.files);
  started.push(gateway);
  return gateway;
}

/** Writes markers until the gateway is gone. @returns those that were acknowledged. */
async function write(gateway: GatewayProcess, name: string, kind: Kind, acknowledge: () => void): Promise<string[]> {
  const token = await prepared.token(name);
  const client = new pg.Client({ ...(await prepared.client({ token })), port: gateway.port });
  client.on('error', () => {});
  const written: string[] = [];
  try {
    await client.connect();
    for (;;) {
      const marker = `${name}-${written.length}`;
      if (kind === 'simple') await client.query(`INSERT INTO scratch.markers VALUES ('${marker}')`);
      else if (kind === 'extended') {
        await client.query(extended(`INSERT INTO scratch.markers VALUES ('${marker}')`));
      } else {
        await client.query({ name: 'insert', text: 'INSERT INTO scratch.markers VALUES ($1)', values: [marker] });
      }
      written.push(marker);
      acknowledge();
    }
  } catch {
    // The gateway is dead: no error of its own is told from the end of the connection.
    await client.end().catch(() => {});
    return written;
  }
}

/** By the extended protocol without a parameter: an option of the driver that its types leave out. */
function extended(text: string): pg.QueryConfig {
  const query = { text, queryMode: 'extended' };
  return query;
}

/** Loads a gateway from several connections and kills it after a number of acknowledged statements. */
async function killUnderLoad(round: number): Promise<readonly string[]> {
  const gateway = await start();
  let left = randomInt(50, 700);
  const acknowledge = () => {
    left -= 1;
    if (left === 0) gateway.kill('SIGKILL');
  };
  const own = kinds.flatMap((kind) => [1, 2].map((n) => ({ name: `r${round}-${kind}-${n}`, kind })));
  writers.push(...own);
  const written = await Promise.all(own.map(({ name, kind }) => write(gateway, name, kind, acknowledge)));
  // Every writer gave up: because the gateway was killed, and not before.
  expect(left).toBeLessThanOrEqual(0);
  expect(await gateway.exit).toBe('SIGKILL');
  return written.flat();
}

/** What runs at the upstream for a connection that is gone comes to its end before anything is counted. */
async function quiet(): Promise<void> {
  const busy = `SELECT 1 FROM pg_stat_activity WHERE usename = '${prepared.role}'`;
  while ((await prepared.sql(busy)).length > 0);
}

async function trail(): Promise<readonly JsonObject[]> {
  const texts = await Promise.all(trailFiles(prepared.auditFile).map((file) => readFile(file, 'utf8')));
  return texts.flatMap(parseTrail);
}

const verify = () =>
  sallyport('audit', 'verify', '--file', prepared.auditFile, '--key', `file:${prepared.files.auditKeyFile}`);

describe('a gateway killed under load, again and again on one trail', () => {
  test('loses nothing that was acknowledged, and its trail verifies each time', async () => {
    for (let round = 0; round < rounds; round++) {
      const acknowledged = await killUnderLoad(round);
      await quiet();
      const rows = await prepared.sql(`SELECT marker FROM scratch.markers WHERE marker LIKE 'r${round}-%'`);
      const found = new Set(rows.map(({ marker }) => String(marker)));
      expect(acknowledged.length).toBeGreaterThan(0);
      for (const marker of acknowledged) expect(found).toContain(marker);
      expect(await verify()).toMatchObject({ code: 0, output: expect.stringContaining('verified') });
    }
  }, 60_000);

  test('has a decided event for every statement that the upstream executed', async () => {
    const allowed = (await trail()).filter(({ event, effect }) => event === 'decided' && effect === 'allow');
    const texts = new Set(allowed.map(({ text }) => text));
    const executions = new Map<unknown, number>();
    for (const { subject, action, phase } of allowed) {
      if (action !== 'insert' || phase !== undefined) continue;
      const { id } = Object(subject);
      executions.set(id, (executions.get(id) ?? 0) + 1);
    }
    const found = (await prepared.sql('SELECT marker FROM scratch.markers')).map(({ marker }) => String(marker));
    for (const { name, kind } of writers) {
      const own = found.filter((marker) => marker.startsWith(`${name}-`));
      expect(executions.get(name) ?? 0).toBeGreaterThanOrEqual(own.length);
      if (kind === 'prepared') continue;
      const unaudited = own.filter((marker) => !texts.has(`INSERT INTO scratch.markers VALUES ('${marker}')`));
      expect(unaudited).toEqual([]);
    }
  });

  test('starts again on the same trail, which then is whole', async () => {
    const gateway = await start();
    const client = new pg.Client({ ...(await prepared.client()), port: gateway.port });
    await client.connect();
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    gateway.kill('SIGTERM');
    expect(await gateway.exit).toBe(0);
    const { code, output } = await verify();
    expect(output).toMatch(/^verified/);
    expect(output).not.toContain('cut-off line');
    expect(output).not.toContain('not closed');
    expect(code).toBe(0);
  });

  test('leaves recordings that open, up to where it was killed', async () => {
    const entries = await readdir(prepared.recordDir, { recursive: true, withFileTypes: true });
    const files = entries
      .filter(({ name }) => name.endsWith('.sprec'))
      .map((entry) => join(entry.parentPath, entry.name));
    const recorded = new Map<unknown, string[]>();
    for (const file of files) {
      const frames: Frame[] = [];
      for await (const frame of readRecording(file)) frames.push(frame);
      expect(frames[0]?.kind).toBe('header');
      expect(['end', 'cut']).toContain(frames.at(-1)?.kind);
      recorded.set(
        Object(Object(frames[0]?.data).subject).id,
        frames.map(({ kind }) => kind),
      );
    }
    for (const { name } of writers) expect(recorded.has(name)).toBe(true);
  });
});

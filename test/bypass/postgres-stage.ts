/**
 * Where the evasions of the PostgreSQL path are tried: the whole gateway in front of a real PostgreSQL, with a login
 * that may do everything there, so that nothing but the gateway stands in the way, and a tap that keeps every byte the
 * gateway sends upstream.
 */
import { readdir, readFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import pg from 'pg';
import { readRecording } from '../../proxy/record/reader.ts';
import { startTestGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { connectWire } from '../support/wire-client.ts';
import { Agent } from './postgres-agent.ts';
import { canariesOf, leaksIn } from './postgres-canaries.ts';
import { stageData, stageSql, stateSql } from './postgres-schema.ts';

/** The gateway, what stands around it, and what it may never let out. */
export interface Stage {
  readonly gateway: TestGateway;
  /** The database that a DROP DATABASE would drop. */
  readonly victim: string;
  /** The values that no agent may see, as text. */
  readonly canaries: readonly string[];
  /** How many connections the gateway opened to the upstream so far. */
  readonly connections: number;
  /** True when the gateway sent this text to the upstream, on any connection. */
  carried(text: string | Uint8Array): boolean;
  /** Logs in as an agent and keeps everything it receives. The token is that of `test-agent` unless another is given. */
  agent(options?: { readonly startup?: Readonly<Record<string, string>>; readonly token?: string }): Promise<Agent>;
  /** A digest of everything in the database, and of what is outside of it and could be hit. */
  state(): Promise<string>;
  /**
   * Ends the gateway and says which canaries are in its audit trail, recordings, log or metrics, and in what the agents
   * received. Those an agent typed itself are among them: they may not be kept either.
   */
  kept(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** The policy that says what the token's claims say, with nothing but labels in its data. */
export const spoken = {
  bundle: join(import.meta.dirname, 'bundle/spoken.tar.gz'),
  data: { modes: null, masks: null, sql: null, limits: null },
} satisfies TestGatewayOptions;

/** Starts one. */
export async function openStage(options: TestGatewayOptions = {}): Promise<Stage> {
  const postgres = await startPostgres();
  const tap = await openTap(postgres);
  try {
    return await openBehind(tap, postgres, options);
  } catch (error) {
    await tap.close();
    await postgres.stop();
    throw error;
  }
}

async function openBehind(tap: Tap, postgres: PostgresServer, options: TestGatewayOptions): Promise<Stage> {
  const victim = await postgres.createDatabase();
  const gateway = await startTestGateway({
    postgres,
    ...options,
    data: { ...stageData, ...options.data },
    schemaSql: `${stageSql}\n${options.schemaSql ?? ''}`,
    upstream: { host: '127.0.0.1', port: tap.port, ca: undefined, ...options.upstream },
  });
  const canaries = await canariesOf((sql) => gateway.sql(sql));
  const token = await gateway.token();
  const superuser = new pg.Client({
    host: postgres.host,
    port: postgres.port,
    user: postgres.user,
    password: postgres.password,
    database: gateway.database,
    ssl: postgres.ca === undefined ? false : { ca: postgres.ca },
  });
  superuser.on('error', () => {});
  await superuser.connect();
  const agents: Agent[] = [];
  return {
    gateway,
    victim,
    canaries,
    get connections() {
      return tap.connections;
    },
    carried: (text) => tap.carried(Buffer.from(text)),
    async agent(given = {}) {
      const { host, port, ca, database } = gateway;
      const password = given.token ?? token;
      const options = given.startup ?? {};
      const agent = new Agent(
        await connectWire({ host, port, ca, user: 'agent', database, password, options }),
        canaries,
      );
      agents.push(agent);
      return agent;
    },
    state: async () => JSON.stringify((await superuser.query(stateSql(gateway.role, victim))).rows),
    async kept() {
      const texts: (readonly [string, Buffer])[] = [['metrics', Buffer.from(await gateway.metrics())]];
      for (const agent of agents) await agent.end();
      await gateway.gateway.close();
      texts.push(['log', Buffer.from(gateway.log.join(''))], ['audit', await readFile(gateway.auditFile)]);
      texts.push(...(await recordings(gateway.recordDir)));
      const listening = agents.filter(({ hearsItself }) => !hearsItself);
      texts.push(...listening.map((agent) => ['received', agent.received] as const));
      return texts.flatMap(([where, bytes]) => leaksIn(bytes, canaries).map((value) => `${where}: ${value}`));
    },
    async close() {
      for (const agent of agents) agent.client.destroy();
      await superuser.end();
      await gateway.stop();
      await tap.close();
      await postgres.stop();
    },
  };
}

/** Every recording: the file as it is, and the text of its frames, joined where rows were cut in two. */
async function recordings(directory: string): Promise<(readonly [string, Buffer])[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const texts: (readonly [string, Buffer])[] = [];
  texts.push(['index of recordings', await readFile(join(directory, 'index.jsonl'))]);
  for (const entry of entries.filter(({ name }) => name.endsWith('.sprec'))) {
    const file = join(entry.parentPath, entry.name);
    texts.push(['recording', await readFile(file)]);
    const frames: Buffer[] = [];
    for await (const { data } of readRecording(file)) {
      frames.push(Buffer.from(data instanceof Uint8Array ? data : JSON.stringify(data)));
    }
    texts.push(['recording', Buffer.concat(frames)]);
  }
  return texts;
}

/**
 * Tries a statement by the simple protocol, by the extended one, and inside a transaction, and expects each time the
 * same refusal in the gateway's words, a connection in step, nothing of it at the upstream, and nothing changed there.
 */
export async function expectRefused(stage: Stage, sql: string, code: string, sqlstate = '42501'): Promise<void> {
  const before = await stage.state();
  const agent = await stage.agent();
  const refusal = { types: 'EZ', sqlstate, code };
  expect({ way: 'simple', ...(await agent.told(sql)) }).toEqual({ way: 'simple', ...refusal, status: 'I' });
  expect({ way: 'extended', ...(await agent.toldExtended(sql)) }).toEqual({
    way: 'extended',
    ...refusal,
    status: 'I',
  });
  expect(await agent.statusAfter('BEGIN')).toBe('T');
  expect({ way: 'transaction', ...(await agent.told(sql)) }).toEqual({ way: 'transaction', ...refusal, status: 'E' });
  expect(await agent.statusAfter('SELECT 1')).toBe('E');
  expect(await agent.statusAfter('ROLLBACK')).toBe('I');
  expect(await agent.rows('SELECT 1')).toEqual([['1']]);
  expect(agent.leaks()).toEqual([]);
  await agent.end();
  expect(stage.carried(sql)).toBe(false);
  expect(await stage.state()).toBe(before);
}

interface Tap {
  readonly port: number;
  readonly connections: number;
  carried(text: Buffer): boolean;
  close(): Promise<void>;
}

/** A plain TCP relay to the server that keeps what comes from the gateway, one buffer a connection. */
async function openTap(postgres: PostgresServer): Promise<Tap> {
  const connections: Buffer[][] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect({ host: postgres.host, port: postgres.port });
    const kept: Buffer[] = [];
    connections.push(kept);
    near.on('data', (chunk: Buffer) => kept.push(chunk));
    near.pipe(far).pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get connections() {
      return connections.length;
    },
    carried: (text) => connections.some((kept) => Buffer.concat(kept).includes(text)),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

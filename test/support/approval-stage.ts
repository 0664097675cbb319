/**
 * One gateway in front of a real database, host, API and MCP server, where policy holds one operation of each protocol, and what
 * an agent does there with real clients. Uses no test framework.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { decodeJwt } from 'jose';
import pg from 'pg';
import { loadConfig } from '../../proxy/config.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type RunningGateway, startGateway } from '../../proxy/main.ts';
import { roleSql, schemaSql } from '../../scripts/demo/dataset.ts';
import { heldBy } from './approvals.ts';
import { startUpstream } from './http-gateway.ts';
import { startSessionServer } from './mcp-servers.ts';
import type { TokenRequest } from './oidc.ts';
import { startPostgres } from './postgres.ts';
import { type SshAgent, type SshGateway, type SshGatewayOptions, spoken, startSshGateway } from './ssh-gateway.ts';

/** The protocols, by what an operation on each is called here. */
export const protocols = ['postgres', 'ssh', 'http', 'mcp'] as const;

/** One of {@link protocols}. */
export type HeldProtocol = (typeof protocols)[number];

/** An operation at the gateway: what its client is told in the end, and whether it happened. */
export interface Operation {
  /** `undefined` when it was done; else the words of the refusal. */
  readonly refusal: Promise<string | undefined>;
  /** Since it was asked for. */
  happened(): Promise<boolean>;
}

/** An agent with its clients. */
export interface StageAgent {
  /** Does to the thing of a name what is held. */
  ask(protocol: HeldProtocol, name: string): Promise<Operation>;
  /** Drops what waits: the clients leave. */
  close(): Promise<void>;
}

/** The stage. */
export interface ApprovalStage {
  readonly gateway: SshGateway;
  /** As it runs now: another one after a restart. */
  readonly running: RunningGateway;
  /** An agent, what it asks for held on these terms. */
  agent(access: JsonObject, request?: Partial<TokenRequest>): Promise<StageAgent>;
  /** Ends the gateway and starts another one on the same files and ports of its own. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it. Takes three seconds. */
export async function startApprovalStage(
  options: Pick<SshGatewayOptions, 'config' | 'console'> = {},
): Promise<ApprovalStage> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-held-'));
  const postgres = await startPostgres();
  const database = await postgres.createDatabase();
  const role = `agent_${database}`;
  await postgres.psql(schemaSql, { database });
  await postgres.psql(roleSql(role, 'secret'), { database });
  const crm = await startUpstream();
  const accounts: unknown[] = [];
  const tools = await startSessionServer({
    tools: [
      {
        definition: { name: 'close_account', inputSchema: { type: 'object' } },
        call: ({ id }) => {
          accounts.push(id);
          return { content: [{ type: 'text', text: 'closed' }] };
        },
      },
    ],
  });
  const { host, port, ca } = postgres;
  const gateway = await startSshGateway({
    ...options,
    bundle: spoken.bundle,
    data: { ...spoken.data, http: null, mcp: null },
    postgres: [{ name: 'orders', host, port, ca, logins: { agent: { user: role, password: 'secret' } } }],
    http: [
      { name: 'crm', prefix: '/crm', host: crm.host, port: crm.port },
      { name: 'tools', prefix: '/tools', host: tools.url.hostname, port: Number(tools.url.port), mcp: '/mcp' },
    ],
  });
  let running = gateway.gateway;
  const restarted: RunningGateway[] = [];
  const portOf = (protocol: string) => running.listeners.find((one) => one.protocol === protocol)?.port ?? 0;

  async function agent(access: JsonObject, request: Partial<TokenRequest> = {}): Promise<StageAgent> {
    const claims = heldBy(access, 'delete', 'exec', 'DELETE', 'tools/call');
    const plain = await gateway.token('bot', { claims, ...request });
    // A token that was exchanged has the claims of the one it stands for, so these are put in here.
    const token =
      request.onBehalfOf === undefined ? plain : await gateway.oidc.sign({ ...decodeJwt(plain), ...claims });
    const leaving = new AbortController();
    const open: (() => Promise<unknown>)[] = [];
    let ssh: SshAgent | undefined;
    const ways: Record<HeldProtocol, (name: string) => Promise<Operation>> = {
      async postgres(name) {
        await postgres.psql(`INSERT INTO scratch.notes (author, note) VALUES ('a', '${name}')`, { database });
        const client = new pg.Client({
          ...{ host: '127.0.0.1', port: portOf('postgres'), database, user: 'agent', password: token },
          ssl: { ca: gateway.files.ca },
        });
        client.on('error', () => {});
        await client.connect();
        open.push(() => client.end());
        const asked = client.query('DELETE FROM scratch.notes WHERE note = $1', [name]);
        return {
          refusal: asked.then(
            () => undefined,
            ({ message, detail }) => `${message} ${detail}`,
          ),
          happened: async () => {
            const rows = await postgres.psql(`SELECT 1 FROM scratch.notes WHERE note = '${name}'`, { database });
            return rows.length === 0;
          },
        };
      },
      async ssh(name) {
        const file = join(directory, name);
        await rm(file, { force: true });
        // A token is exchanged for a certificate once.
        ssh ??= await gateway.agent({ token });
        const command = ['-p', String(portOf('ssh')), 'web1', 'cp', '/dev/null', file];
        const asked = gateway.ssh(ssh, command, { signal: leaving.signal });
        return {
          refusal: asked.then(({ code, stderr }) => (code === 0 ? undefined : stderr)),
          happened: async () => (await gateway.run('test', ['-e', file])).code === 0,
        };
      },
      async http(name) {
        const done = () => crm.received.filter(({ url }) => url.endsWith(`/customers/${name}`)).length;
        const before = done();
        const line = ['-sS', '-X', 'DELETE', '-w', '\n%{http_code}', '-H', `Authorization: Bearer ${token}`];
        // What is approved has the host in it, which must not change with the port.
        line.push('-H', 'Host: localhost');
        const url = `http://127.0.0.1:${portOf('http')}/crm/customers/${name}`;
        const asked = gateway.run('curl', [...line, url], { signal: leaving.signal });
        return {
          refusal: asked.then(({ stdout }) => (stdout.toString().endsWith('\n200') ? undefined : stdout.toString())),
          happened: async () => done() > before,
        };
      },
      async mcp(name) {
        const done = () => accounts.filter((id) => id === name).length;
        const before = done();
        const client = new Client({ name: 'test', version: '1' });
        await client.connect(
          new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${portOf('http')}/tools/mcp`), {
            requestInit: { headers: { authorization: `Bearer ${token}` } },
          }),
        );
        open.push(() => client.close());
        const asked = client.callTool({ name: 'close_account', arguments: { id: name } });
        return {
          refusal: asked.then(
            ({ isError, content }) => (isError ? JSON.stringify(content) : undefined),
            (error: Error) => error.message,
          ),
          happened: async () => done() > before,
        };
      },
    };
    return {
      ask: (protocol, name) => ways[protocol](name),
      async close() {
        leaving.abort();
        for (const end of open.splice(0)) await end();
      },
    };
  }

  return {
    gateway,
    agent,
    get running() {
      return running;
    },
    async restart() {
      await running.close();
      running = await startGateway(await loadConfig(gateway.files.configFile));
      restarted.push(running);
    },
    async stop() {
      for (const one of restarted) await one.close();
      await gateway.stop();
      await crm.stop();
      await postgres.stop();
      await tools.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * Starts what the demo needs: PostgreSQL with the shop, an sshd where the machine has one, an API and an MCP server, an OIDC
 * provider with agents, the gateway as a child process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { defaultBundle, merge, repositoryData } from '../../test/support/gateway.ts';
import { type GatewayFiles, writeGatewayFiles } from '../../test/support/gateway-files.ts';
import { startOidc } from '../../test/support/oidc.ts';
import { startPostgres } from '../../test/support/postgres.ts';
import type { SshServer } from '../../test/support/sshd.ts';
import { crmRoutes, type DemoServer, startCrm } from './crm.ts';
import { datasetSql, roleSql, schemaSql } from './dataset.ts';
import { writeEvidenceKeys } from './evidence-keys.ts';
import { hostData, startHost } from './host.ts';
import { startTools } from './tools.ts';

/** The checkout. */
export const repository = join(import.meta.dirname, '../..');

/** The shop's database and the name under which agents log in to it. */
export const shop = { database: 'shop', login: 'agent' } as const;

/** What a person of the group `dba` looks at before it runs: each DELETE that policy allows. */
export const approvalTerms = {
  sql: { approve: { delete: { groups: ['dba'], mode: 'wait', wait_seconds: 90 } } },
} as const;

/** The agents the provider knows, with their groups. */
export const agents: Readonly<Record<string, readonly string[]>> = {
  'support-agent': ['support'],
  'analyst-agent': ['analytics'],
};

/** The people the provider knows: one who decides and ends sessions, and one who sees. */
export const people = [
  { subject: 'ana', groups: ['dba', 'platform'] },
  { subject: 'vera', groups: ['staff'] },
] as const;

/** Everything that runs. */
export interface DemoStack {
  /** Where PostgreSQL clients connect to. */
  readonly host: string;
  readonly port: number;
  /** The host behind the SSH listener, and the port of that; undefined where the demo goes without. */
  readonly ssh: { readonly port: number; readonly host: SshServer } | undefined;
  /** Where HTTP and MCP clients send requests to, without a path. */
  readonly http: string;
  readonly adminUrl: string;
  /** The console, for a browser; {@link people} sign in by saying who they are. */
  readonly consoleUrl: string;
  readonly files: GatewayFiles;
  /** What whoever has to be convinced needs, and nothing secret. */
  readonly publicKeyFile: string;
  /** Agents and the references to their secrets, for `sallyport token`. */
  readonly profileFile: string;
  readonly logFile: string;
  /** Settles when the gateway ended by itself, with what it last said. */
  readonly ended: Promise<string>;
  /** A token, minted by `sallyport token` as an agent's start-up script would. */
  token(agent: string): Promise<string>;
  /** Runs a `sallyport` subcommand. */
  cli(args: readonly string[]): Promise<{ readonly code: number; readonly output: string }>;
  stop(): Promise<void>;
}

/** What is started, and where. */
export interface StackOptions {
  /** It is emptied before, and removed by `stop`. */
  readonly directory: string;
  /** With a host to reach by SSH. */
  readonly ssh: boolean;
}

/** Starts it. `say` is told what is being done. */
export async function startStack(options: StackOptions, say: (what: string) => void): Promise<DemoStack> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    return await start(options, say, undo, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: StackOptions,
  say: (what: string) => void,
  undo: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<DemoStack> {
  const directory = resolve(options.directory);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  undo.push(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));

  say('PostgreSQL');
  const postgres = await startPostgres({ exclusive: true });
  undo.push(() => postgres.stop());
  await postgres.psql(`CREATE DATABASE ${shop.database}`);
  const rolePassword = randomBytes(18).toString('base64url');
  for (const sql of [schemaSql, ...datasetSql(), roleSql('sallyport_agent', rolePassword), 'ANALYZE']) {
    await postgres.psql(sql, { database: shop.database });
  }

  let host: SshServer | undefined;
  if (options.ssh) {
    say('sshd');
    host = await startHost(join(directory, 'web1'));
    undo.push(host.stop);
  }

  say('an HTTP API, and an MCP server');
  const apiKey = randomBytes(18).toString('base64url');
  const crm = await startCrm(apiKey);
  undo.push(crm.stop);
  const tools = await startTools();
  undo.push(tools.stop);

  say('OIDC provider');
  const clients = Object.entries(agents).map(([subject, groups]) => ({ subject, groups }));
  const oidc = await startOidc({ clients });
  undo.push(() => oidc.stop());
  const profileFile = await writeProfile(directory, oidc);

  say('gateway');
  const port = await freePort(6432);
  const sshPort = await freePort(2222);
  const httpPort = await freePort(8080);
  const adminPort = await freePort(9464);
  const consolePort = await freePort(8088);
  const consoleUrl = `http://127.0.0.1:${consolePort}`;
  oidc.invite({
    people,
    applications: [
      { clientId: 'console', redirectUris: [`${consoleUrl}/auth/callback`] },
      { clientId: 'sallyport-cli' },
    ],
  });
  const data = merge(await repositoryData(), approvalTerms);
  const keys = await writeEvidenceKeys(directory);
  const files = await writeGatewayFiles({
    directory,
    issuer: oidc.issuer,
    audience: oidc.audience,
    bundle: defaultBundle,
    data: host === undefined ? data : merge(data, hostData(host.home)),
    port,
    adminPort,
    upstreams: [
      {
        name: 'orders',
        host: postgres.host,
        port: postgres.port,
        ca: postgres.ca,
        databases: [shop.database],
        logins: { [shop.login]: { user: 'sallyport_agent', password: rolePassword } },
      },
    ],
    http: { port: httpPort, upstreams: [crmUpstream(crm, apiKey), toolsUpstream(tools)] },
    config: { console: consoleConfig(oidc.issuer, consolePort), ...keys.config },
    ...(host && { ssh: { port: sshPort, upstreams: [hostUpstream(host)] } }),
  });
  const logFile = join(directory, 'gateway.log');
  const child = spawn(process.execPath, ['proxy/cli/main.ts', 'serve', '--config', files.configFile], {
    cwd: repository,
    stdio: ['ignore', 'ignore', 'pipe'],
    // A terminal's ctrl-c goes to the whole group: the gateway is drained by us instead, once.
    detached: true,
  });
  undo.push(() => end(child));
  const { ended } = await untilServing(child, logFile);
  const cli: DemoStack['cli'] = (args) => runCli(args, profileFile);
  return {
    host: '127.0.0.1',
    port,
    ssh: host && { port: sshPort, host },
    http: `http://127.0.0.1:${httpPort}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    consoleUrl,
    files,
    publicKeyFile: keys.publicKeyFile,
    profileFile,
    logFile,
    ended,
    cli,
    async token(agent) {
      const { code, output } = await cli(['token', agent]);
      if (code !== 0) throw new Error(`sallyport token failed: ${output}`);
      return output.trim();
    },
    stop,
  };
}

function consoleConfig(issuer: string, port: number) {
  const audience = 'https://console.sallyport.example';
  const clients = { client_id: 'console', device_client_id: 'sallyport-cli' };
  return {
    listen: `127.0.0.1:${port}`,
    oidc: { issuer, audience, ...clients, allow_insecure_http: true },
    roles: { viewer: ['staff'], approver: ['dba'], admin: ['platform'] },
  };
}

function crmUpstream({ host, port }: DemoServer, secret: string) {
  const credential = { header: { name: 'x-api-key', value: 'SECRET' } };
  return { ...{ name: 'crm', host, port, prefix: '/crm', credential, secret }, routes: crmRoutes };
}

function toolsUpstream({ host, port }: DemoServer) {
  return { name: 'tools', host, port, prefix: '/tools', mcp: '/mcp' };
}

function hostUpstream({ host, port, hostKey, user, clientKey }: SshServer) {
  return { name: 'web1', host, port, hostKeys: [hostKey], logins: { [shop.login]: { user, key: clientKey } } };
}

async function writeProfile(
  directory: string,
  oidc: { issuer: string; audience: string; secretOf(subject: string): string | undefined },
): Promise<string> {
  const folder = join(directory, 'agents');
  await mkdir(folder, { mode: 0o700 });
  const references: Record<string, string> = {};
  for (const agent of Object.keys(agents)) {
    await writeFile(join(folder, agent), oidc.secretOf(agent) ?? '', { mode: 0o600 });
    references[agent] = `file:./agents/${agent}`;
  }
  const file = join(directory, 'agents.json');
  const profile = { issuer: oidc.issuer, audience: oidc.audience, agents: references };
  await writeFile(file, `${JSON.stringify(profile, undefined, 2)}\n`);
  return file;
}

/** Resolves once the gateway says that it serves, with a promise of its end. @throws when it ends before. */
async function untilServing(child: ChildProcess, logFile: string): Promise<{ ended: Promise<string> }> {
  const log = createWriteStream(logFile);
  let last = '';
  const ended = new Promise<string>((resolve) => child.once('exit', () => resolve(last)));
  const serving = new Promise<boolean>((resolve) => {
    if (child.stderr === null) throw new Error('the gateway has no standard error');
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.write(`${line}\n`);
      last = line;
      if (line.includes('"message":"serving"')) resolve(true);
    });
  });
  if (!(await Promise.race([serving, ended.then(() => false)]))) {
    throw new Error(`the gateway did not start: ${await ended}`);
  }
  process.once('exit', () => child.kill('SIGKILL'));
  return { ended };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  await ended;
}

function runCli(args: readonly string[], profile: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['proxy/cli/main.ts', ...args], {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SALLYPORT_PROFILE: profile },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** The preferred port when nobody has it, else any. Of demos that begin at the same moment one says `SALLYPORT_DEMO_PORTS=1000`, which is added. */
export async function freePort(preferred: number): Promise<number> {
  return (
    (await tryPort(preferred + Number(process.env.SALLYPORT_DEMO_PORTS ?? 0))) ??
    (await tryPort(0)) ??
    Promise.reject(new Error('no port is free'))
  );
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(address === null || typeof address === 'string' ? undefined : address.port));
    });
  });
}

/** A path as one would type it. */
export function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}

/** The `sallyport` of this checkout, as one would type it. */
export const sallyport = shown(join(repository, 'scripts/sallyport'));

/** What shows the recording of a session. */
export function replayLine({ files }: DemoStack, session: string): string {
  return `${sallyport} replay ${session} --config ${shown(files.configFile)}`;
}

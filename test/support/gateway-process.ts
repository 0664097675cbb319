/**
 * The gateway as a process of its own, started as an operator does: what must hold when it is killed, and how much memory
 * it takes, can only be seen from outside. Uses no test framework.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { GatewayFiles } from './gateway-files.ts';

const repository = join(import.meta.dirname, '../..');
const commandLine = join(repository, 'proxy/cli/main.ts');

/** A running `sallyport serve`. */
export interface GatewayProcess {
  readonly pid: number;
  /** Of the listener for the protocol that was asked for. */
  readonly port: number;
  /** The base URL of admin. */
  readonly admin: string;
  /** What it logged so far, a line each. */
  readonly lines: readonly string[];
  /** Resolves when it has ended, with its exit code or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>;
  kill(signal: NodeJS.Signals): void;
  /** The first log line that has all of these in it, once there is one. @throws when the process ends without it. */
  said(...parts: readonly string[]): Promise<string>;
}

/** Starts it and waits until it serves. Gone with this process at the latest. */
export async function startGatewayProcess(
  files: Pick<GatewayFiles, 'configFile'>,
  environment: Readonly<Record<string, string>> = {},
  protocol: 'postgres' | 'ssh' | 'http' = 'postgres',
): Promise<GatewayProcess> {
  const child = spawn(process.execPath, [commandLine, 'serve', '--config', files.configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Options of the test runner are not the gateway's.
    env: { ...process.env, NODE_OPTIONS: '', ...environment },
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const exit = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.removeListener('exit', kill);
      resolve(signal ?? code ?? -1);
    });
  });
  const { lines, said } = followLog(child, exit);
  const listening: unknown = JSON.parse(await said('"message":"listening"', `"protocol":"${protocol}"`));
  const serving: unknown = JSON.parse(await said('"message":"serving"'));
  return {
    pid: child.pid ?? 0,
    port: Number(memberOf(listening, 'port')),
    admin: `http://${memberOf(serving, 'admin')}`,
    lines,
    exit,
    kill: (signal) => child.kill(signal),
    said,
  };
}

function followLog(child: ChildProcess, exit: Promise<unknown>) {
  const lines: string[] = [];
  let notify = () => {};
  if (child.stderr === null) throw new Error('the gateway has no log');
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    notify();
  });
  const find = (parts: readonly string[]) => lines.find((line) => parts.every((part) => line.includes(part)));
  const said = async (...parts: readonly string[]): Promise<string> => {
    for (let ended = false; ; ) {
      const line = find(parts);
      if (line !== undefined) return line;
      if (ended) throw new Error(`the gateway never said ${parts.join(' ')}:\n${lines.join('\n')}`);
      const more = new Promise<void>((resolve) => {
        notify = resolve;
      });
      ended = await Promise.race([more.then(() => false), exit.then(() => true)]);
    }
  };
  return { lines, said };
}

function memberOf(line: unknown, key: string): string {
  const value: unknown = line !== null && typeof line === 'object' ? Reflect.get(line, key) : undefined;
  if (typeof value !== 'number' && typeof value !== 'string') throw new Error(`no ${key} in ${JSON.stringify(line)}`);
  return String(value);
}

/** Runs another subcommand to its end. @returns its exit code and everything it printed. */
export async function sallyport(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly output: string }> {
  const child = spawn(process.execPath, [commandLine, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? -1));
  });
  return { code, output };
}

/** How much memory a process holds, and the most it ever held since {@link forgetPeak}; bytes. Linux. */
export async function memoryOf(pid: number): Promise<{ readonly residentBytes: number; readonly peakBytes: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { residentBytes: of('VmRSS'), peakBytes: of('VmHWM') };
}

/**
 * Until a process has had nothing to do for a while. On a busy machine it still compiles, in threads beside, what it was first
 * asked for long after it answered, and that takes hundreds of megabytes for a moment. Linux.
 */
async function settled(pid: number): Promise<void> {
  for (let quiet = 0; quiet < 200; ) {
    const threads = await readdir(`/proc/${pid}/task`);
    const states = await Promise.all(threads.map((thread) => stateOf(`/proc/${pid}/task/${thread}/stat`)));
    quiet = states.includes('R') ? 0 : quiet + 1;
  }
}

/** `R` for one that runs or could; one that has ended meanwhile has none. */
async function stateOf(file: string): Promise<string | undefined> {
  const stat = await readFile(file, 'utf8').catch(() => '');
  return /\) ([A-Z])/.exec(stat)?.[1];
}

/** The peak of a process's memory is counted anew from here, once it has nothing left to do. @see https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
export async function forgetPeak(pid: number): Promise<void> {
  await settled(pid);
  await writeFile(`/proc/${pid}/clear_refs`, '5');
}

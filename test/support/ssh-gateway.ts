/**
 * The whole real gateway in this process in front of a real sshd and a real OIDC provider, on free ports, with what an
 * agent needs to come through it: a certificate, known_hosts and Host entries. Uses no test framework.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../proxy/config.ts';
import { systemClock } from '../../proxy/core/clock.ts';
import { createLog } from '../../proxy/core/log.ts';
import type { Clock } from '../../proxy/core/ports.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type RunningGateway, startGateway } from '../../proxy/main.ts';
import { formatPrivateKey, publicKeyOf } from '../../proxy/protocols/ssh/private-key.ts';
import { publicKeyLine } from '../../proxy/protocols/ssh/public-key.ts';
import { Client } from '../../proxy/protocols/ssh/ssh2.ts';
import { consoleConfig, defaultBundle, merge, repositoryData, type TestGatewayOptions, trailOf } from './gateway.ts';
import {
  type GatewayFiles,
  type HttpUpstreamFiles,
  type SshUpstreamFiles,
  type UpstreamFiles,
  writeGatewayFiles,
} from './gateway-files.ts';
import { type Oidc, startOidc, type TokenRequest } from './oidc.ts';
import { type SshdOptions, type SshServer, startSshd } from './sshd.ts';

/** How the gateway under test differs from the usual one. */
export interface SshGatewayOptions {
  /** Merged deeply over `data.config` of the repository; `null` removes a key. */
  readonly data?: JsonObject;
  readonly bundle?: string;
  readonly limits?: Readonly<Record<string, number>>;
  /** An own or shared sshd (it is left running); by default one is started. */
  readonly sshd?: SshServer;
  readonly sshdOptions?: SshdOptions;
  /** Changes how the gateway reaches its host. */
  readonly upstream?: Partial<SshUpstreamFiles>;
  /** Further hosts. */
  readonly more?: readonly SshUpstreamFiles[];
  /** PostgreSQL upstreams beside. */
  readonly postgres?: readonly UpstreamFiles[];
  /** HTTP upstreams beside. */
  readonly http?: readonly HttpUpstreamFiles[];
  readonly lifetimeSeconds?: number;
  /** Further keys of the configuration, merged one level deep. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly clock?: Clock;
  /** With a console beside. */
  readonly console?: TestGatewayOptions['console'];
}

/** The policy that says what the token's claims say (`says`), with nothing but labels in its data. */
export const spoken = {
  bundle: join(import.meta.dirname, '../bypass/bundle/spoken.tar.gz'),
  data: { modes: null, masks: null, sql: null, ssh: null, limits: null },
} satisfies SshGatewayOptions;

/** What a program left behind. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** An agent that can come through the gateway: a folder with key, certificate, known_hosts and ssh_config. */
export interface SshAgent {
  readonly directory: string;
  /** `ssh -F` of it; the hosts are `web1` and `direct`, the same host without the gateway. */
  readonly configFile: string;
  readonly keyFile: string;
  readonly certificate: string;
  readonly token: string;
}

/** A gateway under test. */
export interface SshGateway {
  readonly host: string;
  readonly port: number;
  readonly sshd: SshServer;
  readonly files: GatewayFiles;
  readonly oidc: Oidc;
  readonly gateway: RunningGateway;
  /** Log lines of the gateway so far. */
  readonly log: readonly string[];
  token(subject?: string, request?: Partial<TokenRequest>): Promise<string>;
  /** Exchanges a token for a certificate, as `sallyport ssh login` does, and writes an agent's folder. */
  agent(options?: { token?: string; user?: string }): Promise<SshAgent>;
  /** Runs a program to its end; its standard input is `input`. Killed after a minute. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** `ssh -F config web1 …` of an agent; `direct` goes around the gateway. */
  ssh(agent: SshAgent, args: readonly string[], options?: RunOptions): Promise<Finished>;
  audit(): Promise<readonly JsonObject[]>;
  metrics(): Promise<string>;
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** How a program is run. */
export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** Starts one. Takes about a second. */
export async function startSshGateway(options: SshGatewayOptions = {}): Promise<SshGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-ssh-'));
  const stops: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true, maxRetries: 3 })];
  const stop = async () => {
    for (const undo of stops.splice(0).toReversed()) await undo();
  };
  try {
    return await startIn(directory, options, stops, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startIn(
  directory: string,
  options: SshGatewayOptions,
  stops: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<SshGateway> {
  const sshd = options.sshd ?? (await startSshd(options.sshdOptions));
  if (options.sshd === undefined) stops.push(() => sshd.stop());
  const oidc = await startOidc();
  stops.push(() => oidc.stop());
  const files = await writeGatewayFiles({
    directory,
    issuer: oidc.issuer,
    audience: oidc.audience,
    bundle: options.bundle ?? defaultBundle,
    data: merge(await repositoryData(), options.data ?? {}),
    ...(options.limits && { limits: options.limits }),
    config: { ...options.config, ...(options.console && { console: consoleConfig(oidc.issuer, options.console) }) },
    upstreams: options.postgres ?? [],
    ...(options.http && { http: { upstreams: options.http } }),
    ssh: {
      ...(options.lifetimeSeconds !== undefined && { lifetimeSeconds: options.lifetimeSeconds }),
      upstreams: [
        {
          name: 'web1',
          host: sshd.host,
          port: sshd.port,
          hostKeys: [sshd.hostKey],
          logins: { agent: { user: sshd.user, key: sshd.clientKey } },
          ...options.upstream,
        },
        ...(options.more ?? []),
      ],
    },
  });
  const log: string[] = [];
  const gateway = await startGateway(await loadConfig(files.configFile), {
    log: createLog(options.clock ?? systemClock, (line) => log.push(line)),
    ...(options.clock && { clock: options.clock }),
  });
  stops.push(() => gateway.close());
  const { host, port } = gateway.listeners.find(({ protocol }) => protocol === 'ssh') ?? { host: '', port: 0 };
  const token: SshGateway['token'] = (subject = 'test-agent', request = {}) =>
    oidc.token({ subject, groups: ['support'], ...request });
  let agents = 0;
  const running = new Set<ChildProcess>();
  stops.push(async () => {
    for (const child of running) child.kill('SIGKILL');
  });
  const run: SshGateway['run'] = (program, args, more) => runProgram(program, args, more ?? {}, running);
  return {
    ...{ host, port, sshd, files, oidc, gateway, log, token, run, stop },
    async agent({ token: given, user = 'agent+web1' } = {}) {
      const folder = join(directory, `agent-${agents++}`);
      return await makeAgent(folder, { host, port, files, sshd, token: given ?? (await token()), user });
    },
    ssh: (agent, args, more) => run('ssh', ['-F', agent.configFile, ...args], more),
    audit: () => trailOf(gateway, files.auditFile),
    metrics: async () => await (await fetch(`http://${gateway.admin.host}:${gateway.admin.port}/metrics`)).text(),
    reload: () => gateway.reload(),
  };
}

interface AgentOptions {
  readonly host: string;
  readonly port: number;
  readonly files: GatewayFiles;
  readonly sshd: SshServer;
  readonly token: string;
  readonly user: string;
}

async function makeAgent(folder: string, options: AgentOptions): Promise<SshAgent> {
  const { host, port, files, sshd, token, user } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync('ed25519');
  const { type, blob } = publicKeyOf(privateKey);
  const certificate = await exchange({ host, port, token, line: publicKeyLine(type, blob) });
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, formatPrivateKey(privateKey, 'agent', randomBytes(4).readUInt32BE()), { mode: 0o600 });
  await writeFile(`${keyFile}-cert.pub`, `${certificate}\n`);
  await writeFile(join(folder, 'direct'), sshd.clientKey, { mode: 0o600 });
  await writeFile(join(folder, 'known_hosts'), `sallyport ${files.sshHostKey}\ndirect ${sshd.hostKey}\n`);
  const common = `  UserKnownHostsFile ${join(folder, 'known_hosts')}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  IdentitiesOnly yes
  BatchMode yes
  LogLevel ERROR
`;
  const configFile = join(folder, 'config');
  await writeFile(
    configFile,
    `Host direct
  HostName ${sshd.host}
  Port ${sshd.port}
  User ${sshd.user}
  HostKeyAlias direct
  IdentityFile ${join(folder, 'direct')}
${common}Host *
  HostName ${host}
  Port ${port}
  User ${user}
  HostKeyAlias sallyport
  IdentityFile ${keyFile}
  CertificateFile ${keyFile}-cert.pub
${common}`,
  );
  return { directory: folder, configFile, keyFile, certificate, token };
}

/** Sends a public key for a token. @throws with what the gateway said when there is no certificate. */
export function exchange(about: {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly line: string;
}): Promise<string> {
  const { host, port, token, line } = about;
  return new Promise((resolve, reject) => {
    const client = new Client();
    client.on('error', reject);
    client.on('close', () => reject(new Error('the gateway closed the connection')));
    client.on('ready', () => {
      client.subsys('certificate@sallyport', (error, channel) => {
        if (error) {
          reject(error);
          return;
        }
        let answer = '';
        let complaint = '';
        channel.on('data', (chunk: Buffer) => {
          answer += chunk.toString('utf8');
        });
        channel.stderr.on('data', (chunk: Buffer) => {
          complaint += chunk.toString('utf8');
        });
        channel.on('close', () => {
          client.end();
          if (answer === '') reject(new Error(complaint));
          else resolve(answer.trim());
        });
        channel.end(`${line}\n`);
      });
    });
    client.connect({ host, port, username: 'sallyport-login', password: token });
  });
}

function runProgram(
  program: string,
  args: readonly string[],
  { input, env, cwd, signal }: RunOptions,
  running: Set<ChildProcess>,
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', LC_ALL: 'C', ...env },
      ...(cwd !== undefined && { cwd }),
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    running.add(child);
    signal?.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', reject);
    child.on('close', (code, by) => {
      running.delete(child);
      resolve({ code, signal: by, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8') });
    });
    // A program that does not read its input to the end closes it.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

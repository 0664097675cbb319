/** The SSH path beside the direct connection to the same sshd: logins, commands, bulk, many sessions, memory. */
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatPrivateKey, publicKeyOf } from '../../proxy/protocols/ssh/private-key.ts';
import { publicKeyLine } from '../../proxy/protocols/ssh/public-key.ts';
import { createShellClassifier } from '../../proxy/protocols/ssh/shell/index.ts';
import { Client, type ClientChannel, type ClientOptions } from '../../proxy/protocols/ssh/ssh2.ts';
import { defaultBundle, merge, repositoryData } from '../support/gateway.ts';
import { writeGatewayFiles } from '../support/gateway-files.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { startOidc } from '../support/oidc.ts';
import { exchange } from '../support/ssh-gateway.ts';
import { startSshd } from '../support/sshd.ts';
import { cpuSeconds, interleave, median, ratio, residentKib, rounded } from './measure.ts';

const bulkBytes = 256 * 1024 * 1024;
const sessions = 200;
const echoBytes = 100 * 1024;
const samples = 20;

/** Both ways to the host. */
interface Stage {
  readonly direct: ClientOptions;
  readonly gateway: ClientOptions;
  /** For OpenSSH's own client: hosts `direct` and `web1`. */
  readonly configFile: string;
  readonly process: GatewayProcess;
  stop(): Promise<void>;
}

/** Runs them all and prints what it measures as it goes. */
export async function sshFigures({ rounds }: { readonly rounds: number }): Promise<Record<string, number>> {
  const stage = await openStage();
  try {
    return {
      // Idle memory first: what load left behind would hide it.
      ...(await idleMemory(stage)),
      ...(await logins(stage, rounds)),
      ...(await commands(stage, rounds)),
      ...(await bulk(stage, rounds)),
      ...(await manySessions(stage)),
      ...classification(),
    };
  } finally {
    await stage.stop();
  }
}

async function openStage(): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-ssh-'));
  const sshd = await startSshd();
  const oidc = await startOidc();
  await writeFile(join(sshd.home, 'bulk'), randomBytes(bulkBytes));
  const files = await writeGatewayFiles({
    directory,
    issuer: oidc.issuer,
    audience: oidc.audience,
    bundle: defaultBundle,
    limits: { connections_per_address_max: 1_000 },
    data: merge(await repositoryData(), {
      // Bulk is compared as it is; what masks cost has a figure of its own.
      ssh: { paths: { read: ['/'], write: [sshd.home] }, masks: {} },
    }),
    upstreams: [],
    ssh: {
      lifetimeSeconds: 3_600,
      upstreams: [
        {
          ...{ name: 'web1', host: sshd.host, port: sshd.port, hostKeys: [sshd.hostKey] },
          logins: { agent: { user: sshd.user, key: sshd.clientKey } },
        },
      ],
    },
  });
  const process = await startGatewayProcess(files, {}, 'ssh');
  const { privateKey } = generateKeyPairSync('ed25519');
  const { type, blob } = publicKeyOf(privateKey);
  const token = await oidc.token({ subject: 'bench-agent', groups: ['support'], lifetimeSeconds: 6 * 3600 });
  const { port } = process;
  const line = await exchange({ host: '127.0.0.1', port, token, line: publicKeyLine(type, blob) });
  const key = formatPrivateKey(privateKey, 'bench', 1);
  const at = (name: string) => join(directory, name);
  await writeFile(at('key'), key, { mode: 0o600 });
  await writeFile(at('key-cert.pub'), `${line}\n`);
  await writeFile(at('direct'), sshd.clientKey, { mode: 0o600 });
  await writeFile(at('known_hosts'), `gateway ${files.sshHostKey}\ndirect ${sshd.hostKey}\n`);
  await writeFile(
    at('config'),
    `Host direct
  HostName ${sshd.host}
  Port ${sshd.port}
  User ${sshd.user}
  HostKeyAlias direct
  IdentityFile ${at('direct')}
Host web1
  HostName 127.0.0.1
  Port ${port}
  User agent+web1
  HostKeyAlias gateway
  IdentityFile ${at('key')}
  CertificateFile ${at('key-cert.pub')}
Host *
  UserKnownHostsFile ${at('known_hosts')}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  IdentitiesOnly yes
  BatchMode yes
  LogLevel ERROR
`,
  );
  return {
    direct: { host: sshd.host, port: sshd.port, username: sshd.user, privateKey: sshd.clientKey },
    gateway: {
      ...{ host: '127.0.0.1', port, username: 'agent+web1', privateKey: key },
      certificate: Buffer.from(line.split(' ')[1] ?? '', 'base64'),
    },
    configFile: at('config'),
    process,
    async stop() {
      process.kill('SIGTERM');
      await process.exit;
      await oidc.stop();
      await sshd.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function logins(stage: Stage, rounds: number): Promise<Record<string, number>> {
  const measure = (options: ClientOptions) => async () => {
    const times: number[] = [];
    for (let index = 0; index < samples; index++) {
      const startMs = performance.now();
      const client = await connect(options);
      times.push(performance.now() - startMs);
      client.end();
    }
    return median(times);
  };
  const { direct, gateway } = await interleave(
    { direct: measure(stage.direct), gateway: measure(stage.gateway) },
    rounds,
  );
  say('login p50', `direct ${median(direct).toFixed(1)} ms, gateway ${median(gateway).toFixed(1)} ms`);
  return { ssh_login_vs_direct: rounded(ratio(gateway, direct)) };
}

async function commands(stage: Stage, rounds: number): Promise<Record<string, number>> {
  const direct = await connect(stage.direct);
  const gateway = await connect(stage.gateway);
  const measure = (client: Client) => async () => {
    const times: number[] = [];
    for (let index = 0; index < samples * 3; index++) {
      const startMs = performance.now();
      await exec(client, 'true');
      times.push(performance.now() - startMs);
    }
    return median(times);
  };
  for (const client of [direct, gateway]) await measure(client)();
  const times = await interleave({ direct: measure(direct), gateway: measure(gateway) }, rounds);
  direct.end();
  gateway.end();
  say('warm exec p50', `direct ${median(times.direct).toFixed(2)} ms, gateway ${median(times.gateway).toFixed(2)} ms`);
  return { ssh_exec_vs_direct: rounded(ratio(times.gateway, times.direct)) };
}

async function bulk(stage: Stage, rounds: number): Promise<Record<string, number>> {
  const cpu: number[] = [];
  const measure = (host: string, args: readonly string[]) => async () => {
    const before = cpuSeconds(stage.process.pid);
    const startMs = performance.now();
    await ssh(stage, [...args, host, 'cat bulk']);
    const seconds = (performance.now() - startMs) / 1000;
    if (host === 'web1') cpu.push(((cpuSeconds(stage.process.pid) - before) * 1000) / (bulkBytes / 1e6));
    return bulkBytes / 1e6 / seconds;
  };
  const gcm = ['-c', 'aes128-gcm@openssh.com'];
  const speeds = await interleave(
    {
      direct: measure('direct', []),
      gateway: measure('web1', []),
      directGcm: measure('direct', gcm),
      gatewayGcm: measure('web1', gcm),
    },
    rounds,
  );
  for (const [name, values] of Object.entries(speeds)) say(`bulk ${name}`, `${median(values).toFixed(0)} MB/s`);
  say('processor time of the gateway', `${median(cpu).toFixed(2)} ms a MB`);
  return {
    ssh_bulk_vs_direct: rounded(ratio(speeds.gateway, speeds.direct)),
    ssh_bulk_gcm_vs_direct: rounded(ratio(speeds.gatewayGcm, speeds.directGcm)),
  };
}

async function idleMemory(stage: Stage): Promise<Record<string, number>> {
  const warm = await openMany(stage.gateway, 30);
  for (const client of warm) await exec(client, 'true');
  const before = residentKib(stage.process.pid);
  const clients = await openMany(stage.gateway, sessions);
  const each = (residentKib(stage.process.pid) - before) / sessions;
  for (const client of [...clients, ...warm]) client.end();
  say('idle connection', `${each.toFixed(0)} KiB, that to the host included`);
  return { ssh_session_kb: rounded(each) };
}

/** All at once: each a connection of its own that sends and gets back a hundred kilobytes. */
async function manySessions(stage: Stage): Promise<Record<string, number>> {
  const measure = (options: ClientOptions) => async () => {
    const clients = await openMany(options, sessions);
    const input = randomBytes(echoBytes);
    const startMs = performance.now();
    const outputs = await Promise.all(clients.map((client) => exec(client, 'cat', input)));
    const ms = performance.now() - startMs;
    for (const client of clients) client.end();
    if (!outputs.every((output) => output.equals(input))) throw new Error('what came back is not what was sent');
    return ms;
  };
  const { direct, gateway } = await interleave({ direct: measure(stage.direct), gateway: measure(stage.gateway) }, 1);
  say(
    `${sessions} sessions at once`,
    `direct ${median(direct).toFixed(0)} ms, gateway ${median(gateway).toFixed(0)} ms`,
  );
  return { ssh_concurrent_vs_direct: rounded(ratio(gateway, direct)) };
}

/** What agents usually send. */
const usual = [
  'ls -la /var/log',
  'cd /srv/app && git status --short | head -20',
  "grep -rn 'error' /var/log/app --include='*.log' | tail -50",
  'systemctl status nginx; journalctl -u nginx -n 50 --no-pager',
  "find /srv -name '*.conf' -newer /etc/hostname -print | xargs -r ls -l",
];

function classification(): Record<string, number> {
  const classifier = createShellClassifier();
  const context = { variables: new Map([['HOME', '/srv/agent']]), cwd: '/srv/agent', parameters: [] };
  const runs = 4_000;
  for (let index = 0; index < runs; index++) classifier.classify(usual[index % usual.length] ?? '', context);
  const startMs = performance.now();
  for (let index = 0; index < runs; index++) classifier.classify(usual[index % usual.length] ?? '', context);
  const us = ((performance.now() - startMs) * 1000) / runs;
  say('classification', `${us.toFixed(1)} µs a command`);
  return { ssh_classify_us: rounded(us) };
}

/** A few at a time: an sshd turns away more that have not logged in. */
async function openMany(options: ClientOptions, count: number): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const batch = Math.min(10, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: batch }, () => connect(options)))));
  }
  return clients;
}

function connect(options: ClientOptions): Promise<Client> {
  const client = new Client();
  return new Promise((resolve, reject) => {
    client.on('error', reject);
    client.on('ready', () => resolve(client));
    client.connect({ ...options, readyTimeout: 60_000 });
  });
}

function exec(client: Client, command: string, input?: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel: ClientChannel) => {
      if (error) {
        reject(error);
        return;
      }
      const pieces: Buffer[] = [];
      channel.on('data', (chunk: Buffer) => pieces.push(chunk));
      channel.stderr.resume();
      channel.on('close', (code: number | null) =>
        code === 0 ? resolve(Buffer.concat(pieces)) : reject(new Error(`${command} ended with ${code}`)),
      );
      channel.end(input);
    });
  });
}

function ssh(stage: Stage, args: readonly string[]): Promise<void> {
  const child = spawn('ssh', ['-F', stage.configFile, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`ssh ended with ${code}`))));
  });
}

function say(what: string, figures: string): void {
  process.stderr.write(`ssh ${what}: ${figures}\n`);
}

import { mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig, type SshListenerConfig } from '../config.ts';
import { resolveSecret } from '../core/secret-ref.ts';
import { type PublicKey, parsePublicKey, parsePublicKeyLine } from '../protocols/ssh/public-key.ts';
import { parseKey } from '../protocols/ssh/ssh2.ts';
import { type Command, type Io, UsageError } from './io.ts';
import {
  type GatewayAddress,
  hostKeyAlias,
  knownHostsLines,
  knownKeys,
  parseGatewayAddress,
  withKnownKeys,
} from './known-hosts.ts';
import { replaceFile } from './ssh-files.ts';

const help = `sallyport ssh-config --gateway HOST:PORT --upstream LOGIN+NAME... [--host-key 'ssh-ed25519 AAAA...']
sallyport ssh-config --config FILE [--gateway HOST:PORT]
       [--known-hosts FILE] [--directory DIR] [--agent NAME] [--profile FILE] [--token-file FILE]

Prints what belongs into ~/.ssh/config, for ssh, scp, rsync and git to reach hosts through the gateway as NAME.sallyport
(LOGIN.NAME.sallyport where a host has several logins). They fetch their certificate by themselves, with
sallyport ssh login, which gets --agent, --profile and --token-file passed on.
With --config, the gateway's own configuration, the logins and the host keys are those of its ssh listener.
--known-hosts writes the gateway's host keys into FILE; without it they are to be in DIR/known_hosts (DIR is
~/.sallyport unless it is said), and the lines are printed as a comment.
`;

const options = {
  gateway: { type: 'string' },
  'host-key': { type: 'string', multiple: true },
  upstream: { type: 'string', multiple: true },
  config: { type: 'string', short: 'c' },
  'known-hosts': { type: 'string' },
  directory: { type: 'string' },
  agent: { type: 'string' },
  profile: { type: 'string' },
  'token-file': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** `sallyport ssh-config`: a part of an ssh_config on standard output. */
export const run: Command = async (args, io) => {
  const { values } = parseArgs({ args: [...args], options });
  if (values.help === true) {
    io.stdout.write(help);
    return 0;
  }
  const listener = values.config === undefined ? undefined : await sshListener(values.config);
  const gateway = gatewayAddress(values.gateway, listener);
  const targets = listener === undefined ? (values.upstream ?? []).map(target) : targetsOf(listener);
  if (targets.length === 0 || (listener !== undefined && values.upstream !== undefined)) throw new UsageError(help);
  const directory = plain(absolute(values.directory ?? '~/.sallyport'));
  const knownHosts = plain(absolute(values['known-hosts'] ?? `${directory}/known_hosts`));
  const given = values['host-key'];
  const hostKeys = given ? given.map(hostKey) : listener === undefined ? [] : await hostKeysOf(listener);
  const passedOn = (['agent', 'profile', 'token-file'] as const).flatMap((name) => {
    const value = values[name];
    if (value === undefined) return [];
    if (value === '-') throw new UsageError('a login that ssh starts has no standard input to read a token from');
    return [`--${name} ${name === 'agent' ? escaped(plain(value)) : inCommand(plain(absolute(value)))}`];
  });
  const text = sshConfig({ gateway, targets, directory, knownHosts, passedOn });
  if (values['known-hosts'] !== undefined) await pin(knownHosts, hostKeys, gateway);
  else if (hostKeys.length > 0) comment(`${knownHosts} must have:`, knownHostsLines(hostKeys), io);
  io.stdout.write(text);
  return 0;
};

/** A login at a host behind the gateway. */
interface Target {
  readonly login: string;
  readonly upstream: string;
}

interface Sections {
  readonly gateway: GatewayAddress;
  readonly targets: readonly Target[];
  readonly directory: string;
  readonly knownHosts: string;
  /** Options for `sallyport ssh login`. */
  readonly passedOn: readonly string[];
}

/** The configuration as text. Its first line makes ssh run a login before each connection to a `*.sallyport`. */
function sshConfig({ gateway, targets, directory, knownHosts, passedOn }: Sections): string {
  const address = gateway.host.includes(':')
    ? `'[${gateway.host}]:${gateway.port}'` // brackets are a pattern to a shell
    : `${gateway.host}:${gateway.port}`;
  const command = [
    ...['sallyport ssh login --quiet', `--gateway ${address}`],
    ...[`--known-hosts ${inCommand(knownHosts)}`, `--directory ${inCommand(directory)}`],
    ...passedOn,
  ].join(' ');
  const names = targets.map(({ login, upstream }) =>
    targets.filter((other) => other.upstream === upstream).length === 1 ? upstream : `${login}.${upstream}`,
  );
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`${twice}.sallyport would mean two things`);
  const blocks = targets.map(({ login, upstream }, index) => [
    `Host ${names[index]}.sallyport`,
    `  User ${login}+${upstream}`,
  ]);
  const common = [
    'Host *.sallyport',
    `  HostName ${gateway.host}`,
    `  Port ${gateway.port}`,
    `  HostKeyAlias ${hostKeyAlias}`,
    `  UserKnownHostsFile ${escaped(knownHosts)}`,
    '  StrictHostKeyChecking yes',
    `  IdentityFile ${escaped(directory)}/key`,
    `  CertificateFile ${escaped(directory)}/key-cert.pub`,
    '  IdentitiesOnly yes',
    '  BatchMode yes',
    '  LogLevel ERROR',
    '  ForwardAgent no',
    '  ForwardX11 no',
    ...sharing(directory),
  ];
  const match = [`Match host *.sallyport exec "${command}"`];
  return `${[match, ...blocks, common].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** Characters of a socket's path that every system takes: macOS has 104 with the zero at the end, and ssh adds 17 of its own. */
const socketPathMax = 86;
/** What `%C` becomes. */
const hashLength = 40;

/** One connection for many commands, where its socket can be made: with a path that is too long, ssh would only fail. */
function sharing(directory: string): readonly string[] {
  const length =
    Buffer.byteLength(directory.startsWith('~/') ? homedir() + directory.slice(1) : directory) + 1 + hashLength;
  if (length > socketPathMax) return ['  ControlMaster no', '  ControlPath none'];
  return ['  ControlMaster auto', `  ControlPath ${escaped(directory)}/%C`, '  ControlPersist 10m'];
}

/** ssh is started anywhere. What begins with `~` is left to it. */
function absolute(path: string): string {
  return path.startsWith('~') ? path : resolve(path);
}

/** A path in the command, where a shell would look for `~` in HOME, and ssh does not: both are to mean the same. */
function inCommand(path: string): string {
  return path.startsWith('~/') ? `%d${escaped(path.slice(1))}` : escaped(path);
}

/** A `%` and a letter stand for something, in commands and in names of files. */
function escaped(text: string): string {
  return text.replaceAll('%', '%%');
}

/** A word that means itself to ssh and to any shell, but for a `~` at its beginning. Others are refused, not quoted. */
function plain(word: string): string {
  if (/^[A-Za-z0-9~_@%+.,/:=][A-Za-z0-9_@%+.,/:=-]*$/.test(word)) return word;
  throw new UsageError(`${JSON.stringify(word)} has a character that cannot be written in an ssh_config here`);
}

function target(written: string): Target {
  const [, login, upstream] = /^([A-Za-z0-9_][A-Za-z0-9_.-]*)\+([A-Za-z0-9][A-Za-z0-9_.-]*)$/.exec(written) ?? [];
  if (login === undefined || upstream === undefined) {
    throw new UsageError(`an upstream is written LOGIN+NAME, unlike ${JSON.stringify(written)}`);
  }
  return { login, upstream };
}

function hostKey(line: string): PublicKey {
  const key = parsePublicKeyLine(line);
  if (key === undefined) throw new UsageError(`--host-key must be a public key, 'ssh-ed25519 AAAA...'`);
  return key;
}

function gatewayAddress(written: string | undefined, listener: SshListenerConfig | undefined): GatewayAddress {
  if (written !== undefined || listener === undefined) {
    const address = parseGatewayAddress(written ?? '');
    if (address === undefined) throw new UsageError(help);
    return address;
  }
  const { host, port } = listener.listen;
  // It listens everywhere, or on a port that is not known yet: how clients reach it is not for it to say.
  if (host === '0.0.0.0' || host === '::' || port === 0)
    throw new UsageError('say --gateway HOST:PORT as clients reach it');
  return { host, port };
}

async function sshListener(file: string): Promise<SshListenerConfig> {
  const { listeners } = await loadConfig(file);
  const [found, ...others] = listeners.filter((one): one is SshListenerConfig => one.protocol === 'ssh');
  if (found === undefined || others.length > 0) {
    throw new Error(`${file} has ${found === undefined ? 'no' : 'more than one'} ssh listener`);
  }
  return found;
}

function targetsOf({ upstreams }: SshListenerConfig): readonly Target[] {
  return upstreams.flatMap(({ name, logins }) => [...logins.keys()].map((login) => target(`${login}+${name}`)));
}

/** The public halves of the listener's host keys. */
function hostKeysOf({ hostKeys }: SshListenerConfig): Promise<readonly PublicKey[]> {
  return Promise.all(
    hostKeys.map(async (reference) => {
      const parsed = parseKey(Buffer.from(await resolveSecret(reference)));
      const key = parsed instanceof Error ? undefined : parsePublicKey(parsed.getPublicSSH());
      if (key === undefined) throw new Error(`${reference} is not a host key that can be used`);
      return key;
    }),
  );
}

/** Writes the keys into a file of known hosts. Without keys the file must have some already. */
async function pin(file: string, keys: readonly PublicKey[], gateway: GatewayAddress): Promise<void> {
  if (file.startsWith('~')) throw new UsageError(`--known-hosts ${file} was not expanded by the shell`);
  const text = await readFile(file, 'utf8').catch(() => '');
  if (keys.length > 0) {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await replaceFile(file, withKnownKeys(text, keys), 0o644);
  } else if (knownKeys(text, gateway).length === 0) {
    throw new UsageError(`${file} has no host key for the gateway; give one by --host-key`);
  }
}

function comment(title: string, lines: readonly string[], io: Io): void {
  io.stdout.write([title, ...lines].map((line) => `# ${line}\n`).join(''));
}

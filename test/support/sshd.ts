/**
 * A real OpenSSH server for tests and the demo: a private sshd on a free port of loopback, run as the current user, with
 * a host key, an authorised client key and a folder of its own. Uses no test framework.
 *
 * Whoever logs in is the current user. Their home is a folder of this server, as far as sshd lets one choose it: `HOME`
 * and the folder in which sftp starts are `home`; commands start in the account's own home, from where `.bashrc` and
 * `.zshenv` of `home` go to it (bash and zsh read them for commands of sshd, other shells do not).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync, rmSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { makeCertificate, makeSshKey, type SshKey, type SshKeyType } from './ssh-keys.ts';

/** How a server differs from the usual one. */
export interface SshdOptions {
  /** The folder of the server, which it makes and deletes. Default: a new one where temporary files are. */
  readonly directory?: string;
  /** Lines of sshd_config. They come first, and sshd takes the first value of a keyword. */
  readonly settings?: readonly string[];
  /** `internal` is internal-sftp, `server` the program sftp-server. Default `internal`. */
  readonly sftp?: 'internal' | 'server';
  readonly hostKeyType?: SshKeyType;
  /** The host shows a certificate of this authority besides its key. A `kind` of `user` makes one it should not show. */
  readonly hostCertificate?: {
    readonly ca: SshKey;
    readonly principals: readonly string[];
    readonly validity?: string;
    readonly kind?: 'user' | 'host';
    readonly options?: readonly string[];
  };
  /** Public lines of authorities whose user certificates (with the login as a principal) are accepted. */
  readonly userAuthorities?: readonly string[];
  /** Further lines of authorized_keys. */
  readonly authorizedKeys?: readonly string[];
  /** Whose server it is, if not the current user's; only root can choose. See {@link ordinaryAccount}. */
  readonly account?: Account | undefined;
}

/** A user of this machine. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Somebody who is not root: OpenSSH before 9.8 takes no signals for a login as root. Undefined when the current user is
 * that already, or the machine has nobody else with a shell.
 */
export function ordinaryAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name = '', , uid, gid, , , shell] = line.split(':');
    if (Number(uid) > 0 && shell === '/bin/bash') return { name, uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** A running server. */
export interface SshServer {
  readonly host: string;
  readonly port: number;
  /** The account that can log in: the current user. */
  readonly user: string;
  /** `ssh-ed25519 AAAA…`, the public line to pin. */
  readonly hostKey: string;
  /** The line of the host's certificate, when it has one. */
  readonly hostCertificate: string | undefined;
  /** An OpenSSH private key that may log in, and its public line. */
  readonly clientKey: string;
  readonly clientPublicKey: string;
  /** A folder for whoever logs in; see above how far it is their home. */
  readonly home: string;
  /** Everything of this server; deleted by `stop`. */
  readonly directory: string;
  /** What sshd said so far (`LogLevel VERBOSE`). */
  log(): string;
  /** Ends the server and every session of it, and deletes its folder. */
  stop(): Promise<void>;
}

/** Starts one. Takes a fifth of a second. @throws when the machine has no sshd: {@link findSshd} says where it looks. */
export async function startSshd(options: SshdOptions = {}): Promise<SshServer> {
  const program = findSshd();
  if (program === undefined) {
    throw new Error('no sshd: install openssh-server (looked in PATH, /usr/sbin, /usr/local/sbin)');
  }
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'sallyport-sshd-')));
  if (options.directory !== undefined) await mkdir(directory, { mode: 0o700 });
  try {
    return await startIn(directory, program, options);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** The path of sshd, which must be absolute because sshd starts itself again. Undefined: this machine has none. */
export function findSshd(): string | undefined {
  return find('sshd', ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin']);
}

function find(name: string, places: readonly string[]): string | undefined {
  const path = (process.env.PATH ?? '').split(':').filter((folder) => folder.startsWith('/'));
  return [...places, ...path].map((folder) => join(folder, name)).find(executable);
}

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function startIn(directory: string, program: string, options: SshdOptions): Promise<SshServer> {
  const at = (name: string) => join(directory, name);
  const home = at('home');
  const [hostKey, client] = await Promise.all([makeSshKey(options.hostKeyType, 'host'), makeSshKey()]);
  const hostCertificate =
    options.hostCertificate &&
    (await makeCertificate({ kind: 'host', ...options.hostCertificate, publicKey: hostKey.publicKey }));

  await mkdir(home, { mode: 0o700 });
  // As root, sshd separates privileges and wants this folder; packages make it when the service starts.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const files: Readonly<Record<string, string | undefined>> = {
    'home/.bashrc': 'cd "$HOME"\n',
    'home/.zshenv': 'cd "$HOME"\n',
    host_key: hostKey.privateKey,
    'host_key-cert.pub': hostCertificate,
    authorized_keys: [client.publicKey, ...(options.authorizedKeys ?? [])].join('\n'),
    user_authorities: options.userAuthorities?.join('\n'),
  };
  for (const [name, content] of Object.entries(files)) {
    if (content === undefined) continue;
    await writeFile(at(name), `${content.trimEnd()}\n`, { mode: 0o600 });
    await own(options.account, at(name));
  }
  await own(options.account, directory, home);
  const config = [
    ...(options.settings ?? []),
    'ListenAddress 127.0.0.1',
    `HostKey ${at('host_key')}`,
    ...(hostCertificate === undefined ? [] : [`HostCertificate ${at('host_key-cert.pub')}`]),
    `AuthorizedKeysFile ${at('authorized_keys')}`,
    ...(options.userAuthorities === undefined ? [] : [`TrustedUserCAKeys ${at('user_authorities')}`]),
    `PidFile ${at('pid')}`,
    `SetEnv HOME=${home}`,
    `Subsystem sftp ${sftpCommand(options.sftp ?? 'internal')} -d ${home}`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    // Its folder is below one that everybody may write to.
    'StrictModes no',
    'PrintMotd no',
    'LogLevel VERBOSE',
    'MaxSessions 100',
    'MaxStartups 200',
    'AcceptEnv LANG LC_*',
  ];
  await writeFile(at('sshd_config'), `${config.join('\n')}\n`);

  const { child, port, log } = await launch(program, at('sshd_config'), directory, options.account);
  return {
    host: '127.0.0.1',
    port,
    user: options.account?.name ?? userInfo().username,
    hostKey: hostKey.publicKey,
    hostCertificate,
    clientKey: client.privateKey,
    clientPublicKey: client.publicKey,
    home,
    directory,
    log,
    async stop() {
      await end(child);
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

async function own(account: Account | undefined, ...paths: readonly string[]): Promise<void> {
  if (account !== undefined) for (const path of paths) await chown(path, account.uid, account.gid);
}

function sftpCommand(kind: 'internal' | 'server'): string {
  if (kind === 'internal') return 'internal-sftp';
  const folders = ['/usr/lib/openssh', '/usr/libexec/openssh', '/usr/lib/ssh', '/usr/libexec'];
  const program = find('sftp-server', folders);
  if (program === undefined) throw new Error(`no sftp-server (looked in PATH, ${folders.join(', ')})`);
  return program;
}

/** A port can be taken between finding it free and listening on it: another one is tried, five times at most. */
async function launch(program: string, config: string, directory: string, account: Account | undefined) {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const child = spawn(program, ['-D', '-e', '-f', config, '-p', String(port)], {
      cwd: directory,
      ...(account && { uid: account.uid, gid: account.gid }),
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' },
    });
    const log = keepLog(child);
    const failure = await untilListening(child, log);
    if (failure === undefined) {
      endWithProcess(child, directory);
      return { child, port, log };
    }
    if (attempt === 5 || !failure.includes('Address already in use')) throw new Error(`sshd did not start: ${failure}`);
  }
}

function keepLog(child: ChildProcess): () => string {
  const bytesMax = 1024 * 1024;
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-bytesMax);
  });
  return () => said;
}

/** Resolves with `undefined` when the server listens, or with what it said before it ended. */
function untilListening(child: ChildProcess, log: () => string): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', () => resolve(log()));
    child.stderr?.on('data', () => {
      if (log().includes('Server listening on')) resolve(undefined);
    });
  });
}

/** Ends the server (and its folder) with this process, whatever ends it, without keeping this process alive. */
function endWithProcess(child: ChildProcess, directory: string): void {
  const kill = () => {
    child.kill('SIGTERM');
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  child.unref();
  const { stderr } = child;
  if (stderr !== null && 'unref' in stderr && typeof stderr.unref === 'function') stderr.unref();
}

/** The listener leaves its sessions behind when it ends: they are ended first, where the system tells them (Linux). */
async function end(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.ref();
  // Stopped, it accepts nobody new while its sessions are counted.
  child.kill('SIGSTOP');
  const sessions = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  for (const session of sessions.split(' ').filter((number) => number.trim() !== '')) {
    try {
      process.kill(Number(session), 'SIGTERM');
    } catch {
      // It ended by itself.
    }
  }
  child.kill('SIGTERM');
  child.kill('SIGCONT');
  await ended;
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

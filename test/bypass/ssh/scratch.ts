/**
 * The oracle: a command text runs for real in a scratch root that has nothing to lose (no network, read-only but for
 * two small tmpfs, an unprivileged user, stand-ins for what is dangerous, hard limits), and strace tells what it did.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { aliases, realPrograms, standIns } from './programs.ts';
import { type Deeds, readTrace } from './trace.ts';

/** The shells of the scratch root, as sshd would start them: with `-c` and the text. */
export const shells = ['bash', 'dash', 'busybox', 'zsh'] as const;
/** The name of one of them. */
export type Shell = (typeof shells)[number];

/** What the scratch root sets, and what the classifier may be told. */
export const environment: Readonly<Record<string, string>> = {
  HOME: '/srv/agent',
  USER: 'agent',
  LOGNAME: 'agent',
  SHELL: '/bin/bash',
  PATH: '/usr/bin:/bin',
};
/** Where a command begins. */
export const directory = '/srv/agent';

/** Hosts that have an address there; nobody answers. */
export const hosts: ReadonlyMap<string, string> = new Map([
  ['127.0.0.1', 'localhost'],
  ['10.0.0.7', 'db1'],
  ['10.0.0.66', 'evil.example'],
]);

/** One run of a text. */
export interface Run extends Deeds {
  readonly stderr: string;
  /** It was still running when its time was over. */
  readonly cut: boolean;
}

const outside = ['bwrap', 'strace', 'prlimit', 'timeout', 'bash', 'dash', 'busybox', 'zsh', 'git', 'rsync'];
/** Enough for any entry on a slow machine: nothing here waits for anything. */
const runMs = 8_000;
const outputBytesMax = 16 * 1024 * 1024;

function find(program: string): string | undefined {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/bin', '/usr/sbin', '/sbin']
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
}

/** The programs that the oracle needs and the machine has not. */
export function missingPrograms(): readonly string[] {
  return outside.filter((program) => find(program) === undefined);
}

/** A scratch root, usable for any number of runs at once. */
export class Scratch {
  readonly #root = mkdtempSync(join(tmpdir(), 'sallyport-scratch-'));
  readonly #sandbox: readonly string[];

  constructor() {
    chmodSync(this.#root, 0o755);
    for (const folder of ['usr/bin', 'etc', 'proc', 'dev', 'tmp', 'srv', 'run', 'oracle', 'var/log/app']) {
      mkdirSync(join(this.#root, folder), { recursive: true });
    }
    this.#programs();
    this.#files();
    this.#sandbox = this.#arguments();
  }

  #programs(): void {
    const bin = join(this.#root, 'usr/bin');
    const script = (path: string, text: string) => writeFileSync(path, text, { mode: 0o755 });
    for (const [name, text] of standIns()) script(join(bin, name), text);
    for (const name of realPrograms) {
      const path = find(name);
      if (path !== undefined) copyFileSync(path, join(bin, name));
    }
    for (const [name, target] of Object.entries(aliases)) symlinkSync(target, join(bin, name));
    for (const name of ['strace', 'dash', 'cp', 'rm', 'cat', 'timeout', 'setpriv']) {
      const path = find(name);
      if (path !== undefined) copyFileSync(path, join(this.#root, 'oracle', name));
    }
    script(join(this.#root, 'oracle/launch'), launcher);
    symlinkSync('usr/bin', join(this.#root, 'bin'));
    symlinkSync('usr/bin', join(this.#root, 'sbin'));
  }

  /** A home with something in it, files that nobody may read unnoticed, and logs. */
  #files(): void {
    const write = (path: string, text: string, mode = 0o644) => {
      mkdirSync(join(this.#root, path, '..'), { recursive: true });
      writeFileSync(join(this.#root, path), text, { mode });
    };
    const users = ['root:x:0:0', 'agent:x:65534:65534', 'deploy:x:1000:1000', 'postgres:x:1001:1001'];
    write('etc/passwd', users.map((user) => `${user}::/srv/${user.split(':')[0]}:/bin/bash\n`).join(''));
    write('etc/group', 'root:x:0:\nagent:x:65534:\n');
    write('etc/hosts', [...hosts].map(([address, name]) => `${address} ${name}\n`).join(''));
    write('etc/nsswitch.conf', 'hosts: files\npasswd: files\ngroup: files\n');
    for (const log of ['syslog', 'auth.log', 'app/current.log', 'app/error.log']) {
      write(`var/log/${log}`, 'Nov 22 09:00:00 host app[7]: error: timeout after 30 ms\n'.repeat(20));
    }
    const home = 'oracle/fixture/agent';
    write(`${home}/notes.txt`, 'one two three\nalpha beta\n');
    write(`${home}/other.txt`, 'one two three\ngamma\n');
    write(`${home}/data.csv`, 'id,name\n1,a\n2,b\n');
    write(`${home}/run.sh`, '#!/bin/sh\n/usr/bin/forbidden\n', 0o755);
    write(`${home}/payload`, '/usr/bin/forbidden\n');
    write(`${home}/logs/a.log`, 'error 1\n');
    write(`${home}/logs/b.log`, 'fine 2\n');
    write('oracle/fixture/secret/key', 'SECRET\n');
    mkdirSync(join(this.#root, 'oracle/fixture/canary'));
    const repository = join(this.#root, home, 'repo');
    const git = (...words: string[]) =>
      execFileSync('git', ['-C', repository, ...words], {
        stdio: 'ignore',
        env: { PATH: process.env.PATH, HOME: repository, GIT_CONFIG_NOSYSTEM: '1' },
      });
    write(`${home}/repo/README`, 'a repository\n');
    git('init', '--quiet', '--template=', '--initial-branch=main');
    git('config', 'user.name', 'agent');
    git('config', 'user.email', 'agent@localhost');
    git('add', 'README');
    git('commit', '--quiet', '--message=first');
    execFileSync('tar', ['-cf', join(this.#root, home, 'archive.tar'), '-C', join(this.#root, home), 'logs']);
  }

  #arguments(): readonly string[] {
    const root = process.getuid?.() === 0;
    const libraries = ['/lib', '/lib64', '/lib32', '/usr/lib', '/usr/lib64', '/usr/libexec', '/usr/share'];
    const present = libraries.filter((path) => existsSync(path));
    const linked = present.filter((path) => lstatSync(path).isSymbolicLink());
    const mounted = present.filter((path) => !linked.includes(path));
    for (const path of mounted) mkdirSync(join(this.#root, path), { recursive: true });
    for (const path of linked) symlinkSync(`usr${path}`, join(this.#root, path));
    const mounts = mounted.flatMap((path) => ['--ro-bind', path, path]);
    return [
      ...['--unshare-net', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
      // As root the program becomes nobody for good; anybody else becomes nobody in a namespace of users.
      ...(root
        ? ['--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID', '--cap-add', 'CAP_SETPCAP']
        : ['--unshare-user', '--uid', '65534', '--gid', '65534']),
      ...['--die-with-parent', '--new-session', '--clearenv', '--ro-bind', this.#root, '/', ...mounts],
      ...['--proc', '/proc', '--dev', '/dev'],
      ...['/tmp', '/srv', '/run'].flatMap((path) => ['--perms', '1777', '--size', '33554432', '--tmpfs', path]),
      ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
      ...(root
        ? [
            '/oracle/setpriv',
            '--reuid=65534',
            '--regid=65534',
            '--clear-groups',
            '--no-new-privs',
            '--bounding-set=-all',
            '--inh-caps=-all',
          ]
        : []),
      '/oracle/launch',
    ];
  }

  /** Runs a text in one shell, with standard input of its own, and tells what it did. */
  async run(shell: Shell, text: string, input = ''): Promise<Run> {
    const run = (await this.#runs([shell], text, input)).get(shell);
    if (run === undefined) throw new Error(`${shell} did not run`);
    return run;
  }

  /** Runs a text in every shell, one after the other, each in a fresh place. */
  runAll(text: string, input = ''): Promise<ReadonlyMap<Shell, Run>> {
    return this.#runs(shells, text, input);
  }

  async #runs(names: readonly Shell[], text: string, input: string): Promise<ReadonlyMap<Shell, Run>> {
    const limited = ['--cpu=4', '--fsize=8388608', '--nofile=256', '--core=0', '--nproc=2048', 'bwrap'];
    const child = spawn('prlimit', [...limited, ...this.#sandbox, text, ...names], {
      timeout: (runMs + 4_000) * names.length,
      killSignal: 'SIGKILL',
    });
    // A command that does not read its input closes it: that is no fault.
    child.stdin.on('error', () => undefined).end(input);
    const chunks: Buffer[] = [];
    const faults: Buffer[] = [];
    let bytes = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > outputBytesMax) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => faults.push(chunk));
    await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    const parts = Buffer.concat(chunks).toString('utf8').split('\0');
    if (parts.length !== 3 * names.length + 1) {
      throw new Error(`the scratch root does not work: ${Buffer.concat(faults).toString('utf8')}`);
    }
    return new Map(
      names.map((name, index) => {
        const [trace = '', status, stderr = ''] = parts.slice(3 * index);
        return [name, { ...readTrace(trace), stderr, cut: status === '137' }];
      }),
    );
  }

  /** Removes it. */
  close(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

const calls =
  'clone,clone3,fork,vfork,execve,execveat,connect,open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,chmod,fchmodat,chown,lchown,fchownat,truncate,mknod,mknodat';

/** A pipe feeds the command, as a program on the way would: bash does not take it for a connection of rsh. */
const launcher = `#!/oracle/dash
text=$1
shift
/oracle/cat >/run/input
for name in "$@"; do
  start=/usr/bin/$name
  [ "$name" = busybox ] && start='/usr/bin/busybox sh'
  cd / && /oracle/rm -rf /srv/* /tmp/* /tmp/.[!.]* && /oracle/cp -r /oracle/fixture/. /srv/ && cd ${directory} || exit
  /oracle/cat /run/input | /oracle/timeout -s KILL ${runMs / 1000} /oracle/strace -f --seccomp-bpf -qq -y -s 65536 \\
    -e signal=none -e trace='?${calls.replaceAll(',', ',?')}' -o /run/trace -- $start -c "$text" >/run/stdout 2>/run/stderr
  status=$?
  # What was left in the background.
  kill -KILL -1 2>/dev/null
  /oracle/cat /run/trace
  printf '\\0%s\\0' "$status"
  /oracle/cat /run/stderr
  printf '\\0'
done
`;

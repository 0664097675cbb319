/**
 * The demo's host, web1: a private sshd, run as whoever runs the demo, with a home that looks like a web server's.
 * Nothing in it is real.
 */
import { accessSync, constants } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import type { JsonObject } from '../../proxy/core/types.ts';
import { findSshd, type SshServer, startSshd } from '../../test/support/sshd.ts';
import { knownCustomer } from './dataset.ts';

const repository = join(import.meta.dirname, '../..');

/** What the log of web1 gives away: an address, the access key of AWS's own documentation, a token that nobody signed. */
export const planted = {
  email: knownCustomer.email,
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  token: [{ alg: 'HS256', typ: 'JWT' }, { sub: 'checkout', scope: 'refunds' }, 'signed by nobody at all']
    .map((part) => Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url'))
    .join('.'),
} as const;

const log = [
  '09:13:58 INFO  listening on :8080',
  '09:14:02 INFO  GET /orders/1042 200 in 12 ms',
  `09:14:03 INFO  order 1042 is paid, receipt sent to ${planted.email}`,
  `09:14:07 DEBUG invoice 1042 stored with key ${planted.accessKey}`,
  `09:14:09 WARN  token ${planted.token} ends in 60 s`,
];

/** Files below the home, and what is in them. */
const files: Readonly<Record<string, string>> = {
  'app/app.log': `${log.join('\n')}\n`,
  'app/release.txt': 'shop 4.2.1, deployed on 2026-11-20\n',
  'app/uploads/.keep': '',
  '.ssh/id_ed25519': 'Here would be a private key.\n',
};

/** What there is to do before web1 can be had, with the demo in a folder: undefined for nothing. */
export function lacking(directory: string): string | undefined {
  if (process.platform !== 'linux') {
    // A login shell is recognised by /proc, and what cannot be recognised is refused.
    return 'The gateway recognises the login shells of Linux hosts only, and the host would be this machine: run the demo on Linux.';
  }
  const absent = [
    ...(findSshd() === undefined ? ['sshd'] : []),
    ...['ssh', 'scp', 'ssh-keygen'].filter((program) => !inPath(program)),
  ];
  if (absent.length > 0) return howToGet(absent);
  const { username, shell } = userInfo();
  if (/\/(nologin|false)$/.test(shell ?? '')) {
    return `The host would be this machine, and ${username} cannot log in to it (${shell}): run the demo as somebody who can.`;
  }
  const odd = [repository, resolve(directory)].find((path) => !/^[A-Za-z0-9_@+.,/:=-]+$/.test(path));
  return (
    odd && `An ssh_config cannot name ${odd} on all machines: have the checkout where no folder has spaces or quotes.`
  );
}

/** How to get programs of OpenSSH. */
export function howToGet(programs: readonly string[]): string {
  return `This machine lacks ${programs.join(', ')}. Debian, Ubuntu: sudo apt-get install openssh-server openssh-client.
  Fedora: sudo dnf install openssh-server openssh-clients. Alpine: sudo apk add openssh. Then run make demo again: it starts
  an sshd of its own, as you, on a free port of 127.0.0.1, and needs no system service.`;
}

/** Starts it in a folder that does not exist yet. */
export async function startHost(directory: string): Promise<SshServer> {
  const server = await startSshd({
    directory,
    sftp: 'server',
    // Whatever the login shell of whoever runs the demo is, that of web1 is sh, and begins in its home.
    settings: ['ForceCommand cd "$HOME"; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'],
  });
  for (const [name, content] of Object.entries(files)) {
    const file = join(server.home, name);
    await mkdir(join(file, '..'), { recursive: true, mode: 0o700 });
    await writeFile(file, content, { mode: 0o600 });
  }
  return server;
}

/** What policies are told of it: agents read the application's folder and write to its uploads. */
export function hostData(home: string): JsonObject {
  return {
    upstreams: { web1: { labels: { env: 'prod', pii: 'true' } } },
    ssh: { paths: { read: [join(home, 'app')], write: [join(home, 'app/uploads')] } },
  };
}

/** Whether there is a program of that name. */
export function inPath(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

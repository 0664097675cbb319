import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Random, seeded } from './mutate.ts';
import { checkFirstPacket, checkStream } from './postgres.ts';
import { checkScpSink, checkScpSource } from './scp.ts';
import { checkSftpClient, checkSftpHost } from './sftp.ts';
import { checkFrames } from './websocket.ts';

type Check = (bytes: Buffer, random: Random) => void | Promise<void>;

/** What the bytes of a seed are, by its folder and the first part of its file's name. */
const targets = {
  postgres: {
    client: (bytes, random) => checkStream('client', bytes, random),
    upstream: (bytes, random) => checkStream('upstream', bytes, random),
    first: (bytes) => checkFirstPacket(bytes),
  },
  ssh: {
    sftpclient: checkSftpClient,
    sftphost: checkSftpHost,
    scpsource: checkScpSource,
    scpsink: checkScpSink,
  },
  http: {
    wsclient: (bytes, random) => checkFrames(true, bytes, random),
    wsupstream: (bytes, random) => checkFrames(false, bytes, random),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Check>>>>;

/** A folder of the corpus. */
export type Protocol = keyof typeof targets;

/** Its folders, in order. */
export const protocols: readonly Protocol[] = ['postgres', 'ssh', 'http'];

/** One file of the corpus. */
export interface Seed {
  readonly name: string;
  readonly protocol: Protocol;
  readonly target: string;
  readonly bytes: Buffer;
}

/** Where the seeds of a protocol are; a failing input is saved here too. */
export function folderOf(protocol: Protocol): string {
  return join(import.meta.dirname, '..', 'corpus', protocol);
}

/** The seeds of a protocol in the order of their names. @throws when a name says no target. */
export function readSeeds(protocol: Protocol): Seed[] {
  const folder = folderOf(protocol);
  const names = readdirSync(folder).filter((name) => name.endsWith('.bin'));
  return names.sort().map((name) => {
    const target = name.split('-')[0] ?? '';
    if (!Object.hasOwn(targets[protocol], target)) throw new Error(`the corpus file ${name} names no target`);
    return { name, protocol, target, bytes: readFileSync(join(folder, name)) };
  });
}

/** Runs the checks of a seed's target on `bytes`. Rejects when one does not hold. */
export async function check({ protocol, target }: Seed, bytes: Buffer, seed: number): Promise<void> {
  const checks: Readonly<Record<string, Check>> = targets[protocol];
  await checks[target]?.(bytes, seeded(seed));
}

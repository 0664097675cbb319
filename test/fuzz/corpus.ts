import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Random, seeded } from './mutate.ts';
import { checkFirstPacket, checkStream } from './postgres.ts';

/** What the bytes of a seed are, by the first part of its file's name. */
export const targets = {
  client: (bytes: Buffer, random: Random) => checkStream('client', bytes, random),
  upstream: (bytes: Buffer, random: Random) => checkStream('upstream', bytes, random),
  first: (bytes: Buffer) => checkFirstPacket(bytes),
} as const;

export type Target = keyof typeof targets;

/** One file of the corpus. */
export interface Seed {
  readonly name: string;
  readonly target: Target;
  readonly bytes: Buffer;
}

/** The folder of the seeds; a failing input is saved here too. */
export const folder = join(import.meta.dirname, '..', 'corpus', 'postgres');

/** The seeds in the order of their names. @throws when a name says no target. */
export function readSeeds(): Seed[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.bin'));
  return names.sort().map((name) => {
    const target = name.split('-')[0] ?? '';
    if (!isTarget(target)) throw new Error(`the corpus file ${name} names no target`);
    return { name, target, bytes: readFileSync(join(folder, name)) };
  });
}

/** Runs the checks of `target`. Throws when one does not hold. */
export function check(target: Target, bytes: Buffer, seed: number): void {
  targets[target](bytes, seeded(seed));
}

function isTarget(name: string): name is Target {
  return Object.hasOwn(targets, name);
}

import { closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorCode } from './errno.ts';

/** A file of the trail, open for appending. `size` is what we know it to hold. */
export interface TrailFile {
  readonly fd: number;
  readonly dev: number;
  readonly ino: number;
  size: number;
}

const executable = 0o111;

/**
 * Opens the trail for appending, creating it with mode 0600. What is already there must be a regular file of one
 * name that nobody may execute: a log that ends up as a plugin or a script is how a sink becomes a shell
 * (CVE-2025-6000), and through a link it would be somebody else's file.
 * @throws Error naming the path and why not.
 */
export function openTrailFile(path: string): TrailFile {
  refuseLink(path);
  const flags =
    constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const fd = openSync(path, flags, 0o600);
  try {
    const stat = fstatSync(fd);
    const problem = unfitFile(stat);
    if (problem !== undefined) throw new Error(`${path} ${problem}`);
    if ((stat.mode & 0o077) !== 0) fchmodSync(fd, 0o600);
    return { fd, dev: stat.dev, ino: stat.ino, size: stat.size };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** O_NOFOLLOW says ELOOP, which helps nobody. */
function refuseLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) throw new Error(`${path} is a symbolic link`);
}

/** Why a file may not hold the trail, or undefined when it may. */
export function unfitFile(stat: { isFile(): boolean; mode: number; nlink: number }): string | undefined {
  if (!stat.isFile()) return 'is not a regular file';
  if ((stat.mode & executable) !== 0) return 'is executable';
  if (stat.nlink > 1) return 'has more than one name (hard link)';
  return undefined;
}

const seqDigits = 16;

/** What a file is called once it is full: its name, a dot, and the seq of its last line, padded so that names sort. */
export function rotatedName(path: string, lastSeq: number): string {
  return `${path}.${String(lastSeq).padStart(seqDigits, '0')}`;
}

/** The seq in a name that {@link rotatedName} made. */
export function lastSeqOf(path: string): number {
  return Number(path.slice(-seqDigits));
}

/** The full files of a trail, oldest first. Empty when the directory does not exist. */
export function rotatedFiles(path: string): string[] {
  const directory = dirname(path);
  const prefix = `${basename(path)}.`;
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.startsWith(prefix) && /^\d{16}$/.test(name.slice(prefix.length)))
    .sort()
    .map((name) => join(directory, name));
}

/** The file that holds the line behind `seq`, or will. */
export function trailFileAfter(path: string, seq: number): string {
  return rotatedFiles(path).find((full) => lastSeqOf(full) > seq) ?? path;
}

/** Whether an error says that there is no such file. */
export function isNothing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT';
}

/** All files of a trail that exist, oldest first, the one being written last. */
export function trailFiles(path: string): string[] {
  const current = lstatSync(path, { throwIfNoEntry: false });
  return current === undefined ? rotatedFiles(path) : [...rotatedFiles(path), path];
}

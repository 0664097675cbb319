import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorCode } from './errno.ts';

const held = new Set<string>();

/**
 * Keeps a second gateway from writing the same trail: two writers would fork the chain. A lock whose process is gone
 * is taken over. What it cannot see: a process in another container or on another machine with the same volume; the
 * size check of the trail notices that one later.
 *
 * @returns how to give the lock back
 * @throws Error when another live process has it
 */
export function lockTrail(path: string): () => void {
  const lock = `${resolve(path)}.lock`;
  if (held.has(lock)) throw new Error(`${path} is already open in this process`);
  for (let attempt = 0; attempt < 2; attempt++) {
    if (create(lock)) {
      held.add(lock);
      return () => release(lock);
    }
    const owner = readOwner(lock);
    if (owner !== undefined && alive(owner)) throw new Error(`${path} is being written by process ${owner.pid}`);
    remove(lock);
  }
  throw new Error(`${lock} keeps coming back`);
}

interface Owner {
  readonly pid: number;
  /** Tells a process from a later one with the same number; empty where the system does not say. */
  readonly started: string;
}

/** By a link, so that nobody ever sees a lock without its owner in it. */
function create(lock: string): boolean {
  const draft = `${lock}.${process.pid}`;
  writeFileSync(draft, `${process.pid} ${startOf(process.pid)}\n`, { mode: 0o600 });
  try {
    linkSync(draft, lock);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    remove(draft);
  }
}

function readOwner(lock: string): Owner | undefined {
  try {
    const [pid, started = ''] = readFileSync(lock, 'utf8').trim().split(' ');
    const number = Number(pid);
    return Number.isSafeInteger(number) && number > 0 ? { pid: number, started } : undefined;
  } catch {
    return undefined;
  }
}

function alive(owner: Owner): boolean {
  // Our own number in a lock we do not hold: a process before us had it, as the first one of a container always does.
  if (owner.pid === process.pid) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
  return owner.started === startOf(owner.pid);
}

/** Field 22 of `/proc/<pid>/stat`, in clock ticks since boot. @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function release(lock: string): void {
  held.delete(lock);
  remove(lock);
}

function remove(lock: string): void {
  try {
    unlinkSync(lock);
  } catch {
    // Gone already; the next one to come creates it.
  }
}

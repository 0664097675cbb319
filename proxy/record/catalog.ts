import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import type { RecordingKey } from './keys.ts';
import { survey } from './survey.ts';
import type { RecordingEntry } from './synopsis.ts';

/** What to look for. All that is given must match. */
export interface RecordingQuery {
  /** The id of the subject, or of somebody it acts for. */
  readonly subject?: string | undefined;
  readonly upstream?: string | undefined;
  readonly protocol?: string | undefined;
  /** True: sessions of the gateway's own as well. */
  readonly own?: boolean | undefined;
  /** A relation, command, route, tool or resource id. */
  readonly resource?: string | undefined;
  readonly label?: string | undefined;
  /** `open`, `cut`, or the status that the session ended with. */
  readonly outcome?: string | undefined;
  /** The code of a refusal in it, or the one that it ended with. */
  readonly code?: string | undefined;
  /** When the session began, since the epoch: the earliest time, and the first that no longer counts. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Only sessions older than this one: where the last answer ended. */
  readonly before?: string | undefined;
  /** At most `limits.recordQueryEntriesMax`, which is also the default. */
  readonly limit?: number | undefined;
}

/**
 * What there is in a directory of recordings: held in memory, and kept as lines of JSON in `index.jsonl` there, of which
 * the last about a session counts. Nothing depends on it: it can be deleted and built again from the recordings.
 */
export class RecordingIndex {
  readonly #directory: string;
  readonly #onError: (error: Error) => void;
  readonly #entries = new Map<string, RecordingEntry>();
  /** While it is built there is no file, so that a crash leaves none that lacks half of the recordings. */
  #building = false;

  /** Reads the index of a directory; empty where there is none. @param onError - told when it cannot be written */
  constructor(directory: string, onError: (error: Error) => void) {
    this.#directory = directory;
    this.#onError = onError;
    const lines = existsSync(this.file) ? readFileSync(this.file, 'utf8').split('\n') : [];
    for (const line of lines) this.#take(parseEntry(line));
  }

  /** The file it is kept in. */
  get file(): string {
    return join(this.#directory, 'index.jsonl');
  }

  get(session: string): RecordingEntry | undefined {
    return this.#entries.get(session);
  }

  /** Entries that match, the newest session first. */
  query(query: RecordingQuery): RecordingEntry[] {
    const limit = Math.min(query.limit ?? limits.recordQueryEntriesMax, limits.recordQueryEntriesMax);
    const found: RecordingEntry[] = [];
    for (const entry of [...this.#entries.values()].sort(newestFirst)) {
      if (found.length >= limit) break;
      if (matches(entry, query)) found.push(entry);
    }
    return found;
  }

  /** All entries, the oldest session first. */
  get oldestFirst(): RecordingEntry[] {
    return [...this.#entries.values()].sort((a, b) => newestFirst(b, a));
  }

  /** Takes what is new about a session. Never throws. */
  put(entry: RecordingEntry): void {
    this.#take(entry);
    this.#append(entry);
  }

  /** Notes that a recording is in the bucket, of one that is still known. Never throws. */
  uploaded(session: string, uploadedAt: string): void {
    const entry = this.#entries.get(session);
    if (entry !== undefined) this.put({ ...entry, uploaded_at: uploadedAt });
  }

  /** Deletes a recording and forgets it. @throws Error of the file system; it is then still known */
  remove(entry: RecordingEntry): void {
    const file = join(this.#directory, entry.file);
    if (existsSync(file)) unlinkSync(file);
    this.#entries.delete(entry.session);
    this.#append({ session: entry.session, removed: true });
  }

  /**
   * Settles what a gateway that stopped left open, or everything where there is no index, from the recordings themselves, then
   * writes the index anew. Called before the first session of this process begins; goes on beside them.
   * @param keys - of the recordings; one that none of them opens is known by its header only
   * @param signal - ends it; without its index it begins anew with the next start
   */
  async settle(keys: readonly RecordingKey[], signal?: AbortSignal): Promise<void> {
    const unsettled = [...this.#entries.values()].filter(({ outcome }) => outcome === 'open').map(({ file }) => file);
    this.#building = !existsSync(this.file);
    const files = this.#building ? recordingsIn(this.#directory) : unsettled;
    for (const file of files) {
      if (signal?.aborted === true) return;
      if (existsSync(join(this.#directory, file))) this.#take(await survey(this.#directory, file, keys));
      else for (const entry of this.#entries.values()) if (entry.file === file) this.#entries.delete(entry.session);
    }
    this.#building = false;
    this.#compact();
  }

  #compact(): void {
    const lines = this.oldestFirst.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileSync(`${this.file}.new`, lines, { mode: 0o600 });
      renameSync(`${this.file}.new`, this.file);
    } catch (cause) {
      this.#onError(new Error('the index of recordings cannot be written', { cause }));
    }
  }

  #take(entry: RecordingEntry | Removed | undefined): void {
    if (entry === undefined) return;
    if ('removed' in entry) {
      this.#entries.delete(entry.session);
      return;
    }
    this.#entries.set(entry.session, entry);
    for (const session of this.#entries.keys()) {
      if (this.#entries.size <= limits.recordIndexEntriesMax) break;
      this.#entries.delete(session);
    }
  }

  #append(line: RecordingEntry | Removed): void {
    if (this.#building) return;
    try {
      if (!existsSync(this.file)) this.#compact();
      else appendFileSync(this.file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    } catch (cause) {
      this.#onError(new Error('the index of recordings cannot be written', { cause }));
    }
  }
}

interface Removed {
  readonly session: string;
  readonly removed: true;
}

function newestFirst(a: RecordingEntry, b: RecordingEntry): number {
  return b.session < a.session ? -1 : b.session > a.session ? 1 : 0;
}

function matches(entry: RecordingEntry, query: RecordingQuery): boolean {
  const { sinceMs, untilMs, before, own } = query;
  if (sinceMs !== undefined && !(Date.parse(entry.started_at) >= sinceMs)) return false;
  if (untilMs !== undefined && !(Date.parse(entry.started_at) < untilMs)) return false;
  if (before !== undefined && entry.session >= before) return false;
  if (own !== true && entry.own) return false;
  const { subject, upstream, protocol, resource, label, outcome, code } = query;
  return (
    (upstream === undefined || entry.upstream === upstream) &&
    (protocol === undefined || entry.protocol === protocol) &&
    (outcome === undefined || entry.outcome === outcome) &&
    (subject === undefined || entry.subjects.includes(subject)) &&
    (resource === undefined || entry.resources.includes(resource)) &&
    (label === undefined || entry.labels.includes(label)) &&
    (code === undefined || entry.code === code || entry.refusals.includes(code))
  );
}

/** A line of the index; a line that a crash cut off, or that is of no known form, says nothing. */
function parseEntry(line: string): RecordingEntry | Removed | undefined {
  if (line === '' || line.length > limits.recordIndexLineBytesMax) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return isEntry(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isEntry(value: unknown): value is RecordingEntry | Removed {
  if (typeof value !== 'object' || value === null || !('session' in value)) return false;
  if ('removed' in value) return value.removed === true;
  return 'file' in value && isFile(value.file) && 'subjects' in value && Array.isArray(value.subjects);
}

/** Names a recording in the directory, and nothing outside of it: what the index names is read, and removed. */
function isFile(file: unknown): boolean {
  return typeof file === 'string' && /^\d{4}-\d\d-\d\d\/[0-9A-Za-z_-]{1,64}\.sprec$/.test(file);
}

/** Files of recordings below a directory, oldest day first. */
function recordingsIn(directory: string): string[] {
  const days = (existsSync(directory) ? readdirSync(directory) : []).filter((name) => /^\d{4}-\d\d-\d\d$/.test(name));
  return days
    .filter((day) => statSync(join(directory, day)).isDirectory())
    .sort()
    .flatMap((day) =>
      readdirSync(join(directory, day))
        .sort()
        .map((name) => `${day}/${name}`),
    )
    .filter((file) => file.endsWith('.sprec'));
}

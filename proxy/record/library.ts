import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import type { Json, JsonObject } from '../core/types.ts';
import { castLines, NothingToShow, readCast } from './asciicast.ts';
import { type Frame, RecordingDamaged, readRecording } from './reader.ts';

/** A recording as its header and its file tell. */
export interface RecordingEntry {
  readonly id: string;
  readonly file: string;
  readonly protocol: string;
  readonly upstream: string;
  readonly subject: JsonObject;
  readonly clientAddress: string;
  readonly application: string;
  readonly startedAt: string;
  readonly lastAt: string;
  readonly bytes: number;
}

/** What is looked for; all that is given must match. */
export interface RecordingQuery {
  readonly limit: number;
  /** The id of the last one already seen: older ones follow. */
  readonly after?: string | undefined;
  readonly subject?: string | undefined;
  readonly upstream?: string | undefined;
  readonly protocol?: string | undefined;
  /** `include`: sessions of the gateway's own as well. */
  readonly own?: string | undefined;
}

/** A frame as JSON: raw bytes are base64. */
export interface LibraryFrame {
  readonly timeMs: number;
  readonly kind: string;
  readonly decisionId: string | undefined;
  readonly data: Json;
  readonly base64: boolean;
}

/** The recordings of one directory, for people. */
export interface Library {
  recordings(query: RecordingQuery): Promise<readonly RecordingEntry[]>;
  recording(id: string): Promise<RecordingEntry | undefined>;
  frames(id: string): AsyncIterable<LibraryFrame>;
  cast(id: string, version: 2 | 3): Promise<AsyncIterable<string> | undefined>;
}

/**
 * Opens a directory of recordings for reading; it need not exist yet.
 * @param read - reads the frames of a file.
 */
export function openLibrary(directory: string, read: (file: string) => AsyncIterable<Frame> = readRecording): Library {
  return {
    recordings: (query) => listRecordings(directory, query),
    recording: (id) => findRecording(directory, id),
    async *frames(id) {
      const entry = await findRecording(directory, id);
      if (entry !== undefined) yield* shownFrames(read(entry.file));
    },
    async cast(id, version) {
      const entry = await findRecording(directory, id);
      if (entry === undefined) return undefined;
      try {
        return castLines(await readCast(() => read(entry.file)), version);
      } catch (error) {
        if (error instanceof NothingToShow) return undefined;
        throw error;
      }
    },
  };
}

/** Frames as JSON; damage is the last of them, with its place in words. */
async function* shownFrames(frames: AsyncIterable<Frame>): AsyncGenerator<LibraryFrame> {
  let lastMs = 0;
  try {
    for await (const { timeMs, kind, decisionId, data, truncatedFrom } of frames) {
      lastMs = timeMs;
      if (data instanceof Uint8Array) {
        yield { timeMs, kind, decisionId, data: Buffer.from(data).toString('base64'), base64: true };
      } else {
        const shown = truncatedFrom === undefined ? data : { ...data, truncated_from_bytes: truncatedFrom };
        yield { timeMs, kind, decisionId, data: shown, base64: false };
      }
    }
  } catch (error) {
    if (!(error instanceof RecordingDamaged)) throw error;
    yield { timeMs: lastMs, kind: 'damaged', decisionId: undefined, data: { message: error.message }, base64: false };
  }
}

const idPattern = /^[0-9A-Za-z_-]{1,64}$/;
const dayPattern = /^\d{4}-\d{2}-\d{2}$/;
const suffix = '.sprec';

/**
 * Recordings of a directory, the newest first. Reads headers, day by day, until there are enough; of a search that finds
 * little, at most `limits.consoleRecordingsScannedMax`.
 */
async function listRecordings(directory: string, query: RecordingQuery): Promise<readonly RecordingEntry[]> {
  const found: RecordingEntry[] = [];
  let scanned = 0;
  for (const day of await names(directory, dayPattern)) {
    for (const name of await names(join(directory, day), /\.sprec$/)) {
      if (query.after !== undefined && name.slice(0, -suffix.length) >= query.after) continue;
      if (found.length >= query.limit || ++scanned > limits.consoleRecordingsScannedMax) return found;
      const entry = await readEntry(join(directory, day, name));
      if (entry !== undefined && matches(entry, query)) found.push(entry);
    }
  }
  return found;
}

/** The recording of a session, if there is one. */
async function findRecording(directory: string, id: string): Promise<RecordingEntry | undefined> {
  if (!idPattern.test(id)) return undefined;
  for (const day of await names(directory, dayPattern)) {
    const entry = await readEntry(join(directory, day, `${id}${suffix}`));
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/** Names in a folder, the last first: days, and ids, sort by time. */
async function names(folder: string, pattern: RegExp): Promise<string[]> {
  const all = await readdir(folder).catch(() => []);
  return all
    .filter((name) => pattern.test(name))
    .sort()
    .toReversed();
}

/** Undefined when there is no such file, or no header of a recording in it. */
async function readEntry(file: string): Promise<RecordingEntry | undefined> {
  try {
    const { size, mtime } = await stat(file);
    const { session, protocol, upstream, subject, client_address, application, started_at } = await readHeader(file);
    return {
      ...{ id: text(session), file, protocol: text(protocol), upstream: text(upstream) },
      subject: isObject(subject) ? subject : {},
      clientAddress: text(client_address),
      application: text(application),
      startedAt: text(started_at),
      lastAt: mtime.toISOString(),
      bytes: size,
    };
  } catch {
    return undefined;
  }
}

async function readHeader(file: string): Promise<JsonObject> {
  const handle = await open(file, 'r');
  try {
    for await (const line of handle.readLines({ end: limits.recordSegmentBytesMax, autoClose: false })) {
      const header: Json = JSON.parse(line);
      if (isObject(header) && header.format === 'sprec') return header;
      break;
    }
    throw new Error('no header');
  } finally {
    await handle.close();
  }
}

function matches({ subject, upstream, protocol }: RecordingEntry, query: RecordingQuery): boolean {
  if (query.own !== 'include' && subject.type === 'gateway') return false;
  if (query.upstream !== undefined && upstream !== query.upstream) return false;
  if (query.protocol !== undefined && protocol !== query.protocol) return false;
  return query.subject === undefined || peopleOf(subject).includes(query.subject);
}

/** The subject and everybody it acts for. */
function peopleOf(subject: JsonObject): readonly string[] {
  const chain = subject.on_behalf_of;
  return [subject, ...(Array.isArray(chain) ? chain : [])].map((one: Json) => (isObject(one) ? text(one.id) : ''));
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { closeSync, constants, mkdirSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Clock, RecorderPort } from '../core/ports.ts';
import type { JsonObject } from '../core/types.ts';
import type { RecordingIndex } from './catalog.ts';
import { digestOf } from './format.ts';
import { newDataKey, type RecordingKey } from './keys.ts';
import { Recording, type Shared } from './recording.ts';
import { SegmentPool } from './segment.ts';
import { Synopsis } from './synopsis.ts';

/** Where recordings go, and who is told when they cannot. */
export interface RecorderOptions {
  /** Recordings are `<directory>/<yyyy-mm-dd>/<session id>.sprec`, the day being that of the session's start in UTC. */
  readonly directory: string;
  readonly clock: Clock;
  readonly onError: (error: Error) => void;
  /** Encrypts what is recorded from now on. Undefined: it is written in clear. */
  readonly key?: RecordingKey | undefined;
  /** Told of every recording as it begins and as it ends. */
  readonly index?: Pick<RecordingIndex, 'put'> | undefined;
  /** Told of every recording that is whole and on stable storage: the digest its file ends with, in hex. */
  readonly sealed?: ((recording: { session: string; bytes: number; digest: string }) => void) | undefined;
}

/** Recordings of sessions, written in the background. */
export interface Recorder extends RecorderPort {
  /** False while the directory cannot be written: sessions are then refused. */
  readonly ready: boolean;
  /** Ends every recording that is still open, as aborted, and settles when all are written. */
  close(): Promise<void>;
}

/** Opens a recorder. Does not throw: a directory that cannot be written makes it not ready, and is tried again. */
export function createRecorder(options: RecorderOptions): Recorder {
  return new FileRecorder(options);
}

const clear = { dataKey: undefined, encryption: undefined } as const;

const sessionIdPattern = /^[0-9A-Za-z_-]{1,64}$/;
const createNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND | constants.O_NOFOLLOW;

class FileRecorder implements Recorder, Shared {
  readonly #directory: string;
  readonly #onError: (error: Error) => void;
  readonly #key: RecordingKey | undefined;
  readonly #index: Pick<RecordingIndex, 'put'> | undefined;
  readonly #sealed: RecorderOptions['sealed'];
  readonly #recordings = new Set<Recording>();
  readonly #timer: NodeJS.Timeout;
  readonly clock: Clock;
  readonly pool = new SegmentPool();
  waitingBytes = 0;
  #ready = true;
  #retryAtMs = 0;
  #closed = false;

  constructor(options: RecorderOptions) {
    this.#directory = options.directory;
    this.#onError = options.onError;
    this.#key = options.key;
    this.#index = options.index;
    this.#sealed = options.sealed;
    this.clock = options.clock;
    this.#probe();
    this.#timer = setInterval(() => this.#tick(), limits.recordFlushMs);
    this.#timer.unref();
  }

  get ready(): boolean {
    return this.#ready && !this.#closed;
  }

  /** @throws GatewayError `record_unavailable` */
  open(session: { id: string; protocol: string; header: JsonObject }): Recording {
    if (this.#closed) throw new GatewayError('record_unavailable', 'The recorder is closed.');
    if (!sessionIdPattern.test(session.id)) throw new GatewayError('internal_error', 'The session id names no file.');
    if (!this.#ready && this.clock.monotonicMs() < this.#retryAtMs) throw unavailable(undefined);
    try {
      const recording = this.#create(session);
      this.#ready = true;
      this.#recordings.add(recording);
      return recording;
    } catch (error) {
      this.failed(new Error('a recording cannot be created', { cause: error }));
      throw unavailable(error);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closed = true;
    await Promise.all([...this.#recordings].map((recording) => recording.close({ status: 'aborted' })));
  }

  failed(error: Error): void {
    this.#ready = false;
    this.#retryAtMs = this.clock.monotonicMs() + limits.recordRetryMs;
    this.#onError(error);
  }

  relieved(): void {
    for (const recording of this.#recordings) if (recording.paused) recording.resumeIfRelieved();
  }

  closed(recording: Recording): void {
    this.#recordings.delete(recording);
    const entry = recording.synopsis.entry(this.clock.nowMs());
    this.#index?.put(entry);
    const { seal: digest } = recording;
    if (digest !== undefined) this.#sealed?.({ session: entry.session, bytes: entry.bytes, digest });
  }

  #create(session: { id: string; protocol: string; header: JsonObject }): Recording {
    const day = new Date(this.clock.nowMs()).toISOString().slice(0, 10);
    mkdirSync(join(this.#directory, day), { recursive: true, mode: 0o700 });
    const { id, protocol } = session;
    const { dataKey, encryption } = this.#key === undefined ? clear : newDataKey(this.#key, id);
    const version = encryption === undefined ? 1 : 2;
    const header = { format: 'sprec', version, session: id, protocol, ...session.header };
    const line = Buffer.from(`${JSON.stringify({ ...header, ...(encryption && { encryption }) })}\n`);
    const file = `${day}/${id}.sprec`;
    const fd = openSync(join(this.#directory, file), createNew, 0o600);
    try {
      if (writeSync(fd, line) < line.length) throw new Error('the header could not be written whole');
      const synopsis = new Synopsis(file, { ...header, ...(encryption && { encryption }) }, line.length);
      this.#index?.put(synopsis.entry(undefined));
      return new Recording({ fd, digest: digestOf(line), dataKey, synopsis }, this);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #tick(): void {
    for (const recording of this.#recordings) recording.flush();
    if (!this.#ready && this.clock.monotonicMs() >= this.#retryAtMs) this.#probe();
  }

  /** Finds out whether the directory can be written, so that readiness comes back without a session to try it on. */
  #probe(): void {
    const path = join(this.#directory, `.probe-${process.pid}`);
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      const fd = openSync(
        path,
        constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
        0o600,
      );
      try {
        writeSync(fd, Buffer.alloc(4096));
      } finally {
        closeSync(fd);
        unlinkSync(path);
      }
      this.#ready = true;
    } catch (error) {
      this.failed(new Error('the directory of recordings cannot be written', { cause: error }));
    }
  }
}

function unavailable(cause: unknown): GatewayError {
  return new GatewayError('record_unavailable', 'The session cannot be recorded.', { cause });
}

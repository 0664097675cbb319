import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { limits } from '../core/limits.ts';
import type { Clock } from '../core/ports.ts';
import type { RecordingIndex } from './catalog.ts';
import type { RecordingEntry } from './synopsis.ts';
import type { S3Bucket } from './upload-s3.ts';

/** What an upload stands on. */
export interface RecordingUploadOptions {
  /** Of the recordings. */
  readonly directory: string;
  /** Knows what is uploaded, across restarts. */
  readonly index: RecordingIndex;
  readonly bucket: S3Bucket;
  /** Settles once the index knows what an earlier process left. Nothing is uploaded before. Never rejects. */
  readonly ready: Promise<void>;
  readonly clock: Clock;
  /** Told of every attempt that failed. */
  readonly onError: (error: Error) => void;
}

/** Whether a recording is for the bucket and not known to be there: it ended, and it is encrypted. */
export function toUpload({ outcome, key_id, uploaded_at }: RecordingEntry): boolean {
  return outcome !== 'open' && key_id !== null && uploaded_at === undefined;
}

/**
 * Copies recordings that ended to a bucket, one after the other, the oldest first. One that fails goes to the end of the queue, so
 * that it keeps nobody, and after each failure there is a pause that doubles up to `recordUploadRetryMsMax`. What is uploaded is in
 * the index; after a crash in between, the bucket is asked.
 */
export class RecordingUpload {
  readonly #options: RecordingUploadOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** Ids of sessions, next first. */
  readonly #pending = new Set<string>();

  constructor(options: RecordingUploadOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Recordings that are still to be uploaded. */
  get lag(): number {
    return this.#pending.size;
  }

  /** Takes what is new about a session. */
  offer(entry: RecordingEntry): void {
    if (toUpload(entry)) this.#pending.add(entry.session);
    for (const session of this.#pending) {
      if (this.#pending.size <= limits.recordIndexEntriesMax) break;
      this.#pending.delete(session);
      this.#options.onError(new Error(`too many recordings wait for their upload: ${session} is not uploaded`));
    }
  }

  /** Ends, in the middle of a recording if need be: the next start begins with that one. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#options.bucket.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    await this.#options.ready;
    for (const entry of this.#options.index.oldestFirst) this.offer(entry);
    let retryMs: number = limits.recordUploadRetryMsMin;
    while (!signal.aborted) {
      const [session] = this.#pending;
      if (session === undefined) {
        await this.#pause(limits.recordUploadPollMs);
        continue;
      }
      try {
        await this.#upload(session);
        this.#pending.delete(session);
        retryMs = limits.recordUploadRetryMsMin;
      } catch (cause) {
        if (signal.aborted) return;
        this.#pending.delete(session);
        this.#pending.add(session);
        this.#options.onError(new Error(`the recording of ${session} is not uploaded yet`, { cause }));
        await this.#pause(retryMs);
        retryMs = Math.min(retryMs * 2, limits.recordUploadRetryMsMax);
      }
    }
  }

  async #upload(session: string): Promise<void> {
    const { directory, index, bucket, clock } = this.#options;
    const entry = index.get(session);
    // Removed in the meantime, by retention or because the index holds no more.
    if (entry === undefined) return;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limits.recordUploadTimeoutMs)]);
    const file = await open(join(directory, entry.file), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { size } = await file.stat();
      if (size > limits.recordUploadBytesMax) throw new Error(`it has ${size} bytes, more than one PUT takes`);
      const sha256 = await digestOf(file, size, signal);
      if (!(await bucket.has(entry.file, sha256, signal))) {
        await bucket.put(entry.file, { bytes: size, sha256, body: () => contentOf(file, size) }, signal);
      }
    } finally {
      await file.close();
    }
    index.uploaded(session, new Date(clock.nowMs()).toISOString());
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {});
  }
}

function contentOf(file: FileHandle, size: number) {
  return file.createReadStream({ start: 0, end: Math.max(0, size - 1), autoClose: false });
}

async function digestOf(file: FileHandle, size: number, signal: AbortSignal): Promise<Buffer> {
  const hash = createHash('sha256');
  for await (const piece of contentOf(file, size)) {
    signal.throwIfAborted();
    hash.update(piece);
  }
  return hash.digest();
}

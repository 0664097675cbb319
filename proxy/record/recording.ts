import { close, fdatasync, write } from 'node:fs';
import { limits } from '../core/limits.ts';
import type { Clock, RecordFrame, SessionRecorder } from '../core/ports.ts';
import type { JsonObject } from '../core/types.ts';
import type { Payload } from './format.ts';
import { Segment, type SegmentPool } from './segment.ts';
import type { Synopsis } from './synopsis.ts';

/** What the recordings of one recorder share. */
export interface Shared {
  readonly clock: Clock;
  readonly pool: SegmentPool;
  /** Unwritten bytes of all recordings. */
  waitingBytes: number;
  /** Told once by a recording whose file cannot be written. */
  failed(error: Error): void;
  /** Told when bytes were written or given up, so that paused recordings can go on. */
  relieved(): void;
  /** Told when a recording has ended, and whether its file is whole. */
  closed(recording: Recording): void;
}

/** The recording of one session: frames are copied into segments, and segments written one after the other. */
export class Recording implements SessionRecorder {
  readonly #fd: number;
  readonly #shared: Shared;
  readonly #startedMs: number;
  #digest: string;
  #segmentIndex = 0;
  #gathering: Segment | undefined;
  #queue: Segment[] = [];
  #writing = false;
  #waitingBytes = 0;
  #paused: { readonly promise: Promise<void>; readonly resume: () => void } | undefined;
  #idle: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #failed = false;
  #totals = { frames: 0, bytes: 0, truncated: 0 };
  readonly #dataKey: Uint8Array | undefined;
  /** What the index will say of it. */
  readonly synopsis: Synopsis;

  /** @param file - `digest` is that of the header line, which is already in the file */
  constructor(
    file: { fd: number; digest: string; dataKey: Uint8Array | undefined; synopsis: Synopsis },
    shared: Shared,
  ) {
    this.#fd = file.fd;
    this.#digest = file.digest;
    this.#dataKey = file.dataKey;
    this.synopsis = file.synopsis;
    this.#shared = shared;
    this.#startedMs = shared.clock.monotonicMs();
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** The digest that the file ends with, in hex, which stands for all of it; undefined when it could not be written. */
  get seal(): string | undefined {
    return this.#failed ? undefined : Buffer.from(this.#digest, 'latin1').toString('hex');
  }

  /** Whether there is a pause that `drained` waits for. */
  get paused(): boolean {
    return this.#paused !== undefined;
  }

  get drained(): Promise<void> | undefined {
    if (this.#paused !== undefined) return this.#paused.promise;
    if (this.#failed || !this.#behind(1)) return undefined;
    let resume = (): void => {};
    const promise = new Promise<void>((resolve) => {
      resume = resolve;
    });
    this.#paused = { promise, resume };
    this.flush();
    return promise;
  }

  /** Copies a frame. Bytes past the bound of a frame go on in further frames of the kind; too much JSON is left out. */
  frame(frame: RecordFrame): void {
    if (this.#closing !== undefined) return;
    try {
      this.synopsis.note(frame.kind, frame.data);
      this.#keep(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  #keep(frame: RecordFrame): void {
    const { data } = frame;
    if (!(data instanceof Uint8Array)) {
      this.#add(frame, jsonPayload(data));
      return;
    }
    if (data.length <= limits.recordFrameBytesMax) {
      this.#add(frame, { data, bytes: data.length, truncatedFrom: 0 });
      return;
    }
    for (let start = 0; start < data.length; start += limits.recordFrameBytesMax) {
      const piece = data.subarray(start, start + limits.recordFrameBytesMax);
      this.#add(frame, { data: piece, bytes: piece.length, truncatedFrom: 0 });
    }
  }

  #add(frame: RecordFrame, payload: Payload): void {
    if (this.#failed) return;
    let segment = this.#gathering;
    if (segment !== undefined && !segment.fits(frame, payload.bytes)) {
      this.flush();
      segment = undefined;
    }
    segment ??= this.#begin(frame, payload.bytes);
    const before = segment.payloadBytes;
    segment.add(frame, payload, this.#shared.clock.monotonicMs() - this.#startedMs);
    this.#totals.frames += 1;
    this.#totals.bytes += segment.payloadBytes - before;
    if (payload.truncatedFrom > 0) this.#totals.truncated += 1;
    this.#count(segment.payloadBytes - before);
    if (this.#waitingBytes > limits.recordBufferBytesHardMax)
      this.#fail(new Error('more was to be recorded than may wait: its adapter did not pause'));
  }

  #begin(frame: RecordFrame, payloadBytes: number): Segment {
    const segment = new Segment(this.#shared.pool.take(frame, payloadBytes));
    this.#gathering = segment;
    return segment;
  }

  /** Hands what was gathered to the disk. Returns at once. */
  flush(): void {
    const segment = this.#gathering;
    if (segment === undefined) return;
    this.#gathering = undefined;
    this.#queue.push(segment);
    this.#writeNext();
  }

  /** Ends the recording with its totals. Settles when it is on stable storage, or has failed; never rejects. */
  close(outcome: JsonObject): Promise<void> {
    this.#closing ??= this.#finish(outcome);
    return this.#closing;
  }

  /** Resolves a pause when there is room again, for everybody. */
  resumeIfRelieved(): void {
    if (this.#paused === undefined || (!this.#failed && this.#behind(0.5))) return;
    const { resume } = this.#paused;
    this.#paused = undefined;
    resume();
  }

  #behind(share: number): boolean {
    return (
      this.#waitingBytes > limits.recordBufferBytesMax * share ||
      this.#shared.waitingBytes > limits.recordBufferBytesTotalMax * share
    );
  }

  async #finish(outcome: JsonObject): Promise<void> {
    const end = { outcome, totals: { ...this.#totals } };
    this.#keep({ kind: 'end', data: end });
    this.flush();
    if (this.#writing) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await new Promise<void>((resolve) => {
      if (this.#failed) resolve();
      else
        fdatasync(this.#fd, (error) => {
          if (error) this.#fail(error);
          resolve();
        });
    });
    await new Promise<void>((resolve) => close(this.#fd, () => resolve()));
    if (!this.#failed) this.synopsis.note('end', end);
    this.#shared.closed(this);
  }

  #writeNext(): void {
    if (this.#writing) return;
    const segment = this.#queue.shift();
    if (segment === undefined) {
      this.#idle?.();
      return;
    }
    const { bytes, digest } = segment.seal(this.#segmentIndex, this.#digest, this.#dataKey);
    this.synopsis.bytes += bytes.length;
    this.#segmentIndex += 1;
    this.#digest = digest;
    this.#writing = true;
    this.#write(segment, bytes, 0);
  }

  #write(segment: Segment, bytes: Buffer, from: number): void {
    write(this.#fd, bytes, from, bytes.length - from, null, (error, written) => {
      if (error === null && from + written < bytes.length) {
        this.#write(segment, bytes, from + written);
        return;
      }
      this.#writing = false;
      this.#shared.pool.give(segment.buffer);
      if (error !== null) this.#fail(error);
      else if (!this.#failed) this.#count(-segment.payloadBytes);
      this.#shared.relieved();
      this.#writeNext();
    });
  }

  #count(bytes: number): void {
    this.#waitingBytes += bytes;
    this.#shared.waitingBytes += bytes;
  }

  /** Nothing more is kept, and whoever waits goes on, to be refused by the gate. */
  #fail(cause: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#gathering = undefined;
    this.#queue = [];
    this.#count(-this.#waitingBytes);
    this.resumeIfRelieved();
    this.#shared.failed(new Error('a recording cannot be written', { cause }));
  }
}

/** `bytes` is an upper bound where it is certain to fit, because counting is not free. */
function jsonPayload(data: JsonObject): Payload {
  const text = JSON.stringify(data);
  const bytes = text.length * 3 <= limits.recordFrameBytesMax ? text.length * 3 : Buffer.byteLength(text);
  if (bytes <= limits.recordFrameBytesMax) return { data: text, bytes, truncatedFrom: 0 };
  return { data: '{}', bytes: 2, truncatedFrom: bytes };
}

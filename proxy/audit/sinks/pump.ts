import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { limits } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { describeError } from '../errno.ts';
import { isNothing } from '../file.ts';
import { type TrailLine, TrailReader } from '../follow.ts';
import type { Sink } from './sink.ts';

/** How one sink is kept up with the trail. */
export interface PumpOptions {
  /** In messages, metrics, and the name of the cursor's file. */
  readonly name: string;
  readonly sink: Sink;
  /** The trail's file. */
  readonly file: string;
  /** The seq of the last line written. */
  readonly headSeq: () => number;
  readonly clock: Clock;
  readonly onError: (error: Error) => void;
}

/**
 * Delivers a trail to one sink, in order, each line at least once. The trail is its spool: a file beside it says which line was
 * acknowledged last. What fails is tried again, with pauses up to `auditSinkRetryMsMax`, for as long as it takes.
 */
export class SinkPump {
  readonly name: string;
  readonly #options: PumpOptions;
  readonly #reader: TrailReader;
  readonly #cursorFile: string;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #acknowledged: number;
  #progressAtMs: number;
  #closing = false;
  readonly #wake = new AbortController();

  /** @throws Error when there is a cursor that cannot be read: starting over silently could repeat years */
  constructor(options: PumpOptions) {
    this.#options = options;
    this.name = options.name;
    this.#cursorFile = `${options.file}.sink-${options.name}`;
    // Behind the head the trail is another one, or a machine that stopped lost its last lines.
    this.#acknowledged = Math.min(readCursor(this.#cursorFile), Math.max(0, options.headSeq() - 1));
    this.#progressAtMs = options.clock.monotonicMs();
    this.#reader = new TrailReader(options.file, this.#acknowledged);
    this.#running = this.#run();
  }

  /** The last line that the sink has for good. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Lines that it does not have yet. */
  get lag(): number {
    return Math.max(0, this.#options.headSeq() - this.#acknowledged);
  }

  /** Whether it is further behind than lines may be, or has taken none for longer than it may. */
  get overdue(): boolean {
    const { lag } = this;
    if (lag === 0) return false;
    if (lag > limits.auditSinkLagLinesMax) return true;
    return this.#options.clock.monotonicMs() - this.#progressAtMs > limits.auditSinkStallMs;
  }

  /** Delivers what is left, for at most `auditSinkCloseMs`; the rest is delivered after the next start. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wake.abort();
    const timer = setTimeout(() => this.#stop.abort(), limits.auditSinkCloseMs);
    await this.#running;
    clearTimeout(timer);
    await this.#reader.close();
    await this.#options.sink.close();
  }

  async #run(): Promise<void> {
    let retryMs: number = limits.auditSinkRetryMsMin;
    let batch: TrailLine[] = [];
    while (!this.#stop.signal.aborted) {
      try {
        if (batch.length === 0) batch = await this.#reader.read();
        if (batch.length === 0) {
          if (this.#closing) return;
          this.#progressAtMs = this.#options.clock.monotonicMs();
          await this.#pause(limits.auditSinkPollMs);
          continue;
        }
        await this.#deliver(batch.slice(0, limits.auditSinkBatchLines));
        batch = batch.slice(limits.auditSinkBatchLines);
        retryMs = limits.auditSinkRetryMsMin;
      } catch (cause) {
        this.#options.onError(
          new Error(`the sink ${this.name} does not take lines (${describeError(cause)})`, { cause }),
        );
        if (this.#closing) return;
        await this.#pause(retryMs);
        retryMs = Math.min(retryMs * 2, limits.auditSinkRetryMsMax);
      }
    }
  }

  async #deliver(lines: readonly TrailLine[]): Promise<void> {
    const [first, last] = [lines[0]?.seq ?? 0, lines.at(-1)?.seq ?? 0];
    if (first > this.#acknowledged + 1)
      this.#options.onError(
        new Error(`lines ${this.#acknowledged + 1} to ${first - 1} were removed before the sink ${this.name} had them`),
      );
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limits.auditSinkTimeoutMs)]);
    const answer = await this.#options.sink.send(lines, signal);
    if (answer !== undefined)
      this.#options.onError(
        new Error(`of lines ${first} to ${last} the sink ${this.name} rejected ${answer.rejected}`),
      );
    this.#acknowledged = last;
    this.#progressAtMs = this.#options.clock.monotonicMs();
    this.#keepCursor(last);
  }

  #keepCursor(seq: number): void {
    try {
      writeFileSync(`${this.#cursorFile}.new`, `${seq}\n`, { mode: 0o600 });
      renameSync(`${this.#cursorFile}.new`, this.#cursorFile);
    } catch (cause) {
      // Without it lines come again after a restart, which is what at least once means.
      this.#options.onError(new Error(`the cursor of the sink ${this.name} cannot be written`, { cause }));
    }
  }

  async #pause(ms: number): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, this.#wake.signal]);
    await delay(ms, undefined, { signal, ref: false }).catch(() => {});
  }
}

function readCursor(file: string): number {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (isNothing(error)) return 0;
    throw error;
  }
  if (!/^\d{1,16}\n$/.test(text)) throw new Error(`${file} is not the cursor of a sink`);
  return Number(text);
}

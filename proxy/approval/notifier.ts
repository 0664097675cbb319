import type { ApprovalStore, Notice } from '../core/approvals.ts';
import { limits } from '../core/limits.ts';
import type { Clock } from '../core/ports.ts';
import type { Channel } from './channel.ts';

/** What a {@link Notifier} stands on. */
export interface NotifierOptions {
  readonly store: ApprovalStore;
  readonly channels: readonly Channel[];
  readonly clock: Clock;
  readonly onError?: (error: unknown) => void;
}

/**
 * Tells the channels what the store says that they should hear, at least once, in no promised order: soon after it
 * happened, then again and again, ever more rarely, until it arrived or was tried often enough.
 */
export class Notifier {
  readonly #options: NotifierOptions;
  readonly #channels: ReadonlyMap<string, Channel>;
  readonly #stop: () => void;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#channels = new Map(options.channels.map((channel) => [channel.name, channel]));
    this.#stop = options.store.onChange(() => void this.run());
    this.#timer = setInterval(() => void this.run(), limits.approvalSweepMs);
    this.#timer.unref();
  }

  /** Sends what is due. Never rejects. */
  async run(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#work()
      .catch((error: unknown) => this.#options.onError?.(error))
      .finally(() => {
        this.#running = undefined;
      });
    await this.#running;
  }

  async #work(): Promise<void> {
    const { store, clock } = this.#options;
    while (this.#again) {
      this.#again = false;
      const nowMs = clock.nowMs();
      // Long enough that nobody else sends it while this one still tries.
      const due = await store.claimNotices(nowMs, nowMs + 2 * limits.approvalNoticeTimeoutMs);
      await Promise.all(due.map((notice) => this.#tell(notice)));
      if (due.length === limits.approvalNoticesAtOnceMax) this.#again = true;
    }
  }

  async #tell(notice: Notice): Promise<void> {
    const { store, clock, onError } = this.#options;
    const channel = this.#channels.get(notice.channel);
    const approval = await store.get(notice.approval);
    let againMs: number | undefined;
    // A channel that is not configured any more, or an approval that is forgotten, has nothing to be told.
    if (channel !== undefined && approval !== undefined) {
      try {
        await channel.tell(notice, approval);
      } catch (error) {
        onError?.(error);
        const { approvalNoticeAttemptsMax, approvalNoticeRetryMsMin, approvalNoticeRetryMsMax } = limits;
        const waitMs = Math.min(approvalNoticeRetryMsMin * 2 ** (notice.attempts - 1), approvalNoticeRetryMsMax);
        if (notice.attempts < approvalNoticeAttemptsMax) againMs = clock.nowMs() + waitMs;
      }
    }
    await store.settleNotice(notice, againMs);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop();
    this.#again = false;
    await this.#running;
  }
}

import { limits } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';

const minuteMs = 60_000;

/** Counts visits of client addresses, minute by minute, so that nobody keeps the gateway busy with being refused. */
export class VisitRates {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #visits = new Map<string, number>();
  #startedMs: number;

  /** @param max - visits of one address in a minute */
  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
    this.#startedMs = clock.monotonicMs();
  }

  /** Counts a visit. @returns seconds to wait when there were too many, of this address or of new ones. */
  take(address: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#startedMs >= minuteMs) {
      this.#visits.clear();
      this.#startedMs = nowMs;
    }
    const visits = this.#visits.get(address);
    const full = visits === undefined && this.#visits.size >= limits.consoleAddressesMax;
    if (full || (visits ?? 0) >= this.#max) return Math.ceil((minuteMs - (nowMs - this.#startedMs)) / 1000);
    this.#visits.set(address, (visits ?? 0) + 1);
    return undefined;
  }
}

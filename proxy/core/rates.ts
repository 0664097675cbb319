import type { Clock } from './ports.ts';
import type { Decision, Fault, Obligation, Principal } from './types.ts';

/** What a `rate` obligation asks, read from its properties. */
interface Rate {
  readonly value: number;
  readonly windowMs: number;
}

interface Window {
  readonly startedMs: number;
  used: number;
}

const dayMs = 24 * 3_600_000;

/**
 * Carries out `rate` obligations: at most `value` permitted operations in each window of `window_seconds`, for
 * one subject and one obligation id, whatever the session. Windows follow one another, so that up to twice the
 * value can pass around the turn of one. Bounded: with too many subjects at once everybody is refused.
 */
export class Rates {
  readonly #clock: Clock;
  readonly #max: number;
  /** By issuer, subject id, obligation id: nested, never joined. */
  readonly #windows = new Map<string, Map<string, Map<string, Window>>>();
  #count = 0;

  /** @param max - how many windows can be open at once */
  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
  }

  /** Uses one operation of each rate a decision asks for; says why not when one is used up or makes no sense. */
  take(who: Principal, decision: Decision): Fault | undefined {
    for (const obligation of decision.obligations) {
      if (obligation.type !== 'rate') continue;
      const rate = rateOf(obligation);
      if (rate === undefined) {
        return { code: 'obligation_unsupported', message: 'The obligation rate has no usable value.' };
      }
      const fault = this.#use(who, obligation.id, rate);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #use(who: Principal, id: string, { value, windowMs }: Rate): Fault | undefined {
    const nowMs = this.#clock.monotonicMs();
    const own = this.#ofSubject(who);
    let window = own.get(id);
    if (window === undefined || nowMs - window.startedMs >= windowMs) {
      if (window === undefined && this.#isFull(nowMs)) return tooMany;
      if (window === undefined) this.#count += 1;
      window = { startedMs: nowMs, used: 0 };
      own.set(id, window);
    }
    if (window.used >= value) {
      const seconds = Math.ceil((windowMs - (nowMs - window.startedMs)) / 1000);
      return { code: 'limit_reached', message: `Policy allows ${value} of these in a while; again in ${seconds} s.` };
    }
    window.used += 1;
    return undefined;
  }

  #ofSubject({ issuer, id }: Principal): Map<string, Window> {
    let byId = this.#windows.get(issuer);
    if (byId === undefined) {
      byId = new Map();
      this.#windows.set(issuer, byId);
    }
    let own = byId.get(id);
    if (own === undefined) {
      own = new Map();
      byId.set(id, own);
    }
    return own;
  }

  /** Forgets windows that no rate can still be in, when there are too many. */
  #isFull(nowMs: number): boolean {
    if (this.#count < this.#max) return false;
    for (const byId of this.#windows.values()) {
      for (const [subject, own] of byId) {
        for (const [id, { startedMs }] of own) {
          if (nowMs - startedMs < dayMs) continue;
          own.delete(id);
          this.#count -= 1;
        }
        if (own.size === 0) byId.delete(subject);
      }
    }
    return this.#count >= this.#max;
  }
}

const tooMany: Fault = { code: 'limit_reached', message: 'Too many subjects are being counted; try again later.' };

function rateOf({ properties: { value, window_seconds: seconds } }: Obligation): Rate | undefined {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) return undefined;
  if (typeof seconds !== 'number' || !(seconds > 0) || seconds * 1000 > dayMs) return undefined;
  return { value, windowMs: seconds * 1000 };
}

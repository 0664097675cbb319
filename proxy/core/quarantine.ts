import type { Clock } from './ports.ts';
import type { Fault, Principal } from './types.ts';

/**
 * Who is quarantined, and until when. Keyed by issuer, then id: identities are pairs, never joined strings.
 * Bounded: past the bound the oldest entry makes room only when it is over; otherwise a new one is kept in
 * place of nothing and everybody is refused, which is the safe side of a flood of quarantines.
 */
export class Quarantines {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #byIssuer = new Map<string, Map<string, { readonly untilMs: number; readonly fault: Fault }>>();
  #count = 0;
  #overflow: { readonly untilMs: number; readonly fault: Fault } | undefined;

  /** @param max - how many subjects can be quarantined at once */
  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
  }

  add(who: Principal, fault: Fault, ttlSeconds: number): void {
    const entry = { untilMs: this.#clock.nowMs() + ttlSeconds * 1000, fault };
    if (this.#count >= this.#max) this.#expire();
    if (this.#count >= this.#max) {
      this.#overflow = entry;
      return;
    }
    let byId = this.#byIssuer.get(who.issuer);
    if (byId === undefined) {
      byId = new Map();
      this.#byIssuer.set(who.issuer, byId);
    }
    if (!byId.has(who.id)) this.#count += 1;
    byId.set(who.id, entry);
  }

  /** Why somebody is refused now, or `undefined`. */
  find(who: Principal): Fault | undefined {
    if (this.#count === 0) return undefined;
    const entry = this.#byIssuer.get(who.issuer)?.get(who.id) ?? this.#overflow;
    return entry !== undefined && this.#clock.nowMs() < entry.untilMs ? entry.fault : undefined;
  }

  #expire(): void {
    const nowMs = this.#clock.nowMs();
    for (const [issuer, byId] of this.#byIssuer) {
      for (const [id, { untilMs }] of byId) {
        if (untilMs > nowMs) continue;
        byId.delete(id);
        this.#count -= 1;
      }
      if (byId.size === 0) this.#byIssuer.delete(issuer);
    }
  }
}

import { limits } from '../core/limits.ts';
import type { JsonObject } from '../core/types.ts';

/** What happened, as the gate notes it. */
export interface HistoryNote {
  readonly labels?: readonly string[];
  readonly rows?: number;
  readonly denied?: boolean;
  readonly approved?: boolean;
}

/** The window is cut into this many slots; a slot is forgotten as a whole, once all of it is out of the window. */
const slotsPerWindow = 60;

interface Slot {
  readonly number: number;
  rows: number;
  denials: number;
  approvals: number;
}

/**
 * One subject's sliding window. Counts are kept by slot, so what is read may reach back up to a sixtieth further
 * than the window, never less far: a limit on rows errs on the strict side.
 */
export class SubjectHistory {
  readonly #windowSeconds: number;
  readonly #slotMs: number;
  readonly #upstreams = new LastSeen(limits.historyUpstreamsMax);
  readonly #labels = new LastSeen(limits.historyLabelsMax);
  #slots: Slot[] = [];

  constructor(windowSeconds: number) {
    this.#windowSeconds = windowSeconds;
    this.#slotMs = (windowSeconds * 1000) / slotsPerWindow;
  }

  /** Adds what was done at `upstream`. A denial reached nothing, so it touches neither upstreams nor labels. */
  note(upstream: string, what: HistoryNote, nowMs: number): void {
    const slot = this.#current(nowMs);
    if (what.approved) slot.approvals++;
    if (what.denied) {
      slot.denials++;
      return;
    }
    if (what.rows !== undefined && what.rows > 0) slot.rows += what.rows;
    this.#upstreams.see(upstream, nowMs);
    for (const label of what.labels ?? []) this.#labels.see(label, nowMs);
  }

  /** `context.history` as of now; `first_use` is about `upstream`. */
  read(upstream: string, nowMs: number): JsonObject {
    const sinceMs = nowMs - this.#windowSeconds * 1000;
    this.#dropOld(nowMs);
    const upstreams = this.#upstreams.since(sinceMs);
    const sum = (of: (slot: Slot) => number): number => this.#slots.reduce((total, slot) => total + of(slot), 0);
    return {
      upstreams,
      first_use: !upstreams.includes(upstream),
      labels_read: this.#labels.since(sinceMs),
      rows_read: sum((slot) => slot.rows),
      denials: sum((slot) => slot.denials),
      approvals: sum((slot) => slot.approvals),
      window_seconds: this.#windowSeconds,
    };
  }

  #current(nowMs: number): Slot {
    const number = Math.floor(nowMs / this.#slotMs);
    const newest = this.#slots.at(-1);
    if (newest !== undefined && newest.number >= number) return newest;
    this.#dropOld(nowMs);
    const slot: Slot = { number, rows: 0, denials: 0, approvals: 0 };
    this.#slots.push(slot);
    return slot;
  }

  #dropOld(nowMs: number): void {
    const oldest = Math.floor(nowMs / this.#slotMs) - slotsPerWindow;
    if ((this.#slots[0]?.number ?? oldest) < oldest) this.#slots = this.#slots.filter(({ number }) => number >= oldest);
  }
}

/** Names and when each was seen last. Bounded: the one seen longest ago makes room. */
class LastSeen {
  readonly #max: number;
  readonly #seenMs = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  see(name: string, nowMs: number): void {
    this.#seenMs.delete(name);
    this.#seenMs.set(name, nowMs);
    if (this.#seenMs.size <= this.#max) return;
    for (const oldest of this.#seenMs.keys()) {
      this.#seenMs.delete(oldest);
      return;
    }
  }

  /** Sorted, so that equal histories are equal documents. */
  since(sinceMs: number): readonly string[] {
    for (const [name, seenMs] of this.#seenMs) {
      if (seenMs >= sinceMs) break;
      this.#seenMs.delete(name);
    }
    return [...this.#seenMs.keys()].toSorted();
  }
}

import { limits } from '../core/limits.ts';
import type { Clock, HistoryPort } from '../core/ports.ts';
import type { Identity, JsonObject } from '../core/types.ts';
import { type HistoryNote, SubjectHistory } from './subject.ts';

export type { HistoryNote } from './subject.ts';

/** What {@link createHistory} needs. */
export interface HistoryOptions {
  readonly clock: Clock;
  /** How far back history reaches; `limits.historyWindowSeconds` by default, at most `historyWindowSecondsMax`. */
  readonly windowSeconds?: number;
  /** Subjects remembered at once; `limits.historySubjectsMax` by default. */
  readonly subjectsMax?: number;
}

/** {@link HistoryPort} with approvals and a size to watch. */
export interface History extends HistoryPort {
  note(identity: Identity, upstream: string, what: HistoryNote): void;
  /** Subjects remembered now. */
  readonly size: number;
}

/**
 * What each subject did lately, across protocols, in the memory of this gateway. A subject is an (issuer, id) pair,
 * found through nested maps; no joined string could be mistaken for another's.
 *
 * Past `subjectsMax` the subject idle longest is forgotten, and starts over with an empty history: size it for the agents
 * there are. A restart forgets everything.
 *
 * @throws Error when the window is not within its bounds.
 */
export function createHistory(options: HistoryOptions): History {
  const { clock, windowSeconds = limits.historyWindowSeconds, subjectsMax = limits.historySubjectsMax } = options;
  if (!(windowSeconds > 0 && windowSeconds <= limits.historyWindowSecondsMax)) {
    throw new Error(`history: windowSeconds must be above 0 and at most ${limits.historyWindowSecondsMax}`);
  }
  const subjects = new Subjects(subjectsMax, () => new SubjectHistory(windowSeconds));
  return {
    read(identity, upstream): JsonObject {
      const nowMs = clock.monotonicMs();
      return (subjects.find(identity) ?? new SubjectHistory(windowSeconds)).read(upstream, nowMs);
    },
    note(identity, upstream, what) {
      subjects.findOrAdd(identity).note(upstream, what, clock.monotonicMs());
    },
    get size() {
      return subjects.size;
    },
  };
}

type Principal = Pick<Identity, 'issuer' | 'id'>;
interface Known {
  readonly principal: Principal;
  readonly history: SubjectHistory;
}

/** Histories by (issuer, id), the one noted longest ago first. */
class Subjects {
  readonly #max: number;
  readonly #make: () => SubjectHistory;
  readonly #byIssuer = new Map<string, Map<string, Known>>();
  /** A `Set` iterates in the order of insertion: taking out and adding again moves to the end. */
  readonly #idlestFirst = new Set<Known>();

  constructor(max: number, make: () => SubjectHistory) {
    this.#max = max;
    this.#make = make;
  }

  get size(): number {
    return this.#idlestFirst.size;
  }

  find({ issuer, id }: Principal): SubjectHistory | undefined {
    return this.#byIssuer.get(issuer)?.get(id)?.history;
  }

  findOrAdd({ issuer, id }: Principal): SubjectHistory {
    const known = this.#byIssuer.get(issuer)?.get(id) ?? this.#add({ issuer, id });
    this.#idlestFirst.delete(known);
    this.#idlestFirst.add(known);
    return known.history;
  }

  #add(principal: Principal): Known {
    for (const idlest of this.#idlestFirst) {
      if (this.#idlestFirst.size < this.#max) break;
      this.#forget(idlest);
    }
    const known: Known = { principal, history: this.#make() };
    const ids = this.#byIssuer.get(principal.issuer) ?? new Map<string, Known>();
    this.#byIssuer.set(principal.issuer, ids.set(principal.id, known));
    return known;
  }

  #forget(known: Known): void {
    const { issuer, id } = known.principal;
    this.#idlestFirst.delete(known);
    const ids = this.#byIssuer.get(issuer);
    ids?.delete(id);
    if (ids?.size === 0) this.#byIssuer.delete(issuer);
  }
}

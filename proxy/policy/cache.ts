import { createHash } from 'node:crypto';
import type { Decision } from '../core/types.ts';

/** An answer of the engine, and until when it may be given again (monotonic milliseconds; `Infinity` without a term). */
export interface CachedAnswer {
  readonly answer: { readonly decision: Decision };
  readonly untilMs: number;
  /** The subject it was given to: the identity cache is keyed by session or subject, and checks the other. */
  readonly subject: object;
}

/**
 * Answers by the identity of who asks and of what is asked: no serialisation, two look-ups.
 * Bounded by what holds the keys: an entry goes when its session or its facts do.
 */
export class IdentityCache {
  #byWho = new WeakMap<object, WeakMap<object, CachedAnswer>>();

  get(who: object, facts: object): CachedAnswer | undefined {
    return this.#byWho.get(who)?.get(facts);
  }

  set(who: object, facts: object, cached: CachedAnswer): void {
    const byFacts = this.#byWho.get(who) ?? new WeakMap<object, CachedAnswer>();
    byFacts.set(facts, cached);
    this.#byWho.set(who, byFacts);
  }
}

/** A map that forgets its oldest entry when it is full. */
export class BoundedCache<Value> {
  readonly #entries = new Map<string, Value>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: Value): void {
    if (this.#entries.size >= this.#entriesMax && !this.#entries.has(key)) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(key, value);
  }
}

/** A short key for a document: itself, or its SHA-256 when long, so that entries are bounded in size too. */
export function cacheKey(document: string): string {
  return document.length <= 256 ? document : createHash('sha256').update(document).digest('base64');
}

import type { Counter } from 'prom-client';

/** What a hot path holds: counting is one addition. */
export interface CounterChild {
  inc(count?: number): void;
}

/**
 * One counter with one set of labels. prom-client builds a string from the labels on every increment
 * (0.2 µs, several times a statement), so the child adds up by itself and hands over at scrape time.
 */
export class PendingCounter implements CounterChild {
  #pending = 0;
  readonly #flush: (count: number) => void;

  constructor(counter: Counter, labels: Readonly<Record<string, string>>) {
    this.#flush = (count) => counter.inc(labels, count);
    // So that the series is there, with its zero, from the moment somebody means to count.
    this.#flush(0);
  }

  /** Adds `count`, 1 by default. What no counter can take (negative, not finite) is dropped, never thrown. */
  inc(count = 1): void {
    if (count > 0 && Number.isFinite(count)) this.#pending += count;
  }

  /** Hands what was counted to prom-client; called when a scrape collects. */
  flush(): void {
    if (this.#pending === 0) return;
    this.#flush(this.#pending);
    this.#pending = 0;
  }
}

/** A memo by up to three strings, as nested maps: no joined key, no allocation on a hit. */
export class Children<Child> {
  readonly #byFirst = new Map<string, Map<string, Map<string, Child>>>();

  get(first: string, second: string, third: string, make: () => Child): Child {
    const bySecond = entry(this.#byFirst, first, newMap<Map<string, Child>>);
    const byThird = entry(bySecond, second, newMap<Child>);
    return entry(byThird, third, make);
  }
}

function newMap<Value>(): Map<string, Value> {
  return new Map();
}

function entry<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

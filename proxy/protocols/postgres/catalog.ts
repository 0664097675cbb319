/**
 * Keeps a snapshot of one database's catalog, and knows when it may no longer be believed.
 *
 * Three things make it read again: the relay saw DDL (`invalidate`), the fingerprint taken in the background
 * changed, or both halves are needed for the first time. Between a change made elsewhere and the next
 * fingerprint lies at most `catalogCheckIntervalMs`; that race is known and stated.
 */
import { createHash } from 'node:crypto';
import { limits } from '../../core/limits.ts';
import type { CatalogQuery } from './classification.ts';
import { buildSnapshot, type CatalogRows, type Rows } from './lineage/build-snapshot.ts';
import * as queries from './lineage/catalog-queries.ts';
import type { Snapshot } from './lineage/snapshot.ts';

/** The bounds a catalog keeps. */
export interface CatalogLimits {
  readonly catalogCheckIntervalMs: number;
  readonly catalogStaleMs: number;
  readonly catalogRowsMax: number;
  readonly catalogBytesMax: number;
}

/** A snapshot with its number. */
export interface CatalogState {
  readonly epoch: number;
  readonly snapshot: Snapshot;
}

/** Fresh enough to judge by, or why not. */
export interface Catalog {
  /** The snapshot to judge by now; `undefined` while it is stale (a refresh failed or is under way for too long). */
  readonly current: CatalogState | undefined;
  /** Grows with every change of contents. */
  readonly epoch: number;
  /** A refresh that must be waited for, because the snapshot is known to be outdated; `undefined` when there is none. */
  readonly pending: Promise<void> | undefined;
  /** Known to be outdated: `current` is `undefined` until a read that began after this call succeeded. Never rejects. */
  invalidate(): Promise<void>;
  /** Ends the background checks. */
  close(): void;
}

type Half = { readonly [Name in 'relations' | 'columns' | 'functions' | 'types' | 'operators']: Rows };
type Rest = { readonly [Name in Exclude<keyof CatalogRows, keyof Half>]: Rows };

/**
 * Reads the catalog once, then keeps it fresh.
 *
 * @param prepare - runs on every new snapshot before it is used (long view definitions are parsed there).
 * @throws whatever `query` rejects with, or when the catalog is over its bounds.
 */
export async function openCatalog(
  query: CatalogQuery,
  clock: { monotonicMs(): number },
  bounds: CatalogLimits = limits,
  prepare: (snapshot: Snapshot) => Promise<void> = async () => {},
): Promise<Catalog> {
  const catalog = new LiveCatalog(query, clock, bounds, prepare);
  await catalog.refresh();
  catalog.watch();
  return catalog;
}

class LiveCatalog implements Catalog {
  readonly #query: CatalogQuery;
  readonly #clock: { monotonicMs(): number };
  readonly #bounds: CatalogLimits;
  readonly #prepare: (snapshot: Snapshot) => Promise<void>;
  #state: CatalogState | undefined;
  #system: Half | undefined;
  #fingerprint = '';
  #contents = '';
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  /** How often it was said that the catalog changed, and how many of these the snapshot has seen. */
  #demanded = 0;
  #served = 0;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  pending: Promise<void> | undefined;

  constructor(
    query: CatalogQuery,
    clock: { monotonicMs(): number },
    bounds: CatalogLimits,
    prepare: (snapshot: Snapshot) => Promise<void>,
  ) {
    this.#query = query;
    this.#clock = clock;
    this.#bounds = bounds;
    this.#prepare = prepare;
  }

  get epoch(): number {
    return this.#state?.epoch ?? 0;
  }

  get current(): CatalogState | undefined {
    if (this.#served < this.#demanded || this.#clock.monotonicMs() - this.#checkedAtMs > this.#bounds.catalogStaleMs)
      return undefined;
    return this.#state;
  }

  watch(): void {
    this.#timer = setTimeout(() => {
      const check = this.#served < this.#demanded ? this.invalidate() : this.#exclusively(() => this.#check());
      check.then(
        () => this.#rearm(),
        () => this.#rearm(),
      );
    }, this.#bounds.catalogCheckIntervalMs);
    this.#timer.unref();
  }

  #rearm(): void {
    if (!this.#closed) this.watch();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  invalidate(): Promise<void> {
    this.#demanded++;
    // Whatever is being read now may have been read before the change: only a read that begins later counts.
    const reading = this.#exclusively(() => this.refresh()).catch(() => {});
    this.pending = reading;
    return reading.finally(() => {
      if (this.pending === reading) this.pending = undefined;
    });
  }

  /** One conversation with the upstream at a time. */
  #exclusively(task: () => Promise<void>): Promise<void> {
    const before = this.#running ?? Promise.resolve();
    const run = before.then(task, task);
    this.#running = run;
    return run;
  }

  /** The cheap question: did anything change? */
  async #check(): Promise<void> {
    const startedAtMs = this.#clock.monotonicMs();
    if ((await this.#takeFingerprint()) === this.#fingerprint) this.#checkedAtMs = startedAtMs;
    else await this.refresh();
  }

  async #takeFingerprint(): Promise<string> {
    return JSON.stringify(await this.#query(queries.fingerprint));
  }

  /** Reads what may have changed and replaces the snapshot. */
  async refresh(): Promise<void> {
    const startedAtMs = this.#clock.monotonicMs();
    const demanded = this.#demanded;
    await this.#query(queries.qualifyNames);
    // Taken before the rows: a change in between shows at the next check.
    const fingerprint = await this.#takeFingerprint();
    const budget = { rows: this.#bounds.catalogRowsMax, bytes: this.#bounds.catalogBytesMax };
    // What came with the server is read once.
    this.#system ??= await this.#readHalf('system', budget);
    const user = await this.#readHalf('user', budget);
    const rest: Rest = {
      inheritance: await this.#ask(queries.inheritance, budget),
      generated: await this.#ask(queries.generated, budget),
      cascades: await this.#ask(queries.cascades, budget),
      casts: await this.#ask(queries.casts, budget),
      typeFunctions: await this.#ask(queries.typeFunctions, budget),
      hiddenFunctions: await this.#ask(queries.hiddenFunctions, budget),
      namespaces: await this.#ask(queries.namespaces, budget),
    };
    await this.#adopt(this.#system, user, rest);
    this.#fingerprint = fingerprint;
    this.#checkedAtMs = startedAtMs;
    this.#served = Math.max(this.#served, demanded);
  }

  async #adopt(system: Half, user: Half, rest: Rest): Promise<void> {
    const contents = digest([...Object.values(user), ...Object.values(rest)]);
    if (contents === this.#contents) return;
    const both = (name: keyof Half): Rows => [...system[name], ...user[name]];
    const snapshot = buildSnapshot({
      relations: both('relations'),
      columns: both('columns'),
      functions: both('functions'),
      types: both('types'),
      operators: both('operators'),
      ...rest,
    });
    await this.#prepare(snapshot);
    this.#state = { epoch: this.epoch + 1, snapshot };
    this.#contents = contents;
  }

  async #readHalf(part: queries.Part, budget: { rows: number; bytes: number }): Promise<Half> {
    return {
      relations: await this.#ask(queries.relations(part), budget),
      columns: await this.#ask(queries.columns(part), budget),
      functions: await this.#ask(queries.functions(part), budget),
      types: await this.#ask(queries.types(part), budget),
      operators: await this.#ask(queries.operators(part), budget),
    };
  }

  async #ask(sql: string, budget: { rows: number; bytes: number }): Promise<Rows> {
    const rows = await this.#query(sql);
    budget.rows -= rows.length;
    for (const row of rows) for (const cell of row) budget.bytes -= cell?.length ?? 0;
    if (budget.rows < 0 || budget.bytes < 0) throw new RangeError('the catalog is larger than its bounds');
    return rows;
  }
}

/** The same for the same rows in whatever order the server gave them: it moves rows that it touches. */
function digest(tables: readonly Rows[]): string {
  const hash = createHash('sha256');
  for (const rows of tables) {
    hash.update(`${rows.length}\n`);
    for (const row of rows.map((each) => JSON.stringify(each)).sort()) hash.update(`${row}\n`);
  }
  return hash.digest('base64');
}

import type { Permit } from '../../core/permit.ts';
import type { ErrorFields } from './codec.ts';
import type { Pending, Portal, PreparedStatement } from './names.ts';
import type { OperationPlan } from './plan.ts';
import type { Run } from './run.ts';

/**
 * What the upstream still owes, in the order it will pay: one entry for each message that was forwarded and
 * has a reply. The relay of replies is driven by its head: forward, rewrite, swallow.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html
 */
export type Expected =
  | { readonly kind: 'parse'; readonly permit: Permit<OperationPlan>; readonly pending: Pending<PreparedStatement> }
  | { readonly kind: 'bind'; readonly pending: Pending<Portal> }
  /** `swallow`: the gateway asked, the client did not. */
  | {
      readonly kind: 'describe';
      readonly of: PreparedStatement | Portal;
      readonly portal: boolean;
      readonly swallow: boolean;
    }
  | { readonly kind: 'execute'; readonly run: Run; readonly portal: Portal }
  | { readonly kind: 'close'; readonly confirm: () => void; readonly discard: () => void }
  | { readonly kind: 'sync' }
  | { readonly kind: 'query'; readonly runs: readonly Run[]; at: number; failed: boolean }
  /** The upstream was made to fail here; its error is replaced by these words. */
  | { readonly kind: 'deny'; readonly words: ErrorFields; readonly simple: boolean };

/** A first-in first-out queue of {@link Expected}. */
export class ExpectedReplies {
  #entries: Expected[] = [];

  get head(): Expected | undefined {
    return this.#entries[0];
  }

  get length(): number {
    return this.#entries.length;
  }

  every(test: (entry: Expected) => boolean): boolean {
    return this.#entries.every(test);
  }

  push(entry: Expected): void {
    this.#entries.push(entry);
  }

  shift(): Expected | undefined {
    return this.#entries.shift();
  }

  /**
   * Drops what the upstream skips after an error in the extended protocol: everything before the next Sync.
   * @returns what was dropped, and whether a Sync is already on its way.
   */
  skipToSync(): { readonly skipped: readonly Expected[]; readonly syncSent: boolean } {
    const sync = this.#entries.findIndex(({ kind }) => kind === 'sync');
    const skipped = sync < 0 ? this.#entries : this.#entries.slice(0, sync);
    this.#entries = sync < 0 ? [] : this.#entries.slice(sync);
    return { skipped, syncSent: sync >= 0 };
  }

  /** Everything that is still owed, for the end of the connection. */
  drain(): readonly Expected[] {
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }
}

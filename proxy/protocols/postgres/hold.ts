import type { Conversation } from './conversation.ts';

/**
 * The wait of one connection for an approval. At most one at a time: what the client sends behind the operation that is
 * held waits as well, in its order.
 */
export class HoldSlot {
  #abort: AbortController | undefined;

  /** An operation is held now. */
  get held(): boolean {
    return this.#abort !== undefined;
  }

  /** Begins a wait, which `end` ends before its time. */
  begin(): AbortSignal {
    this.#abort = new AbortController();
    return this.#abort.signal;
  }

  done(): void {
    this.#abort = undefined;
  }

  /** The client cancelled or left. False when nothing was held. */
  end(): boolean {
    if (this.#abort === undefined) return false;
    this.#abort.abort();
    return true;
  }
}

/**
 * Whether an operation may wait here: never in a transaction block, whose locks would be held for as long. In the
 * extended protocol the implicit transaction of the Parse and Bind before it holds no more than their locks on relations;
 * one in which something was executed does not wait either.
 */
export function mayWait({ status, expected, executed }: Conversation): boolean {
  return status === 'I' && !executed && expected.every(({ kind }) => preparing.has(kind));
}

const preparing: ReadonlySet<string> = new Set(['parse', 'bind', 'describe', 'close']);

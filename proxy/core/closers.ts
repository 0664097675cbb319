import type { Log } from './log.ts';

/** What was started, closed in the opposite order. */
export class Closers {
  readonly #closers: { readonly name: string; close(): void | Promise<void> }[] = [];

  /** Adds what is closed before everything that was added so far. */
  add(name: string, close: () => void | Promise<void>): void {
    this.#closers.push({ name, close });
  }

  /** What is closed right after that which was added last. */
  addAfter(name: string, close: () => void | Promise<void>): void {
    this.#closers.splice(-1, 0, { name, close });
  }

  /** Closes everything, whatever fails or hangs on the way. Never throws; gives up waiting after `patienceMs`. */
  async close(log: Log, patienceMs: number): Promise<void> {
    let impatient: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      impatient = setTimeout(() => {
        log.error('closing took too long; what is left is abandoned', { patienceMs });
        resolve();
      }, patienceMs);
    });
    await Promise.race([this.#closeAll(log), tooLong]);
    clearTimeout(impatient);
  }

  async #closeAll(log: Log): Promise<void> {
    for (const { name, close } of this.#closers.splice(0).toReversed()) {
      try {
        await close();
      } catch (error) {
        log.error('closing failed', { part: name, error: error instanceof Error ? error : new Error(String(error)) });
      }
    }
  }
}

import { close, fdatasync, fdatasyncSync } from 'node:fs';

/** Brings files to stable storage in the background, one at a time, and closes none that is still being synced. */
export class Syncer {
  readonly #onError: (error: Error) => void;
  #busy: Promise<void> | undefined;

  /** @param onError - told when a file that was let go could not be synced or closed */
  constructor(onError: (error: Error) => void) {
    this.#onError = onError;
  }

  /** True while a sync is under way. */
  get busy(): boolean {
    return this.#busy !== undefined;
  }

  /** Syncs an open file after whatever is under way. Rejects when the disk says no. */
  sync(fd: number): Promise<void> {
    return this.#queue(() => datasync(fd));
  }

  /** Syncs now, and waits. @throws when the disk says no. */
  syncNow(fd: number): void {
    fdatasyncSync(fd);
  }

  /** Syncs and closes a file that nobody writes any more. */
  retire(fd: number): void {
    this.#queue(() => datasync(fd).finally(() => closeFile(fd))).catch(this.#onError);
  }

  /** Settles when nothing is under way. Never rejects. */
  async idle(): Promise<void> {
    while (this.#busy !== undefined) await this.#busy;
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#busy === undefined ? work() : this.#busy.then(work);
    const settled = done.then(ignore, ignore).then(() => {
      if (this.#busy === settled) this.#busy = undefined;
    });
    this.#busy = settled;
    return done;
  }
}

function ignore(): void {}

function datasync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fdatasync(fd, (error) => (error === null ? resolve() : reject(error))));
}

function closeFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => close(fd, (error) => (error ? reject(error) : resolve())));
}

/** Who hears of changes. One that throws does not keep the others from hearing. */
export class Listeners {
  readonly #listeners = new Set<(id: string) => void>();

  /** Returns how to stop. */
  add(listener: (id: string) => void): () => void {
    // A wrapper: the same function may listen twice.
    const own = (id: string) => listener(id);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  tell(id: string): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(id);
      } catch {
        // Its own affair: the change is made.
      }
    }
  }
}

/** Who waits for the end of what a signal is about. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `listener` once when a signal is aborted. For those who come and go with each request: all of them are one listener of
 * the signal, whose own are slow to add and to remove.
 *
 * @param signal - not aborted yet
 * @returns to be called when nobody is to be told any more
 */
export function whenEnded(signal: AbortSignal, listener: () => void): () => void {
  let listeners = waiting.get(signal);
  if (listeners === undefined) {
    const told = new Set<() => void>();
    waiting.set(signal, told);
    const tell = () => {
      for (const each of told) each();
    };
    signal.addEventListener('abort', tell, { once: true });
    listeners = told;
  }
  const all = listeners.add(listener);
  return () => all.delete(listener);
}

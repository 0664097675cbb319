import type { TrailLine } from '../follow.ts';

/** Where copies of the trail's lines go. */
export interface Sink {
  /**
   * Settles when whoever receives them has them for good, with what it says of lines that it will never take, if there are
   * any. Lines may come again that came before.
   * @throws Error when it does not have them
   */
  send(lines: readonly TrailLine[], signal: AbortSignal): Promise<{ readonly rejected: string } | undefined>;
  close(): Promise<void>;
}

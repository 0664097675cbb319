import type { TrailLine } from '../follow.ts';

/** Where copies of the trail's lines go. */
export interface Sink {
  /** Settles when whoever receives them has them for good. Lines may come again that came before. @throws Error when not */
  send(lines: readonly TrailLine[], signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

import type { CastEvent } from '../../record/index.ts';
import { TerminalFilter, terminalReset } from './terminal-filter.ts';

/** How a film is shown. */
export interface PlayOptions {
  readonly write: (text: string) => unknown;
  /** Settles after so many milliseconds, or rejects to end the show. */
  readonly wait: (ms: number) => Promise<unknown>;
  /** 2 is twice as fast. */
  readonly speed: number;
  /** No pause is longer, before `speed`. */
  readonly idleLimitMs: number;
}

/** Shows the output of a recording with its pauses, without what could harm the terminal, and leaves the terminal in order. */
export async function play(events: AsyncIterable<CastEvent>, options: PlayOptions): Promise<void> {
  const { write, wait, speed, idleLimitMs } = options;
  const filter = new TerminalFilter();
  try {
    for await (const { code, afterMs, data } of events) {
      const pauseMs = Math.min(afterMs, idleLimitMs) / speed;
      if (pauseMs > 0) await wait(pauseMs);
      if (code === 'o') write(filter.push(data));
    }
  } finally {
    write(terminalReset);
  }
}

import type { Clock } from '../core/ports.ts';

/**
 * The time as RFC 3339 with milliseconds, in UTC. Formatting takes longer than the rest of a line's text together, so
 * only the milliseconds are formatted anew within a second, and nothing within a millisecond.
 * @see https://www.rfc-editor.org/rfc/rfc3339#section-5.6
 */
export function timestamps(clock: Pick<Clock, 'nowMs'>): () => string {
  let lastMs = Number.NaN;
  let lastSecond = Number.NaN;
  let prefix = '';
  let text = '';
  return () => {
    const now = Math.trunc(clock.nowMs());
    if (now === lastMs) return text;
    const second = Math.floor(now / 1000);
    if (second !== lastSecond) {
      lastSecond = second;
      prefix = new Date(second * 1000).toISOString().slice(0, -4);
    }
    lastMs = now;
    text = `${prefix}${String(now - second * 1000).padStart(3, '0')}Z`;
    return text;
  };
}

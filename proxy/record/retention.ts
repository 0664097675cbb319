import { limits } from '../core/limits.ts';
import type { Clock } from '../core/ports.ts';
import type { RecordingIndex } from './catalog.ts';
import type { RecordingEntry } from './synopsis.ts';
import { toUpload } from './upload.ts';

/** How long recordings stay. */
export interface RetentionRules {
  /** Days since the session began. Undefined: for ever. */
  readonly days: number | undefined;
  /** Bytes of all recordings together, past which the oldest go. Undefined: no bound. */
  readonly bytesMax: number | undefined;
  /** What is still to be uploaded then stays longer: `recordUploadHoldDays`, `recordUploadHoldBytesFactor`. */
  readonly upload?: boolean;
}

const dayMs = 86_400_000;

/** Entries that may no longer stay, the oldest first. A session that is open stays. @param entries - the oldest first */
export function expired(entries: readonly RecordingEntry[], rules: RetentionRules, nowMs: number): RecordingEntry[] {
  const { days = Number.POSITIVE_INFINITY, bytesMax = Number.POSITIVE_INFINITY, upload = false } = rules;
  let excess = entries.reduce((sum, { bytes }) => sum + bytes, 0) - bytesMax;
  return entries.filter((entry) => {
    if (entry.outcome === 'open') return false;
    const held = upload && toUpload(entry);
    const daysOfIt = held ? days + limits.recordUploadHoldDays : days;
    const spareBytes = held ? bytesMax * (limits.recordUploadHoldBytesFactor - 1) : 0;
    const old = Date.parse(entry.started_at) < nowMs - daysOfIt * dayMs;
    if (!old && excess <= spareBytes) return false;
    excess -= entry.bytes;
    return true;
  });
}

/**
 * Removes recordings that may no longer stay, now and every `recordRetentionIntervalMs`, at most `recordRetentionRemovalsMax`
 * at a time.
 * @param removed - told of each
 * @returns how to stop that
 */
export function startRetention(
  index: RecordingIndex,
  rules: RetentionRules,
  about: { clock: Clock; removed: (entry: RecordingEntry) => void; onError: (error: Error) => void },
): () => void {
  const enforce = () => {
    for (const entry of expired(index.oldestFirst, rules, about.clock.nowMs()).slice(
      0,
      limits.recordRetentionRemovalsMax,
    )) {
      try {
        index.remove(entry);
        about.removed(entry);
      } catch (cause) {
        about.onError(new Error('a recording past its time cannot be removed', { cause }));
      }
    }
  };
  enforce();
  const timer = setInterval(enforce, limits.recordRetentionIntervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

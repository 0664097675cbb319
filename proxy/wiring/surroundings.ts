import type { Log } from '../core/log.ts';
import type { Clock } from '../core/ports.ts';

/** What is injected everywhere. */
export interface Surroundings {
  readonly log: Log;
  readonly clock: Clock;
}

/** Anything thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** For what the configuration names and its materials must have. @throws always */
export function noMaterials(): never {
  throw new Error('something without what it was configured with');
}

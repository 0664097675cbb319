import type { HoldTerms, JsonObject } from './types.ts';

/**
 * What an adapter finds out about an operation for its approvers. Never rejects, and takes no longer than this, or than the
 * client stays: an estimate that cannot be had is left out.
 */
export async function estimated({ estimate, signal }: HoldTerms, timeoutMs: number): Promise<JsonObject> {
  if (estimate === undefined) return {};
  const bound = AbortSignal.timeout(timeoutMs);
  const over = signal === undefined ? bound : AbortSignal.any([bound, signal]);
  if (over.aborted) return {};
  return await new Promise((resolve) => {
    const giveUp = () => resolve({});
    over.addEventListener('abort', giveUp, { once: true });
    new Promise<JsonObject>((found) => found(estimate(over))).then(resolve, giveUp);
  });
}

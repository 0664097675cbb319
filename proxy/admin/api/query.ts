import { limits } from '../../core/limits.ts';

const pageDefault = 50;

/** How many rows a list is asked for. */
export function limitOf({ limit }: Readonly<Record<string, string>>): number {
  return Math.min(limit === undefined ? pageDefault : Number(limit), limits.consolePageMax);
}

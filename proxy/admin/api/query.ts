import { limits } from '../../core/limits.ts';
import { Problem } from './problem.ts';

const pageDefault = 50;

/** How many rows a list is asked for. */
export function limitOf({ limit }: Readonly<Record<string, string>>): number {
  return Math.min(limit === undefined ? pageDefault : Number(limit), limits.consolePageMax);
}

/** A time of a query, since the epoch. @throws Problem 400 for a day that there is not. */
export function instantOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const instant = Date.parse(text);
  if (Number.isNaN(instant)) throw new Problem(400, 'query_invalid', 'A time of the query is none.');
  return instant;
}

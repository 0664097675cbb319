import { UsageError } from './io.ts';

const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time as RFC 3339 writes it, or an age before now, in milliseconds since the epoch. @throws UsageError */
export function instantOf(option: string, text: string): number {
  const age = /^(\d+)([smhd])$/.exec(text);
  const instant = age === null ? Date.parse(text) : Date.now() - Number(age[1]) * (unitsMs[age[2] ?? ''] ?? Number.NaN);
  if (Number.isNaN(instant)) throw new UsageError(`${option} is a time (2026-01-31T09:00:00Z) or an age (15m)`);
  return instant;
}

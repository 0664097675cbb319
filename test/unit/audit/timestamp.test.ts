import { expect, test } from '@jest/globals';
import { timestamps } from '../../../proxy/audit/timestamp.ts';

test('every time is what Date would print, forwards, backwards and within a second', () => {
  let ms = 0;
  const time = timestamps({ nowMs: () => ms });
  const start = Date.parse('2026-12-31T23:59:59.998Z');
  for (const step of [0, 1, 1, 1, 998, 1, 5_000, -7_000, 86_400_000, -1, 0.7, 999.9, 1]) {
    ms += ms === 0 ? start + step : step;
    expect(time()).toBe(new Date(Math.trunc(ms)).toISOString());
  }
});

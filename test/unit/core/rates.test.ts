import { describe, expect, test } from '@jest/globals';
import { Rates } from '../../../proxy/core/rates.ts';
import type { Decision, JsonObject } from '../../../proxy/core/types.ts';

function asking(...rates: { readonly id: string; readonly properties: JsonObject }[]): Decision {
  return {
    effect: 'allow',
    reasons: [],
    shadow: [],
    masks: { columns: new Map(), json: new Map(), text: new Map() },
    obligations: rates.map((rate) => ({ type: 'rate', ...rate })),
    labels: [],
    accessRequest: undefined,
    quarantine: undefined,
    bundleRevision: '1',
    dataRevision: '1',
  };
}

function stopwatch() {
  let ms = 0;
  return { nowMs: () => ms, monotonicMs: () => ms, pass: (by: number) => (ms += by) };
}

const ana = { issuer: 'https://a', id: 'ana', groups: [] };
const twoAMinute = asking({ id: 'lookups', properties: { value: 2, window_seconds: 60 } });

describe('a rate obligation', () => {
  test('lets its value pass in a window, and again in the next', () => {
    const clock = stopwatch();
    const rates = new Rates(clock, 10);
    expect([1, 2, 3].map(() => rates.take(ana, twoAMinute)?.code)).toEqual([undefined, undefined, 'limit_reached']);
    clock.pass(59_999);
    expect(rates.take(ana, twoAMinute)?.code).toBe('limit_reached');
    clock.pass(1);
    expect(rates.take(ana, twoAMinute)).toBeUndefined();
  });

  test('counts each subject by issuer and id, and each obligation, apart', () => {
    const rates = new Rates(stopwatch(), 10);
    const one = asking({ id: 'lookups', properties: { value: 1, window_seconds: 60 } });
    const other = asking({ id: 'exports', properties: { value: 1, window_seconds: 60 } });
    expect(rates.take(ana, one)).toBeUndefined();
    expect(rates.take({ ...ana, issuer: 'https://b' }, one)).toBeUndefined();
    expect(rates.take({ ...ana, id: 'bob' }, one)).toBeUndefined();
    expect(rates.take(ana, other)).toBeUndefined();
    expect(rates.take(ana, one)?.code).toBe('limit_reached');
  });

  test.each([
    [{}],
    [{ value: -1, window_seconds: 60 }],
    [{ value: 1.5, window_seconds: 60 }],
    [{ value: '2', window_seconds: 60 }],
    [{ value: 2 }],
    [{ value: 2, window_seconds: 0 }],
    [{ value: 2, window_seconds: 86_401 }],
  ])('that makes no sense refuses: %j', (properties) => {
    const fault = new Rates(stopwatch(), 10).take(ana, asking({ id: 'x', properties }));
    expect(fault?.code).toBe('obligation_unsupported');
  });

  test('refuses rather than forget when too many subjects are counted, and recovers', () => {
    const clock = stopwatch();
    const rates = new Rates(clock, 2);
    for (const id of ['a', 'b']) expect(rates.take({ ...ana, id }, twoAMinute)).toBeUndefined();
    expect(rates.take({ ...ana, id: 'c' }, twoAMinute)?.code).toBe('limit_reached');
    clock.pass(24 * 3_600_000);
    expect(rates.take({ ...ana, id: 'c' }, twoAMinute)).toBeUndefined();
  });
});

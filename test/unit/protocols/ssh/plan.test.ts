import { describe, expect, test } from '@jest/globals';
import { createMasker } from '../../../../proxy/core/masker.ts';
import type { Decision, Json, MaskMethod } from '../../../../proxy/core/types.ts';
import { planOf } from '../../../../proxy/protocols/ssh/plan.ts';

const masker = createMasker({ key: Buffer.alloc(32, 1) });

function allowed(text: Readonly<Record<string, MaskMethod>>, ...obligations: readonly [string, Json][]): Decision {
  return {
    ...{ effect: 'allow', reasons: [], shadow: [], labels: [], accessRequest: undefined, quarantine: undefined },
    ...{ bundleRevision: '', dataRevision: '' },
    masks: { columns: new Map(), json: new Map(), text: new Map(Object.entries(text)) },
    obligations: obligations.map(([type, value]) => ({ id: type, type, properties: { value } })),
  };
}

const replace: MaskMethod = { method: 'replace', value: '[email]' };

/** The plan, or the code of why there is none. */
function made(decision: Decision, carries: 'text' | 'file' = 'text') {
  const result = planOf(decision, carries, masker);
  return 'plan' in result ? result.plan : result.fault.code;
}

describe('a decision', () => {
  test('that asks for nothing is a plan without bounds, whose shell is judged', () => {
    expect(made(allowed({}))).toMatchObject({
      ...{ maxBytes: Number.POSITIVE_INFINITY, timeoutMs: Number.POSITIVE_INFINITY },
      ...{ recordOutput: true, shellMode: 'judged' },
    });
  });

  test('whose masks a detector finds is carried out for text, and never for a file', () => {
    expect(made(allowed({ email: replace }))).toMatchObject({ masks: expect.any(Map) });
    expect(made(allowed({ email: replace }), 'file')).toBe('mask_unprovable');
    expect(made(allowed({}), 'file')).toMatchObject({ shellMode: 'judged' });
  });

  test('that masks what nothing finds is not carried out', () => {
    expect(made(allowed({ nothing_finds_this: replace }))).toBe('mask_unknown');
  });

  test('that says the same thing twice means the stricter of the two', () => {
    const twice = (type: string, ...values: readonly Json[]) =>
      made(allowed({}, ...values.map((value): [string, Json] => [type, value])));
    expect(twice('max_bytes', 5, 3)).toMatchObject({ maxBytes: 3 });
    expect(twice('max_bytes', 3, 5)).toMatchObject({ maxBytes: 3 });
    expect(twice('timeout_ms', 5, 3)).toMatchObject({ timeoutMs: 3 });
    for (const values of [
      ['full', 'metadata'],
      ['metadata', 'full'],
    ]) {
      expect(twice('record', ...values)).toMatchObject({ recordOutput: false });
    }
    for (const values of [
      ['recorded', 'judged'],
      ['judged', 'recorded'],
    ]) {
      expect(twice('shell_mode', ...values)).toMatchObject({ shellMode: 'judged' });
    }
    expect(twice('shell_mode', 'recorded')).toMatchObject({ shellMode: 'recorded' });
  });

  test.each<[string, Json]>([
    ['max_bytes', -1],
    ['max_bytes', 0.5],
    ['max_bytes', '100'],
    ['max_bytes', 2 ** 53],
    ['timeout_ms', null],
    ['record', 'some'],
    ['shell_mode', 'open'],
  ])('whose %s is %j is not carried out', (type, value) => {
    expect(made(allowed({}, [type, value]))).toBe('obligation_unsupported');
  });
});

import { describe, expect, test } from '@jest/globals';
import { createMasker } from '../../../../proxy/core/masker.ts';
import type { Decision, Obligation } from '../../../../proxy/core/types.ts';
import { planOf } from '../../../../proxy/protocols/http/plan.ts';

const masker = createMasker({ key: Buffer.alloc(32, 7) });

function allow(obligations: readonly Obligation[] = [], text: readonly string[] = []): Decision {
  return {
    ...{ effect: 'allow', reasons: [], shadow: [], labels: [], obligations },
    masks: { columns: new Map(), json: new Map(), text: new Map(text.map((name) => [name, { method: 'null' }])) },
    ...{ accessRequest: undefined, quarantine: undefined, bundleRevision: '', dataRevision: '' },
  };
}

const messages = { id: 'm', type: 'messages', properties: { value: 'judged' } };

describe('the obligation to have messages judged', () => {
  test('is carried out over a WebSocket', () => {
    expect(planOf(allow([messages]), masker, true, true)).toMatchObject({ plan: { judgesMessages: true } });
    expect(planOf(allow(), masker, true, true)).toMatchObject({ plan: { judgesMessages: false } });
  });

  test('is a refusal for anything else, and for another value', () => {
    const unsupported = { fault: { code: 'obligation_unsupported' } };
    expect(planOf(allow([messages]), masker, true)).toMatchObject(unsupported);
    const other = { ...messages, properties: { value: 'sampled' } };
    expect(planOf(allow([other]), masker, true, true)).toMatchObject(unsupported);
  });
});

test('a mask over what has no answer is a refusal', () => {
  expect(planOf(allow([], ['jwt']), masker, false)).toMatchObject({ fault: { code: 'mask_unprovable' } });
  expect(planOf(allow([], ['jwt']), masker, true, true)).toHaveProperty('plan');
});

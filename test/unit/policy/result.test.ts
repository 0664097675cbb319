import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Json, JsonObject } from '../../../proxy/core/types.ts';
import type { PolicyEngine } from '../../../proxy/policy/engine.ts';
import { engineOf, fixture, saying } from './support.ts';

let engine: PolicyEngine;
beforeAll(async () => {
  engine = await engineOf(fixture('raw'), {});
});
afterAll(() => engine.close());

/** What the engine makes of a policy whose decision is exactly this. */
const decide = (result: Json) => engine.decide(saying({ result }));
const allow = (context: JsonObject) => ({ decision: true, context });
const deny = (context: JsonObject) => ({ decision: false, context });
const reason = { policy: 'p', code: 'c', message: 'm' };
const request = { groups: ['dba'] };
const quarantine = { scope: 'subject', ttl_seconds: 60, message: 'Stop.' };

describe('a decision is understood', () => {
  test('that is nothing but a boolean', () => {
    expect(decide({ decision: true })).toMatchObject({
      decision: { effect: 'allow', reasons: [], obligations: [], labels: [] },
    });
    expect(decide({ decision: false })).toMatchObject({ decision: { effect: 'deny' } });
  });

  test('with everything that comes with an allow', () => {
    const masks = {
      columns: { 'public.customers': { ssn: { keep_last: { count: 4 } }, email: { email: {} } } },
      json: { '$.a': { null: {} } },
      text: { jwt: { replace: { value: 'x' } }, key: { redact_pattern: { pattern: 'a+', value: 'x' } } },
    };
    const obligations = [{ id: 'o', type: 'max_rows', properties: { value: 5 } }];
    const answer = decide(allow({ reasons: [reason], shadow: [reason], masks, obligations, labels: ['pii'] }));
    expect(answer).toEqual({
      decision: {
        effect: 'allow',
        reasons: [reason],
        shadow: [reason],
        masks: {
          columns: new Map([
            [
              'public.customers',
              new Map<string, unknown>([
                ['ssn', { method: 'keep_last', count: 4 }],
                ['email', { method: 'email' }],
              ]),
            ],
          ]),
          json: new Map([['$.a', { method: 'null' }]]),
          text: new Map<string, unknown>([
            ['jwt', { method: 'replace', value: 'x' }],
            ['key', { method: 'redact_pattern', pattern: 'a+', value: 'x' }],
          ]),
        },
        obligations,
        labels: ['pii'],
        accessRequest: undefined,
        quarantine: undefined,
        bundleRevision: engine.revisions.bundle,
        dataRevision: engine.revisions.data,
      },
    });
  });

  test('that asks for an approval, with terms left to their defaults', () => {
    expect(decide(deny({ access_request: request }))).toMatchObject({
      decision: {
        effect: 'require_approval',
        accessRequest: {
          groups: ['dba'],
          quorum: 1,
          ttlSeconds: 900,
          uses: 1,
          reasonRequired: true,
          mode: 'return',
          waitSeconds: 0,
        },
      },
    });
  });

  test('that quarantines', () => {
    expect(decide(deny({ quarantine }))).toMatchObject({
      decision: { effect: 'deny', quarantine: { scope: 'subject', ttlSeconds: 60, message: 'Stop.' } },
    });
  });
});

test('a decision that is not there is a fault of its own', () => {
  expect(engine.decide(saying({}))).toMatchObject({ fault: { code: 'policy_undefined' } });
});

describe('a result is refused', () => {
  const invalid: readonly (readonly [string, Json])[] = [
    ['that is true', true],
    ['that is not an object', ['decision']],
    ['that is an empty object, as a promise would be', {}],
    ['whose decision is not a boolean', { decision: 'true' }],
    ['whose decision is a number', { decision: 1 }],
    ['with an unknown key', { decision: true, mask: {} }],
    ['with an unknown key in its context', allow({ mask: {} })],
    ['whose reasons are not a list', allow({ reasons: {} })],
    ['with a reason that lacks a message', allow({ reasons: [{ policy: 'p', code: 'c' }] })],
    ['with a reason of too many words', allow({ reasons: [{ ...reason, message: 'x'.repeat(5000) }] })],
    ['with too many reasons', allow({ reasons: Array.from({ length: 1001 }, () => reason) })],
    ['with an unknown kind of mask target', allow({ masks: { colums: {} } })],
    ['with masks that are not objects', allow({ masks: { columns: { t: 'x' } } })],
    ['with a mask of two methods', allow({ masks: { columns: { t: { c: { null: {}, hash: {} } } } } })],
    ['with a mask of no method', allow({ masks: { columns: { t: { c: {} } } } })],
    ['with a mask whose parameter is missing', allow({ masks: { columns: { t: { c: { keep_last: {} } } } } })],
    [
      'with a mask whose parameter is negative',
      allow({ masks: { columns: { t: { c: { keep_last: { count: -1 } } } } } }),
    ],
    ['with a mask with one parameter too many', allow({ masks: { columns: { t: { c: { null: { x: 1 } } } } } })],
    [
      'with a mask whose pattern looks around',
      allow({ masks: { text: { t: { redact_pattern: { pattern: '(?=a)', value: '' } } } } }),
    ],
    ['with an obligation without a type', allow({ obligations: [{ id: 'o' }] })],
    ['with an obligation without an id', allow({ obligations: [{ type: 'read_only' }] })],
    [
      'with a bound that is not a count',
      allow({ obligations: [{ id: 'o', type: 'max_rows', properties: { value: '5' } }] }),
    ],
    ['with a bound that is missing', allow({ obligations: [{ id: 'o', type: 'timeout_ms' }] })],
    [
      'with a bound under another name',
      allow({ obligations: [{ id: 'o', type: 'max_rows', properties: { rows: 5 } }] }),
    ],
    [
      'with an unknown way to record',
      allow({ obligations: [{ id: 'o', type: 'record', properties: { value: 'some' } }] }),
    ],
    [
      'with an unknown way to watch a shell',
      allow({ obligations: [{ id: 'o', type: 'shell_mode', properties: { value: 'trusted' } }] }),
    ],
    [
      'with an unknown way to look at messages',
      allow({ obligations: [{ id: 'o', type: 'messages', properties: { value: 'recorded' } }] }),
    ],
    [
      'with a rate without a window',
      allow({ obligations: [{ id: 'o', type: 'rate', properties: { value: 5, window_seconds: 0 } }] }),
    ],
    [
      'with two obligations of one type',
      allow({
        obligations: [
          { id: 'o', type: 'read_only' },
          { id: 'p', type: 'read_only' },
        ],
      }),
    ],
    ['with a label that is not a string', allow({ labels: [1] })],
    ['that allows and asks for approval', allow({ access_request: request })],
    ['that allows and quarantines', allow({ quarantine })],
    ['whose approval names nobody', deny({ access_request: { groups: [] } })],
    ['whose approval needs nobody', deny({ access_request: { groups: ['dba'], quorum: 0 } })],
    ['whose approval is of an unknown mode', deny({ access_request: { groups: ['dba'], mode: 'guess' } })],
    ['whose quarantine has an unknown scope', deny({ quarantine: { ...quarantine, scope: 'world' } })],
    ['whose quarantine has no end', deny({ quarantine: { scope: 'subject', message: 'Stop.' } })],
    ['whose term is not a count', allow({ cache: { ttl_seconds: -1 } })],
  ];
  test.each(invalid)('%s', (_title, result) => {
    expect(decide(result)).toMatchObject({ fault: { code: 'policy_result_invalid' } });
  });

  test('with a mask that does not exist, by its own code', () => {
    expect(decide(allow({ masks: { columns: { t: { c: { blur: {} } } } } }))).toMatchObject({
      fault: { code: 'mask_unknown' },
    });
  });

  test('with an obligation that does not exist, by its own code', () => {
    expect(decide(allow({ obligations: [{ id: 'o', type: 'dance' }] }))).toMatchObject({
      fault: { code: 'obligation_unsupported' },
    });
  });

  test('of more than its bound', () => {
    const claims = { repeat: 900, text: 'x'.repeat(400) };
    expect(engine.decide(saying(claims))).toMatchObject({
      fault: { code: 'policy_result_invalid', message: expect.stringMatching(/bound/) },
    });
    expect(engine.decide(saying({ ...claims, repeat: 9 }))).toMatchObject({ decision: { effect: 'allow' } });
  });
});

test('the same result is the same decision object, so that what is derived from it is found again', () => {
  const [one, two] = [decide(allow({ labels: ['a'] })), decide(allow({ labels: ['a'] }))];
  if ('fault' in one || 'fault' in two) throw new Error('refused');
  expect(one.decision).toBe(two.decision);
  expect(Object.isFrozen(one.decision)).toBe(true);
});

import { describe, expect, test } from '@jest/globals';
import type { CopyOptions } from '../../../../proxy/protocols/postgres/classification.ts';
import { planOf } from '../../../../proxy/protocols/postgres/plan.ts';
import { allow, column, output, relation, statement } from './classified.ts';

const ssn = column('customers', 'ssn');
const city = column('customers', 'city');
const last4 = { method: 'keep_last', count: 4 } as const;
const masks = { 'public.customers': { ssn: last4 } };
const nothing = () => false;

const columnsOf = (outputs: Parameters<typeof output>[], decision = allow(masks)) => {
  const made = planOf([statement({ output: outputs.map((one) => output(...one)) })], decision, nothing);
  return 'plan' in made ? made.plan.results[0]?.columns : made.fault.code;
};

describe('the columns of a result', () => {
  test('that are masked columns get their method, others nothing', () => {
    expect(columnsOf([[[ssn]], [[city]]])).toEqual([{ kind: 'method', method: last4 }, undefined]);
  });

  test('that are computed from one, or from more than one, are derived', () => {
    expect(columnsOf([[[ssn], { exact: false }], [[ssn, city]]])).toEqual([{ kind: 'derived' }, { kind: 'derived' }]);
  });

  test('that go by another name in the policy are masked by that', () => {
    const view = column('contacts', 'number');
    expect(columnsOf([[[ssn], { through: [view] }]], allow({ 'public.contacts': { number: last4 } }))).toEqual([
      { kind: 'method', method: last4 },
    ]);
  });

  test('that two masks fit get the more private one', () => {
    const view = column('contacts', 'number');
    const decision = allow({ ...masks, 'public.contacts': { number: { method: 'null' } } });
    expect(columnsOf([[[ssn], { through: [view] }]], decision)).toEqual([
      { kind: 'method', method: { method: 'null' } },
    ]);
  });

  test('are left alone when none is masked, or the schema is another', () => {
    expect(columnsOf([[[city]]])).toBeUndefined();
    expect(columnsOf([[[column('customers', 'ssn', 'scratch')]]])).toBeUndefined();
  });

  test('of unknown origin are refused where anything is masked, and only there', () => {
    expect(columnsOf([[[], { unknown: true }]])).toBe('mask_unprovable');
    expect(columnsOf([[[], { unknown: true }]], allow())).toBeUndefined();
  });
});

describe('what cannot be carried out is a fault', () => {
  test('a masked column that is stored', () => {
    const stores = statement({ relations: [relation('customers', { ssn: ['output', 'sink'] })] });
    expect(planOf([stores], allow(masks), nothing)).toMatchObject({ fault: { code: 'mask_unprovable' } });
    expect(planOf([stores], allow(), nothing)).toHaveProperty('plan');
  });

  test('one of several statements', () => {
    const bad = statement({ output: [output([], { unknown: true })] });
    expect(planOf([statement(), bad], allow(masks), nothing)).toMatchObject({ fault: { code: 'mask_unprovable' } });
  });

  const options: CopyOptions = {
    format: 'text',
    delimiter: '\t',
    nullText: '\\N',
    header: false,
    quote: '"',
    escape: '"',
    unknown: false,
  };
  test.each([
    ['text', {}, true],
    ['csv', { format: 'csv' }, true],
    ['binary', { format: 'binary' }, false],
    ['options nobody knows', { unknown: true }, false],
  ] as const)('COPY in %s', (_title, more, possible) => {
    const copy = (from: typeof ssn) =>
      planOf(
        [statement({ control: { type: 'copy_out', options: { ...options, ...more } }, output: [output([from])] })],
        allow(masks),
        nothing,
      );
    expect(copy(ssn)).toHaveProperty(possible ? 'plan' : 'fault');
    expect(copy(city)).toHaveProperty('plan');
  });
});

describe('obligations', () => {
  const planWith = (...obligations: [string, unknown][]) =>
    planOf(
      [statement()],
      allow(
        {},
        obligations.map(([type, value], index) => ({
          id: String(index),
          type,
          properties: { value: value as number },
        })),
      ),
      nothing,
    );

  test('bound rows, time and what is recorded; the strictest of each counts', () => {
    expect(planWith(['max_rows', 9], ['max_rows', 5], ['timeout_ms', 70], ['record', 'metadata'])).toMatchObject({
      plan: { maxRows: 5, timeoutMs: 70, recordRows: false },
    });
  });

  test('that are absent bound nothing', () => {
    expect(planWith()).toMatchObject({
      plan: { maxRows: Number.POSITIVE_INFINITY, timeoutMs: Number.POSITIVE_INFINITY, recordRows: true },
    });
  });

  test('of the gate are not taken for bounds of a result', () => {
    expect(planWith(['rate', 600], ['end_session', undefined])).toMatchObject({
      plan: { maxRows: Number.POSITIVE_INFINITY, timeoutMs: Number.POSITIVE_INFINITY },
    });
  });

  test.each([
    ['max_rows', -1],
    ['max_rows', 1.5],
    ['max_rows', '5'],
    ['max_rows', undefined],
    ['timeout_ms', Number.POSITIVE_INFINITY],
    ['record', 'some'],
    ['record', 1],
  ])('%s of %p is a fault', (type, value) => {
    expect(planWith([type, value])).toMatchObject({ fault: { code: 'obligation_unsupported' } });
  });
});

describe('errors and notices may carry a masked value', () => {
  const sensitive = (decision = allow(), relations = [relation('orders')]) => {
    const made = planOf(
      [statement({ relations })],
      decision,
      (schema, name) => `${schema}.${name}` === 'public.customers',
    );
    return 'plan' in made && made.plan.sensitive;
  };

  test('when something is masked, or a relation is labelled', () => {
    expect(sensitive(allow(masks))).toBe(true);
    expect(sensitive(allow(), [relation('orders'), relation('customers')])).toBe(true);
    expect(sensitive()).toBe(false);
  });
});

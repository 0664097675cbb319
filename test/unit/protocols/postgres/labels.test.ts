import { describe, expect, test } from '@jest/globals';
import { Labels } from '../../../../proxy/protocols/postgres/labels.ts';
import { column } from './classified.ts';

const config = {
  upstreams: {
    orders: {
      labels: { env: 'prod' },
      schemas: {
        public: { customers: { columns: { ssn: ['pii', 'us_ssn'], email: ['pii'] } }, keys: { labels: ['secret'] } },
        scratch: { '*': { labels: ['working'] }, people: { columns: { ssn: ['pii'] } } },
        vault: { '*': { labels: ['new-kind'], columns: { any: ['pii'] } } },
      },
    },
    other: { schemas: { public: { orders: { columns: { id: ['pii'] } } } } },
  },
};
const labels = new Labels(config, 'orders');

describe('labels', () => {
  test('are those of one upstream alone', () => {
    expect(labels.upstream).toEqual({ env: 'prod' });
    expect(labels.ofColumn(column('orders', 'id'))).toEqual([]);
    expect(new Labels(config, 'other').ofColumn(column('orders', 'id'))).toEqual(['pii']);
  });

  test('of a relation and of every relation of its schema add up', () => {
    expect(labels.ofRelation('scratch', 'people')).toEqual(['working']);
    expect(labels.ofColumn(column('people', 'ssn', 'scratch'))).toEqual(['pii']);
    expect(labels.ofRelation('scratch', 'anything')).toEqual(['working']);
    expect(labels.ofRelation('nowhere', 'anything')).toEqual([]);
    expect(labels.columnsOf('vault', 'anything')).toEqual(['any']);
  });

  test('are found by the exact name: case and schema count', () => {
    expect(labels.ofColumn(column('customers', 'ssn'))).toEqual(['pii', 'us_ssn']);
    expect(labels.ofColumn(column('Customers', 'ssn'))).toEqual([]);
    expect(labels.ofColumn(column('customers', 'ssn', 'scratch'))).toEqual([]);
  });

  test('of names that every object has are nobody’s', () => {
    expect(labels.ofRelation('constructor', 'name')).toEqual([]);
    expect(labels.ofRelation('public', 'toString')).toEqual([]);
    expect(labels.ofColumn(column('customers', '__proto__'))).toEqual([]);
  });
});

describe('what may not be kept', () => {
  test('is a labelled column, and every column of a relation with a label that grants nothing', () => {
    expect(labels.isSensitive(column('customers', 'ssn'))).toBe(true);
    expect(labels.isSensitive(column('customers', 'city'))).toBe(false);
    expect(labels.isSensitive(column('keys', 'id'))).toBe(true);
    expect(labels.isSensitive(column('whatever', 'id', 'vault'))).toBe(true);
    expect(labels.isSensitive(column('notes', 'note', 'scratch'))).toBe(false);
  });

  test('can be in errors about a relation that has such a column', () => {
    expect(labels.hasSensitive('public', 'customers')).toBe(true);
    expect(labels.hasSensitive('public', 'keys')).toBe(true);
    expect(labels.hasSensitive('public', 'orders')).toBe(false);
    expect(labels.hasSensitive('scratch', 'notes')).toBe(false);
  });
});

test.each([{}, { upstreams: null }, { upstreams: { orders: 7 } }, { upstreams: { orders: { schemas: [] } } }])(
  'without labels (%j) nothing is labelled',
  (nothing) => {
    const none = new Labels(nothing, 'orders');
    expect(none.upstream).toEqual({});
    expect(none.hasSensitive('public', 'customers')).toBe(false);
  },
);

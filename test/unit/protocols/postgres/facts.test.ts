import { describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../../../proxy/core/types.ts';
import type { ClassifiedStatement } from '../../../../proxy/protocols/postgres/classification.ts';
import {
  FactsCache,
  faultFacts,
  sqlFacts,
  type Target,
  truncated,
} from '../../../../proxy/protocols/postgres/facts.ts';
import { Labels } from '../../../../proxy/protocols/postgres/labels.ts';
import { allow, column, output, relation, statement } from './classified.ts';

const config = {
  upstreams: {
    orders: {
      labels: { env: 'prod' },
      schemas: { public: { customers: { labels: ['people'], columns: { ssn: ['pii'], email: ['pii', 'email'] } } } },
    },
  },
};
const target: Target = {
  upstream: 'orders',
  database: 'shop',
  login: 'agent',
  labels: new Labels(config, 'orders'),
  hash: (value) => `#${value.length}`,
};

const factsOf = (statements: readonly ClassifiedStatement[], inTransaction = false) =>
  sqlFacts({ fingerprint: 'f1', statements, via: 'simple', inTransaction }, target);
const relationsOf = (statements: readonly ClassifiedStatement[]) => factsOf(statements).resource.properties.relations;

describe('the action', () => {
  test('is named by the strongest effect of all statements', () => {
    const facts = factsOf([statement({ effects: ['select'] }), statement({ effects: ['delete', 'select'] })]);
    expect(facts.action.name).toBe('delete');
    expect(facts.action.properties.effects).toEqual(['delete', 'select']);
  });

  test('of statements without an effect is utility', () => {
    expect(factsOf([statement({ effects: [] })]).action.name).toBe('utility');
  });

  test('tells each statement, without its text', () => {
    const one = statement({
      verb: 'update',
      effects: ['update'],
      hasWhere: false,
      limit: 5,
      objects: ['database:x'],
      functions: [{ schema: 'public', name: 'f', volatility: 'stable' }],
      incomplete: ['why'],
    });
    expect(factsOf([one], true).action.properties).toEqual({
      protocol: 'postgres',
      via: 'simple',
      fingerprint: 'f1',
      effects: ['update'],
      incomplete: ['why'],
      statements: [
        {
          verb: 'update',
          effects: ['update'],
          has_where: false,
          limit: 5,
          objects: ['database:x'],
          functions: [{ schema: 'public', name: 'f', volatility: 'stable' }],
          settings: [],
          in_transaction: true,
          incomplete: ['why'],
        },
      ],
    });
  });

  test('lists settings of SET and of set_config alike; one without a constant is null', () => {
    const set = statement({
      control: { type: 'set', name: 'role', value: undefined, local: true },
      settings: [{ name: 'work_mem', value: '1MB', local: false }],
    });
    const [only] = factsOf([set]).action.properties.statements as readonly JsonObject[];
    expect(only?.settings).toEqual([
      { name: 'role', value: null, local: true },
      { name: 'work_mem', value: '1MB', local: false },
    ]);
  });
});

describe('the resource', () => {
  test('is the database, with its labels, relations and output', () => {
    const one = statement({
      relations: [relation('customers', { ssn: ['output'], city: ['order'] }, { via: 'public.v' })],
      output: [output([column('customers', 'ssn')], { name: 'n' }), output([], { name: 'u', unknown: true })],
    });
    expect(factsOf([one]).resource).toEqual({
      type: 'database',
      id: 'orders/shop',
      properties: {
        upstream: 'orders',
        database: 'shop',
        login: 'agent',
        labels: { env: 'prod' },
        relations: [
          {
            schema: 'public',
            name: 'customers',
            kind: 'table',
            access: 'read',
            via: 'public.v',
            whole_row: false,
            labels: ['people'],
            columns: [
              { name: 'ssn', labels: ['pii'], uses: ['output'] },
              { name: 'city', labels: [], uses: ['order'] },
            ],
          },
        ],
        output: [
          { name: 'n', from: [{ schema: 'public', table: 'customers', column: 'ssn' }], exact: true, unknown: false },
          { name: 'u', from: [], exact: false, unknown: true },
        ],
      },
    });
  });

  test('has every labelled column of a relation that is touched as a whole', () => {
    const whole = relation('customers', { ssn: ['output'] }, { wholeRow: true });
    expect(relationsOf([statement({ relations: [whole] })])).toMatchObject([
      {
        columns: [
          { name: 'ssn', uses: ['output'] },
          { name: 'email', labels: ['pii', 'email'], uses: ['derived'] },
        ],
      },
    ]);
  });

  test('but none of one that is only defined', () => {
    const defined = relation('customers', {}, { wholeRow: true, access: 'define' });
    expect(relationsOf([statement({ relations: [defined] })])).toMatchObject([{ columns: [] }]);
  });
});

test('is complete when every statement is', () => {
  expect(factsOf([statement(), statement()]).complete).toBe(true);
  expect(factsOf([statement(), statement({ incomplete: ['why'] })]).complete).toBe(false);
});

test('carries masks out, or says why not', () => {
  const masks = allow({ 'public.customers': { ssn: { method: 'null' } } });
  const shows = statement({ output: [output([column('customers', 'ssn')])] });
  expect(factsOf([shows]).enforce(masks)).toMatchObject({ plan: { sensitive: true } });
  const odd = statement({ output: [output([], { unknown: true })] });
  expect(factsOf([odd]).enforce(masks)).toMatchObject({ fault: { code: 'mask_unprovable' } });
});

test('is described without a text or a value', () => {
  const one = statement({ relations: [relation('customers'), relation('customers')], incomplete: ['why'] });
  expect(factsOf([one]).describe(undefined)).toEqual({
    fingerprint: 'f1',
    via: 'simple',
    effects: ['select'],
    relations: ['public.customers'],
    incomplete: ['why'],
  });
});

describe('a fault', () => {
  const fault = { code: 'operation_malformed', message: 'No.' };
  const facts = faultFacts({ text: Buffer.from('a secret'), via: 'function_call', fault, action: 'call' }, target);

  test('is refused whatever policy says', () => {
    expect(facts).toMatchObject({ action: { name: 'call' }, complete: false, fault });
    expect(facts.enforce(allow())).toEqual({ fault });
  });

  test('keeps its text as a hash only', () => {
    expect(facts.describe(undefined)).toEqual({ via: 'function_call', text_hash: '#8', bytes: 8 });
    expect(JSON.stringify([facts.action, facts.resource])).not.toContain('secret');
  });
});

describe('facts are shared', () => {
  const classification = { fingerprint: 'f', statements: [statement()], inertConstants: new Set<number>() };
  const make = () => factsOf([statement()]);

  test('for one classification and key, as the same object', () => {
    const cache = new FactsCache();
    const first = cache.get(classification, 'k', target.labels, make);
    expect(cache.get(classification, 'k', target.labels, make)).toBe(first);
    expect(cache.get(classification, 'other', target.labels, make)).not.toBe(first);
    expect(cache.get({ ...classification }, 'k', target.labels, make)).not.toBe(first);
  });

  test('until labels change', () => {
    const cache = new FactsCache();
    const first = cache.get(classification, 'k', target.labels, make);
    const later = new Labels(config, 'orders');
    const second = cache.get(classification, 'k', later, make);
    expect(second).not.toBe(first);
    expect(cache.get(classification, 'k', later, make)).toBe(second);
  });
});

test('a text for the trail is bounded, and never ends in half a character', () => {
  expect(truncated('short')).toBe('short');
  const long = truncated(`${'x'.repeat(8 * 1024 - 1)}😀${'x'.repeat(100)}`);
  expect(long.isWellFormed()).toBe(true);
  expect(long).toMatch(/… \(8293 characters\)$/);
});

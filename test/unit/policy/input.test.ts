import { describe, expect, test } from '@jest/globals';
import type { Json, JsonObject } from '../../../proxy/core/types.ts';
import { inputOf, inputProblem, projectionOf } from '../../../proxy/policy/input.ts';
import { factsOf, TestClock } from './support.ts';

const clock = new TestClock();
const query = {
  subject: { type: 'agent', id: 'a', properties: { groups: ['x'], claims: { secret: 1 } } },
  facts: factsOf({
    action: { name: 'select', properties: { text: 'select 1', statements: [{ verb: 'select' }] } },
    resource: { type: 'database', id: 'o/a', properties: { upstream: 'o', relations: [{ name: 't' }] } },
  }),
  session: { id: 's', application: 'psql' },
  history: () => ({ rows_read: 7, denials: 0 }),
  approval: { id: 'approved' },
  variable: () => ({ parameters: [{ type: 'text', value: 'v' }] }),
};
const everything = inputOf(query, projectionOf([[]]), clock);

test('a policy that reads everything is given everything', () => {
  expect(everything).toEqual({
    subject: query.subject,
    action: {
      name: 'select',
      properties: { ...query.facts.action.properties, parameters: [{ type: 'text', value: 'v' }] },
    },
    resource: query.facts.resource,
    context: {
      time: '2026-11-22T09:30:00.000Z',
      time_ms: clock.ms,
      weekday: 'sunday',
      hour_utc: 9,
      session: query.session,
      complete: true,
      history: { rows_read: 7, denials: 0 },
      approval: { id: 'approved' },
    },
  });
});

describe('only what is read is serialised', () => {
  const cases: readonly (readonly [string[][], JsonObject])[] = [
    [[], {}],
    [[['subject', 'type']], { subject: { type: 'agent' } }],
    [[['subject', 'properties', 'claims', 'missing']], { subject: { properties: { claims: {} } } }],
    [[['action', 'properties', 'statements']], { action: { properties: { statements: [{ verb: 'select' }] } } }],
    [
      [['resource', 'properties', 'relations', '0', 'name']],
      { resource: { properties: { relations: [{ name: 't' }] } } },
    ],
    [[['context', 'complete']], { context: { complete: true } }],
    [[['context', 'hour_utc']], { context: { hour_utc: 9 } }],
    [[['context', 'history', 'rows_read']], { context: { history: { rows_read: 7 } } }],
    [[['context', 'session', 'application']], { context: { session: { application: 'psql' } } }],
    [
      [
        ['action', 'name'],
        ['action', 'properties', 'parameters'],
      ],
      { action: { name: 'select', properties: { parameters: [{ type: 'text', value: 'v' }] } } },
    ],
  ];
  test.each(cases)('%j', (paths, expected) => {
    expect(inputOf(query, projectionOf(paths), clock)).toEqual(expected);
  });

  test('what is not read is not even asked for', () => {
    const never = (): never => {
      throw new Error('asked');
    };
    const input = inputOf({ ...query, history: never, variable: never }, projectionOf([['subject', 'id']]), clock);
    expect(input).toEqual({ subject: { id: 'a' } });
  });

  test('a key called __proto__ is a key', () => {
    const claims = JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}') as JsonObject;
    const subject = { type: 'agent', id: 'a', properties: { claims } };
    const paths = [
      ['subject', 'properties', 'claims', '__proto__'],
      ['subject', 'properties', 'claims', 'toString'],
    ];
    const input = inputOf({ ...query, subject }, projectionOf(paths), clock);
    expect(JSON.stringify(input)).toBe('{"subject":{"properties":{"claims":{"__proto__":{"admin":true}}}}}');
  });
});

describe('what differs between evaluations is known', () => {
  test('facts alone are stable', () => {
    expect(
      projectionOf([['action'], ['resource'], ['subject'], ['context', 'complete'], ['context', 'session']]).stable,
    ).toBe(true);
  });
  test.each(['time', 'time_ms', 'weekday', 'hour_utc', 'history'])('context.%s is not', (field) => {
    expect(projectionOf([['context', field]]).stable).toBe(false);
  });
  test('all of the context is not', () => {
    expect(projectionOf([['context']]).stable).toBe(false);
  });
  test('a policy that reads all properties of the action reads bound values and texts', () => {
    expect(projectionOf([['action', 'properties']]).variable).toBe(true);
    expect(projectionOf([['action', 'properties', 'text']]).variable).toBe(true);
    expect(projectionOf([['action', 'properties', 'statements']]).variable).toBe(false);
  });
});

describe('input is refused that WebAssembly would trap on or misread', () => {
  const deep = (levels: number): Json => (levels === 0 ? 1 : [deep(levels - 1)]);
  const bad: readonly (readonly [string, Json])[] = [
    ['a lone surrogate', { a: ['\uD800'] }],
    ['a lone surrogate in a key', { '\uDC00': 1 }],
    ['an integer past 2^53', { a: 2 ** 53 }],
    ['an infinite number', { a: Number.POSITIVE_INFINITY }],
    ['not a number', { a: Number.NaN }],
    ['nesting past the bound', deep(65)],
  ];
  test.each(bad)('%s', (_title, value) => {
    expect(inputProblem(value, 64)).toEqual(expect.any(String));
  });
  test('but not what is merely unusual', () => {
    expect(inputProblem({ a: ['\uD83D\uDE00', 2 ** 53 - 1, -0.5, null, true, {}], '': [] }, 64)).toBeUndefined();
    expect(inputProblem(deep(64), 64)).toBeUndefined();
  });
});

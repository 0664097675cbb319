import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import type { Json, JsonObject } from '../../../proxy/core/types.ts';
import { unpack } from '../../../proxy/policy/bundle.ts';
import { Evaluator, type HostBuiltin } from '../../../proxy/policy/evaluator.ts';
import { fixture } from './support.ts';

const moduleOf = async (name: 'echo' | 'builtin') =>
  (await unpack(await readFile(fixture(name)))).get('policy.wasm') ?? new Uint8Array();
let echo: Uint8Array;
let builtin: Uint8Array;
beforeAll(async () => {
  [echo, builtin] = await Promise.all([moduleOf('echo'), moduleOf('builtin')]);
});

const inputOf = (first: Json): JsonObject => ({
  subject: { properties: { claims: { first } } },
  context: { complete: true },
});
const allowed = { decision: true, context: { reasons: [] } };

test('an evaluation that aborts is a fault, and the next one is right again', () => {
  const evaluator = new Evaluator(echo, { config: {} });
  const conflict = inputOf({ allow: true, deny: 'x', abort: true });
  for (let round = 0; round < 3; round++) {
    expect(() => evaluator.evaluate(conflict)).toThrow(
      expect.objectContaining({ name: 'GatewayError', code: 'policy_error' }),
    );
    expect(evaluator.evaluate(inputOf({ allow: true }))).toEqual(allowed);
  }
});

test('an evaluation that runs out of memory is a fault, and the next one is right again', () => {
  const evaluator = new Evaluator(echo, { config: {} }, { memoryBytesMax: 16 * 1024 * 1024 });
  const tables = Array.from({ length: 20_000 }, (_, index) => [`t${index}`, { c: { null: {} } }]);
  const masks = { columns: Object.fromEntries(tables) };
  expect(() => evaluator.evaluate(inputOf({ allow: true, masks }))).toThrow(
    expect.objectContaining({ code: 'policy_error' }),
  );
  expect(evaluator.evaluate(inputOf({ allow: true }))).toEqual(allowed);
});

test('nesting that overflows the stack is a fault, and the next one is right again', () => {
  const evaluator = new Evaluator(echo, { config: {} });
  let deep: Json = 1;
  for (let level = 0; level < 5_000; level++) deep = [deep];
  expect(() => evaluator.evaluate(inputOf({ allow: true, labels: deep }))).toThrow(
    expect.objectContaining({ code: 'policy_error' }),
  );
  expect(evaluator.evaluate(inputOf({ allow: true }))).toEqual(allowed);
});

test('a lone surrogate is a fault even if one came as far as this', () => {
  const evaluator = new Evaluator(echo, { config: {} });
  expect(() => evaluator.evaluate(inputOf({ allow: true, labels: ['\uD800'] }))).toThrow(
    expect.objectContaining({ code: 'policy_error' }),
  );
});

test('a thousand evaluations need no more memory than a few', () => {
  const evaluator = new Evaluator(echo, { config: {} });
  const input = inputOf({ allow: true, labels: Array.from({ length: 500 }, (_, index) => `label ${index}`) });
  for (let round = 0; round < 20; round++) evaluator.evaluate(input);
  const pages = evaluator.memoryBytes;
  for (let round = 0; round < 1_000; round++) evaluator.evaluate(input);
  expect(evaluator.memoryBytes).toBe(pages);
});

test('memory is made large enough for the data at once', () => {
  const rules = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key ${index}`, { value: index }]));
  const evaluator = new Evaluator(echo, { config: { rules } });
  expect(evaluator.grown).toBe(false);
});

describe('a policy is refused', () => {
  test('that is not WebAssembly', () => {
    expect(() => new Evaluator(Buffer.from('not wasm'), {})).toThrow(
      expect.objectContaining({ code: 'policy_unavailable' }),
    );
  });

  test('that is WebAssembly of somebody else', () => {
    const empty = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    expect(() => new Evaluator(empty, {})).toThrow(expect.objectContaining({ code: 'policy_unavailable' }));
  });

  test('that needs a builtin which the gateway does not have', () => {
    expect(() => new Evaluator(builtin, {})).toThrow(/builtin (time\.now_ns|time\.clock)/);
  });

  test('whose data would not fit into memory', () => {
    const big = { config: { text: 'x'.repeat(limits.policyMemoryBytesMax / 16) } };
    expect(() => new Evaluator(echo, big)).toThrow(/too large/);
  });
});

describe('a builtin of the gateway', () => {
  const input = { ...inputOf({}), subject: { type: 'agent' } };
  const evaluate = (clock: HostBuiltin) => {
    const builtins = new Map<string, HostBuiltin>([
      ['time.now_ns', () => 1],
      ['time.clock', clock],
    ]);
    return new Evaluator(builtin, { config: {} }, { builtins }).evaluate(input);
  };

  test('that answers is used', () => {
    expect(JSON.stringify(evaluate(() => [19, 0, 0]))).toContain('builtin');
    expect(JSON.stringify(evaluate(() => [9, 0, 0]))).toContain('policy_undefined');
  });

  const bad: readonly (readonly [string, () => unknown])[] = [
    ['that gives a promise', async () => [9, 0, 0]],
    ['that gives something like a promise', () => Object.fromEntries([['then', () => undefined]])],
    ['that gives nothing', () => undefined],
    ['that gives a function', () => () => 1],
    [
      'that throws a string',
      () => {
        throw 'no';
      },
    ],
  ];
  test.each(bad)('%s ends the evaluation in a fault', (_title, clock) => {
    expect(() => evaluate(clock as HostBuiltin)).toThrow(expect.objectContaining({ code: 'policy_error' }));
  });
});

import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import type { Json, JsonObject } from '../../../proxy/core/types.ts';
import { readBundle } from '../../../proxy/policy/bundle.ts';
import { Evaluator } from '../../../proxy/policy/evaluator.ts';
import { inputOf, projectionOf } from '../../../proxy/policy/input.ts';
import { verdictOf } from '../../../proxy/policy/result.ts';
import { defaultBundle, queryOf, readJson, root, TestClock } from '../policy/support.ts';
import { policyCases } from './cases.ts';
import { opaPath } from './opa.ts';

const cases = await policyCases();
const bundle = await readBundle(await readFile(defaultBundle));
const projection = projectionOf(bundle.reads);

/** One evaluator a data document: most cases share one. */
const evaluators = new Map<string, Evaluator>();
function evaluate(input: JsonObject, config: JsonObject): Json | undefined {
  const key = JSON.stringify(config);
  const evaluator = evaluators.get(key) ?? new Evaluator(bundle.wasm, { ...bundle.data, config });
  evaluators.set(key, evaluator);
  return evaluator.evaluate(input);
}

describe('the committed bundle decides every policy case as expected', () => {
  test.each(cases.map((each) => [`${each.policy}: ${each.note}`, each] as const))(
    '%s',
    (_title, { input, config, decision, reasons }) => {
      const verdict = verdictOf(evaluate(input, config));
      expect(verdict.effect === 'allow').toBe(decision);
      // A case lists each once, and sorted; `composition.test.ts` is about their order.
      const given = new Set(verdict.reasons.map(({ policy, code }) => `${policy}/${code}`));
      expect([...given].sort()).toEqual(reasons);
    },
  );
});

test('what is told first is about the operation, then that something is on no list, then that something is unclear', () => {
  const about = cases.find(({ note }) => note === 'sudo is refused');
  const input = { ...about?.input, context: { complete: false } };
  const policies = verdictOf(evaluate(input, about?.config ?? {})).reasons.map(({ policy }) => policy);
  expect([...new Set(policies)]).toEqual(['privilege_escalation', 'ssh_commands', 'incomplete']);
});

test('serialising only what the policy reads changes no decision', () => {
  for (const { input, config } of cases) {
    const projected = inputOf(queryOf(input), projection, new TestClock());
    expect(JSON.stringify(projected).length).toBeLessThan(JSON.stringify(input).length);
    expect(evaluate(projected, config)).toEqual(evaluate(input, config));
  }
});

test('every case, every result and every data document has the shape of the published schemas', async () => {
  const ajv = new Ajv({ allowUnionTypes: true });
  const [isInput, isResult, isConfig] = await Promise.all(
    ['input', 'result', 'config'].map(async (name) => ajv.compile(await readJson(`${root}rego/schemas/${name}.json`))),
  );
  for (const { note, input, config } of cases) {
    // A few cases say what the schema forbids, to see that it is refused.
    const strange = /not known|another type/.test(note);
    expect([note, isInput?.(input) === true || strange]).toEqual([note, true]);
    expect([note, isConfig?.(config)]).toEqual([note, true]);
    expect([note, isResult?.(evaluate(input, config))]).toEqual([note, true]);
  }
});

const opa = opaPath();
const differential = opa === undefined && process.env.CI !== 'true' ? test.skip : test;
if (opa === undefined)
  console.warn('OPA cannot be had: the comparison with `opa eval` is SKIPPED, the cases ran through WebAssembly only');

differential('WebAssembly gives exactly what `opa eval` gives, on every policy case', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-conformance-'));
  try {
    const file = join(directory, 'given.json');
    await writeFile(file, JSON.stringify({ conformance: cases.map(({ input, config }) => ({ input, config })) }));
    // Bound first: `with input as c.input` inside a comprehension evaluates without that input, and says nothing.
    const query =
      '[r | some c in data.conformance; i := c.input; d := c.config; r := data.sallyport.decision with input as i with data.config as d]';
    const policies = ['main.rego', 'lib', 'policies'].flatMap((path) => ['-d', `${root}rego/${path}`]);
    const output = execFileSync(
      opa ?? 'opa',
      ['eval', '--format', 'json', ...policies, '--ignore', 'cases.json,*_test.rego', '-d', file, query],
      { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
    );
    const parsed = JSON.parse(output) as { result: [{ expressions: [{ value: Json[] }] }] };
    const results = parsed.result[0].expressions[0].value;
    expect(results).toHaveLength(cases.length);
    for (const [index, { note, input, config }] of cases.entries()) {
      expect([note, evaluate(input, config)]).toEqual([note, results[index]]);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import type { PolicyQuery } from '../../../proxy/core/ports.ts';
import type { Json, JsonObject } from '../../../proxy/core/types.ts';
import { createPolicyEngine, type PolicyEngine, type PolicyEvent } from '../../../proxy/policy/engine.ts';
import { altered, defaultBundle, engineOf, factsOf, fixture, readJson, root, saying, TestClock } from './support.ts';

const opened: PolicyEngine[] = [];
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-engine-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
  await rm(directory, { recursive: true, force: true });
});

async function open(...args: Parameters<typeof engineOf>): Promise<PolicyEngine> {
  const engine = await engineOf(...args);
  opened.push(engine);
  return engine;
}

const config = await readJson(`${root}rego/data/config.json`);

function select(relations: readonly Json[], more: Partial<PolicyQuery> = {}): PolicyQuery {
  return {
    subject: { type: 'agent', id: 'triage-bot', properties: {} },
    facts: factsOf({
      action: { name: 'select', properties: { statements: [{ verb: 'select', effects: ['select'] }], incomplete: [] } },
      resource: { type: 'database', id: 'orders/app', properties: { upstream: 'orders', labels: {}, relations } },
    }),
    session: {},
    history: () => ({}),
    ...more,
  };
}

const email = {
  schema: 'public',
  name: 'customers',
  access: 'read',
  labels: [],
  columns: [{ name: 'email', labels: ['pii', 'email'], uses: ['output'] }],
};
const orders = { schema: 'public', name: 'orders', access: 'read', labels: [], columns: [] };

test('the bundle that ships decides', async () => {
  const engine = await open(defaultBundle, config);
  expect(engine.ready).toBe(true);
  expect(engine.epoch).toBe(1);
  expect(engine.config).toEqual(config);
  expect(engine.revisions).toEqual({
    bundle: expect.stringMatching(/^[0-9a-f]{16}$/),
    data: expect.stringMatching(/^example-1\+[0-9a-f]{12}$/),
  });
  const answer = engine.decide(select([email]));
  expect(answer).toMatchObject({
    decision: { effect: 'allow', bundleRevision: engine.revisions.bundle, dataRevision: engine.revisions.data },
  });
  expect('decision' in answer && answer.decision.masks.columns.get('public.customers')?.get('email')).toEqual({
    method: 'email',
  });
});

test('the data cannot be changed through what the engine hands out', async () => {
  const engine = await open(defaultBundle, config);
  expect(() => Object.assign(engine.config, { modes: { pii: 'shadow' } })).toThrow(TypeError);
  expect(() => Object.assign(engine.config.modes as object, { pii: 'shadow' })).toThrow(TypeError);
});

describe('a fault is never an answer', () => {
  test('of a policy that aborts, nor does it outlive the operation', async () => {
    const engine = await open(fixture('echo'), {});
    expect(engine.decide(saying({ first: { allow: true, deny: 'x', abort: true } }))).toMatchObject({
      fault: { code: 'policy_error' },
    });
    expect(engine.decide(saying({ first: { allow: true } }))).toMatchObject({ decision: { effect: 'allow' } });
  });

  test('of an operation with more facts than the bound', async () => {
    const engine = await open(fixture('echo'), {});
    const labels = ['x'.repeat(limits.policyInputBytesMax)];
    expect(engine.decide(saying({ first: { allow: true, labels } }))).toMatchObject({
      fault: { code: 'policy_input_too_large' },
    });
    // Bytes, not characters, are what is bounded.
    const wide = ['é'.repeat(limits.policyInputBytesMax / 2)];
    expect(engine.decide(saying({ first: { allow: true, labels: wide } }))).toMatchObject({
      fault: { code: 'policy_input_too_large' },
    });
  });

  test('of an operation nested deeper than the bound', async () => {
    const engine = await open(fixture('echo'), {});
    let deep: Json = 1;
    for (let level = 0; level < 5_000; level++) deep = [deep];
    expect(engine.decide(saying({ first: { allow: true, labels: deep } }))).toMatchObject({
      fault: { code: 'operation_malformed' },
    });
  });

  test('of an operation with a lone surrogate, if the policy reads it', async () => {
    const engine = await open(fixture('echo'), {});
    expect(engine.decide(saying({ first: { allow: true, labels: ['\uD800'] } }))).toMatchObject({
      fault: { code: 'operation_malformed' },
    });
    expect(engine.decide(saying({ unread: '\uD800', first: { allow: true } }))).toMatchObject({
      decision: { effect: 'allow' },
    });
  });

  test('of a source of history that throws', async () => {
    const engine = await open(fixture('volatile'), {});
    const history = (): never => {
      throw 'gone';
    };
    expect(engine.decide(saying({}, { history }))).toMatchObject({ fault: { code: 'policy_error' } });
  });

  test('of an evaluation that takes longer than its budget', async () => {
    const clock = new TestClock();
    const slow = { nowMs: () => clock.ms, monotonicMs: () => (clock.ms += limits.policyEvaluationMsMax + 1) };
    const engine = await open(fixture('echo'), {}, { clock: slow });
    expect(engine.decide(saying({ first: { allow: true } }))).toMatchObject({ fault: { code: 'policy_error' } });
  });

  test('of a policy that leaves the decision undefined', async () => {
    const engine = await open(fixture('raw'), {});
    expect(engine.decide(saying({}))).toMatchObject({ fault: { code: 'policy_undefined' } });
  });
});

describe('decisions are reused', () => {
  test('for the same subject and facts, without asking again', async () => {
    const engine = await open(defaultBundle, config);
    const query = select([email]);
    expect(engine.decide(query)).toBe(engine.decide({ ...query, session: {}, history: () => ({}) }));
  });

  test('for equal facts, as the same decision', async () => {
    const engine = await open(defaultBundle, config);
    const [one, two] = [engine.decide(select([email])), engine.decide(select([email]))];
    expect('decision' in one && 'decision' in two && one.decision === two.decision).toBe(true);
  });

  test('not for a subject of another type with the same facts', async () => {
    const engine = await open(defaultBundle, config);
    const query = select([orders]);
    expect(engine.decide(query)).toMatchObject({ decision: { effect: 'allow' } });
    expect(engine.decide({ ...query, subject: { type: 'gateway', id: 'g', properties: {} } })).toMatchObject({
      decision: { effect: 'deny' },
    });
  });

  test('not for facts that are not complete', async () => {
    const engine = await open(defaultBundle, config);
    const query = select([orders]);
    expect(engine.decide(query)).toMatchObject({ decision: { effect: 'allow' } });
    expect(engine.decide({ ...query, facts: { ...query.facts, complete: false } })).toMatchObject({
      decision: { effect: 'deny' },
    });
  });

  test('not past the term that the policy sets', async () => {
    const clock = new TestClock();
    const engine = await open(fixture('echo'), { limits: { cache_ttl_seconds: 5 } }, { clock });
    const query = saying({ first: { allow: true } });
    const first = engine.decide(query);
    clock.ms += 4_999;
    expect(engine.decide(query)).toBe(first);
    clock.ms += 1;
    const later = engine.decide(query);
    expect(later).not.toBe(first);
    expect(engine.decide(query)).toBe(later);
  });

  test('not for longer than no time at all', async () => {
    const engine = await open(fixture('echo'), { limits: { cache_ttl_seconds: 0 } });
    const query = saying({ first: { allow: true } });
    expect(engine.decide(query)).not.toBe(engine.decide(query));
  });

  test('not for an operation with an approval, nor after it', async () => {
    const engine = await open(fixture('echo'), {});
    const request = { code: 'x', message: 'Ask.', access_request: { groups: ['dba'] } };
    const query = saying({ first: { allow: true, require_approval: [request] } });
    const approval = { id: 'a', grants: [{ policy: 'first', code: 'x' }] };
    expect(engine.decide(query)).toMatchObject({ decision: { effect: 'require_approval' } });
    expect(engine.decide({ ...query, approval })).toMatchObject({ decision: { effect: 'allow' } });
    expect(engine.decide(query)).toMatchObject({ decision: { effect: 'require_approval' } });
    expect(engine.decide({ ...query, approval: { id: 'a', grants: [] } })).toMatchObject({
      decision: { effect: 'require_approval' },
    });
  });

  describe('only while what the policy reads is the same', () => {
    const seen = (engine: PolicyEngine, query: PolicyQuery): JsonObject => {
      const answer = engine.decide(query);
      if ('fault' in answer) throw new Error(answer.fault.code);
      return JSON.parse(answer.decision.reasons[0]?.message ?? '') as JsonObject;
    };

    test('history', async () => {
      const engine = await open(fixture('volatile'), {});
      let rows = 1;
      const query = saying({}, { history: () => ({ rows_read: rows }) });
      expect(seen(engine, query)).toMatchObject({ rows: 1 });
      rows = 2;
      expect(seen(engine, query)).toMatchObject({ rows: 2 });
    });

    test('the hour and the day', async () => {
      const clock = new TestClock();
      const engine = await open(fixture('volatile'), {}, { clock });
      const query = saying({});
      expect(seen(engine, query)).toMatchObject({ hour: 9, weekday: 'sunday' });
      clock.ms += 15 * 60 * 60 * 1000;
      expect(seen(engine, query)).toMatchObject({ hour: 0, weekday: 'monday' });
    });

    test('bound values', async () => {
      const engine = await open(fixture('volatile'), {});
      const query = saying({});
      const bound = (value: string) => ({ ...query, variable: () => ({ parameters: [{ type: 'text', value }] }) });
      expect(seen(engine, bound('a'))).toMatchObject({ parameters: [{ type: 'text', value: 'a' }] });
      expect(seen(engine, bound('b'))).toMatchObject({ parameters: [{ type: 'text', value: 'b' }] });
      expect(seen(engine, query)).toMatchObject({ parameters: [] });
    });

    test('the session, for the same subject and facts', async () => {
      const engine = await open(fixture('volatile'), {});
      const query = saying({});
      expect(seen(engine, query)).toMatchObject({ session: 's1' });
      expect(seen(engine, { ...query, session: { id: 's2' } })).toMatchObject({ session: 's2' });
    });
  });
});

describe('policy changes while it runs', () => {
  const write = async (name: string, content: string | Uint8Array): Promise<string> => {
    const file = join(directory, name);
    // In one step, as a deployment would.
    await writeFile(`${file}.next`, content);
    await rename(`${file}.next`, file);
    return file;
  };

  async function running(): Promise<{ engine: PolicyEngine; events: PolicyEvent[]; bundle: string; data: string }> {
    const events: PolicyEvent[] = [];
    const bundle = await write('bundle.tar.gz', await readFile(defaultBundle));
    const data = await write('data.yaml', JSON.stringify(config));
    const engine = await createPolicyEngine({
      bundle: { file: bundle },
      data: { file: data },
      clock: new TestClock(),
      onEvent: (event) => events.push(event),
    });
    opened.push(engine);
    return { engine, events, bundle, data };
  }

  test('new data changes the next decision, for facts that were judged before', async () => {
    const { engine, events } = await running();
    const query = select([email]);
    const before = engine.revisions;
    expect(engine.decide(query)).toMatchObject({ decision: { effect: 'allow', labels: ['pii'] } });
    let told = 0;
    const stop = engine.onActivate(() => {
      told += 1;
      expect(engine.epoch).toBe(2);
    });
    await write('data.yaml', 'upstreams: { orders: {} }\nmodes: { pii: shadow, baseline: shadow }\n');
    await engine.reload();
    expect(engine.decide(query)).toMatchObject({ decision: { effect: 'deny', dataRevision: engine.revisions.data } });
    expect(engine.revisions.bundle).toBe(before.bundle);
    expect(engine.revisions.data).not.toBe(before.data);
    expect(told).toBe(1);
    expect(events.map(({ type }) => type)).toEqual(['activated', 'activated']);
    stop();
    await write('data.yaml', JSON.stringify(config));
    await engine.reload();
    expect(told).toBe(1);
    expect(engine.epoch).toBe(3);
  });

  test('a new bundle changes the next decision', async () => {
    const { engine } = await running();
    const query = select([orders]);
    expect(engine.decide(query)).toMatchObject({ decision: { effect: 'allow' } });
    await write('bundle.tar.gz', await readFile(fixture('echo')));
    await engine.reload();
    expect(engine.decide(query)).toMatchObject({
      decision: { effect: 'deny', reasons: [{ code: 'policy_undefined' }] },
    });
  });

  test('what did not change is not activated again', async () => {
    const { engine, events } = await running();
    await engine.reload();
    expect(engine.epoch).toBe(1);
    expect(events).toHaveLength(1);
  });

  test('several reloads at once end in the newest files', async () => {
    const { engine } = await running();
    const reloads = [engine.reload()];
    await write('data.yaml', '{ revision: last }');
    reloads.push(engine.reload(), engine.reload());
    await Promise.all(reloads);
    expect(engine.revisions.data).toMatch(/^last\+/);
  });

  const badData: readonly (readonly [string, string, RegExp])[] = [
    ['that is not YAML', '{', /refused/],
    ['that is a list', '[]', /not an object/],
    ['with a key twice', 'modes: {}\nmodes: {}', /unique/i],
    ['with a key that the schema does not know', 'mode: {}', /additional properties \(mode\)/],
    ['with a mode that does not exist', 'modes: { pii: off }', /\/modes\/pii/],
    ['with a mask of two methods', 'masks: { default: { "null": {}, hash: {} } }', /\/masks\/default/],
    ['with a mask that does not exist', 'masks: { default: { blur: {} } }', /\/masks\/default/],
    [
      'with a pattern that looks around',
      'masks: { default: { redact_pattern: { pattern: "(?=a)", value: "" } } }',
      /mask in the data/,
    ],
    [
      'with a label that is not a list',
      'upstreams: { orders: { schemas: { public: { t: { labels: pii } } } } }',
      /must be array/,
    ],
    ['with a lone surrogate', '{"revision": "\\ud800"}', /Unicode/],
    ['with a number past 2^53', 'limits: { max_rows: 9007199254740993 }', /range/],
  ];
  test.each(badData)('data %s is refused, and what was active stays', async (_title, text, why) => {
    const { engine, events } = await running();
    const { revisions } = engine;
    await write('data.yaml', text);
    await expect(engine.reload()).rejects.toMatchObject({
      code: 'policy_unavailable',
      message: expect.stringMatching(why),
    });
    expect(engine).toMatchObject({ epoch: 1, ready: true, revisions });
    expect(engine.decide(select([orders]))).toMatchObject({ decision: { effect: 'allow' } });
    expect(events.at(-1)).toMatchObject({ type: 'refused', fault: { code: 'policy_unavailable' } });
  });

  const manifest = {
    revision: 'r',
    roots: ['sallyport'],
    wasm: [{ entrypoint: 'sallyport/decision', module: '/policy.wasm' }],
  };
  const badBundles: readonly (readonly [string, Parameters<typeof altered>[1], RegExp])[] = [
    ['with a module that is not WebAssembly', { 'policy.wasm': 'x' }, /module/],
    [
      'with a policy that looks around',
      { 'policies/x.rego': 'package x\n\ndeny if regex.match("(?=a)", "a")' },
      /look-around/,
    ],
    [
      'with a policy whose pattern comes from the input',
      { 'policies/x.rego': 'package x\n\ndeny if regex.match(input.p, "a")' },
      /cannot be checked/,
    ],
    ['signed, with no key configured', { '.signatures.json': { signatures: ['x'] } }, /no key/],
    ['that would own data.config', { '.manifest': { ...manifest, roots: ['config', 'sallyport'] } }, /data\.config/],
  ];
  test.each(badBundles)('a bundle %s is refused, and what was active stays', async (_title, changes, why) => {
    const { engine } = await running();
    await write('bundle.tar.gz', await altered(defaultBundle, changes));
    await expect(engine.reload()).rejects.toMatchObject({
      code: 'policy_unavailable',
      message: expect.stringMatching(why),
    });
    expect(engine).toMatchObject({ epoch: 1, ready: true });
    expect(engine.decide(select([orders]))).toMatchObject({ decision: { effect: 'allow' } });
  });

  test('a bundle that decides nothing at all is refused', async () => {
    const { engine } = await running();
    const raw = await altered(fixture('raw'), { 'policy.wasm': new Uint8Array() });
    await write('bundle.tar.gz', raw);
    await expect(engine.reload()).rejects.toMatchObject({ code: 'policy_unavailable' });
    expect(engine.epoch).toBe(1);
  });

  test('a file that went away is refused, and what was active stays', async () => {
    const { engine, bundle } = await running();
    await rm(bundle);
    await expect(engine.reload()).rejects.toMatchObject({ code: 'policy_unavailable' });
    expect(engine.decide(select([orders]))).toMatchObject({ decision: { effect: 'allow' } });
  });

  test('where bundles are numbered, an older or unnumbered one is refused', async () => {
    const { engine } = await running();
    const numbered = (sequence: number) =>
      altered(defaultBundle, { '.manifest': { ...manifest, metadata: { sequence }, revision: `r${sequence}` } });
    await write('bundle.tar.gz', await numbered(7));
    await engine.reload();
    await write('bundle.tar.gz', await numbered(6));
    await expect(engine.reload()).rejects.toMatchObject({ message: expect.stringMatching(/older/) });
    await write('bundle.tar.gz', await readFile(defaultBundle));
    await expect(engine.reload()).rejects.toMatchObject({ message: expect.stringMatching(/older/) });
    await write('bundle.tar.gz', await numbered(8));
    await engine.reload();
    expect(engine.revisions.bundle).toBe('r8');
  });

  test('watched files are activated when they change', async () => {
    const bundle = await write('bundle.tar.gz', await readFile(fixture('echo')));
    const data = await write('data.yaml', '{}');
    let activated: (() => void) | undefined;
    const engine = await createPolicyEngine({
      bundle: { file: bundle },
      data: { file: data },
      clock: new TestClock(),
      watch: true,
    });
    opened.push(engine);
    engine.onActivate(() => activated?.());
    const again = new Promise<void>((resolve) => {
      activated = resolve;
    });
    await write('data.yaml', 'revision: seen');
    await again;
    expect(engine.revisions.data).toMatch(/^seen\+/);
  });
});

describe('an engine does not start', () => {
  const start = async (bundle: string, value: JsonObject) => {
    opened.push(await engineOf(bundle, value));
  };
  test('without a bundle', async () => {
    await expect(start(join(directory, 'missing'), {})).rejects.toMatchObject({ code: 'policy_unavailable' });
  });
  test('with data that the schema refuses', async () => {
    await expect(start(defaultBundle, { modes: { pii: 'off' } })).rejects.toMatchObject({ code: 'policy_unavailable' });
  });
  test('with a bundle that is not signed, where a key is configured', async () => {
    const verification = { algorithm: 'HS256', key: 'secret' };
    const options = { bundle: { file: defaultBundle, verification }, data: { value: {} }, clock: new TestClock() };
    await expect(createPolicyEngine(options)).rejects.toMatchObject({ message: expect.stringMatching(/not signed/) });
  });
});

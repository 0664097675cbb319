import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { mostPrivate, parseMaskMethod } from '../../../proxy/core/masker.ts';
import type { Json, JsonObject, MaskMethod } from '../../../proxy/core/types.ts';
import { readBundle } from '../../../proxy/policy/bundle.ts';
import { Evaluator } from '../../../proxy/policy/evaluator.ts';
import { verdictOf } from '../../../proxy/policy/result.ts';
import { fixture, root } from '../policy/support.ts';
import { opaPath } from './opa.ts';

/** What the two policies of the `echo` fixture are made to say, and what must come of it. */
interface Composition {
  readonly note: string;
  readonly first?: JsonObject;
  readonly second?: JsonObject;
  readonly modes?: JsonObject;
  readonly limits?: JsonObject;
  readonly approval?: JsonObject;
  readonly result: JsonObject;
}

const no = (code: string) => ({ code, message: `No: ${code}.` });
const reason = (policy: string, code: string) => ({ policy, ...no(code) });
const ask = (code: string, access_request: JsonObject) => ({ ...no(code), access_request });
/** How clients wait when nobody says. */
const asUsual = { mode: 'return', wait_seconds: 60, reuse: 'none', break_glass: false };
const undefinedReason = { policy: 'default', code: 'policy_undefined', message: 'No policy allows this operation.' };
const malformed = (policy: string) => ({
  policy,
  code: 'reason_malformed',
  message: 'The policy gave a reason without a code or a message.',
});
const masked = (policy: string) => ({ policy, code: `${policy}_masked`, message: 'Part of the answer is masked.' });
const quarantine = { scope: 'session', ttl_seconds: 60, message: 'Stop.' };
const dba = { groups: ['dba'], quorum: 1, ttl_seconds: 600, uses: 1, reason_required: false };
const allowed = (context: JsonObject = {}): JsonObject => ({ decision: true, context: { reasons: [], ...context } });
const refused = (...reasons: Json[]): JsonObject => ({ decision: false, context: { reasons } });

const compositions: readonly Composition[] = [
  { note: 'nothing said is a refusal', result: refused(undefinedReason) },
  { note: 'one allow is enough', first: { allow: true }, result: allowed() },
  {
    note: 'a deny wins over an allow',
    first: { allow: true },
    second: { deny: [no('x')] },
    result: refused(reason('second', 'x')),
  },
  {
    note: 'every deny is told, in order',
    first: { deny: [no('b'), no('a')] },
    second: { deny: [no('c')] },
    result: refused(reason('first', 'a'), reason('first', 'b'), reason('second', 'c')),
  },
  { note: 'an empty deny says nothing', first: { allow: true, deny: [] }, result: allowed() },
  {
    note: 'a deny that is not a set still refuses',
    first: { allow: true },
    second: { deny: true },
    result: refused(malformed('second')),
  },
  {
    note: 'a deny that is a string still refuses',
    first: { allow: true },
    second: { deny: 'x' },
    result: refused(malformed('second')),
  },
  {
    note: 'a deny without a code still refuses',
    first: { allow: true },
    second: { deny: [{}] },
    result: refused(malformed('second')),
  },
  {
    note: 'a deny of another shape still refuses',
    first: { allow: true },
    second: { deny: [{ code: 1, message: 'x' }] },
    result: refused(malformed('second')),
  },
  {
    note: 'an allow that is not true allows nothing',
    first: { allow: 'yes' },
    second: { allow: 1 },
    result: refused(undefinedReason),
  },
  {
    note: 'an allow that is a list of anything allows nothing',
    first: { allow: [1] },
    result: refused(undefinedReason),
  },

  // shadow
  {
    note: 'a deny in shadow is told and not applied',
    first: { allow: true },
    second: { deny: [no('x')] },
    modes: { second: 'shadow' },
    result: allowed({ shadow: [reason('second', 'x')] }),
  },
  {
    note: 'an allow in shadow allows nothing',
    first: { allow: true },
    modes: { first: 'shadow' },
    result: refused(undefinedReason),
  },
  {
    note: 'a mode that is not known enforces',
    first: { allow: true },
    second: { deny: [no('x')] },
    modes: { second: 'shadwo' },
    result: refused(reason('second', 'x')),
  },
  {
    note: 'masks, obligations and labels in shadow are not applied',
    first: { allow: true },
    second: {
      masks: { columns: { t: { c: { null: {} } } } },
      obligations: [{ id: 'a', type: 'max_rows', properties: { value: 1 } }],
      labels: ['x'],
    },
    modes: { second: 'shadow' },
    result: allowed(),
  },
  {
    note: 'a quarantine in shadow is told and not applied',
    first: { allow: true },
    second: { quarantine: [quarantine] },
    modes: { second: 'shadow' },
    result: allowed({
      shadow: [{ policy: 'second', code: 'quarantined', message: 'The policy would have quarantined.' }],
    }),
  },
  {
    note: 'an approval in shadow is told and not asked for',
    first: { allow: true },
    second: { require_approval: [ask('x', dba)] },
    modes: { second: 'shadow' },
    result: allowed({ shadow: [reason('second', 'x')] }),
  },

  // approval
  {
    note: 'a request for approval holds what is allowed',
    first: { allow: true },
    second: { require_approval: [ask('x', dba)] },
    result: { decision: false, context: { reasons: [reason('second', 'x')], access_request: { ...dba, ...asUsual } } },
  },
  {
    note: 'an approval never replaces an allow',
    second: { require_approval: [ask('x', dba)] },
    result: refused(undefinedReason),
  },
  {
    note: 'a deny wins over a request for approval',
    first: { allow: true, deny: [no('x')] },
    second: { require_approval: [ask('y', dba)] },
    result: refused(reason('first', 'x')),
  },
  {
    note: 'a grant satisfies the request it lists',
    first: { allow: true },
    second: { require_approval: [ask('x', dba)] },
    approval: { id: 'a', grants: [{ policy: 'second', code: 'x' }] },
    result: allowed(),
  },
  {
    note: 'a grant for another policy satisfies nothing',
    first: { allow: true },
    second: { require_approval: [ask('x', dba)] },
    approval: { id: 'a', grants: [{ policy: 'first', code: 'x' }] },
    result: { decision: false, context: { reasons: [reason('second', 'x')], access_request: { ...dba, ...asUsual } } },
  },
  {
    note: 'a grant does not lift a deny',
    first: { allow: true },
    second: { deny: [no('x')] },
    approval: { id: 'a', grants: [{ policy: 'second', code: 'x' }] },
    result: refused(reason('second', 'x')),
  },
  {
    note: 'requests to the same approvers become one, the strictest',
    first: { allow: true, require_approval: [ask('x', { ...dba, quorum: 2, ttl_seconds: 900 })] },
    second: { require_approval: [ask('y', { ...dba, uses: 5, reason_required: true })] },
    result: {
      decision: false,
      context: {
        reasons: [reason('first', 'x'), reason('second', 'y')],
        access_request: { groups: ['dba'], quorum: 2, ttl_seconds: 600, uses: 1, reason_required: true, ...asUsual },
      },
    },
  },
  {
    note: 'different approvers are asked one after another',
    first: { allow: true, require_approval: [ask('x', dba)] },
    second: { require_approval: [ask('y', { ...dba, groups: ['legal'] })] },
    result: { decision: false, context: { reasons: [reason('first', 'x')], access_request: { ...dba, ...asUsual } } },
  },
  {
    note: 'the next approvers are asked once the first have granted',
    first: { allow: true, require_approval: [ask('x', dba)] },
    second: { require_approval: [ask('y', { ...dba, groups: ['legal'] })] },
    approval: { id: 'a', grants: [{ policy: 'first', code: 'x' }] },
    result: {
      decision: false,
      context: { reasons: [reason('second', 'y')], access_request: { ...dba, groups: ['legal'], ...asUsual } },
    },
  },
  {
    note: 'a request for approval of another shape refuses',
    first: { allow: true },
    second: { require_approval: [no('x')] },
    result: refused({
      policy: 'second',
      code: 'approval_malformed',
      message: 'The policy asked for approval in another shape.',
    }),
  },

  // quarantine
  {
    note: 'a quarantine wins over everything',
    first: { allow: true, deny: [no('x')] },
    second: { quarantine: [quarantine] },
    result: {
      decision: false,
      context: { reasons: [{ policy: 'second', code: 'quarantined', message: 'Stop.' }], quarantine },
    },
  },
  {
    note: 'of two quarantines the widest scope and the longest term apply',
    first: { quarantine: [{ ...quarantine, scope: 'subject', ttl_seconds: 30 }] },
    second: { quarantine: [quarantine] },
    result: {
      decision: false,
      context: {
        reasons: [
          { policy: 'first', code: 'quarantined', message: 'Stop.' },
          { policy: 'second', code: 'quarantined', message: 'Stop.' },
        ],
        quarantine: { scope: 'subject', ttl_seconds: 60, message: 'Stop.' },
      },
    },
  },

  // masks
  {
    note: 'masks of two policies are united',
    first: { allow: true, masks: { columns: { t: { a: { null: {} } } } } },
    second: {
      masks: {
        columns: { t: { b: { hash: {} } }, u: { c: { email: {} } } },
        text: { email: { replace: { value: 'x' } } },
      },
    },
    result: allowed({
      reasons: [masked('first'), masked('second')],
      masks: {
        columns: { t: { a: { null: {} }, b: { hash: {} } }, u: { c: { email: {} } } },
        text: { email: { replace: { value: 'x' } } },
      },
    }),
  },
  {
    note: 'an empty mask document says nothing',
    first: { allow: true, masks: { columns: {} } },
    result: allowed(),
  },
  ...['x', ['x'], { columns: 'x' }, { columns: { t: 'x' } }, { colums: { t: { c: { null: {} } } } }].map(
    (masks: Json) => ({
      note: `masks of another shape refuse: ${JSON.stringify(masks)}`,
      first: { allow: true },
      second: { masks },
      result: refused({
        policy: 'second',
        code: 'masks_malformed',
        message: 'The policy gave masks of another shape.',
      }),
    }),
  ),

  // obligations, labels, cache
  {
    note: 'of two obligations of one type the stricter applies',
    first: {
      allow: true,
      obligations: [
        { id: 'a', type: 'max_rows', properties: { value: 9 } },
        { id: 'r', type: 'record', properties: { value: 'full' } },
      ],
    },
    second: {
      obligations: [
        { id: 'b', type: 'max_rows', properties: { value: 5 } },
        { id: 's', type: 'record', properties: { value: 'metadata' } },
      ],
    },
    result: allowed({
      obligations: [
        { id: 'b', type: 'max_rows', properties: { value: 5 } },
        { id: 'r', type: 'record', properties: { value: 'full' } },
      ],
    }),
  },
  {
    note: 'of two ways to watch a shell the one that judges is the stricter',
    first: { allow: true, obligations: [{ id: 'a', type: 'shell_mode', properties: { value: 'recorded' } }] },
    second: { obligations: [{ id: 'b', type: 'shell_mode', properties: { value: 'judged' } }] },
    result: allowed({ obligations: [{ id: 'b', type: 'shell_mode', properties: { value: 'judged' } }] }),
  },
  {
    note: 'the lower rate is the stricter one',
    first: { allow: true, obligations: [{ id: 'a', type: 'rate', properties: { value: 10, window_seconds: 1 } }] },
    second: { obligations: [{ id: 'b', type: 'rate', properties: { value: 60, window_seconds: 60 } }] },
    result: allowed({ obligations: [{ id: 'b', type: 'rate', properties: { value: 60, window_seconds: 60 } }] }),
  },
  {
    note: 'labels of two policies are united',
    first: { allow: true, labels: ['b', 'a'] },
    second: { labels: ['b'] },
    result: allowed({ labels: ['a', 'b'] }),
  },
  {
    note: 'what comes with an allow does not come with a refusal',
    first: { labels: ['a'], masks: { columns: { t: { a: { null: {} } } } } },
    result: refused(undefinedReason),
  },
  {
    note: 'the data may limit how long a decision is reused',
    first: { allow: true },
    limits: { cache_ttl_seconds: 5 },
    result: allowed({ cache: { ttl_seconds: 5 } }),
  },
];

function documents({ first = {}, second = {}, modes = {}, limits = {}, approval }: Composition): {
  input: JsonObject;
  config: JsonObject;
} {
  return {
    input: {
      subject: { type: 'agent', id: 'tester', properties: { claims: { first, second } } },
      context: { complete: true, ...(approval !== undefined && { approval }) },
    },
    config: { modes, limits },
  };
}

const bundle = await readBundle(await readFile(fixture('echo')));
const evaluate = ({ input, config }: { input: JsonObject; config: JsonObject }) =>
  new Evaluator(bundle.wasm, { config }).evaluate(input);

describe('policies compose', () => {
  test.each(compositions.map((each) => [each.note, each] as const))('%s', (_note, composition) => {
    expect(evaluate(documents(composition))).toEqual(composition.result);
  });
});

const methods: readonly JsonObject[] = [
  { null: {} },
  { replace: { value: 'a' } },
  { replace: { value: 'b' } },
  { hash: {} },
  { keep_first: { count: 2 } },
  { keep_first: { count: 4 } },
  { keep_last: { count: 2 } },
  { keep_last: { count: 4 } },
  { email: {} },
  { redact_pattern: { pattern: 'a+', value: 'x' } },
  { redact_pattern: { pattern: 'b+', value: 'x' } },
];

test('of two masks policies and gateway choose the same, whichever comes first', () => {
  const maskOf = (json: JsonObject): MaskMethod => {
    const parsed = parseMaskMethod(json);
    if ('error' in parsed) throw new Error(parsed.error);
    return parsed.method;
  };
  const policies = new Evaluator(bundle.wasm, { config: {} });
  for (const one of methods) {
    for (const other of methods) {
      const { input } = documents({
        note: '',
        first: { allow: true, masks: { columns: { t: { c: one } } } },
        second: { masks: { columns: { t: { c: other } } } },
        result: {},
      });
      const chosen = verdictOf(policies.evaluate(input)).masks.columns.get('t')?.get('c');
      expect([one, other, chosen]).toEqual([one, other, mostPrivate(maskOf(one), maskOf(other))]);
    }
  }
});

test('a mask method that is not known wins over one that is, so that it is refused', () => {
  const { input } = documents({
    note: '',
    first: { allow: true, masks: { columns: { t: { c: { null: {} } } } } },
    second: { masks: { columns: { t: { c: { blur: {} } } } } },
    result: {},
  });
  expect(() => verdictOf(new Evaluator(bundle.wasm, { config: {} }).evaluate(input))).toThrow(
    expect.objectContaining({ code: 'mask_unknown' }),
  );
});

const opa = opaPath();
const differential = opa === undefined && process.env.CI !== 'true' ? test.skip : test;

differential('compositions are the same under `opa eval`', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-composition-'));
  try {
    const file = join(directory, 'given.json');
    await writeFile(file, JSON.stringify({ given: compositions.map(documents) }));
    const query =
      '[r | some c in data.given; i := c.input; d := c.config; r := data.sallyport.decision with input as i with data.config as d]';
    const sources = ['rego/main.rego', 'rego/lib', 'test/unit/policy/fixtures/echo'].flatMap((path) => [
      '-d',
      root + path,
    ]);
    const output = execFileSync(opa ?? 'opa', ['eval', '--format', 'json', ...sources, '-d', file, query], {
      encoding: 'utf8',
    });
    const parsed = JSON.parse(output) as { result: [{ expressions: [{ value: Json[] }] }] };
    expect(parsed.result[0].expressions[0].value).toEqual(compositions.map(({ result }) => result));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Decision, JsonObject } from '../core/types.ts';
import { type Bundle, readBundle } from './bundle.ts';
import { BoundedCache, type CachedAnswer, IdentityCache } from './cache.ts';
import { checkData, parseData } from './data.ts';
import { Evaluator } from './evaluator.ts';
import { type Projection, projectionOf } from './input.ts';
import { sourcePatternProblem } from './patterns.ts';
import { verdictOf } from './result.ts';
import type { BundleVerification } from './signature.ts';

/** Everything that one bundle and one data document decide with; replaced as a whole, caches included. */
export interface Active {
  readonly revisions: { readonly bundle: string; readonly data: string };
  readonly sequence: number | undefined;
  readonly config: JsonObject;
  readonly projection: Projection;
  readonly evaluator: Evaluator;
  readonly byIdentity: IdentityCache;
  readonly byDocument: BoundedCache<CachedAnswer>;
  /** Decisions by the result they were made from. */
  readonly decisions: BoundedCache<{ readonly decision: Decision; readonly ttlMs: number | undefined }>;
}

/**
 * Makes bundle and data ready to decide, having refused all that would only show when an operation is judged.
 *
 * @throws GatewayError `policy_unavailable` (or what the first evaluation said).
 */
export async function activate(about: {
  readonly bundle: Uint8Array;
  readonly verification: BundleVerification | undefined;
  readonly data: string;
  readonly previous: Active | undefined;
}): Promise<Active> {
  const bundle = await readBundle(about.bundle, about.verification);
  refuseRollback(bundle, about.previous);
  for (const source of bundle.sources.values()) {
    const problem = sourcePatternProblem(source);
    if (problem !== undefined)
      throw new GatewayError('policy_unavailable', `The policy bundle is refused: ${problem}.`);
  }
  const data = checkData(parseData(about.data), bundle.configSchema);
  const evaluator = new Evaluator(bundle.wasm, { ...bundle.data, config: data.config });
  warmUp(evaluator);
  return {
    revisions: { bundle: bundle.revision, data: data.revision },
    sequence: bundle.sequence,
    config: data.config,
    projection: projectionOf(bundle.reads),
    evaluator,
    byIdentity: new IdentityCache(),
    byDocument: new BoundedCache(limits.policyCacheEntriesMax),
    decisions: new BoundedCache(limits.policyCacheEntriesMax),
  };
}

/** Where bundles are numbered, an older or unnumbered one never follows a newer one. */
function refuseRollback(bundle: Bundle, previous: Active | undefined): void {
  if (previous?.sequence === undefined) return;
  if (bundle.sequence === undefined || bundle.sequence < previous.sequence) {
    throw new GatewayError('policy_unavailable', 'The policy bundle is refused: it is older than the active one.');
  }
}

/** Evaluates until the code is warm. A policy that fails on this, or answers it with another shape, is not activated. */
function warmUp(evaluator: Evaluator): void {
  for (let round = 0; round < warmUpRounds; round++) {
    for (const input of [warmUpConnect, warmUpSelect]) {
      const result = evaluator.evaluate(input);
      if (result === undefined) throw new GatewayError('policy_undefined', 'The policy gives no decision at all.');
      verdictOf(result);
    }
  }
}

const warmUpRounds = 10;

const warmUpConnect: JsonObject = {
  subject: { type: 'agent', id: 'warm-up', properties: { issuer: 'urn:sallyport', groups: [], claims: {} } },
  action: { name: 'connect', properties: { protocol: 'warm-up', requested: {} } },
  resource: { type: 'upstream', id: 'warm-up', properties: { upstream: 'warm-up', labels: {} } },
  context: { complete: true },
};

const warmUpSelect: JsonObject = {
  ...warmUpConnect,
  action: {
    name: 'select',
    properties: {
      protocol: 'postgres',
      effects: ['select'],
      statements: [{ verb: 'select', effects: ['select'], functions: [], objects: [], settings: [], incomplete: [] }],
      incomplete: [],
    },
  },
  resource: {
    type: 'database',
    id: 'warm-up/warm-up',
    properties: {
      upstream: 'warm-up',
      database: 'warm-up',
      labels: {},
      relations: [
        { schema: 'public', name: 'warm_up', kind: 'table', access: 'read', via: '', labels: [], columns: [] },
      ],
    },
  },
};

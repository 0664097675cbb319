/** The documents of the decision contract that the core builds: subject, session context, `connect`. */
import type {
  Decision,
  Identity,
  Json,
  JsonObject,
  OperationFacts,
  Outcome,
  Principal,
  Reason,
  SessionInit,
} from './types.ts';

/** `subject` of the policy input. The token's own claims are in it; the token is not. */
export function subjectDocument(identity: Identity): JsonObject {
  return {
    type: identity.type,
    id: identity.id,
    properties: {
      issuer: identity.issuer,
      groups: [...identity.groups],
      claims: identity.claims,
      ...(identity.chain.length > 0 && { on_behalf_of: delegation(identity.chain) }),
    },
  };
}

/** The chain as nested documents: the nearest principal, and in it whom that one acts for. */
function delegation(chain: readonly Principal[]): JsonObject {
  const [nearest, ...rest] = chain;
  if (nearest === undefined) return {};
  return {
    id: nearest.id,
    issuer: nearest.issuer,
    groups: [...nearest.groups],
    ...(rest.length > 0 && { on_behalf_of: delegation(rest) }),
  };
}

/** Who, as the audit trail names it: issuer and id of the subject and of everyone it acts for. */
export function subjectForAudit(identity: Pick<Identity, 'type' | 'issuer' | 'id' | 'chain'>): JsonObject {
  return {
    type: identity.type,
    issuer: identity.issuer,
    id: identity.id,
    ...(identity.chain.length > 0 && {
      on_behalf_of: identity.chain.map((principal) => ({ issuer: principal.issuer, id: principal.id })),
    }),
  };
}

/** The `connect` operation: judged before anything is opened towards the upstream. */
export function connectFacts(init: SessionInit, labels: JsonObject): OperationFacts<undefined> {
  return {
    action: { name: 'connect', properties: { protocol: init.protocol, requested: init.requested } },
    resource: { type: 'upstream', id: init.upstream, properties: { upstream: init.upstream, labels } },
    complete: true,
    enforce: () => ({ plan: undefined }),
    describe: () => ({ requested: init.requested }),
  };
}

/** The labels `data.config` gives an upstream; empty when it gives none. */
export function upstreamLabels(config: JsonObject, upstream: string): JsonObject {
  return objectAt(objectAt(objectAt(config, 'upstreams'), upstream), 'labels');
}

/** The object under a key, or an empty one. */
export function objectAt(parent: JsonObject, key: string): JsonObject {
  const child: Json | undefined = Object.hasOwn(parent, key) ? parent[key] : undefined;
  return typeof child === 'object' && child !== null && !Array.isArray(child) ? (child as JsonObject) : {};
}

/** A decision's part of an audit event. */
export function decisionForAudit(decision: Decision): JsonObject {
  return {
    reasons: reasons(decision.reasons),
    ...(decision.shadow.length > 0 && { shadow: reasons(decision.shadow) }),
    ...(decision.labels.length > 0 && { labels: [...decision.labels] }),
    ...(decision.obligations.length > 0 && { obligations: decision.obligations.map(({ id, type }) => ({ id, type })) }),
    revisions: { bundle: decision.bundleRevision, data: decision.dataRevision },
  };
}

function reasons(list: readonly Reason[]): Json[] {
  return list.map(({ policy, code, message }) => ({ policy, code, message }));
}

/** An outcome's part of an audit event. */
export function outcomeForAudit(outcome: Outcome): JsonObject {
  return {
    status: outcome.status,
    ...(outcome.code !== undefined && { code: outcome.code }),
    ...(outcome.rows !== undefined && { rows: outcome.rows }),
    ...(outcome.bytes !== undefined && { bytes: outcome.bytes }),
    ...(outcome.maskedCells !== undefined && { masked_cells: outcome.maskedCells }),
  };
}

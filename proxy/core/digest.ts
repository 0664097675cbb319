/** What a grant is bound to: one operation of one subject, as a digest. Pure. */
import { createHash } from 'node:crypto';
import type { Identity, Json, JsonObject, OperationFacts } from './types.ts';

/**
 * A JSON value in the canonical form of RFC 8785: no white space, members in the order of their UTF-16 code units,
 * strings and numbers as ECMAScript writes them.
 *
 * @throws TypeError for what JSON cannot say or I-JSON may not: numbers that are not finite, lone surrogates.
 * @see https://www.rfc-editor.org/rfc/rfc8785
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('a number is not finite');
    // ECMAScript's own way to write a number is the RFC's, negative zero included.
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('a string is not well-formed Unicode');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError('a value is not JSON');
  const members = value as JsonObject;
  // `sort` without a comparison is by UTF-16 code units.
  const written = Object.keys(members)
    .sort()
    .map((name) => `${canonicalJson(name)}:${canonicalJson(members[name] ?? null)}`);
  return `{${written.join(',')}}`;
}

/** An operation of a subject, with everything that a grant for it is bound to. */
export interface DigestedOperation {
  readonly identity: Identity;
  readonly facts: Pick<OperationFacts<never>, 'action' | 'resource'>;
  /** Properties in the place of those of the facts: bound parameter values, and what counts otherwise than policy sees it. */
  readonly variable: JsonObject;
  /** What else is forwarded and policy does not see, as digests. */
  readonly bound: JsonObject;
}

/**
 * SHA-256, as lower-case hex, over the canonical JSON of who (subject and delegation chain as issuer and id, not the
 * token's claims, which change when it is refreshed), what (action with parameter values) and on what.
 *
 * @throws TypeError when something in it is not I-JSON.
 */
export function operationDigest({ identity, facts, variable, bound }: DigestedOperation): string {
  const { action, resource } = facts;
  return sha256({
    ...who(identity),
    action: { name: action.name, properties: { ...action.properties, ...variable } },
    resource: { type: resource.type, id: resource.id, properties: resource.properties },
    bound,
  });
}

/**
 * The digest of a shape: every operation of this subject and chain, at this upstream, that differs in values only.
 *
 * @param shape - the protocol's own word for what does not differ (the hash of a syntax tree)
 */
export function shapeDigest(identity: Identity, upstream: string, resource: OperationFacts['resource'], shape: string) {
  return sha256({ ...who(identity), upstream, resource: { type: resource.type, id: resource.id }, shape });
}

function who({ issuer, id, chain }: Identity): JsonObject {
  return { subject: { issuer, id }, chain: chain.map((principal) => ({ issuer: principal.issuer, id: principal.id })) };
}

function sha256(document: JsonObject): string {
  return createHash('sha256').update(canonicalJson(document)).digest('hex');
}

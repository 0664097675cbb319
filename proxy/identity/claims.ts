import type { JWTPayload } from 'jose';
import { limits } from '../core/limits.ts';
import type { Identity, Json, JsonObject, Principal } from '../core/types.ts';
import type { Issuer } from './options.ts';
import { invalid } from './verify.ts';

/** Claims that policy does not see again: they are elsewhere in the identity, or differ from token to token. */
const plumbing: ReadonlySet<string> = new Set(['iss', 'sub', 'act', 'exp', 'iat', 'nbf', 'jti']);

/**
 * Who a verified token speaks of. With `act` the actor is the subject and `sub` the one on whose behalf it acts, then
 * come the earlier actors, from the nearest on. Each has the groups its own part of the token gives it: an agent does
 * not inherit those of the person it works for.
 *
 * @throws GatewayError `credential_invalid` when a principal is malformed or a bound is passed. Nothing is left out
 *   silently: a claim that policy does not see could be the one that forbids.
 * @see https://www.rfc-editor.org/rfc/rfc8693#section-4.1
 */
export function toIdentity(payload: JWTPayload, issuer: Issuer): Identity {
  const granter = principal(payload, issuer);
  const [actor, ...earlier] = actors(payload.act, issuer);
  const chain = actor === undefined ? [] : [granter, ...earlier];
  return Object.freeze({
    type: 'agent',
    ...(actor ?? granter),
    claims: claimsOf(payload, issuer),
    chain: Object.freeze(chain),
    // A token within the skew was accepted; its session must not end before it began.
    expiresAtMs: ((payload.exp ?? 0) + issuer.clockSkewSeconds) * 1000,
  });
}

/** The `act` claim as a list, current actor first. */
function actors(act: unknown, issuer: Issuer): readonly Principal[] {
  const found: Principal[] = [];
  for (let claim = act; claim !== undefined; ) {
    if (!isObject(claim)) throw invalid('The token’s act claim is malformed.');
    if (found.length === limits.actorChainMax) throw invalid('The token’s chain of actors is too long.');
    // An issuer speaks for its own subjects. One that names another's would let the weakest issuer speak for all.
    if (claim.iss !== undefined && claim.iss !== issuer.issuer) {
      throw invalid('The token names an actor of another issuer.');
    }
    found.push(principal(claim, issuer));
    claim = claim.act;
  }
  return found;
}

function principal(claims: Readonly<Record<string, unknown>>, issuer: Issuer): Principal {
  const groups = claims[issuer.groupsClaim] ?? [];
  if (!Array.isArray(groups)) throw invalid('The token’s groups are not a list.', issuer.groupsClaim);
  if (groups.length > limits.groupsMax) throw invalid('The token has too many groups.', issuer.groupsClaim);
  return Object.freeze({
    issuer: issuer.issuer,
    id: name(claims.sub, 'sub'),
    groups: Object.freeze(groups.map((group: unknown) => name(group, issuer.groupsClaim))),
  });
}

/** A name that compares the same wherever it goes: no control characters, nothing UTF-8 would have to replace. */
function name(value: unknown, claim: string): string {
  if (typeof value !== 'string' || value === '' || !value.isWellFormed() || /\p{Cc}/u.test(value)) {
    throw invalid('The token names somebody in a way that cannot be accepted.', claim);
  }
  if (Buffer.byteLength(value) > limits.principalBytesMax) throw invalid('A name in the token is too long.', claim);
  return value;
}

/** The other claims, as they are. Bounded in depth and number here, and in size by the token's own bound. */
function claimsOf(payload: JWTPayload, issuer: Issuer): JsonObject {
  let members = 0;
  const copy = (value: unknown, depth: number): Json => {
    if (++members > limits.claimsMembersMax) throw invalid('The token has too many claims.');
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (depth > limits.claimsDepthMax) throw invalid('The token’s claims are nested too deeply.');
    if (Array.isArray(value)) return Object.freeze(value.map((item: unknown) => copy(item, depth + 1)));
    if (isObject(value)) return freeze(Object.entries(value).map(([key, item]) => [key, copy(item, depth + 1)]));
    throw invalid('A claim of the token cannot be read.');
  };
  const shown = Object.entries(payload).filter(([claim]) => !plumbing.has(claim) && claim !== issuer.groupsClaim);
  return freeze(shown.map(([claim, value]) => [claim, copy(value, 1)]));
}

/** `fromEntries` defines members rather than assigning them, so a claim named `__proto__` stays a claim. */
function freeze(entries: readonly (readonly [string, Json])[]): JsonObject {
  return Object.freeze(Object.fromEntries(entries));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

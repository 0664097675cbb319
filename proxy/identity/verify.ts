import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import { GatewayError } from '../core/errors.ts';
import type { KeySet } from './key-set.ts';
import type { Issuer } from './options.ts';

/** An issuer and its keys. */
export interface TrustedIssuer {
  readonly issuer: Issuer;
  readonly keys: KeySet;
}

/** Three base64url parts: a JWS in compact form. Five would be encrypted, and nothing else is a token. */
const compactJws = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * The issuer a token says it is from. Nothing is verified yet: this only chooses whose keys and rules apply.
 *
 * @throws GatewayError `credential_missing`, or `credential_invalid` when it is no token or of no configured issuer.
 */
export function issuerOf(token: string, issuers: ReadonlyMap<string, TrustedIssuer>): TrustedIssuer {
  if (token === '') throw new GatewayError('credential_missing', 'No token was sent.');
  if (!compactJws.test(token)) throw invalid('The credential is not a signed token.');
  let named: unknown;
  try {
    named = decodeJwt(token).iss;
  } catch {
    throw invalid('The token cannot be read.');
  }
  const found = typeof named === 'string' ? issuers.get(named) : undefined;
  if (found === undefined) throw invalid('The token’s issuer is not one this gateway trusts.');
  return found;
}

/**
 * Verifies a token's signature, then everything its claims say about whether it may be used here and now.
 *
 * @returns its claims: `iss`, `aud`, `exp` and `iat` are checked, and it is no ID token and bound to no key.
 * @throws GatewayError `credential_invalid`, `credential_expired` or `identity_unavailable`.
 * @see https://www.rfc-editor.org/rfc/rfc8725 https://www.rfc-editor.org/rfc/rfc9068#section-4
 */
export async function verifyToken(token: string, { issuer, keys }: TrustedIssuer, nowMs: number): Promise<JWTPayload> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys.find, {
      algorithms: [...issuer.algorithms],
      issuer: issuer.issuer,
      audience: issuer.audience,
      requiredClaims: ['iss', 'aud', 'exp', 'iat', 'sub'],
      clockTolerance: issuer.clockSkewSeconds,
      currentDate: new Date(nowMs),
      ...(issuer.typ === 'at+jwt' ? { typ: 'at+jwt' } : {}),
    });
    if (issuer.typ === 'any') checkKind(protectedHeader.typ, payload);
    checkTimes(payload, issuer, nowMs);
    checkParty(payload, issuer);
    checkBinding(payload);
    return payload;
  } catch (error) {
    throw error instanceof GatewayError ? error : translate(error);
  }
}

/** Where access tokens are not marked, at least what is marked as something else, or smells of it, is refused. */
function checkKind(typ: string | undefined, payload: JWTPayload): void {
  const kind = typ?.toLowerCase().replace(/^application\//, '') ?? 'jwt';
  const foreign = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events'].find((claim) => payload[claim] !== undefined);
  // Keycloak says in a claim what the others say in the header.
  const says = payload.typ;
  const other = typeof says === 'string' && !['bearer', 'jwt', 'at+jwt'].includes(says.toLowerCase());
  if ((kind !== 'jwt' && kind !== 'at+jwt') || foreign !== undefined || other) {
    throw invalid('The token is not an access token.');
  }
}

/** `exp` and `nbf` are verified by then; `iat` is not, and says how long the token lives. */
function checkTimes(payload: JWTPayload, issuer: Issuer, nowMs: number): void {
  const { iat = Number.NaN, exp = Number.NaN } = payload;
  if (!(iat <= nowMs / 1000 + issuer.clockSkewSeconds)) throw invalid('The token was issued in the future.');
  if (!(exp - iat <= issuer.tokenLifetimeSeconds)) throw invalid('The token lives longer than this gateway accepts.');
}

/** The client it was issued to. Both claims name it; when both are there both must be on the list. */
function checkParty(payload: JWTPayload, issuer: Issuer): void {
  const allowed = issuer.authorizedParties;
  if (allowed === undefined) return;
  const parties = [payload.azp, payload.client_id].filter((party) => party !== undefined);
  const listed = (party: unknown): boolean => typeof party === 'string' && allowed.includes(party);
  if (parties.length === 0 || !parties.every(listed))
    throw invalid('The token was issued to a client that is not allowed here.');
}

/** RFC 7800: a token bound to a key is worth nothing without proof of that key, and a password field carries no proof. */
function checkBinding(payload: JWTPayload): void {
  if (payload.cnf !== undefined) throw invalid('The token is bound to a key, which cannot be proven here.');
}

/** jose's errors carry the claims, so they are not kept as a cause: what failed is, by name. */
function translate(error: unknown): GatewayError {
  if (error instanceof errors.JWTExpired) return new GatewayError('credential_expired', 'The token has expired.');
  if (error instanceof errors.JWTClaimValidationFailed) {
    const message = claimMessages[error.claim] ?? 'A claim of the token is not acceptable.';
    return invalid(message, `${error.claim}: ${error.reason}`);
  }
  if (error instanceof errors.JWKSNoMatchingKey) return invalid('The token’s key is not one of its issuer’s.');
  if (error instanceof errors.JWSSignatureVerificationFailed) return invalid('The token’s signature does not verify.');
  if (error instanceof errors.JOSEAlgNotAllowed) return invalid('The token’s algorithm is not allowed.');
  return invalid('The token cannot be verified.', error instanceof errors.JOSEError ? error.code : 'unexpected error');
}

const claimMessages: Readonly<Record<string, string>> = {
  aud: 'The token is for another audience.',
  iss: 'The token’s issuer is not one this gateway trusts.',
  nbf: 'The token is not valid yet.',
  typ: 'The token is not an access token.',
};

/** A `credential_invalid` whose cause names what failed, never the token. */
export function invalid(message: string, what?: string): GatewayError {
  return new GatewayError('credential_invalid', message, what === undefined ? undefined : { cause: new Error(what) });
}

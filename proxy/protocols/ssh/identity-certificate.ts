/**
 * An identity in a user certificate of the gateway's own authority. It is a critical option, because a server that does
 * not know one refuses the certificate: an sshd that trusts the gateway's authority by mistake lets no agent in past the
 * gateway. Nothing else is allowed by it either: it carries no extension, and those are what permits things.
 */
import type { KeyObject } from 'node:crypto';
import { limits } from '../../core/limits.ts';
import type { Fault, Identity, Json, JsonObject, Principal } from '../../core/types.ts';
import { type Certificate, verifyCertificate } from './certificate.ts';
import type { PublicKey } from './public-key.ts';
import { signCertificate } from './sign-certificate.ts';
import { WireReader, wireString } from './wire.ts';

/** The critical option that holds the identity. */
export const identityOption = 'identity@sallyport';

/** How an identity is certified. */
export interface IdentityCertificateRequest {
  readonly identity: Identity;
  /** The agent's key. */
  readonly publicKey: PublicKey;
  /** The gateway's authority: an Ed25519 private key. */
  readonly authority: KeyObject;
  /** Names of the upstreams that it is good for. */
  readonly principals: readonly string[];
  readonly nowMs: number;
  /** Past `limits.sshCertificateLifetimeSecondsMax` it is that. */
  readonly lifetimeSeconds: number;
  readonly random: (size: number) => Uint8Array;
}

/** What people read in logs for a principal. Never compared: two principals can have the same. */
export function label({ issuer, id }: Principal): string {
  return `${issuer}#${id}`;
}

/**
 * Certifies that the holder of a key acts as an agent, until the earlier of the certificate's lifetime and the token's end.
 *
 * @returns the certificate, or a fault when nothing is left of the token's life or the identity does not fit into one.
 */
export function certifyIdentity(
  request: IdentityCertificateRequest,
): { readonly blob: Buffer; readonly expiresAtMs: number } | { readonly fault: Fault } {
  const { identity, publicKey, authority, principals, nowMs, random } = request;
  const lifetimeMs = Math.min(request.lifetimeSeconds, limits.sshCertificateLifetimeSecondsMax) * 1000;
  const endMs = Math.min(nowMs + lifetimeMs, identity.expiresAtMs);
  const validBefore = Math.floor(endMs / 1000);
  if (!(validBefore * 1000 > nowMs))
    return { fault: { code: 'credential_expired', message: 'The token has expired.' } };
  const text = serialize(identity);
  if (identity.type !== 'agent' || parse(text) === undefined) return { fault: unfit };
  const blob = signCertificate(authority, {
    type: 'user',
    publicKey,
    serial: Buffer.from(random(8)).readBigUInt64BE(),
    keyId: label(identity),
    principals,
    validAfter: BigInt(Math.max(0, Math.floor(nowMs / 1000) - limits.clockSkewSecondsMax)),
    validBefore: BigInt(validBefore),
    criticalOptions: new Map([[identityOption, wireString(text)]]),
    extensions: new Map(),
    nonce: random(32),
  });
  return blob === undefined ? { fault: unfit } : { blob, expiresAtMs: validBefore * 1000 };
}

const unfit: Fault = { code: 'limit_reached', message: 'The identity does not fit into a certificate.' };

/** For whom, when and by whom a certificate must be. */
export interface IdentityExpectation {
  /** The public key of the gateway's authority, as SSH writes it. */
  readonly authority: Buffer;
  /** The upstream that is asked for. */
  readonly principal: string;
  readonly nowMs: number;
}

/**
 * Who holds a certificate that the gateway issued. It is verified, and must be as {@link certifyIdentity} makes them in
 * every detail. That the client has the key to it is for its signature to show.
 *
 * @returns the identity, which ends with the certificate, or a fault: `credential_expired` or `credential_invalid`.
 */
export function identityFromCertificate(
  certificate: Certificate,
  { authority, principal, nowMs }: IdentityExpectation,
): { readonly identity: Identity } | { readonly fault: Fault } {
  const result = verifyCertificate(certificate, {
    ...{ type: 'user', authorities: [authority], principal, nowMs },
    knownCriticalOptions: [identityOption],
  });
  if ('fault' in result) return result;
  const { criticalOptions, extensions, validBefore } = result.verified;
  const option = new WireReader(criticalOptions.get(identityOption) ?? Buffer.alloc(0));
  const bytes = option.string();
  const text = bytes.toString('utf8');
  const found = option.done && Buffer.from(text, 'utf8').equals(bytes) ? parse(text) : undefined;
  const endMs = Number(validBefore) * 1000;
  if (extensions.size > 0 || found === undefined || endMs > found.expiresAtMs) {
    return { fault: { code: 'credential_invalid', message: 'The certificate does not carry an identity.' } };
  }
  return { identity: Object.freeze({ ...found, expiresAtMs: endMs }) };
}

/** One way to write an identity, so that one read from elsewhere is recognised by being written otherwise. */
function serialize({ issuer, id, groups, claims, chain, expiresAtMs }: Identity): string {
  const written = {
    ...{ issuer, id, groups, claims },
    chain: chain.map((principal) => ({ issuer: principal.issuer, id: principal.id, groups: principal.groups })),
    token_expires_at_ms: Math.floor(expiresAtMs),
  };
  return JSON.stringify(written);
}

/** `expiresAtMs` of the result is the token's. */
function parse(text: string): Identity | undefined {
  if (Buffer.byteLength(text) > limits.sshIdentityBytesMax) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { claims, chain, token_expires_at_ms: expiresAtMs } = value;
  if (!isPrincipal(value) || !isObject(claims) || !isJson(claims, { members: 0 }, 0)) return undefined;
  if (!Array.isArray(chain) || chain.length > limits.actorChainMax + 1) return undefined;
  if (typeof expiresAtMs !== 'number') return undefined;
  const identity: Identity = Object.freeze({
    type: 'agent',
    ...principalOf(value),
    claims: frozen(claims),
    chain: Object.freeze(chain.filter(isPrincipal).map(principalOf)),
    expiresAtMs,
  });
  // Unknown members, members twice, another order, blanks: all of them are gone by now, and make a difference.
  return serialize(identity) === text ? identity : undefined;
}

function principalOf({ issuer, id, groups }: Principal): Principal {
  return Object.freeze({ issuer, id, groups: Object.freeze([...groups]) });
}

function isPrincipal(value: unknown): value is Principal {
  if (!isObject(value)) return false;
  const { issuer, id, groups } = value;
  if (!isName(issuer) || !isName(id)) return false;
  return Array.isArray(groups) && groups.length <= limits.groupsMax && groups.every(isName);
}

/** As the identity service accepts them: no control characters, nothing UTF-8 would have to replace. */
function isName(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || !value.isWellFormed() || /\p{Cc}/u.test(value)) return false;
  return Buffer.byteLength(value) <= limits.principalBytesMax;
}

function isJson(value: unknown, count: { members: number }, depth: number): value is Json {
  if (++count.members > limits.claimsMembersMax + 1 || depth > limits.claimsDepthMax + 1) return false;
  if (typeof value !== 'object' || value === null) return true; // JSON.parse makes no other primitives than JSON's
  return Object.values(value).every((item) => isJson(item, count, depth + 1));
}

function isObject(value: unknown): value is Record<string, unknown> & JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function frozen<T extends Json>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const item of Object.values(value)) frozen(item);
  return Object.freeze(value);
}

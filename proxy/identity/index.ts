import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Clock, IdentityPort } from '../core/ports.ts';
import { toIdentity } from './claims.ts';
import { KeySet, type KeySetEvent } from './key-set.ts';
import { type IssuerOptions, parseIssuers } from './options.ts';
import { TokenCache } from './token-cache.ts';
import { issuerOf, type TrustedIssuer, verifyToken } from './verify.ts';

export type { KeySetEvent } from './key-set.ts';
export type { IssuerOptions } from './options.ts';

/** Something between the gateway and an issuer, for the metrics and the log. */
export interface IdentityEvent {
  readonly issuer: string;
  readonly event: KeySetEvent;
  /** What went wrong, when something did. Never contains a token. */
  readonly error?: string | undefined;
}

/** What {@link createIdentity} needs. */
export interface IdentityOptions {
  readonly issuers: readonly IssuerOptions[];
  readonly clock: Clock;
  readonly onEvent?: (event: IdentityEvent) => void;
}

/** Credential → Identity, and how to end it. */
export interface IdentityService extends IdentityPort {
  /** True while the keys of every configured issuer are at hand. */
  readonly ready: boolean;
  close(): void;
}

/**
 * Verifies OIDC access tokens. Resolves after the first attempt to reach each issuer, whatever came of it: a gateway
 * may start before its identity provider, is not `ready` until then, and keeps trying.
 *
 * @throws Error that names the issuer and the option, when the options cannot be accepted.
 */
export async function createIdentity(options: IdentityOptions): Promise<IdentityService> {
  const { clock, onEvent } = options;
  const issuers = new Map<string, TrustedIssuer>();
  for (const issuer of parseIssuers(options.issuers)) {
    const keys = new KeySet(issuer, clock, (event, error) => onEvent?.({ issuer: issuer.issuer, event, error }));
    issuers.set(issuer.issuer, { issuer, keys });
  }
  const sets = [...issuers.values()].map(({ keys }) => keys);
  const cache = new TokenCache(clock);
  await Promise.all(sets.map((keys) => keys.start()));

  return {
    get ready() {
      return sets.every((keys) => keys.usable);
    },
    async authenticate({ secret: token }) {
      // Before anything reads it, hashing included.
      if (token.length > limits.tokenBytesMax) throw new GatewayError('credential_invalid', 'The token is too large.');
      const known = cache.get(token);
      if (known !== undefined) return known;
      const trusted = issuerOf(token, issuers);
      const { generation } = trusted.keys;
      const identity = toIdentity(await verifyToken(token, trusted, clock.nowMs()), trusted.issuer);
      cache.set(token, identity, trusted.keys, generation);
      return identity;
    },
    close() {
      for (const keys of sets) keys.close();
    },
  };
}

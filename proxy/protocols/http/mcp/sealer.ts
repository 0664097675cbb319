import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Identity } from '../../../core/types.ts';
import { canonicalJson } from './digest.ts';

/** Whom something belongs to: a subject with everybody it acts for, at one upstream. */
export interface Owner {
  readonly identity: Identity;
  readonly upstream: string;
}

/** An owner as text: equal for equal owners only. */
export function ownerKey({ identity, upstream }: Owner): string {
  const chain = identity.chain.map(({ issuer, id }) => [issuer, id]);
  return canonicalJson([identity.type, identity.issuer, identity.id, chain, upstream]);
}

/**
 * Hands out words of an upstream (event ids, request states) so that they come back only from whom they were given to,
 * and for what: each carries a keyed hash over its scope. Nothing is kept, so nothing can be exhausted.
 */
export class Sealer {
  readonly #key: Uint8Array;

  /** @param key - 32 random bytes of this process; what was sealed before a restart is not accepted after it. */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** Only characters that a header field may have: `base64url.base64url`. */
  seal(scope: readonly string[], text: string): string {
    return `${this.#mac(scope, text).toString('base64url')}.${Buffer.from(text).toString('base64url')}`;
  }

  /** What was sealed; undefined when it was not, or not for this scope. */
  open(scope: readonly string[], sealed: string): string | undefined {
    const [mac = '', content = '', ...rest] = sealed.split('.');
    if (rest.length > 0) return undefined;
    const text = Buffer.from(content, 'base64url').toString();
    const given = Buffer.from(mac, 'base64url');
    const expected = this.#mac(scope, text);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    return this.seal(scope, text) === sealed ? text : undefined;
  }

  #mac(scope: readonly string[], text: string): Buffer {
    return createHmac('sha256', this.#key)
      .update(canonicalJson([...scope, text]))
      .digest();
  }
}

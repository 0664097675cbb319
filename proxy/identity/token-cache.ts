import { hash } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { Clock } from '../core/ports.ts';
import type { Identity } from '../core/types.ts';
import type { KeySet } from './key-set.ts';

interface Entry {
  readonly identity: Identity;
  readonly keys: KeySet;
  readonly generation: number;
  readonly untilMs: number;
}

/**
 * Tokens verified lately, by their SHA-256: an agent with a connection pool presents the same one many times over.
 * An entry lasts `limits.tokenCacheMsMax`, not past the token's expiry and not past a change of its issuer's keys,
 * so a withdrawn key takes its tokens along. The oldest makes room for the newest.
 */
export class TokenCache {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The identity of a token that still holds. */
  get(token: string): Identity | undefined {
    const digest = hash('sha256', token, 'base64url');
    const entry = this.#entries.get(digest);
    if (entry === undefined) return undefined;
    const expired = this.#clock.nowMs() >= entry.identity.expiresAtMs || this.#clock.monotonicMs() >= entry.untilMs;
    if (!expired && entry.keys.usable && entry.generation === entry.keys.generation) return entry.identity;
    this.#entries.delete(digest);
    return undefined;
  }

  /** @param generation - of `keys` when the verification began, so that a rotation meanwhile is not missed. */
  set(token: string, identity: Identity, keys: KeySet, generation: number): void {
    const untilMs = this.#clock.monotonicMs() + limits.tokenCacheMsMax;
    this.#entries.set(hash('sha256', token, 'base64url'), { identity, keys, generation, untilMs });
    if (this.#entries.size <= limits.tokenCacheEntriesMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}

import { hash } from 'node:crypto';
import { limits } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import type { Fault } from '../../core/types.ts';

/**
 * Which key each token was exchanged for. A token that was sent once buys certificates for that key only: whoever steals
 * it afterwards cannot have another key certified with it. It is this process that remembers: a restart forgets, and
 * so the tokens should be short-lived.
 */
export class IssuedKeys {
  readonly #clock: Clock;
  readonly #issued = new Map<string, { readonly key: Buffer; readonly untilMs: number }>();
  #firstEndMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Binds a verified token to a key, until the token expires.
   *
   * @param key - the public key as SSH writes it.
   * @returns a fault when it is bound to another key, or when `limits.sshExchangedTokensMax` tokens are bound.
   */
  bind(token: string, key: Buffer, expiresAtMs: number): Fault | undefined {
    const digest = digestOf(token);
    const nowMs = this.#clock.nowMs();
    const found = this.#issued.get(digest);
    if (found !== undefined && nowMs < found.untilMs) {
      if (found.key.equals(key)) return undefined;
      return {
        code: 'credential_invalid',
        message: 'The token was already exchanged for another key. Get a fresh one.',
      };
    }
    if (this.#issued.size >= limits.sshExchangedTokensMax) this.#forget(nowMs);
    if (this.#issued.size >= limits.sshExchangedTokensMax) {
      return { code: 'limit_reached', message: 'Too many tokens were exchanged lately.' };
    }
    this.#issued.set(digest, { key: Buffer.from(key), untilMs: expiresAtMs });
    this.#firstEndMs = Math.min(this.#firstEndMs, expiresAtMs);
    return undefined;
  }

  /** Whether a token was exchanged, and has not expired since. */
  isBound(token: string): boolean {
    const found = this.#issued.get(digestOf(token));
    return found !== undefined && this.#clock.nowMs() < found.untilMs;
  }

  /** Looks at all of them, but only when at least one has expired since. */
  #forget(nowMs: number): void {
    if (nowMs < this.#firstEndMs) return;
    this.#firstEndMs = Number.POSITIVE_INFINITY;
    for (const [digest, { untilMs }] of this.#issued) {
      if (nowMs >= untilMs) this.#issued.delete(digest);
      else this.#firstEndMs = Math.min(this.#firstEndMs, untilMs);
    }
  }
}

/**
 * What a token's signature covers, without the signature: that can be written in several ways (unused bits of its last
 * letter, the other `s` of ECDSA), all of which verify, and each of which would otherwise be another token.
 */
function digestOf(token: string): string {
  const signature = token.lastIndexOf('.');
  return hash('sha256', signature < 0 ? token : token.slice(0, signature), 'base64url');
}

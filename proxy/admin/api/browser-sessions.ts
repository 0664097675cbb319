import { randomBytes } from 'node:crypto';
import { limits } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import type { Principal } from '../../core/types.ts';

interface BrowserSession {
  readonly principal: Principal;
  readonly startedMs: number;
  usedMs: number;
}

/** The key of a session of a browser: 256 bits that nobody guesses. */
export const browserKeyPattern = /^[\w-]{43}$/;

/**
 * Browsers that are signed in, in memory: a restart signs everybody out, and two gateways share none. Bounded in number
 * (whoever was longest without a request gives way) and in time.
 */
export class BrowserSessions {
  readonly #clock: Clock;
  /** In the order of their last use. */
  readonly #sessions = new Map<string, BrowserSession>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Signs somebody in. @returns the key, for a cookie. */
  open(principal: Principal): string {
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined && this.#sessions.size >= limits.consoleBrowserSessionsMax) this.#sessions.delete(oldest);
    const key = randomBytes(32).toString('base64url');
    const nowMs = this.#clock.monotonicMs();
    this.#sessions.set(key, { principal, startedMs: nowMs, usedMs: nowMs });
    return key;
  }

  /** Who has this key, if it still opens anything. Using it keeps it from idling. */
  use(key: string): Principal | undefined {
    const session = this.#sessions.get(key);
    if (session === undefined) return undefined;
    const nowMs = this.#clock.monotonicMs();
    this.#sessions.delete(key);
    const over =
      nowMs - session.startedMs >= limits.consoleSessionMs || nowMs - session.usedMs >= limits.consoleSessionIdleMs;
    if (over) return undefined;
    session.usedMs = nowMs;
    this.#sessions.set(key, session);
    return session.principal;
  }

  close(key: string): void {
    this.#sessions.delete(key);
  }
}

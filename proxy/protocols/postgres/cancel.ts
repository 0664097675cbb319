/**
 * Cancel keys. A client is given a key of the gateway's own, random, never the upstream's: what it can
 * cancel is its own session, and nothing else.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Limits } from '../../core/limits.ts';

/** What a client is told in BackendKeyData. */
export interface CancelKey {
  /** A random number of 31 bits, not a process. Unique among the live ones. */
  readonly pid: number;
  /** Four random bytes. */
  readonly secret: Buffer;
}

interface Entry {
  readonly key: CancelKey;
  readonly cancel: () => Promise<void>;
  inFlight: number;
}

/** A cancel request as the front hands it over. */
export interface CancelAttempt {
  readonly pid: number;
  readonly secret: Buffer;
  readonly socket: Duplex;
}

/** The keys of the live sessions of one adapter. As large as the number of its sessions. */
export class CancelRegistry {
  readonly #limits: Pick<Limits, 'postgresCancelsMax' | 'postgresCancelsPerSessionMax'>;
  readonly #random: (size: number) => Buffer;
  readonly #entries = new Map<number, Entry>();
  /** What an unknown pid is compared with, so that it takes as long as a known one. */
  readonly #nobody: Buffer;
  #inFlight = 0;

  constructor(options: {
    readonly limits: Pick<Limits, 'postgresCancelsMax' | 'postgresCancelsPerSessionMax'>;
    readonly random?: (size: number) => Buffer;
  }) {
    this.#limits = options.limits;
    this.#random = options.random ?? randomBytes;
    this.#nobody = this.#random(4);
  }

  /** A key for a session. `cancel` cancels what runs in it and settles when the upstream has dealt with that. */
  register(cancel: () => Promise<void>): CancelKey {
    let pid = 0;
    // Not negative and not 0: clients show it, and some take those for the lack of one.
    while (pid === 0 || this.#entries.has(pid)) pid = this.#random(4).readUInt32BE() >>> 1;
    const key = { pid, secret: this.#random(4) };
    this.#entries.set(pid, { key, cancel, inFlight: 0 });
    return key;
  }

  /** Forgets a key: its session ended. */
  release(key: CancelKey): void {
    if (this.#entries.get(key.pid)?.key === key) this.#entries.delete(key.pid);
  }

  /**
   * Carries out a cancel request, or silently does not: whoever asks learns nothing. The client's socket is held until
   * the upstream is done, so that a client that waits for its close never cancels its own next statement. Settles when
   * the socket is closed; never rejects.
   */
  async cancel(attempt: CancelAttempt): Promise<void> {
    const { socket } = attempt;
    socket.on('error', () => {});
    const entry = this.#find(attempt);
    if (entry !== undefined && this.#inFlight < this.#limits.postgresCancelsMax) {
      if (entry.inFlight < this.#limits.postgresCancelsPerSessionMax) {
        this.#inFlight++;
        entry.inFlight++;
        await entry.cancel().catch(() => {});
        this.#inFlight--;
        entry.inFlight--;
      }
    }
    socket.end(() => socket.destroy());
  }

  #find({ pid, secret }: CancelAttempt): Entry | undefined {
    const entry = this.#entries.get(pid);
    const expected = entry?.key.secret ?? this.#nobody;
    const same = secret.length === expected.length && timingSafeEqual(secret, expected);
    return same ? entry : undefined;
  }
}

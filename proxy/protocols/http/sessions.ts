import type { SessionHandle } from '../../core/ports.ts';
import type { Fault, Refusal } from '../../core/types.ts';

/** A session that is not closed under a request: its holder says when it is done. */
export interface HeldSession {
  readonly session: SessionHandle;
  /** To be called once. */
  release(): void;
}

type Held = HeldSession | { readonly refusal: Refusal } | { readonly fault: Fault };
type Opened = { readonly session: SessionHandle } | { readonly refusal: Refusal };

interface Entry {
  readonly session: SessionHandle;
  /** Requests that are being served with it. */
  inFlight: number;
}

/** The sessions of one client connection, one for each upstream and token: as many as there is room for, the idle ones replaced. */
export class ConnectionSessions {
  readonly #max: number;
  /** The oldest first. */
  readonly #entries = new Map<string, Entry>();
  /** Requests that came together look for their session one after the other: none is opened that nobody closes. */
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  /** @param max - sessions open at a time */
  constructor(max: number) {
    this.#max = max;
  }

  /**
   * The session under a key: the one of earlier requests while it lives.
   *
   * @param open - opens one; it is closed by this table
   * @returns the gate's refusal to open one, or a fault: all of them are in use, or the connection is gone
   * @throws what `open` throws
   */
  hold(key: string, open: () => Promise<Opened>): Held | Promise<Held> {
    const known = this.#waiting === 0 ? this.#entries.get(key) : undefined;
    if (known !== undefined && !known.session.signal.aborted) return held(known);
    this.#waiting += 1;
    const asked = this.#turn
      .then(() => this.#find(key, open))
      .finally(() => {
        this.#waiting -= 1;
      });
    this.#turn = asked.catch(() => {});
    return asked;
  }

  /** Closes all of them, those in use as well: the client is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#turn;
    for (const { session } of this.#entries.values()) await session.close({ status: 'ok' });
    this.#entries.clear();
  }

  async #find(key: string, open: () => Promise<Opened>): Promise<Held> {
    const known = this.#entries.get(key);
    if (known !== undefined && !known.session.signal.aborted) return held(known);
    if (known !== undefined) {
      this.#entries.delete(key);
      await known.session.close({ status: 'aborted' });
    }
    if (!(await this.#makeRoom())) return { fault: allInUse };
    const opened = await open();
    if ('refusal' in opened) return opened;
    if (this.#closed) {
      await opened.session.close({ status: 'aborted', code: 'client_gone' });
      return { fault: { code: 'internal_error', message: 'The connection is gone.' } };
    }
    const entry: Entry = { session: opened.session, inFlight: 0 };
    this.#entries.set(key, entry);
    return held(entry);
  }

  async #makeRoom(): Promise<boolean> {
    if (this.#entries.size < this.#max) return true;
    for (const [key, { session, inFlight }] of this.#entries) {
      if (inFlight > 0) continue;
      this.#entries.delete(key);
      await session.close({ status: 'ok' });
      return true;
    }
    return false;
  }
}

const allInUse: Fault = {
  code: 'limit_reached',
  message: 'Too many tokens are in use on this connection: open another one.',
};

function held(entry: Entry): HeldSession {
  entry.inFlight += 1;
  return {
    session: entry.session,
    release: () => {
      entry.inFlight -= 1;
    },
  };
}

import { limits } from './limits.ts';
import type { AuditPort, Authorization, RecordFrame } from './ports.ts';
import { refusalOf } from './refusal.ts';
import type { JsonObject, Outcome, Principal, Refusal, SessionInit } from './types.ts';

/** Told of every frame of a session as it is recorded. What it throws would be the session's problem: it must not. */
export type FrameListener = (frame: RecordFrame) => void;

/** What a session did so far, and who watches. Counting costs a few additions; nothing is kept for watchers who are not there. */
export class Activity {
  operations = 0;
  refusals = 0;
  #finishedBytes = 0;
  /** Bytes recorded of operations that have not finished, by decision id. */
  readonly #running = new Map<string, number>();
  readonly #watchers = new Set<FrameListener>();

  /** Bytes that the client was sent of results: as finished operations said, or as recorded where they did not say more. */
  get bytes(): number {
    let bytes = this.#finishedBytes;
    for (const running of this.#running.values()) bytes += running;
    return bytes;
  }

  /** Counts one judged operation, and hands its answer on. */
  judged<Answer extends Authorization | Promise<Authorization>>(answer: Answer): Answer {
    this.operations += 1;
    // A rejection is whoever's who waits for the answer.
    if (answer instanceof Promise) {
      answer.then(
        (given) => this.#refused(given),
        () => {},
      );
    } else this.#refused(answer);
    return answer;
  }

  #refused(answer: Authorization): void {
    if ('refusal' in answer) this.refusals += 1;
  }

  /** Counts a frame, and shows it to whoever watches. */
  recorded(frame: RecordFrame): void {
    const { decisionId = '', data } = frame;
    if (data instanceof Uint8Array) this.#count(decisionId, data.length);
    for (const watcher of this.#watchers) watcher(frame);
  }

  #count(decisionId: string, bytes: number): void {
    const [oldest] = this.#running.keys();
    if (oldest !== undefined && this.#running.size >= limits.consoleRunningOperationsMax) {
      this.#finishedBytes += this.#running.get(oldest) ?? 0;
      this.#running.delete(oldest);
    }
    this.#running.set(decisionId, (this.#running.get(decisionId) ?? 0) + bytes);
  }

  /** An operation has finished: what it says of its bytes counts, if that is more than was recorded. */
  completed(decisionId: string, outcome: Outcome): void {
    this.#finishedBytes += Math.max(this.#running.get(decisionId) ?? 0, outcome.bytes ?? 0);
    this.#running.delete(decisionId);
  }

  /** Shows every further frame to a listener; undefined when there are too many already. Returns how to stop. */
  watch(listener: FrameListener): (() => void) | undefined {
    if (this.#watchers.size >= limits.consoleWatchersPerSessionMax) return undefined;
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }
}

/** An open session as people see it. */
export interface LiveSession {
  readonly id: string;
  readonly protocol: string;
  readonly upstream: string;
  readonly subject: Principal;
  /** On whose behalf, nearest first. */
  readonly chain: readonly Principal[];
  readonly clientAddress: string;
  readonly application: string;
  readonly startedAtMs: number;
  readonly operations: number;
  readonly refusals: number;
  readonly bytes: number;
  /** True once it was told to end and its client has not gone yet. */
  readonly ending: boolean;
}

/** Who ends a session, and why. */
export interface Ending {
  readonly by: Principal;
  /** What they wrote: told to the client, and audited. May be empty. */
  readonly reason: string;
  /** `console`, `cli`, …. */
  readonly channel: string;
  readonly clientAddress: string;
}

/** What this part needs of a session. */
interface Watchable {
  readonly id: string;
  readonly init: SessionInit;
  readonly startedAtMs: number;
  readonly ended: Refusal | undefined;
  readonly activity: Activity;
  end(refusal: Refusal): void;
}

/** The open sessions of agents, as people list, watch and end them; what the gateway asks on its own behalf is not among them. */
export class LiveSessions {
  readonly #sessions: ReadonlyMap<string, Watchable>;
  readonly #audit: AuditPort;
  readonly #listeners = new Set<(id: string) => void>();

  constructor(sessions: ReadonlyMap<string, Watchable>, audit: AuditPort) {
    this.#sessions = sessions;
    this.#audit = audit;
  }

  /** All of them, the newest first. */
  list(): LiveSession[] {
    return [...this.#sessions.values()].filter(isAgents).map(shown).toReversed();
  }

  get(id: string): LiveSession | undefined {
    const session = this.#find(id);
    return session && shown(session);
  }

  /**
   * Shows every further frame of a session: what the client sees, after masking.
   * @returns how to stop, or undefined when the session is not open or has too many watchers.
   */
  watch(id: string, listener: FrameListener): (() => void) | undefined {
    return this.#find(id)?.activity.watch(listener);
  }

  /**
   * Ends a session: its adapter says so in the protocol's words, at once. Who did it is in the trail; a trail that
   * cannot be written holds nobody back from ending something.
   * @returns false when there is no such session.
   */
  end(id: string, { by, reason, channel, clientAddress }: Ending): boolean {
    const session = this.#find(id);
    if (session === undefined) return false;
    const own: JsonObject = {
      session: id,
      by: { issuer: by.issuer, id: by.id },
      channel,
      client_address: clientAddress,
      reason,
    };
    try {
      this.#audit.write({ event: 'ended', members: '', own });
    } catch {
      this.#audit.append({ event: 'ended', members: '', own });
    }
    const message = `A person ended this session${reason === '' ? '.' : `: ${reason}`}`;
    session.end(refusalOf(`${id}.end`, { code: 'session_ended', message }, [], true));
    this.changed(id);
    return true;
  }

  /** Calls back whenever a session opens, is told to end, or closes. Returns how to stop that. */
  onChange(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #find(id: string): Watchable | undefined {
    const session = this.#sessions.get(id);
    return session !== undefined && isAgents(session) ? session : undefined;
  }

  /** Tells the listeners; called by the gate. */
  changed(id: string): void {
    for (const listener of this.#listeners) listener(id);
  }
}

function isAgents({ init }: Watchable): boolean {
  return init.identity.type === 'agent';
}

function shown({ id, init, startedAtMs, ended, activity }: Watchable): LiveSession {
  const { identity } = init;
  return {
    id,
    protocol: init.protocol,
    upstream: init.upstream,
    subject: { issuer: identity.issuer, id: identity.id, groups: identity.groups },
    chain: identity.chain,
    clientAddress: init.clientAddress,
    application: init.application.toWellFormed(),
    startedAtMs,
    operations: activity.operations,
    refusals: activity.refusals,
    bytes: activity.bytes,
    ending: ended !== undefined,
  };
}

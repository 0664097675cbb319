import { Activity } from './live.ts';
import type { Permit } from './permit.ts';
import type { Authorization, Clock, PolicyPort, RecordFrame, SessionHandle, SessionRecorder } from './ports.ts';
import type { CommandDraft, Identity, JsonObject, OperationFacts, Outcome, Refusal, SessionInit } from './types.ts';

/** What a session asks of the gate that opened it. */
export interface SessionOwner {
  readonly policy: PolicyPort;
  readonly clock: Clock;
  judge<Plan>(session: Session, draft: CommandDraft<Plan>): Authorization<Plan> | Promise<Authorization<Plan>>;
  closed(session: Session, outcome: Outcome): void;
}

/** What the gate derived once from one decision about one operation's facts, and uses at each execution. */
export interface Prepared {
  readonly plan: unknown;
  /** Audit members that are the same at each execution, serialised. */
  readonly members: string;
  readonly allowed: { inc(): void };
}

/**
 * One subject at one upstream. The gate makes it when `connect` is allowed; the adapter that serves the
 * connection uses it until `close`.
 */
export class Session implements SessionHandle {
  readonly id: string;
  readonly init: SessionInit;
  /** `subject` of every policy input in this session: one object, so that it can key a cache. */
  readonly subject: JsonObject;
  /** `context.session` of every policy input in this session. */
  readonly context: JsonObject;
  /** The `connect` operation, judged again whenever the policy changes. */
  readonly connect: OperationFacts<undefined>;
  readonly startedAtMs: number;
  /** What people see of it while it is open. */
  readonly activity = new Activity();
  /** What the gate prepared per facts object and decision object. */
  readonly prepared = new WeakMap<OperationFacts<never>, WeakMap<object, Prepared>>();
  readonly #owner: SessionOwner;
  readonly #recorder: SessionRecorder;
  readonly #abort = new AbortController();
  #permit: Permit | undefined;
  #decisions = 0;
  #ended: Refusal | undefined;
  #closed = false;
  #closeListener: (() => void) | undefined;

  constructor(
    owner: SessionOwner,
    id: string,
    init: SessionInit,
    documents: { subject: JsonObject; context: JsonObject; connect: OperationFacts<undefined> },
    recorder: SessionRecorder,
  ) {
    this.#owner = owner;
    this.id = id;
    this.init = init;
    this.subject = documents.subject;
    this.context = documents.context;
    this.connect = documents.connect;
    this.startedAtMs = owner.clock.nowMs();
    this.#recorder = recorder;
  }

  get identity(): Identity {
    return this.init.identity;
  }

  get permit(): Permit {
    if (this.#permit === undefined) throw new Error('the session is not open');
    return this.#permit;
  }

  /** Called once by the gate, when `connect` was allowed. */
  opened(permit: Permit): void {
    this.#permit = permit;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get epoch(): number {
    return this.#owner.policy.epoch;
  }

  get config(): JsonObject {
    return this.#owner.policy.config;
  }

  /** Why the session must end, once it must. */
  get ended(): Refusal | undefined {
    return this.#ended;
  }

  /** True when its recording can no longer be written. */
  get unrecorded(): boolean {
    return this.#recorder.failed;
  }

  /** The id of the next decision: the session's, and a counter. */
  nextDecisionId(): string {
    this.#decisions += 1;
    return `${this.id}.${this.#decisions}`;
  }

  authorize<Plan>(draft: CommandDraft<Plan>): Authorization<Plan> | Promise<Authorization<Plan>> {
    return this.activity.judged(this.#owner.judge(this, draft));
  }

  record(frame: RecordFrame): void {
    this.#recorder.frame(frame);
    this.activity.recorded(frame);
  }

  get drained(): Promise<void> | undefined {
    return this.#recorder.drained;
  }

  /** Ends the session: the adapter says so in the protocol's words and closes. */
  end(refusal: Refusal): void {
    if (this.#ended !== undefined) return;
    this.#ended = refusal;
    this.#abort.abort(refusal);
  }

  /** Runs once when the session closes. One listener: the gate's. */
  onClose(listener: () => void): void {
    this.#closeListener = listener;
  }

  async close(outcome: Outcome): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeListener?.();
    this.#owner.closed(this, outcome);
    await this.#recorder.close({ status: outcome.status, code: outcome.code ?? null });
  }
}

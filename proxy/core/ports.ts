/**
 * The interfaces that the services implement, so that the gate and the protocols depend on none of them.
 */
import type { Duplex } from 'node:stream';
import type { Approval, ApprovalKey, ApprovalRequest } from './approvals.ts';
import type { Permit } from './permit.ts';
import type {
  CommandDraft,
  Credential,
  Decision,
  Fault,
  Identity,
  Json,
  JsonObject,
  OperationFacts,
  Outcome,
  Refusal,
  SessionInit,
  Supports,
} from './types.ts';

/** The answer to `authorize`: a permit to forward, or what to tell the client. Never both. */
export type Authorization<Plan = unknown> = { readonly permit: Permit<Plan> } | { readonly refusal: Refusal };

/** An accepted connection, or the inside of a tunnel. The adapter owns the socket until `serve` settles. */
export interface Connection {
  readonly socket: Duplex & { setNoDelay?(noDelay: boolean): unknown; readonly bytesRead?: number };
  readonly clientAddress: string;
  /** Set for a tunnel: the one upstream it leads to, whatever else the adapter serves. */
  readonly upstream?: string | undefined;
}

/** One protocol. Adding one is a folder and a line in `protocols/index.ts`. */
export interface ProtocolAdapter {
  readonly protocol: string;
  readonly supports: Supports;
  /** Serves one connection to its end. Never rejects: a fault ends the connection and is audited. */
  serve(connection: Connection, gateway: Gateway): Promise<void>;
  /** Releases what the adapter shares between connections (catalog connections, workers). */
  close(): Promise<void>;
}

/** What an adapter sees of the gateway. */
export interface Gateway {
  /** `data.config` as active now: another object after each activation that changed it. */
  readonly config: JsonObject;
  /** @throws GatewayError with a stable code when the credential is not acceptable. */
  authenticate(credential: Credential): Promise<Identity>;
  /** Opens a session; itself a decision (`action.name` is `connect`), audited whatever it says. */
  open(init: SessionInit): Promise<{ readonly session: SessionHandle } | { readonly refusal: Refusal }>;
  /** Audits a connection that never became a session (bad token, malformed first packet). */
  reject(about: { protocol: string; clientAddress: string; fault: Fault; identity?: Identity }): Refusal;
  /**
   * Audits a credential that the gateway is about to hand out itself: what it is, never what it is made of.
   * @throws GatewayError `audit_unavailable`: it must then not be handed out.
   */
  issued(about: { protocol: string; clientAddress: string; identity: Identity; credential: JsonObject }): void;
  /** The upstream that is known by this name, or at this address. */
  upstreamAt(host: string, port: number): string | undefined;
  /**
   * Serves a permitted tunnel to a known upstream by that upstream's own adapter, until either ends. What is inside
   * logs in by itself, as the same subject as `session` or not at all. Never rejects.
   */
  handOver(connection: Connection, upstream: string, session: SessionHandle): Promise<void>;
}

/** A session: one subject at one upstream, from its permitted `connect` to its close. */
export interface SessionHandle {
  readonly id: string;
  readonly identity: Identity;
  /** The permit of the `connect` decision: carries what belongs to no single operation. */
  readonly permit: Permit;
  /** Aborted when the session must end: killed, quarantined, expired, draining. The reason is a `Refusal`. */
  readonly signal: AbortSignal;
  /** Grows whenever an earlier answer may no longer hold (new bundle, new data). */
  readonly epoch: number;
  /** `data.config` as active now: the labels facts are built with. Read again when `epoch` grew. */
  readonly config: JsonObject;
  /** Judges one operation. Never throws: a fault is a refusal. Synchronous when it can be. */
  authorize<Plan>(draft: CommandDraft<Plan>): Authorization<Plan> | Promise<Authorization<Plan>>;
  /** Adds a frame to the session's recording: what the client saw, after masking. Copies what it keeps. */
  record(frame: RecordFrame): void;
  /** True while the recording is full or its sink is behind: adapters stop reading until `drained`. */
  readonly drained: Promise<void> | undefined;
  close(outcome: Outcome): Promise<void>;
}

/** One frame of a recording. `proxy/record/README.md` documents the kinds per protocol. */
export interface RecordFrame {
  /** The decision it belongs to, or `undefined` for the session's own frames. */
  readonly decisionId?: string | undefined;
  readonly kind: string;
  readonly data: JsonObject | Uint8Array;
}

/** A question for the policy engine. All parts but `context` and `variable` are compared by object identity first. */
export interface PolicyQuery {
  /** The subject document; the same object for the life of a session. */
  readonly subject: JsonObject;
  /** `action`, `resource` and `complete` of the input come from here. */
  readonly facts: OperationFacts<never> | OperationFacts;
  /** `context.session`; the same object for the life of a session. */
  readonly session: JsonObject;
  /** `context.history` now. Called only when the policy reads it. */
  readonly history: () => JsonObject;
  /** `context.approval`, only when an approved operation is evaluated again. */
  readonly approval?: JsonObject | undefined;
  readonly variable?: (() => JsonObject) | undefined;
}

/** The policy decision point: Rego compiled to WebAssembly, evaluated in-process. */
export interface PolicyPort {
  /** Grows on every activation of a bundle or of data. */
  readonly epoch: number;
  readonly revisions: { readonly bundle: string; readonly data: string };
  /** True while a bundle is active. */
  readonly ready: boolean;
  /** Decides, synchronously. Never throws: anything wrong is a fault with its own code. */
  decide(query: PolicyQuery): { readonly decision: Decision } | { readonly fault: Fault };
  /** `data.config` as active now: labels of columns and upstreams for the classifiers. */
  readonly config: JsonObject;
  /** Calls back after each activation. Returns how to stop that. */
  onActivate(listener: () => void): () => void;
}

/** Credential → Identity. */
export interface IdentityPort {
  readonly ready: boolean;
  /** @throws GatewayError `credential_invalid`, `credential_expired`, `identity_unavailable`, … */
  authenticate(credential: Credential): Promise<Identity>;
}

/** The append-only trail. */
export interface AuditPort {
  /**
   * Appends one event and hands it, with all earlier ones, to the operating system before returning.
   * @throws GatewayError `audit_unavailable` when it cannot: the operation must then be refused.
   */
  write(event: AuditEvent): void;
  /** Appends one event that nothing waits for; written with the next `write` or within a bounded time. */
  append(event: AuditEvent): void;
  /** False while the sink cannot be written. */
  readonly ready: boolean;
}

/** An audit event: a prefix of already serialised members (cached by the gate), and what differs each time. */
export interface AuditEvent {
  readonly event:
    | 'opened'
    | 'decided'
    | 'completed'
    | 'closed'
    | 'rejected'
    | 'issued'
    | 'activated'
    | 'held'
    | 'approval'
    | 'recorded'
    | 'removed'
    // What people do at the console: a session that one ended, evidence that one looked at, a browser that one signed in with.
    | 'ended'
    | 'viewed'
    | 'signed_in';
  /**
   * Members serialised once and used many times: `"a":1,"b":2`, without braces, valid JSON members.
   * Empty string for none.
   */
  readonly members: string;
  /** Members of this event alone. */
  readonly own: JsonObject;
}

/** What a subject did lately, across protocols. */
export interface HistoryPort {
  /** `context.history` of the decision contract. */
  read(identity: Identity, upstream: string): JsonObject;
  note(
    identity: Identity,
    upstream: string,
    what: { labels?: readonly string[]; rows?: number; denied?: boolean; approved?: boolean },
  ): void;
}

/** What the gate asks of approvals. Every promise rejects with GatewayError `store_unavailable` while the store is away. */
export interface ApprovalPort {
  /** Requests for this operation that still say something: pending, approved with uses left, denied. Newest first. */
  find(key: ApprovalKey): Promise<readonly Approval[]>;
  /**
   * Asks people. The same request that is pending already is not filed twice.
   * @throws GatewayError `limit_reached` when too many are pending.
   */
  file(request: Omit<ApprovalRequest, 'id' | 'requestedAtMs'>): Promise<Approval>;
  get(id: string): Promise<Approval | undefined>;
  /** Takes one use, durably, before it resolves. Undefined when there is none to take any more. */
  take(id: string, decisionId: string): Promise<Approval | undefined>;
  /** Notes what became of a use. Nothing waits for it: what cannot be noted is later `unknown`. */
  finish(id: string, decisionId: string, status: Outcome['status']): void;
  /** Calls back whenever this one may have changed. Returns how to stop that. */
  watch(id: string, listener: () => void): () => void;
}

/** Where recordings go. */
export interface RecorderPort {
  open(session: { id: string; protocol: string; header: JsonObject }): SessionRecorder;
}

/** The recording of one session. Bounded; never blocks the event loop on the disk. */
export interface SessionRecorder {
  frame(frame: RecordFrame): void;
  /** True once the disk failed: nothing more may be forwarded in this session. */
  readonly failed: boolean;
  readonly drained: Promise<void> | undefined;
  close(outcome: JsonObject): Promise<void>;
}

/** The metrics the gate and the services report. One implementation: `metrics/registry.ts`. */
export interface MetricsPort {
  /** A counter child bound once, so that the hot path only increments. */
  decision(protocol: string, effect: string, policy: string): { inc(): void };
  refusal(protocol: string, code: string): void;
  decisionSeconds(protocol: string): { observe(seconds: number): void };
  upstreamSeconds(protocol: string): { observe(seconds: number): void };
  maskedCells(protocol: string): { inc(count: number): void };
  sessionOpened(protocol: string): void;
  sessionClosed(protocol: string): void;
  /** A request for approval came to be in this state. */
  approval(state: string): void;
  /** How long an operation was held, to whatever end. */
  approvalWaitSeconds(protocol: string): { observe(seconds: number): void };
}

/** Time, injected. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start, never going back. */
  monotonicMs(): number;
}

/** Randomness, injected. */
export interface Ids {
  /** A new session id: 26 characters, sortable by time (ULID). */
  session(): string;
}

export type { Json };

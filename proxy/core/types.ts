/**
 * The nouns of Sallyport. Nothing in here names a protocol: what is particular to PostgreSQL, SSH or
 * HTTP lives in `properties`, as in an OpenID AuthZEN 1.0 access evaluation request.
 *
 * @see https://openid.net/specs/authorization-api-1_0.html
 */

/** Any JSON value, deeply read-only. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object, deeply read-only. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Who somebody is. Two principals are the same when issuer and id are: never compare joined strings. */
export interface Principal {
  /** The `iss` of the token that named it. */
  readonly issuer: string;
  /** The `sub` (or `act.sub`) of that token. */
  readonly id: string;
  readonly groups: readonly string[];
}

/** The authenticated subject of a session: the agent that acts, and for whom. */
export interface Identity extends Principal {
  /** `agent` when a token authenticated it; `gateway` for what the gateway asks on its own behalf. */
  readonly type: 'agent' | 'gateway';
  /** The claims policy may see, bounded and without the token itself. */
  readonly claims: JsonObject;
  /** On whose behalf, nearest first (RFC 8693 section 4.1: the token's `sub`, then nested `act`). Empty without `act`. */
  readonly chain: readonly Principal[];
  /** When the credential ends, in milliseconds since the epoch. `Infinity` only for the gateway itself. */
  readonly expiresAtMs: number;
}

/** What a client presented. The secret must never be logged, audited or recorded. */
export interface Credential {
  readonly kind: 'bearer';
  readonly secret: string;
}

/** A way to hide one value. Parameters are already validated and bounded. */
export type MaskMethod =
  | { readonly method: 'null' }
  | { readonly method: 'replace'; readonly value: string }
  | { readonly method: 'hash' }
  | { readonly method: 'keep_first'; readonly count: number }
  | { readonly method: 'keep_last'; readonly count: number }
  | { readonly method: 'email' }
  | { readonly method: 'redact_pattern'; readonly pattern: string; readonly value: string };

/** What a mask may name: a column of a relation, a path in a JSON document, or a detector over text. */
export type MaskTarget = 'columns' | 'json' | 'text';

/** The masks of a decision, each target keyed as in the decision contract. */
export interface Masks {
  /** `schema.relation` → column → method. */
  readonly columns: ReadonlyMap<string, ReadonlyMap<string, MaskMethod>>;
  /** JSONPath → method. */
  readonly json: ReadonlyMap<string, MaskMethod>;
  /** Detector name → method. */
  readonly text: ReadonlyMap<string, MaskMethod>;
}

/** Why: a code for machines, a sentence for people, and the policy that said so. */
export interface Reason {
  readonly policy: string;
  readonly code: string;
  readonly message: string;
}

/** Something the gateway must do along with an allow. One it cannot honour is a refusal. */
export interface Obligation {
  readonly id: string;
  readonly type: string;
  readonly properties: JsonObject;
}

/** Who may approve a held operation, how many of them, and how long the grant lasts. */
export interface AccessRequest {
  readonly groups: readonly string[];
  readonly quorum: number;
  readonly ttlSeconds: number;
  readonly uses: number;
  readonly reasonRequired: boolean;
  readonly mode: 'wait' | 'return';
  readonly waitSeconds: number;
  /** `shape`: the grant covers operations of the same shape as well, for this subject at this upstream. */
  readonly reuse: 'none' | 'shape';
  /** The requester may let itself through, loudly. */
  readonly breakGlass: boolean;
}

/** Ends what a subject is doing, everywhere, for a while. */
export interface Quarantine {
  readonly scope: 'subject' | 'session';
  readonly ttlSeconds: number;
  readonly message: string;
}

/**
 * What policy said about one operation. Immutable; the policy engine hands out the same object for the
 * same question under the same revisions, so its object identity can key what is derived from it.
 */
export interface Decision {
  readonly effect: 'allow' | 'deny' | 'require_approval';
  readonly reasons: readonly Reason[];
  /** What policies in shadow mode would have said; logged, never applied. */
  readonly shadow: readonly Reason[];
  readonly masks: Masks;
  readonly obligations: readonly Obligation[];
  /** Labels that enter the subject's history when the operation completes. */
  readonly labels: readonly string[];
  readonly accessRequest: AccessRequest | undefined;
  readonly quarantine: Quarantine | undefined;
  readonly bundleRevision: string;
  readonly dataRevision: string;
}

/** A fault the gateway itself found: refused whatever policy says. */
export interface Fault {
  /** One of `refusalCodes` in `errors.ts`. */
  readonly code: string;
  /** A sentence for people. Never contains a value that could be masked. */
  readonly message: string;
  /** The id of the approval that it is about. */
  readonly approval?: string | undefined;
}

/**
 * The unchanging facts of one operation: what policy is asked, and how the protocol carries the answer
 * out. An adapter that meets the same operation again passes the SAME object: its identity keys the
 * decision cache, which is what makes a re-executed statement cheap.
 *
 * @typeParam Plan - what the adapter needs at run time to carry out an allow (for SQL, the mask plan).
 */
export interface OperationFacts<Plan = unknown> {
  readonly action: { readonly name: string; readonly properties: JsonObject };
  readonly resource: { readonly type: string; readonly id: string; readonly properties: JsonObject };
  /** The classifier accounted for everything in the operation. */
  readonly complete: boolean;
  /** Set when the gateway refuses this operation whatever policy says (malformed, oversize, unsupported). */
  readonly fault?: Fault | undefined;
  /** What of the operation does not differ with its values (the hash of a syntax tree), where the protocol can say. */
  readonly shape?: string | undefined;
  /**
   * Turns an allow into the adapter's plan, or says why its masks or obligations cannot be proven to
   * apply, which makes it a refusal. Pure; called once per decision object, before anything is audited.
   */
  enforce(decision: Decision): { readonly plan: Plan } | { readonly fault: Fault };
  /**
   * The operation as the audit trail may keep it: redacted text, relations, fingerprint. Literals and
   * parameters that meet a masked column are keyed hashes. Pure; called once per decision object
   * (with `undefined` when there was no decision).
   */
  describe(decision: Decision | undefined): JsonObject;
}

/** One operation about to run. */
export interface CommandDraft<Plan = unknown> {
  readonly facts: OperationFacts<Plan>;
  /**
   * Properties that differ between executions of the same facts (bound parameter values); merged into
   * `action.properties`. Called only when the policy reads them, or an approval digest needs them.
   */
  readonly variable?: (() => JsonObject) | undefined;
  /** Members of this execution's `decided` event alone: its redacted text, which message it came by, …. */
  readonly audit?: ((decision: Decision | undefined) => JsonObject) | undefined;
  /**
   * How it may be held. Called once, when policy wants an approval. Without it: never waited for, bound to its facts
   * alone.
   */
  readonly hold?: (() => HoldTerms) | undefined;
}

/** How an adapter lets an operation be held. */
export interface HoldTerms {
  /** Whether the client can wait here; else it is refused at once and sends the operation again. */
  readonly mayWait: boolean;
  /**
   * The draft only prepares an operation that is judged again when it runs: what an approval would let through is let
   * through, without one, and nothing is asked of anybody.
   */
  readonly prepares?: boolean | undefined;
  /** Called when the wait begins, and every `approvalNoticeMs` while it lasts: keeps the client, and tells it why. */
  readonly notice?: ((text: string) => void) | undefined;
  /** Aborted when the client left or cancelled: the wait ends. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What else is forwarded and policy does not see, as digests; undefined when it cannot be known beforehand, and then
   * no approval can be bound to it.
   */
  readonly bound?: (() => JsonObject | undefined) | undefined;
  /**
   * Members of the action's properties as they count for being the same operation, in the place of those that policy sees: what
   * only tells one try from the next is left out.
   */
  readonly counted?: (() => JsonObject) | undefined;
  /** What approvers see besides what the trail keeps of the operation: bound values, those that nobody may keep as hashes. */
  readonly describe?: ((decision: Decision) => JsonObject) | undefined;
  /**
   * Finds out more for approvers, such as how many rows it would affect, as an operation of the gateway's own. Numbers and
   * words of the gateway: no value of the operation or of the upstream. Asked once, before people are; after
   * `approvalEstimateMs` it is given up, and so is what rejects.
   */
  readonly estimate?: ((signal: AbortSignal) => Promise<JsonObject>) | undefined;
  /** Asked after a wait: whether the facts still say what would run. */
  readonly current?: (() => boolean) | undefined;
}

/** What became of a permitted operation. */
export interface Outcome {
  readonly status: 'ok' | 'error' | 'aborted' | 'unknown';
  /** The protocol's own code: SQLSTATE, exit status, HTTP status. */
  readonly code?: string | undefined;
  readonly rows?: number | undefined;
  readonly bytes?: number | undefined;
  readonly maskedCells?: number | undefined;
}

/** What the client is told instead of an answer. The adapter puts it in the protocol's own words. */
export interface Refusal {
  readonly decisionId: string;
  readonly code: string;
  readonly policy: string | undefined;
  readonly message: string;
  /** What the agent can do about it. */
  readonly hint: string;
  readonly reasons: readonly Reason[];
  /** The id of the approval that is asked for, or was refused. */
  readonly approval?: string | undefined;
  /** True when the session must end after this refusal. */
  readonly endSession: boolean;
}

/** How a session is opened. */
export interface SessionInit {
  readonly protocol: string;
  readonly upstream: string;
  readonly identity: Identity;
  readonly clientAddress: string;
  readonly application: string;
  /** Facts of the `connect` action: requested database, login, host. */
  readonly requested: JsonObject;
  /** What the adapter can honour; anything else in a decision is a refusal. */
  readonly supports: Supports;
}

/** What an adapter can carry out. */
export interface Supports {
  readonly masks: readonly MaskTarget[];
  readonly obligations: readonly string[];
}

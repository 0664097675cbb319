/** What the core knows about approvals: a held operation, who may let it through, and what became of it. */
import type { JsonObject, Principal, Reason } from './types.ts';

/** Where a request for approval stands. */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'withdrawn' | 'used';

/** One person's word on a request. */
export interface ApprovalVote {
  readonly approver: Principal;
  readonly verdict: 'approve' | 'deny';
  /** What the approver wrote; empty when nothing. */
  readonly reason: string;
  /** `console`, `cli`, `slack`, `webhook`, …. */
  readonly channel: string;
  readonly clientAddress: string;
  readonly atMs: number;
  /** The requester's own word, where policy let them break the glass. */
  readonly brokeGlass?: true;
}

/** One use of a grant: an execution of the approved operation. `unknown`: a crash left it open. */
export interface ApprovalUse {
  readonly decisionId: string;
  readonly atMs: number;
  readonly outcome: 'running' | 'ok' | 'error' | 'aborted' | 'unknown';
  /** The gateway process that ran it: when that is gone, what it left `running` is `unknown`. */
  readonly gateway: string;
}

/** What an approval satisfies: this code of this policy, and nothing else. */
export interface Grant {
  readonly policy: string;
  readonly code: string;
}

/** A request for approval, as an approver may see it: values that meet a masked column are keyed hashes already. */
export interface Approval {
  /** ULID. */
  readonly id: string;
  readonly state: ApprovalState;
  /** SHA-256, hex, of the operation (`proxy/core/digest.ts`): what a grant is for. */
  readonly digest: string;
  readonly protocol: string;
  readonly upstream: string;
  readonly labels: JsonObject;
  readonly session: string;
  readonly subject: Principal;
  /** On whose behalf, nearest first. */
  readonly chain: readonly Principal[];
  readonly clientAddress: string;
  readonly application: string;
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string };
  /** The operation as the audit trail describes it: text or argv, relations, …. */
  readonly operation: JsonObject;
  readonly reasons: readonly Reason[];
  /** `context.history` of the subject when it was held. */
  readonly history: JsonObject;
  /** What the gateway found out for the approver (estimated rows of an EXPLAIN), where policy allows it. */
  readonly estimate: JsonObject;
  readonly groups: readonly string[];
  readonly quorum: number;
  readonly uses: number;
  readonly reasonRequired: boolean;
  readonly mode: 'wait' | 'return';
  /** The requester may approve it alone, loudly. */
  readonly breakGlass: boolean;
  /** What it satisfies once approved. */
  readonly grants: readonly Grant[];
  /** The digest of the shape that it is good for, where policy lets a grant be reused; else undefined. */
  readonly shape?: string | undefined;
  readonly requestedAtMs: number;
  /** Until when it can be decided and, once approved, used. */
  readonly expiresAtMs: number;
  readonly votes: readonly ApprovalVote[];
  readonly used: readonly ApprovalUse[];
}

/** A request as it is filed: all but its fate. */
export type ApprovalRequest = Omit<Approval, 'state' | 'votes' | 'used'>;

/** What is asked for when an operation is held: requests for exactly it, and those whose grant covers its shape. */
export interface ApprovalKey {
  readonly digest: string;
  readonly shape?: string | undefined;
}

/** A page of approvals, the newest first. */
export interface ApprovalQuery {
  readonly states?: readonly ApprovalState[];
  /** At most `approvalsListedMax`. */
  readonly limit: number;
  /** The id of the last one already seen. */
  readonly after?: string;
}

/** Something about an approval that one channel is to be told, until it was. */
export interface Notice {
  readonly approval: string;
  readonly state: ApprovalState;
  /** The name of the channel. */
  readonly channel: string;
  /** How often it was tried, this time included. */
  readonly attempts: number;
}

/**
 * Where approvals are kept. Two implementations, one meaning: whatever changes an approval reads it, asks a pure
 * function what becomes of it, and writes that, and nobody else changes it in between.
 * Every method rejects with GatewayError `store_unavailable` while the store cannot be reached.
 */
export interface ApprovalStore {
  /** Keeps a request, unless the same subject has the same one pending: then that one is the answer, `filed` false. */
  file(approval: Approval): Promise<{ readonly approval: Approval; readonly filed: boolean }>;
  get(id: string): Promise<Approval | undefined>;
  /** Those of an operation, the newest first, at most `approvalsPerOperationMax`. */
  find(key: ApprovalKey): Promise<readonly Approval[]>;
  list(query: ApprovalQuery): Promise<readonly Approval[]>;
  /** How many are pending: in all, and of one subject. */
  pending(subject: Pick<Principal, 'issuer' | 'id'>): Promise<{ readonly all: number; readonly own: number }>;
  /** Serialised with every other change of it, at any gateway. What `change` throws leaves it as it was. */
  update(id: string, change: (approval: Approval) => Approval): Promise<Approval | undefined>;
  /** Ids of those that are pending or approved past their end, at most `approvalsListedMax`. */
  overdue(nowMs: number): Promise<readonly string[]>;
  /** Ids of those with a use left `running` by a gateway that is gone, at most `approvalsListedMax`. */
  orphaned(): Promise<readonly string[]>;
  /** Forgets what ended before, and of the rest the oldest past `approvalsKeptMax`. */
  forget(beforeMs: number): Promise<void>;
  /**
   * What the channels are to be told and is due: written with the change that it is about, so that no crash loses it.
   * Nobody else gets these before `untilMs`. At most `approvalNoticesAtOnceMax`.
   */
  claimNotices(nowMs: number, untilMs: number): Promise<readonly Notice[]>;
  /** Told, or given up; or to be tried again, not before `againMs`. */
  settleNotice(notice: Notice, againMs: number | undefined): Promise<void>;
  /** Whether this gateway process still runs, as far as the store knows. */
  isGone(gateway: string): boolean;
  /** Calls back with the id of whatever is filed or changed, here or at another gateway. Returns how to stop that. */
  onChange(listener: (id: string) => void): () => void;
  readonly ready: boolean;
  close(): Promise<void>;
}

/** What people do with approvals, whatever channel they come by. */
export interface ApprovalDesk {
  /** The newest first. `limit` at most 200. */
  list(query: ApprovalQuery): Promise<readonly Approval[]>;
  get(id: string): Promise<Approval | undefined>;
  /**
   * Counts one approver's word. A denial closes the request; approvals count towards its quorum.
   * @throws GatewayError `approval_unknown`, `approval_closed`, `approval_not_yours` (not in its groups),
   * `approval_self` (a member of the requester's chain), `approval_reason_required`, `approval_already_voted`,
   * `store_unavailable`.
   */
  decide(id: string, vote: Omit<ApprovalVote, 'atMs' | 'brokeGlass'>): Promise<Approval>;
  /**
   * Lets the requester, or whom it acts for, through without approvers, where policy offers that. A reason is required;
   * it is audited, counted and told under a name of its own.
   * @throws GatewayError as `decide`; `approval_not_yours` for anybody else, or where it is not offered.
   */
  breakGlass(id: string, own: Omit<ApprovalVote, 'atMs' | 'brokeGlass' | 'verdict'>): Promise<Approval>;
  /** Calls back, with its id, whenever a request is filed or changes, here or at another gateway. Returns how to stop that. */
  onChange(listener: (id: string) => void): () => void;
}

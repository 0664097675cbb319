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
}

/** One use of a grant: an execution of the approved operation. `unknown`: a crash left it open. */
export interface ApprovalUse {
  readonly decisionId: string;
  readonly atMs: number;
  readonly outcome: 'running' | 'ok' | 'error' | 'aborted' | 'unknown';
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
  readonly breakGlass: boolean;
  readonly requestedAtMs: number;
  /** Until when it can be decided and, once approved, used. */
  readonly expiresAtMs: number;
  readonly votes: readonly ApprovalVote[];
  readonly used: readonly ApprovalUse[];
}

/** What people do with approvals, whatever channel they come by. */
export interface ApprovalDesk {
  /** The newest first. `limit` at most 200. `after` is the id of the last one already seen. */
  list(query: {
    readonly states?: readonly ApprovalState[];
    readonly limit: number;
    readonly after?: string;
  }): Promise<readonly Approval[]>;
  get(id: string): Promise<Approval | undefined>;
  /**
   * Counts one approver's word. A denial closes the request; approvals count towards its quorum.
   * @throws GatewayError `approval_unknown`, `approval_closed`, `approval_not_yours` (not in its groups),
   * `approval_self` (a member of the requester's chain), `approval_reason_required`, `approval_already_voted`,
   * `store_unavailable`.
   */
  decide(id: string, vote: Omit<ApprovalVote, 'atMs'>): Promise<Approval>;
  /** Calls back, with its id, whenever a request is filed or changes, here or at another gateway. Returns how to stop that. */
  onChange(listener: (id: string) => void): () => void;
}

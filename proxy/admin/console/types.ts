/** The JSON of the API, as `schemas.ts` there says it. */

/** Any JSON. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** Any JSON object. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Who somebody is. */
export interface Principal {
  readonly issuer: string;
  readonly id: string;
  readonly groups: readonly string[];
}

/** Who is signed in. */
export interface Me {
  readonly principal: Principal;
  readonly role: 'viewer' | 'approver' | 'admin';
}

/** Why, in the words of a policy. */
export interface Reason {
  readonly policy: string;
  readonly code: string;
  readonly message: string;
}

/** A request for approval. */
export interface Approval {
  readonly id: string;
  readonly state: 'pending' | 'approved' | 'denied' | 'expired' | 'withdrawn' | 'used';
  readonly digest: string;
  readonly protocol: string;
  readonly upstream: string;
  readonly labels: JsonObject;
  readonly session: string;
  readonly subject: Principal;
  readonly chain: readonly Principal[];
  readonly client_address: string;
  readonly application: string;
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly operation: JsonObject;
  readonly reasons: readonly Reason[];
  readonly history: JsonObject;
  readonly estimate: JsonObject;
  readonly groups: readonly string[];
  readonly quorum: number;
  readonly uses: number;
  readonly reason_required: boolean;
  readonly mode: 'wait' | 'return';
  readonly break_glass: boolean;
  readonly requested_at: string;
  readonly expires_at: string;
  readonly votes: readonly {
    readonly approver: Principal;
    readonly verdict: 'approve' | 'deny';
    readonly reason: string;
    readonly channel: string;
    readonly at: string;
    /** The requester's own word, alone. */
    readonly broke_glass?: boolean;
  }[];
  readonly used: readonly { readonly decision_id: string; readonly at: string; readonly outcome: string }[];
}

/** An open session. */
export interface Session {
  readonly id: string;
  readonly protocol: string;
  readonly upstream: string;
  readonly subject: Principal;
  readonly chain: readonly Principal[];
  readonly client_address: string;
  readonly application: string;
  readonly started_at: string;
  readonly operations: number;
  readonly refusals: number;
  readonly bytes: number;
  readonly ending: boolean;
}

/** A recording. */
export interface Recording {
  readonly id: string;
  readonly protocol: string;
  readonly upstream: string;
  /** The subject, then those it acted for. */
  readonly subjects: readonly string[];
  readonly client_address: string;
  readonly application: string;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly outcome: string;
  readonly code: string | null;
  readonly operations: number;
  readonly refusals: readonly string[];
  readonly labels: readonly string[];
  readonly resources: readonly string[];
  readonly bytes: number;
  readonly live: boolean;
}

/** A frame of a recording, or of a session that is watched. */
export interface Frame {
  readonly time_ms: number;
  readonly kind: string;
  readonly decision_id?: string;
  readonly base64: boolean;
  readonly data: Json;
}

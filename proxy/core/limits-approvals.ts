/** Bounds of approvals and of their store, which are part of `limits`. */
export const approvalLimits = {
  // approvals
  /** How long an operation is held while its client waits, whatever policy says. */
  approvalWaitMsMax: 10 * 60_000,
  /** Operations held at once; further ones are refused as pending instead of waiting. */
  approvalWaitsMax: 1_000,
  /** While one is held: between two notices to its client, and two looks at the store. */
  approvalNoticeMs: 5_000,
  /** How long a request and its grant live at most. */
  approvalTtlSecondsMax: 7 * 24 * 3600,
  /** Requests that wait for people: in all, and of one subject. */
  approvalsPendingMax: 10_000,
  approvalsPendingPerSubjectMax: 50,
  /** Approvals that one operation may need one after another, and that are looked at for one. */
  approvalsPerOperationMax: 16,
  /** The description of an operation for its approvers, as JSON. */
  approvalOperationBytesMax: 64 * 1024,
  /** What the gateway may take to find out something for approvers before it files a request without it. */
  approvalEstimateMs: 2_000,
  /** People who must agree, and uses of one grant, at most. */
  approvalQuorumMax: 32,
  approvalUsesMax: 1_000,
  /** Characters of a reason, a channel or a client's address. */
  approvalReasonLengthMax: 2_000,
  /** Approvals on one page. */
  approvalsListedMax: 200,
  /** How often what is overdue is looked for. */
  approvalSweepMs: 1_000,
  /** How long an approval is kept after its end, and how many are kept in all. */
  approvalsKeptMs: 30 * 24 * 3600_000,
  approvalsKeptMax: 100_000,
  /** Outcomes of uses that could not be written yet, and are tried again with each sweep; past it they stay unknown. */
  approvalOutcomesMax: 10_000,
  /** Channels that are told; notices that are sent at once; tries of one, and the waits between them, doubling. */
  approvalChannelsMax: 16,
  approvalNoticesAtOnceMax: 20,
  approvalNoticeAttemptsMax: 12,
  approvalNoticeRetryMsMin: 1_000,
  approvalNoticeRetryMsMax: 15 * 60_000,
  /** Until a channel has answered, and how much of its answer is read. */
  approvalNoticeTimeoutMs: 10_000,
  approvalAnswerBytesMax: 64 * 1024,
  /** How old a signed message from a channel may be, and how long. */
  approvalSignatureMsMax: 5 * 60_000,
  approvalActionBytesMax: 256 * 1024,

  // the store
  /** How long a writer waits for another one in the embedded store. */
  storeBusyTimeoutMs: 5_000,
  /** Connections to a shared store, besides the one that listens; and how long connecting, or one question, may take. */
  storeConnectionsMax: 4,
  storeTimeoutMs: 5_000,
  /** Until a lost connection that listens is made again, doubling from one to the other. */
  storeRetryMsMin: 200,
  storeRetryMsMax: 10_000,
  /** How often a gateway says in a shared store that it runs, and after how long a silence it counts as gone. */
  storeHeartbeatMs: 5_000,
  storeGatewayGoneMs: 30_000,
} as const;

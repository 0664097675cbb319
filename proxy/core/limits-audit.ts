/** Bounds of what copies the audit trail to other places. Merged into `limits.ts`. */
export const auditSinkLimits = {
  /** How often a sink that has everything looks for more. */
  auditSinkPollMs: 200,
  /** Lines of one message. */
  auditSinkBatchLines: 500,
  /** Until a message is answered. */
  auditSinkTimeoutMs: 10_000,
  /** Pauses between two attempts, doubling from one to the other. There is no last attempt. */
  auditSinkRetryMsMin: 250,
  auditSinkRetryMsMax: 60_000,
  /** Of an answer, which is read and thrown away. */
  auditSinkAnswerBytesMax: 64 * 1024,
  /** A required sink that lacks more lines than this, or took none for so long while it lacked some, refuses everything. */
  auditSinkLagLinesMax: 100_000,
  auditSinkStallMs: 60_000,
  /** How long a stopping gateway goes on delivering. */
  auditSinkCloseMs: 2_000,
} as const;

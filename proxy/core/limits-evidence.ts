/** Bounds of evidence on its way to other places: sinks of the audit trail, uploads of recordings, archives. Part of `limits`. */
export const evidenceLimits = {
  /** Parts of an archive of evidence, and bytes of its manifest. */
  evidencePartsMax: 200_000,
  evidenceManifestBytesMax: 64 * 1024 * 1024,
  /** One approval in it, as JSON: with all of its uses, and the votes of each. */
  evidenceApprovalBytesMax: 64 * 1024 * 1024,
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
  /** How often an upload of recordings that has nothing to do looks for more. */
  recordUploadPollMs: 1_000,
  /** The largest recording that is uploaded, which is what one PUT of S3 may have. */
  recordUploadBytesMax: 5 * 1024 * 1024 * 1024,
  /** Until an upload moves on, and until one recording is uploaded. */
  recordUploadStallMs: 30_000,
  recordUploadTimeoutMs: 3600_000,
  /** Pauses between two failures, doubling from one to the other. There is no last attempt. */
  recordUploadRetryMsMin: 500,
  recordUploadRetryMsMax: 60_000,
  /** Of an answer that says what was wrong. */
  recordUploadAnswerBytesMax: 16 * 1024,
  /** Days that a recording which is still to be uploaded stays past `record.retention_days`. */
  recordUploadHoldDays: 30,
  /** Where such recordings stay past `record.bytes_max`: up to so many times as much. */
  recordUploadHoldBytesFactor: 2,
} as const;

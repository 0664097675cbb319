/**
 * Every bound of the gateway, by name, with its unit in the name. Some can be set in the configuration
 * (`limits:`); these are their defaults. A buffer, queue, wait, retry or cache without a name here is a defect.
 */
export const limits = {
  // connections
  connectionsMax: 1_000,
  /** From accept to an opened session. */
  loginTimeoutMs: 15_000,
  /** How long a session may go on after its identity expired, to end in the protocol's words. */
  expiryGraceMs: 5_000,
  /** How long a drain waits for sessions to end by themselves. */
  drainTimeoutMs: 10_000,

  // policy
  policyInputBytesMax: 256 * 1024,
  policyInputDepthMax: 64,
  policyResultBytesMax: 256 * 1024,
  policyCacheEntriesMax: 10_000,
  policyMemoryBytesMax: 256 * 1024 * 1024,
  bundleBytesMax: 64 * 1024 * 1024,

  // identity
  tokenBytesMax: 16 * 1024,
  tokenCacheEntriesMax: 10_000,
  clockSkewSecondsMax: 60,

  // audit and recordings
  auditEventBytesMax: 64 * 1024,
  recordFrameBytesMax: 64 * 1024,
  recordBytesPerOperationMax: 256 * 1024,
} as const;

/** The bounds, as `limits:` in the configuration may narrow or widen them. */
export type Limits = { readonly [Name in keyof typeof limits]: number };

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
  /** Subjects in quarantine at once; past it everybody is refused until one ends. */
  quarantinesMax: 10_000,

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
  /** How long a verified token is believed without verifying it again. */
  tokenCacheMsMax: 60_000,
  clockSkewSecondsMax: 60,
  /** From `iat` to `exp`: a longer-lived token is refused whoever signed it. */
  tokenLifetimeSecondsMax: 24 * 3600,
  /** Principals on whose behalf an agent may act: the token's `sub` and its nested `act` claims. */
  actorChainMax: 8,
  groupsMax: 512,
  /** One `sub`, `iss`, group or party. */
  principalBytesMax: 512,
  /** The claims that policy sees. */
  claimsDepthMax: 8,
  claimsMembersMax: 1_000,
  issuersMax: 32,
  /** A discovery document or a key set. */
  identityResponseBytesMax: 256 * 1024,
  identityRequestTimeoutMs: 5_000,
  /** Discovery and key set are retried after this, doubling up to the second. */
  identityRetryMsMin: 1_000,
  identityRetryMsMax: 60_000,
  jwksKeysMax: 100,
  /** How often the key set is fetched again in the background. */
  jwksRefreshMs: 10 * 60_000,
  /** Key sets fetched because of an unknown key are at least this far apart. */
  jwksCooldownMs: 30_000,
  /** How long a key set is used while its provider cannot be reached. */
  jwksStaleMs: 4 * 3600_000,

  // metrics, history, admin
  /** Distinct values of a label that comes from outside (policy names, reason codes); further ones are `other`. */
  metricLabelValuesMax: 200,
  historyWindowSeconds: 3_600,
  historyWindowSecondsMax: 24 * 3600,
  /** Subjects remembered at once; the one idle longest is forgotten first. */
  historySubjectsMax: 10_000,
  historyUpstreamsMax: 256,
  historyLabelsMax: 256,
  adminConnectionsMax: 64,
  adminHeaderBytesMax: 8 * 1024,
  adminHeadersMax: 64,
  adminRequestTimeoutMs: 10_000,

  // audit and recordings
  auditEventBytesMax: 64 * 1024,
  recordFrameBytesMax: 64 * 1024,
  recordBytesPerOperationMax: 256 * 1024,
} as const;

/** The bounds, as `limits:` in the configuration may narrow or widen them. */
export type Limits = { readonly [Name in keyof typeof limits]: number };

import { approvalLimits } from './limits-approvals.ts';
import { consoleLimits } from './limits-console.ts';
import { evidenceLimits } from './limits-evidence.ts';
import { requestLimits } from './limits-requests.ts';

/**
 * Every bound of the gateway, by name, with its unit in the name. Some can be set in the configuration
 * (`limits:`); these are their defaults. A buffer, queue, wait, retry or cache without a name here is a defect.
 */
export const limits = {
  // configuration
  configBytesMax: 1024 * 1024,

  // connections
  connectionsMax: 1_000,
  /** Connections of one client address, those still logging in included. */
  connectionsPerAddressMax: 200,
  /** How long a listener that failed to accept counts as failed. */
  listenerFailureMs: 10_000,
  /** Between two log lines about the same thing at a listener, however often it happens. */
  listenerLogIntervalMs: 10_000,
  /** Tunnels being served at once; they are inside connections that the bounds above count. */
  tunnelsMax: 1_000,
  /** From accept to an opened session. */
  loginTimeoutMs: 15_000,
  /** How long a session may go on after its identity expired, to end in the protocol's words. */
  expiryGraceMs: 5_000,
  /** How long a drain waits for sessions to end by themselves. */
  drainTimeoutMs: 10_000,
  /** How long a stopping gateway waits for its services (trail, recordings, adapters) to finish. */
  closeTimeoutMs: 10_000,
  /** Subjects in quarantine at once; past it everybody is refused until one ends. */
  quarantinesMax: 10_000,
  /** Windows of `rate` obligations that are counted at once; past it such operations are refused. */
  rateWindowsMax: 10_000,

  // PostgreSQL: logins and cancels
  /** A startup packet, as in PostgreSQL itself. */
  postgresStartupBytesMax: 10_000,
  /** How long a refused client is listened to after its last words, so that they arrive. */
  postgresLingerMs: 1_000,
  /** From connecting to an upstream until it is ready for a query. */
  postgresConnectTimeoutMs: 10_000,
  /** One message, and the number of them, while logging in at an upstream. */
  postgresLoginMessageBytesMax: 64 * 1024,
  postgresLoginMessagesMax: 1_000,
  /** PBKDF2 rounds an upstream may ask for in SCRAM. 4,096 is PostgreSQL's default and what RFC 7677 asks for at least. */
  postgresScramIterationsMin: 4_096,
  postgresScramIterationsMax: 600_000,
  /** From a client's CancelRequest until its upstream has closed. */
  postgresCancelTimeoutMs: 10_000,
  /** Cancel requests in flight at once, over all and of one session; more are dropped. */
  postgresCancelsMax: 64,
  postgresCancelsPerSessionMax: 4,
  /** One answer to a query of the gateway's own (the catalog). */
  postgresOwnResultBytesMax: 64 * 1024 * 1024,
  postgresOwnQueryTimeoutMs: 30_000,
  postgresEstimatesQueuedMax: 16,

  // policy
  policyInputBytesMax: 256 * 1024,
  policyInputDepthMax: 64,
  policyResultBytesMax: 256 * 1024,
  policyCacheEntriesMax: 10_000,
  policyMemoryBytesMax: 256 * 1024 * 1024,
  /** WebAssembly memory of a policy without data; input of `policyInputBytesMax` expands into it. */
  policyMemoryBytesBase: 8 * 1024 * 1024,
  /** An evaluation that took longer is a refusal. It cannot be interrupted: this bounds what counts as an answer. */
  policyEvaluationMsMax: 1_000,
  /** Reasons, obligations or labels in one result. */
  policyResultItemsMax: 1_000,
  /** Characters of one string in a result. */
  policyResultTextMax: 4_096,
  /** `data.config` as JSON or YAML; it expands sixteenfold in WebAssembly memory. */
  policyDataBytesMax: 8 * 1024 * 1024,
  /** How often a watched bundle or data file is looked at. */
  policyWatchIntervalMs: 1_000,
  /** Compressed and unpacked, each. */
  bundleBytesMax: 64 * 1024 * 1024,
  bundleFilesMax: 2_000,

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

  // classification of SQL
  /** The longest query string that is parsed at all. */
  sqlBytesMax: 256 * 1024,
  /** Up to this a query string is parsed on the main thread; nesting cannot overflow its stack below it. */
  parserInThreadBytesMax: 8 * 1024,
  /** Long query strings waiting for the parser worker of one upstream database. */
  parserQueueMax: 64,
  /** After this the worker is ended and the query string refused. */
  parserTimeoutMs: 5_000,
  /** Memory of a parser instance on the main thread; this is what it reserves, and it may not grow. */
  parserMemoryBytesMax: 128 * 1024 * 1024,
  /** Memory of the parser instance on the worker. */
  parserWorkerMemoryBytesMax: 384 * 1024 * 1024,
  /** The tree of one query string as JSON. */
  parserTreeBytesMax: 64 * 1024 * 1024,
  /** Bytes of `SET (a, b, …) = (…)` once its source is written out for every column, as the parser does. */
  sqlMultipliedBytesMax: 4 * 1024 * 1024,
  /** Statements in one query string. */
  sqlStatementsMax: 1_000,
  /** Levels of nesting of a syntax tree, counted in JSON objects; keeps the walkers inside the main thread's stack. */
  sqlTreeDepthMax: 1_000,
  /** Expression nodes one query string may make the lineage visit, views included; `SELECT *` from views of views multiplies. */
  sqlLineageStepsMax: 300_000,
  classificationCacheEntriesMax: 10_000,
  /** Text bytes the classification cache may hold as keys; a classification weighs several times its text. */
  classificationCacheBytesMax: 8 * 1024 * 1024,

  // what the classifier knows of an upstream's catalog
  /** How often a fingerprint of the catalog is taken in the background. */
  catalogCheckIntervalMs: 4_000,
  /** Without a successful check for this long every statement is refused. */
  catalogStaleMs: 30_000,
  /** Rows of one catalog query; a database with more is refused at start. */
  catalogRowsMax: 1_000_000,
  /** Text bytes of one catalog snapshot. */
  catalogBytesMax: 256 * 1024 * 1024,

  // audit and recordings
  auditEventBytesMax: 64 * 1024,
  /** Appended events that nothing waits for, until they are written. Reaching it writes them at once. */
  auditPendingEventsMax: 4_096,
  auditPendingBytesMax: 1024 * 1024,
  /** How long an appended event waits to be written, and a written one for its `fdatasync`. */
  auditTickMs: 50,
  /** How often the file is compared with what was written to it (moved, truncated, made executable). */
  auditCheckIntervalMs: 1_000,
  /** Waits between two attempts to write an unwritable trail, doubling from one to the other. */
  auditRetryMsMin: 50,
  auditRetryMsMax: 5_000,
  /** The longest line a reader of the trail accepts. */
  auditLineBytesMax: 1024 * 1024,
  /** The shortest key that may seal a trail. */
  auditKeyBytesMin: 32,
  /** How long written lines wait for a signed head, and how many may at most (looked at every `auditTickMs`). */
  auditHeadMs: 1_000,
  auditHeadEventsMax: 4_096,
  /** Lines behind the last signed head past which a trail counts as stripped of its heads. */
  auditUnsignedLinesMax: 100_000,
  /** How much of the trail is read at once by those who follow it; longer than any line. */
  auditReadBytes: 1024 * 1024,
  /** A secret behind a reference. */
  secretBytesMax: 64 * 1024,
  recordFrameBytesMax: 64 * 1024,
  recordBytesPerOperationMax: 256 * 1024,
  /** A bound parameter past this is recorded as its keyed hash. */
  recordParameterBytesMax: 16 * 1024,
  /** Frames are written to a recording in segments of about this size. */
  recordSegmentBytes: 32 * 1024,
  /** How long a frame waits for its segment to fill. */
  recordFlushMs: 1_000,
  /** Unwritten bytes of one session past which its adapter is asked to pause. */
  recordBufferBytesMax: 256 * 1024,
  /** Unwritten bytes of one session past which its recording fails: the adapter did not pause. */
  recordBufferBytesHardMax: 2 * 1024 * 1024,
  /** Unwritten bytes of all sessions past which every adapter is asked to pause. */
  recordBufferBytesTotalMax: 64 * 1024 * 1024,
  /** Empty segment buffers kept for reuse. */
  recordSpareSegmentsMax: 64,
  /** The shortest secret that may encrypt recordings. */
  recordKeyBytesMin: 32,
  /** Recordings that the index knows; of more the oldest are forgotten by it, not deleted. */
  recordIndexEntriesMax: 100_000,
  /** Labels, resources and refusal codes that the index keeps of one recording, of each. */
  recordIndexTermsMax: 64,
  /** One entry of the index. */
  recordIndexLineBytesMax: 64 * 1024,
  /** Entries of one answer. */
  recordQueryEntriesMax: 1_000,
  /** How often recordings past their time or their bytes are looked for, and how many are removed at once. */
  recordRetentionIntervalMs: 60_000,
  recordRetentionRemovalsMax: 1_000,
  /** How long a failed directory is left alone before a new session tries it again. */
  recordRetryMs: 1_000,
  /** The longest header or segment a reader of recordings accepts. */
  recordSegmentBytesMax: 16 * 1024 * 1024,

  // PostgreSQL conversations
  /** Any message of a client but Bind and CopyData: query strings, above all. */
  postgresMessageBytesMax: 512 * 1024,
  /** A Bind message with its parameters. */
  postgresBindBytesMax: 16 * 1024 * 1024,
  postgresCopyDataBytesMax: 1024 * 1024 * 1024,
  /** One message of an upstream; an unmasked row is forwarded in pieces and never held. */
  postgresReplyBytesMax: 1024 * 1024 * 1024,
  /** Forwarded messages whose replies are still owed; past it the client is not read. */
  expectedRepliesMax: 10_000,
  statementNamesMax: 10_000,
  /** Texts of the prepared statements of one connection; the last one may go past it by its own size. */
  statementNamesBytesMax: 8 * 1024 * 1024,
  portalNamesMax: 10_000,
  /** Parameters of the portals of one connection; the last one may go past it by its own size. */
  portalNamesBytesMax: 32 * 1024 * 1024,
  /** What a client sends behind an operation that waits for approval is read up to this, then not any more. */
  postgresHeldBytesMax: 64 * 1024,
  /** Databases (per login) whose catalogs are held at once. */
  postgresDatabasesMax: 64,
  /** Classifications shared by texts that differ in values only, per database; longer texts are not looked at. */
  statementShapesMax: 4_096,
  statementShapeBytesMax: 4 * 1024,

  // SSH
  /** Attempts to log in on one connection, each signature, token and unusable key counted. */
  sshLoginAttemptsMax: 10,
  /** Open channels of one connection. */
  sshChannelsMax: 64,
  /** Ports that one connection has the host listen on. */
  sshRemoteForwardsMax: 16,
  /** From connecting to a host until the gateway is logged in there. */
  sshConnectTimeoutMs: 10_000,
  /** A host that says nothing for so long is asked whether it is there, so many times before it counts as gone. */
  sshKeepaliveIntervalMs: 15_000,
  sshKeepaliveUnansweredMax: 3,
  /** How long a host may take to end what it was told to end, and a client to take its last words. */
  sshEndPatienceMs: 2_000,
  /** Bytes of a script that is read from standard input before anything of it runs. */
  sshScriptBytesMax: 16 * 1024,
  /** Characters of one line of a judged shell, and lines it remembers. */
  sshLineLengthMax: 4_096,
  sshLineHistoryMax: 100,
  /** How long a login shell that was looked at is believed to be what it was. */
  sshShellProbeMs: 5 * 60_000,
  /** Until the answer to the question what the login shell is. */
  sshShellProbeTimeoutMs: 5_000,
  sshShellProbeBytesMax: 64 * 1024,
  /** Bytes of one operation's output that its recording keeps; the rest is counted and hashed. */
  sshRecordBytesPerOperationMax: 8 * 1024 * 1024,

  // SSH: certificates and keys
  /** A certificate. With what a login adds it must fit into one SSH packet of 35,000 bytes. */
  sshCertificateBytesMax: 32 * 1024,
  /** Principals of one certificate, as in OpenSSH. */
  sshCertificatePrincipalsMax: 256,
  /** Bits of an RSA modulus. */
  sshRsaBitsMin: 2_048,
  sshRsaBitsMax: 8_192,
  /** A public key as one line of text, its comment included. */
  sshPublicKeyLineBytesMax: 8 * 1024,
  /** An identity as JSON inside a certificate. */
  sshIdentityBytesMax: 16 * 1024,
  /** How long a certificate of the gateway holds at most; it never outlives the token it was issued for. */
  sshCertificateLifetimeSecondsMax: 3_600,
  /** Tokens that were exchanged for a certificate and have not expired; past it nothing is issued until one has. */
  sshExchangedTokensMax: 50_000,
  /** How long `sallyport ssh login` waits for its certificate, and for another login in the same directory. */
  sshExchangeTimeoutMs: 15_000,
  sshLoginLockTimeoutMs: 30_000,
  sshLoginLockIntervalMs: 50,
  /** With less than this left of a certificate a new one is fetched. */
  sshCertificateRenewalMs: 60_000,
  /** What a gateway may say to whom it refuses a certificate. */
  sshRefusalBytesMax: 4 * 1024,
  /** A file of known hosts. */
  sshKnownHostsBytesMax: 1024 * 1024,

  // SSH: shell texts
  /** A command or script that is read before it runs. */
  shellTextBytesMax: 16 * 1024,
  /** Substitutions, here-documents and parameter expansions of one text, nested or not. */
  shellExpansionsMax: 64,
  /** Brackets inside one another, of any kind, quoted or not: reading takes time that grows with their depth. */
  shellNestingMax: 20,
  /** Words of one command. */
  shellWordsMax: 4_096,
  /** Commands of one text, each round of a loop counted. */
  shellStepsMax: 2_048,
  /** `sh -c`, `sudo`, `eval` and their like inside one another. */
  shellDepthMax: 8,
  /** Words that one brace expansion makes. */
  shellBraceWordsMax: 64,
  /** Code units of one expanded word, and of a text in canonical form. */
  shellWordLengthMax: 64 * 1024,

  ...evidenceLimits,
  ...requestLimits,

  ...approvalLimits,
  ...consoleLimits,

  // masks
  /** Sets of masks by name that are kept ready; a policy has a few. */
  maskSetsMax: 256,
  /** Code units of an author's `redact_pattern`. */
  maskPatternLengthMax: 512,
  /** States of its automaton once repetitions are written out: matching costs at most this many steps a character. */
  maskPatternStatesMax: 2_000,
  /** Compiled patterns kept by their text. */
  maskPatternsCachedMax: 256,
  /** Code units of a replacement text. */
  maskTextLengthMax: 256,
  /** Characters `keep_first` and `keep_last` may show. */
  maskKeepCountMax: 64,
  /** A value past this is hidden whole instead of being read by a mask. */
  maskedValueBytesMax: 1024 * 1024,
  /** One row that has a masked column; it must be held whole. */
  maskedRowBytesMax: 64 * 1024 * 1024,
  /** Bytes of a stream held back until a detector can tell, but for finds that overlap; also the longest thing one detects. */
  detectorHoldLengthMax: 16 * 1024,
  /** How far back from the beginning of a find its detector looks, in bytes. */
  detectorLookBehindBytes: 96,
  /** Short texts that were found to hold no secret and are not looked at again, and what counts as short. */
  harmlessTextsMax: 2_048,
  harmlessTextLengthMax: 256,
  /** The longest terminal sequence that is looked through. */
  terminalSequenceBytesMax: 64,
  /** How much of a chunk is looked at in one go. */
  maskSliceBytes: 64 * 1024,
  /** How long a stream to a person's terminal is held back: then what is held is shown, under a weaker guarantee. */
  maskIdleMs: 20,
  /** Code units, and steps, of a JSON path. */
  jsonPathLengthMax: 512,
  jsonPathStepsMax: 32,
  /** Different positions between the paths of one set that documents may lead to; a few for each step of them, but for `..` before `*`. */
  jsonPathStatesMax: 4_096,
  /** Objects and arrays within one another, in JSON that is masked. */
  jsonDepthMax: 512,
  /** A member's name in JSON that is masked, as it is written. */
  jsonNameBytesMax: 64 * 1024,
  /** A string of JSON that detectors look through is held up to this; a longer one is written anew while it passes. */
  jsonStringHeldBytesMax: 64 * 1024,
  /** Columns of a result set (PostgreSQL's own bound). */
  resultColumnsMax: 1_664,

  // SSH: SFTP and scp
  /** What the length of an SFTP packet may say, in both directions; OpenSSH's SFTP_MAX_MSG_LENGTH. */
  sftpPacketBytesMax: 256 * 1024,
  /** Any SFTP request but a WRITE, and any answer that the gateway itself reads. They are held whole. */
  sftpRequestBytesMax: 64 * 1024,
  /** One path, as in Linux. */
  sftpPathBytesMax: 4_096,
  /** SFTP requests of one channel that are not answered; past it the client is not read. */
  sftpOutstandingMax: 1_024,
  sftpHandlesMax: 1_024,
  /** Folders of one path that do not exist and are looked up one by one, to find the last one that does. */
  sftpMissingFoldersMax: 32,
  /** Refusals of one SFTP channel that are told on standard error as well. */
  sftpRefusalsToldMax: 20,
  /** Characters of a refusal's text in an SFTP STATUS. */
  sftpRefusalTextMax: 1_024,
  /** Until the host answers a question of the gateway's own. */
  sftpAnswerTimeoutMs: 30_000,
  /** A control line or message of scp. */
  scpLineBytesMax: 8 * 1024,
  /** Folders within folders. */
  scpDepthMax: 128,
  /** One file: the largest of ext4. */
  scpFileBytesMax: 16 * 1024 ** 4,
} as const;

/** The bounds, as `limits:` in the configuration may narrow or widen them. */
export type Limits = { readonly [Name in keyof typeof limits]: number };

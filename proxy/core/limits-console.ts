/** Bounds of the console and its API, which are part of `limits`. */
export const consoleLimits = {
  consoleConnectionsMax: 256,
  /** A request's head, its cookies and a token among it. */
  consoleHeaderBytesMax: 24 * 1024,
  consoleHeadersMax: 64,
  consoleRequestTimeoutMs: 10_000,
  /** The body of a request: a verdict and its reason. */
  consoleBodyBytesMax: 16 * 1024,
  /** What a machine sends to a hook. */
  consoleHookBytesMax: 256 * 1024,
  /** What a person writes as a reason, in characters. */
  consoleReasonLengthMax: 1_000,
  /** A path with its query. */
  consoleTargetBytesMax: 4 * 1024,
  /** Requests of one client address in a minute, attempts to sign in among them in a number of their own. */
  consoleRequestsPerMinuteMax: 1_200,
  consoleSignInsPerMinuteMax: 30,
  /** Client addresses that are counted at once; past it, whoever is new has to wait. */
  consoleAddressesMax: 10_000,
  /** People who are signed in with a browser, and those who are on their way to their provider and back. */
  consoleBrowserSessionsMax: 1_000,
  consoleSignInsMax: 1_000,
  consoleSignInMs: 10 * 60_000,
  /** How long a browser stays signed in: without being used, and at most. */
  consoleSessionIdleMs: 60 * 60_000,
  consoleSessionMs: 8 * 3600_000,
  /** Whatever the identity provider is asked for a sign-in. */
  consoleProviderTimeoutMs: 10_000,
  /** Streams of events at once: of everybody, and of one session that is watched. */
  consoleStreamsMax: 128,
  consoleWatchersPerSessionMax: 16,
  /** Operations of one session whose bytes are counted one by one. */
  consoleRunningOperationsMax: 256,
  /** Events that wait for a slow reader; past it frames are left out, and it is told how many. */
  consoleStreamBufferBytesMax: 1024 * 1024,
  /** Bytes of one frame that a watcher is sent; the recording has the rest. */
  consoleWatchFrameBytesMax: 64 * 1024,
  /** How often a watcher is told what the session has come to. */
  consoleCountsIntervalMs: 1_000,
  /** How long a stream goes on before its reader has to ask, and to show who it is, again. */
  consoleStreamMs: 15 * 60_000,
  /** Between two comments on a quiet stream. */
  consoleKeepAliveMs: 15_000,
  /** Rows of one page of a list. */
  consolePageMax: 200,
  /** Frames of a recording that are shown as JSON. */
  consoleReplayFramesMax: 20_000,
  consoleReplayBytesMax: 32 * 1024 * 1024,
  /** How much of the end of the trail is looked through for recent decisions. */
  consoleTrailBytesMax: 8 * 1024 * 1024,
} as const;

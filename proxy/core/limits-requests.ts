/** Bounds of requests and messages over HTTP, which are part of `limits`. */
export const requestLimits = {
  // HTTP
  /** A request's head. */
  httpHeaderBytesMax: 16 * 1024,
  /** Header lines of a request, as in Apache. */
  httpHeadersMax: 100,
  /** A request's path and query. */
  httpTargetBytesMax: 8 * 1024,
  httpSegmentsMax: 64,
  /** Parameters of a query, and fields of a form. */
  httpParametersMax: 1_000,
  /** What a request may announce as its body, whether anybody looks into it or not. */
  httpRequestBytesMax: 1024 * 1024 * 1024,
  /** A request's body that is read for policy. */
  httpJudgedBodyBytesMax: 1024 * 1024,
  /** Templates of one upstream's routes. */
  httpRoutesMax: 10_000,
  /** Base paths that the servers of an OpenAPI document come to. */
  httpBasePathsMax: 64,
  /** A JSON body: objects and arrays inside one another, and members and items in all. */
  httpJsonDepthMax: 48,
  httpJsonMembersMax: 20_000,
  httpMultipartPartsMax: 256,
  httpMultipartHeaderBytesMax: 4 * 1024,
  /** A GraphQL document: its tokens, brackets inside one another, fragments spread out and fields visited. */
  httpGraphqlTokensMax: 10_000,
  httpGraphqlNestingMax: 40,
  httpGraphqlFieldsMax: 2_000,
  httpHeadersTimeoutMs: 10_000,
  /** From the first byte of a request to its last. */
  httpRequestTimeoutMs: 60_000,
  httpKeepAliveTimeoutMs: 30_000,
  /** Sessions (a subject at an upstream) of one client connection. */
  httpSessionsPerConnectionMax: 16,
  /** Request lines that one connection keeps what it made of, for the next of the same. */
  httpRequestsKeptMax: 64,
  /** Connections to one upstream. */
  httpUpstreamConnectionsMax: 64,
  httpConnectTimeoutMs: 5_000,
  /** Certificates that a forward proxy keeps for the hosts it stands for, and how long each lasts. */
  httpLeafCertificatesMax: 1_000,
  httpLeafLifetimeMs: 24 * 3600_000,
  /** Until an upstream begins to answer, and between two pieces of its answer. */
  httpAnswerTimeoutMs: 60_000,
  httpPieceTimeoutMs: 60_000,
  /** Bytes of one exchange's body that its recording keeps. */
  httpRecordBytesPerBodyMax: 64 * 1024,
  /** How much of a masked answer is held before its status is sent: what cannot be masked so far is refused in words. */
  httpHeldAnswerBytesMax: 64 * 1024,
  /** How long, for answers that come slowly. */
  httpHeldAnswerMs: 1_000,
  /** The end of an answer that goes out in one write with what waits before it: it is copied for that. */
  httpEndBytesMax: 16 * 1024,
  /** One event of an answer that is a stream of events, where it is masked. */
  httpEventBytesMax: 1024 * 1024,
  /** One message of a WebSocket, where messages are masked or judged: it is held whole. */
  httpWebsocketMessageBytesMax: 1024 * 1024,
  /** Pings of one side of a WebSocket that the other has not answered. */
  httpWebsocketPingsMax: 16,
  /** How long either side of a WebSocket may take to close it, once the other has. */
  httpWebsocketCloseMs: 5_000,
  /** What an answer with a content coding may come to where it is masked: in all, and for each byte as it came. */
  httpDecodedBytesMax: 1024 * 1024 * 1024,
  httpDecodedRatioMax: 200,
  /** A token of the gateway's own is asked for anew so long before it ends. */
  httpTokenRenewalMs: 30_000,
  httpTokensCachedMax: 1_000,
  /** How long a provider may take to give one. */
  httpTokenTimeoutMs: 10_000,
  /** A token that an upstream refuses although it is younger is not asked for anew: another one would fare no better. */
  httpTokenRefusedAgeMs: 5_000,

  // MCP
  /** Between two comments on a stream of events. */
  mcpKeepAliveMs: 5_000,
  /** Sessions of all clients, and of one subject at one upstream. */
  mcpSessionsMax: 10_000,
  mcpSessionsPerOwnerMax: 64,
  /** A session that was not used for so long is over. */
  mcpSessionIdleMs: 4 * 3600_000,
  /** Requests of one session without an answer, in each direction; past it the oldest is given up. */
  mcpPendingRequestsMax: 256,
  /** Resources that one session, or one `subscriptions/listen`, hears about. */
  mcpSubscriptionsMax: 100,
  /** Tools, resources or prompts on one page of a list. */
  mcpListItemsMax: 1_000,
  /** How long a client may keep an answer that the server lets it keep: policy may change its mind. */
  mcpCacheMsMax: 60_000,
  /** Definitions of tools that are remembered, of all upstreams; and what they are long, one and together, in canonical JSON. */
  mcpToolPinsMax: 10_000,
  mcpToolDefinitionLengthMax: 64 * 1024,
  mcpToolPinsLengthMax: 32 * 1024 * 1024,
  /** The file that remembers their first use. */
  mcpPinFileBytesMax: 16 * 1024 * 1024,
  /** Schemas of tools that are kept compiled. */
  mcpToolValidatorsMax: 256,
  /** Nodes of such a schema once its references are written out; past it arguments are not compared with it. */
  mcpToolSchemaNodesMax: 5_000,
  /** One event of a stream of events, its comments included. */
  mcpEventBytesMax: 4 * 1024 * 1024,
} as const;

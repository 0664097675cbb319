/** The revisions of MCP that are understood, and the two eras they belong to. */

/** With `initialize`, sessions and a stream to listen on; or without any of them, each request on its own. */
export type Era = 'session' | 'stateless';

/** Newest first. */
export const sessionVersions: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26'];
/** Newest first. */
export const statelessVersions: readonly string[] = ['2026-07-28'];

/** The era of a revision; undefined for one that is not understood. */
export function eraOf(version: string): Era | undefined {
  if (statelessVersions.includes(version)) return 'stateless';
  return sessionVersions.includes(version) ? 'session' : undefined;
}

const prefix = 'io.modelcontextprotocol/';

/** The members of `_meta` that the protocol itself uses. */
export const metaNames = {
  protocolVersion: `${prefix}protocolVersion`,
  clientInfo: `${prefix}clientInfo`,
  clientCapabilities: `${prefix}clientCapabilities`,
  logLevel: `${prefix}logLevel`,
  subscriptionId: `${prefix}subscriptionId`,
} as const;

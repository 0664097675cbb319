/** Sessions of the era that has them: the client is given an id of the gateway's, which is worth nothing to anybody else. */
import { limits } from '../../../core/limits.ts';
import type { JsonObject } from '../../../core/types.ts';
import { idKey, type RequestId } from './json-rpc.ts';
import { type Owner, ownerKey } from './sealer.ts';

/** Requests that have no answer yet: of the client, or of the server. The id of one can be used again once it has. */
export class PendingRequests<Request> {
  readonly #requests = new Map<string, Request>();

  /** False for an id that is in use. When there are too many, the oldest is given up: its answer will be a stray one. */
  add(id: RequestId, request: Request): boolean {
    const key = idKey(id);
    if (this.#requests.has(key)) return false;
    const oldest = this.#requests.keys().next();
    if (this.#requests.size >= limits.mcpPendingRequestsMax && !oldest.done) this.#requests.delete(oldest.value);
    this.#requests.set(key, request);
    return true;
  }

  /** The request that this id answers, which is then no longer pending. */
  take(id: RequestId): Request | undefined {
    const key = idKey(id);
    const request = this.#requests.get(key);
    this.#requests.delete(key);
    return request;
  }
}

/** A request of a client that has no answer yet, and how its answer is masked, on whichever stream it comes. */
export interface PendingRequest {
  readonly method: string;
  readonly mask: Mask;
}

/**
 * Masks a message of the upstream as the decision about the client's message asks for. The same object back when nothing
 * was masked. @throws GatewayError when it cannot be masked.
 */
export type Mask = (message: JsonObject) => JsonObject;

/** One session: whose it is, and what is open in it. */
export interface McpSession {
  /** What the client knows it by. */
  readonly id: string;
  readonly upstreamSessionId: string;
  readonly ownerKey: string;
  /** Requests of the client. */
  readonly pending: PendingRequests<PendingRequest>;
  /** Requests of the server that were passed on. */
  readonly asked: PendingRequests<string>;
  /** Resources that the client hears about. */
  readonly subscriptions: Set<string>;
  /** The revision that both agreed on; undefined until they have. */
  version: string | undefined;
  usedAtMs: number;
}

/** What the sessions are made from. */
export interface McpSessionsInit {
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
}

/**
 * The sessions of all clients, bounded for each owner and over all: of an owner with too many, the one that was idle
 * longest ends. To its client that looks as if the server had ended it, which MCP provides for: it starts another one.
 */
export class McpSessions {
  readonly #clock: () => number;
  readonly #randomBytes: (count: number) => Uint8Array;
  readonly #sessions = new Map<string, McpSession>();
  readonly #owners = new Map<string, Set<McpSession>>();

  constructor({ clock, randomBytes }: McpSessionsInit) {
    this.#clock = clock;
    this.#randomBytes = randomBytes;
  }

  /** Begins a session; undefined when there are too many of other owners. */
  open(owner: Owner, upstreamSessionId: string): McpSession | undefined {
    const key = ownerKey(owner);
    const own = this.#owners.get(key) ?? new Set<McpSession>();
    this.#forget(own);
    if (this.#sessions.size >= limits.mcpSessionsMax && own.size === 0) this.#sweep();
    if (this.#sessions.size >= limits.mcpSessionsMax) return undefined;
    const session: McpSession = {
      id: Buffer.from(this.#randomBytes(24)).toString('base64url'),
      ...{ upstreamSessionId, ownerKey: key, version: undefined, usedAtMs: this.#clock() },
      ...{ pending: new PendingRequests(), asked: new PendingRequests(), subscriptions: new Set() },
    };
    this.#sessions.set(session.id, session);
    this.#owners.set(key, own.add(session));
    return session;
  }

  /** The session of this owner by this id; undefined when it is over, or somebody else's. */
  find(id: string, owner: Owner): McpSession | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined || session.ownerKey !== ownerKey(owner) || this.#idle(session)) return undefined;
    session.usedAtMs = this.#clock();
    return session;
  }

  /** Ends a session, because its client or its server did. */
  end(session: McpSession): void {
    this.#sessions.delete(session.id);
    const own = this.#owners.get(session.ownerKey);
    own?.delete(session);
    if (own?.size === 0) this.#owners.delete(session.ownerKey);
  }

  #idle(session: McpSession): boolean {
    return this.#clock() - session.usedAtMs > limits.mcpSessionIdleMs;
  }

  #forget(own: ReadonlySet<McpSession>): void {
    const oldest = [...own].toSorted((left, right) => left.usedAtMs - right.usedAtMs);
    const excess = own.size - limits.mcpSessionsPerOwnerMax + 1;
    for (const [index, session] of oldest.entries()) if (index < excess || this.#idle(session)) this.end(session);
  }

  #sweep(): void {
    for (const session of [...this.#sessions.values()]) if (this.#idle(session)) this.end(session);
  }
}

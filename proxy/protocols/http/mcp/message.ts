/** What a client of MCP sent, once it is understood. */
import type { Fault, Json, JsonObject } from '../../../core/types.ts';
import type { Header } from '../contract.ts';
import type { RequestId, RpcError } from './json-rpc.ts';
import type { Era } from './versions.ts';

interface Common {
  readonly era: Era;
  /** The revision that the message names; undefined when it names none, as before a session is there. */
  readonly version: string | undefined;
  /** As the client sent it: an id of the gateway's. Undefined without one, and always in the stateless era. */
  readonly sessionId: string | undefined;
  /** The headers of MCP to send upstream with it, written anew from what was read; those of the session are not in it. */
  readonly headers: readonly Header[];
}

/** What a method is about, by its parameters. */
export interface McpTarget {
  readonly tool?: string;
  readonly prompt?: string;
  /** In normal form; for `completion/complete` possibly a template. */
  readonly resourceUri?: string;
  readonly arguments?: JsonObject;
}

/** A request of a client. */
export interface McpRequest extends Common {
  readonly kind: 'request';
  readonly id: RequestId;
  readonly method: string;
  readonly target: McpTarget;
  /** URIs that `subscriptions/listen` asks to hear of. */
  readonly subscriptions: readonly string[];
  /** `Mcp-Param-*`, not yet compared with the arguments: that takes the tool's schema. */
  readonly paramHeaders: readonly Header[];
  /** The message as it goes upstream: only members that were understood. */
  readonly value: JsonObject & { readonly params?: JsonObject };
}

/** Something that a client tells. */
export interface McpNotification extends Common {
  readonly kind: 'notification';
  readonly method: string;
  readonly value: JsonObject;
}

/** A client's answer to a request of the server. */
export interface McpResponse extends Common {
  readonly kind: 'response';
  readonly id: RequestId;
  readonly answer: { readonly result: JsonObject } | { readonly error: RpcError };
  readonly value: JsonObject;
}

/** GET: listens to what the server says by itself, or takes an interrupted stream up again. */
export interface McpStream extends Common {
  readonly kind: 'stream';
  /** As the client sent it: sealed by the gateway. */
  readonly lastEventId: string | undefined;
}

/** DELETE: ends a session. */
export interface McpEnd extends Common {
  readonly kind: 'end';
}

/** Anything a client may send. */
export type McpMessage = McpRequest | McpNotification | McpResponse | McpStream | McpEnd;

/** Why a message is refused before any policy is asked, in the words of JSON-RPC as well. */
export interface McpFault {
  readonly fault: Fault;
  /** 200 for what HTTP has no complaint about. */
  readonly status: 200 | 400 | 404 | 405 | 415;
  readonly rpc: { readonly code: number; readonly message: string; readonly data?: Json };
  /** Of the request that is refused; null when it could not be read, or was none. */
  readonly id: RequestId | null;
}

/** What a message would do, in a word: its JSON-RPC method, or what the HTTP method stands for. */
export function actionName(message: McpMessage): string {
  switch (message.kind) {
    case 'request':
    case 'notification':
      return message.method;
    case 'response':
      return 'response';
    case 'stream':
      return 'session/stream';
    case 'end':
      return 'session/end';
  }
}

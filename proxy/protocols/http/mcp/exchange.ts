/** One message of a client, and everything that its upstream says on the same HTTP exchange. No I/O. */
import { limits } from '../../../core/limits.ts';
import { refusalOf } from '../../../core/refusal.ts';
import type { Fault, Json, JsonObject } from '../../../core/types.ts';
import type { Header } from '../contract.ts';
import { openRetry, passInputRequired } from './input-required.ts';
import {
  errorMessage,
  isId,
  parseRpc,
  type RequestId,
  type RpcError,
  type RpcMessage,
  resultMessage,
  rpcCodes,
} from './json-rpc.ts';
import type { McpFault, McpMessage, McpRequest } from './message.ts';
import { isServerRequest, type ServerRequest, serverNotifications } from './methods.ts';
import { refusedRequest, refusedServerRequest } from './refuse.ts';
import { isListMethod, type ListedItem, readList, rewriteResult, type WithheldItem } from './results.ts';
import { type Owner, ownerKey, type Sealer } from './sealer.ts';
import { type Mask, type McpSession, type PendingRequest, PendingRequests } from './sessions.ts';
import type { ToolPins } from './tool-pins.ts';

/** What an exchange is made from. */
export interface ExchangeInit {
  readonly message: McpMessage;
  readonly owner: Owner;
  /** The session that the message names; undefined when it names none. */
  readonly session: McpSession | undefined;
  readonly sealer: Sealer;
  readonly pins: ToolPins;
  /** `data.config` as active. */
  readonly config: JsonObject;
  /** What servers may ask of clients; nothing by default. */
  readonly serverRequests?: ReadonlySet<ServerRequest> | undefined;
  /** Of the decision about the message. An answer that comes on another stream is masked as its own request asked for. */
  readonly mask: Mask;
  /** Under which the message was permitted; refusals of its answer name it. */
  readonly decisionId: string;
}

/** What goes upstream. */
export interface Outgoing {
  readonly headers: readonly Header[];
  /** For a POST. */
  readonly body: JsonObject | undefined;
}

/** What becomes of one message of the upstream. */
export type Verdict =
  /** Given to the client, masked. What is unchanged may be given as it was written, so that numbers keep their digits. */
  | { readonly kind: 'forward'; readonly value: JsonObject; readonly unchanged: boolean }
  /** Given once policy was asked about each item: what `keep` makes of those that may be shown, masked. */
  | {
      readonly kind: 'list';
      readonly items: readonly ListedItem[];
      readonly withheld: readonly WithheldItem[];
      keep(kept: ReadonlySet<ListedItem>): JsonObject;
    }
  /** Not given; the client has `value` instead. */
  | { readonly kind: 'refuse'; readonly fault: Fault; readonly value: JsonObject }
  /** Not given; `value` is posted to the upstream in the same session. */
  | { readonly kind: 'answer'; readonly fault: Fault; readonly value: JsonObject }
  /** Not given, and nobody is told. */
  | { readonly kind: 'drop'; readonly fault: Fault };

/** Follows one exchange. Every message of the upstream takes its way through `judge`. */
export class McpExchange {
  readonly #init: ExchangeInit;
  readonly #allowed: ReadonlySet<ServerRequest>;
  readonly #pending: PendingRequests<PendingRequest>;
  #session: McpSession | undefined;
  #answered = false;
  #resumable = false;

  constructor(init: ExchangeInit) {
    this.#init = init;
    this.#allowed = init.serverRequests ?? new Set();
    this.#session = init.session;
    this.#pending = init.session?.pending ?? new PendingRequests();
  }

  /** The client's request has its answer. */
  get answered(): boolean {
    return this.#answered;
  }

  /** The session that the exchange is in, or that its answer began. */
  get session(): McpSession | undefined {
    return this.#session;
  }

  /** Takes note of what is about to be forwarded, once it is permitted, and says how; or why it cannot be. */
  begin(): Outgoing | McpFault {
    const { message, sealer } = this.#init;
    const session = this.#session;
    if (session?.version !== undefined && message.version !== undefined && message.version !== session.version) {
      return this.#fault('The session speaks another revision.');
    }
    const headers: Header[] = [...message.headers];
    if (session !== undefined) headers.push(['mcp-session-id', session.upstreamSessionId]);
    switch (message.kind) {
      case 'end':
        return { headers, body: undefined };
      case 'stream': {
        if (message.lastEventId === undefined) return { headers, body: undefined };
        const eventId = sealer.open(this.#eventScope(), message.lastEventId);
        if (eventId === undefined) return this.#fault('The event id is not one that this client was given.');
        return { headers: [...headers, ['last-event-id', eventId]], body: undefined };
      }
      case 'notification':
        return { headers, body: message.value };
      case 'response':
        if (session?.asked.take(message.id) !== undefined) return { headers, body: message.value };
        return this.#fault('The answer belongs to no request of the server.');
      case 'request':
        return this.#beginRequest(message, headers);
    }
  }

  /** The upstream gave a session id, and the client was given the id of `session` for it. */
  opened(session: McpSession): void {
    this.#session = session;
  }

  /** An event id as the client is given it. */
  sealEventId(eventId: string): string {
    this.#resumable = true;
    return this.#init.sealer.seal(this.#eventScope(), eventId);
  }

  /** The upstream has nothing more to say here. Without an answer it may still say it on a stream that is taken up again. */
  end(): void {
    const { message } = this.#init;
    if (message.kind === 'request' && !this.#answered && !this.#resumable) this.#pending.take(message.id);
  }

  /**
   * Judges one message of the upstream: a JSON body, or the data of an event.
   *
   * @throws what `mask` throws: the answer must then not look complete.
   */
  judge(value: Json): Verdict {
    const parsed = parseRpc(value);
    if (typeof parsed === 'string') return drop('operation_unparseable', parsed);
    switch (parsed.kind) {
      case 'request':
        return this.#judgeRequest(parsed);
      case 'notification':
        return this.#judgeNotification(parsed);
      case 'result':
      case 'error':
        return this.#judgeAnswer(parsed);
    }
  }

  #beginRequest(message: McpRequest, headers: Header[]): Outgoing | McpFault {
    const { params } = message.value;
    const opened = params && openRetry(params, this.#init.sealer, this.#stateScope(message));
    if (params !== undefined && opened === undefined) {
      return this.#fault('The answers belong to no question that this client was asked.');
    }
    if (!this.#pending.add(message.id, { method: message.method, mask: this.#init.mask }))
      return this.#fault('The id is in use.');
    const { resourceUri = '' } = message.target;
    const subscriptions = this.#session?.subscriptions;
    if (message.method === 'resources/unsubscribe') subscriptions?.delete(resourceUri);
    if (message.method === 'resources/subscribe') {
      if ((subscriptions?.size ?? 0) >= limits.mcpSubscriptionsMax) {
        this.#pending.take(message.id);
        return this.#fault('The session hears about too many resources already.');
      }
      subscriptions?.add(resourceUri);
    }
    const body = opened === undefined ? message.value : { ...message.value, params: opened };
    return { headers: [...headers, ...this.#comparedHeaders(message)], body };
  }

  /** Headers for arguments, if it is known what they stand for: `checkToolCall` has then compared them. */
  #comparedHeaders({ target, paramHeaders }: McpRequest): readonly Header[] {
    const { pins, owner, config } = this.#init;
    const known =
      target.tool !== undefined && pins.status(owner.upstream, target.tool, config).definition !== undefined;
    return known ? paramHeaders : [];
  }

  /** What the server asks the client for. */
  #judgeRequest({ id, method, params }: Extract<RpcMessage, { kind: 'request' }>): Verdict {
    const session = this.#session;
    if (this.#init.message.era === 'stateless' || session === undefined) {
      return drop('operation_unsupported', 'The server asks the client for something outside a session.');
    }
    if (method !== 'ping' && !(isServerRequest(method) && this.#allowed.has(method))) {
      const message = 'The server asks the client for something that does not pass the gateway.';
      const fault = { code: 'operation_unsupported', message };
      return { kind: 'answer', fault, value: refusedServerRequest(id, fault) };
    }
    if (!session.asked.add(id, method)) return drop('operation_malformed', 'The server uses an id twice.');
    return forward({ jsonrpc: '2.0', id, method, ...(params && { params }) }, this.#init.mask);
  }

  #judgeNotification({ method, params }: Extract<RpcMessage, { kind: 'notification' }>): Verdict {
    const { message } = this.#init;
    const { requestId, uri } = params ?? {};
    const elicited = method === 'notifications/elicitation/complete' && this.#allowed.has('elicitation/create');
    if (!elicited && !serverNotifications.has(method)) {
      return drop('operation_unsupported', 'The notification does not pass the gateway.');
    }
    if (method === 'notifications/cancelled' && !(isId(requestId) && this.#session?.asked.take(requestId))) {
      return drop('operation_malformed', 'The server cancels what it did not ask for.');
    }
    if (method === 'notifications/resources/updated') {
      const own = message.kind === 'request' ? message.subscriptions : [];
      const heard = [...own, ...(this.#session?.subscriptions ?? [])];
      // A resource inside one that was subscribed to may be told of as well.
      if (typeof uri !== 'string' || !heard.some((known) => uri === known || uri.startsWith(`${known}/`))) {
        return drop('operation_malformed', 'The server tells of a resource that was not asked about.');
      }
    }
    return forward({ jsonrpc: '2.0', method, ...(params && { params }) }, this.#init.mask);
  }

  #judgeAnswer(answer: Extract<RpcMessage, { kind: 'result' | 'error' }>): Verdict {
    const { message, mask } = this.#init;
    // A POST is answered by its own answer. A stream that is taken up again may bring that of any earlier one.
    const own = message.kind === 'request' && !this.#answered ? message.id : undefined;
    if (answer.kind === 'error' && answer.id === null) {
      // The server could not read what it was sent, or does not want it: HTTP has its status.
      const request = message.kind === 'request' ? this.#pending.take(message.id) : undefined;
      this.#answered = true;
      return this.#judgeError(null, answer.error, request ?? { method: '', mask });
    }
    const { id } = answer;
    if (id === null || (message.kind !== 'stream' && id !== own)) return drop(...strayAnswer);
    const request = this.#pending.take(id);
    if (request === undefined) return drop(...strayAnswer);
    if (own !== undefined) this.#answered = true;
    return answer.kind === 'error'
      ? this.#judgeError(id, answer.error, request)
      : this.#judgeResult(id, answer.result, request);
  }

  #judgeError(id: RequestId | null, error: RpcError, { method, mask }: PendingRequest): Verdict {
    if (error.code === rpcCodes.urlElicitationRequired && !this.#allowed.has('elicitation/create')) {
      const message = 'The server sends the person somewhere, which does not pass the gateway.';
      return this.#refuse(id, method, { code: 'operation_unsupported', message });
    }
    return forward(errorMessage(id, error), mask);
  }

  #judgeResult(id: RequestId, result: JsonObject, { method, mask }: PendingRequest): Verdict {
    const { message, pins, owner, config, sealer } = this.#init;
    const { era } = message;
    if (result.resultType === 'input_required') {
      // Only a request that was just made can be asked about: its target is what the answers will be bound to.
      if (message.kind !== 'request' || era !== 'stateless') {
        return this.#refuse(id, method, {
          code: 'operation_unsupported',
          message: 'The server asks where it may not.',
        });
      }
      const seal = (text: string) => sealer.seal(this.#stateScope(message), text);
      const passed = passInputRequired(method, result, this.#allowed, seal);
      return 'fault' in passed
        ? this.#refuse(id, method, passed.fault)
        : forward(resultMessage(id, passed.result), mask, true);
    }
    const rewritten = rewriteResult(method, era, result);
    if ('fault' in rewritten) return this.#refuse(id, method, rewritten.fault);
    if (!isListMethod(method)) {
      if (method === 'initialize' && this.#session !== undefined)
        this.#session.version = String(result.protocolVersion);
      return forward(resultMessage(id, rewritten.result), mask, rewritten.result !== result);
    }
    const list = readList(method, era, result, (definition) => pins.see(owner.upstream, definition, config));
    if ('fault' in list) return this.#refuse(id, method, list.fault);
    const { items, withheld } = list;
    return { kind: 'list', items, withheld, keep: (kept) => mask(resultMessage(id, list.keep(kept))) };
  }

  #refuse(id: RequestId | null, method: string | undefined, fault: Fault): Verdict {
    const refusal = refusalOf(this.#init.decisionId, fault, [], false);
    const stateless = this.#init.message.era === 'stateless';
    return { kind: 'refuse', fault, value: refusedRequest(id, method ?? '', stateless, refusal) };
  }

  #fault(message: string): McpFault {
    const { message: about } = this.#init;
    const id = about.kind === 'request' ? about.id : null;
    const rpc = { code: rpcCodes.invalidRequest, message };
    return { fault: { code: 'operation_malformed', message }, status: 400, rpc, id };
  }

  #eventScope(): readonly string[] {
    return ['event', ownerKey(this.#init.owner), this.#session?.id ?? ''];
  }

  #stateScope({ method, target }: McpRequest): readonly string[] {
    const { tool, prompt, resourceUri } = target;
    return ['state', ownerKey(this.#init.owner), method, tool ?? prompt ?? resourceUri ?? ''];
  }
}

const strayAnswer = ['operation_malformed', 'The answer belongs to no request of this client.'] as const;

function forward(message: JsonObject, mask: Mask, rewritten = false): Verdict {
  const value = mask(message);
  return { kind: 'forward', value, unchanged: !rewritten && value === message };
}

function drop(
  code: 'operation_malformed' | 'operation_unparseable' | 'operation_unsupported',
  message: string,
): Verdict {
  return { kind: 'drop', fault: { code, message } };
}

/** The smallest reverse proxy that drives the MCP part: no TLS, no audit, and policy is a function. Uses no test framework. */
import { randomBytes } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { refusalOf } from '../../../../../proxy/core/refusal.ts';
import type { Identity, Json, JsonObject } from '../../../../../proxy/core/types.ts';
import type { CanonicalRequest, Header } from '../../../../../proxy/protocols/http/contract.ts';
import {
  checkToolCall,
  listOperation,
  type Mask,
  McpExchange,
  type McpMessage,
  type McpOperation,
  McpSessions,
  mcpOperations,
  type Owner,
  readMcpRequest,
  refuseFault,
  refuseMessage,
  Sealer,
  type ServerRequest,
  SseReader,
  sessionUnknown,
  sseEvent,
  ToolPins,
  type Verdict,
} from '../../../../../proxy/protocols/http/mcp/index.ts';
import { bodyOf, closed, listening } from '../../../../support/mcp-servers.ts';

/** How the proxy under test decides. */
export interface ProxyOptions {
  readonly upstream: URL;
  /** Policy: everything, unless said otherwise. */
  allows?(operation: McpOperation, identity: Identity): boolean;
  readonly config?: JsonObject;
  /** How what the upstream says on behalf of a message is masked. */
  mask?(message: McpMessage): Mask;
  readonly serverRequests?: ReadonlySet<ServerRequest>;
}

/** A proxy under test. Its clients are who their bearer token says. */
export interface TestProxy {
  readonly url: URL;
  readonly pins: ToolPins;
  /** What policy was asked. */
  readonly operations: McpOperation[];
  /** What became of what the upstream said. */
  readonly verdicts: Verdict[];
  close(): Promise<void>;
}

/** Starts a proxy in front of an upstream called `tools`. */
export async function startProxy(options: ProxyOptions): Promise<TestProxy> {
  const pins = new ToolPins({ clock: () => 1_000 });
  const sessions = new McpSessions({ clock: () => 1_000, randomBytes });
  const sealer = new Sealer(randomBytes(32));
  const operations: McpOperation[] = [];
  const verdicts: Verdict[] = [];
  const config = options.config ?? {};
  const allows = (operation: McpOperation, identity: Identity) => {
    operations.push(operation);
    return operation.fault === undefined && operation.complete && (options.allows?.(operation, identity) ?? true);
  };

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const identity = identityOf(incoming);
    const owner: Owner = { identity, upstream: 'tools' };
    const read = readMcpRequest(canonical(incoming), (await bodyOf(incoming)) as Json | undefined, options);
    if ('fault' in read) return answer(response, refuseFault(read, 'd-1'));
    const { message } = read;
    const session = message.sessionId === undefined ? undefined : sessions.find(message.sessionId, owner);
    if (message.sessionId !== undefined && session === undefined) return answer(response, sessionUnknown(message));
    const tool = toolOf(message) === undefined ? undefined : pins.status('tools', toolOf(message) ?? '', config);
    const mismatch = message.kind === 'request' ? checkToolCall(message, tool) : undefined;
    if (mismatch !== undefined) return answer(response, refuseFault(mismatch, 'd-1'));
    const place = { upstream: 'tools', labels: {}, tool };
    for (const operation of mcpOperations(message, place)) {
      if (allows(operation, identity)) continue;
      const fault = operation.fault ?? {
        code: operation.complete ? 'not_yours' : 'operation_incomplete',
        message: 'No.',
      };
      return answer(response, refuseMessage(message, refusalOf('d-1', fault, [], false)));
    }
    const exchange = new McpExchange({
      ...{ message, owner, session, sealer, pins, config, decisionId: 'd-1' },
      mask: options.mask?.(message) ?? ((value) => value),
      ...(options.serverRequests && { serverRequests: options.serverRequests }),
    });
    const outgoing = exchange.begin();
    if ('fault' in outgoing) return answer(response, refuseFault(outgoing, 'd-1'));
    const upstream = await send(incoming.method ?? 'POST', outgoing.headers, outgoing.body);
    response.on('close', () => upstream.destroy());
    if (upstream.statusCode === 404 && session !== undefined) {
      sessions.end(session);
      return answer(response, sessionUnknown(message));
    }
    if (message.kind === 'end' && session !== undefined) sessions.end(session);
    const upstreamSessionId = upstream.headers['mcp-session-id'];
    let began: string | undefined;
    if (session === undefined && message.kind === 'request' && typeof upstreamSessionId === 'string') {
      const opened = sessions.open(owner, upstreamSessionId);
      if (opened !== undefined) exchange.opened(opened);
      began = opened?.id;
    }
    const give = (verdict: Verdict): JsonObject | undefined => {
      verdicts.push(verdict);
      if (verdict.kind === 'answer')
        void send('POST', answerHeaders(exchange), verdict.value).then((done) => done.resume());
      if (verdict.kind === 'list') {
        const place = { upstream: 'tools', labels: {} };
        return verdict.keep(new Set(verdict.items.filter((item) => allows(listOperation(item, place), identity))));
      }
      return 'value' in verdict && verdict.kind !== 'answer' ? verdict.value : undefined;
    };
    const type = upstream.headers['content-type']?.split(';')[0];
    const head = began === undefined ? {} : { 'mcp-session-id': began };
    if (type !== 'text/event-stream') {
      const body = (await bodyOf(upstream).catch(() => undefined)) as Json | undefined;
      const given = body === undefined ? undefined : give(exchange.judge(body));
      exchange.end();
      response.writeHead(upstream.statusCode ?? 502, { ...head, 'content-type': 'application/json' });
      response.end(given === undefined ? '' : JSON.stringify(given));
      return;
    }
    response.writeHead(200, { ...head, 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const reader = new SseReader();
    for await (const chunk of upstream) {
      for (const { id, data, retry } of reader.push(chunk as Buffer)) {
        const sealed = id === undefined ? undefined : exchange.sealEventId(id);
        if (data === '') response.write(sseEvent({ id: sealed, data, retry }));
        else {
          const given = give(exchange.judge(JSON.parse(data) as Json));
          if (given !== undefined) response.write(sseEvent({ id: sealed, data: JSON.stringify(given), retry }));
        }
      }
    }
    exchange.end();
    response.end();
  }

  function send(method: string, headers: readonly Header[], body: JsonObject | undefined): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest(options.upstream, { method, headers: Object.fromEntries(headers) }, resolve);
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch(() => response.destroy());
  });
  return { ...(await listening(server)), pins, operations, verdicts, close: () => closed(server) };
}

function answerHeaders(exchange: McpExchange): Header[] {
  return [
    ['content-type', 'application/json'],
    ['accept', 'application/json, text/event-stream'],
    ['mcp-session-id', exchange.session?.upstreamSessionId ?? ''],
  ];
}

function toolOf(message: McpMessage): string | undefined {
  return message.kind === 'request' ? message.target.tool : undefined;
}

function identityOf(incoming: IncomingMessage): Identity {
  const id = /^Bearer (.+)$/.exec(incoming.headers.authorization ?? '')?.[1] ?? 'agent';
  const nobodyElse = { claims: {}, chain: [], groups: [], expiresAtMs: Number.POSITIVE_INFINITY };
  return { type: 'agent', issuer: 'https://idp.example', id, ...nobodyElse };
}

/** As the canonical part would make it of a request that is in order. */
function canonical(incoming: IncomingMessage): CanonicalRequest {
  const headers = Object.entries(incoming.headers).flatMap(([name, value]) =>
    name === 'authorization' || typeof value !== 'string' ? [] : [[name, value] as const],
  );
  return canonicalRequest(incoming.method ?? '', headers);
}

/** A request to the endpoint with these headers. */
export function canonicalRequest(method: string, headers: readonly Header[], queryText = ''): CanonicalRequest {
  const contentType = headers.find(([name]) => name === 'content-type')?.[1] ?? '';
  return {
    ...{ method, host: 'gateway.example', path: '/mcp', segments: ['mcp'], queryText, query: [], headers },
    contentType: contentType.split(';')[0]?.trim() ?? '',
    ...{ contentTypeHeader: contentType, contentLength: undefined, token: undefined, upgrade: undefined },
  };
}

function answer(
  response: ServerResponse,
  { status, body }: { readonly status: number; readonly body: JsonObject },
): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

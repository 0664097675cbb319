/** Real MCP servers of both eras, over what a test says they offer. Uses no test framework. */
import { randomUUID } from 'node:crypto';
import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Server as SessionServer } from '@modelcontextprotocol/sdk/server/index.js';
import { type EventStore, StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  isInitializeRequest,
  type JSONRPCMessage,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  ResultSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { createMcpHandler, InMemoryServerEventBus, Server as StatelessServer } from '@modelcontextprotocol/server';

/** A tool, as listed, and what it does. */
export interface OfferedTool {
  definition: {
    name: string;
    description?: string;
    inputSchema: { type: 'object'; [key: string]: unknown };
    [key: string]: unknown;
  };
  call(args: Record<string, unknown>, server: CallContext): Promise<object> | object;
}

/** What a tool may do besides answering. */
export interface CallContext {
  /** Of the session era: asks the client by a request of its own. */
  ask(method: string, params: object): Promise<unknown>;
  notify(method: string, params: object): Promise<void>;
  /** Ends the stream of this call without its answer, which the client may then come back for. */
  interrupt(): void;
  /** Of the stateless era: what the client answered, and sent back. */
  readonly params: Record<string, unknown>;
}

/** What a server offers. Changed while it runs, it offers something else. */
export interface Offer {
  tools: OfferedTool[];
  resources?: { uri: string; name: string }[];
  prompts?: { name: string; description?: string }[];
  /** Of the session era: the contents of a resource, and the messages of a prompt, in the place of a text. */
  read?(uri: string): { uri: string; mimeType: string; text?: string; blob?: string };
  prompt?(name: string, args: Readonly<Record<string, string>>): { role: 'user'; content: unknown }[];
}

/** A running server. */
export interface TestServer {
  readonly url: URL;
  /** What it received. */
  readonly seen: Seen[];
  /** Tells that a resource changed, to whoever listens. */
  updated(uri: string): Promise<void>;
  close(): Promise<void>;
}

/** One request that reached a server. */
export interface Seen {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

const capabilities = {
  tools: { listChanged: true },
  resources: { subscribe: true },
  prompts: {},
  completions: {},
  logging: {},
};

/** A server of 2025-11-25: sessions, streams that can be taken up again. */
export async function startSessionServer(offer: Offer): Promise<TestServer> {
  const seen: Seen[] = [];
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const servers: SessionServer[] = [];

  function build(): SessionServer {
    const server = new SessionServer({ name: 'session', version: '1' }, { capabilities });
    server.setRequestHandler(ListToolsRequestSchema, () => ({
      tools: offer.tools.map(({ definition }) => definition),
    }));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      const tool = offer.tools.find(({ definition }) => definition.name === params.name);
      if (tool === undefined) throw new Error('no such tool');
      return {
        ...(await tool.call(params.arguments ?? {}, {
          params,
          ask: (method, asked) => extra.sendRequest({ method, params: asked } as never, ResultSchema),
          notify: (method, told) => extra.sendNotification({ method, params: told } as never),
          interrupt: () => extra.closeSSEStream?.(),
        })),
      };
    });
    server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: offer.resources ?? [] }));
    server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => ({
      contents: [offer.read?.(params.uri) ?? { uri: params.uri, text: `contents of ${params.uri}` }] as never,
    }));
    server.setRequestHandler(SubscribeRequestSchema, () => ({}));
    server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
    server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: offer.prompts ?? [] }));
    server.setRequestHandler(GetPromptRequestSchema, ({ params: { name, arguments: args = {} } }) => ({
      messages: (offer.prompt?.(name, args) ?? [
        { role: 'user', content: { type: 'text', text: `prompt ${name}` } },
      ]) as never,
    }));
    server.setRequestHandler(CompleteRequestSchema, () => ({ completion: { values: ['one', 'two'] } }));
    return server;
  }

  const http = createServer(async (request, response) => {
    const body = await bodyOf(request);
    seen.push({ method: request.method ?? '', headers: request.headers, body });
    const id = request.headers['mcp-session-id'];
    let transport = typeof id === 'string' ? transports.get(id) : undefined;
    if (transport === undefined && isInitializeRequest(body)) {
      const created = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        eventStore: eventStore(),
        retryInterval: 10,
        onsessioninitialized: (session) => {
          transports.set(session, created);
        },
        onsessionclosed: (session) => {
          transports.delete(session);
        },
      });
      transport = created;
      const server = build();
      servers.push(server);
      await server.connect(transport as never);
    }
    if (transport === undefined) {
      const status = id === undefined ? 400 : 404;
      const error = { code: status === 404 ? -32001 : -32000, message: 'no such session' };
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
      return;
    }
    await transport.handleRequest(request, response, body);
  });
  return {
    ...(await listening(http)),
    seen,
    updated: async (uri) => {
      await Promise.all(servers.map((server) => server.sendResourceUpdated({ uri })));
    },
    close: async () => {
      for (const transport of transports.values()) await transport.close();
      await closed(http);
    },
  };
}

/**
 * What streams said, in the order in which they did. The store of the SDK's examples sorts by the clock and then by
 * chance: of two events in one millisecond it may replay none.
 */
function eventStore(): EventStore {
  const events: { readonly streamId: string; readonly message: JSONRPCMessage }[] = [];
  return {
    storeEvent: async (streamId, message) => String(events.push({ streamId, message }) - 1),
    async replayEventsAfter(lastEventId, { send }) {
      const last = Number(lastEventId);
      const streamId = events[last]?.streamId ?? '';
      for (const [id, event] of events.entries()) {
        if (id > last && event.streamId === streamId) await send(String(id), event.message);
      }
      return streamId;
    },
  };
}

/** A server of 2026-07-28: every request on its own. */
export async function startStatelessServer(offer: Offer): Promise<TestServer> {
  const seen: Seen[] = [];
  const bus = new InMemoryServerEventBus();
  const handler = createMcpHandler(
    () => {
      const server = new StatelessServer({ name: 'stateless', version: '1' }, { capabilities });
      const cache = { ttlMs: 3_600_000, cacheScope: 'public' } as const;
      server.setRequestHandler('tools/list', () => ({
        tools: offer.tools.map(({ definition }) => definition),
        ...cache,
      }));
      server.setRequestHandler('tools/call', async (request, context) => {
        const tool = offer.tools.find(({ definition }) => definition.name === request.params.name);
        if (tool === undefined) throw new Error('no such tool');
        const answer = await tool.call(request.params.arguments ?? {}, {
          params: { requestState: context.mcpReq.requestState(), inputResponses: context.mcpReq.inputResponses },
          ask: () => Promise.reject(new Error('not in this era')),
          notify: (method, params) => context.mcpReq.notify({ method, params } as never),
          interrupt: () => {},
        });
        return answer as never;
      });
      server.setRequestHandler('resources/list', () => ({ resources: offer.resources ?? [], ...cache }));
      server.setRequestHandler('resources/read', ({ params }) => ({
        contents: [{ uri: params.uri, text: `contents of ${params.uri}` }],
        ...cache,
      }));
      server.setRequestHandler('prompts/list', () => ({ prompts: offer.prompts ?? [], ...cache }));
      server.setRequestHandler('prompts/get', ({ params }) => ({
        messages: [{ role: 'user', content: { type: 'text', text: `prompt ${params.name}` } }],
      }));
      server.setRequestHandler('completion/complete', () => ({ completion: { values: ['one', 'two'] } }));
      return server;
    },
    { bus, legacy: 'reject' },
  );
  const serve = toNodeHandler(handler);
  const http = createServer(async (request, response) => {
    const body = await bodyOf(request);
    seen.push({ method: request.method ?? '', headers: request.headers, body });
    await serve(request as never, response, body);
  });
  return {
    ...(await listening(http)),
    seen,
    updated: async (uri) => bus.publish({ kind: 'resource_updated', uri }),
    close: async () => {
      await handler.close();
      await closed(http);
    },
  };
}

/** The parsed body of a request; undefined without one. */
export async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const text = Buffer.concat(pieces).toString();
  return text === '' ? undefined : JSON.parse(text);
}

/** Listens on a free port of the loopback. */
export async function listening(server: HttpServer): Promise<{ readonly url: URL }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`) };
}

/** Closes a server with everything that is open at it. */
export async function closed(server: HttpServer): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

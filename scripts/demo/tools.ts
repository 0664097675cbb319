/** The MCP server of the MCP chapter, made with the official SDK: it looks customers up, refunds, and has a shell. */
import { randomUUID } from 'node:crypto';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, isInitializeRequest, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { type DemoServer, serve, text } from './crm.ts';
import { knownCustomer } from './dataset.ts';

const number = (name: string) => ({
  type: 'object' as const,
  properties: { [name]: { type: 'number' } },
  required: [name],
});

const tools = [
  { name: 'lookup_customer', description: 'What is known of a customer.', inputSchema: number('id') },
  { name: 'refund', description: 'Pays an amount back.', inputSchema: number('amount') },
  {
    name: 'run_shell',
    description: 'Runs a command on the server.',
    inputSchema: { type: 'object' as const, properties: { command: { type: 'string' } }, required: ['command'] },
  },
];

/** Starts it: a session for each client that initialises one, at `/mcp`. */
export function startTools(): Promise<DemoServer> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  return serve(async (request, response) => {
    const body = await text(request);
    const message: unknown = body === '' ? undefined : JSON.parse(body);
    const known = sessions.get(String(request.headers['mcp-session-id']));
    if (known === undefined && !isInitializeRequest(message)) {
      response.writeHead(404);
      response.end();
      return;
    }
    await (known ?? (await open(sessions))).handleRequest(request, response, message);
  });
}

async function open(sessions: Map<string, StreamableHTTPServerTransport>): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
  });
  const server = new Server({ name: 'shop-tools', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({
    content: [{ type: 'text' as const, text: JSON.stringify(run(params.name, params.arguments ?? {})) }],
  }));
  await server.connect(transport as Parameters<Server['connect']>[0]);
  return transport;
}

function run(name: string, given: Readonly<Record<string, unknown>>): unknown {
  if (name === 'lookup_customer') return knownCustomer;
  if (name === 'refund') return { refunded: given.amount };
  return { ran: given.command };
}

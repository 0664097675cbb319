/**
 * A Messages endpoint whose model is a function: as much of the API as the Agent SDK asks for, which is a streamed answer to
 * `POST /v1/messages`. https://docs.claude.com/en/api/messages-streaming
 */
import type { ServerResponse } from 'node:http';
import { type DemoServer, serve, text } from '../demo/crm.ts';
import { members, textOf } from './sdk.ts';

/** What a tool gave. */
export interface ToolResult {
  readonly text: string;
  /** As it is told to the model. */
  readonly failed: boolean;
}

/** What the model is asked with. */
export interface Asked {
  /** The names of the tools that it may call. */
  readonly offered: readonly string[];
  /** What came of its calls, from the beginning. */
  readonly results: readonly ToolResult[];
}

/** What the model says: that a tool be called, or the last word. */
export type Turn = { readonly tool: string; readonly input: object } | { readonly text: string };

/** A running endpoint. */
export interface MessagesEndpoint {
  /** For `ANTHROPIC_BASE_URL`. */
  readonly url: string;
  /** The body of each request, whatever it was for. */
  readonly received: readonly string[];
  /** The keys that requests came with. */
  readonly keys: ReadonlySet<string>;
  stop: DemoServer['stop'];
}

/** Starts it. What the model throws is a 400, which is not asked for again. */
export async function startMessages(model: (asked: Asked) => Promise<Turn> | Turn): Promise<MessagesEndpoint> {
  const received: string[] = [];
  const keys = new Set<string>();
  const server = await serve(async (request, response) => {
    const body = await text(request);
    received.push(body);
    keys.add(String(request.headers['x-api-key']));
    if (request.method !== 'POST' || request.url?.split('?')[0] !== '/v1/messages') {
      fail(response, 404, 'not_found_error', 'there is no such thing');
      return;
    }
    try {
      stream(response, received.length, await model(read(body)));
    } catch (error) {
      fail(response, 400, 'invalid_request_error', error instanceof Error ? error.message : String(error));
    }
  });
  return { url: `http://${server.host}:${server.port}`, received, keys, stop: server.stop };
}

function read(body: string): Asked {
  const { tools, messages } = members(JSON.parse(body));
  const blocks = list(messages).flatMap((message) => list(members(message).content));
  return {
    offered: list(tools).map((tool) => String(members(tool).name)),
    results: blocks
      .map(members)
      .filter(({ type }) => type === 'tool_result')
      .map(({ content, is_error }) => ({ text: textOf(content), failed: is_error === true })),
  };
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function stream(response: ServerResponse, number: number, turn: Turn): void {
  const calls = 'tool' in turn;
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = { id: `msg_${number}`, type: 'message', role: 'assistant', model: 'scripted', content: [], usage };
  const block = calls
    ? { type: 'tool_use', id: `toolu_${number}`, name: turn.tool, input: {} }
    : { type: 'text', text: '' };
  const delta = calls
    ? { type: 'input_json_delta', partial_json: JSON.stringify(turn.input) }
    : { type: 'text_delta', text: turn.text };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of [
    { type: 'message_start', message: { ...message, stop_reason: null, stop_sequence: null } },
    { type: 'content_block_start', index: 0, content_block: block },
    { type: 'content_block_delta', index: 0, delta },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: calls ? 'tool_use' : 'end_turn', stop_sequence: null }, usage },
    { type: 'message_stop' },
  ]) {
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
  response.end();
}

function fail(response: ServerResponse, status: number, type: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ type: 'error', error: { type, message } }));
}

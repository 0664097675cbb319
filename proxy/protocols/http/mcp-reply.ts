import type { ServerResponse } from 'node:http';
import type { JsonObject } from '../../core/types.ts';
import { keepAliveText, sseEvent } from './mcp/index.ts';

/** The answer to one message of an MCP client: one document, or a stream of events that comments keep alive. */
export class McpReply {
  readonly #response: ServerResponse;
  readonly #keepAliveMs: number;
  #beat: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, keepAliveMs: number) {
    this.#response = response;
    this.#keepAliveMs = keepAliveMs;
    response.once('close', () => clearInterval(this.#beat));
  }

  /** It is a stream of events, and they can still be sent. */
  get streaming(): boolean {
    return this.#beat !== undefined && !this.#response.writableEnded;
  }

  /** Begins a stream of events; once. */
  stream(status: number, headers: Readonly<Record<string, string>>): void {
    if (this.#beat !== undefined || this.#response.destroyed) return;
    this.#response.writeHead(status, {
      ...{ 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
      ...headers,
    });
    this.#response.flushHeaders();
    this.#response.write(keepAliveText);
    this.#beat = setInterval(() => this.#response.write(keepAliveText), this.#keepAliveMs);
  }

  /** Sends events, and waits for a client that is slow. */
  async write(text: string): Promise<void> {
    const response = this.#response;
    if (response.write(text) || response.destroyed) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        response.removeListener('drain', done);
        response.removeListener('close', done);
        resolve();
      };
      response.on('drain', done);
      response.on('close', done);
    });
  }

  /** The one document of an answer: an event where a stream has begun already. */
  json(status: number, body: JsonObject | undefined, headers: Readonly<Record<string, string>> = {}): void {
    const response = this.#response;
    if (this.streaming) {
      if (body !== undefined) response.write(sseEvent({ data: JSON.stringify(body) }));
      this.end();
      return;
    }
    if (response.headersSent || response.destroyed) return;
    if (body === undefined) {
      response.writeHead(status, { 'content-length': '0', ...headers });
      response.end();
      return;
    }
    const bytes = Buffer.from(JSON.stringify(body));
    response.writeHead(status, {
      ...{ 'content-type': 'application/json', 'cache-control': 'no-store' },
      ...{ 'content-length': String(bytes.length), ...headers },
    });
    response.end(bytes);
  }

  end(): void {
    clearInterval(this.#beat);
    this.#response.end();
  }

  /** What must not look complete is cut off. */
  cut(): void {
    clearInterval(this.#beat);
    this.#response.destroy();
  }
}

/** Requests to an MCP server, with the gateway's own credential. */
import type { Dispatcher } from 'undici';
import type { JsonObject } from '../../core/types.ts';
import type { Admitted } from './connection.ts';
import type { Header } from './contract.ts';
import type { McpSession, Outgoing } from './mcp/index.ts';
import type { Services } from './services.ts';
import { hostOf } from './upstreams.ts';

/** The server that one message of a client goes to. */
export class McpUpstream {
  readonly #admitted: Admitted;
  readonly #services: Services;
  readonly #signal: AbortSignal;

  /** @param signal - ends what is being answered */
  constructor(admitted: Admitted, services: Services, signal: AbortSignal) {
    this.#admitted = admitted;
    this.#services = services;
    this.#signal = signal;
  }

  /** Sends a message on, once. @throws when there is no answer */
  async send({ headers, body }: Outgoing, method = this.#admitted.request.method): Promise<Dispatcher.ResponseData> {
    const { upstream } = this.#admitted.mapped;
    const { pool, credential } = this.#services.of(upstream);
    const own = await credential.header(this.#admitted.token);
    const answer = await pool.request({
      path: upstream.mcp ?? '/',
      method: method as Dispatcher.HttpMethod,
      headers: Object.fromEntries([['host', hostOf(upstream)], ...headers, ...(own === undefined ? [] : [own])]),
      body: body === undefined ? null : JSON.stringify(body),
      idempotent: false,
      signal: this.#signal,
      // A stream of events says something when there is something to say.
      bodyTimeout: 0,
    });
    if (answer.statusCode === 401) credential.refused(this.#admitted.token);
    return answer;
  }

  /** Answers a request of the server that nobody behind the gateway may answer. */
  async reply(body: JsonObject, session: McpSession | undefined): Promise<void> {
    const headers: Header[] = [
      ['content-type', 'application/json'],
      ['accept', 'application/json, text/event-stream'],
      ...(session === undefined ? [] : [['mcp-session-id', session.upstreamSessionId] as const]),
      ...(session?.version === undefined ? [] : [['mcp-protocol-version', session.version] as const]),
    ];
    const answer = await this.send({ headers, body }, 'POST');
    await answer.body.dump();
  }
}

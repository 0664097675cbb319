/**
 * The MCP endpoint of an upstream: a message of the client is read, judged and sent on; what the server says is read
 * message by message, filtered, masked, and given.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { upstreamLabels } from '../../core/documents.ts';
import { asGatewayError, GatewayError } from '../../core/errors.ts';
import type { Permit } from '../../core/permit.ts';
import { refusalOf } from '../../core/refusal.ts';
import type { Fault, HoldTerms, Outcome, Refusal } from '../../core/types.ts';
import { parseJson } from './bodies/json.ts';
import { readAll } from './body.ts';
import type { Admitted } from './connection.ts';
import { messageFacts } from './facts.ts';
import { boundMessage, describeMessage } from './hold.ts';
import {
  actionName,
  allowedServerRequests,
  checkToolCall,
  type McpAnswer,
  McpExchange,
  type McpFault,
  type McpMessage,
  type McpOperation,
  type McpPlace,
  type McpSession,
  mcpOperations,
  readMcpRequest,
  refuseFault,
  refuseMessage,
  type ServerRequest,
  sessionUnknown,
  type ToolStatus,
} from './mcp/index.ts';
import { MessageMask } from './mcp-mask.ts';
import { McpRelay } from './mcp-relay.ts';
import { McpReply } from './mcp-reply.ts';
import { McpUpstream } from './mcp-upstream.ts';
import type { OperationPlan } from './plan.ts';
import type { Services } from './services.ts';

/** What a message is served with. */
export interface McpOptions {
  readonly admitted: Admitted;
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly expectsContinue: boolean;
  readonly services: Services;
}

/** Serves one message to its end. Never rejects: what fails is answered. */
export async function serveMcp(options: McpOptions): Promise<void> {
  await new McpServe(options).run();
}

/** What the operations of a message came to: the first is the message itself, whose permit carries the answer. */
type Judged = { readonly permits: readonly Permit<OperationPlan>[] } | { readonly refusal: Refusal };

class McpServe {
  readonly #options: McpOptions;
  readonly #place: McpPlace;
  readonly #abort = new AbortController();
  readonly #upstream: McpUpstream;
  /** What the server may ask of this client. */
  readonly #serverRequests: ReadonlySet<ServerRequest>;
  readonly #reply: McpReply;
  /** A stream was begun for the sake of a hold: nothing of the server's is in it yet. */
  #held = false;
  readonly #total = { bytes: 0 };

  constructor(options: McpOptions) {
    this.#options = options;
    const { mapped, place, session } = options.admitted;
    const { name } = mapped.upstream;
    this.#upstream = new McpUpstream(options.admitted, options.services, this.#abort.signal);
    this.#reply = new McpReply(options.response, options.services.options.limits.mcpKeepAliveMs);
    this.#place = { upstream: name, labels: upstreamLabels(place.config, name) };
    this.#serverRequests = allowedServerRequests(place.config, name);
    options.response.once('close', () => this.#abort.abort(clientGone));
    const over = () => this.#abort.abort(session.signal.reason);
    session.signal.addEventListener('abort', over, { once: true, signal: this.#abort.signal });
  }

  async run(): Promise<void> {
    const { admitted, response, services } = this.#options;
    const { mapped, identity } = admitted;
    const read = await this.#read();
    if ('fault' in read) return await this.#faulty(read);
    const { message } = read;
    const owner = { identity, upstream: mapped.upstream.name };
    const { sessionId } = message;
    const known = sessionId === undefined ? undefined : services.mcp.sessions.find(sessionId, owner);
    if (sessionId !== undefined && known === undefined) {
      const fault: Fault = { code: 'operation_malformed', message: 'There is no such MCP session.' };
      await this.#audited(fault);
      return this.#answer(sessionUnknown(message));
    }
    const status = this.#toolOf(message);
    const mismatch = message.kind === 'request' ? checkToolCall(message, status) : undefined;
    if (mismatch !== undefined) return await this.#faulty(mismatch);
    const judged = await this.#judge(message, status);
    if ('refusal' in judged) return this.#refuse(message, judged.refusal);
    const [permit] = judged.permits;
    if (permit === undefined) throw new Error('a message without an operation');
    let outcome: Outcome = { status: 'error', code: 'upstream_unavailable' };
    try {
      outcome = await this.#forward(message, permit, known);
    } catch (thrown) {
      const words = 'The MCP server did not answer as it should.';
      const { aborted, reason } = this.#abort.signal;
      const gone = reason === clientGone;
      const fault: Fault = aborted && !gone ? reason : asGatewayError(thrown, 'upstream_unavailable', words);
      outcome = { status: gone ? 'aborted' : 'error', code: gone ? clientGone : fault.code, bytes: this.#total.bytes };
      if (response.headersSent && !this.#held) this.#reply.cut();
      else this.#refuse(message, refusalOf(permit.decisionId, fault, [], false), 502);
    } finally {
      for (const one of judged.permits) one.complete(outcome);
    }
  }

  async #read(): Promise<ReturnType<typeof readMcpRequest>> {
    const { admitted, incoming, response, expectsContinue, services } = this.#options;
    const { request } = admitted;
    const options = { serverRequests: this.#serverRequests };
    if (request.contentLength === 0) return readMcpRequest(request, undefined, options);
    if (expectsContinue) response.writeContinue();
    const bytes = await readAll(incoming, services.options.limits.httpJudgedBodyBytesMax);
    if (bytes === undefined) return malformed({ code: 'operation_too_large', message: 'The message is too large.' });
    const parsed = parseJson(bytes);
    return 'fault' in parsed ? malformed(parsed.fault) : readMcpRequest(request, parsed.value, options);
  }

  /** How the tool that a message calls stands; undefined when it calls none. */
  #toolOf(message: McpMessage): ToolStatus | undefined {
    const { admitted, services } = this.#options;
    const tool = message.kind === 'request' ? message.target.tool : undefined;
    return tool === undefined ? undefined : services.mcp.pins.status(this.#place.upstream, tool, admitted.place.config);
  }

  /** Every operation of a message must be allowed. */
  async #judge(message: McpMessage, tool: ToolStatus | undefined): Promise<Judged> {
    const { session, place } = this.#options.admitted;
    const permits: Permit<OperationPlan>[] = [];
    for (const operation of mcpOperations(message, { ...this.#place, tool })) {
      const facts = messageFacts(operation, place.masker);
      const answer = await session.authorize({ facts, hold: () => this.#holdTerms(message) });
      if ('refusal' in answer) {
        for (const permit of permits) permit.complete({ status: 'aborted', code: answer.refusal.code });
        return answer;
      }
      permits.push(answer.permit);
    }
    return { permits };
  }

  /** Calls of tools wait; comments keep them alive where the client takes events. */
  #holdTerms(message: McpMessage): HoldTerms {
    const { headers } = this.#options.admitted.request;
    const events = headers.some(([name, value]) => name === 'accept' && value.includes('text/event-stream'));
    return {
      mayWait: message.kind === 'request' && message.method === 'tools/call',
      signal: this.#abort.signal,
      bound: () => boundMessage(message),
      describe: (decision) => describeMessage(message, decision, this.#options.admitted.place.masker),
      notice: () => {
        if (!events) return;
        this.#held = true;
        this.#reply.stream(200, {});
      },
    };
  }

  /** Something that is no message, or none for this moment. */
  async #faulty(fault: McpFault): Promise<void> {
    this.#answer(refuseFault(fault, await this.#audited(fault.fault)));
  }

  /** Has the gate refuse a message that could not be read; the number of its decision. */
  async #audited(fault: Fault): Promise<string> {
    const { session, request, place } = this.#options.admitted;
    const { upstream, labels } = this.#place;
    const properties = { protocol: 'mcp', incomplete: [] };
    const operation: McpOperation = {
      action: { name: request.method, properties },
      resource: { type: 'mcp_server', id: upstream, properties: { upstream, labels } },
      ...{ complete: false, fault },
    };
    const answer = await session.authorize({ facts: messageFacts(operation, place.masker) });
    if ('permit' in answer) throw new Error('a fault was permitted');
    return answer.refusal.decisionId;
  }

  async #forward(message: McpMessage, permit: Permit<OperationPlan>, known: McpSession | undefined): Promise<Outcome> {
    const { admitted, services } = this.#options;
    const { session, mapped, identity, place } = admitted;
    const { sessions, sealer, pins } = services.mcp;
    const owner = { identity, upstream: mapped.upstream.name };
    const { decisionId } = permit;
    const mask = new MessageMask(permit.plan);
    const exchange = new McpExchange({
      message,
      owner,
      session: known,
      sealer,
      pins,
      config: place.config,
      serverRequests: this.#serverRequests,
      mask: mask.apply,
      decisionId,
    });
    const outgoing = exchange.begin();
    if ('fault' in outgoing) {
      this.#answer(refuseFault(outgoing, decisionId));
      return { status: 'error', code: outgoing.fault.code };
    }
    session.record({ decisionId, kind: 'message', data: { method: actionName(message) } });
    const late = setTimeout(() => this.#abort.abort(tooLate), Math.min(permit.plan.timeoutMs, 2 ** 31 - 1));
    try {
      const answer = await this.#upstream.send(outgoing);
      const { statusCode } = answer;
      // Whose credential it is that the server does not like is nothing that the client could mend.
      if (!given(statusCode)) throw new GatewayError('upstream_unavailable', 'The server refuses the gateway.');
      const client = this.#sessionOf(message, answer, known);
      if (client !== undefined && known === undefined) exchange.opened(client);
      if (known !== undefined && (statusCode === 404 || (message.kind === 'end' && statusCode < 300)))
        sessions.end(known);
      const headers = client === undefined ? {} : { 'mcp-session-id': client.id };
      this.#held = false;
      const parts = { admitted, services, reply: this.#reply, upstream: this.#upstream };
      await new McpRelay({ ...parts, exchange, permit, total: this.#total }).run(answer, headers);
      return {
        ...{ status: statusCode < 400 ? 'ok' : 'error', code: String(statusCode), bytes: this.#total.bytes },
        ...(mask.matches > 0 && { maskedCells: mask.matches }),
      };
    } finally {
      clearTimeout(late);
      exchange.end();
    }
  }

  /** The session that the client is in from now on: the server opens one with its answer to `initialize`. */
  #sessionOf(message: McpMessage, answer: Dispatcher.ResponseData, known: McpSession | undefined) {
    const { admitted, services } = this.#options;
    const id = answer.headers['mcp-session-id'];
    if (message.kind !== 'request' || message.method !== 'initialize' || answer.statusCode >= 300) return known;
    if (typeof id !== 'string') return known;
    const opened = services.mcp.sessions.open({ identity: admitted.identity, upstream: this.#place.upstream }, id);
    if (opened === undefined) throw new Error('too many sessions');
    return opened;
  }

  #refuse(message: McpMessage, refusal: Refusal, status?: number): void {
    const { decisionId, code, policy, message: words } = refusal;
    const { session } = this.#options.admitted;
    session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message: words } });
    this.#answer(refuseMessage(message, refusal, status));
  }

  #answer({ status, body }: McpAnswer): void {
    this.#reply.json(status, body);
  }
}

const clientGone = 'client_gone';
const tooLate = new GatewayError('limit_reached', 'The answer took longer than policy allows.');

function malformed(fault: Fault): McpFault {
  return { fault, status: 400, rpc: { code: -32_700, message: fault.message }, id: null };
}

/** Whether an answer with this status is the client's: not one about the gateway's own credential, nor one elsewhere. */
function given(status: number): boolean {
  return status < 300 || (status >= 400 && ![401, 403, 407].includes(status));
}

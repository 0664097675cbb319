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
import type { Fault, HoldTerms, Json, JsonObject, OperationFacts, Outcome, Refusal } from '../../core/types.ts';
import { parseJson } from './bodies/json.ts';
import { readAll } from './body.ts';
import type { Admitted } from './connection.ts';
import { boundMessage, describeMessage } from './hold.ts';
import {
  actionName,
  checkToolCall,
  type ListedItem,
  listOperation,
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
  SseReader,
  sessionUnknown,
  sseEvent,
  type ToolStatus,
} from './mcp/index.ts';
import { MessageMask } from './mcp-mask.ts';
import { McpReply } from './mcp-reply.ts';
import { McpUpstream } from './mcp-upstream.ts';
import { type OperationPlan, planOf } from './plan.ts';
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

/** What a message is forwarded with. */
interface Forwarded {
  readonly message: McpMessage;
  readonly exchange: McpExchange;
  readonly permit: Permit<OperationPlan>;
}

class McpServe {
  readonly #options: McpOptions;
  readonly #place: McpPlace;
  readonly #abort = new AbortController();
  readonly #upstream: McpUpstream;
  readonly #reply: McpReply;
  /** A stream was begun for the sake of a hold: nothing of the server's is in it yet. */
  #held = false;
  #bytes = 0;

  constructor(options: McpOptions) {
    this.#options = options;
    const { mapped, place, session } = options.admitted;
    const { name } = mapped.upstream;
    this.#upstream = new McpUpstream(options.admitted, options.services, this.#abort.signal);
    this.#reply = new McpReply(options.response, options.services.options.limits.mcpKeepAliveMs);
    this.#place = { upstream: name, labels: upstreamLabels(place.config, name) };
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
      outcome = { status: gone ? 'aborted' : 'error', code: gone ? clientGone : fault.code, bytes: this.#bytes };
      if (response.headersSent && !this.#held) this.#reply.cut();
      else this.#refuse(message, refusalOf(permit.decisionId, fault, [], false), 502);
    } finally {
      for (const one of judged.permits) one.complete(outcome);
    }
  }

  async #read(): Promise<ReturnType<typeof readMcpRequest>> {
    const { admitted, incoming, response, expectsContinue, services } = this.#options;
    const { request } = admitted;
    if (request.contentLength === 0) return readMcpRequest(request, undefined);
    if (expectsContinue) response.writeContinue();
    const bytes = await readAll(incoming, services.options.limits.httpJudgedBodyBytesMax);
    if (bytes === undefined) return malformed({ code: 'operation_too_large', message: 'The message is too large.' });
    const parsed = parseJson(bytes);
    return 'fault' in parsed ? malformed(parsed.fault) : readMcpRequest(request, parsed.value);
  }

  /** How the tool that a message calls stands; undefined when it calls none. */
  #toolOf(message: McpMessage): ToolStatus | undefined {
    const { admitted, services } = this.#options;
    const tool = message.kind === 'request' ? message.target.tool : undefined;
    return tool === undefined ? undefined : services.mcp.pins.status(this.#place.upstream, tool, admitted.place.config);
  }

  /** Every operation of a message must be allowed. */
  async #judge(message: McpMessage, tool: ToolStatus | undefined): Promise<Judged> {
    const { session } = this.#options.admitted;
    const permits: Permit<OperationPlan>[] = [];
    for (const operation of mcpOperations(message, { ...this.#place, tool })) {
      const facts = this.#facts(operation, operation.fault);
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

  #facts({ action, resource, complete }: McpOperation, fault: Fault | undefined): OperationFacts<OperationPlan> {
    const { masker } = this.#options.admitted.place;
    return {
      ...{ action, resource, complete, fault },
      enforce: (decision) => planOf(decision, masker, true),
      describe: () => ({ method: action.name, resource: resource.id }),
    };
  }

  /** Something that is no message, or none for this moment. */
  async #faulty(fault: McpFault): Promise<void> {
    this.#answer(refuseFault(fault, await this.#audited(fault.fault)));
  }

  /** Has the gate refuse a message that could not be read; the number of its decision. */
  async #audited(fault: Fault): Promise<string> {
    const { session, request } = this.#options.admitted;
    const { upstream, labels } = this.#place;
    const properties = { protocol: 'mcp', incomplete: [] };
    const operation: McpOperation = {
      action: { name: request.method, properties },
      resource: { type: 'mcp_server', id: upstream, properties: { upstream, labels } },
      ...{ complete: false, fault },
    };
    const answer = await session.authorize({ facts: this.#facts(operation, fault) });
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
      await this.#relay({ message, exchange, permit }, answer, client);
      return {
        ...{ status: statusCode < 400 ? 'ok' : 'error', code: String(statusCode), bytes: this.#bytes },
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

  /** What the server answered, in the form that it chose. */
  async #relay(forwarded: Forwarded, answer: Dispatcher.ResponseData, client: McpSession | undefined): Promise<void> {
    const headers: Record<string, string> = client === undefined ? {} : { 'mcp-session-id': client.id };
    const type = String(answer.headers['content-type'] ?? '')
      .split(';')[0]
      ?.trim()
      .toLowerCase();
    if (type === 'text/event-stream') return await this.#stream(forwarded, answer, headers);
    const bytes = await readAll(answer.body, this.#options.services.options.limits.mcpEventBytesMax);
    if (bytes === undefined) throw new Error('an answer that is too long');
    if (bytes.length === 0 || (type !== 'application/json' && answer.statusCode >= 400)) {
      return this.#reply.json(answer.statusCode, undefined, headers);
    }
    const parsed = parseJson(bytes);
    if (type !== 'application/json' || 'fault' in parsed) throw new Error('an answer that is not JSON');
    const given = await this.#give(parsed.value, forwarded);
    this.#reply.json(answer.statusCode, given, headers);
  }

  /** What of a server's message the client gets; undefined for nothing. */
  async #give(value: Json, { exchange, permit }: Forwarded): Promise<JsonObject | undefined> {
    const { session } = this.#options.admitted;
    const { decisionId } = permit;
    const verdict = exchange.judge(value);
    if (verdict.kind !== 'forward' && verdict.kind !== 'list') {
      const { code, message } = verdict.fault;
      session.record({ decisionId, kind: 'refused', data: { code, policy: null, message } });
    }
    switch (verdict.kind) {
      case 'forward':
        return this.#recorded(verdict.value, permit);
      case 'list':
        for (const { name, fault } of verdict.withheld) {
          session.record({ decisionId, kind: 'withheld', data: { name, code: fault.code, message: fault.message } });
        }
        return this.#recorded(verdict.keep(await this.#visible(verdict.items)), permit);
      case 'refuse':
        return verdict.value;
      case 'answer':
        await this.#upstream.reply(verdict.value, exchange.session);
        return undefined;
      case 'drop':
        return undefined;
    }
  }

  /** Which items of a list the subject may use, each asked of the policy. */
  async #visible(items: readonly ListedItem[]): Promise<ReadonlySet<ListedItem>> {
    const { session } = this.#options.admitted;
    const kept = new Set<ListedItem>();
    for (const item of items) {
      const answer = await session.authorize({ facts: this.#facts(listOperation(item, this.#place), undefined) });
      if ('refusal' in answer) continue;
      answer.permit.complete({ status: 'ok' });
      kept.add(item);
    }
    return kept;
  }

  /** Event by event, each as soon as it came; comments keep a silent stream alive. */
  async #stream(forwarded: Forwarded, answer: Dispatcher.ResponseData, headers: Record<string, string>): Promise<void> {
    const { exchange } = forwarded;
    this.#reply.stream(answer.statusCode, headers);
    const reader = new SseReader();
    for await (const chunk of answer.body) {
      for (const { id, type, data, retry } of reader.push(chunk as Buffer)) {
        if (type !== 'message') continue;
        const place = { retry, ...(id !== undefined && { id: exchange.sealEventId(id) }) };
        const given = data === '' ? '' : await this.#event(data, forwarded);
        if (given !== undefined) await this.#reply.write(sseEvent({ ...place, data: given }));
      }
    }
    this.#reply.end();
  }

  /** The data of one event, as the client gets it; undefined when it does not. */
  async #event(data: string, forwarded: Forwarded): Promise<string | undefined> {
    const parsed = parseJson(Buffer.from(data));
    if ('fault' in parsed) throw new Error('an event that is not JSON');
    const given = await this.#give(parsed.value, forwarded);
    return given === undefined ? undefined : JSON.stringify(given);
  }

  /** Counts a message, and keeps it in the recording up to its bound. @throws GatewayError past what policy allows */
  #recorded(value: JsonObject, { plan, decisionId }: Permit<OperationPlan>): JsonObject {
    const { admitted, services } = this.#options;
    const bytes = Buffer.from(JSON.stringify(value));
    this.#bytes += bytes.length;
    if (this.#bytes > plan.maxBytes)
      throw new GatewayError('limit_reached', 'The answer is longer than policy allows.');
    if (plan.recordBodies) {
      const { httpRecordBytesPerBodyMax } = services.options.limits;
      const data = bytes.subarray(0, httpRecordBytesPerBodyMax);
      admitted.session.record({ decisionId, kind: 'body', data });
    }
    return value;
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

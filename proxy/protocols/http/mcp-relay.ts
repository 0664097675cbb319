/** What an MCP server says on one exchange: read message by message, filtered, masked, recorded, and given. */
import type { Dispatcher } from 'undici';
import { upstreamLabels } from '../../core/documents.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Permit } from '../../core/permit.ts';
import type { Json, JsonObject } from '../../core/types.ts';
import { parseAnswerJson } from './bodies/json.ts';
import { readAll } from './body.ts';
import type { Admitted } from './connection.ts';
import { messageFacts } from './facts.ts';
import { type ListedItem, listOperation, type McpExchange, SseReader, sseEvent } from './mcp/index.ts';
import type { McpReply } from './mcp-reply.ts';
import type { McpUpstream } from './mcp-upstream.ts';
import type { OperationPlan } from './plan.ts';
import type { Services } from './services.ts';

/** What an answer is given with. */
export interface McpRelayOptions {
  readonly admitted: Admitted;
  readonly reply: McpReply;
  readonly services: Services;
  readonly upstream: McpUpstream;
  readonly exchange: McpExchange;
  readonly permit: Permit<OperationPlan>;
  /** What the client was given, counted here. */
  readonly total: { bytes: number };
}

/** Gives a client what the server answers. */
export class McpRelay {
  readonly #options: McpRelayOptions;

  constructor(options: McpRelayOptions) {
    this.#options = options;
  }

  /** What the server answered, in the form that it chose. */
  async run(answer: Dispatcher.ResponseData, headers: Readonly<Record<string, string>>): Promise<void> {
    const type = String(answer.headers['content-type'] ?? '')
      .split(';')[0]
      ?.trim()
      .toLowerCase();
    if (type === 'text/event-stream') return await this.#stream(answer, headers);
    const { reply, services } = this.#options;
    const bytes = await readAll(answer.body, services.options.limits.mcpEventBytesMax);
    if (bytes === undefined) throw new Error('an answer that is too long');
    if (bytes.length === 0 || (type !== 'application/json' && answer.statusCode >= 400)) {
      return reply.json(answer.statusCode, undefined, headers);
    }
    const parsed = parseAnswerJson(bytes);
    if (type !== 'application/json' || 'fault' in parsed) throw new Error('an answer that is not JSON');
    const given = await this.#give(parsed.value);
    reply.json(answer.statusCode, given, headers);
  }

  /** What of a server's message the client gets; undefined for nothing. */
  async #give(value: Json): Promise<JsonObject | undefined> {
    const { admitted, exchange, permit, upstream } = this.#options;
    const { session } = admitted;
    const { decisionId } = permit;
    const verdict = exchange.judge(value);
    if (verdict.kind !== 'forward' && verdict.kind !== 'list') {
      const { code, message } = verdict.fault;
      session.record({ decisionId, kind: 'refused', data: { code, policy: null, message } });
    }
    switch (verdict.kind) {
      case 'forward':
        return this.#recorded(verdict.value);
      case 'list':
        for (const { name, fault, sha256 = '' } of verdict.withheld) {
          session.record({
            decisionId,
            kind: 'withheld',
            data: { name, sha256, code: fault.code, message: fault.message },
          });
        }
        return this.#recorded(verdict.keep(await this.#visible(verdict.items)));
      case 'refuse':
        return verdict.value;
      case 'answer':
        await upstream.reply(verdict.value, exchange.session);
        return undefined;
      case 'drop':
        return undefined;
    }
  }

  /** Which items of a list the subject may use, each asked of the policy. */
  async #visible(items: readonly ListedItem[]): Promise<ReadonlySet<ListedItem>> {
    const { session, mapped, place } = this.#options.admitted;
    const { name } = mapped.upstream;
    const about = { upstream: name, labels: upstreamLabels(place.config, name) };
    const kept = new Set<ListedItem>();
    for (const item of items) {
      const answer = await session.authorize({ facts: messageFacts(listOperation(item, about), place.masker) });
      if ('refusal' in answer) continue;
      answer.permit.complete({ status: 'ok' });
      kept.add(item);
    }
    return kept;
  }

  /** Event by event, each as soon as it came; comments keep a silent stream alive. */
  async #stream(answer: Dispatcher.ResponseData, headers: Readonly<Record<string, string>>): Promise<void> {
    const { reply, exchange } = this.#options;
    reply.stream(answer.statusCode, headers);
    const reader = new SseReader();
    for await (const chunk of answer.body) {
      for (const { id, type, data, retry } of reader.push(chunk as Buffer)) {
        if (type !== 'message') continue;
        const place = { retry, ...(id !== undefined && { id: exchange.sealEventId(id) }) };
        const given = data === '' ? '' : await this.#event(data);
        if (given !== undefined) await reply.write(sseEvent({ ...place, data: given }));
      }
    }
    reply.end();
  }

  /** The data of one event, as the client gets it; undefined when it does not. */
  async #event(data: string): Promise<string | undefined> {
    const parsed = parseAnswerJson(Buffer.from(data));
    if ('fault' in parsed) throw new Error('an event that is not JSON');
    const given = await this.#give(parsed.value);
    return given === undefined ? undefined : JSON.stringify(given);
  }

  /** Counts a message, and keeps it in the recording up to its bound. @throws GatewayError past what policy allows */
  #recorded(value: JsonObject): JsonObject {
    const { admitted, services, permit, total } = this.#options;
    const { plan, decisionId } = permit;
    const bytes = Buffer.from(JSON.stringify(value));
    total.bytes += bytes.length;
    if (total.bytes > plan.maxBytes)
      throw new GatewayError('limit_reached', 'The answer is longer than policy allows.');
    if (plan.recordBodies) {
      const { httpRecordBytesPerBodyMax } = services.options.limits;
      const data = bytes.subarray(0, httpRecordBytesPerBodyMax);
      admitted.session.record({ decisionId, kind: 'body', data });
    }
    return value;
  }
}

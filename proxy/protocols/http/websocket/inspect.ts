/**
 * A WebSocket that policy looks into: messages of the upstream are masked, those of the client judged, each held until it is
 * whole. The gateway speaks the protocol on both sides; what is not a message (pings, the reasons of a close) carries nothing
 * through that nobody has looked at.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455
 */
import { GatewayError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import { redactSecrets } from '../../../core/masker/secrets.ts';
import { begunBytes } from '../../../core/masker/utf8.ts';
import type { Masker } from '../../../core/masker.ts';
import type { OperationFacts, Outcome, Refusal } from '../../../core/types.ts';
import { drained } from '../drain.ts';
import { MessageMask, prepareMasks } from '../mask/index.ts';
import type { OperationPlan } from '../plan.ts';
import { type CloseWords, FrameFault } from './close.ts';
import { End } from './end.ts';
import { messageFacts } from './facts.ts';
import type { Message, Said } from './messages.ts';
import type { PassOptions } from './pass.ts';

/** What an inspected WebSocket is made of. */
export interface InspectOptions extends PassOptions {
  /** Of the upgrade. */
  readonly facts: OperationFacts<OperationPlan>;
  readonly masker: Masker;
  readonly limits: Limits;
}

/** Whether anything is to be looked into. */
export function isInspected({ json, text, judgesMessages }: OperationPlan): boolean {
  return json.size + text.size > 0 || judgesMessages;
}

/** Relays messages to the end of both sides. Never rejects. */
export function inspectMessages(options: InspectOptions): Promise<Outcome> {
  return new Inspection(options).run();
}

class Inspection {
  readonly #options: InspectOptions;
  readonly #client: End;
  readonly #upstream: End;
  /** Undefined where nothing is masked. */
  readonly #mask: MessageMask | undefined;
  #late: NodeJS.Timeout | undefined;
  #closingTimer: NodeJS.Timeout | undefined;
  #recorded = 0;
  /** Set once it is no longer for the two sides to go on. */
  #outcome: Outcome | undefined;

  constructor(options: InspectOptions) {
    this.#options = options;
    const { client, upstream, limits, plan } = options;
    this.#client = new End(true, client, limits);
    this.#upstream = new End(false, upstream, limits);
    const isMasked = plan.json.size + plan.text.size > 0;
    const masks = isMasked ? prepareMasks(plan) : undefined;
    if (isMasked && masks === undefined) throw new GatewayError('mask_unknown', 'The policy names an unknown mask.');
    this.#mask = masks && new MessageMask(masks);
  }

  async run(): Promise<Outcome> {
    const { session, plan, decisionId } = this.#options;
    const stop = () => {
      const { code, message } = session.signal.reason as Refusal;
      this.#fail(new FrameFault(code === 'draining' ? 1001 : 1008, code, message), undefined);
    };
    session.signal.addEventListener('abort', stop, { once: true });
    if (session.signal.aborted) stop();
    if (Number.isFinite(plan.timeoutMs)) {
      const late = () =>
        this.#fail(new FrameFault(1008, 'limit_reached', 'It took longer than policy allows.'), undefined);
      this.#late = setTimeout(late, Math.min(plan.timeoutMs, 2 ** 31 - 1));
    }
    await Promise.all([this.#read(this.#client, this.#upstream), this.#read(this.#upstream, this.#client)]);
    session.signal.removeEventListener('abort', stop);
    clearTimeout(this.#late);
    clearTimeout(this.#closingTimer);
    const [up, down] = [this.#upstream, this.#client];
    session.record({
      decisionId,
      kind: 'forwarded',
      data: {
        ...{ protocol: 'websocket', bytes_up: up.bytes, sha256_up: up.hash.digest('hex') },
        ...{ bytes_down: down.bytes, sha256_down: down.hash.digest('hex') },
      },
    });
    const maskedCells = this.#mask?.matches ?? 0;
    return {
      ...(this.#outcome ?? { status: 'ok' }),
      bytes: up.bytes + down.bytes,
      ...(maskedCells > 0 && { maskedCells }),
    };
  }

  async #read(from: End, to: End): Promise<void> {
    try {
      // What ended is not destroyed: there may be something left to be written to it.
      for await (const chunk of from.socket.iterator({ destroyOnReturn: false })) {
        // After its end it is read all the same, so that what it was told arrives.
        if (this.#outcome === undefined) await this.#takeAll(from, to, chunk as Buffer);
      }
    } catch {
      // A socket that broke has ended.
    }
    this.#gone(from, to);
  }

  async #takeAll(from: End, to: End, chunk: Buffer): Promise<void> {
    try {
      for (const said of from.reader.push(chunk)) {
        await this.#take(from, to, said);
        if (this.#outcome !== undefined) return;
        await drained(to.socket);
        await this.#options.session.drained;
      }
    } catch (thrown) {
      const known = thrown instanceof FrameFault || thrown instanceof GatewayError;
      const { code, message } = known ? thrown : { code: 'internal_error', message: 'The gateway failed.' };
      const closeCode = thrown instanceof FrameFault ? thrown.closeCode : known ? 1008 : 1011;
      this.#fail(new FrameFault(closeCode, code, message), from);
    }
  }

  async #take(from: End, to: End, said: Said): Promise<void> {
    switch (said.kind) {
      case 'ping':
        to.send('ping', from.pings.ask(said.payload));
        return;
      case 'pong': {
        const asked = to.pings.answer(said.payload);
        if (asked !== undefined) to.send('pong', asked);
        return;
      }
      case 'close':
        this.#closing(from, to, said);
        return;
      default:
        if (from.isClient) await this.#ask(said);
        else this.#show(said);
    }
  }

  /** A message of the upstream, as the client may see it. */
  #show({ kind, payload }: Message): void {
    const { plan } = this.#options;
    if (this.#mask !== undefined && kind === 'binary') {
      throw new GatewayError('mask_unprovable', 'A binary message cannot be masked.');
    }
    // An empty one is no JSON, and hides nothing.
    const shown = this.#mask === undefined || payload.length === 0 ? payload : this.#mask.mask(payload);
    if (this.#client.bytes + shown.length > plan.maxBytes) {
      throw new GatewayError('limit_reached', 'It is more than policy allows.');
    }
    if (kind === 'text') this.#record('upstream', shown.toString('utf8'));
    this.#client.send(kind, shown);
  }

  /** A message of the client, once policy has allowed it. */
  async #ask(message: Message): Promise<void> {
    const { session, plan, facts, masker } = this.#options;
    const { kind, payload } = message;
    const answer = plan.judgesMessages
      ? await session.authorize({ facts: messageFacts(message, facts, masker) })
      : undefined;
    if (answer !== undefined && 'refusal' in answer) {
      const { code, message: why, decisionId } = answer.refusal;
      this.#fail(new FrameFault(1008, code, why), this.#client, decisionId);
      return;
    }
    // It may have waited for an approval.
    if (this.#outcome !== undefined) {
      answer?.permit.complete({ status: 'aborted' });
      return;
    }
    if (kind === 'text' && answer?.permit.plan.recordBodies !== false) {
      this.#record('client', () => redactSecrets(payload.toString('utf8'), plan.text));
    }
    this.#upstream.send(kind, payload);
    answer?.permit.complete({ status: 'ok', bytes: payload.length });
  }

  /** What texts the recording keeps: as far as its bound goes. */
  #record(from: 'client' | 'upstream', text: string | (() => string)): void {
    const { session, plan, decisionId, limits } = this.#options;
    const room = limits.httpRecordBytesPerBodyMax - this.#recorded;
    if (!plan.recordBodies || room <= 0) return;
    const kept = cut(Buffer.from(typeof text === 'string' ? text : text()), room);
    if (kept.length === 0) return;
    this.#recorded += kept.length;
    session.record({ decisionId, kind: 'message', data: { from, text: kept.toString('utf8') } });
  }

  /** One side closes: the other is told, and has a moment to answer. */
  #closing(from: End, to: End, { closeCode, reason }: CloseWords): void {
    from.hasClosed = true;
    const isUnread = from.isClient ? this.#options.plan.judgesMessages : this.#mask !== undefined;
    // A reason is no JSON: where paths alone are masked nobody can say what is in it.
    const isText = !from.isClient && this.#options.plan.json.size === 0;
    const shown = !isUnread ? reason : isText ? (this.#mask?.text(reason) ?? empty) : empty;
    to.close({ closeCode, reason: shown });
    this.#endSoon();
    if (to.hasClosed) this.#end();
  }

  /** One side is gone, in order or not. */
  #gone(from: End, to: End): void {
    if (this.#outcome !== undefined || from.hasClosed) {
      if (to.hasClosed || this.#outcome !== undefined) this.#end();
      return;
    }
    this.#outcome = from.isClient
      ? { status: 'aborted', code: 'client_gone' }
      : { status: 'error', code: 'upstream_unavailable' };
    to.close({ closeCode: from.isClient ? 1001 : 1014, reason: empty });
    this.#end();
  }

  /** The gateway ends it, and says why to both: to whoever is at fault in the protocol's own code. */
  #fail(fault: FrameFault, at: End | undefined, decisionId = this.#options.decisionId): void {
    if (this.#outcome !== undefined) return;
    const { closeCode, code, message } = fault;
    this.#outcome = { status: 'aborted', code };
    this.#options.session.record({ decisionId, kind: 'refused', data: { code, policy: null, message } });
    const isUpstreams = at === this.#upstream;
    // 1014: a gateway was answered with what is not the protocol.
    const toClient = isUpstreams && (closeCode === 1002 || closeCode === 1007) ? 1014 : closeCode;
    this.#client.close({ closeCode: toClient, reason: Buffer.from(`${code} ${decisionId}`) });
    this.#upstream.close({ closeCode: isUpstreams ? closeCode : 1001, reason: empty });
    this.#end();
  }

  /** Nothing more will be written; what was is read by the other side, or not for long. */
  #end(): void {
    for (const { socket } of [this.#client, this.#upstream]) if (socket.writable) socket.end();
    this.#endSoon();
  }

  #endSoon(): void {
    this.#closingTimer ??= setTimeout(() => {
      this.#client.socket.destroy();
      this.#upstream.socket.destroy();
    }, this.#options.limits.httpWebsocketCloseMs);
  }
}

const empty = Buffer.alloc(0);

function cut(bytes: Buffer, length: number): Buffer {
  const shorter = bytes.subarray(0, length);
  return shorter.subarray(0, shorter.length - begunBytes(shorter));
}

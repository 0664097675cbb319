import type { Outcome, Refusal } from '../../core/types.ts';
import { ClientMessages } from './client-messages.ts';
import { frontendTypes, MessageReader, type MessageSink, ProtocolFault } from './codec.ts';
import { Conversation, type ConversationParts } from './conversation.ts';
import { endWith } from './front.ts';
import { holdNotice, refusalResponse } from './refuse.ts';
import { ServerMessages } from './server-messages.ts';

/**
 * Carries a conversation from the end of its login to its own end.
 *
 * Both sockets are read in flowing mode and paused while what they feed is full, while a message has to wait
 * for a reply, or while the recording is behind: a slow client slows the upstream, and memory stays flat.
 *
 * @returns how the conversation ended, once both sockets are closed or closing
 */
export function relay(parts: ConversationParts): Promise<Outcome> {
  return new Relay(parts).run();
}

class Relay {
  readonly #talk: Conversation;
  readonly #fromClient: ClientMessages;
  readonly #fromServer: ServerMessages;
  readonly #clientReader: MessageReader;
  readonly #serverReader: MessageReader;
  /** What the client sent behind the message that waits. */
  #clientRest: Buffer | undefined;
  #clientPaused = false;
  /** The upstream's socket asked to wait for `drain`. */
  #upstreamFull = false;
  #serverBlocked = false;
  #progressed = false;
  #pumping = false;
  #finish: ((outcome: Outcome) => void) | undefined;
  #boundaryTimer: NodeJS.Timeout | undefined;

  constructor(parts: ConversationParts) {
    this.#talk = new Conversation(parts);
    this.#fromClient = new ClientMessages(this.#talk);
    this.#fromServer = new ServerMessages(this.#talk);
    const { limits } = parts;
    this.#clientReader = new MessageReader({
      direction: 'client',
      inspect: (type) => type !== frontendTypes.copyData,
      maxInspectedBytes: (type) =>
        type === frontendTypes.bind ? limits.postgresBindBytesMax : limits.postgresMessageBytesMax,
      maxMessageBytes: limits.postgresCopyDataBytesMax,
    });
    this.#serverReader = new MessageReader({
      direction: 'upstream',
      inspect: (type) => this.#fromServer.inspects(type),
      maxInspectedBytes: () => limits.maskedRowBytesMax,
      maxMessageBytes: limits.postgresReplyBytesMax,
    });
  }

  run(): Promise<Outcome> {
    const { client, upstream, session } = this.#talk;
    return new Promise((resolve) => {
      this.#finish = resolve;
      this.#talk.onProgress(() => {
        this.#progressed = true;
        if (!this.#pumping) this.#pumpClient();
      });
      this.#talk.onNotice((text) => this.#notify(text));
      client.socket.on('data', (chunk: Buffer) => this.#onClient(chunk));
      client.socket.on('drain', () => this.#unblockServer());
      client.socket.on('close', () => this.#clientGone());
      client.socket.on('error', () => client.socket.destroy());
      client.socket.on('end', () => this.#clientGone());
      upstream.socket.on('data', (chunk: Buffer) => this.#onUpstream(chunk));
      upstream.socket.on('drain', () => this.#upstreamDrained());
      upstream.socket.on('close', () => this.#upstreamGone());
      upstream.socket.on('error', () => upstream.socket.destroy());
      // Either may have gone while the login went on; its `close` has been told already.
      if (client.socket.destroyed) this.#clientGone();
      else if (upstream.socket.destroyed) this.#upstreamGone();
      else if (session.signal.aborted) this.#endBy(session.signal.reason as Refusal);
      else
        session.signal.addEventListener('abort', () => this.#endBy(session.signal.reason as Refusal), { once: true });
    });
  }

  // --- client → upstream -----------------------------------------------------------------------------

  #onClient(chunk: Buffer): void {
    this.#clientRest = this.#clientRest === undefined ? chunk : Buffer.concat([this.#clientRest, chunk]);
    this.#pumpClient();
  }

  #upstreamDrained(): void {
    this.#upstreamFull = false;
    this.#pumpClient();
  }

  /** Takes up the message that waits, then what came behind it, until one has to wait or all is read. */
  #pumpClient(): void {
    if (this.#finish === undefined || this.#pumping || this.#upstreamFull) return;
    this.#pumping = true;
    let waiting = false;
    do {
      this.#progressed = false;
      waiting = !this.#readClient();
      // A message may have been refused or taken up by something that happened while it was read.
    } while (waiting && this.#progressed);
    this.#pumping = false;
    const writable = this.#talk.toUpstream.flush();
    if ((waiting && !this.#listens()) || !writable) this.#blockClient(!writable);
    else this.#unblockClient();
    this.#afterWork();
  }

  /** False when a message waits. */
  #readClient(): boolean {
    if (!this.#guarded(() => this.#fromClient.resume())) return this.#talk.ending !== undefined;
    const rest = this.#clientRest;
    if (rest === undefined) return true;
    this.#clientRest = undefined;
    const read = this.#push(this.#clientReader, rest, this.#fromClient);
    if (read < rest.length) this.#clientRest = rest.subarray(read);
    return this.#clientRest === undefined && this.#fromClient.idle;
  }

  /** While something is held the client is read on, up to a bound, so that it is noticed when it leaves. */
  #listens(): boolean {
    const { holding, limits } = this.#talk;
    return holding.held && (this.#clientRest?.length ?? 0) < limits.postgresHeldBytesMax;
  }

  /** Between two messages only; a client that does not read is not told. */
  #notify(text: string): void {
    const { toClient, client } = this.#talk;
    if (this.#finish === undefined || this.#fromServer.midMessage || client.socket.writableNeedDrain) return;
    toClient.insert(holdNotice(text));
    toClient.flush();
  }

  #blockClient(untilDrain: boolean): void {
    this.#upstreamFull = untilDrain;
    this.#clientPaused = true;
    this.#talk.client.socket.pause();
  }

  #unblockClient(): void {
    if (!this.#clientPaused) return;
    this.#clientPaused = false;
    this.#talk.client.socket.resume();
  }

  // --- upstream → client -----------------------------------------------------------------------------

  #onUpstream(chunk: Buffer): void {
    if (this.#finish === undefined) return;
    this.#pumping = true;
    this.#push(this.#serverReader, chunk, this.#fromServer);
    this.#guarded(() => this.#fromServer.endOfChunk());
    this.#pumping = false;
    if (!this.#talk.toClient.flush()) this.#blockServer();
    // Any reply makes room for the message that waits because too many were owed.
    if (this.#progressed || !this.#fromClient.idle) this.#pumpClient();
    else this.#afterWork();
  }

  #blockServer(): void {
    this.#serverBlocked = true;
    this.#talk.upstream.socket.pause();
  }

  #unblockServer(): void {
    if (!this.#serverBlocked) return;
    this.#serverBlocked = false;
    this.#talk.upstream.socket.resume();
  }

  // --- ends ------------------------------------------------------------------------------------------

  /** Reads a chunk; a fault of the codec or of our own ends the conversation. Returns how much was read. */
  #push(reader: MessageReader, chunk: Buffer, sink: MessageSink): number {
    const read = this.#guarded(() => reader.push(chunk, sink));
    if (read instanceof ProtocolFault) {
      this.#talk.fail(read);
      return chunk.length;
    }
    return read ?? chunk.length;
  }

  #guarded<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch {
      // The message of an unforeseen error may quote anything: it is not passed on.
      this.#talk.fail({ code: 'internal_error', message: 'The gateway failed while relaying this connection.' });
      return undefined;
    }
  }

  /** After each piece of work: ends what must end, and waits for a recording that is behind. */
  #afterWork(): void {
    const { ending, session, upstream } = this.#talk;
    if (ending !== undefined) {
      this.#endBy(ending);
      return;
    }
    const { drained } = session;
    if (drained === undefined) return;
    this.#blockClient(this.#upstreamFull);
    upstream.socket.pause();
    void drained.then(() => {
      if (this.#finish === undefined) return;
      if (!this.#serverBlocked) upstream.socket.resume();
      this.#pumpClient();
    });
  }

  /** Ends the conversation in the protocol's words, as soon as no message is half sent. */
  #endBy(refusal: Refusal): void {
    if (this.#finish === undefined) return;
    const talk = this.#talk;
    talk.ending ??= refusal;
    // An operation that ends its session is answered first; then it is the turn of `#afterWork`.
    if (this.#pumping) return;
    if (this.#fromServer.midMessage && talk.upstream.socket.readable) {
      this.#boundaryTimer ??= setTimeout(
        () => this.#close({ status: 'aborted', code: refusal.code }),
        talk.limits.postgresLingerMs,
      );
      return;
    }
    endWith(talk.client.socket, refusalResponse(talk.ending, 'FATAL'), talk.limits.postgresLingerMs);
    this.#close({ status: 'aborted', code: talk.ending.code });
  }

  #clientGone(): void {
    if (this.#finish === undefined) return;
    this.#close({ status: this.#talk.expected.length === 0 ? 'ok' : 'aborted' });
  }

  #upstreamGone(): void {
    if (this.#finish === undefined) return;
    const { client, limits } = this.#talk;
    if (this.#talk.leaving || client.socket.writableEnded) {
      this.#close({ status: 'ok' });
      return;
    }
    if (this.#talk.farewell !== undefined) {
      this.#close({ status: 'error', code: this.#talk.farewell });
      return;
    }
    this.#talk.fail({ code: 'upstream_unavailable', message: 'The upstream closed the connection.' });
    const refusal = this.#talk.ending;
    if (refusal !== undefined && !this.#fromServer.midMessage)
      endWith(client.socket, refusalResponse(refusal, 'FATAL'), limits.postgresLingerMs);
    this.#close({ status: 'error', code: 'upstream_unavailable' });
  }

  /** Nothing is forwarded from here on. What ran is cancelled; its outcome is unknown. */
  #close(outcome: Outcome): void {
    const finish = this.#finish;
    if (finish === undefined) return;
    this.#finish = undefined;
    clearTimeout(this.#boundaryTimer);
    const { upstream, client, expected } = this.#talk;
    this.#talk.holding.end();
    this.#fromClient.close();
    const owed = expected.drain();
    this.#talk.abandon(owed, { status: 'unknown' });
    if (owed.length > 0 && upstream.socket.writable) void upstream.cancel().finally(() => upstream.socket.destroy());
    else upstream.socket.destroySoon();
    if (!client.socket.writableEnded) endWith(client.socket, Buffer.alloc(0), this.#talk.limits.postgresLingerMs);
    finish(outcome);
  }
}

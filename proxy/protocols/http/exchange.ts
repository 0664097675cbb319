/** One permitted request: to the upstream with the gateway's own credential, and its answer through masks to the client. */
import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { asGatewayError, GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { redactSecrets } from '../../core/masker/secrets.ts';
import type { Permit } from '../../core/permit.ts';
import type { Clock, SessionHandle } from '../../core/ports.ts';
import { refusalOf } from '../../core/refusal.ts';
import type { Outcome, Refusal } from '../../core/types.ts';
import type { CanonicalRequest, Header } from './contract.ts';
import { drained } from './drain.ts';
import { endAnswer } from './end-answer.ts';
import { whenEnded } from './ending.ts';
import { HeldAnswer } from './held-answer.ts';
import { createResponseMask, isLive, maskedRequestHeaders, type ResponseMask } from './mask/index.ts';
import type { OperationPlan } from './plan.ts';
import { sendProblem } from './refuse.ts';

/** What an exchange is made of. */
export interface ExchangeOptions {
  readonly session: SessionHandle;
  readonly permit: Permit<OperationPlan>;
  readonly request: CanonicalRequest;
  /** With its query, behind the upstream's prefix: exactly what was judged. */
  readonly target: string;
  /** The gateway's own credential, and what the path adds. */
  readonly headers: readonly Header[];
  /** Read already, or still to be read from the client. */
  readonly body: Buffer | Readable | undefined;
  /** Answers of GraphQL name fields by their aliases. */
  readonly aliases?: Readonly<Record<string, string>> | undefined;
  readonly dispatcher: Dispatcher;
  readonly host: string;
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Called when the upstream answers 401: it does not accept what the gateway showed. */
  unauthorized(): void;
}

/** Runs it to its end. Never rejects: what fails is its outcome. */
export function serveExchange(options: ExchangeOptions): Promise<Outcome> {
  return new Promise((resolve) => new Exchange(options, resolve).start());
}

/** Headers of an answer that are about this connection, or about somebody else's credentials (RFC 9110 section 7.6.1). */
const dropped: ReadonlySet<string> = new Set(
  'connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade alt-svc set-cookie set-cookie2 www-authenticate authentication-info strict-transport-security'.split(
    ' ',
  ),
);

const tooLarge = 'The answer is larger than policy allows.';

class Exchange {
  readonly #options: ExchangeOptions;
  readonly #resolve: (outcome: Outcome) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #mask: ResponseMask | undefined;
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #recorded = 0;
  #status = 0;
  #settled = false;
  #paused = false;
  /** What the upstream says that the body is long; NaN where it does not, or where a mask will change it. */
  #length = Number.NaN;
  /** The end of the body, which goes out with the end of the answer. */
  #last: readonly Buffer[] = [];
  #unsubscribe = (): void => {};
  /** The answer while it is masked and not shown yet. */
  #held: HeldAnswer | undefined;
  #showing: NodeJS.Timeout | undefined;

  constructor(options: ExchangeOptions, resolve: (outcome: Outcome) => void) {
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    const { dispatcher, request, target, headers, host, body, response, permit, session } = this.#options;
    const { timeoutMs } = permit.plan;
    response.once('close', this.#gone);
    this.#unsubscribe = whenEnded(session.signal, this.#stop);
    if (Number.isFinite(timeoutMs)) {
      const late = () => this.#end('limit_reached', 'The answer took longer than policy allows.', 504);
      this.#timer = setTimeout(late, Math.min(timeoutMs, 2 ** 31 - 1));
    }
    if (session.signal.aborted) {
      this.#stop();
      return;
    }
    const sent: string[] = ['host', host];
    const { json, text } = permit.plan;
    const asked = json.size + text.size > 0 ? maskedRequestHeaders(request.headers) : request.headers;
    for (const [name, value] of [...asked, ...headers]) sent.push(name, value);
    try {
      dispatcher.dispatch(
        {
          path: target,
          method: request.method as Dispatcher.HttpMethod,
          headers: sent,
          body: body ?? null,
          // A request is sent once: a second try would be an operation that nobody judged.
          idempotent: false,
        },
        {
          onRequestStart: (controller) => {
            this.#controller = controller;
            if (this.#settled) controller.abort(new Error('the exchange is over'));
          },
          onResponseStart: (controller, status, answer) => this.#head(controller, status, answer),
          onResponseData: (_controller, chunk) => this.#take(chunk),
          onResponseEnd: () => this.#done(),
          onResponseError: (_controller, error) => this.#failed(error),
        },
      );
    } catch (error) {
      this.#failed(error);
    }
  }

  readonly #gone = () => {
    if (this.#settled || this.#options.response.writableFinished) return;
    this.#settle({ status: 'aborted', code: 'client_gone', bytes: this.#bytes });
  };

  readonly #stop = () => {
    const { code, message } = this.#options.session.signal.reason as Refusal;
    this.#end(code, message);
  };

  #head(
    controller: Dispatcher.DispatchController,
    status: number,
    answer: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    // Interim answers are the gateway's own to give.
    if (status < 200 || this.#settled) return;
    const { permit, request, aliases, clock, limits } = this.#options;
    this.#controller = controller;
    this.#status = status;
    if (status === 401) this.#options.unauthorized();
    const headers = endToEnd(answer);
    const bodiless =
      request.method === 'HEAD' || status === 204 || status === 304 || single(answer['content-length']) === '0';
    const { json, text } = permit.plan;
    if (json.size + text.size > 0) {
      const made = createResponseMask({
        contentType: single(answer['content-type']) || undefined,
        contentEncoding: single(answer['content-encoding']) || undefined,
        partial: status === 206,
        bodiless,
        masks: { json, text },
        ...(aliases && { aliases }),
        clock,
        limits,
      });
      if ('fault' in made) {
        this.#end(made.fault.code, made.fault.message, 502);
        return;
      }
      this.#mask = made.mask;
      for (const name of made.mask.dropHeaders) headers.delete(name);
      for (const [name, value] of made.mask.setHeaders) headers.set(name, value);
    }
    if (this.#mask === undefined) {
      this.#length = Number(single(answer['content-length']) || Number.NaN);
      this.#show(headers);
      return;
    }
    this.#held = new HeldAnswer(headers, isLive(single(answer['content-type'])) ? 0 : limits.httpHeldAnswerBytesMax);
    this.#showing = setTimeout(() => this.#release(), limits.httpHeldAnswerMs);
  }

  /** Says the status. From here on the answer can be cut off, and no longer be refused in words. */
  #show(headers: HeldAnswer['headers']): void {
    const { permit, response, session } = this.#options;
    const kept: Record<string, string> = {};
    const shown: (string | string[])[] = [];
    for (const [name, value] of headers) {
      kept[name] = redactSecrets(String(value));
      shown.push(name, value);
    }
    const { decisionId } = permit;
    session.record({ decisionId, kind: 'response', data: { status: this.#status, headers: kept } });
    response.writeHead(this.#status, shown as string[]);
  }

  /** Gives what was held, and from here on everything at once. */
  #release(): void {
    const held = this.#unhold();
    if (held === undefined) return;
    this.#show(held.headers);
    this.#emit(held.pieces);
  }

  /** What was held, where it may be shown. */
  #unhold(): HeldAnswer | undefined {
    const held = this.#held;
    if (held === undefined) return undefined;
    clearTimeout(this.#showing);
    if (held.bytes > this.#options.permit.plan.maxBytes) {
      this.#break('limit_reached', tooLarge);
      return undefined;
    }
    this.#held = undefined;
    return held;
  }

  #take(chunk: Buffer): void {
    if (this.#settled) return;
    if (this.#mask === undefined) {
      if (this.#bytes + chunk.length === this.#length) this.#last = [chunk];
      else this.#emit([chunk]);
      return;
    }
    this.#masked(
      this.#mask,
      (mask) => mask.push(chunk),
      () => {},
    );
  }

  /** What a mask makes of something, at once or, where it has to be decoded, in a moment. */
  #masked(mask: ResponseMask, work: (mask: ResponseMask) => Buffer[] | Promise<Buffer[]>, then: () => void): void {
    const failed = (thrown: unknown) => {
      const { code, message } = asGatewayError(thrown, 'mask_unprovable', 'The answer could not be masked.');
      this.#break(code, message);
    };
    const take = (pieces: Buffer[]) => {
      if (this.#settled) return;
      if (this.#held === undefined) this.#emit(pieces);
      else if (this.#held.isFull(pieces)) this.#release();
      if (!this.#settled) then();
    };
    try {
      const made = work(mask);
      if (!(made instanceof Promise)) {
        take(made);
        return;
      }
      this.#controller?.pause();
      made.then((pieces) => {
        take(pieces);
        if (!this.#paused && !this.#settled) this.#controller?.resume();
      }, failed);
    } catch (error) {
      failed(error);
    }
  }

  #emit(pieces: readonly Buffer[]): void {
    const { response, session } = this.#options;
    for (const piece of pieces) {
      if (!this.#count(piece)) return;
      if (piece.length > 0 && !response.write(piece)) this.#pause();
    }
    if (session.drained !== undefined) this.#pause();
  }

  /** Counts and records a piece. False when it is too much: the answer is then over. */
  #count(piece: Buffer): boolean {
    const { permit, session, limits } = this.#options;
    this.#bytes += piece.length;
    if (this.#bytes > permit.plan.maxBytes) {
      this.#break('limit_reached', tooLarge);
      return false;
    }
    const room = limits.httpRecordBytesPerBodyMax - this.#recorded;
    if (permit.plan.recordBodies && room > 0 && piece.length > 0) {
      const kept = piece.subarray(0, room);
      this.#recorded += kept.length;
      session.record({ decisionId: permit.decisionId, kind: 'body', data: kept });
    }
    return true;
  }

  /** Until the client took what it has and the recording is on its feet again. */
  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#controller?.pause();
    void this.#room().then(() => {
      this.#paused = false;
      if (!this.#settled) this.#controller?.resume();
    });
  }

  async #room(): Promise<void> {
    const { response, session } = this.#options;
    await drained(response);
    await session.drained;
  }

  #done(): void {
    if (this.#settled) return;
    if (this.#mask === undefined) this.#complete();
    else
      this.#masked(
        this.#mask,
        (mask) => mask.finish(),
        () => this.#complete(),
      );
  }

  #complete(): void {
    const held = this.#unhold();
    if (this.#settled) return;
    if (held !== undefined) {
      // All of it is here: its length is known after all.
      if (held.bytes > 0) held.headers.set('content-length', String(held.bytes));
      this.#show(held.headers);
      this.#last = held.pieces;
    }
    if (!this.#last.every((piece) => this.#count(piece))) return;
    const { response, limits } = this.#options;
    endAnswer(response, this.#last, limits.httpEndBytesMax);
    const maskedCells = this.#mask?.matches ?? 0;
    this.#settle({
      status: this.#status < 400 ? 'ok' : 'error',
      code: String(this.#status),
      bytes: this.#bytes,
      ...(maskedCells > 0 && { maskedCells }),
    });
  }

  #failed(error: unknown): void {
    const own = error instanceof GatewayError ? error : undefined;
    this.#end(own?.code ?? 'upstream_unavailable', own?.message ?? 'The upstream did not answer as HTTP has it.');
  }

  /** Ends it in the gateway's name: in words while none were said, else by cutting the answer off. */
  #end(code: string, message: string, status?: number): void {
    if (this.#settled) return;
    const { permit, response, session } = this.#options;
    const { decisionId } = permit;
    const refusal = refusalOf(decisionId, { code, message }, [], false);
    session.record({ decisionId, kind: 'refused', data: { code, policy: null, message } });
    this.#settle({ status: 'error', code, bytes: this.#bytes });
    sendProblem(response, refusal, { ...(status !== undefined && { status }), close: true });
  }

  /** Ends an answer that cannot go on: in words while none were said; else its end must not look like one. */
  #break(code: string, message: string): void {
    const { response, permit, session } = this.#options;
    if (!response.headersSent) {
      this.#end(code, message, 502);
      return;
    }
    session.record({ decisionId: permit.decisionId, kind: 'truncated', data: { why: code } });
    this.#settle({ status: 'aborted', code, bytes: this.#bytes });
    response.destroy();
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return;
    this.#settled = true;
    const { response } = this.#options;
    clearTimeout(this.#timer);
    clearTimeout(this.#showing);
    this.#mask?.close();
    response.removeListener('close', this.#gone);
    this.#unsubscribe();
    if (outcome.status !== 'ok' || !response.writableEnded) this.#controller?.abort(new Error('the exchange is over'));
    this.#resolve(outcome);
  }
}

/** Without what is about the connection, what `Connection` names included. */
function endToEnd(answer: Readonly<Record<string, string | string[] | undefined>>): Map<string, string | string[]> {
  const named = single(answer.connection)
    .split(',')
    .map((token) => token.trim().toLowerCase());
  const headers = new Map<string, string | string[]>();
  for (const [name, value] of Object.entries(answer)) {
    if (value !== undefined && !dropped.has(name) && !named.includes(name)) headers.set(name, value);
  }
  return headers;
}

function single(value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(', ') : (value ?? '');
}

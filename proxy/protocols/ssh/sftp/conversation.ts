import type { Limits } from '../../../core/limits.ts';
import type { Fault } from '../../../core/types.ts';
import type { OpenFile } from './open-files.ts';
import type { OperationPermit, SftpOperation, SftpTransfer, SftpVerdict } from './operation.ts';
import { statusCodes } from './packet-types.ts';
import { statusReply } from './replies.ts';

/** Bytes towards the host, each under a permit; `Forwarder` of the core is one. */
export interface HostSink<P> {
  forward(permit: P, chunk: Buffer, from: number, to: number): void;
  insert(permit: P, bytes: Buffer): void;
  /** False when the stream asks to wait. */
  flush(): boolean;
}

/** Bytes towards the client; `ChunkWriter` of the core is one. */
export interface ClientSink {
  range(chunk: Buffer, from: number, to: number): void;
  insert(bytes: Buffer): void;
  flush(): boolean;
}

/** What the bounds of a gate are. */
export type SftpLimits = Pick<
  Limits,
  | 'sftpPacketBytesMax'
  | 'sftpRequestBytesMax'
  | 'sftpPathBytesMax'
  | 'sftpOutstandingMax'
  | 'sftpHandlesMax'
  | 'sftpMissingFoldersMax'
  | 'sftpRefusalTextMax'
  | 'sftpAnswerTimeoutMs'
>;

/** What a gate is connected to. */
export interface SftpGateParts<P extends OperationPermit> {
  /** Under which go INIT, what the gate itself asks of the host, and CLOSE of what was revoked. The session's own. */
  readonly permit: P;
  readonly toHost: HostSink<P>;
  readonly toClient: ClientSink;
  /** Resolves once that side takes more, or is gone. Called after its `flush` answered false. */
  drained(side: 'host' | 'client'): Promise<void>;
  /** Judges and audits one operation; one with a fault comes back as a refusal. One at a time. */
  authorize(operation: SftpOperation): SftpVerdict<P> | Promise<SftpVerdict<P>>;
  /** Content that went through a handle, when it is closed or the channel ends. `permit` is that of the open. */
  recordTransfer(transfer: SftpTransfer, permit: P): void;
  /** Called once: the stream cannot be followed any further, and the channel must end. */
  fail(fault: Fault): void;
  readonly limits: SftpLimits;
}

/** What a forwarded request is owed. `id` is the client's; `reply` the type of an answer that is no STATUS. */
export type Expected<P extends OperationPermit> = { readonly reply: number; readonly changes: boolean } & (
  | { readonly kind: 'own'; readonly answer: (whole: Buffer) => void }
  | { readonly kind: 'open'; readonly id: number; readonly permit: P; readonly opened: () => OpenFile<P> }
  | {
      readonly kind: 'read';
      readonly id: number;
      readonly file: OpenFile<P>;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly kind: 'write' | 'close'; readonly id: number; readonly file: OpenFile<P> }
  | { readonly kind: 'once'; readonly id: number; readonly permit: P }
  | { readonly kind: 'passed'; readonly id: number }
);

/** Thrown out of a wait when the gate has ended meanwhile. */
export class Ended extends Error {}

/** What both directions of one SFTP stream share. */
export class Conversation<P extends OperationPermit> {
  readonly parts: SftpGateParts<P>;
  readonly files = new Map<string, OpenFile<P>>();
  /** OPENs and OPENDIRs that are not answered. */
  opening = 0;
  /** The path of `.`, once the host has said it. */
  home = '/';
  /** Called with the host's VERSION. */
  version: ((whole: Buffer) => void) | undefined;
  /** The one operation that is being judged; everything the client sent behind it waits. */
  judging: Promise<void> | undefined;
  /** A reply of the host was begun and is not at its end: nothing can be put in between. */
  midReply = false;
  #closed = false;
  readonly #expected = new Map<number, Expected<P>>();
  #lastId = 0;
  #changing = 0;
  /** What waits for `midReply`: one reply, since the client is not read meanwhile. */
  readonly #deferred: Buffer[] = [];
  readonly #full = new Map<'host' | 'client', Promise<void>>();
  #waiters: (() => void)[] = [];

  constructor(parts: SftpGateParts<P>) {
    this.parts = parts;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** True while nothing more of the client may be read. */
  get clientWaits(): boolean {
    return (
      this.#closed ||
      this.judging !== undefined ||
      this.#deferred.length > 0 ||
      this.#expected.size >= this.parts.limits.sftpOutstandingMax
    );
  }

  /** No request is unanswered that can change where paths lead. */
  get settled(): boolean {
    return this.#changing === 0;
  }

  // --- requests on their way ------------------------------------------------------------------------------

  /**
   * Notes what a request to the host is owed and returns the id that it goes under. Ids of the client never reach the
   * host: what the gate asks cannot be mixed up with what the client asks, whatever ids it picks.
   */
  expect(expected: Expected<P>): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#expected.has(this.#lastId));
    this.#expected.set(this.#lastId, expected);
    if (expected.changes) this.#changing++;
    return this.#lastId;
  }

  expected(id: number): Expected<P> | undefined {
    return this.#expected.get(id);
  }

  /** The host has answered. */
  answered(id: number): void {
    if (this.#expected.get(id)?.changes === true) this.#changing--;
    this.#expected.delete(id);
    this.wake();
  }

  /** Asks the host something of the gate's own. @throws Ended when the gate ends before the answer. */
  async ask(reply: number, encode: (id: number) => Buffer): Promise<Buffer> {
    const { limits, toHost, permit } = this.parts;
    let answer: Buffer | undefined;
    const id = this.expect({
      kind: 'own',
      reply,
      changes: false,
      answer: (whole) => {
        answer = whole;
      },
    });
    toHost.insert(permit, encode(id));
    this.flush();
    await this.until(() => answer !== undefined, limits.sftpAnswerTimeoutMs);
    if (answer === undefined) throw new Ended();
    return answer;
  }

  /** Waits for `condition`; for `timeoutMs` at most, after which the gate ends. @throws Ended when it ends meanwhile. */
  async until(condition: () => boolean, timeoutMs?: number): Promise<void> {
    if (this.#closed) throw new Ended();
    if (condition()) return;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => this.fail('upstream_unavailable', 'The host did not answer about a path in time.'),
            timeoutMs,
          );
    timer?.unref();
    try {
      while (!condition()) {
        await new Promise<void>((resolve) => this.#waiters.push(resolve));
        if (this.#closed) throw new Ended();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Makes all waits look at what they wait for. */
  wake(): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) return;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  // --- bytes ----------------------------------------------------------------------------------------------

  /** Answers the client in the host's place, at the next place between two replies. */
  reply(bytes: Buffer): void {
    if (this.midReply) this.#deferred.push(bytes);
    else this.parts.toClient.insert(bytes);
  }

  /** A refusal in the protocol's own words. */
  refuse(id: number, text: string, code: number = statusCodes.permissionDenied): void {
    this.reply(statusReply(id, code, text.slice(0, this.parts.limits.sftpRefusalTextMax)));
  }

  /** A reply of the host is at its end. */
  endOfReply(): void {
    this.midReply = false;
    if (this.#deferred.length === 0) return;
    for (const bytes of this.#deferred.splice(0)) this.parts.toClient.insert(bytes);
    this.wake();
  }

  /** Hands over what was collected for both sides. */
  flush(): void {
    this.#flush('host', this.parts.toHost);
    this.#flush('client', this.parts.toClient);
  }

  #flush(side: 'host' | 'client', sink: { flush(): boolean }): void {
    if (sink.flush() || this.#full.has(side)) return;
    const drained = this.parts.drained(side).then(() => {
      this.#full.delete(side);
    });
    this.#full.set(side, drained);
  }

  /** Resolves once `side` takes more; undefined when it does now. */
  full(side: 'host' | 'client'): Promise<void> | undefined {
    return this.#full.get(side);
  }

  // --- ends -----------------------------------------------------------------------------------------------

  /** Ends the gate: the stream cannot be followed any further. */
  fail(code: Fault['code'], message: string): void {
    if (this.#closed) return;
    // What came before is through, however the stream was cut.
    this.flush();
    this.#closed = true;
    this.wake();
    this.parts.fail({ code, message });
  }

  /** Tells what became of everything that is under way. Nothing is read or forwarded from here on. */
  close(): void {
    this.#closed = true;
    for (const expected of this.#expected.values()) {
      if (expected.kind === 'once' || expected.kind === 'open') expected.permit.complete({ status: 'unknown' });
      else if (expected.kind === 'close') this.finish(expected.file, false);
    }
    this.#expected.clear();
    for (const file of this.files.values()) this.finish(file, false);
    this.files.clear();
    this.wake();
  }

  /** Ends the operation that opened `file` and tells what went through it. */
  finish(file: OpenFile<P>, closed: boolean): void {
    for (const transfer of file.finish(closed)) this.parts.recordTransfer(transfer, file.permit);
  }
}

/** A gate with everything around it: a host (OpenSSH's sftp-server, or one that a test plays) and a client. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { ChunkWriter } from '../../../../../proxy/core/forwarder.ts';
import { limits } from '../../../../../proxy/core/limits.ts';
import type { Fault, Outcome } from '../../../../../proxy/core/types.ts';
import type { SftpLimits } from '../../../../../proxy/protocols/ssh/sftp/conversation.ts';
import { createSftpGate, type SftpGate } from '../../../../../proxy/protocols/ssh/sftp/gate.ts';
import type { SftpOperation, SftpTransfer, SftpVerdict } from '../../../../../proxy/protocols/ssh/sftp/operation.ts';
import { type Answer, init, readAnswer, withId } from './requests.ts';

/** Debian's place for it. */
export const sftpServer = '/usr/lib/openssh/sftp-server';

/** A permit that remembers what became of it. */
export class TestPermit {
  readonly operation: SftpOperation | undefined;
  outcome: Outcome | undefined;

  constructor(operation?: SftpOperation) {
    this.operation = operation;
  }

  get open(): boolean {
    return this.outcome === undefined;
  }

  complete(outcome: Outcome): void {
    this.outcome ??= outcome;
  }
}

export type Judging = (operation: SftpOperation) => SftpVerdict<TestPermit> | Promise<SftpVerdict<TestPermit>>;

/** Refuses what has a fault, permits the rest. */
export const permitAll: Judging = (operation) =>
  operation.fault === undefined
    ? { permit: new TestPermit(operation) }
    : { refusal: `${operation.fault.code}: ${operation.fault.message}` };

export interface GatedOptions {
  readonly judge?: Judging;
  readonly limits?: Partial<SftpLimits>;
  readonly drained?: (side: 'host' | 'client') => Promise<void>;
  /** True while a side asks to wait. */
  readonly full?: (side: 'host' | 'client') => boolean;
}

/** A gate between two byte collectors. */
export class Gated {
  readonly gate: SftpGate;
  readonly judged: SftpOperation[] = [];
  readonly permits: TestPermit[] = [];
  readonly transfers: SftpTransfer[] = [];
  readonly sessionPermit = new TestPermit();
  fault: Fault | undefined;
  onHost: (bytes: Buffer) => void = () => {};
  onClient: (bytes: Buffer) => void = () => {};
  readonly #failed = Promise.withResolvers<Fault>();

  constructor(options: GatedOptions = {}) {
    const toHost = new ChunkWriter(collector((bytes) => this.onHost(bytes)));
    const toClient = new ChunkWriter(collector((bytes) => this.onClient(bytes)));
    const demandOpen = (permit: TestPermit) => {
      if (!permit.open) throw new Error('the permit was completed');
    };
    this.gate = createSftpGate<TestPermit>({
      permit: this.sessionPermit,
      toHost: {
        forward: (permit, chunk, from, to) => {
          demandOpen(permit);
          toHost.range(chunk, from, to);
        },
        insert: (permit, bytes) => {
          demandOpen(permit);
          toHost.insert(bytes);
        },
        flush: () => toHost.flush() && options.full?.('host') !== true,
      },
      toClient: {
        range: (chunk, from, to) => toClient.range(chunk, from, to),
        insert: (bytes) => toClient.insert(bytes),
        flush: () => toClient.flush() && options.full?.('client') !== true,
      },
      drained: options.drained ?? (async () => {}),
      authorize: async (operation) => {
        this.judged.push(operation);
        const verdict = await (options.judge ?? permitAll)(operation);
        if ('permit' in verdict) this.permits.push(verdict.permit);
        return verdict;
      },
      recordTransfer: (transfer) => this.transfers.push(transfer),
      fail: (fault) => {
        this.fault = fault;
        this.#failed.resolve(fault);
      },
      limits: { ...limits, ...options.limits },
    });
  }

  /** Resolves with the fault that ends the gate. */
  get failed(): Promise<Fault> {
    return this.#failed.promise;
  }
}

/** A stream that hands on what it is given and never asks to wait. */
function collector(take: (bytes: Buffer) => void): Writable {
  return new Writable({
    highWaterMark: Number.MAX_SAFE_INTEGER,
    write(chunk: Buffer, _, done) {
      take(chunk);
      done();
    },
  });
}

/** Cuts a stream into whole packets. */
export class Packets {
  readonly #take: (whole: Buffer) => void;
  #rest = Buffer.alloc(0);

  constructor(take: (whole: Buffer) => void) {
    this.#take = take;
  }

  push(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 4 && this.#rest.length >= this.#rest.readUInt32BE(0) + 4) {
      const whole = this.#rest.subarray(0, this.#rest.readUInt32BE(0) + 4);
      this.#rest = this.#rest.subarray(whole.length);
      this.#take(whole);
    }
  }
}

/** A client in front of a gate: sends requests and waits for their answers. */
export class Client {
  readonly gated: Gated;
  readonly answers: Answer[] = [];
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #sent: Promise<void> = Promise.resolve();
  #id = 0;

  constructor(gated: Gated) {
    this.gated = gated;
    const packets = new Packets((whole) => {
      const answer = readAnswer(whole);
      this.answers.push(answer);
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    gated.onClient = (bytes) => packets.push(bytes);
  }

  /** Sends bytes behind everything sent before. Resolves once the gate takes more. */
  send(bytes: Buffer): Promise<void> {
    this.#sent = this.#sent.then(() => this.gated.gate.fromClient(Buffer.from(bytes)));
    return this.#sent;
  }

  /** Resolves once the gate takes more behind everything that was sent. */
  get idle(): Promise<void> {
    return this.#sent;
  }

  /** The answer with this id, which is not asked for here. */
  answer(id: number): Promise<Answer> {
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  /** INIT; the VERSION is waited for. */
  async begin(): Promise<Answer> {
    const version = this.answer(3);
    await this.send(init);
    return version;
  }

  /** Sends a request under a new id; resolves with its answer. */
  ask(wanted: readonly [number, ...Buffer[]], id = 100 + this.#id++): Promise<Answer> {
    const answer = this.answer(id);
    void this.send(withId(id, wanted));
    return answer;
  }
}

/** A client, a gate, and OpenSSH's own server, which begins in `directory`. */
export interface RealHost {
  readonly client: Client;
  readonly gated: Gated;
  /** As when the channel closes. */
  stop(): Promise<void>;
}

/**
 * Starts {@link RealHost}. `cut` says how many bytes of the host are handed over at a time; with `begin` its client has
 * sent INIT already.
 */
export async function startRealHost(
  directory: string,
  options: GatedOptions = {},
  cut = 64 * 1024,
  begin = true,
): Promise<RealHost> {
  const child: ChildProcess = spawn(sftpServer, ['-d', directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('sftp-server has no streams');
  const gated = new Gated(options);
  gated.onHost = (bytes) => void stdin.write(bytes);
  const client = new Client(gated);
  stdout.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; at += cut) void gated.gate.fromHost(Buffer.from(chunk.subarray(at, at + cut)));
  });
  if (begin) await client.begin();
  return {
    client,
    gated,
    async stop() {
      gated.gate.close();
      stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

/**
 * One permitted operation between a client's channel and the host's: input as it is, output through masks and into the
 * recording, each side waiting for the other.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import type { Limits } from '../../core/limits.ts';
import { type ByteMasker, createByteMasker } from '../../core/masker/bytes.ts';
import type { Permit } from '../../core/permit.ts';
import type { Clock, SessionHandle } from '../../core/ports.ts';
import type { JsonObject, Outcome, Refusal } from '../../core/types.ts';
import type { OperationPlan } from './plan.ts';
import { refusalText, refusedStatus } from './refuse.ts';
import { type Exit, exitOf, RemoteEnd } from './remote-end.ts';
import type { ClientChannel, ServerChannel } from './ssh2.ts';

/** What a relay is made of. */
export interface RelayOptions {
  readonly session: SessionHandle;
  readonly permit: Permit<OperationPlan>;
  readonly client: ServerChannel;
  readonly upstream: ClientChannel;
  /** What the command reads: what the client sends, or nothing. */
  readonly input: 'client' | 'none';
  /** A terminal: what is held back for a mask is shown after a moment, because somebody waits for a prompt. */
  readonly terminal: boolean;
  /** Whether the client's channel ends with the command, as it does but in a shell. */
  readonly ends: boolean;
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'sshRecordBytesPerOperationMax' | 'sshEndPatienceMs'>;
}

/** Runs to the end of the operation. Never rejects: what fails is its outcome. */
export function relayCommand(options: RelayOptions): Promise<Outcome> {
  return new CommandRelay(options).run();
}

/** Without an exit status `ssh` itself exits with 255, as it does when it loses its connection. */
const hostGone = 'sallyport: The host went away before it said how the command ended. (upstream_unavailable)\n';

class CommandRelay {
  readonly #options: RelayOptions;
  readonly #outputs: Output[];
  readonly #remote: RemoteEnd;
  #ended: Refusal | undefined;
  #clientGone = false;
  #release = () => {};

  constructor(options: RelayOptions) {
    this.#options = options;
    const { client, upstream } = options;
    this.#remote = new RemoteEnd(upstream, options.limits);
    const total = { bytes: 0, recorded: 0 };
    const over = () => this.#end(exceeded(options.permit, 'max_bytes', 'The output is longer than policy allows.'));
    this.#outputs = [
      new Output('stdout', upstream, client, { ...options, total, over }),
      new Output('stderr', upstream.stderr, client.stderr, { ...options, total, over }),
    ];
  }

  async run(): Promise<Outcome> {
    const { session, permit, client } = this.#options;
    const stop = () => this.#end(session.signal.reason as Refusal);
    const gone = () => {
      this.#clientGone = true;
      this.#remote.end('HUP');
    };
    client.once('close', gone);
    session.signal.addEventListener('abort', stop, { once: true });
    if (session.signal.aborted) stop();
    const { timeoutMs } = permit.plan;
    const timer = Number.isFinite(timeoutMs)
      ? setTimeout(
          () => this.#end(exceeded(permit, 'timeout_ms', 'The command ran longer than policy allows.')),
          Math.min(timeoutMs, 2 ** 31 - 1),
        )
      : undefined;
    this.#input();
    const outputs = Promise.all(this.#outputs.map((output) => output.run()));
    await this.#remote.reached;
    // What the host has said is out before how it ended, but nobody is left to tell of what was ended.
    if (this.#ended === undefined && !this.#clientGone) await outputs;
    clearTimeout(timer);
    session.signal.removeEventListener('abort', stop);
    client.removeListener('close', gone);
    this.#release();
    return this.#finish();
  }

  /** What the client sends goes to the host as it comes. */
  #input(): void {
    const { client, upstream, input } = this.#options;
    if (input === 'none') {
      upstream.end();
      client.resume();
      return;
    }
    const take = (chunk: Buffer) => {
      if (!upstream.writable || upstream.write(chunk)) return;
      client.pause();
      void drained(upstream).then(() => client.resume());
    };
    const end = () => upstream.end();
    client.on('data', take);
    client.once('end', end);
    if (client.readableEnded) end();
    this.#release = () => {
      client.removeListener('data', take);
      client.removeListener('end', end);
      if (!this.#options.ends) client.pause();
    };
    client.resume();
  }

  /** Ends the operation in the gateway's name, once. */
  #end(refusal: Refusal): void {
    if (this.#ended !== undefined) return;
    this.#ended = refusal;
    for (const output of this.#outputs) output.stop();
    this.#remote.end('KILL');
  }

  /** The host's channel is gone, and nobody said how the command ended. */
  get #lost(): boolean {
    const { code, signal } = exitOf(this.#options.upstream);
    return this.#ended === undefined && !this.#clientGone && code === null && signal === undefined;
  }

  /** Everything the host said is out before the exit status is, and that before the end. */
  async #finish(): Promise<Outcome> {
    const { session, permit, client, terminal } = this.#options;
    const { decisionId } = permit;
    const outputs = this.#outputs;
    const bytes = outputs.reduce((sum, { bytes: some }) => sum + some, 0);
    const maskedCells = outputs.reduce((sum, { matches }) => sum + matches, 0);
    if (this.#ended !== undefined && !this.#clientGone) {
      client.stderr.write(refusalText(this.#ended, terminal));
      session.record({
        decisionId,
        kind: 'refused',
        data: { code: this.#ended.code, policy: this.#ended.policy ?? null, message: this.#ended.message },
      });
    }
    const lost = this.#lost;
    if (lost && client.stderr.writable) client.stderr.write(terminal ? hostGone.replace('\n', '\r\n') : hostGone);
    const status = this.#ended === undefined ? exitOf(this.#options.upstream).code : refusedStatus;
    const signal = this.#ended === undefined ? exitOf(this.#options.upstream).signal : undefined;
    const unrecorded = outputs.flatMap((output) => output.unrecorded());
    session.record({
      decisionId,
      kind: 'exit',
      data: {
        status,
        signal: signal ?? null,
        bytes,
        masked: maskedCells,
        ...(unrecorded.length > 0 && { unrecorded }),
      },
    });
    if (!this.#clientGone && this.#options.ends)
      await endChannel(client, { ...exitOf(this.#options.upstream), code: status, signal });
    if (lost) return { status: 'unknown', code: 'upstream_unavailable', bytes, maskedCells };
    return {
      status: this.#ended !== undefined || this.#clientGone ? 'aborted' : status === 0 ? 'ok' : 'error',
      code: this.#ended?.code ?? signal ?? (status === null ? 'no_status' : String(status)),
      bytes,
      ...(maskedCells > 0 && { maskedCells }),
    };
  }
}

/** Ends a client's channel after all that was written to it: error output first, which has a queue of its own. */
export async function endChannel(client: ServerChannel, exit: Exit): Promise<void> {
  const written = (stream: Writable) =>
    new Promise<void>((resolve) => {
      client.once('close', () => resolve());
      if (stream.writable) stream.write(Buffer.alloc(0), () => resolve());
      else resolve();
    });
  await Promise.all([written(client), written(client.stderr)]);
  if (exit.signal !== undefined) client.exit(exit.signal, exit.core === true, '');
  else if (exit.code !== null) client.exit(exit.code);
  client.end();
  client.resume();
}

type OutputOptions = Pick<RelayOptions, 'session' | 'permit' | 'terminal' | 'clock' | 'limits'> & {
  /** Of both outputs together. */
  readonly total: { bytes: number; recorded: number };
  readonly over: () => void;
};

/** One direction of output: read, masked, recorded, written, at the pace of the slowest. */
class Output {
  bytes = 0;
  readonly #kind: 'stdout' | 'stderr';
  readonly #source: Readable;
  readonly #sink: Writable;
  readonly #options: OutputOptions;
  readonly #masker: ByteMasker | undefined;
  #rest: { bytes: number; readonly hash: Hash } | undefined;
  #idle: NodeJS.Timeout | undefined;
  #stopped = false;
  #paused = false;

  constructor(kind: 'stdout' | 'stderr', source: Readable, sink: Writable, options: OutputOptions) {
    this.#kind = kind;
    this.#source = source;
    this.#sink = sink;
    this.#options = options;
    const { masks } = options.permit.plan;
    if (masks.size > 0) {
      const made = createByteMasker(masks, { clock: options.clock });
      if ('error' in made) throw new Error('a mask that the plan has checked is not known');
      this.#masker = made.masker;
    }
  }

  get matches(): number {
    return this.#masker?.matches ?? 0;
  }

  /** What the recording only has a hash of. */
  unrecorded(): JsonObject[] {
    if (this.#rest === undefined) return [];
    const { bytes, hash } = this.#rest;
    return [{ stream: this.#kind, bytes, sha256: hash.digest('hex') }];
  }

  /** Settles when the source ended and all of it was written. */
  run(): Promise<void> {
    return new Promise((resolve) => {
      const source = this.#source;
      let ended = false;
      const done = () => {
        if (ended) return;
        ended = true;
        clearTimeout(this.#idle);
        if (!this.#stopped) this.#emit(this.#masker?.finish() ?? []);
        resolve();
      };
      source.on('data', (chunk: Buffer) => this.#take(chunk));
      source.once('end', done);
      source.once('close', done);
    });
  }

  /** Drops what still comes. */
  stop(): void {
    this.#stopped = true;
    this.#source.resume();
  }

  #take(chunk: Buffer): void {
    if (this.#stopped) return;
    this.#emit(this.#masker === undefined ? [chunk] : this.#masker.push(chunk));
    this.#watchIdle();
  }

  /** Somebody at a terminal waits for a prompt that a mask holds back. */
  #watchIdle(): void {
    clearTimeout(this.#idle);
    const masker = this.#masker;
    const { terminal, clock } = this.#options;
    if (!terminal || masker?.idleAtMs === undefined) return;
    const show = () => {
      this.#emit(masker.idle());
      this.#watchIdle();
    };
    this.#idle = setTimeout(show, Math.max(0, masker.idleAtMs - clock.monotonicMs()));
  }

  #emit(pieces: readonly Buffer[]): void {
    const { total, permit, over } = this.#options;
    // A masker hands out two pieces for each find: written one by one, each would be a packet and a frame.
    const whole = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    if (whole.length > 0 && !this.#stopped) {
      total.bytes += whole.length;
      if (total.bytes > permit.plan.maxBytes) {
        over();
        return;
      }
      this.bytes += whole.length;
      this.#record(whole);
      if (this.#sink.writable && !this.#sink.write(whole)) this.#pause();
    }
    if (this.#options.session.drained !== undefined) this.#pause();
  }

  #record(piece: Buffer): void {
    const { session, permit, total, limits } = this.#options;
    if (permit.plan.recordOutput && this.#rest === undefined) {
      if (total.recorded + piece.length <= limits.sshRecordBytesPerOperationMax) {
        total.recorded += piece.length;
        session.record({ decisionId: permit.decisionId, kind: this.#kind, data: piece });
        return;
      }
      session.record({ decisionId: permit.decisionId, kind: 'truncated', data: { stream: this.#kind, why: 'bound' } });
    }
    this.#rest ??= { bytes: 0, hash: createHash('sha256') };
    this.#rest.bytes += piece.length;
    this.#rest.hash.update(piece);
  }

  /** Until the client took what it has and the recording is on its feet again. */
  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#source.pause();
    void this.#room().then(() => {
      this.#paused = false;
      if (this.#full()) this.#pause();
      else this.#source.resume();
    });
  }

  #full(): boolean {
    return this.#options.session.drained !== undefined || this.#sink.writableNeedDrain;
  }

  async #room(): Promise<void> {
    if (this.#sink.writableNeedDrain) await drained(this.#sink);
    await this.#options.session.drained;
  }
}

/** Resolves when a stream takes more, or is gone. Leaves no listener behind. */
export function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) stream.removeListener(event, done);
      resolve();
    };
    for (const event of events) stream.on(event, done);
  });
}

const events = ['drain', 'close', 'error'] as const;

function exceeded(permit: Permit, obligation: string, message: string): Refusal {
  return {
    decisionId: permit.decisionId,
    code: 'limit_reached',
    policy: permit.decision.obligations.find(({ type }) => type === obligation)?.id,
    message,
    hint: 'Ask for less at once: fewer lines, a narrower search, a shorter time.',
    reasons: [],
    endSession: false,
  };
}

import { createHash, type Hash } from 'node:crypto';
import type { Limits } from '../../../core/limits.ts';
import type { Fault } from '../../../core/types.ts';
import { answerOf, LineReader, parseControl, type ScpAnswer, type ScpControl } from './codec.ts';

/** One file that went over, or was begun. */
export interface ScpFile {
  /** Its folders and its name, from where the command said to. What the host calls it can begin with more. */
  readonly path: string;
  readonly mode: number;
  /** As announced. */
  readonly bytes: number;
  /** Of its content, in hexadecimal; undefined when not all of it came. */
  readonly sha256: string | undefined;
  /** All of it came, its source could read it, and who received it said that it was done. */
  readonly complete: boolean;
}

/** What a conversation of scp is held against. */
export interface ScpOptions {
  readonly limits: Pick<Limits, 'scpLineBytesMax' | 'scpDepthMax' | 'scpFileBytesMax'>;
  /** The names that may come outside of any folder, when they are known: what was asked for. */
  readonly names?: ReadonlySet<string> | undefined;
  readonly file: (file: ScpFile) => void;
}

const lineFeed = Buffer.from('\n');
const controlLetters = Buffer.from('CDET');

function malformed(message: string): Fault {
  return { code: 'operation_malformed', message };
}

type Turn =
  /** The source is to be answered: about nothing yet, a line of its, or a whole file. Its further bytes wait. */
  | { readonly of: 'sink'; readonly about: 'start' | 'file' | ScpControl }
  | { readonly of: 'source'; readonly says: 'control' | 'data' | 'status' }
  | { readonly of: 'nobody' };

/**
 * Follows both sides of one scp: the source, which sends, and the sink, which answers everything it is sent. They take
 * turns, and here they must: bytes of a source that did not wait could be a file's content to one and a file's name to
 * the other, depending on an answer that is still to come.
 */
export class ScpConversation {
  readonly #options: ScpOptions;
  readonly #control: LineReader;
  readonly #sourceMessage: LineReader;
  readonly #sinkMessage: LineReader;
  readonly #folders: string[] = [];
  #turn: Turn = { of: 'sink', about: 'start' };
  /** The answer whose message is being read, by side. */
  #sourceAnswer: ScpAnswer | undefined;
  #sinkAnswer: ScpAnswer | undefined;
  #file: { path: string; mode: number; bytes: number; rest: number; hash: Hash; failed: boolean } | undefined;
  #fault: Fault | undefined;

  constructor(options: ScpOptions) {
    this.#options = options;
    this.#control = new LineReader(options.limits.scpLineBytesMax);
    this.#sourceMessage = new LineReader(options.limits.scpLineBytesMax);
    this.#sinkMessage = new LineReader(options.limits.scpLineBytesMax);
  }

  /**
   * Bytes of the source. `forward` is called with what may go on: content as it comes, a line once it is whole and is
   * one. Returns how many bytes were read: all, or those up to where the source has to wait for an answer. Returns the
   * fault when they are not scp; every later call returns it too.
   */
  source(chunk: Buffer, forward: (bytes: Buffer) => void): number | Fault {
    let at = 0;
    while (at < chunk.length && this.#fault === undefined) {
      const turn = this.#turn;
      if (turn.of === 'sink') return at;
      if (turn.of === 'nobody') return this.#fail('scp went on after its end.');
      if (turn.says === 'control' && this.#sourceAnswer === undefined) {
        at = this.#line(chunk, at, forward);
        continue;
      }
      const to =
        turn.says === 'data'
          ? this.#data(chunk, at)
          : this.#sourceAnswer !== undefined
            ? this.#message(chunk, at)
            : this.#status(chunk, at);
      if (this.#fault === undefined) forward(chunk.subarray(at, to));
      at = to;
    }
    return this.#fault ?? at;
  }

  /** Bytes of the sink: all of them may go on unless a fault is returned. */
  sink(chunk: Buffer): Fault | undefined {
    let at = 0;
    while (at < chunk.length && this.#fault === undefined) {
      if (this.#turn.of !== 'sink') return this.#fail('scp answered out of turn.');
      if (this.#sinkAnswer === undefined) {
        const answer = answerOf(chunk[at] ?? 0);
        if (answer === undefined) return this.#fail('What answers is not scp.');
        at++;
        if (answer === 'ok') this.#answered('ok');
        else this.#sinkAnswer = answer;
        continue;
      }
      const read = this.#sinkMessage.read(chunk, at);
      if ('code' in read) return this.#failWith(read);
      at = read.to;
      if (read.line === undefined) continue;
      const answer = this.#sinkAnswer;
      this.#sinkAnswer = undefined;
      this.#answered(answer);
    }
    return this.#fault;
  }

  /** The streams have ended: tells of a file that did not. */
  finish(): void {
    this.#report(false);
    this.#turn = { of: 'nobody' };
  }

  // --- the source ------------------------------------------------------------------------------------------
  // Each reads from `at` and returns where it stopped.

  /** A control line, or a message in its place, which nobody answers. */
  #line(chunk: Buffer, at: number, forward: (bytes: Buffer) => void): number {
    if (this.#control.empty) {
      const first = chunk[at] ?? 0;
      const answer = answerOf(first);
      if (answer === 'error' || answer === 'fatal') {
        this.#sourceAnswer = answer;
        forward(chunk.subarray(at, at + 1));
        return at + 1;
      }
      if (!controlLetters.includes(first)) {
        // At its first byte: what greets from a shell may have no line feed for long.
        this.#fail('What sends is not scp.');
        return at;
      }
    }
    const read = this.#control.read(chunk, at);
    if ('code' in read) this.#failWith(read);
    else if (read.line !== undefined) this.#begin(read.line, forward);
    return 'code' in read ? at : read.to;
  }

  #begin(line: Buffer, forward: (bytes: Buffer) => void): void {
    const control = parseControl(line, this.#options.limits.scpFileBytesMax);
    if ('code' in control) {
      this.#failWith(control);
      return;
    }
    const fault = this.#unfit(control);
    if (fault !== undefined) {
      this.#failWith(fault);
      return;
    }
    if (control.kind === 'file') {
      const { mode, bytes, name } = control;
      const path = [...this.#folders, name].join('/');
      this.#file = { path, mode, bytes, rest: bytes, hash: createHash('sha256'), failed: false };
    }
    this.#turn = { of: 'sink', about: control };
    forward(Buffer.concat([line, lineFeed]));
  }

  /** What is wrong with a control line in this place. */
  #unfit(control: ScpControl): Fault | undefined {
    const { names, limits } = this.#options;
    const depth = this.#folders.length;
    if (control.kind === 'times') return undefined;
    if (control.kind === 'end') return depth > 0 ? undefined : malformed('scp left a folder that it was not in.');
    if (depth === 0 && names !== undefined && !names.has(control.name))
      return malformed('scp sent a file that was not asked for.');
    if (control.kind === 'folder' && depth >= limits.scpDepthMax)
      return { code: 'operation_too_large', message: 'The folders of scp are too deep.' };
    return undefined;
  }

  #data(chunk: Buffer, at: number): number {
    const file = this.#file;
    if (file === undefined) return at;
    const to = Math.min(at + file.rest, chunk.length);
    file.hash.update(chunk.subarray(at, to));
    file.rest -= to - at;
    if (file.rest === 0) this.#turn = { of: 'source', says: 'status' };
    return to;
  }

  /** After its data a source says whether it could read all of it; if not, what it sent is filled up with something. */
  #status(chunk: Buffer, at: number): number {
    const answer = answerOf(chunk[at] ?? 0);
    if (answer === undefined) this.#fail('The content of a file is not as long as scp said.');
    else if (answer === 'ok') this.#turn = { of: 'sink', about: 'file' };
    else this.#sourceAnswer = answer;
    return at + 1;
  }

  /** The text of a message, to its end. */
  #message(chunk: Buffer, at: number): number {
    const read = this.#sourceMessage.read(chunk, at);
    if ('code' in read) {
      this.#failWith(read);
      return at;
    }
    if (read.line === undefined) return read.to;
    const fatal = this.#sourceAnswer === 'fatal';
    this.#sourceAnswer = undefined;
    if (this.#file !== undefined) {
      this.#file.failed = true;
      this.#turn = { of: 'sink', about: 'file' };
    }
    if (fatal) this.finish();
    return read.to;
  }

  // --- the sink --------------------------------------------------------------------------------------------

  #answered(answer: ScpAnswer): void {
    const turn = this.#turn;
    if (turn.of !== 'sink') return;
    const { about } = turn;
    const done = answer === 'ok';
    if (about === 'file') this.#report(done);
    else if (about !== 'start' && about.kind === 'end') this.#folders.pop();
    else if (about !== 'start' && about.kind === 'folder' && done) this.#folders.push(about.name);
    else if (about !== 'start' && about.kind === 'file' && !done) this.#report(false);
    if (answer === 'fatal' || (about === 'start' && !done)) {
      this.finish();
      return;
    }
    const says = this.#file === undefined ? 'control' : this.#file.rest > 0 ? 'data' : 'status';
    this.#turn = { of: 'source', says };
  }

  #report(done: boolean): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    const { path, mode, bytes, rest, hash, failed } = file;
    const sha256 = rest === 0 && !failed ? hash.digest('hex') : undefined;
    this.#options.file({ path, mode, bytes, sha256, complete: done && sha256 !== undefined });
  }

  #fail(message: string): Fault {
    return this.#failWith(malformed(message));
  }

  #failWith(fault: Fault): Fault {
    this.#fault ??= fault;
    return this.#fault;
  }
}

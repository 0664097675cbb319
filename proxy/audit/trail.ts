import { createHash, type KeyObject } from 'node:crypto';
import { ftruncateSync, lstatSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { limits } from '../core/limits.ts';
import type { JsonObject } from '../core/types.ts';
import { Batch } from './batch.ts';
import { lastSeqOf, openTrailFile, rotatedFiles, rotatedName, type TrailFile, unfitFile } from './file.ts';
import { headEvent, headMembers, signHead } from './head.ts';
import { type Entry, formatVersion, lineOverheadBytes, trailOpened } from './line.ts';
import { keyId } from './seal.ts';
import type { Syncer } from './syncer.ts';
import type { Head, Tail } from './tail.ts';

const none = Buffer.alloc(0);

/** What a trail needs to know to write its files. */
export interface TrailOptions {
  readonly file: string;
  readonly key: Uint8Array;
  /** Ed25519; signs heads. Undefined: there are none. */
  readonly signingKey: KeyObject | undefined;
  readonly rotateBytes: number;
  readonly keep: number;
  /** In every `trail_opened`: which gateway wrote this. */
  readonly origin: { readonly instance: string; readonly host: string };
  readonly time: () => string;
  readonly onError: (error: Error) => void;
  /** Whether a full file may be deleted whose last line is this. */
  readonly mayPrune: (lastSeq: number) => boolean;
}

/**
 * The files of a trail and the chain through them. Every method is synchronous and either leaves everything it was
 * given in the hands of the operating system or throws, with the chain exactly as far as the file is.
 */
export class Trail {
  readonly #options: TrailOptions;
  readonly #syncer: Syncer;
  readonly #batch: Batch;
  #head: Head;
  #file: TrailFile | undefined;
  /** What the file must be when it is opened next: as we left it, or empty, or (at the start) whatever was verified. */
  #expected: TrailFile | 'empty' | 'verified' = 'verified';
  /** Our own bytes behind the last whole line, of a write that was cut short. */
  #torn: Buffer<ArrayBufferLike>;
  #newlineDue: boolean;
  /** The line of the last signed head, or before the first line that one should cover. */
  #signedSeq: number;

  constructor(options: TrailOptions, syncer: Syncer, tail: Tail) {
    this.#options = options;
    this.#syncer = syncer;
    const lineBytesMax = limits.auditEventBytesMax + lineOverheadBytes;
    const batchBytesMax =
      limits.auditPendingBytesMax + 2 * lineBytesMax + limits.auditPendingEventsMax * lineOverheadBytes;
    this.#batch = new Batch(options.key, lineBytesMax, batchBytesMax);
    this.#head = tail.head;
    this.#torn = tail.torn;
    this.#newlineDue = tail.newlineMissing;
    this.#signedSeq = tail.head.seq;
  }

  get head(): Head {
    return this.#head;
  }

  get open(): boolean {
    return this.#file !== undefined;
  }

  get fd(): number | undefined {
    return this.#file?.fd;
  }

  /** Bytes in the file being written. */
  get size(): number {
    return this.#file?.size ?? 0;
  }

  /**
   * Opens the file and says so in it. After a failure only the file that was left may be continued, or an empty one:
   * a trail that somebody else wrote to meanwhile is not ours to bless.
   * @throws Error when it cannot be opened or written; the trail is then not open.
   */
  start(reason: 'created' | 'started' | 'rotated' | 'recovered', details: JsonObject): void {
    const file = openTrailFile(this.#options.file);
    this.#file = file;
    if (file.size > 0 && !this.#isExpected(file)) {
      this.#syncer.retire(file.fd);
      this.#file = undefined;
      throw new Error(`${this.#options.file} was changed or replaced by someone else`);
    }
    this.#writeOpening(reason, details);
  }

  /**
   * Appends entries in one write.
   * @returns how many bytes were written
   * @throws Error from the file system; `entries` then lacks those that did get written, and the trail is not open.
   */
  put(entries: Entry[]): number {
    if (this.size >= this.#options.rotateBytes) this.#rotate();
    this.#batch.begin(false);
    let head = this.#head;
    for (const entry of entries) head = this.#batch.add(head, entry);
    this.#write(entries);
    return this.#batch.length;
  }

  /** Lines that no signed head covers; 0 without a key to sign with. */
  get unsigned(): number {
    return this.#options.signingKey === undefined ? 0 : this.#head.seq - this.#signedSeq;
  }

  /**
   * Writes a signed head where there are lines that none covers.
   * @returns how many bytes were written
   * @throws Error as `put` does
   */
  sign(): number {
    const { signingKey, file, time } = this.#options;
    if (signingKey === undefined || this.unsigned === 0) return 0;
    const now = time();
    const own = JSON.stringify(headMembers(signHead(signingKey, { ...this.#head, time: now, file: basename(file) })));
    this.#batch.begin(false);
    this.#batch.add(this.#head, { time: now, event: headEvent, members: '', own: own.slice(1, -1) });
    this.#write([]);
    this.#signedSeq = this.#head.seq;
    return this.#batch.length;
  }

  /** Lets go of the file, wherever it is now. What was written is synced in the background. */
  abandon(): void {
    if (this.#file === undefined) return;
    this.#expected = this.#file;
    this.#syncer.retire(this.#file.fd);
    this.#file = undefined;
  }

  /** Whether the file is still where we think, as we left it. @returns what is wrong, or undefined */
  inspect(): string | undefined {
    const file = this.#file;
    if (file === undefined) return undefined;
    const stat = statSync(this.#options.file, { throwIfNoEntry: false });
    if (stat === undefined || stat.ino !== file.ino || stat.dev !== file.dev) return 'was moved away';
    if (stat.size !== file.size) return `has ${stat.size} bytes where ${file.size} were written`;
    return unfitFile(stat);
  }

  #isExpected(file: TrailFile): boolean {
    const expected = this.#expected;
    if (expected === 'empty' || expected === 'verified') return expected === 'verified';
    return expected.dev === file.dev && expected.ino === file.ino && expected.size === file.size;
  }

  #writeOpening(reason: string, details: JsonObject): void {
    const torn = this.#torn;
    const cutOff = torn.at(-1) === 10 ? torn.subarray(0, -1) : torn;
    const members = {
      format: formatVersion,
      reason,
      ...this.#options.origin,
      pid: process.pid,
      key_id: keyId(this.#options.key),
      previous: this.#head,
      ...(torn.length > 0
        ? { torn: { bytes: cutOff.length, sha256: createHash('sha256').update(cutOff).digest('hex') } }
        : {}),
      ...details,
    };
    this.#batch.begin(this.#newlineDue || (torn.length > 0 && torn.at(-1) !== 10));
    const own = JSON.stringify(members).slice(1, -1);
    this.#batch.add(this.#head, { time: this.#options.time(), event: trailOpened, members: '', own });
    this.#write([]);
    this.#torn = none;
    this.#newlineDue = false;
  }

  #write(entries: Entry[]): void {
    const file = this.#file;
    if (file === undefined) throw new Error('the trail is not open');
    const { buffer, length } = this.#batch;
    let written = 0;
    try {
      while (written < length) written += writeSync(file.fd, buffer, written, length - written);
    } catch (error) {
      this.#settle(file, written, entries);
      throw error;
    }
    file.size += length;
    this.#head = this.#batch.committed(length).head ?? this.#head;
  }

  /** After a write that was cut short: keep its whole lines, and take the rest back if the file lets us. */
  #settle(file: TrailFile, written: number, entries: Entry[]): void {
    const { lines, end, head } = this.#batch.committed(written);
    this.#head = head ?? this.#head;
    entries.splice(0, lines);
    try {
      if (written > end) ftruncateSync(file.fd, file.size + end);
      file.size += end;
    } catch {
      // An append-only file: the fragment stays, and the next opening names it.
      file.size += written;
      this.#keepTorn(this.#batch.buffer.subarray(end, written));
    }
    this.abandon();
  }

  #keepTorn(fragment: Buffer): void {
    const own = this.#newlineDue && this.#torn.length === 0 ? fragment.subarray(1) : fragment;
    this.#newlineDue = false;
    this.#torn = Buffer.concat([this.#torn, own]);
  }

  #rotate(): void {
    const { file: path, keep, mayPrune } = this.#options;
    // Each file ends with a head, so that it can be verified by itself.
    this.sign();
    try {
      const problem = this.inspect();
      if (problem !== undefined) throw new Error(`${path} ${problem}`);
      const full = rotatedName(path, this.#head.seq);
      if (lstatSync(full, { throwIfNoEntry: false }) !== undefined) throw new Error(`${full} exists already`);
      renameSync(path, full);
    } finally {
      this.abandon();
    }
    this.#expected = 'empty';
    this.start('rotated', {});
    for (const old of rotatedFiles(path).slice(0, -keep)) {
      if (!mayPrune(lastSeqOf(old))) break;
      this.#prune(old);
    }
  }

  #prune(path: string): void {
    try {
      unlinkSync(path);
    } catch (error) {
      this.#options.onError(new Error(`${path} could not be removed`, { cause: error }));
    }
  }
}

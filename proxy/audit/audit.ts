import type { KeyObject } from 'node:crypto';
import { closeSync, mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asGatewayError, GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { AuditEvent, AuditPort, Clock } from '../core/ports.ts';
import { describeError } from './errno.ts';
import { openTrailFile } from './file.ts';
import { type Entry, serialiseEvent, trailClosed } from './line.ts';
import { lockTrail } from './lock.ts';
import { checkKey } from './seal.ts';
import { Syncer } from './syncer.ts';
import { type Head, readTail } from './tail.ts';
import { timestamps } from './timestamp.ts';
import { Trail } from './trail.ts';

/** How to open the trail. */
export interface AuditOptions {
  /** The file being written. Full ones stand next to it as `<file>.<seq of the last line>`. */
  readonly file: string;
  /** Seals every line. At least `limits.auditKeyBytesMin` bytes; held for the life of the trail. */
  readonly key: Uint8Array;
  /**
   * Ed25519. Signs a head every `limits.auditHeadMs` or `limits.auditHeadEventsMax` lines, at the end of each file and of the
   * trail. Without it only who has `key` can verify.
   */
  readonly signingKey?: KeyObject | undefined;
  /** A file this large is put aside before the next write, so it may be larger by one write. */
  readonly rotateBytes: number;
  /** How many full files stay. Older ones are deleted. At least 1. */
  readonly keep: number;
  /** Why nothing may be permitted although the trail can be written, or undefined. Asked before every `write`. */
  readonly blockedBy?: (() => string | undefined) | undefined;
  /** Whether a full file may go, by the seq of its last line; those that may not stay past `keep`. */
  readonly mayPrune?: ((lastSeq: number) => boolean) | undefined;
  readonly clock: Clock;
  /** Which gateway this is, in every `trail_opened`. */
  readonly instance: string;
  readonly host: string;
  /** `each`: `write` returns after an fdatasync. `group` (the default): synced in the background every `auditTickMs`. */
  readonly sync?: 'group' | 'each' | undefined;
  /** How many events and bytes are not on stable storage yet, told after every tick. */
  readonly onLag?: ((events: number, bytes: number) => void) | undefined;
  /** Told each time the trail becomes unwritable, or something around it fails. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** An open trail. */
export interface Audit extends AuditPort {
  /** The last line written: what `verifyAudit` can be told to expect. */
  readonly head: Head;
  /**
   * Writes what was appended and brings everything to stable storage, which `close` did for a closed trail.
   * @throws GatewayError `audit_unavailable`
   */
  flush(): Promise<void>;
  /** Says in the trail that it ends here on purpose, and closes it. @throws GatewayError `audit_unavailable` */
  close(): Promise<void>;
}

/**
 * Opens a trail, or creates it, and continues its chain. A last line cut off by a crash is kept, and named in the
 * `trail_opened` line behind it.
 * @throws Error when the file must not be written (a link, executable, another process has it), when its last line
 *   does not verify under this key, or when it cannot be written.
 */
export async function openAudit(options: AuditOptions): Promise<Audit> {
  checkKey(options.key);
  if (options.keep < 1) throw new RangeError('an audit trail keeps at least 1 full file');
  const directory = dirname(options.file);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const unlock = lockTrail(options.file);
  try {
    const audit = new FileAudit(options, unlock);
    await syncDirectory(directory);
    return audit;
  } catch (error) {
    unlock();
    throw error;
  }
}

/** A new name is only there for good once its directory is synced. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}

class FileAudit implements Audit {
  readonly #options: AuditOptions;
  readonly #unlock: () => void;
  readonly #time: () => string;
  readonly #syncer: Syncer;
  readonly #trail: Trail;
  readonly #timer: NodeJS.Timeout;
  /** Events that wait for the next write. */
  readonly #pending: Entry[] = [];
  #pendingBytes = 0;
  /** Counted from the start; syncs overlap, so each one says how far it got. */
  #written = { events: 0, bytes: 0 };
  #synced = { events: 0, bytes: 0 };
  /** Why the trail was left, for the line that says that it is back. */
  #failure = '';
  #refused = 0;
  #lost = 0;
  #retryAtMs = 0;
  #retryDelayMs: number = limits.auditRetryMsMin;
  #checkedAtMs: number;
  #signedAtMs: number;
  #closed = false;

  constructor(options: AuditOptions, unlock: () => void) {
    this.#options = options;
    this.#unlock = unlock;
    this.#time = timestamps(options.clock);
    this.#checkedAtMs = options.clock.monotonicMs();
    this.#signedAtMs = this.#checkedAtMs;
    const { file, key, signingKey, rotateBytes, keep, instance, host, mayPrune = () => true } = options;
    const onError = (error: Error) => this.#report(error);
    this.#syncer = new Syncer(onError);
    // Nothing is read from a file that may not be written: it could be a link, or a pipe that never answers.
    closeSync(openTrailFile(file).fd);
    const tail = readTail(file, key);
    const origin = { instance, host };
    this.#trail = new Trail(
      { file, key, signingKey, rotateBytes, keep, mayPrune, origin, time: this.#time, onError },
      this.#syncer,
      tail,
    );
    this.#trail.start(tail.head.seq === 0 ? 'created' : 'started', {});
    this.#written.events = 1;
    this.#timer = setInterval(() => this.#tick(), limits.auditTickMs);
    this.#timer.unref();
  }

  get ready(): boolean {
    return this.#trail.open && !this.#closed && this.#options.blockedBy?.() === undefined;
  }

  get head(): Head {
    return this.#trail.head;
  }

  write(event: AuditEvent): void {
    const sink = this.#options.blockedBy?.();
    if (sink !== undefined) throw new GatewayError('audit_unavailable', `the audit sink ${sink} is too far behind`);
    const entry = serialiseEvent(event, this.#time(), limits.auditEventBytesMax);
    this.#pending.push(entry);
    try {
      this.#put();
      if (this.#options.sync === 'each') this.#syncNow();
    } catch (error) {
      // Its operation is refused, so it must not turn up in the trail later.
      if (this.#pending.at(-1) === entry) this.#pending.pop();
      this.#refused += 1;
      throw asGatewayError(error, 'audit_unavailable', 'the audit trail cannot be written');
    }
  }

  append(event: AuditEvent): void {
    const entry = serialiseOrStub(event, this.#time());
    const bytes = Buffer.byteLength(entry.members) + Buffer.byteLength(entry.own);
    if (this.#isFull(bytes) && !this.#tryPut()) {
      this.#lost += 1;
      return;
    }
    this.#pending.push(entry);
    this.#pendingBytes += bytes;
  }

  async flush(): Promise<void> {
    if (this.#closed) return;
    try {
      if (this.#pending.length > 0 || !this.#trail.open) this.#put();
      await this.#sync();
    } catch (error) {
      throw asGatewayError(error, 'audit_unavailable', 'the audit trail cannot be written');
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    clearInterval(this.#timer);
    try {
      this.#pending.push({ time: this.#time(), event: trailClosed, members: '', own: '' });
      this.#put();
      this.#sign();
      await this.flush();
    } finally {
      this.#closed = true;
      this.#trail.abandon();
      await this.#syncer.idle();
      this.#unlock();
    }
  }

  #isFull(bytes: number): boolean {
    return (
      this.#pending.length >= limits.auditPendingEventsMax || this.#pendingBytes + bytes > limits.auditPendingBytesMax
    );
  }

  /** Writes everything that waits, after coming back from a failure where there was one. @throws when it cannot */
  #put(): void {
    if (this.#closed) throw new GatewayError('audit_unavailable', 'the audit trail is closed');
    if (!this.#trail.open) this.#recover();
    const { length } = this.#pending;
    try {
      this.#written.bytes += this.#trail.put(this.#pending);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#written.events += length;
    this.#pending.length = 0;
    this.#pendingBytes = 0;
    this.#retryDelayMs = limits.auditRetryMsMin;
  }

  #tryPut(): boolean {
    try {
      this.#put();
      return true;
    } catch {
      return false;
    }
  }

  /** @throws GatewayError as `#put` does */
  #sign(): void {
    try {
      const bytes = this.#trail.sign();
      if (bytes > 0) this.#written = { events: this.#written.events + 1, bytes: this.#written.bytes + bytes };
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #recover(): void {
    if (this.#options.clock.monotonicMs() < this.#retryAtMs)
      throw new GatewayError('audit_unavailable', `the audit trail cannot be written (${this.#failure})`);
    try {
      this.#trail.start('recovered', { failure: this.#failure, refused: this.#refused, lost: this.#lost });
    } catch (error) {
      throw this.#fail(error);
    }
    this.#written.events += 1;
    this.#refused = 0;
    this.#lost = 0;
  }

  #fail(cause: unknown): GatewayError {
    this.#trail.abandon();
    this.#retryAtMs = this.#options.clock.monotonicMs() + this.#retryDelayMs;
    this.#retryDelayMs = Math.min(this.#retryDelayMs * 2, limits.auditRetryMsMax);
    this.#failure = describeError(cause);
    const error = new GatewayError('audit_unavailable', `the audit trail cannot be written (${this.#failure})`, {
      cause,
    });
    this.#report(error);
    return error;
  }

  #report(error: Error): void {
    this.#options.onError?.(error);
  }

  /** Writes what nobody waited for, syncs, looks after the file, and comes back from a failure without traffic. */
  #tick(): void {
    if (this.#pending.length > 0 || !this.#trail.open) this.#tryPut();
    this.#check();
    this.#signWhenDue();
    if (!this.#syncer.busy) this.#sync().catch(() => {});
    this.#tellLag();
  }

  #signWhenDue(): void {
    const now = this.#options.clock.monotonicMs();
    const { open, unsigned } = this.#trail;
    if (!open || unsigned === 0) return;
    if (unsigned < limits.auditHeadEventsMax && now - this.#signedAtMs < limits.auditHeadMs) return;
    this.#signedAtMs = now;
    try {
      this.#sign();
    } catch {
      // Reported; what follows recovers as from any failed write.
    }
  }

  #tellLag(): void {
    const events = this.#written.events - this.#synced.events + this.#pending.length;
    const bytes = this.#written.bytes - this.#synced.bytes + this.#pendingBytes;
    this.#options.onLag?.(events, bytes);
  }

  #check(): void {
    const now = this.#options.clock.monotonicMs();
    if (now - this.#checkedAtMs < limits.auditCheckIntervalMs) return;
    this.#checkedAtMs = now;
    const problem = this.#trail.inspect();
    if (problem === undefined) return;
    this.#fail(new Error(`${this.#options.file} ${problem}`));
    // A file that was only moved away (by a log rotation that nobody needs here) costs no refusal.
    this.#retryAtMs = now;
    this.#tryPut();
  }

  async #sync(): Promise<void> {
    const { fd } = this.#trail;
    const reached = { ...this.#written };
    if (fd === undefined || reached.events === this.#synced.events) return;
    try {
      await this.#syncer.sync(fd);
    } catch (error) {
      throw this.#fail(error);
    }
    if (reached.events > this.#synced.events) this.#synced = reached;
  }

  #syncNow(): void {
    const { fd } = this.#trail;
    if (fd === undefined) return;
    try {
      this.#syncer.syncNow(fd);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#synced = { ...this.#written };
  }
}

/** Nothing waits for an appended event and nobody could handle its failure: of an unfit one, what fits is kept. */
function serialiseOrStub(event: AuditEvent, time: string): Entry {
  try {
    return serialiseEvent(event, time, limits.auditEventBytesMax);
  } catch (error) {
    const unfit = describeError(error);
    try {
      const own = { ...event.own, unfit };
      return serialiseEvent({ event: event.event, members: '', own }, time, limits.auditEventBytesMax);
    } catch {
      return { time, event: event.event, members: '', own: `"unfit":${JSON.stringify(unfit)}` };
    }
  }
}

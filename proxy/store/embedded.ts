import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { Approval, ApprovalKey, ApprovalQuery, ApprovalStore, Notice } from '../core/approvals.ts';
import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { Listeners } from './listeners.ts';
import { approvalOf, columns, noticeOf, valuesOf } from './row.ts';
import { embeddedMigrations } from './schema.ts';

/** Where it is, and whose. */
export interface EmbeddedStoreOptions {
  readonly path: string;
  /** This gateway process, unlike any before it. */
  readonly gateway: string;
  /** Names of those who are told of what is filed and decided. */
  readonly channels?: readonly string[];
}

/**
 * The store of one gateway: a file, in SQLite as Node brings it. Each change is on the disk before its promise resolves
 * (write-ahead log, `synchronous=FULL`), so that it survives a kill and a power cut. The file is held exclusively: a
 * second gateway on it does not start.
 *
 * @throws GatewayError `store_unavailable` when the file cannot be opened, or comes from a newer version.
 * @see https://nodejs.org/docs/latest-v24.x/api/sqlite.html
 */
export function openEmbeddedStore(options: EmbeddedStoreOptions): ApprovalStore {
  return new EmbeddedStore(options);
}

class EmbeddedStore implements ApprovalStore {
  readonly #database: DatabaseSync;
  readonly #gateway: string;
  readonly #channels: readonly string[];
  readonly #listeners = new Listeners();

  constructor({ path, gateway, channels = [] }: EmbeddedStoreOptions) {
    this.#gateway = gateway;
    this.#channels = channels;
    this.#database = attempt(() => open(path));
  }

  get ready(): boolean {
    return this.#database.isOpen;
  }

  async file(approval: Approval): Promise<{ approval: Approval; filed: boolean }> {
    const answer = this.#transaction(() => {
      const [same] = this.#all(
        `SELECT document FROM approvals WHERE state = 'pending' AND digest = ? AND grants = ?`,
        approval.digest,
        JSON.stringify(approval.grants),
      );
      if (same !== undefined) return { approval: same, filed: false };
      this.#run(
        `INSERT INTO approvals (${columns.join()}) VALUES (${columns.map(() => '?').join()})`,
        ...valuesOf(approval),
      );
      this.#noteFor(approval);
      return { approval, filed: true };
    });
    if (answer.filed) this.#listeners.tell(approval.id);
    return answer;
  }

  async get(id: string): Promise<Approval | undefined> {
    return attempt(() => this.#all('SELECT document FROM approvals WHERE id = ?', id)[0]);
  }

  async find({ digest, shape }: ApprovalKey): Promise<readonly Approval[]> {
    return attempt(() =>
      this.#all(
        `SELECT document FROM approvals WHERE digest = ? OR shape = ? ORDER BY id DESC LIMIT ?`,
        ...[digest, shape ?? null, limits.approvalsPerOperationMax],
      ),
    );
  }

  async list({ states, limit, after }: ApprovalQuery): Promise<readonly Approval[]> {
    const wanted = states === undefined ? '' : `AND state IN (${states.map(() => '?').join()})`;
    return attempt(() =>
      this.#all(
        `SELECT document FROM approvals WHERE id < ? ${wanted} ORDER BY id DESC LIMIT ?`,
        ...[after ?? '~', ...(states ?? []), limit],
      ),
    );
  }

  async pending({ issuer, id }: { issuer: string; id: string }): Promise<{ all: number; own: number }> {
    return attempt(() => {
      const row = this.#database
        .prepare(
          `SELECT count(*) AS every, count(*) FILTER (WHERE issuer = ? AND subject = ?) AS own
             FROM approvals WHERE state = 'pending'`,
        )
        .get(issuer, id);
      return { all: Number(row?.every), own: Number(row?.own) };
    });
  }

  async update(id: string, change: (approval: Approval) => Approval): Promise<Approval | undefined> {
    let changed = false;
    const now = this.#transaction(() => {
      const [before] = this.#all('SELECT document FROM approvals WHERE id = ?', id);
      if (before === undefined) return undefined;
      const after = change(before);
      changed = after !== before;
      if (changed) {
        this.#run(
          `UPDATE approvals SET (${columns.join()}) = (${columns.map(() => '?').join()}) WHERE id = ?`,
          ...valuesOf(after),
          id,
        );
      }
      if (after.state !== before.state) this.#noteFor(after);
      return after;
    });
    if (changed) this.#listeners.tell(id);
    return now;
  }

  async overdue(nowMs: number): Promise<readonly string[]> {
    return attempt(() =>
      this.#ids(
        `SELECT id FROM approvals WHERE state IN ('pending', 'approved') AND expires_at_ms <= ? LIMIT ?`,
        ...[nowMs, limits.approvalsListedMax],
      ),
    );
  }

  async orphaned(): Promise<readonly string[]> {
    const running = attempt(() => this.#all('SELECT document FROM approvals WHERE running = 1 ORDER BY id'));
    const left = running.filter(({ used }) =>
      used.some((use) => use.outcome === 'running' && this.isGone(use.gateway)),
    );
    return left.slice(0, limits.approvalsListedMax).map(({ id }) => id);
  }

  async forget(beforeMs: number): Promise<void> {
    this.#transaction(() => {
      const over = `state NOT IN ('pending', 'approved') AND running = 0`;
      this.#run(`DELETE FROM approvals WHERE ${over} AND expires_at_ms < ?`, beforeMs);
      this.#run(
        `DELETE FROM approvals WHERE ${over} AND id <= (SELECT id FROM approvals ORDER BY id DESC LIMIT 1 OFFSET ?)`,
        limits.approvalsKeptMax,
      );
    });
  }

  async claimNotices(nowMs: number, untilMs: number): Promise<readonly Notice[]> {
    return this.#transaction(() =>
      this.#database
        .prepare(
          `UPDATE notices SET due_ms = ?, attempts = attempts + 1
            WHERE (approval, state, channel) IN
              (SELECT approval, state, channel FROM notices WHERE due_ms <= ? ORDER BY due_ms LIMIT ?)
            RETURNING approval, state, channel, attempts`,
        )
        .all(untilMs, nowMs, limits.approvalNoticesAtOnceMax)
        .map(noticeOf),
    );
  }

  async settleNotice({ approval, state, channel }: Notice, againMs: number | undefined): Promise<void> {
    attempt(() => {
      const which = 'approval = ? AND state = ? AND channel = ?';
      if (againMs === undefined) this.#run(`DELETE FROM notices WHERE ${which}`, approval, state, channel);
      else this.#run(`UPDATE notices SET due_ms = ? WHERE ${which}`, againMs, approval, state, channel);
    });
  }

  /** Nobody else can hold the file. */
  isGone(gateway: string): boolean {
    return gateway !== this.#gateway;
  }

  onChange(listener: (id: string) => void): () => void {
    return this.#listeners.add(listener);
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  #all(sql: string, ...values: SQLInputValue[]): Approval[] {
    return this.#database
      .prepare(sql)
      .all(...values)
      .map(({ document }) => approvalOf(document));
  }

  #ids(sql: string, ...values: SQLInputValue[]): string[] {
    return this.#database
      .prepare(sql)
      .all(...values)
      .map(({ id }) => String(id));
  }

  #noteFor({ id, state }: Approval): void {
    for (const channel of this.#channels) {
      this.#run(
        'INSERT OR IGNORE INTO notices (approval, state, channel, due_ms) VALUES (?, ?, ?, 0)',
        id,
        state,
        channel,
      );
    }
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#database.prepare(sql).run(...values);
  }

  #transaction<T>(work: () => T): T {
    return attempt(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const answer = work();
        this.#database.exec('COMMIT');
        return answer;
      } catch (thrown) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw thrown;
      }
    });
  }
}

function open(path: string): DatabaseSync {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path, { timeout: limits.storeBusyTimeoutMs });
  try {
    // Exclusive before the log is opened: no shared memory, and no other process.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    database.exec('BEGIN IMMEDIATE');
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (version > embeddedMigrations.length)
      throw new GatewayError('store_unavailable', 'The store is of a newer version.');
    for (const migration of embeddedMigrations.slice(version)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${embeddedMigrations.length}; COMMIT`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** What SQLite throws is that the store is away; what a rule throws is its own. */
function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    throw new GatewayError('store_unavailable', 'The store of approvals cannot be read or written.', { cause: thrown });
  }
}

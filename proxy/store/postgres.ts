import pg from 'pg';
import type { Approval, ApprovalKey, ApprovalQuery, ApprovalStore, Notice } from '../core/approvals.ts';
import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { Listener } from './listen.ts';
import { Listeners } from './listeners.ts';
import { approvalOf, columns, noticeOf, valuesOf } from './row.ts';
import { postgresMigrations } from './schema.ts';

/** Where a shared store is, and who uses it. */
export interface PostgresStoreOptions {
  /** `postgres://user@host:port/database`, without a password. TLS, verified, unless it says `sslmode=disable`. */
  readonly url: string;
  readonly password: string | undefined;
  /** PEM that the server is verified with; undefined: the system's. */
  readonly ca: string | undefined;
  /** This gateway process, unlike any before it. */
  readonly gateway: string;
  /** Names of those who are told of what is filed and decided. */
  readonly channels?: readonly string[];
  readonly onError?: (error: unknown) => void;
}

/**
 * The store that several gateways share: the schema `sallyport` of a PostgreSQL database. They hear of each other's
 * changes by LISTEN, and tell by a heartbeat that they run. A database that cannot be reached is no reason not to start:
 * what needs the store is refused until it can be.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<ApprovalStore> {
  const store = new PostgresStore(options);
  await store.start();
  return store;
}

/** One lock for all who change the schema; any number that nobody else uses in this database. */
const migrationLock = 7_255_598;

class PostgresStore implements ApprovalStore {
  readonly #options: PostgresStoreOptions;
  readonly #pool: pg.Pool;
  readonly #listeners = new Listeners();
  readonly #listener: Listener;
  readonly #heartbeat: NodeJS.Timeout;
  #prepared: Promise<void> | undefined;
  #live: ReadonlySet<string> = new Set();
  #ready = false;
  #closed = false;

  constructor(options: PostgresStoreOptions) {
    this.#options = options;
    const config = clientConfig(options);
    this.#pool = new pg.Pool({ ...config, max: limits.storeConnectionsMax });
    // A connection that breaks is replaced by the next question; one that is in use says so by its question as well.
    this.#pool.on('error', () => {});
    this.#pool.on('connect', (client) => client.on('error', () => {}));
    this.#listener = new Listener(config, (payload) => {
      const [gateway, id] = payload.split(' ');
      if (gateway !== options.gateway && id !== undefined) this.#listeners.tell(id);
    });
    this.#heartbeat = setInterval(() => void this.#beat(), limits.storeHeartbeatMs);
    this.#heartbeat.unref();
  }

  /** Tries to be ready at once; later questions try again. */
  async start(): Promise<void> {
    await this.#prepare().catch((error: unknown) => this.#options.onError?.(error));
    this.#listener.start();
  }

  get ready(): boolean {
    return this.#ready;
  }

  async file(approval: Approval): Promise<{ approval: Approval; filed: boolean }> {
    const places = columns.map((_, at) => `$${at + 1}`).join();
    const answer = await this.#transaction(approval.id, async (client) => {
      // The one that is in the way may be decided between the two questions.
      for (let round = 0; round < 2; round++) {
        const inserted = await client.query(
          `INSERT INTO sallyport.approvals (${columns.join()}) VALUES (${places})
           ON CONFLICT (digest, grants) WHERE state = 'pending' DO NOTHING`,
          valuesOf(approval),
        );
        if (inserted.rowCount === 1) await this.#noteFor(client, approval);
        if (inserted.rowCount === 1) return { answer: { approval, filed: true }, changed: true };
        const [same] = approvals(
          await client.query(
            `SELECT document FROM sallyport.approvals WHERE state = 'pending' AND digest = $1 AND grants = $2`,
            [approval.digest, JSON.stringify(approval.grants)],
          ),
        );
        if (same !== undefined) return { answer: { approval: same, filed: false }, changed: false };
      }
      throw new Error('a request that is there and is not');
    });
    return answer;
  }

  async get(id: string): Promise<Approval | undefined> {
    return (await this.#all('SELECT document FROM sallyport.approvals WHERE id = $1', [id]))[0];
  }

  async find({ digest, shape }: ApprovalKey): Promise<readonly Approval[]> {
    return await this.#all(
      `SELECT document FROM sallyport.approvals WHERE digest = $1 OR shape = $2 ORDER BY id DESC LIMIT $3`,
      [digest, shape ?? null, limits.approvalsPerOperationMax],
    );
  }

  async list({ states, limit, after }: ApprovalQuery): Promise<readonly Approval[]> {
    return await this.#all(
      `SELECT document FROM sallyport.approvals
        WHERE ($1::text IS NULL OR id < $1) AND ($2::text[] IS NULL OR state = ANY ($2)) ORDER BY id DESC LIMIT $3`,
      [after ?? null, states ?? null, limit],
    );
  }

  async pending({ issuer, id }: { issuer: string; id: string }): Promise<{ all: number; own: number }> {
    const { rows } = await this.#query(
      `SELECT count(*) AS all, count(*) FILTER (WHERE issuer = $1 AND subject = $2) AS own
         FROM sallyport.approvals WHERE state = 'pending'`,
      [issuer, id],
    );
    return { all: Number(rows[0]?.all), own: Number(rows[0]?.own) };
  }

  async update(id: string, change: (approval: Approval) => Approval): Promise<Approval | undefined> {
    const assignments = columns.map((column, at) => `${column} = $${at + 1}`).join();
    return await this.#transaction(id, async (client) => {
      const [before] = approvals(
        await client.query('SELECT document FROM sallyport.approvals WHERE id = $1 FOR UPDATE', [id]),
      );
      if (before === undefined) return { answer: undefined, changed: false };
      const after = change(before);
      if (after === before) return { answer: after, changed: false };
      await client.query(`UPDATE sallyport.approvals SET ${assignments} WHERE id = $1`, valuesOf(after));
      if (after.state !== before.state) await this.#noteFor(client, after);
      return { answer: after, changed: true };
    });
  }

  async overdue(nowMs: number): Promise<readonly string[]> {
    const { rows } = await this.#query(
      `SELECT id FROM sallyport.approvals WHERE state IN ('pending', 'approved') AND expires_at_ms <= $1 LIMIT $2`,
      [nowMs, limits.approvalsListedMax],
    );
    return rows.map(({ id }) => String(id));
  }

  async orphaned(): Promise<readonly string[]> {
    const running = await this.#all('SELECT document FROM sallyport.approvals WHERE running = 1 ORDER BY id', []);
    if (running.length === 0) return [];
    // Asked after the uses were read: whoever took one had said before that it runs.
    const { rows } = await this.#query(
      `SELECT id FROM sallyport.gateways WHERE seen_at > now() - make_interval(secs => $1)`,
      [limits.storeGatewayGoneMs / 1000],
    );
    this.#live = new Set(rows.map(({ id }) => String(id)));
    const left = running.filter(({ used }) =>
      used.some((use) => use.outcome === 'running' && this.isGone(use.gateway)),
    );
    return left.slice(0, limits.approvalsListedMax).map(({ id }) => id);
  }

  async forget(beforeMs: number): Promise<void> {
    const over = `state NOT IN ('pending', 'approved') AND running = 0`;
    await this.#query(`DELETE FROM sallyport.approvals WHERE ${over} AND expires_at_ms < $1`, [beforeMs]);
    await this.#query(
      `DELETE FROM sallyport.approvals
        WHERE ${over} AND id <= (SELECT id FROM sallyport.approvals ORDER BY id DESC LIMIT 1 OFFSET $1)`,
      [limits.approvalsKeptMax],
    );
    await this.#query(`DELETE FROM sallyport.gateways WHERE seen_at < now() - make_interval(days => 1)`, []);
  }

  async claimNotices(nowMs: number, untilMs: number): Promise<readonly Notice[]> {
    const { rows } = await this.#query(
      `UPDATE sallyport.notices SET due_ms = $1, attempts = attempts + 1
        WHERE (approval, state, channel) IN
          (SELECT approval, state, channel FROM sallyport.notices WHERE due_ms <= $2 ORDER BY due_ms LIMIT $3
              FOR UPDATE SKIP LOCKED)
        RETURNING approval, state, channel, attempts`,
      [untilMs, nowMs, limits.approvalNoticesAtOnceMax],
    );
    return rows.map(noticeOf);
  }

  async settleNotice({ approval, state, channel }: Notice, againMs: number | undefined): Promise<void> {
    const which = 'approval = $1 AND state = $2 AND channel = $3';
    const names = [approval, state, channel];
    if (againMs === undefined) await this.#query(`DELETE FROM sallyport.notices WHERE ${which}`, names);
    else await this.#query(`UPDATE sallyport.notices SET due_ms = $4 WHERE ${which}`, [...names, againMs]);
  }

  async #noteFor(client: pg.PoolClient, { id, state }: Approval): Promise<void> {
    await client.query(
      `INSERT INTO sallyport.notices (approval, state, channel, due_ms) SELECT $1, $2, unnest($3::text[]), 0
       ON CONFLICT DO NOTHING`,
      [id, state, this.#options.channels ?? []],
    );
  }

  isGone(gateway: string): boolean {
    return gateway !== this.#options.gateway && !this.#live.has(gateway);
  }

  onChange(listener: (id: string) => void): () => void {
    return this.#listeners.add(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    await this.#listener.close();
    if (this.#ready) {
      await this.#query('DELETE FROM sallyport.gateways WHERE id = $1', [this.#options.gateway]).catch(() => {});
    }
    await this.#pool.end();
  }

  // --- the database ------------------------------------------------------------------------------------

  async #all(sql: string, values: readonly unknown[]): Promise<readonly Approval[]> {
    return approvals(await this.#query(sql, values));
  }

  async #query(sql: string, values: readonly unknown[]): Promise<pg.QueryResult<Record<string, unknown>>> {
    return await this.#attempt(async () => {
      await this.#prepare();
      return await this.#pool.query<Record<string, unknown>>(sql, [...values]);
    });
  }

  /** Work that nobody else's changes come between. Whoever waits for `id` hears of it once it is committed. */
  async #transaction<T>(
    id: string,
    work: (client: pg.PoolClient) => Promise<{ readonly answer: T; readonly changed: boolean }>,
  ): Promise<T> {
    const { answer, changed } = await this.#attempt(async () => {
      await this.#prepare();
      return await this.#inTransaction(async (client) => {
        const done = await work(client);
        if (done.changed)
          await client.query('SELECT pg_notify($1, $2)', ['sallyport', `${this.#options.gateway} ${id}`]);
        return done;
      });
    });
    if (changed) this.#listeners.tell(id);
    return answer;
  }

  async #inTransaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const answer = await work(client);
      await client.query('COMMIT');
      return answer;
    } catch (thrown) {
      await client.query('ROLLBACK').catch((error: Error) => {
        broken = error;
      });
      throw thrown;
    } finally {
      client.release(broken);
    }
  }

  /** Brings the schema up to date and says that this gateway runs; once, and again until it succeeded. */
  #prepare(): Promise<void> {
    this.#prepared ??= this.#migrate().catch((error: unknown) => {
      this.#prepared = undefined;
      throw error;
    });
    return this.#prepared;
  }

  async #migrate(): Promise<void> {
    await this.#inTransaction(async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
      await client.query(`CREATE SCHEMA IF NOT EXISTS sallyport;
        CREATE TABLE IF NOT EXISTS sallyport.schema_version (version integer NOT NULL)`);
      const { rows } = await client.query('SELECT version FROM sallyport.schema_version');
      const version = Number(rows[0]?.version ?? 0);
      if (version > postgresMigrations.length) {
        throw new GatewayError('store_unavailable', 'The store is of a newer version.');
      }
      if (version < postgresMigrations.length) {
        for (const migration of postgresMigrations.slice(version)) await client.query(migration);
        await client.query('DELETE FROM sallyport.schema_version');
        await client.query('INSERT INTO sallyport.schema_version VALUES ($1)', [postgresMigrations.length]);
      }
      await client.query(...this.#alive());
    });
    this.#ready = true;
  }

  async #beat(): Promise<void> {
    if (this.#closed) return;
    await this.#query(...this.#alive()).catch(() => {});
  }

  #alive(): [string, string[]] {
    return [
      `INSERT INTO sallyport.gateways VALUES ($1, now()) ON CONFLICT (id) DO UPDATE SET seen_at = now()`,
      [this.#options.gateway],
    ];
  }

  /** What the database or the way to it throws is that the store is away; what a rule throws is its own. */
  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      const answer = await work();
      this.#ready = true;
      return answer;
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.code !== 'store_unavailable') throw thrown;
      this.#ready = false;
      throw new GatewayError('store_unavailable', 'The store of approvals cannot be reached.', { cause: thrown });
    }
  }
}

function approvals({ rows }: { readonly rows: readonly Record<string, unknown>[] }): Approval[] {
  return rows.map(({ document }) => approvalOf(document));
}

function clientConfig({ url, password, ca }: PostgresStoreOptions): pg.ClientConfig {
  const { hostname, port, username, pathname, searchParams } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    host,
    port: port === '' ? 5432 : Number(port),
    user: decodeURIComponent(username),
    database: decodeURIComponent(pathname.slice(1)),
    password,
    ssl: searchParams.get('sslmode') === 'disable' ? false : { ca },
    application_name: 'sallyport',
    connectionTimeoutMillis: limits.storeTimeoutMs,
    query_timeout: limits.storeTimeoutMs,
    statement_timeout: limits.storeTimeoutMs,
    keepAlive: true,
  };
}

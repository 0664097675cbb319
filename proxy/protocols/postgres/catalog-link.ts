import { GatewayError } from '../../core/errors.ts';
import type { Gateway, SessionHandle } from '../../core/ports.ts';
import type { CommandDraft, Identity, OperationFacts } from '../../core/types.ts';
import type { CatalogQuery } from './classification.ts';
import { supports } from './plan.ts';
import { type BoundQuery, type UpstreamLink, UpstreamSession } from './upstream.ts';

/** Who the gateway is when it asks an upstream something on its own behalf. */
export const gatewayIdentity: Identity = {
  type: 'gateway',
  issuer: 'sallyport',
  id: 'sallyport',
  groups: [],
  claims: {},
  chain: [],
  expiresAtMs: Number.POSITIVE_INFINITY,
};

type Rows = readonly (readonly (string | null)[])[];

/** Which database, under which login, and what for. */
export interface CatalogTarget {
  readonly upstream: string;
  readonly database: string;
  readonly login: string;
  /** Names the session; default: `sallyport catalog`. */
  readonly application?: string;
}

/**
 * The gateway's own connection to a database, for the catalog and for estimates. It has a session of its own, so that each
 * query is judged and audited like anybody's. Opened when first needed, and again after it broke.
 */
export class CatalogLink {
  readonly #gateway: Gateway;
  readonly #target: CatalogTarget;
  readonly #connect: () => Promise<UpstreamLink>;
  #open: Promise<{ session: SessionHandle; upstream: UpstreamSession }> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(gateway: Gateway, target: CatalogTarget, connect: () => Promise<UpstreamLink>) {
    this.#gateway = gateway;
    this.#target = target;
    this.#connect = connect;
  }

  /** Reads the catalog. One query runs after the other. @throws GatewayError when it is refused or the upstream fails. */
  readonly query: CatalogQuery = (sql) => this.ask(sql, { facts: catalogFacts(sql, this.#target) });

  /**
   * Runs any query, as `query` does, if policy lets the gateway.
   * @param options.bound - values for its parameters
   * @param options.signal - once it is aborted, a query that did not begin does not
   */
  ask(
    sql: string,
    draft: CommandDraft,
    { bound, signal }: { readonly bound?: BoundQuery | undefined; readonly signal?: AbortSignal } = {},
  ): Promise<Rows> {
    const next = this.#last.then(() => {
      signal?.throwIfAborted();
      return this.#run(sql, draft, bound);
    });
    this.#last = next.catch(() => undefined);
    return next;
  }

  async close(): Promise<void> {
    const open = await this.#open?.catch(() => undefined);
    this.#open = undefined;
    open?.upstream.close();
    await open?.session.close({ status: 'ok' });
  }

  async #run(sql: string, draft: CommandDraft, bound: BoundQuery | undefined): Promise<Rows> {
    this.#open ??= this.#start();
    try {
      const { session, upstream } = await this.#open;
      const answer = await session.authorize(draft);
      if ('refusal' in answer) throw new GatewayError('upstream_unavailable', answer.refusal.message);
      try {
        const rows = await upstream.query(sql, bound);
        answer.permit.complete({ status: 'ok', rows: rows.length });
        return rows;
      } catch (thrown) {
        answer.permit.complete({ status: 'error' });
        throw thrown;
      }
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  async #start(): Promise<{ session: SessionHandle; upstream: UpstreamSession }> {
    const { upstream: name, database, login, application = 'sallyport catalog' } = this.#target;
    const opened = await this.#gateway.open({
      protocol: 'postgres',
      upstream: name,
      identity: gatewayIdentity,
      clientAddress: '',
      application,
      requested: { database, login },
      supports,
    });
    if ('refusal' in opened) throw new GatewayError('upstream_unavailable', opened.refusal.message);
    const { session } = opened;
    try {
      const upstream = new UpstreamSession(await this.#connect());
      session.signal.addEventListener('abort', () => void this.close(), { once: true });
      return { session, upstream };
    } catch (thrown) {
      await session.close({ status: 'error', code: 'upstream_unavailable' });
      throw thrown;
    }
  }
}

/** The facts of a catalog query. Its text is a constant of the gateway that reads `pg_catalog` and nothing else. */
function catalogFacts(sql: string, { upstream, database, login }: CatalogTarget): OperationFacts<undefined> {
  const names = [...new Set([...sql.matchAll(/\bpg_catalog\.(pg_\w+)(?!\w*\()/g)].map((match) => match[1] ?? ''))];
  const statement = {
    verb: 'select',
    effects: ['select'],
    functions: [],
    objects: [],
    settings: [],
    in_transaction: false,
    incomplete: [],
  };
  const relation = {
    schema: 'pg_catalog',
    kind: 'table',
    access: 'read',
    via: '',
    whole_row: false,
    labels: [],
    columns: [],
  };
  return {
    action: {
      name: 'select',
      properties: {
        protocol: 'postgres',
        via: 'simple',
        text: sql,
        fingerprint: 'catalog',
        effects: ['select'],
        statements: [statement],
        incomplete: [],
      },
    },
    resource: {
      type: 'database',
      id: `${upstream}/${database}`,
      properties: {
        upstream,
        database,
        login,
        labels: {},
        relations: names.map((name) => ({ ...relation, name })),
        output: [],
      },
    },
    complete: true,
    enforce: () => ({ plan: undefined }),
    describe: () => ({ text: sql.length > 200 ? `${sql.slice(0, 200)}…` : sql, purpose: 'catalog' }),
  };
}

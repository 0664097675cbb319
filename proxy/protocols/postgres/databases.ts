import { GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Masker } from '../../core/masker.ts';
import type { Clock, Gateway } from '../../core/ports.ts';
import { CatalogLink, type CatalogTarget } from './catalog-link.ts';
import { type CatalogClassifier, createClassifier } from './classify.ts';
import { Database } from './database.ts';
import { Estimator } from './estimate.ts';
import { connectUpstream, sendCancel, type UpstreamLink } from './upstream.ts';
import { type LoginTarget, upstreamOptions } from './upstreams.ts';

interface Entry {
  readonly database: Database;
  readonly classifier: CatalogClassifier;
  /** The gateway's own: for the catalog, and for estimates. */
  readonly links: readonly CatalogLink[];
}

/** The databases that connections share, each opened when it is first asked for. */
export class Databases {
  readonly #options: { readonly masker: Masker; readonly clock: Clock; readonly limits: Limits };
  /** By the names of upstream, database and login: nested, so that no joined name can mean two things. */
  readonly #entries = new Map<string, Promise<Entry>>();

  constructor(options: { readonly masker: Masker; readonly clock: Clock; readonly limits: Limits }) {
    this.#options = options;
  }

  /** @throws GatewayError when the catalog cannot be read, or there are too many databases. */
  async get(target: LoginTarget, gateway: Gateway): Promise<Database> {
    const key = JSON.stringify([target.upstream.name, target.database, target.login]);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      if (this.#entries.size >= this.#options.limits.postgresDatabasesMax) {
        throw new GatewayError('limit_reached', 'The gateway serves too many databases.');
      }
      entry = this.#open(target, gateway);
      this.#entries.set(key, entry);
      // One that failed is tried again by the next connection.
      entry.catch(() => this.#entries.delete(key));
    }
    return (await entry).database;
  }

  /** Cancels what runs on a connection. Settles when the upstream has dealt with it; never rejects. */
  cancel(target: LoginTarget, link: UpstreamLink): Promise<void> {
    return sendCancel(upstreamOptions(target, { parameters: {} }, this.#options.limits), link.key);
  }

  async close(): Promise<void> {
    const entries = await Promise.allSettled(this.#entries.values());
    this.#entries.clear();
    for (const entry of entries) {
      if (entry.status !== 'fulfilled') continue;
      await entry.value.classifier.close();
      await Promise.all(entry.value.links.map((link) => link.close()));
    }
  }

  async #open(target: LoginTarget, gateway: Gateway): Promise<Entry> {
    const { limits, clock, masker } = this.#options;
    const names = { upstream: target.upstream.name, database: target.database, login: target.login };
    const parameters = { client_encoding: 'UTF8', application_name: 'sallyport catalog' };
    let serverMajor = 18;
    const link = new CatalogLink(gateway, names, async () => {
      const upstream = await connectUpstream(upstreamOptions(target, { parameters }, limits));
      serverMajor = Number.parseInt(upstream.serverVersion, 10);
      return upstream;
    });
    try {
      // The server says its version when the link opens, and the grammar is chosen by it.
      await link.query('SELECT 1');
      const classifier = await createClassifier({
        query: link.query,
        serverMajor,
        searchPath: target.upstream.searchPath,
        database: target.database,
        user: target.credentials.user,
        clock,
      });
      const estimates = this.#estimates(target, gateway, names);
      const estimator = new Estimator(estimates, limits.postgresEstimatesQueuedMax);
      const database = new Database(names, { classifier, estimator }, masker, () => gateway.config);
      return { classifier, links: [link, estimates], database };
    } catch (thrown) {
      await link.close();
      throw thrown;
    }
  }

  /** Opened when an estimate is first asked for. Planning can run functions, and wait for locks: read-only, and not for long. */
  #estimates(target: LoginTarget, gateway: Gateway, names: Omit<CatalogTarget, 'application'>): CatalogLink {
    const { limits } = this.#options;
    const application = 'sallyport estimate';
    const parameters = {
      client_encoding: 'UTF8',
      application_name: application,
      default_transaction_read_only: 'on',
      statement_timeout: String(limits.approvalEstimateMs),
    };
    return new CatalogLink(gateway, { ...names, application }, () =>
      connectUpstream(upstreamOptions(target, { parameters }, limits)),
    );
  }
}

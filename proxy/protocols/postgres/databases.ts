import { GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Masker } from '../../core/masker.ts';
import type { Clock, Gateway } from '../../core/ports.ts';
import { CatalogLink } from './catalog-link.ts';
import { type CatalogClassifier, createClassifier } from './classify.ts';
import { Database } from './database.ts';
import { connectUpstream, sendCancel, type UpstreamLink } from './upstream.ts';
import { type LoginTarget, upstreamOptions } from './upstreams.ts';

interface Entry {
  readonly database: Database;
  readonly classifier: CatalogClassifier;
  readonly link: CatalogLink;
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
      await entry.value.link.close();
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
      return { classifier, link, database: new Database(names, classifier, masker, () => gateway.config) };
    } catch (thrown) {
      await link.close();
      throw thrown;
    }
  }
}

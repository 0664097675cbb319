import pg from 'pg';
import { limits } from '../core/limits.ts';

/** A connection that only listens to `sallyport`; made again, with growing patience, whenever it is lost. */
export class Listener {
  readonly #config: pg.ClientConfig;
  readonly #heard: (payload: string) => void;
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waitMs: number = limits.storeRetryMsMin;
  #closed = false;

  constructor(config: pg.ClientConfig, heard: (payload: string) => void) {
    this.#config = config;
    this.#heard = heard;
  }

  start(): void {
    void this.#connect();
  }

  async #connect(): Promise<void> {
    if (this.#closed) return;
    const client = new pg.Client(this.#config);
    this.#client = client;
    client.on('error', () => {});
    client.on('end', () => this.#lost(client));
    client.on('notification', ({ payload }) => this.#heard(payload ?? ''));
    try {
      await client.connect();
      await client.query('LISTEN sallyport');
      this.#waitMs = limits.storeRetryMsMin;
    } catch {
      this.#lost(client);
    }
  }

  #lost(client: pg.Client): void {
    if (this.#closed || this.#client !== client) return;
    this.#client = undefined;
    void client.end().catch(() => {});
    this.#timer = setTimeout(() => void this.#connect(), this.#waitMs);
    this.#timer.unref();
    this.#waitMs = Math.min(this.#waitMs * 2, limits.storeRetryMsMax);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => {});
  }
}

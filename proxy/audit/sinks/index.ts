import type { Clock } from '../../core/ports.ts';
import { httpSink } from './http.ts';
import { SinkPump } from './pump.ts';
import { streamSink } from './stdout.ts';

/** One sink, as configured. */
export interface SinkOptions {
  readonly name: string;
  /** `opa`: OPA's decision log service. `webhook`: Standard Webhooks. `otlp`: OTLP/HTTP logs as JSON. */
  readonly type: 'stdout' | 'opa' | 'webhook' | 'otlp';
  /** Nothing is permitted while it is further behind than it may be. */
  readonly required: boolean;
  readonly url: string | undefined;
  readonly secret: string | undefined;
  readonly ca: string | undefined;
}

/** What sinks stand on. */
export interface SinksOptions {
  readonly file: string;
  readonly headSeq: () => number;
  readonly clock: Clock;
  /** Told of every failed delivery, by the sink's name. */
  readonly onError: (sink: string, error: Error) => void;
}

/** The sinks of one trail. */
export class Sinks {
  readonly #pumps: readonly SinkPump[];
  readonly #required: readonly SinkPump[];

  constructor(sinks: readonly SinkOptions[], options: SinksOptions) {
    this.#pumps = sinks.map(({ name, ...about }) => {
      const sink =
        about.type === 'stdout'
          ? streamSink(process.stdout)
          : httpSink({ ...about, type: about.type, url: about.url ?? '', clock: options.clock });
      return new SinkPump({ ...options, name, sink, onError: (error) => options.onError(name, error) });
    });
    this.#required = this.#pumps.filter((_, index) => sinks[index]?.required === true);
  }

  /** The required sink that is overdue, by its name: nothing may be permitted until it has caught up. */
  get blockedBy(): string | undefined {
    return this.#required.find(({ overdue }) => overdue)?.name;
  }

  /** Lines that each sink does not have yet. */
  get lags(): readonly { readonly sink: string; readonly lines: number }[] {
    return this.#pumps.map(({ name, lag }) => ({ sink: name, lines: lag }));
  }

  /** Whether a file of the trail may be deleted: every required sink has its last line. */
  mayPrune(lastSeq: number): boolean {
    return this.#required.every(({ acknowledged }) => acknowledged >= lastSeq);
  }

  async close(): Promise<void> {
    await Promise.all(this.#pumps.map((pump) => pump.close()));
  }
}

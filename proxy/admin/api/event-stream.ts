import type { ServerResponse } from 'node:http';
import { limits } from '../../core/limits.ts';
import type { Json } from '../../core/types.ts';

/** Where events of one stream go. */
export interface EventStream {
  /**
   * Sends an event. Never waits and never throws: while its reader is too slow, events are left out and counted, and
   * once it has caught up it is told by an event `lost` how many there were.
   */
  send(event: string, data: Json): void;
  end(): void;
}

/**
 * Server-sent events over a response.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class ResponseStream implements EventStream {
  readonly #response: ServerResponse;
  readonly #keepAlive: NodeJS.Timeout;
  #lost = 0;

  /** @param ended - called once, when the reader has gone or the stream was ended. */
  constructor(response: ServerResponse, ended: () => void) {
    this.#response = response;
    this.#keepAlive = setInterval(() => this.#write(': still here\n\n'), limits.consoleKeepAliveMs);
    this.#keepAlive.unref();
    response.once('close', () => {
      clearInterval(this.#keepAlive);
      ended();
    });
    response.on('drain', () => this.#tellLost());
  }

  send(event: string, data: Json): void {
    if (this.#write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)) return;
    this.#lost += 1;
    // One that was too large by itself: nothing else waits, so that no `drain` will come.
    if (!this.#response.writableNeedDrain) this.#tellLost();
  }

  end(): void {
    this.#response.end();
  }

  #tellLost(): void {
    if (this.#lost === 0) return;
    const events = this.#lost;
    this.#lost = 0;
    if (!this.#write(`event: lost\ndata: ${JSON.stringify({ events })}\n\n`)) this.#lost = events;
  }

  #write(text: string): boolean {
    const response = this.#response;
    if (response.writableEnded || response.destroyed) return true;
    // Once something was left out nothing passes until the gap was told: order is part of what a watcher relies on.
    if (this.#lost > 0 || response.writableLength + text.length > limits.consoleStreamBufferBytesMax) return false;
    response.write(text);
    return true;
  }
}

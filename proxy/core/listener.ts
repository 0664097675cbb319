/** Binds, limits, accepts and drains: what every protocol's listener has in common. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Limits } from './limits.ts';
import type { Log } from './log.ts';
import type { Clock, Connection } from './ports.ts';

/** What a listener is made of. */
export interface ListenerOptions {
  readonly host: string;
  /** 0 lets the operating system choose. */
  readonly port: number;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Log;
  /** Serves one connection to its end. One that rejects is logged and costs only its own connection. */
  serve(connection: Connection): Promise<void>;
  /** Called for each connection that is closed unserved because a bound was reached. */
  refused?(clientAddress: string): void;
  /** For tests: the server to listen with. */
  readonly server?: Server;
}

/** A bound listener. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** False once it stopped listening, and for a while after it failed to accept. */
  readonly ready: boolean;
  /** Connections being served. */
  readonly connections: number;
  /** Stops accepting. What is being served goes on. */
  stop(): void;
  /**
   * Stops accepting, and waits until every connection has ended.
   * @param patienceMs - after which the ones that are left are cut off.
   */
  drain(patienceMs: number): Promise<void>;
}

/** Binds. @throws what the operating system said (`EADDRINUSE`, …): a gateway without its listener must not start. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { host, port } = options;
  const server = options.server ?? createServer({ noDelay: true, keepAlive: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return new BoundListener(server, options);
}

class BoundListener implements Listener {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #open = new Map<Socket, Promise<void>>();
  readonly #perAddress = new Map<string, number>();
  #failedAtMs = Number.NEGATIVE_INFINITY;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(server: Server, options: ListenerOptions) {
    this.#server = server;
    this.#options = options;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the listener has no address');
    this.host = address.address;
    this.port = address.port;
    server.on('connection', (socket) => this.#accept(socket));
    // Accepting can fail (no file descriptors left) and work again: the listener stays, and says so.
    server.on('error', (error) => {
      this.#failedAtMs = options.clock.monotonicMs();
      this.#logRarely('accepting failed', error);
    });
    server.on('close', () => {
      if (!this.#stopped) options.log.error('the listener closed by itself', { port: this.port });
    });
  }

  get ready(): boolean {
    const sinceFailureMs = this.#options.clock.monotonicMs() - this.#failedAtMs;
    return this.#server.listening && sinceFailureMs > this.#options.limits.listenerFailureMs;
  }

  get connections(): number {
    return this.#open.size;
  }

  /** Never waits: a client that sends nothing costs its own place and nobody else's. */
  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const clientAddress = canonicalAddress(socket.remoteAddress);
    const { limits, log, refused } = this.#options;
    const ofAddress = (this.#perAddress.get(clientAddress) ?? 0) + 1;
    if (this.#stopped || this.#open.size >= limits.connectionsMax || ofAddress > limits.connectionsPerAddressMax) {
      socket.destroy();
      this.#logRarely(`a bound of connections was reached by ${clientAddress}`);
      refused?.(clientAddress);
      return;
    }
    this.#perAddress.set(clientAddress, ofAddress);
    const served = this.#serve({ socket, clientAddress })
      .catch((error: unknown) => log.error('a connection failed', { clientAddress, error: asError(error) }))
      .then(() => {
        socket.destroy();
        this.#open.delete(socket);
        const left = (this.#perAddress.get(clientAddress) ?? 1) - 1;
        if (left === 0) this.#perAddress.delete(clientAddress);
        else this.#perAddress.set(clientAddress, left);
      });
    this.#open.set(socket, served);
  }

  async #serve(connection: Connection): Promise<void> {
    await this.#options.serve(connection);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#server.close();
  }

  async drain(patienceMs: number): Promise<void> {
    this.stop();
    const cutOff = setTimeout(() => {
      for (const socket of this.#open.keys()) socket.destroy();
    }, patienceMs);
    await Promise.all(this.#open.values());
    clearTimeout(cutOff);
  }

  #logRarely(message: string, error?: Error): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#loggedAtMs < this.#options.limits.listenerLogIntervalMs) return;
    this.#loggedAtMs = nowMs;
    this.#options.log.warn(message, { port: this.port, error });
  }
}

/** An IPv4 address that came in through an IPv6 socket is an IPv4 address: `::ffff:10.0.0.1` is in 10.0.0.0/8. */
export function canonicalAddress(address: string | undefined): string {
  return (address ?? 'unknown').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

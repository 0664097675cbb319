/**
 * A small raw PostgreSQL frontend for tests: sends exactly the bytes it is given, and hands out backend messages as
 * they came. Works against the gateway and against a server directly. Uses no test framework.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { authenticate } from './wire-login.ts';
import { type BackendMessage, errorFields, frontend, statusOf } from './wire-messages.ts';

export * from './wire-messages.ts';

export interface WireEndpoint {
  readonly host: string;
  readonly port: number;
  /** PEM of the CA. Ignored without TLS. */
  readonly ca?: string | undefined;
  /** `negotiated`: SSLRequest first. `direct`: TLS at once, with ALPN. `none`: plaintext. Default `negotiated`. */
  readonly tls?: 'negotiated' | 'direct' | 'none';
  /** How long one wait may take before it fails with what came so far. Default 10 s. */
  readonly timeoutMs?: number;
}

export interface WireLogin extends WireEndpoint {
  readonly user: string;
  readonly database: string;
  readonly password: string;
  /** Further startup parameters, such as `application_name` or `options`. */
  readonly options?: Readonly<Record<string, string>>;
}

/** The server refused, or the connection ended while something was awaited. */
export class WireError extends Error {
  /** The fields of the last ErrorResponse, when there was one. */
  readonly fields: Readonly<Record<string, string>>;
  /** What had come. */
  readonly received: readonly BackendMessage[];

  constructor(text: string, received: readonly BackendMessage[]) {
    const last = received.findLast(({ type }) => type === 'E');
    const fields = last === undefined ? {} : errorFields(last.body);
    super(fields.M === undefined ? text : `${text}: ${fields.C} ${fields.M}`);
    this.fields = fields;
    this.received = received;
  }
}

/** Connects and logs in (cleartext, MD5 or SCRAM-SHA-256, as the server asks), up to the first ReadyForQuery. */
export async function connectWire(login: WireLogin): Promise<WireClient> {
  const client = await openWire(login);
  try {
    client.send(frontend.startup({ user: login.user, database: login.database, ...login.options }));
    await authenticate(client, login.user, login.password);
    await client.untilReady();
    return client;
  } catch (error) {
    client.destroy();
    throw error;
  }
}

/** Connects, with TLS as asked, and sends nothing of the protocol proper. */
export async function openWire(endpoint: WireEndpoint): Promise<WireClient> {
  const { host, port, ca, tls = 'negotiated' } = endpoint;
  const tcp = connectTcp({ host, port });
  await connected(tcp, 'connect');
  if (tls === 'none') return new WireClient(tcp, endpoint.timeoutMs);
  if (tls === 'negotiated') {
    const answer = await onlyByte(tcp, frontend.sslRequest());
    if (answer !== 'S') {
      tcp.destroy();
      throw new WireError(`SSLRequest was answered ${answer}`, []);
    }
  }
  const secure = connectTls({ socket: tcp, host, ca, ...(tls === 'direct' ? { ALPNProtocols: ['postgresql'] } : {}) });
  await connected(secure, 'secureConnect');
  return new WireClient(secure, endpoint.timeoutMs);
}

export class WireClient {
  readonly socket: Socket;
  /** Every ParameterStatus so far, the latest by name. */
  readonly parameters = new Map<string, string>();
  /** BackendKeyData, for a CancelRequest. */
  processId = 0;
  secret: Buffer = Buffer.alloc(4);
  readonly #timeoutMs: number;
  #bytes = Buffer.alloc(0);
  #messages: BackendMessage[] = [];
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket, timeoutMs = 10_000) {
    this.socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** True once the connection is closed and everything received was handed out or is waiting to be. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Sends the bytes as one write. */
  send(...bytes: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** The next message, whatever it is. */
  async next(): Promise<BackendMessage> {
    const [first] = await this.#collect((messages) => (messages.length > 0 ? 1 : 0), 'one message');
    if (first === undefined) throw new WireError('nothing came', []);
    return first;
  }

  /** Everything up to and with the `times`-th message of a type. */
  until(type: string, times = 1): Promise<BackendMessage[]> {
    return this.#collect((messages) => {
      let seen = 0;
      return messages.findIndex((one) => one.type === type && ++seen === times) + 1;
    }, `${times} × ${type}`);
  }

  /** Everything up to and with the `times`-th ReadyForQuery. */
  untilReady(times = 1): Promise<BackendMessage[]> {
    return this.until('Z', times);
  }

  /** Everything up to the end of the connection, which must come. */
  async untilClosed(): Promise<BackendMessage[]> {
    await this.#wait(() => this.#ended, 'the end of the connection');
    return this.#messages.splice(0);
  }

  /** Sends a simple query and collects up to its ReadyForQuery. */
  query(sql: string): Promise<BackendMessage[]> {
    this.send(frontend.query(sql));
    return this.untilReady();
  }

  /** Sends messages of the extended protocol and a Sync in one write, and collects up to ReadyForQuery. */
  extended(...messages: readonly Uint8Array[]): Promise<BackendMessage[]> {
    this.send(...messages, frontend.sync());
    return this.untilReady();
  }

  /** Proves that the connection is in step and usable; returns the transaction status (`I`, `T` or `E`). */
  async ping(): Promise<string | undefined> {
    return statusOf(await this.extended());
  }

  /** Terminates in the protocol's way and waits for the end. */
  async end(): Promise<void> {
    if (!this.#ended) this.socket.end(frontend.terminate());
    await this.#wait(() => this.#ended, 'the end of the connection').finally(() => this.socket.destroy());
  }

  /** Drops the connection without a word. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Takes messages once `enough` says how many (0: not yet). */
  async #collect(enough: (messages: readonly BackendMessage[]) => number, what: string): Promise<BackendMessage[]> {
    await this.#wait(() => this.#ended || enough(this.#messages) > 0, what);
    const count = enough(this.#messages);
    if (count === 0) throw new WireError(`the connection ended before ${what}`, this.#messages.splice(0));
    return this.#messages.splice(0, count);
  }

  /** Waits, one waiter at a time, until `done` holds. */
  async #wait(done: () => boolean, what: string): Promise<void> {
    const deadline = AbortSignal.timeout(this.#timeoutMs);
    while (!done()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      deadline.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      if (deadline.aborted && !done()) {
        const types = this.#messages.map(({ type }) => type).join('');
        throw new WireError(`no ${what} within ${this.#timeoutMs} ms, only "${types}"`, this.#messages);
      }
    }
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    let at = 0;
    while (this.#bytes.length - at >= 5) {
      const end = at + 1 + this.#bytes.readInt32BE(at + 1);
      if (end < at + 5) {
        this.socket.destroy(new Error('a backend message has an impossible length'));
        return;
      }
      if (end > this.#bytes.length) break;
      this.#note({
        type: this.#bytes.toString('latin1', at, at + 1),
        body: Buffer.from(this.#bytes.subarray(at + 5, end)),
      });
      at = end;
    }
    this.#bytes = this.#bytes.subarray(at);
    this.#wake();
  }

  #note(one: BackendMessage): void {
    if (one.type === 'S') {
      const [name = '', value = ''] = one.body.toString('utf8').split('\0');
      this.parameters.set(name, value);
    } else if (one.type === 'K') {
      this.processId = one.body.readInt32BE(0);
      this.secret = one.body.subarray(4);
    }
    this.#messages.push(one);
  }
}

/** Sends a CancelRequest on a connection of its own and waits until the server closes it. */
export async function cancelWire(endpoint: WireEndpoint, processId: number, secret: Uint8Array): Promise<void> {
  const client = await openWire(endpoint);
  client.send(frontend.cancelRequest(processId, secret));
  await client.untilClosed();
}

function connected(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => {
      socket.off('error', reject);
      resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new WireError(`the connection ended before ${event}`, [])));
  });
}

/** Sends bytes and reads the single byte that answers them. */
function onlyByte(socket: Socket, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new WireError('the connection ended before the answer to SSLRequest', [])));
    socket.on('readable', function readable() {
      const byte = socket.read(1) as Buffer | null;
      if (byte === null) return;
      socket.off('readable', readable);
      resolve(byte.toString('latin1'));
    });
    socket.write(bytes);
  });
}

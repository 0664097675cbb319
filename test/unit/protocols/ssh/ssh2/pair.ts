/** A server and clients of the repaired ssh2 over real sockets, and a way to misbehave in either's name. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { Duplex, type Readable } from 'node:stream';
import type * as types from 'ssh2';
import {
  Client,
  type ClientOptions,
  Server,
  type ServerConnection,
  type ServerOptions,
} from '../../../../../proxy/protocols/ssh/ssh2.ts';
import { makeSshKey } from '../../../../support/ssh-keys.ts';

/** What is below the interface of a connection: messages, sent whether or not they are allowed. */
export interface Raw {
  channelData(id: number, data: Buffer): void;
  channelExtData(id: number, data: Buffer, type: number): void;
  channelEOF(id: number): void;
  channelClose(id: number): void;
  channelWindowAdjust(id: number, amount: number): void;
  session(id: number, window: number, packetSize: number): void;
  exec(id: number, command: string, wantReply: boolean): void;
  ping(): void;
  service(name: string): void;
  authPK(user: string, key: unknown, algorithm?: string): void;
  authNone(user: string): void;
  authKeyboard(user: string): void;
  _cipher: { allocPacket(length: number): Buffer; encrypt(packet: Buffer): void };
  _onWrite(data: Buffer): void;
  _handlers: Record<string, (...args: never[]) => void>;
  _kexinit: unknown;
}

/** One side's end of a channel. */
export interface RawChannel {
  readonly incoming: { readonly id: number; window: number; state: string };
  readonly outgoing: { readonly id: number; window: number; packetSize: number; state: string };
}

export const raw = (connection: object): Raw => Reflect.get(connection, '_protocol') as Raw;
export const rawChannel = (channel: object): RawChannel => channel as RawChannel;
export const socketOf = (connection: object): Socket => Reflect.get(connection, '_sock') as Socket;

/** Sends a whole message, encrypted like any other. */
export function sendRaw(connection: object, payload: Buffer): void {
  const { _cipher: cipher } = raw(connection);
  const packet = cipher.allocPacket(payload.length);
  payload.copy(packet, 5);
  cipher.encrypt(packet);
}

/** A server that lets everybody in unless `authenticate` decides. */
export interface TestServer {
  readonly port: number;
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string };
  /** Connections in the order they came. */
  readonly connections: readonly ServerConnection[];
  /** What went wrong on them. */
  readonly errors: readonly Error[];
  /** Takes a connection from elsewhere. */
  inject(socket: Duplex): void;
  stop(): Promise<void>;
}

export async function startServer(
  options: Partial<ServerOptions> & {
    readonly authenticate?: (attempt: types.AuthContext, connection: ServerConnection) => void;
    readonly connected?: (connection: ServerConnection) => void;
  } = {},
): Promise<TestServer> {
  const { authenticate, connected, ...rest } = options;
  const hostKey = await makeSshKey();
  const server = new Server({ hostKeys: [hostKey.privateKey], ...rest });
  const connections: ServerConnection[] = [];
  const errors: Error[] = [];
  server.on('connection', (client) => {
    const connection = client as ServerConnection;
    connections.push(connection);
    connection.on('error', (error) => errors.push(error));
    connection.on('authentication', (attempt) => (authenticate ?? ((one) => one.accept()))(attempt, connection));
    connected?.(connection);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    hostKey,
    connections,
    errors,
    inject: (socket) => server.injectSocket(socket),
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of connections) socketOf(connection).destroy();
      await closed;
    },
  };
}

export interface TestClient {
  readonly client: Client;
  readonly errors: readonly Error[];
  readonly closed: Promise<void>;
}

/** A client on its way to a server on this machine. */
export function startClient(port: number, options: Partial<ClientOptions> = {}): TestClient {
  const client = new Client();
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  client.connect({ host: '127.0.0.1', port, username: 'agent', authHandler: ['none'], ...options });
  return { client, errors, closed };
}

/** A server with one client that is logged in. */
export interface Pair extends TestClient {
  readonly server: TestServer;
  readonly connection: ServerConnection;
  stop(): Promise<void>;
}

export async function startPair(
  options: { readonly server?: Parameters<typeof startServer>[0]; readonly client?: Partial<ClientOptions> } = {},
): Promise<Pair> {
  const server = await startServer(options.server);
  const started = startClient(server.port, options.client);
  await once(started.client as unknown as NodeJS.EventEmitter, 'ready');
  const [connection] = server.connections;
  if (connection === undefined) throw new Error('no connection came');
  return {
    ...started,
    server,
    connection,
    async stop() {
      started.client.destroy();
      await server.stop();
    },
  };
}

/** What the next session of a connection asks for first; the session itself is accepted at once. */
export function nextExec(connection: ServerConnection): Promise<{
  readonly session: types.Session;
  readonly accept: () => types.ServerChannel;
  readonly reject: () => void;
  readonly command: string;
}> {
  return new Promise((resolve) => {
    connection.once('session', (acceptSession) => {
      const session = acceptSession();
      session.once('exec', (accept, reject, { command }) => resolve({ session, accept, reject, command }));
    });
  });
}

export function exec(client: Client, command = 'true'): Promise<types.ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}

/** A command in progress: both ends of its channel. */
export async function startExec({ client, connection }: Pair) {
  const asked = nextExec(connection).then(({ session, accept }) => ({ session, remote: accept() }));
  const [{ session, remote }, local] = await Promise.all([asked, exec(client)]);
  return { session, remote, local };
}

/** Two ends of a connection without the buffers that a kernel has for one, which hold several megabytes. */
export function memoryPair(): readonly [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const taken: ((() => void) | undefined)[] = [];
  const end = (index: number): Duplex =>
    new Duplex({
      writev(chunks, done) {
        // Not at once: a socket does not call back into whoever writes to it either.
        setImmediate(() => {
          if (ends[1 - index]?.push(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer))) === true) done();
          else taken[1 - index] = done;
        });
      },
      read() {
        const done = taken[index];
        taken[index] = undefined;
        done?.();
      },
      final(done) {
        ends[1 - index]?.push(null);
        done();
      },
    });
  const pair = [end(0), end(1)] as const;
  ends.push(...pair);
  return pair;
}

/** When something has closed, whatever went wrong before that. */
export function closeOf(emitter: object): Promise<void> {
  return new Promise((resolve) => {
    (emitter as NodeJS.EventEmitter).once('close', () => resolve());
  });
}

/** Waits, turn by turn, until something is there, which it must be before long. */
export async function until<Value>(look: () => Value | undefined | false): Promise<Value> {
  const givenUp = performance.now() + 10_000;
  while (performance.now() < givenUp) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    await turns(1);
  }
  throw new Error('what the test waits for did not come');
}

export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Bytes in which every position can be told from its neighbours. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, value = seed; at < length; at++) {
    value = (value * 1_103_515_245 + 12_345) >>> 0;
    bytes[at] = value >>> 16;
  }
  return bytes;
}

/** Lets what is on its way in this process arrive: so many turns of the event loop. */
export async function turns(count = 50): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** The OpenSSH client, against a server on this machine. */
export async function openssh(
  port: number,
  args: readonly string[],
  input: Buffer = Buffer.alloc(0),
  options: readonly string[] = [],
): Promise<{ readonly code: number | null; readonly stdout: Buffer; readonly stderr: string }> {
  const fixed = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes'];
  const child = spawn(
    'ssh',
    ['-F', '/dev/null', '-p', String(port), ...options, ...fixed.flatMap((option) => ['-o', option]), ...args],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr: stderr.toString() };
}

/** A server that speaks S3, in a process of its own, behind a relay that keeps its address while it goes and comes back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AwsClient } from 'aws4fetch';

/** s3rver knows no other. */
const [accessKeyId, secretAccessKey] = ['S3RVER', 'S3RVER'] as const;

/** How to run one. It prints a line once it listens. */
type Program = (directory: string, port: number) => readonly [program: string, ...args: string[]];

const s3rver: Program = (directory, port) => [
  process.execPath,
  '-e',
  `new (require('@20minutes/s3rver'))(${JSON.stringify({ directory, port, address: '127.0.0.1', silent: true })})
    .run().then(() => console.log('listening'));`,
];

const versitygw =
  (binary: string): Program =>
  (directory, port) => [
    binary,
    ...['--access', accessKeyId, '--secret', secretAccessKey, '--port', `127.0.0.1:${port}`],
    ...['posix', '--sidecar', join(directory, '..', 'sidecar'), directory],
  ];

/** s3rver, which comes with the tests, and the Versity gateway where `SALLYPORT_VERSITYGW` says where its binary is. */
export const s3Programs: Readonly<Record<string, Program>> = {
  s3rver,
  ...(process.env.SALLYPORT_VERSITYGW && { versitygw: versitygw(process.env.SALLYPORT_VERSITYGW) }),
};

/** One bucket, `recordings`. */
export class S3Server {
  readonly accessKeyId = accessKeyId;
  readonly secretAccessKey = secretAccessKey;
  readonly bucket = 'recordings';
  /** Bytes that clients sent so far. */
  sentBytes = 0;
  /** Told of that with each piece. */
  onSent: () => void = () => {};
  readonly #directory: string;
  readonly #program: Program;
  readonly #client = new AwsClient({ accessKeyId, secretAccessKey, service: 's3', region: 'us-east-1', retries: 0 });
  readonly #sockets = new Set<Socket>();
  readonly #relay = createServer((socket) => this.#forward(socket));
  #child: ChildProcess | undefined;
  #port = 0;

  private constructor(program: Program, directory: string) {
    this.#program = program;
    this.#directory = directory;
  }

  /** One that is not started yet. @param directory - that it may fill */
  static async prepare(directory: string, program: Program = s3rver): Promise<S3Server> {
    const server = new S3Server(program, directory);
    server.#relay.listen(0, '127.0.0.1');
    await once(server.#relay, 'listening');
    return server;
  }

  /** Of the relay, which is there from the beginning: without a server behind it ends every connection. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#relay.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    const root = join(this.#directory, 'buckets');
    await mkdir(join(root, this.bucket), { recursive: true });
    await mkdir(join(this.#directory, 'sidecar'), { recursive: true });
    this.#port = await freePort();
    const [program, ...args] = this.#program(root, this.#port);
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.removeListener('exit', kill));
    await Promise.race([
      once(createInterface({ input: child.stdout }), 'line').then(() => listening(this.#port)),
      once(child, 'exit').then(() => Promise.reject(new Error('the S3 server did not start'))),
    ]);
    this.#child = child;
  }

  /** Kills it, and with it every connection. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (child?.kill('SIGKILL') === true) await once(child, 'exit');
  }

  async stop(): Promise<void> {
    await this.kill();
    this.#relay.close();
  }

  /** An object, for whoever has these credentials. Undefined: there is none. */
  async get(key: string): Promise<Buffer | undefined> {
    const answer = await this.#client.fetch(`http://127.0.0.1:${this.#port}/${this.bucket}/${key}`);
    const content = Buffer.from(await answer.arrayBuffer());
    return answer.status === 200 ? content : undefined;
  }

  #forward(socket: Socket): void {
    if (this.#child === undefined) {
      socket.destroy();
      return;
    }
    const upstream = connect(this.#port, '127.0.0.1');
    for (const [one, other] of [[socket, upstream] as const, [upstream, socket] as const]) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    socket.on('data', (piece) => {
      this.sentBytes += piece.length;
      this.onSent();
    });
    socket.pipe(upstream).pipe(socket);
  }
}

/** The first line may come a moment before. Settles once somebody is behind a port. */
async function listening(port: number): Promise<void> {
  for (let refused = true; refused; ) {
    const socket = connect(port, '127.0.0.1');
    refused = await Promise.race([
      once(socket, 'connect').then(() => false),
      once(socket, 'close').then(() => true),
    ]).catch(() => true);
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

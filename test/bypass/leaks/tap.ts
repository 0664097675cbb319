/** A TCP relay to a server that counts what it is asked to run. Reads the protocol by itself, without the gateway's codec. */
import { connect, createServer, type Socket } from 'node:net';
import { tagPattern } from './steps.ts';

/** What the upstream was asked to run, by the number in front of its text. */
export interface Seen {
  readonly queries: Map<number, number>;
  readonly parses: Map<number, number>;
  executes: number;
}

export interface Tap {
  readonly port: number;
  readonly seen: Seen;
  close(): Promise<void>;
}

/** Starts one on a free port. */
export async function openTap(target: { readonly host: string; readonly port: number }): Promise<Tap> {
  const seen: Seen = { queries: new Map(), parses: new Map(), executes: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target);
    const reader = new FrontendReader(seen);
    near.on('data', (chunk: Buffer) => reader.push(chunk));
    near.pipe(far).pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    seen,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class FrontendReader {
  readonly #seen: Seen;
  #rest: Buffer = Buffer.alloc(0);
  #started = false;

  constructor(seen: Seen) {
    this.#seen = seen;
  }

  push(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      // The first message of a connection has no type.
      const head = this.#started ? 1 : 0;
      if (this.#rest.length < head + 4) return;
      const end = head + this.#rest.readUInt32BE(head);
      if (this.#rest.length < end) return;
      if (this.#started) this.#message(String.fromCharCode(this.#rest[0] ?? 0), this.#rest.subarray(5, end));
      this.#started = true;
      this.#rest = this.#rest.subarray(end);
    }
  }

  #message(type: string, body: Buffer): void {
    if (type === 'Q') this.#count(this.#seen.queries, body.toString('latin1'));
    // After the name of the statement.
    if (type === 'P') this.#count(this.#seen.parses, body.toString('latin1', body.indexOf(0)));
    if (type === 'E') this.#seen.executes += 1;
  }

  #count(counts: Map<number, number>, text: string): void {
    const tag = tagPattern.exec(text)?.[1];
    if (tag !== undefined) counts.set(Number(tag), (counts.get(Number(tag)) ?? 0) + 1);
  }
}

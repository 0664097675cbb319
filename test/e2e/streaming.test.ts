import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { forgetPeak, type GatewayProcess, memoryOf, startGatewayProcess } from '../support/gateway-process.ts';
import { connectWire, frontend, message, type WireClient } from '../support/wire-client.ts';

/** How much is streamed, in MiB; a quick look can do with less. */
const megabytes = Number(process.env.SALLYPORT_TEST_STREAM_MB ?? 1024);
const MiB = 1024 * 1024;
const rows = Math.round((megabytes / 1024) * 1_000_000);
const copyInBytes = Math.round(megabytes / 4) * MiB;
const addedBytesMax = 64 * MiB;
/** Enough for a loaded machine; nothing here waits for time to pass. */
const patienceMs = 120_000;

// Only Linux tells how much memory a process held at most.
const linux = process.platform === 'linux' ? describe : describe.skip;

let prepared: TestGateway;
let gateway: GatewayProcess;
const open: WireClient[] = [];

beforeAll(async () => {
  prepared = await startTestGateway({
    dataset: null,
    data: {
      limits: { max_rows: 100_000_000 },
      upstreams: { orders: { schemas: { public: { wide: { columns: { email: ['pii', 'email'] } } } } } },
    },
    schemaSql: `
      CREATE SCHEMA scratch;
      CREATE UNLOGGED TABLE scratch.sink (id bigint PRIMARY KEY, filler text);
      CREATE UNLOGGED TABLE wide (id integer, email text, amount numeric, note text);
      INSERT INTO wide SELECT n, 'person' || n || '@private.example', n * 1.5, repeat('x', 40) FROM generate_series(1, ${rows}) n;
      GRANT USAGE ON SCHEMA scratch TO :role;
      GRANT ALL ON scratch.sink TO :role;
      GRANT SELECT ON wide TO :role;`,
  });
  await prepared.gateway.close();
  gateway = await startGatewayProcess(prepared.files);
  // What a gateway loads once and a first query compiles is not what streaming costs.
  const client = new pg.Client({ ...(await prepared.client()), port: gateway.port });
  await client.connect();
  for (let again = 0; again < 3; again++) {
    await client.query('SELECT id, amount, note FROM wide WHERE id <= 2000');
    const { rows: masked } = await client.query('SELECT * FROM wide WHERE id <= 2000');
    for (const { id, email } of masked) expect(email).not.toBe(`person${id}@private.example`);
  }
  await client.end();
}, patienceMs);
afterAll(async () => {
  gateway.kill('SIGTERM');
  await gateway.exit;
  await prepared.stop();
}, patienceMs);
afterEach(() => {
  for (const client of open.splice(0)) client.destroy();
});

async function connect(): Promise<WireClient> {
  const { database, ca } = prepared;
  const login = { host: '127.0.0.1', port: gateway.port, ca, database, user: 'agent' };
  const client = await connectWire({ ...login, password: await prepared.token(), timeoutMs: patienceMs });
  open.push(client);
  return client;
}

/** By how much a piece of work raised the memory of the gateway at its highest. */
async function added(work: () => Promise<void>): Promise<number> {
  await forgetPeak(gateway.pid);
  const { residentBytes } = await memoryOf(gateway.pid);
  await work();
  return (await memoryOf(gateway.pid)).peakBytes - residentBytes;
}

const readyForQuery = message('Z', Buffer.from('I'));

/** Takes what a client receives without keeping it. */
class Drain {
  bytes = 0;
  /** The last bytes that came. */
  tail: Buffer = Buffer.alloc(0);
  readonly #socket: Socket;
  #wake = () => {};
  #lost = false;

  constructor({ socket }: WireClient) {
    this.#socket = socket;
    socket.removeAllListeners('data');
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      this.tail = chunk.length >= 64 ? chunk.subarray(-64) : Buffer.concat([this.tail, chunk]).subarray(-64);
      this.#wake();
    });
    socket.once('close', () => {
      this.#lost = true;
      this.#wake();
    });
  }

  /** Until a ReadyForQuery. @returns the command tag before it. */
  async done(): Promise<string> {
    for (;;) {
      if (this.tail.subarray(-readyForQuery.length).equals(readyForQuery)) return this.#tag();
      if (this.#lost)
        throw new Error(`the connection ended after ${this.bytes} bytes: ${this.tail.toString('latin1')}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #tag(): string {
    const words = this.tail.toString('latin1', 0, this.tail.length - readyForQuery.length - 1);
    return /[A-Z]+ [0-9]+$/.exec(words)?.[0] ?? words;
  }

  stall(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

async function stream(sql: string): Promise<{ readonly tag: string; readonly bytes: number }> {
  const client = await connect();
  const drain = new Drain(client);
  client.send(frontend.query(sql));
  return { tag: await drain.done(), bytes: drain.bytes };
}

/** Waits until the upstream waits for its client in a given way. */
async function upstreamWaits(event: string): Promise<void> {
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE usename = '${prepared.role}' AND wait_event = '${event}' AND state = 'active'`;
  while ((await prepared.sql(waiting)).length === 0);
}

/** A kilobyte for each number. */
const copyOut = `COPY (SELECT n, repeat('x', 1010) FROM generate_series(1, ${rows}) n) TO STDOUT`;

linux(`${megabytes} MiB through the gateway add less than 64 MiB to its memory`, () => {
  test(
    'as a SELECT of a million rows',
    async () => {
      let bytes = 0;
      const more = await added(async () => {
        const streamed = await stream('SELECT id, amount, note FROM wide');
        expect(streamed.tag).toBe(`SELECT ${rows}`);
        bytes = streamed.bytes;
      });
      expect(bytes).toBeGreaterThan(rows * 60);
      expect(more).toBeLessThan(addedBytesMax);
    },
    patienceMs,
  );

  test(
    'as a SELECT of a million masked rows',
    async () => {
      const more = await added(async () => {
        expect((await stream('SELECT id, email, note FROM wide')).tag).toBe(`SELECT ${rows}`);
      });
      expect(more).toBeLessThan(addedBytesMax);
    },
    patienceMs,
  );

  test(
    'as COPY to the client',
    async () => {
      let bytes = 0;
      const more = await added(async () => {
        const streamed = await stream(copyOut);
        expect(streamed.tag).toBe(`COPY ${rows}`);
        bytes = streamed.bytes;
      });
      expect(bytes).toBeGreaterThan(rows * 1010);
      expect(more).toBeLessThan(addedBytesMax);
    },
    patienceMs,
  );

  test(
    'as one row',
    async () => {
      const bytes = Math.min(megabytes, 512) * MiB;
      const more = await added(async () => {
        const streamed = await stream(`SELECT repeat('x', ${bytes})`);
        expect(streamed.tag).toBe('SELECT 1');
        expect(streamed.bytes).toBeGreaterThan(bytes);
      });
      expect(more).toBeLessThan(addedBytesMax);
    },
    patienceMs,
  );

  test(
    'as one message of COPY data',
    async () => {
      const bytes = copyInBytes;
      const more = await added(async () => {
        const client = await connect();
        client.send(frontend.query('COPY scratch.sink FROM STDIN'));
        await client.until('G');
        const drain = new Drain(client);
        const header = message('d');
        header.writeInt32BE(4 + 2 + bytes + 1, 1);
        client.socket.write(Buffer.concat([header, Buffer.from('1\t')]));
        const piece = Buffer.alloc(MiB, 'z');
        for (let sent = 0; sent < bytes; sent += piece.length) {
          if (!client.socket.write(piece)) await drained(client.socket);
        }
        client.send(Buffer.from('\n'), frontend.copyDone());
        expect(await drain.done()).toBe('COPY 1');
      });
      expect(await prepared.sql('SELECT length(filler) AS bytes FROM scratch.sink')).toEqual([{ bytes }]);
      await prepared.sql('TRUNCATE scratch.sink');
      expect(more).toBeLessThan(addedBytesMax);
    },
    patienceMs,
  );

  test(
    'as COPY from the client',
    async () => {
      const more = await added(async () => {
        const client = await connect();
        const sent = await copyIn(client, copyInBytes);
        expect(await sent.done()).toBe(`COPY ${sent.lines}`);
      });
      const bytes = 'SELECT sum(length(filler)) AS bytes FROM scratch.sink';
      expect(Number((await prepared.sql(bytes))[0]?.bytes)).toBeGreaterThan(0.9 * copyInBytes);
      await prepared.sql('TRUNCATE scratch.sink');
      expect(more).toBeLessThan(addedBytesMax);
    },
    patienceMs,
  );
});

/** Begins a COPY of about so many bytes and sends them as fast as the gateway takes them. */
async function copyIn(client: WireClient, bytes: number, took: (bytes: number) => void = () => {}) {
  client.send(frontend.query('COPY scratch.sink FROM STDIN'));
  await client.until('G');
  const drain = new Drain(client);
  const filler = 'y'.repeat(1000);
  let lines = 0;
  for (let sent = 0; sent < bytes; ) {
    let batch = '';
    for (let n = 0; n < 64; n++) batch += `${lines++}\t${filler}\n`;
    const data = message('d', Buffer.from(batch));
    sent += data.length;
    took(sent);
    if (!client.socket.write(data)) await drained(client.socket);
  }
  client.send(frontend.copyDone());
  return { lines, done: () => drain.done() };
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('drain', resolve);
    socket.once('close', () => reject(new Error('the connection ended')));
  });
}

linux('backpressure is end to end', () => {
  test(
    'a client that reads nothing slows the upstream, and costs little',
    async () => {
      const more = await added(async () => {
        const client = await connect();
        const drain = new Drain(client);
        client.send(frontend.query(copyOut));
        drain.stall();
        await upstreamWaits('ClientWrite');
        // Another client is not in its way.
        expect((await stream('SELECT count(*) FROM wide WHERE id = 1')).tag).toBe('SELECT 1');
        await upstreamWaits('ClientWrite');
        expect(drain.bytes).toBeLessThan(rows * 1010);
        drain.resume();
        expect(await drain.done()).toBe(`COPY ${rows}`);
      });
      expect(more).toBeLessThan(addedBytesMax);
    },
    patienceMs,
  );

  test(
    'an upstream that reads nothing slows the client, and costs little',
    async () => {
      const blocker = new pg.Client({
        host: prepared.pg.host,
        port: prepared.pg.port,
        user: prepared.pg.user,
        password: prepared.pg.password,
        database: prepared.database,
      });
      await blocker.connect();
      let taken = 0;
      const more = await added(async () => {
        // The COPY waits for this transaction as soon as it meets the same key.
        await blocker.query('BEGIN');
        await blocker.query("INSERT INTO scratch.sink VALUES (500, 'in the way')");
        const client = await connect();
        const sending = copyIn(client, copyInBytes, (bytes) => {
          taken = bytes;
        });
        await upstreamWaits('transactionid');
        // Nothing moves any more once what lies between is full: two looks at the upstream see the same.
        let before = -1;
        while (before !== taken) {
          before = taken;
          for (let look = 0; look < 20; look++) await upstreamWaits('transactionid');
        }
        expect(taken).toBeLessThan(copyInBytes / 2);
        await blocker.query('ROLLBACK');
        const sent = await sending;
        expect(await sent.done()).toBe(`COPY ${sent.lines}`);
      });
      await blocker.end();
      await prepared.sql('TRUNCATE scratch.sink');
      expect(more).toBeLessThan(addedBytesMax);
    },
    patienceMs,
  );

  test(
    'a client that goes away in the middle frees the upstream',
    async () => {
      const client = await connect();
      const drain = new Drain(client);
      client.send(frontend.query(copyOut));
      drain.stall();
      await upstreamWaits('ClientWrite');
      client.destroy();
      const running = `SELECT 1 FROM pg_stat_activity WHERE usename = '${prepared.role}' AND state = 'active'`;
      while ((await prepared.sql(running)).length > 0);
    },
    patienceMs,
  );
});

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Limits, limits } from '../../../proxy/core/limits.ts';
import { canonicalAddress, type Listener, type ListenerOptions, listen } from '../../../proxy/core/listener.ts';
import { createLog } from '../../../proxy/core/log.ts';
import type { Connection } from '../../../proxy/core/ports.ts';

const open: { listener: Listener; sockets: Socket[] }[] = [];
afterEach(async () => {
  for (const { listener, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await listener.drain(0);
  }
});

/** A listener that serves until the client leaves, and everything it said. */
async function start(options: Partial<ListenerOptions> & { narrowed?: Partial<Limits> } = {}) {
  const lines: string[] = [];
  const served: Connection[] = [];
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  let arrived = () => {};
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    limits: { ...limits, ...options.narrowed },
    clock,
    log: createLog(clock, (line) => lines.push(line)),
    serve: async (connection) => {
      served.push(connection);
      arrived();
      connection.socket.resume();
      await once(connection.socket, 'close');
    },
    ...options,
  });
  const sockets: Socket[] = [];
  open.push({ listener, sockets });
  return {
    listener,
    lines,
    served,
    /** A client whose connection was accepted by the operating system. */
    async client(): Promise<Socket> {
      const socket = connect(listener.port, '127.0.0.1');
      socket.on('error', () => {});
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    },
    async until(condition: () => boolean): Promise<void> {
      while (!condition()) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
    },
  };
}

describe('bounds', () => {
  test('a connection past the bound is closed and reported, and a place that is free again is given away', async () => {
    const refused: string[] = [];
    const { client, served, until, lines } = await start({
      narrowed: { connectionsMax: 1 },
      refused: (address) => refused.push(address),
    });
    const first = await client();
    await until(() => served.length === 1);
    const second = await client();
    await once(second, 'close');
    expect(refused).toEqual(['127.0.0.1']);
    expect(lines.join()).toContain('a bound of connections was reached');

    const left = once(served[0]?.socket ?? first, 'close');
    first.destroy();
    await left;
    await client();
    await until(() => served.length === 2);
  });

  test('one client address cannot take all the places', async () => {
    const { client, served, until } = await start({ narrowed: { connectionsPerAddressMax: 2 } });
    await client();
    await client();
    await until(() => served.length === 2);
    await once(await client(), 'close');
    expect(served).toHaveLength(2);
  });

  test('many refusals are one log line', async () => {
    const { client, lines } = await start({ narrowed: { connectionsMax: 0 } });
    for (let turn = 0; turn < 3; turn++) {
      const socket = await client();
      if (!socket.destroyed) await once(socket, 'close');
    }
    expect(lines).toHaveLength(1);
  });
});

test('clients that connect and send nothing do not keep others from being served', async () => {
  const { client, served, until } = await start();
  for (let idle = 0; idle < 20; idle++) await client();
  await client();
  await until(() => served.length === 21);
});

test('a connection whose protocol fails costs only itself', async () => {
  let calls = 0;
  const { client, lines, listener } = await start({
    serve: async () => {
      calls += 1;
      throw new Error('broken');
    },
  });
  await once(await client(), 'close');
  await once(await client(), 'close');
  expect(calls).toBe(2);
  expect(lines.join()).toContain('a connection failed');
  expect(listener.ready).toBe(true);
});

test('a protocol that throws before its first promise costs only its connection', async () => {
  const { client, listener } = await start({
    serve: () => {
      throw new Error('broken at once');
    },
  });
  await once(await client(), 'close');
  expect(listener.connections).toBe(0);
});

describe('drain', () => {
  test('accepts nobody more, and waits for what is served', async () => {
    const { listener, client, served, until } = await start();
    const socket = await client();
    await until(() => served.length === 1);
    let drained = false;
    const draining = listener.drain(60_000).then(() => {
      drained = true;
    });
    expect(listener.ready).toBe(false);
    const late = connect(listener.port, '127.0.0.1');
    await expect(once(late, 'connect')).rejects.toThrow('ECONNREFUSED');
    expect(drained).toBe(false);
    socket.end();
    await draining;
  });

  test('cuts off what outstays its patience', async () => {
    const { listener, client, served, until } = await start();
    const socket = await client();
    await until(() => served.length === 1);
    await Promise.all([listener.drain(1), once(socket, 'close')]);
    expect(listener.connections).toBe(0);
  });
});

describe('readiness', () => {
  test('a port that is taken is an error at start', async () => {
    const { listener } = await start();
    await expect(start({ port: listener.port })).rejects.toThrow('EADDRINUSE');
  });

  test('a listener that closed by itself is not ready, and says so', async () => {
    const server = createServer();
    const { listener, lines } = await start({ server });
    expect(listener.ready).toBe(true);
    server.close();
    await once(server, 'close');
    expect(listener.ready).toBe(false);
    expect(lines.join()).toContain('the listener closed by itself');
  });

  test('failing to accept makes it unready for a while, and the process lives on', async () => {
    const server = createServer();
    let nowMs = 0;
    const { listener, lines } = await start({ server, clock: { nowMs: () => nowMs, monotonicMs: () => nowMs } });
    server.emit('error', new Error('accept EMFILE'));
    expect(listener.ready).toBe(false);
    expect(lines.join()).toContain('accept EMFILE');
    nowMs = limits.listenerFailureMs + 1;
    expect(listener.ready).toBe(true);
  });
});

test.each([
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::FFFF:10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', '10.0.0.1'],
  ['2001:db8::1', '2001:db8::1'],
  [undefined, 'unknown'],
])('the address %s is told as %s', (address, told) => {
  expect(canonicalAddress(address)).toBe(told);
});

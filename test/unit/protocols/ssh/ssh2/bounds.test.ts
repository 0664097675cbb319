/** What a peer can make this process hold, or do, is bounded. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type * as types from 'ssh2';
import {
  closeOf,
  collect,
  exec,
  memoryPair,
  nextExec,
  type Pair,
  pattern,
  raw,
  rawChannel,
  sendRaw,
  socketOf,
  startClient,
  startExec,
  startPair,
  startServer,
  turns,
  until,
} from './pair.ts';

const windowBytes = 2 * 1024 * 1024;
const socketBytesMax = 1024 * 1024;

let pair: Pair;

beforeEach(async () => {
  pair = await startPair();
});

afterEach(() => pair.stop());

describe('the receive window', () => {
  /** Sizes that never meet the end of the window exactly. */
  const piece = Buffer.alloc(32_001);

  test('of a server is enforced: the connection ends', async () => {
    const { remote, local } = await startExec(pair);
    const closed = closeOf(pair.connection);
    for (let sent = 0; sent < 3 * windowBytes; sent += piece.length) {
      raw(pair.client).channelData(rawChannel(local).outgoing.id, piece);
    }
    await closed;
    expect(pair.server.errors.map(({ message }) => message)).toEqual([
      'Received more channel data than the window allows',
    ]);
    expect(remote.readableLength).toBeLessThanOrEqual(windowBytes);
  });

  test('of a server is enforced before there is a channel', async () => {
    const asked = nextExec(pair.connection);
    exec(pair.client).catch(() => {});
    const { session } = await asked;
    const closed = closeOf(pair.connection);
    const { id } = rawChannel(Reflect.get(session, '_chanInfo') as object).incoming;
    for (let sent = 0; sent < 3 * windowBytes; sent += piece.length) raw(pair.client).channelData(id, piece);
    await closed;
    expect(pair.server.errors.map(({ message }) => message)).toEqual([
      'Received more channel data than the window allows',
    ]);
  });

  test.each(['stdout', 'stderr'] as const)('of a client is enforced for %s', async (stream) => {
    const { remote, local } = await startExec(pair);
    const { id } = rawChannel(remote).outgoing;
    for (let sent = 0; sent < 3 * windowBytes; sent += piece.length) {
      if (stream === 'stdout') raw(pair.connection).channelData(id, piece);
      else raw(pair.connection).channelExtData(id, piece, 1);
    }
    await pair.closed;
    expect(pair.errors.map(({ message }) => message)).toEqual(['Received more channel data than the window allows']);
    expect(local.readableLength + local.stderr.readableLength).toBeLessThanOrEqual(windowBytes);
  });

  test('is not opened for one stream while the other is not read', async () => {
    const { remote, local } = await startExec(pair);
    local.pause();
    local.stderr.resume();
    for (let count = 0; count < 20; count++) {
      remote.write(pattern(500_000));
      remote.stderr.write(pattern(500_000));
    }
    await turns(300);
    expect(local.readableLength).toBeLessThanOrEqual(windowBytes);
  });

  test('is not exceeded by what nobody expects: data after EOF ends the connection', async () => {
    const { remote, local } = await startExec(pair);
    const ended = once(remote, 'end');
    remote.resume();
    local.end();
    await ended;
    const closed = closeOf(pair.connection);
    raw(pair.client).channelData(rawChannel(local).outgoing.id, Buffer.from('more'));
    await closed;
    expect(pair.server.errors.map(({ message }) => message)).toEqual(['Received channel data after EOF']);
  });

  test('does not end the process when a host sends stderr after EOF', async () => {
    const { remote, local } = await startExec(pair);
    local.resume();
    local.stderr.resume();
    const { id } = rawChannel(remote).outgoing;
    raw(pair.connection).channelEOF(id);
    raw(pair.connection).channelExtData(id, Buffer.from('more'), 1);
    await pair.closed;
    expect(pair.errors.map(({ message }) => message)).toEqual(['Received channel data after EOF']);
  });

  test('holds as many bytes as it says, also in pieces of one byte', async () => {
    const { remote, local } = await startExec(pair);
    remote.pause();
    const { id } = rawChannel(local).outgoing;
    const count = 50_000;
    for (let sent = 0; sent < count; sent++) {
      raw(pair.client).channelData(id, Buffer.of(sent));
      if (sent % 5_000 === 0) await turns(1);
    }
    await until(() => remote.readableLength >= count - 16 * 1024);
    const { buffer } = Reflect.get(remote, '_readableState') as { buffer: unknown[] };
    expect(buffer.length).toBeLessThan(100);
    raw(pair.client).channelEOF(id);
    const received = await collect(remote);
    expect(received.length).toBe(count);
    expect(received.every((byte, at) => byte === at % 256)).toBe(true);
  });
});

describe('a peer that does not read its socket', () => {
  /** Says that everything may be sent, and takes nothing. */
  function refuseToRead(channel: types.ClientChannel): void {
    const { incoming, outgoing } = rawChannel(channel);
    incoming.window += 1_000_000_000;
    raw(pair.client).channelWindowAdjust(outgoing.id, 1_000_000_000);
    socketOf(pair.client).pause();
  }

  test('makes a channel wait, whatever its window, and gets everything once it reads', async () => {
    const { remote, local } = await startExec(pair);
    refuseToRead(local);
    const before = rawChannel(remote).outgoing.window;
    await until(() => rawChannel(remote).outgoing.window > before);
    const sent = pattern(32_000_000);
    remote.write(sent);
    remote.end();
    await turns(100);
    expect(socketOf(pair.connection).writableLength).toBeGreaterThan(0);
    expect(socketOf(pair.connection).writableLength).toBeLessThan(socketBytesMax + 64 * 1024);
    const received = collect(local);
    socketOf(pair.client).resume();
    expect((await received).equals(sent)).toBe(true);
  });

  test('makes all channels wait, and none of them for ever', async () => {
    const channels = [await startExec(pair), await startExec(pair), await startExec(pair)];
    for (const { local } of channels) refuseToRead(local);
    await turns(100);
    for (const { remote } of channels) {
      remote.write(pattern(3_000_000));
      remote.end();
    }
    await turns(100);
    expect(socketOf(pair.connection).writableLength).toBeLessThan(socketBytesMax + 64 * 1024);
    const received = Promise.all(channels.map(({ local }) => collect(local)));
    socketOf(pair.client).resume();
    expect((await received).map((bytes) => bytes.length)).toEqual([3_000_000, 3_000_000, 3_000_000]);
  });

  test('is not read from either while it asks for answers that it does not take', async () => {
    const [near, far] = memoryPair();
    pair.server.inject(far);
    const { client } = startClient(pair.server.port, { sock: near });
    await once(client as unknown as NodeJS.EventEmitter, 'ready');
    near.pause();
    for (let count = 0; count < 75_000; count++) {
      raw(client).ping();
      if (count % 5_000 === 0) await turns(1);
    }
    const boundBytes = 3 * socketBytesMax;
    await until(() => far.isPaused() || far.writableLength > boundBytes);
    expect({ waits: far.isPaused(), within: far.writableLength <= boundBytes }).toEqual({ waits: true, within: true });
    // Once it reads, it gets its answers and may ask again. A peer that waited in turn would wait for ever.
    Object.assign(near, { pause: () => near });
    near.resume();
    await until(() => !far.isPaused() && far.writableLength === 0);
    client.end();
  });

  test('does not keep a connection that was ended', async () => {
    const socket = connect(pair.server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    await once(socket, 'connect');
    socket.write('SSH-2.0-rude\r\n');
    socket.write(Buffer.from('00000009deadbeef0011223344556677', 'hex'));
    await closeOf(await until(() => pair.server.connections[1]));
    socket.destroy();
  });
});

describe('a packet size', () => {
  test('of zero opens no channel', async () => {
    let opened = false;
    pair.connection.on('session', () => {
      opened = true;
    });
    const failed = new Promise<void>((resolve) => {
      raw(pair.client)._handlers.CHANNEL_OPEN_FAILURE = () => resolve();
    });
    raw(pair.client).session(5, windowBytes, 0);
    await failed;
    expect(opened).toBe(false);
  });

  test('of zero from a host ends the connection', async () => {
    pair.connection.once('session', (accept) => {
      const { channelOpenConfirm } = raw(pair.connection) as unknown as {
        channelOpenConfirm: (remote: number, local: number, window: number, packetSize: number) => void;
      };
      Object.assign(raw(pair.connection), {
        channelOpenConfirm(remote: number, local: number, window: number) {
          channelOpenConfirm.call(raw(pair.connection), remote, local, window, 0);
        },
      });
      accept();
    });
    exec(pair.client).catch(() => {});
    await pair.closed;
    expect(pair.errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/Malformed CHANNEL_OPEN_CONFIRMATION/),
    ]);
  });
});

describe('numbers of things', () => {
  test('channels of a connection are capped, and one that closes makes room', async () => {
    const capped = await startPair({ server: { maxChannels: 2 } });
    try {
      const first = await startExec(capped);
      await startExec(capped);
      capped.connection.once('session', () => {
        throw new Error('a third was offered');
      });
      await expect(exec(capped.client)).rejects.toThrow(/Channel open failure/);
      capped.connection.removeAllListeners('session');
      const closed = once(first.remote, 'close');
      first.remote.resume();
      first.local.resume();
      first.remote.end();
      await closed;
      await startExec(capped);
    } finally {
      await capped.stop();
    }
  });

  test('refused channels leave nothing behind', async () => {
    const manager = Reflect.get(pair.connection, '_chanMgr') as { _channels: object; _count: number };
    pair.connection.on('session', (_accept, reject) => reject());
    for (let count = 0; count < 50; count++) {
      await expect(exec(pair.client)).rejects.toThrow(/Channel open failure/);
    }
    expect({ channels: Object.keys(manager._channels), count: manager._count }).toEqual({ channels: [], count: 0 });
  });

  test('a refusal of a channel carries its code and its reason', async () => {
    pair.connection.on('tcpip', (_accept, reject) => Reflect.apply(reject, undefined, [1, 'policy says no']));
    const error = await new Promise<(Error & { reason?: number }) | undefined>((resolve) => {
      pair.client.forwardOut('127.0.0.1', 1, 'example.org', 443, (thrown) => resolve(thrown));
    });
    expect({ message: error?.message, reason: error?.reason }).toEqual({
      message: '(SSH) Channel open failure: policy says no',
      reason: 1,
    });
  });

  test('requests that wait for an answer are capped', async () => {
    pair.connection.on('request', () => {});
    const closed = closeOf(pair.connection);
    for (let count = 0; count < 200; count++) pair.client.forwardIn('127.0.0.1', 0, () => {});
    await closed;
    expect(pair.server.errors.map(({ message }) => message)).toEqual(['Too many requests are waiting for a reply']);
  });

  test('requests of a session that wait for an answer are capped', async () => {
    const asked = nextExec(pair.connection);
    exec(pair.client).catch(() => {});
    const { session } = await asked;
    const closed = closeOf(pair.connection);
    const { id } = rawChannel(Reflect.get(session, '_chanInfo') as object).incoming;
    for (let count = 0; count < 200; count++) raw(pair.client).exec(id, 'again', true);
    await closed;
    expect(pair.server.errors.map(({ message }) => message)).toEqual(['Too many requests are waiting for a reply']);
  });

  test('responses that are announced are not allocated before they come', async () => {
    const server = await startServer({
      authenticate: (attempt) => {
        if (attempt.method === 'keyboard-interactive') attempt.prompt([{ prompt: 'Token:', echo: false }], () => {});
        else attempt.reject(['keyboard-interactive']);
      },
    });
    try {
      const { client, closed } = startClient(server.port, {
        authHandler: ['keyboard-interactive'],
        tryKeyboard: true,
      });
      client.on('keyboard-interactive', () => sendRaw(client, Buffer.from('3d01ffffff', 'hex')));
      await closed;
      expect(server.errors.map(({ message }) => message)).toEqual([
        expect.stringMatching(/Malformed USERAUTH_INFO_RESPONSE/),
      ]);
    } finally {
      await server.stop();
    }
  });
});

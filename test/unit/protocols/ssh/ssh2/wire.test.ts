/** Bytes come as they like: in pieces, in another order than is polite, or not at all as they should. */
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { Duplex, Transform } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import type * as types from 'ssh2';
import { algorithms, Server } from '../../../../../proxy/protocols/ssh/ssh2.ts';
import { testWith } from '../../../../clients/tools.ts';
import { makeSshKey } from '../../../../support/ssh-keys.ts';
import {
  closeOf,
  collect,
  memoryPair,
  openssh,
  pattern,
  raw,
  sendRaw,
  startClient,
  startExec,
  startPair,
  startServer,
  until,
} from './pair.ts';

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

async function pairWith(options: Parameters<typeof startPair>[0] = {}) {
  const pair = await startPair(options);
  undo.push(() => pair.stop());
  return pair;
}

test('a program may send its name byte by byte', async () => {
  const server = await startServer();
  undo.push(() => server.stop());
  const socket = connect(server.port, '127.0.0.1');
  undo.push(() => socket.destroy());
  socket.setNoDelay(true);
  await once(socket, 'connect');
  for (const byte of Buffer.from('SSH-2.0-slow_1.0 one byte at a time\r\n')) {
    await new Promise<void>((resolve) => socket.write(Buffer.of(byte), () => setImmediate(resolve)));
  }
  await until(() => server.connections[0]);
  expect(server.errors).toEqual([]);
});

describe('a conversation cut into pieces of one byte', () => {
  test.each(algorithms.cipher)('is understood with %s', async (cipher) => {
    const server = await startServer();
    undo.push(() => server.stop());
    const [near, far] = memoryPair();
    const [incoming, outgoing] = [bytewise(), bytewise()];
    far.pipe(incoming);
    outgoing.pipe(far);
    server.inject(Duplex.from({ readable: incoming, writable: outgoing }));
    const { client } = startClient(server.port, { sock: near, algorithms: { ...algorithms, cipher: [cipher] } });
    undo.push(() => client.destroy());
    await once(client as unknown as NodeJS.EventEmitter, 'ready');
    const connection = await until(() => server.connections[0]);
    const { remote, local } = await startExec({ client, connection } as never);
    const sent = pattern(3_000);
    const received = Promise.all([collect(local), collect(remote)]);
    remote.write(sent, () => remote.eof());
    local.end(sent);
    expect((await received).map((bytes) => bytes.equals(sent))).toEqual([true, true]);
  });
});

function bytewise(): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const byte of chunk) this.push(Buffer.of(byte));
      done();
    },
  });
}

test('the modes of a terminal are read, those without a name left out', async () => {
  const { client, connection } = await pairWith();
  const asked = new Promise<unknown>((resolve) => {
    connection.once('session', (accept) => {
      accept().on('pty', (acceptPty, _reject, info) => {
        acceptPty();
        resolve(info);
      });
    });
  });
  const modes = Buffer.from([53, 0, 0, 0, 0, 42, 0, 0, 0, 1, 150, 1, 2, 3, 4, 129, 0, 0, 0x96, 0, 0]);
  client.shell({ term: 'xterm', rows: 24, cols: 80, modes: modes as never }, () => {});
  expect(await asked).toMatchObject({
    term: 'xterm',
    rows: 24,
    cols: 80,
    modes: { ECHO: 0, IUTF8: 1, TTY_OP_OSPEED: 38_400 },
  });
});

testWith(['ssh'])('the modes of a real client’s terminal are read', async () => {
  const server = await startServer();
  undo.push(() => server.stop());
  const answered = openssh(server.port, ['-tt', 'agent@127.0.0.1', 'x']);
  const connection = await until(() => server.connections[0]);
  const info = await new Promise<types.PseudoTtyInfo>((resolve) => {
    connection.once('session', (accept) => {
      const session = accept();
      session.on('pty', (acceptPty, _reject, told) => {
        acceptPty();
        resolve(told);
      });
      session.on('exec', (acceptExec) => {
        const channel = acceptExec();
        channel.exit(0);
        channel.end();
      });
    });
  });
  expect(info).toMatchObject({ cols: expect.any(Number), modes: expect.any(Object) });
  expect((await answered).code).toBe(0);
});

test('small packets are not held back: TCP_NODELAY is set on both sides', async () => {
  const set: string[] = [];
  const spied = (socket: Socket, name: string): Socket => {
    const original = socket.setNoDelay.bind(socket);
    socket.setNoDelay = (on = true) => {
      set.push(`${name} ${on}`);
      return original(on);
    };
    return socket;
  };
  const { privateKey } = await makeSshKey();
  const server = new Server({ hostKeys: [privateKey] });
  server.on('connection', (connection) => connection.on('error', () => {}));
  const listener = await startServer();
  undo.push(() => listener.stop());
  const near = spied(new Socket(), 'client');
  const { client } = startClient(listener.port, { sock: near });
  near.connect(listener.port, '127.0.0.1');
  await once(client as unknown as NodeJS.EventEmitter, 'ready');
  undo.push(() => client.destroy());
  const other = connect(listener.port, '127.0.0.1');
  undo.push(() => other.destroy());
  server.injectSocket(spied(other, 'server'));
  expect(set).toEqual(['client true', 'server true']);
});

test('a message of an unknown type is answered, not ignored', async () => {
  const { client } = await pairWith();
  const answered = new Promise<void>((resolve) => {
    Object.assign(raw(client), {
      _debug: (line: string) => {
        if (line.startsWith('Inbound: Received UNIMPLEMENTED')) resolve();
      },
    });
  });
  sendRaw(client, Buffer.from([192, 0, 0, 0, 0]));
  await answered;
});

test.each([
  ['a window that grows past all numbers', Buffer.from([93, 0, 0, 0, 0, 255, 255, 255, 255])],
  ['an empty message', Buffer.alloc(0)],
  ['a channel that does not exist', Buffer.from([94, 0, 0, 0, 9, 0, 0, 0, 1, 65])],
  ['the last channel there can be', Buffer.from([94, 255, 255, 255, 255, 0, 0, 0, 1, 65])],
  ['a request cut off', Buffer.from([98, 0, 0, 0])],
  ['a channel cut off', Buffer.from([90, 0, 0, 0, 7, 115, 101, 115, 115, 105, 111, 110])],
  ['a login after the login', Buffer.concat([Buffer.from([50]), Buffer.alloc(64)])],
  ['a key exchange out of place', Buffer.from([30, 0, 0, 0, 0])],
  [
    'terminal modes cut off',
    Buffer.from('6200000000000000077074792d72657101000000000000000000000000000000000000000000000002350000', 'hex'),
  ],
])('%s ends one connection at most, and the server goes on', async (_what, payload) => {
  const { client, server, closed } = await pairWith();
  const asked = new Promise<void>((resolve) => client.exec('x', () => resolve()));
  server.connections[0]?.once('session', (accept) => void accept().once('exec', (acceptExec) => void acceptExec()));
  await asked;
  sendRaw(client, payload);
  client.end();
  await closed;
  const { client: next } = startClient(server.port);
  undo.push(() => next.destroy());
  await once(next as unknown as NodeJS.EventEmitter, 'ready');
});

test('a packet that does not verify ends the connection with one error', async () => {
  const { client, connection, server } = await pairWith();
  const closed = closeOf(connection);
  (Reflect.get(client, '_sock') as Socket).write(pattern(4_096));
  await closed;
  expect(server.errors).toHaveLength(1);
});

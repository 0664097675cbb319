import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { CancelRegistry } from '../../../../proxy/protocols/postgres/cancel.ts';

/** A connected pair: the client's end, and ours as the front hands it over. */
async function pair(): Promise<{ client: Socket; socket: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
  const [socket] = await once(server, 'connection');
  server.close();
  return { client, socket };
}

/** A cancel that ends when it is told to. */
function held() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let calls = 0;
  const cancel = () => {
    calls++;
    return promise;
  };
  return { cancel, resolve, reject, calls: () => calls };
}

describe('a cancel request', () => {
  test('holds the client until the upstream has dealt with it', async () => {
    const registry = new CancelRegistry({ limits });
    const { cancel, resolve, calls } = held();
    const key = registry.register(cancel);
    const { client, socket } = await pair();
    const closed = once(client, 'close');
    const done = registry.cancel({ ...key, socket });
    expect(calls()).toBe(1);
    expect(socket.writable).toBe(true);
    resolve();
    await done;
    await closed;
  });

  test.each([
    ['another pid', (key: { pid: number; secret: Buffer }) => ({ ...key, pid: key.pid ^ 1 })],
    [
      'another secret',
      (key: { pid: number; secret: Buffer }) => ({ ...key, secret: Buffer.from(key.secret.map((b) => b ^ 1)) }),
    ],
    [
      'a longer secret',
      (key: { pid: number; secret: Buffer }) => ({ ...key, secret: Buffer.concat([key.secret, Buffer.alloc(1)]) }),
    ],
    ['a shorter secret', (key: { pid: number; secret: Buffer }) => ({ ...key, secret: key.secret.subarray(0, 3) })],
  ])('with %s cancels nothing and is closed without a word', async (_, change) => {
    const registry = new CancelRegistry({ limits });
    const { cancel, calls } = held();
    const key = registry.register(cancel);
    const { client, socket } = await pair();
    const bytes: Buffer[] = [];
    client.on('data', (chunk: Buffer) => bytes.push(chunk));
    const closed = once(client, 'close');
    await registry.cancel({ ...change(key), socket });
    await closed;
    expect([calls(), bytes]).toEqual([0, []]);
  });

  test('for a session that ended, or with the key of another session, cancels nothing of anybody', async () => {
    const registry = new CancelRegistry({ limits });
    const [ended, other] = [held(), held()];
    const endedKey = registry.register(ended.cancel);
    const otherKey = registry.register(other.cancel);
    registry.release(endedKey);
    await registry.cancel({ ...endedKey, socket: (await pair()).socket });
    await registry.cancel({ pid: otherKey.pid, secret: endedKey.secret, socket: (await pair()).socket });
    expect([ended.calls(), other.calls()]).toEqual([0, 0]);
  });

  test('a key released twice does not take a later one with it', () => {
    const bytes = [Buffer.from('ffffffff', 'hex'), Buffer.from('00000002', 'hex')];
    let at = 0;
    const registry = new CancelRegistry({ limits, random: () => bytes[at++ % 2] ?? Buffer.alloc(4) });
    const first = registry.register(held().cancel);
    registry.release(first);
    const second = registry.register(held().cancel);
    registry.release(first);
    expect(registry.register(held().cancel).pid).not.toBe(second.pid);
  });

  test('past the bounds, of a session or over all, is dropped', async () => {
    const registry = new CancelRegistry({ limits: { postgresCancelsMax: 3, postgresCancelsPerSessionMax: 2 } });
    const [a, b] = [held(), held()];
    const [keyA, keyB] = [registry.register(a.cancel), registry.register(b.cancel)];
    const attempts = [keyA, keyA, keyA, keyB, keyB].map(async (key) =>
      registry.cancel({ ...key, socket: (await pair()).socket }),
    );
    // The third of A and the second of B are over their bounds: they end while the others are held.
    await Promise.race([Promise.all([attempts[2], attempts[4]])]);
    expect([a.calls(), b.calls()]).toEqual([2, 1]);
    a.resolve();
    b.resolve();
    await Promise.all(attempts);
    await registry.cancel({ ...keyA, socket: (await pair()).socket });
    expect(a.calls()).toBe(3);
  });

  test('that fails at the upstream, or whose client is gone, ends all the same', async () => {
    const registry = new CancelRegistry({ limits });
    const { cancel, reject } = held();
    const { client, socket } = await pair();
    const done = registry.cancel({ ...registry.register(cancel), socket });
    client.destroy();
    reject(new Error('unreachable'));
    await done;
    expect(socket.destroyed || !socket.writable).toBe(true);
  });

  test('has keys that differ in every session and are positive', () => {
    const registry = new CancelRegistry({ limits });
    const keys = Array.from({ length: 1000 }, () => registry.register(async () => {}));
    expect(new Set(keys.map(({ pid }) => pid)).size).toBe(1000);
    expect(new Set(keys.map(({ secret }) => secret.toString('hex'))).size).toBeGreaterThan(990);
    expect(keys.every(({ pid }) => pid > 0 && pid < 2 ** 31)).toBe(true);
  });
});

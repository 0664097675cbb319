import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { dial, mayReach } from '../../../../proxy/protocols/http/forward/dial.ts';

describe('an address', () => {
  test.each([
    ['169.254.169.254', '169.254.169.254'],
    ['169.254.169.254', 'metadata.example'],
    ['::ffff:169.254.169.254', '::ffff:169.254.169.254'],
    ['::ffff:a9fe:a9fe', 'api.example'],
    ['100.100.100.200', 'api.example'],
    ['fd00:ec2::254', 'api.example'],
    ['fe80::1', 'api.example'],
    ['0.0.0.0', '0.0.0.0'],
    ['::', '::'],
    ['0.1.2.3', 'api.example'],
    ['224.0.0.1', 'api.example'],
    ['255.255.255.255', '255.255.255.255'],
    ['ff02::1', 'api.example'],
    ['127.0.0.1', 'api.example'],
    ['127.8.9.1', 'api.example'],
    ['::1', 'api.example'],
    ['::ffff:127.0.0.1', 'api.example'],
    ['not-an-address', 'api.example'],
  ])('%s is never reached under the name %s', (address, asked) => {
    expect(mayReach(address, asked)).toBe(false);
  });

  test.each([
    ['93.184.216.34', 'api.example'],
    ['10.1.2.3', 'api.example'],
    ['2001:db8::1', 'api.example'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['127.0.0.1', 'localhost'],
  ])('%s may be reached under the name %s', (address, asked) => {
    expect(mayReach(address, asked)).toBe(true);
  });
});

describe('a destination', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((socket) => {
      // Whom it greeted may be gone before it is done.
      socket.on('error', () => {});
      socket.end('here');
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = server.address();
    port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  });
  afterAll(() => {
    server.close();
  });

  const options = { timeoutMs: 2_000, isUpstream: () => false, signal: new AbortController().signal };

  test('is connected to', async () => {
    const socket = await dial({ host: '127.0.0.1', port }, options);
    const [first] = await socket.take(1).toArray();
    expect(String(first)).toBe('here');
  });

  test('is not, when its name leads to this machine', async () => {
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
    await expect(dial({ host: 'api.example', port }, { ...options, resolve })).rejects.toMatchObject({
      code: 'upstream_unavailable',
    });
  });

  test('is not, when its address is that of an upstream', async () => {
    const isUpstream = (address: string, at: number) => address === '127.0.0.1' && at === port;
    await expect(dial({ host: 'localhost', port }, { ...options, isUpstream })).rejects.toMatchObject({
      code: 'upstream_unavailable',
    });
  });

  test('of several addresses is reached by one that may be', async () => {
    const asked: string[] = [];
    const resolve = async (host: string) => {
      asked.push(host);
      return [
        { address: '169.254.169.254', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ];
    };
    const socket = await dial({ host: 'localhost', port }, { ...options, resolve });
    expect(socket.remoteAddress).toBe('127.0.0.1');
    expect(asked).toEqual(['localhost']);
    socket.destroy();
  });

  test('that has no address is not there', async () => {
    const resolve = () => Promise.reject(new Error('ENOTFOUND'));
    await expect(dial({ host: 'nowhere.example', port }, { ...options, resolve })).rejects.toMatchObject({
      code: 'upstream_unavailable',
    });
  });

  test('is given up when nobody waits for it any more', async () => {
    const signal = AbortSignal.abort();
    await expect(dial({ host: '127.0.0.1', port }, { ...options, signal })).rejects.toMatchObject({
      code: 'upstream_unavailable',
    });
  });
});

import { once } from 'node:events';
import { createServer } from 'node:net';
import { connect } from 'node:tls';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readHello, ServerNameCheck } from '../../../../proxy/protocols/http/forward/server-name.ts';

/** The first bytes of a real client. */
async function helloOf(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const accepted = once(server, 'connection');
  const client = connect({ port, host: '127.0.0.1', ...options });
  client.on('error', () => {});
  const [socket] = await accepted;
  const [bytes] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

let hello: Buffer;
beforeAll(async () => {
  hello = await helloOf({ servername: 'api.example', ALPNProtocols: ['h2', 'http/1.1'] });
});

describe('the name in a first message', () => {
  test('is read', () => {
    expect(readHello(hello)).toEqual({ serverName: 'api.example' });
  });

  test('may be missing', async () => {
    expect(readHello(await helloOf({}))).toEqual({ serverName: undefined });
  });

  test('is not looked for before the message is all there', () => {
    for (let length = 0; length < hello.length; length += 1) {
      expect(readHello(hello.subarray(0, length))).toBe('more');
    }
  });

  test('is found when the message is cut over several records', () => {
    const message = hello.subarray(5);
    const record = (part: Buffer) =>
      Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part]);
    for (const at of [1, 3, 4, 40, message.length - 1]) {
      const cut = Buffer.concat([record(message.subarray(0, at)), record(message.subarray(at))]);
      expect(readHello(cut)).toEqual({ serverName: 'api.example' });
    }
  });

  test('is not asked of what is not TLS', () => {
    expect(readHello(Buffer.from('SSH-2.0-x\r\n'))).toBe('other');
  });

  test('no mutation of a message makes the reader do anything but answer or refuse', () => {
    for (let at = 0; at < hello.length; at += 1) {
      for (const value of [0, 1, 127, 255]) {
        const mutant = Buffer.from(hello);
        mutant[at] = value;
        try {
          expect(['more', 'other', 'object']).toContain(
            typeof readHello(mutant) === 'string' ? readHello(mutant) : 'object',
          );
        } catch (error) {
          expect(error).toMatchObject({ name: 'RangeError' });
        }
      }
    }
  });
});

describe('a tunnel', () => {
  test('passes a client that names the server it was opened to, wherever its bytes are cut', () => {
    for (let at = 0; at <= hello.length; at += 7) {
      const check = new ServerNameCheck('api.example');
      const passed = [hello.subarray(0, at), hello.subarray(at), Buffer.from('then anything')].flatMap((chunk) =>
        chunk.length === 0 ? [] : (check.take(chunk) ?? []),
      );
      expect(Buffer.concat(passed)).toEqual(Buffer.concat([hello, Buffer.from('then anything')]));
    }
  });

  test('stops one that names another', () => {
    const check = new ServerNameCheck('cdn.example');
    expect(check.take(hello.subarray(0, 50))).toBeUndefined();
    expect(() => check.take(hello.subarray(50))).toThrow(RangeError);
  });

  test('stops what only looks like a first message', () => {
    const endless = Buffer.concat([Buffer.from([22, 3, 1, 255, 255, 1, 255, 255, 255]), Buffer.alloc(64)]);
    expect(() => new ServerNameCheck('api.example').take(endless)).toThrow(RangeError);
  });
});

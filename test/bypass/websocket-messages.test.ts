/**
 * Frames as bytes, from both sides, through the whole gateway: a secret that hides in how a message is cut, coded or framed does
 * not reach the client, and what policy did not judge does not reach the upstream.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { deflateRawSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { closing, frame, type Written } from '../unit/protocols/http/websocket/wire.ts';

const secret = `ghp_${'a1B2'.repeat(9)}`;
const limits = { http_websocket_close_ms: 500 };
const server = createServer();
const open: Duplex[] = [];
/** Headers of the answer to the next handshake besides the usual. */
let extra = '';
let arrived: (socket: Duplex) => void = () => {};
let heard = Buffer.alloc(0);
let upstream: Upstream;
let gateway: HttpGateway;
let token: string;

server.on('upgrade', (request, socket) => {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash('sha1').update(key).digest('base64');
  open.push(socket);
  heard = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    heard = Buffer.concat([heard, chunk]);
  });
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${extra}\r\n`,
  );
  arrived(socket);
});

beforeAll(async () => {
  upstream = await startUpstream(server);
  gateway = await startHttpGateway({
    limits,
    upstreams: [
      {
        ...{ name: 'web', host: upstream.host, port: upstream.port, websockets: true },
        routes: [{ path: '/masked' }, { path: '/judged' }],
      },
    ],
    data: {
      upstreams: { web: { labels: { env: 'prod' } } },
      http: {
        upstreams: {
          web: {
            websockets: ['/masked', '/judged'],
            messages: { '/judged': { member: 'type', allow: ['subscribe'] } },
          },
        },
      },
    },
  });
  token = await gateway.token();
});
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
  extra = '';
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** A connection of both sides, after their handshakes; `received` is all that the client is told, to the end. */
async function opened(path: string, ...headers: string[]) {
  const far = new Promise<Duplex>((resolve) => {
    arrived = resolve;
  });
  const { socket, received } = ask(path, ...headers);
  return { client: socket, server: await far, received };
}

/** A handshake, and what comes of it. */
function ask(path: string, ...headers: string[]): { readonly socket: Socket; readonly received: Promise<Buffer> } {
  const socket = connect(gateway.port, '127.0.0.1');
  open.push(socket);
  const pieces: Buffer[] = [];
  const received = new Promise<Buffer>((resolve) => {
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => pieces.push(chunk));
    socket.on('close', () => {
      const bytes = Buffer.concat(pieces);
      resolve(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4));
    });
  });
  const lines = [
    ...[`GET ${path} HTTP/1.1`, 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade'],
    ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', `Authorization: Bearer ${token}`],
    ...[...headers, '', ''],
  ];
  socket.write(lines.join('\r\n'));
  return { socket, received };
}

/** The code of the Close that the client is told as the last thing. */
function closeCode(received: Buffer): number | undefined {
  const at = received.lastIndexOf(0x88);
  return at < 0 || received.length < at + 4 ? undefined : received.readUInt16BE(at + 2);
}

const end = frame({ opcode: 8, payload: closing(1000) });

describe('a secret of the upstream', () => {
  const cuts = Array.from({ length: secret.length - 1 }, (_, at) => at + 1);

  test('is masked when it is cut in two, at any byte, with a ping in between', async () => {
    const { server: far, client, received } = await opened('/masked');
    for (const at of cuts) {
      far.write(
        Buffer.concat([
          frame({ opcode: 1, payload: secret.slice(0, at), final: false }),
          frame({ opcode: 9 }),
          frame({ opcode: 0, payload: secret.slice(at) }),
        ]),
      );
    }
    far.end(end);
    client.on('data', (chunk: Buffer) => {
      if (chunk.includes(end.subarray(0, 1))) client.end(frame({ opcode: 8, payload: closing(1000), masked: true }));
    });
    const got = await received;
    expect(got.toString('latin1').match(/\[redacted\]/g)).toHaveLength(cuts.length);
    expect(got.toString('latin1')).not.toMatch(/ghp_|a1B2/);
  });

  const hidden: readonly (readonly [string, number, ...Written[]])[] = [
    ['in a binary message', 1008, { opcode: 2, payload: secret }],
    ['in a compressed message', 1014, { opcode: 1, payload: deflateRawSync(secret), reserved: 4 }],
    ['in a frame that only says that it is compressed', 1014, { opcode: 1, payload: secret, reserved: 4 }],
    ['in a masked frame', 1014, { opcode: 1, payload: secret, masked: true }],
    ['behind a length that is longer than need be', 1014, { opcode: 1, payload: secret, lengthBytes: 2 }],
    ['behind one that is much longer', 1014, { opcode: 1, payload: secret, lengthBytes: 8 }],
    ['in a frame of a kind that is not known', 1014, { opcode: 5, payload: secret }],
    ['in a control frame of a kind that is not known', 1014, { opcode: 12, payload: secret }],
    ['in a continuation of nothing', 1014, { opcode: 0, payload: secret }],
    ['in a ping in parts', 1014, { opcode: 9, payload: secret, final: false }],
    ['in a close with a code that is not to be sent', 1014, { opcode: 8, payload: closing(1006, secret) }],
    ['as a text that is not UTF-8', 1014, { opcode: 1, payload: Buffer.from(`${secret}\xff`, 'latin1') }],
    [
      'in a message that begins inside another',
      1014,
      { opcode: 1, payload: 'a', final: false },
      { opcode: 1, payload: secret },
    ],
    [
      'in a binary message that goes on as a text',
      1014,
      { opcode: 2, payload: secret, final: false },
      { opcode: 1, payload: 'a' },
    ],
  ];
  test.each(hidden)('does not arrive %s, and the client is told %d', async (_what, code, ...frames) => {
    const { server: far, received } = await opened('/masked');
    far.write(Buffer.concat([frame({ opcode: 1, payload: 'before' }), ...frames.map(frame)]));
    const got = await received;
    expect(got.toString('latin1')).toContain('before');
    expect(got.toString('latin1')).not.toMatch(/ghp_|a1B2/);
    expect(closeCode(got)).toBe(code);
  });

  test.each([
    ['a ping', [{ opcode: 9, payload: secret }, { opcode: 8 }]],
    ['a pong that nobody asked for', [{ opcode: 10, payload: secret }, { opcode: 8 }]],
    ['the reason of a close', [{ opcode: 8, payload: closing(1000, secret) }]],
    ['what comes behind a close', [{ opcode: 8 }, { opcode: 1, payload: secret }]],
  ])('does not arrive in %s', async (_what, frames) => {
    const { server: far, received } = await opened('/masked');
    far.write(Buffer.concat(frames.map(frame)));
    expect((await received).toString('latin1')).not.toMatch(/ghp_|a1B2/);
  });

  test('does not arrive in a message that never ends', async () => {
    const { server: far, received } = await opened('/masked');
    far.write(frame({ opcode: 1, payload: secret, final: false }));
    far.end();
    const got = await received;
    expect(got.toString('latin1')).not.toMatch(/ghp_|a1B2/);
    expect(closeCode(got)).toBe(1014);
  });
});

test('an extension that the upstream takes up all the same, or another subprotocol, ends the handshake', async () => {
  for (const header of ['Sec-WebSocket-Extensions: permessage-deflate\r\n', 'Sec-WebSocket-Protocol: other\r\n']) {
    extra = header;
    const { received, socket } = ask('/masked', 'Sec-WebSocket-Extensions: permessage-deflate');
    const first = new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(String(chunk))));
    expect(await first).toMatch(/^HTTP\/1\.1 502 /);
    await received;
  }
});

describe('what policy did not judge', () => {
  const bad = '{"type":"delete"}';
  const attempts: readonly (readonly [string, number, ...Written[]])[] = [
    ['in a frame that is not masked', 1002, { opcode: 1, payload: bad }],
    ['in a frame that says that it is compressed', 1002, { opcode: 1, payload: bad, masked: true, reserved: 4 }],
    ['in a binary message', 1008, { opcode: 2, payload: bad, masked: true }],
    ['in a message of its own', 1008, { opcode: 1, payload: bad, masked: true }],
    ['behind a length that is longer than need be', 1002, { opcode: 1, payload: bad, masked: true, lengthBytes: 8 }],
    [
      'in parts',
      1008,
      { opcode: 1, payload: '{"type":"sub', masked: true, final: false },
      { opcode: 0, payload: 'scribe","type":"delete"}', masked: true },
    ],
    [
      'behind one that is allowed, in its own message',
      1002,
      { opcode: 1, payload: '{"type":"subscribe"}', masked: true, final: false },
      { opcode: 1, payload: bad, masked: true },
    ],
  ];
  test.each(attempts)('does not arrive %s, and the client is told %d', async (_what, code, ...frames) => {
    const { client, received } = await opened('/judged');
    client.write(Buffer.concat(frames.map(frame)));
    expect(closeCode(await received)).toBe(code);
    expect(unmasked(heard)).not.toContain('delete');
    expect(unmasked(heard)).not.toContain('subscribe');
  });

  test('does not arrive in a ping, in a pong or in the reason of a close, and the answer to a ping is what it was', async () => {
    const { client, server: far, received } = await opened('/judged');
    const payloads = [9, 10].map((opcode) => frame({ opcode, payload: 'smuggled', masked: true }));
    client.write(Buffer.concat([...payloads, frame({ opcode: 8, payload: closing(1000, 'smuggled'), masked: true })]));
    await new Promise((resolve) => far.once('data', resolve));
    far.end(end);
    await received;
    expect(unmasked(heard)).not.toContain('smuggled');
    expect(heard[0]).toBe(0x89);
  });
});

/** The payloads of the frames that a client sent, short ones. */
function unmasked(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at + 6 <= bytes.length; ) {
    const length = (bytes[at + 1] ?? 0) & 0x7f;
    const key = bytes.subarray(at + 2, at + 6);
    for (let n = 0; n < length; n++) text += String.fromCharCode((bytes[at + 6 + n] ?? 0) ^ (key[n & 3] ?? 0));
    at += 6 + length;
  }
  return text;
}

/**
 * Why the front is our own (`proxy/adr/0001-own-the-postgres-front.md`): what pg-gateway 0.2.4 does with the same
 * bytes. When one of these tests fails after an update, a reason is gone and the decision can be looked at again.
 */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { PostgresConnection, type PostgresConnectionOptions, type State } from 'pg-gateway';
import { backend, frontend, startup } from '../../../../proxy/protocols/postgres/codec.ts';
import { type Certificates, makeCertificates } from '../../../support/tls.ts';

let certificates: Certificates;
let tls: { cert: Buffer; key: Buffer };
const open: Socket[] = [];

beforeAll(async () => {
  certificates = await makeCertificates();
  tls = { cert: Buffer.from(certificates.server.certificate), key: Buffer.from(certificates.server.key) };
});

afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** A client connected to a pg-gateway connection. */
async function connection(options: PostgresConnectionOptions) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket]: Socket[] = await once(server, 'connection');
  server.close();
  if (socket === undefined) throw new Error('no connection');
  for (const each of [client, socket]) open.push(each.on('error', () => {}));
  return { client, socket, gateway: new PostgresConnection(socket, options) };
}

/** How many bytes it holds unread. Private to the library; the evidence needs it. */
function bytesHeld(gateway: PostgresConnection): unknown {
  return Reflect.get(gateway, 'bufferLength');
}

const anyone = startup.startupMessage([['user', 'ana']]);

describe('pg-gateway 0.2.4', () => {
  test('cuts the second message of a segment short: the subarray ends where its length would from zero', async () => {
    const messages = [frontend.parse('', 'select 1'), frontend.bind('', ''), frontend.execute('')];
    const seen: number[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const { client } = await connection({
      authMode: 'none',
      onMessage(data: Uint8Array, state: State) {
        if (!state.isAuthenticated) return false;
        if (seen.push(data.length) === messages.length) resolve();
        return true;
      },
    });
    client.write(anyone);
    await once(client, 'data');
    client.write(Buffer.concat(messages));
    await promise;
    expect(seen[0]).toBe(messages[0]?.length);
    expect(seen.slice(1)).not.toEqual(messages.slice(1).map(({ length }) => length));
  });

  test('takes a plain startup packet behind the request for TLS as if it had been sent inside (CVE-2021-23214)', async () => {
    const started = Promise.withResolvers<State>();
    const { client } = await connection({
      tls,
      authMode: 'cleartextPassword',
      onStartup(state) {
        started.resolve(state);
        return true;
      },
    });
    // Eight more bytes behind the packet's end, which the fault of the first test takes away again.
    const smuggled = Buffer.concat([startup.startupMessage([['user', 'mallory']]), Buffer.alloc(8)]);
    smuggled.writeInt32BE(smuggled.length);
    client.write(Buffer.concat([startup.sslRequest(), smuggled]));
    await once(client, 'data');
    connectTls({ socket: client, ca: certificates.ca, servername: 'localhost' }).on('error', () => {});
    expect(await started.promise).toMatchObject({ tlsInfo: {}, clientInfo: { parameters: { user: 'mallory' } } });
  });

  test('asks for the password in clear although TLS is configured', async () => {
    const { client } = await connection({ tls, authMode: 'cleartextPassword' });
    client.write(anyone);
    const [answer] = await once(client, 'data');
    expect(answer).toEqual(backend.authentication(3));
  });

  test('keeps 16 MB of a startup packet that never ends', async () => {
    const { client, socket, gateway } = await connection({});
    const bytes = 16 * 1024 * 1024;
    const header = Buffer.from([0x3f, 0xff, 0xff, 0xff]);
    client.write(Buffer.concat([header, Buffer.alloc(bytes - 4)]));
    while (socket.bytesRead < bytes) await once(socket, 'data');
    expect(bytesHeld(gateway)).toBe(bytes);
    expect(socket.destroyed).toBe(false);
  });

  test('answers a query before the login, and prints its text', async () => {
    const printed = jest.spyOn(console, 'log').mockImplementation(() => {});
    const { client } = await connection({ authMode: 'cleartextPassword' });
    client.write(anyone);
    await once(client, 'data');
    client.write(frontend.query("select 'secret'"));
    let answer = Buffer.alloc(0);
    while (answer.length < 6 || answer.at(-6) !== 0x5a)
      answer = Buffer.concat([answer, (await once(client, 'data'))[0]]);
    expect(answer.toString('latin1', 0, 1)).toBe('E');
    expect(answer.subarray(-6)).toEqual(backend.readyForQuery('I'));
    expect(printed).toHaveBeenCalledWith(expect.stringContaining('secret'));
    printed.mockRestore();
  });

  test('loses what it has read when it is detached', async () => {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const { client, gateway } = await connection({
      authMode: 'cleartextPassword',
      onMessage(data: Uint8Array, state: State) {
        if (!state.hasStarted || data[0] !== 0x70) return false;
        resolve(gateway.detach());
        return true;
      },
    });
    client.write(anyone);
    await once(client, 'data');
    const early = frontend.query('select 1').subarray(0, 7);
    client.write(Buffer.concat([frontend.password('token'), early]));
    const socket = await promise;
    client.write('!');
    const [next] = await once(socket, 'data');
    expect(next).toEqual(Buffer.from('!'));
    expect(bytesHeld(gateway)).toBe(early.length);
  });
});

/** What the authentication protocol lets a server see and say, and what a client may not do before it is over. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import type * as types from 'ssh2';
import { parseCertificate } from '../../../../../proxy/protocols/ssh/certificate.ts';
import { verifySignature } from '../../../../../proxy/protocols/ssh/public-key.ts';
import { testWith } from '../../../../clients/tools.ts';
import { makeCertificate, makeSshKey } from '../../../../support/ssh-keys.ts';
import {
  closeOf,
  exec,
  openssh,
  raw,
  sendRaw,
  startClient,
  startServer,
  type TestServer,
  turns,
  until,
} from './pair.ts';

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

async function serve(options: Parameters<typeof startServer>[0] = {}): Promise<TestServer> {
  const server = await startServer(options);
  undo.push(() => server.stop());
  return server;
}

function joined(client: ReturnType<typeof startClient>) {
  undo.push(() => client.client.destroy());
  return client;
}

describe('a banner', () => {
  test('can say at any time before the success why an attempt failed', async () => {
    const server = await serve({
      authenticate: (attempt, connection) => {
        if (attempt.method === 'password') return attempt.accept();
        expect(connection.banner('first things first\r\n')).toBe(true);
        attempt.reject(['password']);
      },
    });
    const { client } = joined(startClient(server.port, { password: 'x', authHandler: ['none', 'password'] }));
    const banner = once(client as unknown as NodeJS.EventEmitter, 'banner');
    const ready = once(client as unknown as NodeJS.EventEmitter, 'ready');
    expect(await banner).toEqual(['first things first\r\n']);
    await ready;
    expect(server.connections[0]?.banner('too late')).toBe(false);
  });

  testWith(['ssh'])('is shown by the OpenSSH client', async () => {
    const server = await serve({
      authenticate: (attempt, connection) => {
        connection.banner('sallyport: the certificate has expired\r\n');
        attempt.reject(['publickey']);
      },
    });
    const { code, stderr } = await openssh(server.port, ['agent@127.0.0.1', 'x'], undefined, ['-o', 'LogLevel=INFO']);
    expect(code).toBe(255);
    expect(stderr).toContain('sallyport: the certificate has expired');
  });
});

describe('a certificate of a user', () => {
  testWith(['ssh-keygen']).each([
    ['ed25519', 'ssh-ed25519'],
    ['ecdsa-256', 'ecdsa-sha2-nistp256'],
    ['rsa-2048', 'rsa-sha2-512'],
  ] as const)('of OpenSSH reaches the server intact: %s', async (type, algorithm) => {
    const [authority, key] = await Promise.all([makeSshKey(), makeSshKey(type)]);
    const certificate = await makeCertificate({
      ...{ ca: authority, publicKey: key.publicKey, kind: 'user', principals: ['agent'] },
    });
    const attempts: types.PublicKeyAuthContext[] = [];
    const server = await serve({
      authenticate: (attempt) => {
        if (attempt.method !== 'publickey') return attempt.reject(['publickey']);
        attempts.push(attempt);
        if (attempt.key.algo.includes('-cert-')) attempt.accept();
        else attempt.reject(['publickey']);
      },
      connected: (connection) => {
        connection.on('session', (accept) => {
          accept().on('exec', (acceptExec) => {
            const channel = acceptExec();
            channel.exit(0);
            channel.end('in');
          });
        });
      },
    });
    const directory = await mkdtemp(join(tmpdir(), 'sallyport-login-'));
    undo.push(() => rm(directory, { recursive: true }));
    await writeFile(join(directory, 'key'), key.privateKey, { mode: 0o600 });
    await writeFile(join(directory, 'key-cert.pub'), `${certificate}\n`);
    const { stdout } = await openssh(server.port, ['-i', join(directory, 'key'), 'agent@127.0.0.1', 'x']);
    expect(stdout.toString()).toBe('in');

    const signed = attempts.find((attempt) => attempt.signature !== undefined);
    if (signed?.blob === undefined || signed.signature === undefined) throw new Error('there is no signature');
    expect(signed.key.algo).toBe(`${algorithm}-cert-v01@openssh.com`);
    expect(signed.key.data.toString('base64')).toBe(certificate.split(' ')[1]);
    const read = parseCertificate(signed.key.data);
    if ('fault' in read) throw new Error(read.fault.message);
    expect(verifySignature(read.certificate.publicKey, signed.key.algo, signed.blob, signed.signature)).toBe(true);
    const changed = Buffer.from(signed.blob);
    changed[40] = (changed[40] ?? 0) ^ 1;
    expect(verifySignature(read.certificate.publicKey, signed.key.algo, changed, signed.signature)).toBe(false);
  });
});

test('the algorithms for signatures are told one by one, and none of them uses SHA-1', async () => {
  const server = await serve();
  const { client } = joined(startClient(server.port));
  const told = await new Promise<unknown>((resolve) => {
    raw(client)._handlers.EXT_INFO = ((_protocol: unknown, extensions: unknown) => resolve(extensions)) as never;
  });
  expect(told).toEqual([
    {
      name: 'server-sig-algs',
      algs: [
        'ssh-ed25519',
        'ecdsa-sha2-nistp256',
        'ecdsa-sha2-nistp384',
        'ecdsa-sha2-nistp521',
        'rsa-sha2-512',
        'rsa-sha2-256',
      ],
    },
  ]);
});

testWith(['ssh-keygen'])('a client signs with SHA-2 also for a server that does not say what it knows', async () => {
  const key = await makeSshKey('rsa-2048');
  const seen: string[] = [];
  const server = await serve({
    authenticate: (attempt) => {
      if (attempt.method !== 'publickey') return attempt.reject(['publickey']);
      seen.push(`${attempt.key.algo} ${attempt.hashAlgo}`);
      attempt.accept();
    },
  });
  const { client } = joined(startClient(server.port, { privateKey: key.privateKey, authHandler: ['publickey'] }));
  raw(client)._handlers.EXT_INFO = () => {};
  await once(client as unknown as NodeJS.EventEmitter, 'ready');
  expect(new Set(seen)).toEqual(new Set(['ssh-rsa sha512']));
});

describe('attempts that a client does not wait with', () => {
  test('are judged and answered in their order', async () => {
    const seen: string[] = [];
    const server = await serve({
      authenticate: (attempt) => {
        const name = attempt.method === 'password' ? attempt.password : attempt.method;
        seen.push(name);
        setImmediate(() => (name === 'last' ? attempt.accept() : attempt.reject(['password'])));
      },
    });
    const { client } = joined(startClient(server.port, { authHandler: () => false as never }));
    const send = (password: string) =>
      (raw(client) as unknown as { authPassword: (user: string, password: string) => void }).authPassword(
        'agent',
        password,
      );
    client.once('handshake', () => {
      raw(client)._handlers.USERAUTH_FAILURE = () => {};
      raw(client)._handlers.SERVICE_ACCEPT = () => ['first', 'second', 'third', 'last'].forEach(send);
    });
    await once(client as unknown as NodeJS.EventEmitter, 'ready');
    expect(seen).toEqual(['first', 'second', 'third', 'last']);
  });

  test('go on after one that only asked whether a key would do', async () => {
    const key = await makeSshKey();
    const server = await serve({
      authenticate: (attempt) => {
        if (attempt.method === 'publickey' || attempt.method === 'password') setImmediate(() => attempt.accept());
        else attempt.reject();
      },
    });
    const { client } = joined(startClient(server.port, { authHandler: () => false as never }));
    client.once('handshake', () => {
      raw(client)._handlers.USERAUTH_PK_OK = () => {};
      raw(client)._handlers.SERVICE_ACCEPT = () => {
        raw(client).authPK('agent', key.privateKey);
        (raw(client) as unknown as { authPassword: (user: string, password: string) => void }).authPassword(
          'agent',
          'x',
        );
      };
    });
    await once(client as unknown as NodeJS.EventEmitter, 'ready');
  });
});

describe('before a client is authenticated', () => {
  /** Waits for a server to be past the key exchange with its first client. */
  async function handshaken() {
    const server = await serve({ authenticate: () => {} });
    const started = joined(startClient(server.port));
    await once(started.client as unknown as NodeJS.EventEmitter, 'handshake');
    const connection = await until(() => server.connections[0]);
    return { server, connection, ...started };
  }

  test.each([
    ['a global request', (client: object) => raw(client).ping()],
    ['a channel', (client: object) => raw(client).session(0, 1_000_000, 32_768)],
    ['channel data', (client: object) => raw(client).channelData(0, Buffer.from('x'))],
  ])('%s ends the connection', async (_what, send) => {
    const { server, connection, client } = await handshaken();
    const closed = closeOf(connection);
    send(client);
    await closed;
    expect(server.errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^Received packet type \d+ before authentication$/),
    ]);
  });

  test('a host that speaks of channels is left', async () => {
    const { connection, errors, closed } = await handshaken();
    raw(connection).ping();
    await closed;
    expect(errors.map(({ message }) => message)).toEqual(['Received packet type 80 before authentication']);
  });
});

describe('after a connection was ended', () => {
  test('nothing that still comes is taken', async () => {
    const server = await serve();
    const { client, closed } = joined(startClient(server.port));
    await once(client as unknown as NodeJS.EventEmitter, 'ready');
    const connection = await until(() => server.connections[0]);
    let asked = 0;
    connection.on('session', () => {
      asked += 1;
    });
    exec(client).catch(() => {});
    exec(client).catch(() => {});
    connection.end();
    await closed;
    await turns();
    expect(asked).toBe(0);
  });

  test('the rest of a chunk with a fatal message in it is not taken', async () => {
    const server = await serve();
    const { client, closed } = joined(startClient(server.port));
    await once(client as unknown as NodeJS.EventEmitter, 'ready');
    const connection = await until(() => server.connections[0]);
    let asked = 0;
    connection.on('session', () => {
      asked += 1;
    });
    const socket = Reflect.get(client, '_sock') as { cork(): void; uncork(): void };
    socket.cork();
    sendRaw(client, Buffer.from([98, 0, 0, 0, 0])); // CHANNEL_REQUEST, cut off
    exec(client).catch(() => {});
    socket.uncork();
    await closed;
    expect({ asked, errors: server.errors.map(({ message }) => message) }).toEqual({
      asked: 0,
      errors: [expect.stringMatching(/Malformed CHANNEL_REQUEST/)],
    });
  });
});

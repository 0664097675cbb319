import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../../proxy/core/clock.ts';
import { GatewayError } from '../../../../proxy/core/errors.ts';
import { limits } from '../../../../proxy/core/limits.ts';
import type { Clock } from '../../../../proxy/core/ports.ts';
import { type Connection, Server as SshServerOf } from '../../../../proxy/protocols/ssh/ssh2.ts';
import { connectUpstream, type SshLink, type SshUpstreamOptions } from '../../../../proxy/protocols/ssh/upstream.ts';
import { describeTools } from '../../../clients/tools.ts';
import { makeCertificate, makeSshKey, type SshKey } from '../../../support/ssh-keys.ts';
import { findSshd, type SshdOptions, type SshServer, startSshd } from '../../../support/sshd.ts';

describeTools(['ssh-keygen'], findSshd() === undefined ? ['sshd'] : [], () => {
  let authority: SshKey;
  let other: SshKey;
  let plain: SshServer;
  const undo: (() => unknown)[] = [];

  beforeAll(async () => {
    [authority, other] = await Promise.all([makeSshKey(), makeSshKey()]);
    plain = await startSshd({ userAuthorities: [authority.publicKey] });
  });

  afterAll(() => plain.stop());

  afterEach(async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  });

  function optionsFor(server: SshServer, changes: Partial<SshUpstreamOptions> = {}): SshUpstreamOptions {
    return {
      host: server.host,
      port: server.port,
      hostKeys: [server.hostKey],
      hostAuthorities: [],
      credentials: { user: server.user, key: server.clientKey, certificate: undefined },
      clock: systemClock,
      limits,
      ...changes,
    };
  }

  async function connect(server: SshServer, changes: Partial<SshUpstreamOptions> = {}): Promise<SshLink> {
    const link = await connectUpstream(optionsFor(server, changes));
    undo.push(async () => {
      link.end();
      await link.closed;
    });
    return link;
  }

  /** The code and the sentence that a connection fails with. */
  async function failure(server: SshServer, changes: Partial<SshUpstreamOptions> = {}): Promise<string> {
    const thrown: unknown = await connect(server, changes).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(thrown instanceof GatewayError)) throw new Error('it did not fail with a GatewayError', { cause: thrown });
    return `${thrown.code}: ${thrown.message}`;
  }

  function run(link: SshLink, command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      link.client.exec(command, (error, channel) => {
        if (error) return reject(error);
        let output = '';
        channel.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
        channel.once('close', () => resolve(output));
      });
    });
  }

  async function certifiedHost(certificate: Omit<NonNullable<SshdOptions['hostCertificate']>, 'ca'>) {
    const server = await startSshd({ hostCertificate: { ca: authority, ...certificate } });
    undo.push(() => server.stop());
    return server;
  }

  const byAuthority = () => ({ hostKeys: [], hostAuthorities: [authority.publicKey] });

  describe('a host with a pinned key', () => {
    test('is logged in to, and runs commands', async () => {
      const link = await connect(plain);
      expect(await run(link, 'echo "$((6 * 7))"')).toBe('42\n');
    });

    test('may be pinned by any of several keys', async () => {
      await connect(plain, { hostKeys: [other.publicKey, plain.hostKey] });
    });

    test('is refused when its key is another one', async () => {
      expect(await failure(plain, { hostKeys: [other.publicKey] })).toBe(
        'upstream_unavailable: The host’s key is not the one that is configured.',
      );
    });

    test('is refused when it has no key of a kind that is pinned', async () => {
      const { publicKey } = await makeSshKey('ecdsa-256');
      expect(await failure(plain, { hostKeys: [publicKey] })).toMatch(/does not speak SSH in a way that the gateway/);
    });

    test.each(['ecdsa-256', 'ecdsa-521', 'rsa-3072'] as const)('may have a key of the kind %s', async (hostKeyType) => {
      const server = await startSshd({ hostKeyType });
      undo.push(() => server.stop());
      expect(await run(await connect(server), 'echo yes')).toBe('yes\n');
    });

    test('is accepted by its pinned key although it shows a certificate nobody trusts', async () => {
      const server = await certifiedHost({ principals: ['elsewhere.example'] });
      await connect(server, { hostAuthorities: [other.publicKey] });
    });

    test('is never trusted without anything to know it by', async () => {
      expect(await failure(plain, { hostKeys: [] })).toMatch(/The host’s identity is not configured properly/);
      expect(await failure(plain, { hostKeys: ['ssh-ed25519 AAAA'] })).toMatch(/identity is not configured properly/);
    });
  });

  describe('a host with a certificate', () => {
    test.each(['ed25519', 'ecdsa-256', 'ecdsa-384', 'rsa-2048'] as const)(
      'is accepted when a trusted authority certifies it for its name: %s',
      async (hostKeyType) => {
        const server = await startSshd({ hostKeyType, hostCertificate: { ca: authority, principals: ['127.0.0.1'] } });
        undo.push(() => server.stop());
        const link = await connect(server, byAuthority());
        expect(await run(link, 'echo yes')).toBe('yes\n');
      },
    );

    test('is refused when another authority signed it', async () => {
      const server = await certifiedHost({ principals: ['127.0.0.1'] });
      expect(await failure(server, { hostKeys: [], hostAuthorities: [other.publicKey] })).toMatch(
        /The host’s certificate does not hold\. .*authority that is not trusted/,
      );
    });

    test.each([
      ['another name', ['localhost']],
      ['a pattern', ['*']],
      ['a name in a list', ['127.0.0.1x']],
    ])('is refused when it is for %s', async (_what, principals) => {
      const server = await certifiedHost({ principals });
      expect(await failure(server, byAuthority())).toMatch(/certificate does not hold\. .*not for what was asked for/);
    });

    test('is refused when it is for nobody in particular', async () => {
      const server = await certifiedHost({ principals: [] });
      expect(await failure(server, byAuthority())).toMatch(/certificate does not hold/);
    });

    test('is refused after its time', async () => {
      const server = await certifiedHost({ principals: ['127.0.0.1'], validity: '-1m:+1h' });
      const later: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + 2 * 3_600_000 };
      expect(await failure(server, { ...byAuthority(), clock: later })).toMatch(
        /certificate does not hold\. .*expired/,
      );
    });

    test('is refused when it is a user’s', async () => {
      // sshd itself does not show such a certificate, so that only its key is left, which no authority vouches for.
      const server = await certifiedHost({ principals: ['127.0.0.1'], kind: 'user' });
      expect(await failure(server, byAuthority())).toMatch(/upstream_unavailable/);
    });

    test('is refused without one', async () => {
      expect(await failure(plain, byAuthority())).toMatch(/does not speak SSH in a way that the gateway accepts/);
    });
  });

  describe('the gateway’s credential', () => {
    test('may be a key with a certificate that the host trusts', async () => {
      const key = await makeSshKey();
      const certificate = await makeCertificate({
        ...{ ca: authority, publicKey: key.publicKey, kind: 'user', principals: [plain.user] },
      });
      const link = await connect(plain, { credentials: { user: plain.user, key: key.privateKey, certificate } });
      expect(await run(link, 'echo certified')).toBe('certified\n');
      expect(plain.log()).toMatch(/Accepted publickey for .* ED25519-CERT/);
    });

    test.each(['ecdsa-384', 'rsa-2048'] as const)('may be certified whatever its kind: %s', async (type) => {
      const key = await makeSshKey(type);
      const certificate = await makeCertificate({
        ...{ ca: authority, publicKey: key.publicKey, kind: 'user', principals: [plain.user] },
      });
      await connect(plain, { credentials: { user: plain.user, key: key.privateKey, certificate } });
    });

    test('is not used with a certificate for another key, of a host, or past its time', async () => {
      const key = await makeSshKey();
      const request = { ca: authority, publicKey: key.publicKey, kind: 'user', principals: [plain.user] } as const;
      const withCertificate = async (certificate: string) =>
        failure(plain, { credentials: { user: plain.user, key: key.privateKey, certificate } });
      const cannot = 'upstream_unavailable: The gateway’s credential for the host cannot be used.';
      expect(await withCertificate(await makeCertificate({ ...request, publicKey: other.publicKey }))).toBe(cannot);
      expect(await withCertificate(await makeCertificate({ ...request, kind: 'host' }))).toBe(cannot);
      expect(await withCertificate('none')).toBe(cannot);
      expect(await withCertificate(await makeCertificate({ ...request, validity: '-2h:-1h' }))).toMatch(/has expired/);
    });

    test('is refused by a host that does not know it, and the message names no credential', async () => {
      const credentials = { user: plain.user, key: other.privateKey, certificate: undefined };
      expect(await failure(plain, { credentials })).toBe('upstream_unavailable: The host refused the gateway’s login.');
    });

    test('that is no key is not tried', async () => {
      const credentials = { user: plain.user, key: 'not a key', certificate: undefined };
      expect(await failure(plain, { credentials })).toMatch(/credential for the host cannot be used/);
    });

    test('may be a password, which only the right host gets', async () => {
      const seen: string[] = [];
      const hostKey = await makeSshKey();
      const server = new SshServerOf({ hostKeys: [hostKey.privateKey] });
      server.on('connection', (connection: Connection) => {
        connection.on('error', () => {});
        connection.on('authentication', (attempt) => {
          if (attempt.method === 'password') seen.push(attempt.password);
          if (attempt.method === 'password' && attempt.password === 'right') attempt.accept();
          else attempt.reject(['password']);
        });
      });
      const port = await listen(server);
      const at = { ...plain, port };
      const hostKeys = [hostKey.publicKey];
      await connect(at, { hostKeys, credentials: { user: 'agent', password: 'right' } });
      expect(await failure(at, { hostKeys, credentials: { user: 'agent', password: 'wrong' } })).toMatch(
        /refused the gateway’s login/,
      );
      expect(await failure(at, { credentials: { user: 'agent', password: 'secret' } })).toMatch(
        /key is not the one that is configured/,
      );
      expect(seen).toEqual(['right', 'wrong']);
    });
  });

  describe('a host that does not answer', () => {
    test('is told apart when nothing listens there', async () => {
      const server = createServer();
      const port = await listen(server);
      server.close();
      expect(await failure({ ...plain, port })).toBe('upstream_unavailable: The host could not be reached.');
    });

    test('is given up after the time that is allowed', async () => {
      const server = createServer((socket) => void holding(socket));
      const port = await listen(server);
      const quick = { ...limits, sshConnectTimeoutMs: 50 };
      expect(await failure({ ...plain, port }, { limits: quick })).toBe(
        'upstream_unavailable: The host took too long to connect.',
      );
    });

    test('is told apart when it hangs up, or speaks something else', async () => {
      const silent = await listen(createServer((socket) => socket.on('error', () => {}).end()));
      expect(await failure({ ...plain, port: silent })).toMatch(/upstream_unavailable/);
      const web = await listen(
        createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      );
      expect(await failure({ ...plain, port: web })).toMatch(/upstream_unavailable/);
    });

    test('is noticed when it goes away later', async () => {
      const server = await startSshd();
      const link = await connectUpstream(optionsFor(server));
      await server.stop();
      await link.closed;
    });
  });

  /** Ends with the test whatever a server under test leaves open. */
  function holding(socket: Socket): Socket {
    socket.on('error', () => {});
    undo.push(() => socket.destroy());
    return socket;
  }

  async function listen(server: Server | InstanceType<typeof SshServerOf>): Promise<number> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    undo.push(() => server.close());
    return (server.address() as AddressInfo).port;
  }
});

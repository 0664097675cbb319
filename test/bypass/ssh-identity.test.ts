/** Ways to be somebody else over SSH, or to be let in without being anybody. The whole gateway, a real sshd behind it. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../proxy/core/clock.ts';
import type { Identity } from '../../proxy/core/types.ts';
import { certifyIdentity, identityOption } from '../../proxy/protocols/ssh/identity-certificate.ts';
import { formatPrivateKey, parsePrivateKey, publicKeyOf } from '../../proxy/protocols/ssh/private-key.ts';
import { publicKeyLine } from '../../proxy/protocols/ssh/public-key.ts';
import { signCertificate } from '../../proxy/protocols/ssh/sign-certificate.ts';
import { Client, type ClientOptions } from '../../proxy/protocols/ssh/ssh2.ts';
import { wireString } from '../../proxy/protocols/ssh/wire.ts';
import { describeTools } from '../clients/tools.ts';
import { exchange, type SshGateway, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd } from '../support/sshd.ts';

describeTools(['ssh'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  let authority: KeyObject;
  let laterMs = 0;

  beforeAll(async () => {
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
    gateway = await startSshGateway({ clock, limits: { ssh_login_attempts_max: 4 } });
    const file = join(gateway.files.configFile, '../keys/ssh-ca');
    const parsed = parsePrivateKey(await readFile(file, 'utf8'));
    if (parsed === undefined) throw new Error('the test has no authority');
    authority = parsed;
  });
  afterAll(() => gateway.stop());

  const bot: Identity = {
    ...{ type: 'agent', issuer: 'https://idp.example', id: 'bot', groups: [], claims: {}, chain: [] },
    expiresAtMs: Date.now() + 3_600_000,
  };

  interface Certified {
    readonly key: KeyObject;
    readonly certificate: Buffer;
  }

  /** A certificate as the gateway would issue it, or another authority, or for something else. */
  function certified(how: {
    by?: KeyObject;
    principals?: readonly string[];
    identity?: Identity;
    nowMs?: number;
    lifetimeSeconds?: number;
  }): Certified {
    const key = generateKeyPairSync('ed25519').privateKey;
    const made = certifyIdentity({
      identity: how.identity ?? bot,
      publicKey: publicKeyOf(key),
      authority: how.by ?? authority,
      principals: how.principals ?? ['web1'],
      nowMs: how.nowMs ?? Date.now(),
      lifetimeSeconds: how.lifetimeSeconds ?? 600,
      random: randomBytes,
    });
    if ('fault' in made) throw new Error(made.fault.message);
    return { key, certificate: made.blob };
  }

  const login = ({ key, certificate }: Certified, more: Partial<ClientOptions> = {}): ClientOptions => ({
    username: 'agent+web1',
    privateKey: formatPrivateKey(key, '', 1),
    certificate,
    ...more,
  });

  /** Logs in and runs a harmless command. `refused` when nobody was let in. */
  async function attempt(options: ClientOptions, command = 'true'): Promise<string> {
    const { host, port } = gateway;
    const client = new Client();
    return await new Promise((resolve) => {
      client.on('error', () => resolve('refused'));
      client.on('close', () => resolve('refused'));
      client.on('ready', () => {
        client.exec(command, (error, channel) => {
          if (error) {
            resolve(`no channel: ${error.message}`);
            return;
          }
          let said = '';
          channel.on('data', () => {});
          channel.stderr.on('data', (chunk: Buffer) => {
            said += chunk.toString();
          });
          channel.on('close', (code: number | null) => {
            resolve(`${code} ${said}`.trim());
            client.end();
          });
          channel.end();
        });
      });
      client.connect({ host, port, readyTimeout: 10_000, ...options });
    });
  }

  let rejections = 0;
  /** The code of the next rejection in the trail, which a login of somebody else takes to the disk. */
  async function rejection(): Promise<unknown> {
    for (let look = 0; look < 100; look++) {
      await gateway.agent();
      const all = (await gateway.audit()).filter(({ event }) => event === 'rejected');
      if (all.length > rejections) {
        rejections = all.length;
        return all.at(-1)?.code;
      }
    }
    return 'nothing was rejected';
  }

  describe('certificates', () => {
    test('one of the gateway’s lets its subject in', async () => {
      expect(await attempt(login(certified({})))).toBe('0');
      expect(await agentConnect('bot')).toMatchObject({ subject: { issuer: bot.issuer, id: 'bot' } });
    });

    test.each<[string, () => Certified, string]>([
      [
        'of another authority',
        () => certified({ by: generateKeyPairSync('ed25519').privateKey }),
        'credential_invalid',
      ],
      ['for another upstream', () => certified({ principals: ['build'] }), 'credential_invalid'],
      ['for an upstream with a longer name', () => certified({ principals: ['web11', 'web'] }), 'credential_invalid'],
      ['that has ended', () => certified({ nowMs: Date.now() - 3_700_000, lifetimeSeconds: 60 }), 'credential_expired'],
      ['that has not begun', () => certified({ nowMs: Date.now() + 600_000 }), 'credential_invalid'],
      ['without an identity', () => bare(new Map()), 'credential_invalid'],
      ['with an option nobody knows', () => bare(new Map([['force-command', wireString('id')]])), 'credential_invalid'],
      [
        'with an identity that says nothing',
        () => bare(new Map([[identityOption, wireString('{}')]])),
        'credential_invalid',
      ],
      ['for a host', () => bare(new Map(), 'host'), 'credential_invalid'],
    ])('one %s lets nobody in', async (_title, make, code) => {
      expect(await attempt(login(make()))).toBe('refused');
      expect(await rejection()).toBe(code);
    });

    function bare(criticalOptions: ReadonlyMap<string, Buffer>, type: 'user' | 'host' = 'user'): Certified {
      const key = generateKeyPairSync('ed25519').privateKey;
      const now = BigInt(Math.floor(Date.now() / 1000));
      const certificate = signCertificate(authority, {
        ...{ type, publicKey: publicKeyOf(key), serial: 1n, keyId: 'bot', principals: ['web1'] },
        ...{ validAfter: now - 60n, validBefore: now + 600n, criticalOptions, extensions: new Map() },
        nonce: randomBytes(32),
      });
      if (certificate === undefined) throw new Error('not signed');
      return { key, certificate };
    }

    test('the plain key under a certificate is nobody', async () => {
      const { key } = certified({});
      const { host, port } = gateway;
      expect(await attempt({ host, port, username: 'agent+web1', privateKey: formatPrivateKey(key, '', 1) })).toBe(
        'refused',
      );
    });

    test('one whose bytes were changed anywhere lets nobody in', async () => {
      const { key, certificate } = certified({});
      for (let at = 60; at < certificate.length; at += 97) {
        const changed = Buffer.from(certificate);
        changed[at] = (changed[at] ?? 0) ^ 1;
        expect({ at, answer: await attempt(login({ key, certificate: changed })) }).toEqual({ at, answer: 'refused' });
      }
    });
  });

  type Sign = (data: Buffer, give: (signature: Buffer) => void) => void;
  type AuthPK = (user: string, key: unknown, algorithm: string, sign?: Sign) => void;

  /** A client that shows a certificate, and sends what it is told where a signature belongs. */
  async function showing(
    one: Certified,
    act: (protocol: object, show: (sign?: Sign) => void, real: Sign) => void,
  ): Promise<string> {
    const client = new Client();
    return await new Promise((resolve) => {
      const settle = (answer: string) => {
        resolve(answer);
        client.end();
      };
      client.on('error', () => settle('refused'));
      client.on('close', () => settle('refused'));
      client.on('ready', () => settle('in'));
      client.on('handshake', () => {
        const protocol: object = Reflect.get(client, '_protocol');
        const authPK: AuthPK = Reflect.get(protocol, 'authPK');
        const replaced: AuthPK = (user, key, algorithm, real) => {
          Reflect.set(protocol, 'authPK', authPK);
          const show = (sign?: Sign) => authPK.call(protocol, user, key, algorithm, sign);
          act(protocol, show, real ?? ((data, give) => give(sign(null, data, one.key))));
        };
        Reflect.set(protocol, 'authPK', replaced);
      });
      client.connect({ host: gateway.host, port: gateway.port, ...login(one) });
    });
  }

  describe('a key that is only offered', () => {
    test('is no login: what is asked for after it is not opened', async () => {
      const openedChannels: number[] = [];
      const answer = await showing(certified({}), (protocol, show) => {
        show();
        const handlers: object = Reflect.get(protocol, '_handlers');
        Reflect.set(handlers, 'USERAUTH_PK_OK', () => {
          Reflect.get(protocol, 'session').call(protocol, 0, 2 ** 20, 2 ** 15);
        });
        Reflect.set(handlers, 'CHANNEL_OPEN_CONFIRMATION', () => openedChannels.push(1));
        Reflect.set(handlers, 'CHANNEL_OPEN_FAILURE', () => Reflect.get(protocol, 'disconnect').call(protocol, 11));
      });
      expect({ answer, openedChannels }).toEqual({ answer: 'refused', openedChannels: [] });
    });

    test('binds nobody: a token that comes after it stands for itself', async () => {
      const other = await gateway.token('somebody-else');
      const answer = await showing(certified({}), (protocol, show) => {
        show();
        const handlers: object = Reflect.get(protocol, '_handlers');
        Reflect.set(handlers, 'USERAUTH_PK_OK', () => {
          Reflect.get(protocol, 'authPassword').call(protocol, 'agent+web1', other);
        });
      });
      expect(answer).toBe('in');
      const connect = await agentConnect('somebody-else');
      expect(connect).toMatchObject({ subject: { id: 'somebody-else' } });
    });

    test('does not make a bad token good', async () => {
      const answer = await showing(certified({}), (protocol, show) => {
        show();
        const handlers: object = Reflect.get(protocol, '_handlers');
        Reflect.set(handlers, 'USERAUTH_PK_OK', () => {
          Reflect.get(protocol, 'authPassword').call(protocol, 'agent+web1', 'a.b.c');
        });
      });
      expect(answer).toBe('refused');
      expect(await rejection()).toBe('credential_invalid');
    });
  });

  async function agentConnect(id: string) {
    for (let look = 0; look < 100; look++) {
      await gateway.agent();
      const found = (await gateway.audit()).findLast(
        ({ action, subject }) => action === 'connect' && JSON.stringify(subject).includes(`"${id}"`),
      );
      if (found !== undefined) return found;
    }
    return undefined;
  }

  describe('signatures', () => {
    test('one of zeros, one that is cut, and none at all let nobody in', async () => {
      for (const bytes of [Buffer.alloc(64), randomBytes(63), Buffer.alloc(0)]) {
        expect(await showing(certified({}), (_protocol, show) => show((_data, give) => give(bytes)))).toBe('refused');
      }
    });

    test('one over another session does not count', async () => {
      const one = certified({});
      let kept = Buffer.alloc(0);
      const first = await showing(one, (_protocol, show) =>
        show((data, give) => {
          kept = Buffer.from(sign(null, data, one.key));
          give(kept);
        }),
      );
      expect(first).toBe('in');
      expect(await showing(one, (_protocol, show) => show((_data, give) => give(kept)))).toBe('refused');
      expect(await rejection()).toBe('credential_invalid');
    });
  });

  describe('tokens', () => {
    const line = () => publicKeyLine('ssh-ed25519', publicKeyOf(generateKeyPairSync('ed25519').privateKey).blob);
    const buy = (token: string, key = line()) =>
      exchange({ host: gateway.host, port: gateway.port, token, line: key }).then(
        () => 'issued',
        () => 'refused',
      );

    test('one that has ended buys nothing and opens nothing', async () => {
      const token = await gateway.token('bot', { lifetimeSeconds: 60 });
      laterMs = 120_000;
      try {
        expect(await buy(token)).toBe('refused');
        expect(await attempt({ username: 'agent+web1', password: token })).toBe('refused');
        expect(await rejection()).toBe('credential_expired');
      } finally {
        laterMs = 0;
      }
    });

    test.each<[string, () => Promise<string>, string]>([
      ['for another audience', () => gateway.token('bot', { audience: 'https://other.example' }), 'credential_invalid'],
      ['of an ID', () => gateway.oidc.idToken('bot'), 'credential_invalid'],
      ['that is none', async () => 'a.b.c', 'credential_invalid'],
      ['of no characters', async () => '', 'credential_missing'],
      ['of thirty thousand characters', async () => 'x'.repeat(30_000), 'credential_invalid'],
      ['past any packet', async () => 'x'.repeat(1_000_000), 'operation_malformed'],
    ])('one %s buys nothing and opens nothing', async (_title, get, code) => {
      const token = await get();
      expect(await buy(token)).toBe('refused');
      expect(await attempt({ username: 'agent+web1', password: token })).toBe('refused');
      expect(await rejection()).toBe(code);
    });

    test('one is bought a certificate for one key, again and again, and for no other', async () => {
      const token = await gateway.token('bot');
      const key = line();
      expect(await buy(token, key)).toBe('issued');
      expect(await buy(token, key)).toBe('issued');
      expect(await buy(token)).toBe('refused');
    });

    test('one is a password until it was exchanged', async () => {
      const token = await gateway.token('bot');
      expect(await attempt({ username: 'agent+web1', password: token })).toBe('0');
      expect(await buy(token)).toBe('issued');
      expect(await attempt({ username: 'agent+web1', password: token })).toBe('refused');
    });

    test('what is bought is in the trail, and no token is', async () => {
      const token = await gateway.token('bot');
      await buy(token);
      const trail = await gateway.audit();
      expect(trail.findLast(({ event }) => event === 'issued')).toMatchObject({
        protocol: 'ssh',
        subject: { id: 'bot' },
        credential: { type: 'ssh_certificate', key: expect.stringMatching(/^SHA256:/) },
      });
      expect(JSON.stringify(trail)).not.toContain(token.slice(-40));
    });

    test('the name that exchanges tokens takes no certificate and runs nothing', async () => {
      expect(
        await attempt(login(certified({ principals: ['sallyport-login', 'web1'] }), { username: 'sallyport-login' })),
      ).toBe('refused');
      const token = await gateway.token('bot');
      expect(await attempt({ username: 'sallyport-login', password: token })).toMatch(/^126 .*operation_unsupported/s);
    });
  });

  test('nobody tries for ever', async () => {
    let tried = 0;
    const client = new Client();
    await new Promise<void>((resolve) => {
      client.on('error', () => {});
      client.on('close', () => resolve());
      client.connect({
        ...{ host: gateway.host, port: gateway.port, username: 'agent+web1' },
        authHandler: (_left, _partial, next) => {
          tried++;
          return tried > 50
            ? next(false as never)
            : next({ type: 'password', username: 'agent+web1', password: `no${tried}` } as never);
        },
      });
    });
    expect(tried).toBeLessThanOrEqual(6);
    expect(await rejection()).toBe('limit_reached');
  });

  test.each(['agent+web2', 'root+web1', 'agent', '+web1', 'agent+web1+x', 'agent+web1\u0000', '../agent+web1'])(
    'the user name %j leads nowhere, with a token that is good',
    async (username) => {
      expect(await attempt({ username, password: await gateway.token('bot') })).toMatch(
        /^126 .*upstream_unknown|refused/s,
      );
    },
  );

  test('what is refused before keys are exchanged again is refused after', async () => {
    const agent = await gateway.agent();
    const options = ['-o', 'RekeyLimit=64K', '-o', `ControlPath=${join(agent.directory, 'rekey')}`];
    const master = await gateway.ssh(agent, [...options, '-o', 'ControlMaster=yes', '-f', '-N', 'web1']);
    expect(master.code).toBe(0);
    const before = await gateway.ssh(agent, [...options, 'web1', 'sudo id']);
    const stream = await gateway.ssh(agent, [...options, 'web1', 'wc -c'], { input: randomBytes(1024 * 1024) });
    const after = await gateway.ssh(agent, [...options, 'web1', 'sudo id']);
    const forward = await gateway.ssh(agent, [
      ...options,
      '-O',
      'forward',
      '-L',
      `${join(agent.directory, 's')}:127.0.0.1:22`,
      'web1',
    ]);
    await gateway.ssh(agent, [...options, '-O', 'exit', 'web1']);
    expect(stream.stdout.toString()).toBe('1048576\n');
    for (const refused of [before, after]) {
      expect({ code: refused.code, stdout: refused.stdout.toString() }).toEqual({ code: 126, stdout: '' });
      expect(refused.stderr).toMatch(/privilege_escalation/);
    }
    // OpenSSH listens by itself; it is the connection through it that must fail, as the forwards' own tests show.
    expect([0, 255]).toContain(forward.code);
  });
});

/** What the SSH path itself holds to when a policy allows everything, or asks for what cannot be done. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import type { Client, ClientChannel } from '../../proxy/protocols/ssh/ssh2.ts';
import { describeTools } from '../clients/tools.ts';
import { closed, connectSsh, finished, runSsh, startSsh } from '../support/ssh-client.ts';
import { type SshGateway, spoken, startSshGateway } from '../support/ssh-gateway.ts';
import { ask, askGlobally, messagesOf, openSession } from '../support/ssh-requests.ts';
import { findSshd } from '../support/sshd.ts';

describeTools(['ssh'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  beforeAll(async () => {
    gateway = await startSshGateway(spoken);
  });
  afterAll(() => gateway.stop());

  const clients: Client[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });

  async function connect(says: JsonObject = { allow: true }, user = 'agent+web1'): Promise<Client> {
    const token = await gateway.token('test-agent', { claims: { says } });
    const client = await connectSsh({ ...gateway, token, user });
    clients.push(client);
    return client;
  }

  /** A file at the host that a command would make. */
  const aFile = () => join(gateway.sshd.home, `made-${randomBytes(6).toString('hex')}`);

  /** The gateway still serves, and nothing was made. */
  async function unharmed(...files: readonly string[]): Promise<void> {
    expect(await runSsh(await connect(), 'echo well')).toMatchObject({ code: 0, stdout: 'well\n' });
    expect(files.filter((file) => existsSync(file))).toEqual([]);
  }

  describe('a decision that cannot be carried out is a refusal', () => {
    const of = (type: string, value: JsonObject[string]) => [{ id: 'o', type, properties: { value } }];
    test.each([
      ['a mask of columns', { masks: { columns: { 'public.a': { b: { null: {} } } } } }, 'mask_unsupported'],
      ['a mask of JSON', { masks: { json: { '$.a': { null: {} } } } }, 'mask_unsupported'],
      ['a detector that does not exist', { masks: { text: { nothing: { null: {} } } } }, 'mask_unknown'],
      ['a method that does not exist', { masks: { text: { email: { blur: {} } } } }, 'mask_unknown'],
      ['max_rows', { obligations: of('max_rows', 5) }, 'obligation_unsupported'],
      ['read_only', { obligations: [{ id: 'o', type: 'read_only', properties: {} }] }, 'obligation_unsupported'],
      ['an obligation nobody knows', { obligations: of('watermark', 'x') }, 'obligation_unsupported'],
      ['max_bytes without a number', { obligations: of('max_bytes', 'x') }, 'policy_result_invalid'],
      ['timeout_ms below zero', { obligations: of('timeout_ms', -1) }, 'policy_result_invalid'],
      ['a way of recording that does not exist', { obligations: of('record', 'some') }, 'policy_result_invalid'],
      ['a shell that is neither', { obligations: of('shell_mode', 'free') }, 'policy_result_invalid'],
      ['allow as a text', { allow: 'true' }, 'policy_undefined'],
    ])('%s', async (_title, says: JsonObject, code) => {
      const file = aFile();
      const ran = await runSsh(await connect({ allow: true, ...says }), `touch ${file}`);
      expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code: 126, stderr: expect.stringContaining(code) });
      await unharmed(file);
    });
  });

  describe('one channel runs one thing', () => {
    const touch = (file: string) => (messages: ReturnType<typeof messagesOf>, id: number) =>
      messages.exec(id, `touch ${file}`, true);
    const wait = (messages: ReturnType<typeof messagesOf>, id: number) => messages.exec(id, 'cat', true);

    test('not a second command, shell or subsystem', async () => {
      const client = await connect();
      const file = aFile();
      const channel = await openSession(client);
      const ended = finished(channel);
      expect(await ask(client, channel, wait)).toBe(true);
      expect(await ask(client, channel, touch(file))).toBe(false);
      expect(await ask(client, channel, (messages, id) => messages.shell(id, true))).toBe(false);
      expect(await ask(client, channel, (messages, id) => messages.subsystem(id, 'sftp', true))).toBe(false);
      channel.end('still the first\n');
      expect(await ended).toMatchObject({ code: 0, stdout: 'still the first\n' });
      await unharmed(file);
    });

    test('not two at once either, whatever is decided first', async () => {
      const client = await connect();
      const file = aFile();
      const channel = await openSession(client);
      const ended = finished(channel);
      const first = ask(client, channel, (messages, id) => messages.exec(id, 'echo first', true));
      const second = ask(client, channel, touch(file));
      expect([await first, await second]).toEqual([true, false]);
      expect(await ended).toMatchObject({ stdout: 'first\n' });
      await unharmed(file);
    });

    test('a variable or a terminal that comes too late changes nothing that was judged', async () => {
      const client = await connect();
      const channel = await openSession(client);
      const ended = finished(channel);
      const run = ask(client, channel, (messages, id) => messages.exec(id, 'cat; tty; printenv LANG', true));
      const late = [
        ask(client, channel, (messages, id) => messages.env(id, 'LANG', 'xx_XX', true)),
        ask(client, channel, (messages, id) => messages.pty(id, 24, 80, 0, 0, 'xterm', null, true)),
      ];
      expect([await run, ...(await Promise.all(late))]).toEqual([true, false, false]);
      channel.end();
      const { stdout } = await ended;
      expect(stdout).toContain('not a tty');
      expect(stdout).not.toContain('xx_XX');
    });

    test('a second terminal request is the terminal, and no second one', async () => {
      const client = await connect();
      const channel = await openSession(client);
      const ended = finished(channel);
      for (const cols of [80, 120]) {
        await ask(client, channel, (messages, id) => messages.pty(id, 24, cols, 0, 0, 'xterm', null, true));
      }
      expect(await ask(client, channel, (messages, id) => messages.exec(id, 'stty size', true))).toBe(true);
      expect((await ended).stdout).toMatch(/^24 (80|120)\r\n$/);
    });
  });

  test.each([
    ['LD_PRELOAD', '/tmp/evil.so'],
    ['LD_LIBRARY_PATH', '/tmp'],
    ['PATH', '/tmp'],
    ['BASH_ENV', '/tmp/evil'],
    ['ENV', '/tmp/evil'],
    ['IFS', 'x'],
    ['SSH_AUTH_SOCK', '/tmp/agent'],
    ['HOME', '/tmp'],
    ['LANG', '../../tmp/evil'],
    ['LC_ALL', '/tmp/evil'],
    ['GIT_PROTOCOL', 'version=2; touch /tmp/evil'],
    ['BASH_FUNC_ls%%', '() { touch /tmp/evil; }'],
    ['TERMINFO', '/tmp'],
  ])('the variable %s=%s is not set for anything', async (name, value) => {
    const client = await connect();
    const channel = await openSession(client);
    const ended = finished(channel);
    expect(await ask(client, channel, (messages, id) => messages.env(id, name, value, true))).toBe(false);
    await ask(client, channel, (messages, id) => messages.exec(id, 'env', true));
    channel.end();
    expect((await ended).stdout.split('\n')).not.toContain(`${name}=${value}`);
  });

  describe('a command that is no text', () => {
    test.each([
      ['a null character', (file: string) => Buffer.from(`true\0; touch ${file}`)],
      [
        'bytes that are not UTF-8',
        (file: string) => Buffer.concat([Buffer.from([0xff, 0xfe, 0x80]), Buffer.from(`; touch ${file}`)]),
      ],
      [
        'an unpaired half of a character',
        (file: string) => Buffer.concat([Buffer.from([0xed, 0xa0, 0x80]), Buffer.from(`; touch ${file}`)]),
      ],
      ['a carriage return', (file: string) => Buffer.from(`true\r; touch ${file}`)],
      ['a text that is too long', (file: string) => Buffer.from(`true ${'x'.repeat(30_000)}; touch ${file}`)],
    ])('%s is refused under the policies that ship, and audited', async (_title, textOf) => {
      const strict = await startSshGateway({
        sshd: gateway.sshd,
        data: { ssh: { paths: { read: ['/'], write: ['/'] } } },
      });
      try {
        const file = aFile();
        const client = await connectSsh({ ...strict, token: await strict.token() });
        clients.push(client);
        const channel = await openSession(client);
        const ended = finished(channel);
        await ask(client, channel, (messages, id) => messages.exec(id, textOf(file), true));
        channel.end();
        const { code, stderr } = await ended;
        expect({ code, stderr }).toEqual({ code: 126, stderr: expect.stringContaining('refused') });
        expect(existsSync(file)).toBe(false);
      } finally {
        await strict.stop();
      }
    });

    test('one of a megabyte ends the connection, and nothing else', async () => {
      const client = await connect();
      const file = aFile();
      const gone = closed(client);
      const channel = await openSession(client);
      void ask(client, channel, (messages, id) => messages.exec(id, `touch ${file} ${'x'.repeat(1024 * 1024)}`, true));
      await gone;
      await unharmed(file);
    });

    test('a signal that does not exist ends nothing but what it was sent to', async () => {
      const client = await connect();
      const { channel, ended } = await startSsh(client, 'cat');
      const protocol = messagesOf(client);
      const send: (channel: number, name: string) => void = Reflect.get(protocol, 'signal');
      for (const name of ['INT', 'FOO', 'KILLALL', '9', '']) {
        try {
          send.call(protocol, Object(Reflect.get(channel, 'outgoing')).id, name);
        } catch {
          // The package does not send what it does not know.
        }
      }
      channel.end();
      await ended;
      await unharmed();
    });
  });

  describe('a script on standard input', () => {
    test('is refused past its bound, and what comes later is not run', async () => {
      const client = await connect();
      const file = aFile();
      const { channel, ended } = await startSsh(client, 'bash -s');
      channel.write(`${'# padding\n'.repeat(3_000)}`);
      channel.write(`touch ${file}\n`);
      expect(await ended).toMatchObject({ code: 126, stderr: expect.stringContaining('operation_too_large') });
      await unharmed(file);
    });

    test('is judged whole: what comes late is part of it', async () => {
      const refused = await connect({ allow: true, masks: { text: { email: { replace: { value: '-' } } } } });
      const { channel, ended } = await startSsh(refused, 'sh');
      channel.write('echo of-a-script\n');
      await runSsh(refused, 'true');
      channel.end('cat; echo a@example.org\n');
      // Nothing is left on standard input for a command of it.
      expect(await ended).toMatchObject({ code: 0, stdout: 'of-a-script\n-\n' });
      const events = await gateway.audit();
      const scripts = events.filter(({ operation }) => JSON.stringify(operation ?? '').includes('of-a-script'));
      expect(scripts).toHaveLength(1);
      expect(JSON.stringify(scripts)).toContain('cat; echo');
    });
  });

  describe('user names and subsystems', () => {
    test('only sftp is a subsystem of a host', async () => {
      const client = await connect();
      for (const name of [
        'certificate@sallyport',
        'netconf',
        '',
        'sftp ',
        'SFTP',
        '/usr/lib/openssh/sftp-server',
        'sftp\0',
      ]) {
        const channel = await openSession(client);
        expect({ name, granted: await ask(client, channel, (m, id) => m.subsystem(id, name, true)) }).toEqual({
          name,
          granted: false,
        });
        channel.close();
      }
      await unharmed();
    });

    test('who exchanges a token does nothing else', async () => {
      const file = aFile();
      const exec = await connect({ allow: true }, 'sallyport-login');
      expect(await runSsh(exec, `touch ${file}`)).toMatchObject({
        code: 126,
        stderr: expect.stringContaining('operation_unsupported'),
      });
      const sftp = await connect({ allow: true }, 'sallyport-login');
      const channel = await openSession(sftp);
      expect(await ask(sftp, channel, (messages, id) => messages.subsystem(id, 'sftp', true))).toBe(false);
      const forward = await connect({ allow: true }, 'sallyport-login');
      await expect(forwardTo(forward, '127.0.0.1', gateway.sshd.port)).rejects.toThrow();
      expect(await askGlobally(forward, (messages) => messages.openssh_streamLocalForward('/tmp/x', true))).toBe(false);
      await unharmed(file);
    });

    test.each(['agent', 'agent+', '+web1', 'agent+web2', 'agent+web1+web1', 'root+web1', 'agent+WEB1', 'agent+web1 '])(
      'nobody gets in as %j',
      async (user) => {
        const file = aFile();
        const client = await connect({ allow: true }, user);
        expect(await runSsh(client, `touch ${file}`)).toMatchObject({
          code: 126,
          stderr: expect.stringContaining('upstream_unknown'),
        });
        await unharmed(file);
      },
    );
  });

  function forwardTo(client: Client, host: string, port: number): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
      client.forwardOut('127.0.0.1', 1, host, port, (error, channel) => (error ? reject(error) : resolve(channel)));
    });
  }

  describe('forwards', () => {
    let strict: SshGateway;
    let server: Server;
    let connections = 0;
    let port: number;
    beforeAll(async () => {
      server = createServer((socket) => {
        connections += 1;
        socket.on('error', () => {}).end('reached');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      port = Object(server.address()).port;
      strict = await startSshGateway({
        sshd: gateway.sshd,
        data: { ssh: { forwards: ['127.0.0.1:1', `10.0.0.1:${port}`] } },
      });
    });
    afterAll(async () => {
      server.close();
      await strict.stop();
    });

    test.each([
      '',
      'localhost',
      'LOCALHOST',
      'localhost.',
      '127.0.0.1.',
      '127.1',
      '127.0.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '127.0.0.01',
      '0.0.0.0',
      '0',
      '::1',
      '[::1]',
      '::',
      '::ffff:127.0.0.1',
      '[::ffff:127.0.0.1]',
      '::ffff:7f00:1',
      '10.0.0.1:1@127.0.0.1',
      '127.0.0.1\0.example.org',
      ' 127.0.0.1',
      '127.0.0.1\n10.0.0.1',
      'localhost%lo',
      '/tmp/socket',
      'web1',
      'orders.example',
    ])('%j is not a way to what policy did not name', async (host) => {
      const client = await connectSsh({ ...strict, token: await strict.token() });
      clients.push(client);
      await expect(forwardTo(client, host, port)).rejects.toThrow();
      await expect(forwardTo(client, host, 65_536 + port)).rejects.toThrow();
      expect(connections).toBe(0);
      expect(await runSsh(client, 'echo well')).toMatchObject({ code: 0 });
    });

    test('not of an agent, a display or a socket of the host, whatever policy says', async () => {
      const client = await connect();
      const channel = await openSession(client);
      expect(await ask(client, channel, (messages, id) => messages.openssh_agentForward(id, true))).toBe(false);
      const x11 = { single: false, protocol: 'MIT-MAGIC-COOKIE-1', cookie: 'c'.repeat(32), screen: 0 };
      await expect(startSsh(client, 'env', { x11 })).rejects.toThrow();
      const path = join(gateway.sshd.directory, 'socket');
      expect(await askGlobally(client, (messages) => messages.openssh_streamLocalForward(path, true))).toBe(false);
      expect(existsSync(path)).toBe(false);
      const refused = (await gateway.audit()).filter(
        ({ action, code }) => action === 'forward' && code === 'operation_unsupported',
      );
      expect(refused.length).toBeGreaterThanOrEqual(2);
      expect((await runSsh(client, 'env')).stdout).not.toMatch(/DISPLAY|SSH_AUTH_SOCK/);
    });

    const forwardIn = (client: Client, asked: number): Promise<number | undefined> =>
      new Promise((resolve) =>
        client.forwardIn('127.0.0.1', asked, (error, bound) => resolve(error === undefined ? bound : undefined)),
      );

    test('a port that somebody else listens for is not theirs to cancel', async () => {
      const owner = await connect();
      const bound = await forwardIn(owner, 0);
      expect(bound).toBeGreaterThan(0);
      const other = await connect();
      await expect(
        new Promise<void>((resolve, reject) =>
          other.unforwardIn('127.0.0.1', bound ?? 0, (error) => (error ? reject(error) : resolve())),
        ),
      ).rejects.toThrow();
      const arrived = new Promise<void>((resolve) => {
        owner.once('tcp connection', (_details, accept) => {
          accept().end();
          resolve();
        });
      });
      void forwardTo(other, '127.0.0.1', bound ?? 0).then(
        (channel) => channel.resume(),
        () => {},
      );
      await arrived;
    });

    test('ports of one connection are bounded, also when they are asked for at once', async () => {
      const client = await connect();
      const bound = await Promise.all(Array.from({ length: 40 }, () => forwardIn(client, 0)));
      expect(bound.filter((one) => one !== undefined)).toHaveLength(16);
    });
  });

  describe('requests on the connection', () => {
    test('no more sessions means none', async () => {
      const client = await connect();
      const { channel, ended } = await startSsh(client, 'cat');
      expect(await askGlobally(client, (messages) => messages.openssh_noMoreSessions(true))).toBe(true);
      await expect(openSession(client)).rejects.toThrow();
      channel.end('goes on\n');
      expect(await ended).toMatchObject({ code: 0, stdout: 'goes on\n' });
    });

    test('an unknown one is answered with no', async () => {
      const client = await connect();
      const before = (await gateway.audit()).filter(({ action }) => action === 'forward').length;
      expect(await askGlobally(client, (messages) => messages.openssh_hostKeysProve([]))).toBe(false);
      expect((await gateway.audit()).filter(({ action }) => action === 'forward')).toHaveLength(before);
      expect(await runSsh(client, 'echo well')).toMatchObject({ code: 0 });
    });
  });
});

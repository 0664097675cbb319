/**
 * Ways to have something done over SSH that was not judged, or to see what was to be masked. Policy allows too much
 * here (`spoken`), so that nothing but the gateway stands in the way; `shipped` is the one that refuses.
 */
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import { Client, type ClientChannel } from '../../proxy/protocols/ssh/ssh2.ts';
import { type Frame, readRecording } from '../../proxy/record/index.ts';
import { describeTools } from '../clients/tools.ts';
import { connectSsh, finished, type Ran, runSsh } from '../support/ssh-client.ts';
import { type SshGateway, type SshGatewayOptions, spoken, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd, type SshServer, startSshd } from '../support/sshd.ts';

const secret = 'ana.marker@example.org';
const masks = { text: { email: { replace: { value: '[email]' } } } };
const obligation = (type: string, value: string | number) => ({ id: `the_${type}`, type, properties: { value } });

/** A program that gives another file than the one that it was asked for. */
const lyingScp = `#!/bin/sh
head -c 1 >/dev/null
printf 'C0644 3 .bashrc\\n'
head -c 1 >/dev/null
printf 'no\\n\\0'
head -c 1 >/dev/null
`;

describeTools(['ssh', 'scp', 'sftp'], findSshd() === undefined ? ['sshd'] : [], () => {
  let sshd: SshServer;
  let home: string;
  let allowing: SshGateway;
  let shipped: SshGateway;

  beforeAll(async () => {
    // It takes whatever variable it is handed: what is kept out is kept out by the gateway.
    sshd = await startSshd({ settings: ['AcceptEnv *'] });
    home = sshd.home;
    await mkdir(join(home, 'bin'));
    await writeFile(join(home, 'bin/scp'), lyingScp, { mode: 0o755 });
    await writeFile(join(home, 'secret'), `${secret}\n`);
    await mkdir(join(home, 'public'));
    await symlink(join(home, 'secret'), join(home, 'public/link'));
    const { host, port, user, hostKey, clientKey } = sshd;
    const liar = { name: 'liar', host, port, hostKeys: [hostKey], commandPath: `${join(home, 'bin')}:/usr/bin:/bin` };
    const more: SshGatewayOptions['more'] = [{ ...liar, logins: { agent: { user, key: clientKey } } }];
    allowing = await startSshGateway({ ...spoken, sshd, more });
    const ssh = { paths: { read: [join(home, 'public'), '/usr'] }, shells: { judged: ['operators'] } };
    shipped = await startSshGateway({ sshd, data: { ssh } });
  });
  afterAll(async () => {
    await allowing?.stop();
    await shipped?.stop();
    await sshd?.stop();
  });

  let subjects = 0;
  /** A subject of its own, for whom the policy says this. */
  async function subject(says: JsonObject): Promise<{ id: string; token: string }> {
    const id = `operations-${subjects++}`;
    return { id, token: await allowing.token(id, { claims: { says } }) };
  }

  /** A command of a subject of its own. */
  async function run(says: JsonObject, command: string, input = '', options = {}): Promise<Ran & { id: string }> {
    const { id, token } = await subject(says);
    const client = await connectSsh({ ...allowing, token });
    const ran = await runSsh(client, command, input, options);
    client.end();
    return { id, ...ran };
  }

  /** A command under the policies that ship. */
  async function attempt(command: string, input = ''): Promise<Ran> {
    const client = await connectSsh({ ...shipped, token: await shipped.token() });
    const ran = await runSsh(client, command, input);
    client.end();
    return ran;
  }

  /** What was decided about a subject, once its session is over. */
  async function trail(id: string, gateway = allowing): Promise<readonly JsonObject[]> {
    for (;;) {
      const events = await gateway.audit();
      const connect = events.find((event) => event.action === 'connect' && Object(event.subject).id === id);
      const own = events.filter(({ session }) => connect !== undefined && session === connect.session);
      if (own.some(({ event }) => event === 'closed')) return own;
    }
  }

  /** Everything in the recording of a subject's session. */
  async function recording(id: string, gateway = allowing): Promise<readonly Frame[]> {
    const session = String((await trail(id, gateway))[0]?.session);
    const entries = await readdir(gateway.files.recordDirectory, { recursive: true, withFileTypes: true });
    const entry = entries.find(({ name }) => name === `${session}.sprec`);
    if (entry === undefined) throw new Error('there is no recording');
    const frames: Frame[] = [];
    for await (const frame of readRecording(join(entry.parentPath, entry.name))) frames.push(frame);
    return frames;
  }

  const atHome = () => readdir(home);

  describe('commands', () => {
    test('one that is refused is not run', async () => {
      const ran = await attempt(`touch ${join(home, 'refused')}`);
      expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code: 126, stdout: '' });
      expect(ran.stderr).toContain('refused: ');
      // By now a command that was started has run.
      expect((await attempt('ls /usr')).code).toBe(0);
      expect(await atHome()).not.toContain('refused');
    });

    test('the next one on the same connection is judged like the first', async () => {
      const client = await connectSsh({ ...shipped, token: await shipped.token() });
      const codes = [];
      for (const command of ['echo one', 'sudo id', 'echo two']) codes.push((await runSsh(client, command)).code);
      client.end();
      expect(codes).toEqual([0, 126, 0]);
    });

    test('a script on standard input is judged by what is in it', async () => {
      const script = 'printf %s "$0 $#"; echo $HOME\n';
      const { id, stdout } = await run({ allow: true }, 'sh -s one', script.replace('$0', 'n'));
      expect(stdout).toContain(home);
      const exec = (await trail(id)).find(({ action }) => action === 'exec');
      expect(exec?.operation).toMatchObject({ commands: ['printf', 'echo'] });
      const refused = await attempt('sh', `touch ${join(home, 'by-script')}\n`);
      expect(refused.code).toBe(126);
      expect(refused.stderr).toContain('by-script');
      expect(await atHome()).not.toContain('by-script');
    });

    test('what a script would read of itself is not there', async () => {
      const { stdout, code } = await run({ allow: true }, 'sh', 'cat\necho still a command\n');
      expect({ stdout, code }).toEqual({ stdout: 'still a command\n', code: 0 });
    });

    test('a line of a judged shell that is refused is not run', async () => {
      const client = await connectSsh({
        ...shipped,
        token: await shipped.token('operator', { groups: ['operators'] }),
      });
      const channel = await new Promise<ClientChannel>((resolve, reject) =>
        client.shell({ term: 'xterm' }, (error, opened) => (error ? reject(error) : resolve(opened))),
      );
      const ended = finished(channel);
      channel.write(`touch ${join(home, 'by-line')}\recho still here\rexit\r`);
      const { stdout, stderr } = await ended;
      client.end();
      expect(stderr).toContain('by-line');
      expect(stdout).toContain('still here\r\n');
      expect(await atHome()).not.toContain('by-line');
    });

    test('variables of the client do not reach it, but those of the locale', async () => {
      const env = {
        LC_ALL: 'C.UTF-8',
        BASH_ENV: join(home, 'secret'),
        LD_PRELOAD: '/tmp/x.so',
        PATH: '/tmp',
        ANY: 'x',
      };
      const { stdout, id } = await run({ allow: true }, 'env', '', { env });
      expect(stdout).toContain('LC_ALL=C.UTF-8\n');
      expect(stdout).not.toMatch(/^(BASH_ENV|LD_PRELOAD|ANY)=|^PATH=\/tmp$/m);
      expect((await trail(id)).some(({ effect }) => effect === 'deny')).toBe(false);
    });
  });

  describe('masks', () => {
    const printing = 'cat secret; cat secret >&2';

    test('cover standard error as well, and a recording holds what was masked', async () => {
      const { stdout, stderr, id } = await run({ allow: true, masks }, printing);
      expect({ stdout, stderr }).toEqual({ stdout: '[email]\n', stderr: '[email]\n' });
      const kept = (await recording(id)).map(({ data }) =>
        data instanceof Uint8Array ? Buffer.from(data).toString('latin1') : JSON.stringify(data),
      );
      expect(kept.join('')).toContain('[email]');
      expect(kept.join('')).not.toContain(secret);
    });

    test('cannot be gone around by a transfer: none is permitted where there are any', async () => {
      const { token } = await subject({ allow: true, masks });
      const agent = await allowing.agent({ token });
      const to = join(agent.directory, 'stolen');
      const from = ['-F', agent.configFile];
      await allowing.run('scp', [...from, '-O', 'web1:secret', to]);
      await allowing.run('scp', [...from, 'web1:secret', to]);
      await allowing.run('sftp', [...from, '-b', '-', 'web1'], { input: `get secret ${to}\n` });
      await expect(readFile(to)).rejects.toThrow('ENOENT');
    });

    test('one that no detector finds, and an obligation that means nothing, refuse the command', async () => {
      const unknown = { text: { nothing_finds_this: { null: {} } } };
      expect(await run({ allow: true, masks: unknown }, 'echo x')).toMatchObject({ code: 126, stdout: '' });
      const soon = { allow: true, obligations: [obligation('timeout_ms', 'soon')] };
      expect(await run(soon, 'echo x')).toMatchObject({ code: 126, stdout: '' });
    });
  });

  describe('bounds', () => {
    test('of output end a command, both streams counted', async () => {
      const says = { allow: true, obligations: [obligation('max_bytes', 1_000)] };
      const { code, stdout } = await run(says, 'head -c 300000 /dev/zero');
      expect(code).toBe(126);
      expect(stdout.length).toBeLessThanOrEqual(1_000);
      expect((await run(says, 'head -c 600 /dev/zero; head -c 600 /dev/zero >&2')).code).toBe(126);
    });

    test('of time end a command', async () => {
      const says = { allow: true, obligations: [obligation('timeout_ms', 200)] };
      const { code, stderr } = await run(says, 'sleep 4');
      expect({ code, stderr }).toEqual({ code: 126, stderr: expect.stringContaining('the_timeout_ms/limit_reached') });
    });

    test('of a transfer hold for files, too', async () => {
      await writeFile(join(home, 'large'), Buffer.alloc(100_000));
      const { token } = await subject({ allow: true, obligations: [obligation('max_bytes', 1_000)] });
      const agent = await allowing.agent({ token });
      const ran = await allowing.run('scp', ['-F', agent.configFile, '-O', 'web1:large', join(agent.directory, 'l')]);
      const get = `get large ${join(agent.directory, 'm')}\n`;
      const got = await allowing.run('sftp', ['-F', agent.configFile, '-b', '-', 'web1'], { input: get });
      expect([ran.code, got.code].every((code) => code !== 0)).toBe(true);
    });
  });

  describe('files', () => {
    test('a link is what it leads to', async () => {
      const agent = await shipped.agent();
      const to = join(agent.directory, 'stolen');
      const input = `get ${join(home, 'public/link')} ${to}\n`;
      const ran = await shipped.run('sftp', ['-F', agent.configFile, '-b', '-', 'web1'], { input });
      expect(ran.code).not.toBe(0);
      await expect(readFile(to)).rejects.toThrow('ENOENT');
    });

    test('what was refused is said once, and the recording says what was asked for', async () => {
      const path = join(home, '.netrc');
      await writeFile(path, secret);
      const reader = await shipped.agent({ token: await shipped.token('reader') });
      const read = await shipped.run('scp', ['-F', reader.configFile, `web1:${path}`, reader.directory]);
      expect(read.code).not.toBe(0);
      expect(read.stderr.match(/refused: /g)).toHaveLength(1);
      expect(await asked('reader')).toContain(`stat ${path}`);
      const writer = await shipped.agent({ token: await shipped.token('writer') });
      const write = await shipped.run('scp', ['-F', writer.configFile, writer.configFile, `web1:${home}/up`]);
      expect(write.code).not.toBe(0);
      expect((await asked('writer')).at(-1)).toMatch(/^open .*\/up \(write .*\)$/);
    });

    /** What the recording says in front of each refusal. */
    async function asked(id: string): Promise<readonly string[]> {
      const frames = await recording(id, shipped);
      return frames.flatMap(({ kind }, index) =>
        kind === 'refused' ? [String(Object(frames[index - 1]?.data).text)] : [],
      );
    }

    test('a host that gives another file than was asked for gives none', async () => {
      const { token } = await subject({ allow: true });
      const agent = await allowing.agent({ token, user: 'agent+liar' });
      const to = join(agent.directory, 'into');
      await mkdir(to);
      const ran = await allowing.run('scp', ['-F', agent.configFile, '-O', '-T', 'web1:wanted', to]);
      expect(ran.stderr).toContain('not asked for');
      expect(await readdir(to)).toEqual([]);
    });
  });

  describe('forwards', () => {
    let listener: Server;
    let connections = 0;
    const port = () => {
      const address = listener.address();
      return typeof address === 'object' && address !== null ? address.port : 0;
    };
    beforeAll(async () => {
      listener = createServer((socket) => {
        connections += 1;
        socket.on('error', () => {}).end('reached');
      });
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => void listener.close());

    const forward = async (gateway: SshGateway, token: string) => {
      const client = await connectSsh({ ...gateway, token });
      const opened = await new Promise<string>((resolve) =>
        client.forwardOut('127.0.0.1', 0, '127.0.0.1', port(), (error, channel) => {
          channel?.resume();
          resolve(error === undefined ? 'opened' : error.message);
        }),
      );
      // By now the host has connected to whatever it was told to.
      await runSsh(client, 'echo');
      client.end();
      return opened;
    };

    test('one that is refused reaches nobody', async () => {
      const { token } = await subject({ allow: true });
      expect(await forward(allowing, token)).toBe('opened');
      const before = connections;
      expect(before).toBe(1);
      expect(await forward(shipped, await shipped.token())).toMatch(/sallyport: /);
      expect(connections).toBe(before);
    });

    test('inside of one that leads to a host, a certificate lets in and buys no other certificate', async () => {
      const { token } = await subject({ allow: true });
      const agent = await allowing.agent({ token });
      const outer = new Client();
      const certified = {
        privateKey: await readFile(agent.keyFile, 'utf8'),
        certificate: Buffer.from(agent.certificate.split(' ')[1] ?? '', 'base64'),
      };
      const login = (client: Client, options: object) =>
        new Promise<string>((resolve) => {
          client.on('error', () => resolve('refused'));
          client.on('ready', () => resolve('in'));
          client.connect({ ...certified, ...options });
        });
      const { host, port: at } = allowing;
      expect(await login(outer, { host, port: at, username: 'agent+web1' })).toBe('in');
      const inside = async (username: string) => {
        const sock = await new Promise((resolve, reject) =>
          outer.forwardOut('127.0.0.1', 0, 'web1', 22, (error, channel) => (error ? reject(error) : resolve(channel))),
        );
        const inner = new Client();
        const answer = await login(inner, { sock, username });
        inner.end();
        return answer;
      };
      expect(await inside('agent')).toBe('in');
      expect(await inside('sallyport-login')).toBe('refused');
      outer.end();
    });

    test.each<[string, object]>([
      ['an agent', { agentForward: true }],
      ['a display', { x11: true }],
    ])('of %s is refused, whatever policy says', async (_title, asked) => {
      const { id, token } = await subject({ allow: true });
      const client = new Client();
      const answer = await new Promise<string>((resolve) => {
        client.on('error', (error) => resolve(error.message));
        client.on('ready', () =>
          client.exec('env', asked, (error, channel) => {
            if (error !== undefined) {
              resolve(error.message);
              return;
            }
            let text = '';
            channel.on('data', (chunk: Buffer) => {
              text += chunk.toString();
            });
            channel.on('close', () => resolve(text));
          }),
        );
        const { host, port: at } = allowing;
        client.connect({
          ...{ host, port: at, username: 'agent+web1', password: token },
          ...{ agent: join(home, 'agent'), agentForward: true },
        });
      });
      client.end();
      expect(answer).toMatch(/Unable to request/);
      const decided = (await trail(id)).filter(({ action }) => action === 'forward');
      expect(decided).toMatchObject([{ effect: 'deny', code: 'operation_unsupported' }]);
    });
  });
});

/** What ends sessions and commands over SSH while they run: policy, time, quarantine, the client, the host, the gateway. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { systemClock } from '../../proxy/core/clock.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import type { Client } from '../../proxy/protocols/ssh/ssh2.ts';
import { roleSql } from '../../scripts/demo/dataset.ts';
import { describeTools } from '../clients/tools.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { closed, connectSsh, runSsh, startSsh } from '../support/ssh-client.ts';
import { type SshGateway, type SshGatewayOptions, spoken, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd, ordinaryAccount, type SshServer, startSshd } from '../support/sshd.ts';

/** A clock that a test puts forward; the timers stay the machine's. */
function movableClock() {
  let offsetMs = 0;
  return {
    nowMs: () => systemClock.nowMs() + offsetMs,
    monotonicMs: () => systemClock.monotonicMs() + offsetMs,
    forward(ms: number) {
      offsetMs += ms;
    },
  };
}

describeTools(['ssh', 'ps'], findSshd() === undefined ? ['sshd'] : [], () => {
  /** Signals are taken there, whatever the version. */
  let sshd: SshServer;
  beforeAll(async () => {
    sshd = await startSshd({ account: ordinaryAccount() });
  });
  afterAll(() => sshd.stop());

  const running: SshGateway[] = [];
  const clients: Client[] = [];
  const children: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const client of clients.splice(0)) client.destroy();
    for (const gateway of running.splice(0)) await gateway.stop();
  });

  async function start(options: SshGatewayOptions = {}): Promise<SshGateway> {
    const config = { policy: { watch: false }, ...options.config };
    const gateway = await startSshGateway({ sshd, ...options, config });
    running.push(gateway);
    return gateway;
  }

  async function connect(gateway: SshGateway, token?: string): Promise<Client> {
    const client = await connectSsh({ ...gateway, token: token ?? (await gateway.token()) });
    clients.push(client);
    return client;
  }

  type Change = (data: Record<string, unknown>) => void;

  /** Another `data.config`, active when this resolves. */
  async function activate(gateway: SshGateway, change: Change): Promise<void> {
    const data: unknown = JSON.parse(await readFile(gateway.files.dataFile, 'utf8'));
    const changed = { ...Object(data) };
    change(changed);
    await writeFile(gateway.files.dataFile, JSON.stringify(changed));
    await gateway.reload();
  }
  const nobody: Change = (data) => {
    Object(data).upstreams = {};
  };

  /** How many processes of the host have this in their arguments. */
  async function busy(marker: string): Promise<number> {
    const ps = spawn('ps', ['-eo', 'args'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    ps.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await once(ps, 'close');
    return text.split('\n').filter((line) => line.startsWith('sleep') && line.includes(marker)).length;
  }
  const aMarker = () => `300.${randomBytes(4).readUInt32BE()}`;
  async function untilBusy(marker: string): Promise<void> {
    while ((await busy(marker)) === 0);
  }
  async function untilIdle(marker: string): Promise<void> {
    while ((await busy(marker)) > 0);
  }

  /** The first event that has all of these, once there is one. */
  async function event(gateway: SshGateway, wanted: JsonObject): Promise<JsonObject> {
    for (;;) {
      const events = await gateway.audit();
      const found = events.find((one) => Object.entries(wanted).every(([key, value]) => one[key] === value));
      if (found !== undefined) return found;
    }
  }

  describe('another data.config', () => {
    test('that lets nobody in ends a session and what runs in it, in words; and no new one begins', async () => {
      const gateway = await start();
      const client = await connect(gateway);
      const marker = aMarker();
      const gone = closed(client);
      const { ended } = await startSsh(client, `sleep ${marker}`);
      await untilBusy(marker);
      await activate(gateway, nobody);
      expect(await ended).toMatchObject({ code: 126, stderr: expect.stringContaining('policy_undefined') });
      await gone;
      await untilIdle(marker);
      const agent = await gateway.agent();
      expect(await gateway.ssh(agent, ['web1', 'true'])).toMatchObject({
        code: 126,
        stderr: expect.stringContaining('policy_undefined'),
      });
    });

    test('ends a session in which nothing runs, and one whose script has not ended', async () => {
      const gateway = await start();
      const idle = await connect(gateway);
      const reading = await connect(gateway);
      await runSsh(idle, 'true');
      const { channel } = await startSsh(reading, 'sh');
      channel.write('echo not yet\n');
      const gone = [closed(idle), closed(reading)];
      await activate(gateway, nobody);
      await Promise.all(gone);
    });

    test('ends a client that reads nothing of what it asked for', async () => {
      const gateway = await start();
      const client = await connect(gateway);
      client.exec('cat /dev/zero', (_error, channel) => channel.pause());
      await event(gateway, { action: 'exec', effect: 'allow' });
      const gone = event(gateway, { event: 'closed' });
      await activate(gateway, nobody);
      await gone;
    });

    test('that refuses a command refuses the next one on the same connection, and the other way round', async () => {
      const gateway = await start();
      const agent = await gateway.agent();
      const mux = ['-o', `ControlPath=${join(agent.directory, 'mux')}`];
      const master = spawn('ssh', ['-F', agent.configFile, '-o', 'ControlMaster=yes', ...mux, '-N', 'web1']);
      children.push(master);
      const paths: (read: readonly string[]) => Change = (read) => (data) => {
        Object(data).ssh.paths.read = read;
      };
      while ((await gateway.ssh(agent, [...mux, '-O', 'check', 'web1'])).code !== 0);
      const ask = async () => (await gateway.ssh(agent, [...mux, 'web1', 'cat /etc/hostname'])).code;
      expect(await ask()).toBe(0);
      await activate(gateway, paths([]));
      expect(await ask()).toBe(126);
      await activate(gateway, paths(['/etc']));
      expect(await ask()).toBe(0);
      expect((await gateway.audit()).filter((one) => one.event === 'issued')).toHaveLength(1);
    });
  });

  describe('a credential that has expired', () => {
    test.each(['a token', 'a certificate'])(
      '%s: nothing new is permitted, and after the grace the session ends',
      async (kind) => {
        const clock = movableClock();
        const gateway = await start({ clock, limits: { expiry_grace_ms: 1_500 } });
        const token = await gateway.token('mayfly', { lifetimeSeconds: 2 });
        const marker = aMarker();
        if (kind === 'a token') {
          const client = await connect(gateway, token);
          const gone = closed(client);
          const { ended } = await startSsh(client, `sleep ${marker}`);
          await untilBusy(marker);
          clock.forward(60_000);
          expect(await runSsh(client, 'true')).toMatchObject({
            code: 126,
            stderr: expect.stringContaining('credential_expired'),
          });
          // The timer of the grace is the machine's: it ends the session by itself.
          expect(await ended).toMatchObject({ code: 126, stderr: expect.stringContaining('credential_expired') });
          await gone;
        } else {
          const agent = await gateway.agent({ token });
          const mux = ['-o', `ControlPath=${join(agent.directory, 'mux')}`];
          const master = spawn('ssh', ['-F', agent.configFile, '-o', 'ControlMaster=yes', ...mux, '-N', 'web1']);
          children.push(master);
          while ((await gateway.ssh(agent, [...mux, '-O', 'check', 'web1'])).code !== 0);
          const command = gateway.ssh(agent, [...mux, 'web1', `sleep ${marker}`]);
          await untilBusy(marker);
          clock.forward(60_000);
          expect(await gateway.ssh(agent, [...mux, 'web1', 'true'])).toMatchObject({
            code: 126,
            stderr: expect.stringContaining('credential_expired'),
          });
          expect(await command).toMatchObject({ code: 126, stderr: expect.stringContaining('credential_expired') });
          if (master.exitCode === null) await once(master, 'exit');
          // Nor does it log in again.
          expect(await gateway.ssh(agent, ['-o', 'LogLevel=INFO', 'web1', 'true'])).toMatchObject({ code: 255 });
        }
        await untilIdle(marker);
      },
    );
  });

  describe('quarantine', () => {
    let postgres: PostgresServer;
    beforeAll(async () => {
      postgres = await startPostgres();
    });
    afterAll(() => postgres.stop());

    test('ends the sessions of its subject on SSH and on PostgreSQL, and leaves others alone', async () => {
      const database = await postgres.createDatabase();
      const role = `agent_${randomBytes(4).toString('hex')}`;
      await postgres.psql(roleSql(role, 'secret').replace(/GRANT[^;]*;/g, ''), { database }).catch(() => []);
      const { host, port, ca } = postgres;
      const gateway = await start({
        ...spoken,
        postgres: [{ name: 'orders', host, port, ca, logins: { agent: { user: role, password: 'secret' } } }],
      });
      const good = { claims: { says: { allow: true } } };
      const says = { allow: true, quarantine: [{ scope: 'subject', ttl_seconds: 60, message: 'Enough.' }] };
      const database1 = new pg.Client({
        host: '127.0.0.1',
        port: gateway.gateway.listeners.find(({ protocol }) => protocol === 'postgres')?.port ?? 0,
        ...{ database, user: 'agent', password: await gateway.token('rogue', good), ssl: { ca: gateway.files.ca } },
      });
      const told = new Promise<Error>((resolve) => database1.on('error', resolve));
      await database1.connect();
      const client = await connect(gateway, await gateway.token('rogue', good));
      const other = await connect(gateway, await gateway.token('honest', good));
      const marker = aMarker();
      const { ended } = await startSsh(client, `sleep ${marker}`);
      await untilBusy(marker);
      const gone = closed(client);
      const worse = await connect(gateway, await gateway.token('rogue', { claims: { says } }));
      expect(await runSsh(worse, 'true')).toMatchObject({ code: 126 });
      expect(await ended).toMatchObject({ code: 126, stderr: expect.stringMatching(/Enough\..*quarantined/) });
      await gone;
      expect(String(await told)).toMatch(/Enough|quarantined/);
      await untilIdle(marker);
      expect(await runSsh(other, 'echo here')).toMatchObject({ code: 0, stdout: 'here\n' });
      expect(await runSsh(await connect(gateway, await gateway.token('rogue', good)), 'true')).toMatchObject({
        code: 126,
        stderr: expect.stringContaining('quarantined'),
      });
    });
  });

  test('a gateway that closes tells what runs, ends it, and closes within its patience', async () => {
    const gateway = await start();
    const client = await connect(gateway);
    const marker = aMarker();
    const { ended } = await startSsh(client, `sleep ${marker}`);
    await untilBusy(marker);
    const gone = closed(client);
    await gateway.gateway.close();
    expect(await ended).toMatchObject({ code: 126, stderr: expect.stringContaining('draining') });
    await gone;
    await untilIdle(marker);
    expect((await gateway.audit()).at(-1)).toMatchObject({ event: 'trail_closed' });
  });

  describe('a client that disappears', () => {
    test.each([
      ['with a command', []],
      ['with a command on a terminal', ['-tt']],
    ])('%s ends it at the host, and its session', async (_title, options) => {
      // Only root's sshd has terminals to give; there the hang-up is the terminal's own.
      const own = options.length === 0 ? sshd : await startSshd();
      const gateway = await start({ sshd: own });
      const agent = await gateway.agent();
      const marker = aMarker();
      const ssh = spawn('ssh', ['-F', agent.configFile, ...options, 'web1', `sleep ${marker}`]);
      children.push(ssh);
      await untilBusy(marker);
      ssh.kill('SIGKILL');
      await untilIdle(marker);
      const { session } = await event(gateway, { action: 'exec', effect: 'allow', upstream: 'web1', complete: true });
      expect(session).toBeDefined();
      expect(await event(gateway, { event: 'completed', status: 'aborted' })).toBeDefined();
      const connects = (await gateway.audit()).filter(({ action }) => action === 'connect');
      const agents = connects.filter(({ subject }) => Object(subject).type === 'agent');
      expect(await event(gateway, { event: 'closed', session: agents[0]?.session ?? null })).toBeDefined();
      if (own !== sshd) await own.stop();
    });

    test('in the middle of a transfer ends the transfer', async () => {
      const gateway = await start({ data: { ssh: { paths: { read: ['/'] } } } });
      const client = await connect(gateway);
      const file = join(sshd.home, 'large');
      await writeFile(file, randomBytes(16 * 1024 * 1024));
      await new Promise((resolve, reject) => {
        client.exec(`scp -f ${file}`, (error, channel) => {
          if (error) return reject(error);
          channel.write(Buffer.alloc(1));
          channel.once('data', () => resolve(channel.pause()));
        });
      });
      await event(gateway, { action: 'exec', effect: 'allow' });
      client.destroy();
      expect(await event(gateway, { event: 'completed', status: 'aborted' })).toBeDefined();
    });
  });

  describe('the host', () => {
    test('that goes away ends a command without a status and in words, and the gateway goes on', async () => {
      const own = await startSshd({ account: ordinaryAccount() });
      const gateway = await start({ sshd: own });
      const agent = await gateway.agent();
      const marker = aMarker();
      const command = gateway.ssh(agent, ['web1', `sleep ${marker}`]);
      await untilBusy(marker);
      await own.stop();
      expect(await command).toMatchObject({ code: 255, stderr: expect.stringContaining('upstream_unavailable') });
      expect(await event(gateway, { event: 'completed', code: 'upstream_unavailable' })).toMatchObject({
        status: 'unknown',
      });
      // The next one finds nobody there.
      const { code, stderr } = await gateway.ssh(agent, ['web1', 'true']);
      expect({ code, stderr }).toEqual({ code: 126, stderr: expect.stringContaining('upstream_unavailable') });
      expect(stderr).toMatch(/^sallyport: refused: The host could not be reached\./);
    });

    test('whose key is another one gets nothing: no login, no command', async () => {
      const other = await startSshd();
      const gateway = await start({ upstream: { hostKeys: [other.hostKey] } });
      await other.stop();
      const before = sshd.log().length;
      const { code, stderr } = await gateway.ssh(await gateway.agent(), ['web1', 'true']);
      expect({ code, stderr }).toEqual({
        code: 126,
        stderr: expect.stringMatching(/key is not the one that is configured/),
      });
      expect(sshd.log().slice(before)).not.toMatch(/Accepted|Starting session/);
    });

    test('that refuses the gateway’s login says so without the credential', async () => {
      const other = await startSshd();
      const gateway = await start({ upstream: { logins: { agent: { user: sshd.user, key: other.clientKey } } } });
      await other.stop();
      const { code, stderr } = await gateway.ssh(await gateway.agent(), ['web1', 'true']);
      expect({ code, stderr }).toEqual({ code: 126, stderr: expect.stringMatching(/refused the gateway.s login/) });
    });
  });

  describe('what cannot be kept is not forwarded', () => {
    /** Whether a command ran at the host. */
    const ran = async (file: string) =>
      await readFile(file).then(
        () => true,
        () => false,
      );

    test('a trail that cannot be written refuses commands, files and forwards', async () => {
      const gateway = await start({
        data: { ssh: { paths: { read: ['/'], write: ['/tmp'] }, forwards: ['127.0.0.1:1'] } },
      });
      const client = await connect(gateway);
      const agent = await gateway.agent();
      const file = join(sshd.home, `ran-${randomBytes(4).toString('hex')}`);
      expect(await runSsh(client, `touch ${file}-before`)).toMatchObject({ code: 0 });
      // Another file in its place is no trail of this gateway's.
      const folder = join(gateway.files.auditFile, '..');
      await rename(folder, `${folder}-moved`);
      await symlink('/dev/full', folder);
      for (;;) {
        const { code, stderr } = await runSsh(client, `touch ${file}`);
        if (code === 0) {
          await rm(file);
          continue;
        }
        expect({ code, stderr }).toEqual({ code: 126, stderr: expect.stringContaining('audit_unavailable') });
        break;
      }
      expect(await ran(file)).toBe(false);
      const sftp = await gateway.run('sftp', ['-F', agent.configFile, '-b', '-', 'web1'], { input: `mkdir ${file}\n` });
      expect(sftp.code).not.toBe(0);
      const forward = await gateway.ssh(agent, ['-W', '127.0.0.1:1', 'web1']);
      expect(forward.code).not.toBe(0);
      await rm(folder);
      await rename(`${folder}-moved`, folder);
    });

    test('recordings that cannot be written refuse the session', async () => {
      const gateway = await start();
      await rename(gateway.files.recordDirectory, `${gateway.files.recordDirectory}-moved`);
      await writeFile(gateway.files.recordDirectory, 'not a folder');
      const client = await connect(gateway);
      const file = join(sshd.home, `ran-${randomBytes(4).toString('hex')}`);
      const { code, stderr } = await runSsh(client, `touch ${file}`);
      expect({ code, stderr }).toEqual({ code: 126, stderr: expect.stringContaining('record_unavailable') });
      expect(await ran(file)).toBe(false);
    });
  });
});

/** Forwards and jumps of the real OpenSSH client: what leads to a known upstream is judged as if it had come straight. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket, connect as tcp } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { roleSql, schemaSql } from '../../scripts/demo/dataset.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { type SshAgent, type SshGateway, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd, type SshServer, startSshd } from '../support/sshd.ts';
import { describeTools } from './tools.ts';

describeTools(['ssh', 'scp'], findSshd() === undefined ? ['sshd'] : [], () => {
  let postgres: PostgresServer;
  let database: string;
  let build: SshServer;
  let echo: Server;
  let gateway: SshGateway;
  let agent: SshAgent;

  beforeAll(async () => {
    postgres = await startPostgres();
    database = await postgres.createDatabase();
    const role = `agent_${randomBytes(4).toString('hex')}`;
    await postgres.psql(schemaSql, { database });
    await postgres
      .psql(
        `INSERT INTO customers (id, name, email, phone, ssn, date_of_birth, created_at)
      VALUES (1, 'Ana', 'ana@example.org', '+1 202 555 0101', '123-45-6789', '1980-01-01', now())`,
        { database },
      )
      .catch(() => []);
    await postgres.psql(roleSql(role, 'secret'), { database });
    build = await startSshd();
    echo = createServer((socket) => socket.on('error', () => {}).pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    gateway = await startSshGateway({
      data: {
        upstreams: { build: { labels: {} } },
        ssh: {
          paths: { read: ['/'], write: ['/tmp'] },
          commands: ['printenv'],
          forwards: ['orders', 'build', `127.0.0.1:${port(echo)}`],
        },
      },
      more: [
        {
          name: 'build',
          host: build.host,
          port: build.port,
          hostKeys: [build.hostKey],
          logins: { agent: { user: build.user, key: build.clientKey } },
        },
      ],
      postgres: [
        {
          name: 'orders',
          host: postgres.host,
          port: postgres.port,
          ca: postgres.ca,
          logins: { agent: { user: role, password: 'secret' } },
        },
      ],
    });
    agent = await gateway.agent();
  });
  afterAll(async () => {
    echo.close();
    await gateway.stop();
    await build.stop();
    await postgres.stop();
  });

  /** What `ssh -W` connects standard input and output with. */
  function through(who: SshAgent, destination: string): Duplex & { readonly said: () => string } {
    const child = spawn('ssh', ['-F', who.configFile, '-o', 'LogLevel=INFO', '-W', destination, 'web1'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stdin.on('error', () => {});
    const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
    stream.on('error', () => {});
    stream.on('close', () => child.kill());
    return Object.assign(stream, { said: () => said });
  }

  /** The completed events of the trail so far, once there are enough of what is looked for. */
  const decided = async (action: string) =>
    (await gateway.audit()).filter((event) => event.event === 'decided' && event.action === action);

  describe('-J', () => {
    test('jumps to another host of the gateway, where the agent logs in anew and every command is judged', async () => {
      const jump = (command: string) =>
        gateway.ssh(agent, [
          '-o',
          'ProxyJump=web1',
          '-o',
          'HostName=build',
          '-p',
          '22',
          '-l',
          'agent',
          'build',
          command,
        ]);
      const allowed = await jump('echo from $HOME');
      expect({ code: allowed.code, stderr: allowed.stderr, out: allowed.stdout.toString() }).toEqual({
        code: 0,
        stderr: '',
        out: `from ${build.home}\n`,
      });
      const refused = await jump('sudo id');
      expect(refused.code).toBe(126);
      expect(refused.stderr).toContain('privilege_escalation');
      expect((await decided('exec')).filter(({ upstream }) => upstream === 'build').length).toBeGreaterThanOrEqual(2);
    });

    test('does not lead to a host that is not declared', async () => {
      const { code, stderr } = await gateway.ssh(agent, [
        '-o',
        'LogLevel=INFO',
        '-o',
        'ProxyCommand=ssh -F %d -o LogLevel=INFO -W [%h]:%p web1'.replace('%d', agent.configFile),
        '-o',
        'HostName=other',
        '-p',
        '22',
        'other',
        'true',
      ]);
      expect(code).toBe(255);
      expect(stderr).toMatch(/forward_refused|administratively prohibited/);
    });
  });

  describe('-W and -L to a database', () => {
    async function client(who: SshAgent, password: string): Promise<pg.Client> {
      const stream = through(who, 'orders:5432');
      const socket = Object.assign(stream, {
        connect: () => process.nextTick(() => stream.emit('connect')),
        setNoDelay: () => stream,
        setKeepAlive: () => stream,
        ref: () => stream,
        unref: () => stream,
      });
      const made = new pg.Client({
        ...{ host: 'localhost', database, user: 'agent', password },
        ssl: { ca: gateway.files.ca, servername: 'localhost' },
        stream: () => socket as unknown as Socket,
      });
      made.on('error', () => {});
      await made.connect();
      return made;
    }

    test('statements are judged and columns masked, inside the tunnel as outside', async () => {
      const connected = await client(agent, await gateway.token());
      const { rows } = await connected.query('SELECT id, ssn FROM customers LIMIT 1');
      expect(JSON.stringify(rows)).not.toContain('123-45-6789');
      await expect(connected.query('DROP TABLE customers')).rejects.toThrow(/ddl_refused|DROP/);
      await connected.end();
      const selects = (await decided('select')).filter(
        ({ upstream, effect }) => upstream === 'orders' && effect === 'allow',
      );
      expect(selects.length).toBeGreaterThan(0);
      expect((await decided('forward')).at(-1)).toMatchObject({ effect: 'allow', upstream: 'web1' });
    });

    test('the token of another subject does not get in', async () => {
      await expect(client(agent, await gateway.token('somebody-else'))).rejects.toThrow(
        /credential_invalid|not of the subject/,
      );
    });
  });

  describe('-L to something that is no upstream', () => {
    test('is let through where policy names it, and told of by count and hash', async () => {
      const stream = through(agent, `127.0.0.1:${port(echo)}`);
      const sent = randomBytes(300_000);
      stream.write(sent);
      const back = await read(stream, sent.length);
      stream.destroy();
      expect(back.equals(sent)).toBe(true);
    });

    test('is refused otherwise, in words', async () => {
      const stream = through(agent, '10.0.0.1:22');
      await new Promise((resolve) => stream.once('close', resolve).resume());
      expect(stream.said()).toMatch(/sallyport: .*forward_refused/);
    });
  });

  test('-D reaches what -L would, and nothing else', async () => {
    const socks = await freePort();
    const child = spawn(
      'ssh',
      ['-F', agent.configFile, '-N', '-D', `127.0.0.1:${socks}`, '-o', 'LogLevel=DEBUG1', 'web1'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    await new Promise<void>((resolve) => {
      let said = '';
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('Entering interactive session')) resolve();
      });
    });
    const answers = [];
    for (const [host, to] of [
      ['127.0.0.1', port(echo)],
      ['127.0.0.1', gateway.sshd.port + 0],
    ] as const) {
      const socket = tcp(socks, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(Buffer.from([5, 1, 0]));
      await read(socket, 2);
      const address = host.split('.').map(Number);
      socket.write(Buffer.from([5, 1, 0, 1, ...address, to >> 8, to & 255]));
      const reply = await read(socket, 10);
      socket.write('ping');
      answers.push(reply.length < 10 ? '' : (await read(socket, 4)).toString());
      socket.destroy();
    }
    child.kill();
    expect(answers).toEqual(['ping', '']);
  });

  test.each([
    ['-R', ['-R', '0:127.0.0.1:22']],
    ['-R of a socket', ['-R', '/tmp/sallyport-never.sock:127.0.0.1:22']],
  ])('%s is refused, and nothing listens at the host', async (_title, options) => {
    const { code, stderr } = await gateway.ssh(agent, [...options, '-o', 'ExitOnForwardFailure=yes', 'web1', 'true']);
    expect(code).toBe(255);
    expect(stderr).toMatch(/remote port forwarding failed/);
  });

  test.each([
    ['agent', ['-A', '-o', `ForwardAgent=yes`]],
    ['display', ['-X', '-o', 'ForwardX11=yes']],
  ])('the %s is never forwarded: the command runs without', async (_title, options) => {
    const env = { SSH_AUTH_SOCK: join(agent.directory, 'no-agent'), DISPLAY: '' };
    const { code, stdout } = await gateway.ssh(agent, [...options, 'web1', 'echo ran'], { env });
    expect({ code, out: stdout.toString() }).toEqual({ code: 0, out: 'ran\n' });
    const { stdout: variables } = await gateway.ssh(agent, [...options, 'web1', 'printenv SSH_AUTH_SOCK'], {
      env,
    });
    expect(variables.toString()).toBe('');
  });
});

function port(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const chosen = port(server);
  await new Promise((resolve) => server.close(resolve));
  return chosen;
}

/** Exactly so many bytes, or what there was before the end. */
function read(stream: Duplex, count: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const take = (chunk: Buffer) => {
      pieces.push(chunk);
      bytes += chunk.length;
      if (bytes < count) return;
      stream.removeListener('data', take);
      stream.pause();
      resolve(Buffer.concat(pieces));
    };
    stream.on('data', take);
    stream.resume();
    stream.once('close', () => resolve(Buffer.concat(pieces)));
  });
}

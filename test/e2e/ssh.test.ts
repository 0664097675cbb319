/** What is left behind of operations over SSH, and how a decision is carried out: audit, masks, bounds, recordings. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run as replay } from '../../proxy/cli/replay.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type Frame, readRecording } from '../../proxy/record/index.ts';
import { describeTools } from '../clients/tools.ts';
import { connectSsh, type Ran, runSsh, startSsh } from '../support/ssh-client.ts';
import { type SshAgent, type SshGateway, spoken, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd, ordinaryAccount, type SshServer, startSshd } from '../support/sshd.ts';

/** What is in files of the host and must be seen by nobody whose output is masked. */
const secrets = {
  email: 'ana.marker@example.org',
  aws_access_key: 'AKIAIOSFODNN7MARKERX',
  jwt: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYXJrZXItbWFya2VyIn0.c2lnbmF0dXJlLW9mLWEtbWFya2VyLTEyMzQ1Njc4OTA',
  private_key: `-----BEGIN OPENSSH PRIVATE KEY-----\n${'bWFya2VyLW1hcmtlci1tYXJrZXItbWFya2VyLW1hcmtlci1tYXJrZXItbWFya2VyLW1h\n'.repeat(4)}-----END OPENSSH PRIVATE KEY-----`,
};
const words = { email: '[email]', aws_access_key: '[aws]', jwt: '[jwt]', private_key: '[key]' };
const masks = {
  text: Object.fromEntries(Object.entries(words).map(([name, value]) => [name, { replace: { value } }])),
};
const obligation = (type: string, value: string | number) => ({ id: `the_${type}`, type, properties: { value } });

describeTools(['ssh', 'scp', 'sftp', 'rsync'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  /** A host whose login is not root: it takes signals, whatever its version. */
  let ordinary: SshServer;
  let home: string;
  beforeAll(async () => {
    ordinary = await startSshd({ account: ordinaryAccount() });
    const login = { agent: { user: ordinary.user, key: ordinary.clientKey } };
    const { host, port, hostKey } = ordinary;
    gateway = await startSshGateway({
      ...spoken,
      more: [{ name: 'ordinary', host, port, hostKeys: [hostKey], logins: login }],
    });
    home = gateway.sshd.home;
    for (const [name, secret] of Object.entries(secrets)) await writeFile(join(home, name), `before ${secret} after\n`);
    await writeFile(join(home, 'lines'), 'one\ntwo\nthree\n');
  });
  afterAll(async () => {
    await gateway.stop();
    await ordinary.stop();
  });

  let subjects = 0;
  /** A subject of its own, for whom policy says this. */
  async function tokenFor(says: JsonObject): Promise<{ subject: string; token: string }> {
    const subject = `subject-${subjects++}`;
    return { subject, token: await gateway.token(subject, { claims: { says } }) };
  }

  /** A command of a subject of its own, and what it left behind. */
  async function run(
    says: JsonObject,
    command: string,
    { upstream = 'web1', ...options }: { upstream?: string; pty?: object } = {},
  ): Promise<Ran & { subject: string }> {
    const { subject, token } = await tokenFor(says);
    const client = await connectSsh({ ...gateway, token, user: `agent+${upstream}` });
    const ran = await runSsh(client, command, '', options);
    client.end();
    return { subject, ...ran };
  }

  async function agentFor(says: JsonObject): Promise<SshAgent & { subject: string }> {
    const { subject, token } = await tokenFor(says);
    return { subject, ...(await gateway.agent({ token })) };
  }

  /** The events of a subject, those of its sessions included, once the last of these is closed. */
  async function trail(subject: string): Promise<readonly JsonObject[]> {
    for (;;) {
      const events = await gateway.audit();
      const connects = events.filter(({ action, subject: who }) => action === 'connect' && Object(who).id === subject);
      const own = events.filter(({ session }) => connects.some((one) => one.session === session));
      const opened = connects.filter(({ effect, code }) => effect === 'allow' && code === undefined).length;
      if (connects.length > 0 && own.filter(({ event }) => event === 'closed').length === opened) return own;
    }
  }

  /** The frames of the one session of a subject. */
  async function frames(subject: string): Promise<readonly Frame[]> {
    const found: Frame[] = [];
    for await (const frame of readRecording(await recordingOf(subject))) found.push(frame);
    return found;
  }

  async function recordingOf(subject: string): Promise<string> {
    const [first] = await trail(subject);
    const entries = await readdir(gateway.files.recordDirectory, { recursive: true, withFileTypes: true });
    const entry = entries.find(({ name }) => name === `${String(first?.session)}.sprec`);
    if (entry === undefined) throw new Error('there is no recording');
    return join(entry.parentPath, entry.name);
  }

  describe('audit', () => {
    /** The trail as a command at the host finds it: its own `decided` is there before it runs. */
    test('a command is in the trail before it runs, and how it ended afterwards', async () => {
      const { stdout, subject } = await run({ allow: true }, `cat ${gateway.files.auditFile}`);
      const found = stdout.split('\n').filter((line) => line.includes('"decided"') && line.includes(subject));
      expect(found.map((line) => JSON.parse(line))).toMatchObject([
        { action: 'connect', effect: 'allow' },
        { action: 'exec', effect: 'allow', operation: { text: `cat ${gateway.files.auditFile}`, commands: ['cat'] } },
      ]);
      const completed = (await trail(subject)).filter(({ event }) => event === 'completed');
      expect(completed).toMatchObject([
        { status: 'ok', code: '0', bytes: Buffer.byteLength(stdout) },
        { status: 'ok' },
      ]);
    });

    test.each([
      ['an exit status', 'exit 7', { status: 'error', code: '7' }],
      ['a signal', 'kill -TERM $$', { status: 'error', code: 'SIGTERM' }],
      ['both streams, counted', 'cat lines; cat lines >&2', { status: 'ok', code: '0', bytes: 28 }],
    ])('%s', async (_title, command, outcome) => {
      const { subject } = await run({ allow: true }, command);
      const events = await trail(subject);
      const { decision_id } = events.find(({ action }) => action === 'exec') ?? {};
      expect(events.filter((event) => event.decision_id === decision_id)).toMatchObject([
        { event: 'decided' },
        { event: 'completed', ...outcome },
      ]);
    });

    test('each operation on a file over sftp, before the host hears of it', async () => {
      const agent = await agentFor({ allow: true });
      const copy = join(agent.directory, 'trail');
      const batch = `get ${gateway.files.auditFile} ${copy}\nrm ${join(home, 'to-remove')}\n`;
      await writeFile(join(home, 'to-remove'), '');
      const ran = await gateway.run('sftp', ['-F', agent.configFile, '-b', '-', 'web1'], { input: batch });
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      const opened = await readFile(copy, 'utf8');
      expect(opened.split('\n').some((line) => line.includes(agent.subject) && line.includes('"open"'))).toBe(true);
      const events = await trail(agent.subject);
      const decided = events.filter(({ action }) => action === 'sftp');
      expect(decided.map(({ operation }) => Object(operation).sftp.operation)).toEqual(
        expect.arrayContaining(['real_path', 'stat', 'open', 'remove']),
      );
      for (const { decision_id } of decided) {
        const completed = events.filter((event) => event.event === 'completed' && event.decision_id === decision_id);
        expect(completed).toHaveLength(1);
      }
      const open = decided.find(({ operation }) => Object(operation).sftp.operation === 'open');
      const completed = events.find((one) => one.event === 'completed' && one.decision_id === open?.decision_id);
      expect(completed).toMatchObject({ status: 'ok', bytes: Buffer.byteLength(opened) });
    });

    test('a forward, before anything is connected to, with its bytes', async () => {
      let found: readonly string[] = [];
      const { subject, token } = await tokenFor({ allow: true });
      const server = createServer((socket) => {
        found = readFileSync(gateway.files.auditFile, 'utf8').split('\n');
        socket.on('error', () => {}).end('hello');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const port = portOf(server.address());
      const agent = await gateway.agent({ token });
      const ran = await gateway.ssh(agent, ['-W', `127.0.0.1:${port}`, 'web1']);
      server.close();
      expect(ran.stdout.toString()).toBe('hello');
      const line = found.find((one) => one.includes(subject) && one.includes('"action":"forward"')) ?? '{}';
      expect(JSON.parse(line)).toMatchObject({ effect: 'allow', operation: { destination: { port } } });
      const { decision_id } = JSON.parse(line);
      const events = (await trail(subject)).filter((event) => event.decision_id === decision_id);
      expect(events).toMatchObject([{ event: 'decided' }, { event: 'completed', status: 'ok', bytes: 5 }]);
    });

    test('a refusal, with its code and without a completion', async () => {
      const { subject, code, stderr } = await run({}, 'true');
      expect(code).toBe(126);
      expect(stderr).toMatch(
        /^sallyport: refused: .*\(default\/policy_undefined\)\nsallyport: .*\nsallyport: decision \S+\n$/,
      );
      const [decision] = /\S+(?=\n$)/.exec(stderr) ?? [];
      const events = (await trail(subject)).filter((event) => event.decision_id === decision);
      expect(events).toMatchObject([
        { event: 'decided', effect: 'deny', code: 'policy_undefined', subject: { id: subject } },
      ]);
    });
  });

  describe('masks', () => {
    const masked = { allow: true, masks };

    test('of both streams, whatever the secret', async () => {
      for (const [name, word] of Object.entries(words)) {
        const ran = await run(masked, `cat ${name}; cat ${name} >&2`);
        expect(ran).toMatchObject({ stdout: `before ${word} after\n`, stderr: `before ${word} after\n`, code: 0 });
        const [completed] = (await trail(ran.subject)).filter(({ event }) => event === 'completed');
        expect(completed).toMatchObject({ masked_cells: 2 });
      }
    });

    test('of what comes in pieces, however far apart', async () => {
      const whole = `x ${secrets.email} ${secrets.jwt} y`;
      for (const cut of [5, 13, 40]) {
        const parts = [];
        for (let at = 0; at < whole.length; at += cut) parts.push(whole.slice(at, at + cut));
        const command = parts.map((part) => `printf '%s' '${part}'`).join('; sleep 0.02; ');
        expect((await run(masked, command)).stdout).toBe('x [email] [jwt] y');
      }
    });

    test('on a terminal, where a prompt is not kept back', async () => {
      const { token } = await tokenFor(masked);
      const client = await connectSsh({ ...gateway, token });
      const pty = { term: 'xterm', cols: 80, rows: 24 };
      const { channel, ended } = await startSsh(client, "printf 'continue? '; read answer; cat email", { pty });
      const prompt = await new Promise<string>((resolve) =>
        channel.once('data', (chunk: Buffer) => resolve(chunk.toString())),
      );
      expect(prompt).toBe('continue? ');
      channel.write('yes\n');
      expect((await ended).stdout).toContain(`before ${words.email} after`);
      client.end();
    });

    test('of files that are transferred cannot be applied: the transfer is refused', async () => {
      const agent = await agentFor(masked);
      const target = join(agent.directory, 'stolen');
      const shell = `ssh -F ${agent.configFile}`;
      const ran = [
        await gateway.run('scp', ['-F', agent.configFile, '-O', 'web1:email', target]),
        await gateway.run('scp', ['-F', agent.configFile, 'web1:email', target]),
        await gateway.run('rsync', ['-e', shell, 'web1:email', target]),
        await gateway.run('sftp', ['-F', agent.configFile, '-b', '-', 'web1'], { input: `get email ${target}\n` }),
      ];
      for (const { code } of ran) expect(code).not.toBe(0);
      // scp over sftp has words of its own for a file that it may not see.
      for (const { stderr } of [ran[0], ran[2], ran[3]].filter((one) => one !== undefined)) {
        expect(stderr).toContain('mask_unprovable');
      }
      await expect(readFile(target)).rejects.toThrow('ENOENT');
      const decided = (await trail(agent.subject)).filter(
        ({ event, action }) => event === 'decided' && action !== 'connect',
      );
      expect(new Set(decided.map(({ code }) => code))).toEqual(new Set(['mask_unprovable']));
    });
  });

  describe('obligations', () => {
    test('max_bytes ends a command with words and 126, after what was allowed', async () => {
      const says = { allow: true, obligations: [obligation('max_bytes', 100_000)] };
      const { stdout, stderr, code, subject } = await run(says, 'cat /dev/zero');
      expect(code).toBe(126);
      expect(stderr).toMatch(/refused: .*\(the_max_bytes\/limit_reached\)/);
      expect(stdout.length).toBeLessThanOrEqual(100_000);
      expect(await trail(subject)).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ event: 'completed', status: 'aborted', code: 'limit_reached' }),
        ]),
      );
      expect(await run(says, 'head -c 100000 /dev/zero')).toMatchObject({ code: 0, stderr: '' });
    });

    test('timeout_ms ends a command and what it started at the host', async () => {
      const marker = `31.${randomBytes(4).readUInt32BE()}`;
      const says = { allow: true, obligations: [obligation('timeout_ms', 300)] };
      const { stderr, code } = await run(says, `sleep ${marker} | cat`, { upstream: 'ordinary' });
      expect({ code, stderr }).toEqual({ code: 126, stderr: expect.stringContaining('the_timeout_ms/limit_reached') });
      await untilGone(marker);
    });

    test('record metadata keeps no output, but what it came to', async () => {
      const says = { allow: true, obligations: [obligation('record', 'metadata')] };
      const { stdout, subject } = await run(says, 'cat lines; cat lines >&2');
      expect(stdout).toBe('one\ntwo\nthree\n');
      const kinds = (await frames(subject)).map(({ kind }) => kind);
      expect(kinds).not.toContain('stdout');
      expect(kinds).not.toContain('stderr');
      const exit = (await frames(subject)).find(({ kind }) => kind === 'exit');
      const sha256 = createHash('sha256').update('one\ntwo\nthree\n').digest('hex');
      expect(exit?.data).toMatchObject({
        status: 0,
        unrecorded: [
          { stream: 'stdout', bytes: 14, sha256 },
          { stream: 'stderr', bytes: 14, sha256 },
        ],
      });
    });
  });

  describe('a recording', () => {
    async function shown(file: string, ...options: readonly string[]): Promise<string> {
      let text = '';
      const take = {
        write(chunk: string) {
          text += chunk;
        },
      };
      const io = { stdout: take, stderr: take } as unknown as Parameters<typeof replay>[1];
      expect(await replay([file, ...options], io)).toBe(0);
      return text;
    }

    test('shows what the client saw, masked', async () => {
      const { subject, stdout } = await run({ allow: true, masks }, 'cat lines email; ls none');
      const recording = await frames(subject);
      const of = (wanted: string) =>
        Buffer.concat(
          recording.flatMap(({ kind, data }) => (kind === wanted && data instanceof Uint8Array ? [data] : [])),
        ).toString();
      expect(of('stdout')).toBe(stdout);
      expect(of('stderr')).toContain('none');
      expect(recording.map(({ kind }) => kind)).toEqual(
        expect.arrayContaining(['header', 'command', 'stdout', 'stderr', 'exit', 'end']),
      );
      const file = await recordingOf(subject);
      const text = await shown(file);
      expect(text).toContain('cat lines email; ls none');
      expect(text).toContain(words.email);
      const [header, ...events] = (await shown(file, '--asciicast'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(header).toMatchObject({ version: 3 });
      const output = events.filter(([, code]) => code === 'o').map(([, , data]) => String(data));
      expect(output.join('')).toContain(stdout.replaceAll('\n', '\r\n'));
      expect(events.at(-1)).toEqual([expect.anything(), 'x', expect.anything()]);
    });

    test('of a terminal has its size and what was shown on it', async () => {
      const pty = { term: 'xterm-256color', cols: 132, rows: 40 };
      const { subject, stdout } = await run({ allow: true, masks }, 'cat email; stty size', { pty });
      expect(stdout).toContain('40 132');
      const [header, ...events] = (await shown(await recordingOf(subject), '--asciicast')).trim().split('\n');
      expect(JSON.parse(header ?? '')).toMatchObject({ term: { cols: 132, rows: 40, type: 'xterm-256color' } });
      expect(events.join('\n')).toContain('40 132');
    });

    test('of a refused command has the refusal and no output', async () => {
      const { subject, code } = await run({ allow: true }, 'x'.repeat(20_000));
      expect(code).toBe(126);
      const recording = await frames(subject);
      expect(recording.map(({ kind }) => kind)).toEqual(['header', 'judged', 'refused', 'end']);
    });
  });

  describe('nothing keeps', () => {
    /** Everything that a run left behind. */
    async function kept(): Promise<string> {
      const entries = await readdir(gateway.files.recordDirectory, { recursive: true, withFileTypes: true });
      const files = entries.filter((one) => one.isFile()).map(({ parentPath, name }) => join(parentPath, name));
      const texts = await Promise.all([gateway.files.auditFile, ...files].map((file) => readFile(file, 'latin1')));
      return [...texts, ...gateway.log, await gateway.metrics()].join('\n');
    }

    test('what was masked, in the trail, recordings, the log or metrics', async () => {
      const { subject } = await run({ allow: true, masks }, `cat ${Object.keys(secrets).join(' ')}`);
      await trail(subject);
      const everything = await kept();
      for (const secret of Object.values(secrets)) {
        for (const line of secret.split('\n').filter((one) => !one.includes('-----'))) {
          expect(everything.includes(line)).toBe(false);
        }
      }
    });

    test('secrets in commands, permitted or refused', async () => {
      const commands = [
        (secret: string) => `mysql -p${secret} -e 'select 1'`,
        (secret: string) => `mysql --password=${secret} db`,
        (secret: string) => `curl https://user:${secret}@example.org/`,
        (secret: string) => `curl -u user:${secret} https://example.org/`,
        (secret: string) => `curl -H 'Authorization: Bearer ${secret}' https://example.org/`,
        (secret: string) => `PGPASSWORD=${secret} psql -h db`,
        (secret: string) => `sshpass -p ${secret} ssh db`,
        (secret: string) => `export API_KEY=${secret}`,
        (secret: string) => `mysqldump -u root -p'${secret}' shop`,
        (secret: string) => `docker login -u me --password ${secret} registry`,
        (secret: string) => `redis-cli -a ${secret} ping`,
      ];
      const asked: { readonly secret: string; readonly command: string }[] = [];
      const ask = async (says: JsonObject, form: (command: string) => string) => {
        const { subject, token } = await tokenFor(says);
        const client = await connectSsh({ ...gateway, token });
        for (const command of commands) {
          const secret = `Hunter2${randomBytes(9).toString('hex')}`;
          const text = form(command(secret));
          asked.push({ secret, command: text.replace(secret, 'SECRET') });
          await runSsh(client, text);
        }
        client.end();
        await trail(subject);
      };
      // Permitted, where nothing of them runs; refused by the gate, by the plan, and for what cannot be parsed.
      await ask({ allow: true }, (command) => `false && ${command}`);
      await ask({ allow: true, masks: { text: { nothing_finds_this: { null: {} } } } }, (command) => command);
      await ask({ allow: true, obligations: [obligation('max_rows', 5)] }, (command) => command);
      await ask({ allow: true }, (command) => `${command} $(`);
      const everything = await kept();
      const left = asked.filter(({ secret }) => everything.includes(secret)).map(({ command }) => command);
      expect(left).toEqual([]);
    });

    test('the credentials of anybody', async () => {
      const everything = await kept();
      const { subject, token } = await tokenFor({ allow: true });
      const client = await connectSsh({ ...gateway, token });
      await runSsh(client, 'true');
      client.end();
      await trail(subject);
      expect((await kept()).length).toBeGreaterThan(everything.length);
      expect((await kept()).includes(token.split('.')[2] ?? token)).toBe(false);
      expect((await kept()).includes('PRIVATE KEY')).toBe(false);
    });
  });

  /** Looks at the host's processes until none has this in its arguments. */
  async function untilGone(marker: string): Promise<void> {
    while ((await gateway.run('ps', ['-eo', 'args'])).stdout.toString().includes(marker));
  }
});

function portOf(address: AddressInfo | string | null): number {
  return address !== null && typeof address === 'object' ? address.port : 0;
}

/**
 * OpenSSH's own programs, and what rides on them: each is run twice, through the gateway and straight at the same sshd,
 * and must not differ in bytes, exit codes or what is at the host afterwards.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Finished, type SshAgent, type SshGateway, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd } from '../support/sshd.ts';
import { describeTools } from './tools.ts';

describeTools(['ssh', 'scp', 'sftp', 'ssh-keygen'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  let agent: SshAgent;
  let home: string;

  beforeAll(async () => {
    gateway = await startSshGateway({
      data: {
        ssh: {
          paths: { read: ['/'], write: ['/'] },
          commands: ['printenv', 'no-such-program'],
          tools: { 'no-such-program': {} },
        },
      },
    });
    home = gateway.sshd.home;
    agent = await gateway.agent();
    await mkdir(join(home, 'data/deep'), { recursive: true });
    await writeFile(join(home, 'data/plain.txt'), 'one\ntwo\nthree\n');
    await writeFile(join(home, 'data/deep/binary'), randomBytes(3 * 1024 * 1024));
    await writeFile(join(home, 'data/name with spaces'), 'x');
  });
  afterAll(() => gateway.stop());

  /** Both ways, with the same arguments behind the host. */
  async function both(
    args: readonly string[],
    more: { input?: string | Buffer; options?: readonly string[] } = {},
  ): Promise<{ through: Finished; direct: Finished }> {
    const { options = [], ...rest } = more;
    const through = await gateway.ssh(agent, [...options, 'web1', ...args], rest);
    const direct = await gateway.ssh(agent, [...options, 'direct', ...args], rest);
    return { through, direct };
  }

  const seen = ({ code, signal, stdout, stderr }: Finished) => ({
    ...{ code, signal, stderr },
    stdout: stdout.length > 10_000 ? stdout.toString('base64').length : stdout.toString('latin1'),
  });

  describe('exec', () => {
    test.each([
      ['output', 'cat data/plain.txt'],
      ['no output at all', 'true'],
      ['an exit status', 'cd data && false'],
      ['a missing file', 'cat data/none'],
      ['a missing program', 'no-such-program'],
      ['a pipeline', 'cat data/plain.txt | grep -c o'],
      ['a list', 'cd data && ls; echo $HOME; false || echo recovered'],
      ['quoting', `printf '%s|' "a  b" 'it'"'"'s' a\\ b $'tab\\there'`],
      ['output on both streams', 'ls data/plain.txt data/none'],
      ['a redirection', 'echo written > data/out && cat data/out 2>&1'],
      ['a here-document', "cat <<'EOF'\none $HOME\ntwo\nEOF"],
      ['a loop', 'for x in 1 2 3; do echo "line $x"; done'],
      ['a name with spaces', "wc -c 'data/name with spaces'"],
      ['three megabytes of anything', 'cat data/deep/binary'],
    ])('%s', async (_title, command) => {
      const { through, direct } = await both([command]);
      expect(seen(through)).toEqual(seen(direct));
      expect(through.stdout.equals(direct.stdout)).toBe(true);
    });

    test('what it reads: text, binary, nothing, and with -n', async () => {
      const input = randomBytes(5 * 1024 * 1024);
      for (const [args, options] of [
        [['cat'], []],
        [['wc', '-c'], []],
        [['head', '-c', '10'], []],
        [['cat'], ['-n']],
      ] as const) {
        const { through, direct } = await both(args, { input, options });
        expect(seen(through)).toEqual(seen(direct));
        expect(through.stdout.equals(direct.stdout)).toBe(true);
      }
    });

    test('on a terminal', async () => {
      const { through, direct } = await both(['ls data; tty > /dev/null && echo a terminal'], { options: ['-tt'] });
      expect(seen(through)).toEqual(seen(direct));
      expect(through.stdout.toString()).toContain('a terminal\r\n');
    });

    test('a script on standard input, given to a shell or to nobody', async () => {
      const input = `cd ${home}/data || exit\nfor x in a b; do echo "$x"; done\ncat plain.txt\nfalse\n`;
      for (const args of [['bash', '-s'], ['sh'], []]) {
        const { through, direct } = await both(args, { input, options: ['-T'] });
        expect({ args, ...seen(through) }).toEqual({ args, ...seen(direct) });
      }
    });

    test('locale variables reach the host', async () => {
      const options = ['-o', 'SetEnv=LC_ALL=C.UTF-8'];
      const { through, direct } = await both(['printenv LC_ALL'], { options });
      expect(seen(through)).toEqual(seen(direct));
    });

    test('a command that is killed says by which signal', async () => {
      const { through, direct } = await both(['timeout -s KILL 0.1 sleep 5']);
      expect(seen(through)).toEqual(seen(direct));
    });
  });

  describe('files', () => {
    test.each([
      ['scp', ['-q']],
      ['scp by its old protocol', ['-q', '-O']],
      ['scp of a folder', ['-q', '-r']],
      ['scp of a folder by its old protocol', ['-q', '-O', '-r', '-p']],
    ])('%s', async (_title, options) => {
      const recursive = options.includes('-r');
      const source = recursive ? 'data' : 'data/deep/binary';
      const results: Finished[] = [];
      for (const host of ['web1', 'direct']) {
        const down = join(agent.directory, `down-${host}-${options.join('')}`);
        const up = join(home, `up-${host}-${options.join('')}`);
        results.push(await gateway.run('scp', ['-F', agent.configFile, ...options, `${host}:${source}`, down]));
        results.push(await gateway.run('scp', ['-F', agent.configFile, ...options, down, `${host}:${up}`]));
        const file = recursive ? 'deep/binary' : '';
        expect(readFileSync(join(down, file)).equals(readFileSync(join(home, 'data/deep/binary')))).toBe(true);
        expect(readFileSync(join(up, file)).equals(readFileSync(join(home, 'data/deep/binary')))).toBe(true);
      }
      const [throughDown, throughUp, directDown, directUp] = results.map(seen);
      expect(throughDown).toEqual(directDown);
      expect(throughUp).toEqual(directUp);
    });

    test('sftp, a batch of everything', async () => {
      const out: Finished[] = [];
      for (const host of ['web1', 'direct']) {
        const batch = `mkdir batch
put ${join(home, 'data/deep/binary')} batch/copy
ls -l batch
chmod 600 batch/copy
rename batch/copy batch/moved
ls batch
get batch/moved ${join(agent.directory, 'sftp')}
rm batch/moved
rmdir batch
pwd
ls data
`;
        const args = ['-F', agent.configFile, '-b', '-', host];
        out.push(await gateway.run('sftp', args, { input: batch }));
        const copy = await readFile(join(agent.directory, 'sftp'));
        expect(copy.equals(readFileSync(join(home, 'data/deep/binary')))).toBe(true);
      }
      const [through, direct] = out.map((ran) => ({ ...seen(ran), stdout: withoutTimes(ran.stdout.toString()) }));
      expect(through).toEqual(direct);
    });

    test('sftp is told in words what is refused, and goes on', async () => {
      const input = '-symlink data/plain.txt link\n-get /etc/shadow\npwd\n';
      const ran = await gateway.run('sftp', ['-F', agent.configFile, '-b', '-', 'web1'], { input });
      expect(ran.code).toBe(0);
      // Words and status of a refusal are two streams of the channel: either may be printed first.
      for (const part of [/refused: .*links/, /refused: .*credential_files/, /Permission denied/]) {
        expect(ran.stderr).toMatch(part);
      }
      expect(ran.stdout.toString()).toContain(`Remote working directory: ${home}`);
    });

    test('sftp says what is not there, and goes on', async () => {
      const input = '-get none\n-rm none\npwd\n';
      const results = [];
      for (const host of ['web1', 'direct']) {
        results.push(seen(await gateway.run('sftp', ['-F', agent.configFile, '-b', '-', host], { input })));
      }
      expect(results[0]).toEqual(results[1]);
    });
  });

  test('one connection for many commands, and for several at once', async () => {
    const path = join(agent.directory, 'mux');
    const options = ['-o', `ControlPath=${path}`];
    const master = await gateway.ssh(agent, ['-o', 'ControlMaster=yes', ...options, '-f', '-N', 'web1']);
    expect(seen(master)).toMatchObject({ code: 0, stderr: '' });
    const many = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        gateway.ssh(agent, [...options, 'web1', `echo ${index}; cat`], { input: 'x' }),
      ),
    );
    expect(many.map(({ code, stdout }) => [code, stdout.toString()])).toEqual(
      many.map((_, index) => [0, `${index}\nx`]),
    );
    expect(seen(await gateway.ssh(agent, [...options, '-O', 'exit', 'web1']))).toMatchObject({ code: 0 });
    const opened = (await gateway.audit()).filter(({ action, subject }) => action === 'connect' && isAgent(subject));
    expect(opened.length).toBeGreaterThan(0);
  });

  test('keys are exchanged again in the middle of a stream', async () => {
    const input = randomBytes(8 * 1024 * 1024);
    const { through, direct } = await both(['cat'], { input, options: ['-o', 'RekeyLimit=1M'] });
    expect(through.code).toBe(0);
    expect(through.stdout.equals(direct.stdout)).toBe(true);
  });

  test('keep-alives are answered', async () => {
    const { through } = await both(['sleep 3'], {
      options: ['-o', 'ServerAliveInterval=1', '-o', 'ServerAliveCountMax=1'],
    });
    expect(seen(through)).toMatchObject({ code: 0, stderr: '' });
  });
});

describeTools(['ssh', 'rsync'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  let agent: SshAgent;
  beforeAll(async () => {
    gateway = await startSshGateway({ data: { ssh: { paths: { read: ['/'], write: ['/'] } } } });
    agent = await gateway.agent();
    await mkdir(join(gateway.sshd.home, 'tree/sub'), { recursive: true });
    await writeFile(join(gateway.sshd.home, 'tree/sub/file'), randomBytes(1024 * 1024));
    await writeFile(join(gateway.sshd.home, 'tree/empty'), '');
  });
  afterAll(() => gateway.stop());

  test.each([['-a'], ['-az'], ['-rc']])('rsync %s both ways', async (first) => {
    // A link that is uploaded could lead anywhere: the policies that ship want it left out.
    const options = [first, '--no-links'];
    const shell = `ssh -F ${agent.configFile}`;
    for (const host of ['web1', 'direct']) {
      const down = join(agent.directory, `down-${host}${first}`);
      const up = join(gateway.sshd.home, `up-${host}${first}`);
      const pulled = await gateway.run('rsync', [...options, '-e', shell, `${host}:tree/`, down]);
      const pushed = await gateway.run('rsync', [...options, '-e', shell, `${down}/`, `${host}:${up}`]);
      expect([pulled.code, pulled.stderr, pushed.code, pushed.stderr]).toEqual([0, '', 0, '']);
      const original = readFileSync(join(gateway.sshd.home, 'tree/sub/file'));
      expect(readFileSync(join(up, 'sub/file')).equals(original)).toBe(true);
    }
  });
});

describeTools(['ssh', 'git'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  let agent: SshAgent;
  beforeAll(async () => {
    // A repository's hooks run what is pushed to it: an author has to name it.
    gateway = await startSshGateway({
      data: { ssh: { paths: { read: ['/'], write: ['/'] }, commands: ['git-receive-pack'] } },
    });
    agent = await gateway.agent();
    const repository = join(gateway.sshd.home, 'project.git');
    const made = await gateway.run('git', ['init', '-q', '--bare', '-b', 'main', repository]);
    expect(made).toMatchObject({ code: 0 });
  });
  afterAll(() => gateway.stop());

  test('git clones, commits, pushes and fetches', async () => {
    const env = {
      GIT_SSH_COMMAND: `ssh -F ${agent.configFile}`,
      HOME: agent.directory,
      ...{ GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.org', GIT_COMMITTER_NAME: 'a' },
      ...{ GIT_COMMITTER_EMAIL: 'a@example.org', GIT_CONFIG_NOSYSTEM: '1' },
    };
    const work = join(agent.directory, 'work');
    const git = async (args: readonly string[], cwd = work) => {
      const ran = await gateway.run('git', args, { env, cwd });
      expect({ args, code: ran.code, stderr: ran.code === 0 ? '' : ran.stderr }).toEqual({ args, code: 0, stderr: '' });
    };
    await git(['clone', '-q', `web1:${join(gateway.sshd.home, 'project.git')}`, work], agent.directory);
    await writeFile(join(work, 'file'), randomBytes(256 * 1024));
    await git(['add', 'file']);
    await git(['commit', '-q', '-m', 'one']);
    await git(['push', '-q', 'origin', 'HEAD:main']);
    await git(['fetch', '-q', 'origin']);
    await git(['clone', '-q', '-b', 'main', 'web1:project.git', join(agent.directory, 'again')], agent.directory);
    expect(existsSync(join(agent.directory, 'again/file'))).toBe(true);
  });
});

function isAgent(subject: unknown): boolean {
  return subject !== null && typeof subject === 'object' && 'type' in subject && subject.type === 'agent';
}

/** `ls -l` of two runs differs in its times. */
function withoutTimes(text: string): string {
  return text.replace(/\w{3} +\d+ +\d\d:\d\d/g, 'TIME');
}

/** From nothing to a command on a host with what the command line gives an agent, as an agent would use it. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { run } from '../../proxy/cli/command.ts';
import { type Finished, type SshGateway, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd } from '../support/sshd.ts';
import { describeTools } from './tools.ts';

const main = join(import.meta.dirname, '../../proxy/cli/main.ts');

describeTools(['ssh', 'scp'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  let directory: string;

  beforeEach(async () => {
    gateway = await startSshGateway({ data: { ssh: { paths: { read: ['/'], write: ['/'] } } } });
    directory = await mkdtemp(join(tmpdir(), 'sallyport-login-'));
    await mkdir(join(directory, 'bin'));
    // What is installed as `sallyport`; ssh runs it through a shell.
    await writeFile(join(directory, 'bin/sallyport'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
    await chmod(join(directory, 'bin/sallyport'), 0o755);
  });
  afterEach(async () => {
    await gateway.stop();
    await rm(directory, { recursive: true });
  });

  /** Writes what `sallyport ssh-config` says for the gateway's own configuration, with the token in a file. */
  async function configure(token: string): Promise<void> {
    await writeFile(join(directory, 'token'), `${token}\n`, { mode: 0o600 });
    let config = '';
    let said = '';
    const code = await run(
      [
        ...['ssh-config', '--config', gateway.files.configFile, '--gateway', `${gateway.host}:${gateway.port}`],
        ...['--directory', join(directory, 'agent'), '--known-hosts', join(directory, 'known_hosts')],
        ...['--token-file', join(directory, 'token')],
      ],
      {
        stdout: { write: (text) => (config += text) },
        stderr: { write: (text) => (said += text) },
        env: {},
      },
    );
    expect({ code, said }).toEqual({ code: 0, said: '' });
    await writeFile(join(directory, 'config'), config);
  }

  function openssh(program: string, ...args: readonly string[]): Promise<Finished> {
    const env = { PATH: `${join(directory, 'bin')}:${process.env.PATH}`, SHELL: '/bin/sh', HOME: directory };
    const alone = ['-o', 'ControlMaster=no', '-o', 'ControlPath=none'];
    return gateway.run(program, ['-F', join(directory, 'config'), ...alone, ...args], { env });
  }

  test('ssh and scp reach a host by its name alone, with one exchange for both', async () => {
    await configure(await gateway.token());
    const ssh = await openssh('ssh', 'web1.sallyport', 'echo here');
    expect({ ...ssh, stdout: ssh.stdout.toString() }).toMatchObject({ code: 0, stdout: 'here\n', stderr: '' });
    await writeFile(join(directory, 'file'), 'content');
    expect(await openssh('scp', '-q', join(directory, 'file'), 'web1.sallyport:copied')).toMatchObject({ code: 0 });
    expect(await readFile(join(gateway.sshd.home, 'copied'), 'utf8')).toBe('content');
    const trail = (await gateway.audit()).filter(({ subject }) => Object(subject).id === 'test-agent');
    expect(trail.filter(({ event }) => event === 'issued')).toHaveLength(1);
    expect(trail.filter(({ action }) => action === 'connect')).toHaveLength(2);
    expect(gateway.sshd.log()).not.toContain('sallyport-login');
  });

  test('a token that is refused is said so, and nobody is logged in', async () => {
    await configure(await gateway.token('test-agent', { audience: 'https://another.example' }));
    const { code, stdout, stderr } = await openssh('ssh', 'web1.sallyport', 'echo here');
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 255, stdout: '' });
    expect(stderr).toContain('sallyport: the gateway refused the token: The token is for another audience.');
  });

  test('a gateway with another host key gets no token, and is not logged in at', async () => {
    await configure(await gateway.token());
    await writeFile(join(directory, 'known_hosts'), `sallyport ${gateway.sshd.hostKey}\n`);
    const { code, stderr } = await openssh('ssh', 'web1.sallyport', 'echo here');
    expect(code).toBe(255);
    expect(stderr).toContain('host key that is not pinned');
    expect((await gateway.audit()).filter(({ subject }) => subject !== undefined)).toEqual([]);
  });
});

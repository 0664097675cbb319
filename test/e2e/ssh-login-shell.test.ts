/** What start-up files at the host can do to commands: nothing, because the shell that they changed is noticed. */
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../proxy/core/clock.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { describeTools } from '../clients/tools.ts';
import { connectSsh, type Ran, runSsh } from '../support/ssh-client.ts';
import { type SshGateway, type SshGatewayOptions, spoken, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd, type SshServer, startSshd } from '../support/sshd.ts';

describeTools(['bash'], findSshd() === undefined ? ['sshd'] : [], () => {
  let sshd: SshServer;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.stop());

  const running: SshGateway[] = [];
  afterEach(async () => {
    for (const gateway of running.splice(0)) await gateway.stop();
    await startUp('');
  });

  async function start(options: SshGatewayOptions = {}): Promise<SshGateway> {
    const gateway = await startSshGateway({ sshd, ...options });
    running.push(gateway);
    return gateway;
  }

  /** What the login's bash reads before each command. */
  const startUp = (lines: string) => writeFile(join(sshd.home, '.bashrc'), `cd "$HOME"\n${lines}\n`);

  async function run(gateway: SshGateway, command: string, says: JsonObject = { allow: true }): Promise<Ran> {
    const client = await connectSsh({ ...gateway, token: await gateway.token('test-agent', { claims: { says } }) });
    const ran = await runSsh(client, command);
    client.end();
    return ran;
  }

  /** What the gateway found each time it asked. */
  async function found(gateway: SshGateway): Promise<readonly unknown[]> {
    for (;;) {
      const events = await gateway.audit();
      const asked = events.filter(({ operation }) => Object(operation).purpose === 'login_shell');
      const answers = asked.flatMap(({ decision_id }) =>
        events.filter((one) => one.event === 'completed' && one.decision_id === decision_id),
      );
      if (answers.length === asked.length) return answers.map(({ code }) => code);
    }
  }

  test('a clean shell is asked once, as an operation of the gateway’s own, and is known by its name', async () => {
    const gateway = await start();
    expect(await run(gateway, 'echo "$0"')).toMatchObject({ code: 126 });
    expect(await run(gateway, 'echo well')).toMatchObject({ code: 0, stdout: 'well\n' });
    expect(await found(gateway)).toEqual(['bash']);
    const own = (await gateway.audit()).filter(({ subject }) => Object(subject).type === 'gateway');
    expect(own).toMatchObject([
      { event: 'decided', action: 'connect', effect: 'allow' },
      { event: 'decided', action: 'exec', effect: 'allow', operation: { purpose: 'login_shell' } },
    ]);
  });

  const changes = [
    ['a function in the place of a program', 'ls() { command touch "$HOME/evil"; }', 'functions'],
    ['a function in the place of a builtin', 'echo() { command touch "$HOME/evil"; }', 'functions'],
    ['a function in the place of `exec`', 'exec() { command touch "$HOME/evil"; builtin exec "$@"; }', 'functions'],
    [
      'a function in the place of `printf`, which the question uses',
      'printf() { command touch "$HOME/evil"; builtin printf "$@"; }',
      '',
    ],
    ['an exported function', 'ls() { command touch "$HOME/evil"; }; export -f ls', ''],
    ['an alias', 'alias ls="touch evil"; shopt -s expand_aliases', 'aliases'],
    ['a trap', 'trap "touch \\"$HOME/evil\\"" DEBUG', ''],
    ['a trap at the exit', 'trap "touch \\"$HOME/evil\\"" EXIT', 'traps'],
    ['a line of output', 'echo welcome', 'unexpected_output'],
    ['what looks like the answer', `printf 'sallyport=1\\nshell=bash\\nfunctions=0\\n'`, 'unexpected_output'],
    ['an option', 'set -f', 'options'],
    ['a variable that shells obey', 'export BASH_ENV="$HOME/evil.sh"', 'environment'],
    ['a variable that loaders obey', 'export LD_PRELOAD=""', 'environment'],
    ['another folder', 'cd /tmp', 'home'],
    ['another shell', 'exec dash -c "$BASH_EXECUTION_STRING"', ''],
    ['an end before the answer', 'exit 0', 'unexpected_output'],
  ] as const;

  describe('a shell that was changed', () => {
    test.each(changes)('by %s', async (_title, lines, reason) => {
      await startUp(lines);
      const gateway = await start();
      const refused = await run(gateway, 'ls -d /etc');
      const [word] = await found(gateway);
      if (reason !== '') expect(word).toBe(reason);
      if (word === 'bash' || word === 'sh') {
        // What is not a change of the shell that reads commands leaves them what they are.
        expect(refused.code).toBe(0);
      } else {
        expect(refused).toMatchObject({ code: 126, stderr: expect.stringContaining('shell_unverified') });
      }
      // A policy that lets it run all the same: nothing of the changed shell is in the command's way.
      if (lines.startsWith('trap') || lines === 'exit 0' || lines.startsWith('exec')) return;
      const lenient = await start(spoken);
      await run(lenient, 'true');
      // What the question itself set off is not the command's.
      await rm(join(sshd.home, 'evil'), { force: true });
      const ran = await run(lenient, 'cd /; ls -d /etc; echo "of $0"; printf "%s\\n" end');
      expect(ran.stdout).toMatch(/\/etc\nof \S+\nend\n$/);
      // `exec` itself is a word of the changed shell: a function of that name is the one thing that is called.
      if (!lines.includes('exec()')) expect(existsSync(join(sshd.home, 'evil'))).toBe(false);
    });
  });

  test('a shell is asked again after a while, and believed until then', async () => {
    let offsetMs = 0;
    const clock = {
      nowMs: () => systemClock.nowMs(),
      monotonicMs: () => systemClock.monotonicMs() + offsetMs,
    };
    const gateway = await start({ clock });
    expect(await run(gateway, 'echo well')).toMatchObject({ code: 0 });
    await startUp('ls() { command touch "$HOME/evil"; }');
    expect(await run(gateway, 'echo well')).toMatchObject({ code: 0 });
    expect(await found(gateway)).toEqual(['bash']);
    offsetMs += 5 * 60_000;
    expect(await run(gateway, 'echo well')).toMatchObject({ code: 126 });
    expect(await found(gateway)).toEqual(['bash', 'functions']);
    await startUp('');
    offsetMs += 5 * 60_000;
    expect(await run(gateway, 'echo well')).toMatchObject({ code: 0 });
    expect(await found(gateway)).toEqual(['bash', 'functions', 'bash']);
  });
});

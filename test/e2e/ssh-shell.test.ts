/** Shells at a terminal: refused, judged line by line, or only recorded, as the decision says. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type ClientChannel } from '../../proxy/protocols/ssh/ssh2.ts';
import { describeTools } from '../clients/tools.ts';
import { type SshGateway, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd } from '../support/sshd.ts';

/** Somebody at a terminal. */
interface Person {
  /** Types, and waits until the screen shows something. @returns what was shown since */
  type(keys: string, until: string | RegExp): Promise<string>;
  /** Types, and looks at nothing. */
  press(keys: string): void;
  /** Waits for what comes without typing. */
  see(until: string | RegExp): Promise<string>;
  resize(cols: number, rows: number): void;
  /** The exit status, once the shell has ended. */
  readonly ended: Promise<number | null>;
  leave(): void;
}

describeTools(['ssh'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  beforeAll(async () => {
    gateway = await startSshGateway({
      data: {
        ssh: {
          paths: { read: ['/'], write: ['/tmp'] },
          shells: { judged: ['operators'], recorded: ['people'] },
          masks: { email: { replace: { value: '[email]' } } },
        },
      },
    });
    await mkdir(join(gateway.sshd.home, 'data/deep'), { recursive: true });
    await writeFile(join(gateway.sshd.home, 'data/contacts'), 'write to ana@example.org\n');
  });
  afterAll(() => gateway.stop());

  async function sit(groups: readonly string[]): Promise<Person> {
    const client = new Client();
    const token = await gateway.token(`person-${groups.join('')}`, { groups: [...groups] });
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      client.on('error', reject);
      client.on('ready', () => {
        client.shell({ term: 'xterm', cols: 80, rows: 24 }, (error, opened) =>
          error ? reject(error) : resolve(opened),
        );
      });
      client.connect({ host: gateway.host, port: gateway.port, username: 'agent+web1', password: token });
    });
    let shown = '';
    let wake = () => {};
    const take = (chunk: Buffer) => {
      shown += chunk.toString();
      wake();
    };
    channel.on('data', take);
    channel.stderr.on('data', take);
    const ended = new Promise<number | null>((resolve) => {
      let code: number | null = null;
      channel.on('exit', (status: number) => {
        code = status;
      });
      channel.on('close', () => {
        resolve(code);
        wake();
        client.end();
      });
    });
    const see = async (until: string | RegExp): Promise<string> => {
      const found = () => (typeof until === 'string' ? shown.indexOf(until) : shown.search(until));
      while (found() < 0) {
        const more = await Promise.race([
          new Promise<boolean>((resolve) => {
            wake = () => resolve(true);
          }),
          ended.then(() => false),
        ]);
        if (!more && found() < 0) throw new Error(`never shown: ${String(until)} in ${JSON.stringify(shown)}`);
      }
      const seen = shown;
      shown = '';
      return seen;
    };
    return {
      see,
      type: (keys, until) => {
        channel.write(keys);
        return see(until);
      },
      press: (keys) => void channel.write(keys),
      resize: (cols, rows) => channel.setWindow(rows, cols, 0, 0),
      ended,
      leave: () => client.end(),
    };
  }

  test('an agent is refused one, and told what to do instead', async () => {
    const person = await sit(['support']);
    expect(await person.see(/decision \S+\r\n/)).toMatch(/refused: .*ssh host/s);
    expect(await person.ended).toBe(126);
  });

  describe('judged', () => {
    test('every line is an operation of its own, in the directory that was changed to', async () => {
      const person = await sit(['operators']);
      const prompt = `agent@web1:${gateway.sshd.home}$ `;
      expect(await person.see(prompt)).toContain('every line is judged');
      expect(await person.type('ls data\r', prompt)).toContain('contacts');
      expect(await person.type('cd data\r', `agent@web1:${gateway.sshd.home}/data$ `)).not.toContain('refused');
      const there = `agent@web1:${gateway.sshd.home}/data$ `;
      expect(await person.type('ls\r', there)).toContain('deep');
      expect(await person.type('cd nowhere\r', there)).toMatch(/nowhere/);
      expect(await person.type('cd /root && ls -a\r', there)).not.toContain('sallyport: every');
      const refused = await person.type('sudo id\r', there);
      expect(refused).toMatch(/refused: .*privilege_escalation/s);
      expect(await person.type('uname | cat\r', there)).toContain('Linux');
      expect(await person.type('echo un\u007f\u007fone\r', there)).toContain('one\r\n');
      person.press('exit\r');
      await person.ended;
      const decided = (await gateway.audit()).filter(({ event, action }) => event === 'decided' && action === 'exec');
      expect(decided.filter(({ subject }) => JSON.stringify(subject).includes('person-operators')).length).toBe(8);
    });

    test('no line reaches a shell as it was typed', async () => {
      const person = await sit(['operators']);
      const prompt = `agent@web1:${gateway.sshd.home}$ `;
      await person.see(prompt);
      for (const line of [
        "echo $'\\'; touch /tmp/never #'",
        'f() { touch /tmp/never; }; f',
        'alias ls="touch /tmp/never"; ls',
        'x=sudo; $x id',
        'echo hi `touch /tmp/never`',
        'exec bash',
        'bash',
        'vi',
        'python3',
        'stty -echo; read c; eval "$c"',
      ]) {
        const answer = await person.type(`${line}\r`, prompt);
        expect({ line, answer: /refused: |'; touch/.test(answer) }).toEqual({ line, answer: true });
      }
      // What was typed behind a refused program is the next line, not its input.
      expect(await person.type('bash\rtouch /tmp/never-2\r', /never-2[\s\S]*\$ $/)).toContain('refused');
      person.leave();
    });

    test('what a program prints is masked, and a prompt of it is shown', async () => {
      const person = await sit(['operators']);
      const prompt = `agent@web1:${gateway.sshd.home}$ `;
      await person.see(prompt);
      expect(await person.type('cat data/contacts\r', prompt)).toContain('write to [email]');
      person.leave();
    });

    test('Control-C ends what runs, and the next line runs', async () => {
      const person = await sit(['operators']);
      const prompt = `agent@web1:${gateway.sshd.home}$ `;
      await person.see(prompt);
      await person.type('echo sta""rted; sleep 30\r', 'started\r\n');
      expect(await person.type('\u0003', prompt)).toContain('^C');
      expect(await person.type('echo still here\r', /here\r\n[\s\S]*\$ $/)).toContain('still here');
      person.leave();
    });
  });

  describe('recorded', () => {
    test('is the login’s own shell, with its output masked and in the recording', async () => {
      const person = await sit(['people']);
      await person.type('echo re""ady\r', 'ready\r\n');
      expect(await person.type(`cat ${gateway.sshd.home}/data/contacts; echo do""ne\r`, 'done\r\n')).toContain(
        'write to [email]',
      );
      person.resize(100, 30);
      expect(await person.type('stty size; echo si""ze\r', 'size\r\n')).toContain('30 100');
      person.press('exit 3\r');
      expect(await person.ended).toBe(3);
    });
  });
});

import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run } from '../../proxy/cli/command.ts';
import { type FilledDesk, openDesk } from '../support/approval-desk.ts';
import { consoleAudience, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { confirmDevice } from '../support/oidc-people.ts';

let gateway: TestGateway;
let desk: FilledDesk;
let directory: string;
beforeAll(async () => {
  desk = openDesk();
  directory = await mkdtemp(join(tmpdir(), 'sallyport-cli-'));
  gateway = await startTestGateway({ console: { oidc: { device_client_id: 'sallyport-cli' } }, desk });
  gateway.oidc.invite({
    people: [{ subject: 'ana', groups: ['dba'] }],
    applications: [{ clientId: 'sallyport-cli' }],
  });
});
afterAll(async () => {
  await gateway.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Terminal {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as somebody; `seen` is told of everything printed so far. */
async function cli(
  args: readonly string[],
  env: Record<string, string> = {},
  seen: (printed: { stdout: string; stderr: string }) => void = () => {},
): Promise<Terminal> {
  const printed = { stdout: '', stderr: '' };
  const into = (stream: 'stdout' | 'stderr') => ({
    write(text: string) {
      printed[stream] += text;
      seen(printed);
    },
  });
  const io = {
    stdout: into('stdout'),
    stderr: into('stderr'),
    env: { SALLYPORT_API: gateway.gateway.console ?? '', ...env },
  };
  const code = await run(args, io);
  return { code, ...printed };
}

const tokenOf = async (subject: string, ...groups: string[]) => ({
  SALLYPORT_API_TOKEN: await gateway.token(subject, { groups, audience: consoleAudience }),
});

describe('sallyport approvals', () => {
  test('lists what waits, shows it, and decides it', async () => {
    const { id, decided } = desk.file({
      operation: { text: 'DELETE FROM public.tickets -- \u001b[2Jnothing to see' },
    });
    const env = await tokenOf('ana', 'dba');
    const listed = await cli(['approvals', 'list'], env);
    expect(listed).toMatchObject({ code: 0, stderr: '' });
    expect(listed.stdout).toContain(`${id}  pending, one approval missing`);
    expect(listed.stdout).toContain('triage-bot for ben at orders');
    expect(listed.stdout).toContain('> DELETE FROM public.tickets -- \\u001b[2Jnothing to see');
    expect(listed.stdout).toContain('A person looks at every DELETE in production.');
    const shown = await cli(['approvals', 'show', id, '--json'], env);
    expect(JSON.parse(shown.stdout)).toMatchObject({ id, state: 'pending', estimate: { rows: 1204 } });
    const approved = await cli(['approvals', 'approve', id, '--reason', 'seen'], env);
    expect(approved).toMatchObject({ code: 0, stdout: `${id} is approved\n` });
    expect((await decided).votes).toMatchObject([{ approver: { id: 'ana' }, reason: 'seen', channel: 'cli' }]);
    const late = await cli(['approvals', 'deny', id], env);
    expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining('(approval_closed)') });
  });

  test('says what it needs to know', async () => {
    expect(await cli(['approvals', 'approve'])).toMatchObject({ code: 2 });
    expect(await cli(['approvals', 'list'], { SALLYPORT_API: '' })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--api URL'),
    });
    const nobody = await cli(['approvals', 'list'], { SALLYPORT_API_TOKEN: 'x' });
    expect(nobody).toMatchObject({ code: 1, stderr: expect.stringContaining('(credential_invalid)') });
  });
});

describe('a token', () => {
  test('comes from a file or a command as well', async () => {
    const { SALLYPORT_API_TOKEN: token } = await tokenOf('ana', 'dba');
    const file = join(directory, 'token');
    await writeFile(file, `${token}\n`);
    expect(await cli(['approvals', 'list', '--token-file', file])).toMatchObject({ code: 0 });
    expect(await cli(['approvals', 'list', '--token-command', `cat '${file}'`])).toMatchObject({ code: 0 });
    expect(await cli(['approvals', 'list', '--token-file', file, '--token-command', 'x'])).toMatchObject({ code: 2 });
  });

  test('comes by device authorization, once, and is kept for its owner', async () => {
    let confirming: Promise<void> | undefined;
    const env = { XDG_CACHE_HOME: directory };
    const first = await cli(['approvals', 'list'], env, ({ stderr }) => {
      const [, address] = /Sign in at (\S+)/.exec(stderr) ?? [];
      if (address !== undefined) confirming ??= confirmDevice(address, 'ana');
    });
    await confirming;
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining('confirm the code') });
    expect(await cli(['approvals', 'list'], env)).toMatchObject({ code: 0, stderr: '' });
    const kept = join(directory, 'sallyport');
    const [name = ''] = await readdir(kept);
    expect((await stat(join(kept, name))).mode & 0o777).toBe(0o600);
  }, 30_000);
});

describe('sallyport sessions', () => {
  test('lists, watches and ends one', async () => {
    const client = await gateway.connect({ token: await gateway.token('cli-watched') });
    const ended = new Promise<Error>((resolve) => client.once('error', resolve));
    const env = await tokenOf('paul', 'platform');
    const listed = await cli(['sessions', 'list', '--json'], env);
    const sessions: { id: string; subject: { id: string } }[] = JSON.parse(listed.stdout);
    const id = sessions.find(({ subject }) => subject.id === 'cli-watched')?.id ?? '';
    expect((await cli(['sessions', 'list'], env)).stdout).toContain(`${id}  cli-watched at orders (postgres)`);
    let asked = false;
    let ending: Promise<Terminal> | undefined;
    const watched = await cli(['sessions', 'watch', id, '--json'], env, ({ stdout }) => {
      if (stdout.includes('"counts"') && !asked) {
        asked = true;
        void client.query("SELECT 'what a client sees' AS words");
      }
      if (stdout.includes('"complete"')) ending ??= cli(['sessions', 'end', id, '--reason', 'done'], env);
    });
    expect(await ending).toMatchObject({ code: 0, stdout: `${id} was ended\n` });
    expect(await ended).toMatchObject({ message: expect.stringContaining('done') });
    expect(watched).toMatchObject({ code: 0 });
    const events = watched.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ kind }) => kind).filter(Boolean)).toEqual(
      expect.arrayContaining(['statement', 'columns', 'rows', 'complete']),
    );
    expect(events.at(-1)).toEqual({ event: 'closed', id });
  });

  test('prints what a client sees as people read it', async () => {
    const client = await gateway.connect({ token: await gateway.token('cli-read') });
    client.once('error', () => {});
    const env = await tokenOf('paul', 'platform');
    const sessions: { id: string; subject: { id: string } }[] = JSON.parse(
      (await cli(['sessions', 'list', '--json'], env)).stdout,
    );
    const id = sessions.find(({ subject }) => subject.id === 'cli-read')?.id ?? '';
    // Statements go on until the watcher has seen one: when it began to watch is not told otherwise.
    let over = false;
    let ending: Promise<Terminal> | undefined;
    const asking = (async () => {
      while (!over) await client.query('SELECT name, email FROM public.customers ORDER BY id LIMIT 1').catch(() => {});
    })();
    const watched = await cli(['sessions', 'watch', id], env, ({ stdout }) => {
      // The first one may be seen from its middle on.
      if (!/> SELECT name[\s\S]*< ok/.test(stdout)) return;
      over = true;
      ending ??= cli(['sessions', 'end', id], env);
    });
    await asking;
    expect(await ending).toMatchObject({ code: 0 });
    expect(watched.stdout).toMatch(/> SELECT name, email FROM public\.customers/);
    expect(watched.stdout).toMatch(/\*\*\* \| \*\*\*@example/);
    expect(watched.stdout).toMatch(/the session is over\n$/);
  });
});

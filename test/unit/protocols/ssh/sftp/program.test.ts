/** OpenSSH's own client in front of the gate: it must not notice it. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { sftpServer } from './gated.ts';

const client = '/usr/bin/sftp';
const present = (existsSync(sftpServer) && existsSync(client)) || process.env.CI === 'true';

let root: string;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'sallyport-sftp-')));
  for (const folder of ['host', 'local', 'secret']) await mkdir(join(root, folder));
});

afterEach(() => rm(root, { recursive: true, force: true }));

/** Runs a batch of commands; the first that fails ends it, but for those with a `-` in front. */
async function sftp(...commands: string[]): Promise<{ code: number | null; said: string }> {
  const gate = join(import.meta.dirname, 'gated-server.ts');
  const server = [process.execPath, gate, join(root, 'host'), join(root, 'secret'), join(root, 'log')];
  const child = spawn(client, ['-b', '-', '-D', server.join(' ')], { cwd: join(root, 'local') });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdin.end(`${commands.join('\n')}\n`);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, said };
}

interface Line {
  readonly judged?: string;
  readonly resolved?: string;
  readonly transfer?: {
    readonly path: string;
    readonly direction: string;
    readonly bytes: number;
    readonly sha256?: string;
  };
}
const logged = () =>
  readFileSync(join(root, 'log'), 'utf8')
    .trim()
    .split('\n')
    .map((line): Line => JSON.parse(line));

(present ? describe : describe.skip)('sftp', () => {
  test('puts, gets, lists, renames, links and removes', async () => {
    const content = Buffer.alloc(3_000_000, 'lines of some text\n');
    await writeFile(join(root, 'local/big'), content);
    const { code, said } = await sftp(
      'put -p big',
      'mkdir sub',
      'put -f big sub/copy',
      'ls -la',
      'df',
      'get -p big back',
      'cp big twin',
      'rename twin sub/twin',
      'ln -s big soft',
      'ln big hard',
      'chmod 600 hard',
      'rm soft',
      'rm sub/*',
      'rmdir sub',
      'pwd',
    );
    expect({ code, said }).toMatchObject({ code: 0 });
    expect((await readFile(join(root, 'local/back'))).equals(content)).toBe(true);
    expect(said).toContain(`Remote working directory: ${join(root, 'host')}`);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const transfers = logged().flatMap(({ transfer }) => (transfer === undefined ? [] : [transfer]));
    const whole = { bytes: content.length, sha256 };
    expect(transfers).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ direction: 'upload', path: join(root, 'host/big'), ...whole }),
        expect.objectContaining({ direction: 'upload', path: join(root, 'host/sub/copy'), ...whole }),
        expect.objectContaining({ direction: 'download', path: join(root, 'host/big'), ...whole }),
      ]),
    );
  }, 60_000);

  test('copies folders recursively, both ways', async () => {
    await mkdir(join(root, 'local/tree/a/b'), { recursive: true });
    for (const name of ['x', 'a/y', 'a/b/z ü']) await writeFile(join(root, 'local/tree', name), name);
    const { code, said } = await sftp('put -r tree', 'get -r tree again');
    expect({ code, said }).toMatchObject({ code: 0 });
    for (const name of ['x', 'a/y', 'a/b/z ü'])
      expect(await readFile(join(root, 'local/again', name), 'utf8')).toBe(name);
  }, 60_000);

  test('is denied what policy denies, behind a link too, and goes on', async () => {
    await writeFile(join(root, 'secret/shadow'), 'root:x');
    await writeFile(join(root, 'host/fine'), 'fine');
    await symlink(join(root, 'secret/shadow'), join(root, 'host/link'));
    const { code, said } = await sftp('-get ../secret/shadow', '-get link', '-rm ../secret/shadow', 'get fine');
    expect(code).toBe(0);
    // A glob that finds nothing is "not found" to this client, why ever it found nothing.
    expect(said.match(/[Pp]ermission denied|not found/g)).toHaveLength(3);
    expect(logged().filter(({ resolved }) => resolved === join(root, 'secret/shadow')).length).toBeGreaterThanOrEqual(
      3,
    );
    expect(existsSync(join(root, 'local/shadow'))).toBe(false);
    expect(existsSync(join(root, 'local/link'))).toBe(false);
    expect(existsSync(join(root, 'secret/shadow'))).toBe(true);
    expect(await readFile(join(root, 'local/fine'), 'utf8')).toBe('fine');
  }, 60_000);
});

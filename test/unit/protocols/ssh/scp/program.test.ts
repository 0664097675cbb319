/** OpenSSH's own scp on both sides of the gate: neither must notice it. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const program = '/usr/bin/scp';
const present = existsSync(program) || process.env.CI === 'true';

let root: string;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'sallyport-scp-')));
  for (const folder of ['host', 'local']) await mkdir(join(root, folder));
  const gate = join(import.meta.dirname, 'gated-program.ts');
  await writeFile(join(root, 'ssh'), `#!/bin/sh\nexec '${process.execPath}' '${gate}' "$@"\n`);
  await chmod(join(root, 'ssh'), 0o755);
  await writeFile(join(root, 'log'), '');
});

afterEach(() => rm(root, { recursive: true, force: true }));

async function scp(...given: string[]): Promise<{ code: number | null; said: string }> {
  const child = spawn(program, ['-O', '-q', '-S', join(root, 'ssh'), ...given], {
    cwd: join(root, 'local'),
    env: { ...process.env, SCP_GATE_LOG: join(root, 'log') },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, said };
}

const logged = (): unknown[] =>
  readFileSync(join(root, 'log'), 'utf8')
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

(present ? describe : describe.skip)('scp', () => {
  test('copies a large file both ways', async () => {
    const content = Buffer.alloc(2_000_000, 'some text\n');
    await writeFile(join(root, 'local/big'), content);
    expect(await scp('-p', 'big', `host:${join(root, 'host')}`)).toEqual({ code: 0, said: '' });
    expect(await scp('-p', `host:${join(root, 'host/big')}`, 'back')).toEqual({ code: 0, said: '' });
    expect((await readFile(join(root, 'local/back'))).equals(content)).toBe(true);
    expect((await stat(join(root, 'local/back'))).mtimeMs).toBeCloseTo(
      (await stat(join(root, 'local/big'))).mtimeMs,
      -4,
    );
    const sha256 = createHash('sha256').update(content).digest('hex');
    const whole = { path: 'big', bytes: content.length, sha256, complete: true };
    expect(logged()).toMatchObject([
      { ...whole, direction: 'upload' },
      { ...whole, direction: 'download' },
    ]);
  }, 60_000);

  test('copies folders both ways', async () => {
    await mkdir(join(root, 'local/tree/a/b'), { recursive: true });
    for (const name of ['x', 'a/y', 'a/b/z ü']) await writeFile(join(root, 'local/tree', name), name);
    expect(await scp('-r', 'tree', `host:${join(root, 'host')}`)).toEqual({ code: 0, said: '' });
    expect(await scp('-r', `host:${join(root, 'host/tree')}`, 'again')).toEqual({ code: 0, said: '' });
    for (const name of ['x', 'a/y', 'a/b/z ü'])
      expect(await readFile(join(root, 'local/again', name), 'utf8')).toBe(name);
    const paths = logged().map((file) => Object(file).path);
    expect(paths.toSorted()).toEqual(['tree/a/b/z ü', 'tree/a/b/z ü', 'tree/a/y', 'tree/a/y', 'tree/x', 'tree/x']);
  }, 60_000);

  test('says what the host says when a file is not there, and copies the others', async () => {
    await writeFile(join(root, 'host/there'), 'there');
    const { code, said } = await scp(`host:${join(root, 'host/not')}`, `host:${join(root, 'host/there')}`, '.');
    expect(code).toBe(1);
    expect(said).toContain('No such file');
    expect(await readFile(join(root, 'local/there'), 'utf8')).toBe('there');
    expect(logged()).toMatchObject([{ path: 'there', complete: true }]);
  }, 60_000);

  test('says what the host says when a file cannot be written', async () => {
    await writeFile(join(root, 'local/a'), 'content');
    const { code, said } = await scp('a', `host:${join(root, 'host/none/b')}`);
    expect(code).toBe(1);
    expect(said).toContain('No such file');
    expect(logged()).toMatchObject([{ path: 'a', complete: false }]);
  }, 60_000);
});

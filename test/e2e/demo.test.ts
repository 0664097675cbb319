import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const repository = join(import.meta.dirname, '../..');

test('the demo tells its story, and each step goes as it should', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'sallyport-demo-'));
  const directory = join(parent, 'demo');
  const child = spawn(process.execPath, ['scripts/demo/main.ts', '--once', '--directory', directory], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
  }
  try {
    const [code] = await once(child, 'close');
    expect({ code, differences: told.match(/DIFFERS.*/g), told }).toMatchObject({ code: 0, differences: null });
    expect(told).toContain('Every step went as it should.');
    // What it started it also removed.
    expect(existsSync(directory)).toBe(false);
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}, 120_000);

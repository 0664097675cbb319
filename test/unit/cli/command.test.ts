import { describe, expect, test } from '@jest/globals';
import { run } from '../../../proxy/cli/command.ts';
import type { Io } from '../../../proxy/cli/io.ts';

/** A terminal that remembers. */
function terminal(env: Io['env'] = {}) {
  const written = { stdout: '', stderr: '' };
  const into = (stream: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[stream] += text;
    },
  });
  return { written, io: { stdout: into('stdout'), stderr: into('stderr'), env } };
}

test.each([['--help'], ['-h'], ['help']])('%s prints what there is', async (argument) => {
  const { io, written } = terminal();
  expect(await run([argument], io)).toBe(0);
  for (const name of ['serve', 'check', 'token', 'ssh', 'ssh-config', 'audit', 'evidence', 'replay'])
    expect(written.stdout).toContain(`sallyport ${name}`);
});

test('no subcommand is wrong usage', async () => {
  const { io, written } = terminal();
  expect(await run([], io)).toBe(2);
  expect(written.stdout).toBe('');
});

test('--version prints the version of the package', async () => {
  const { io, written } = terminal();
  expect(await run(['--version'], io)).toBe(0);
  expect(written.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test.each(['srve', 'constructor', 'toString', '__proto__'])('%s is no subcommand', async (name) => {
  const { io, written } = terminal();
  expect(await run([name], io)).toBe(2);
  expect(written.stderr).toContain('there is no subcommand called');
});

describe.each(['serve', 'check', 'token', 'ssh', 'ssh-config', 'audit', 'evidence', 'replay'])('%s', (name) => {
  test('explains itself', async () => {
    const { io, written } = terminal();
    expect(await run([name, '--help'], io)).toBe(0);
    expect(written.stdout).toContain(`sallyport ${name}`);
  });

  test('takes an option that it does not have for wrong usage', async () => {
    const { io, written } = terminal();
    expect(await run([name, '--no-such-option'], io)).toBe(2);
    expect(written.stderr).not.toBe('');
  });
});

test.each(['serve', 'check'])('%s needs a configuration', async (name) => {
  const { io, written } = terminal();
  expect(await run([name], io)).toBe(2);
  expect(written.stderr).toContain('--config FILE');
});

test.each(['serve', 'check'])('%s says why a configuration does not hold, and fails', async (name) => {
  const { io, written } = terminal();
  expect(await run([name, '--config', '/nowhere/sallyport.yaml'], io)).toBe(1);
  expect(written.stderr).toContain('/nowhere/sallyport.yaml:1:1: cannot be read');
});

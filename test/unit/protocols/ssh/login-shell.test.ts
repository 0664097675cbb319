import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { probeText, readAnswer } from '../../../../proxy/protocols/ssh/login-shell.ts';

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'sallyport-home-'));
});
afterAll(() => rmSync(home, { recursive: true }));

/** Asks a real shell, as sshd would run it: a start-up file first, where the shell has one. */
function ask(shell: readonly string[], startup = '', env: Record<string, string> = {}) {
  const file = join(home, 'startup');
  writeFileSync(file, startup);
  const [program = '', ...args] = shell;
  const { stdout, error } = spawnSync(program, [...args, '-c', `. ${file}\n${probeText}`], {
    cwd: home,
    env: { PATH: '/usr/bin:/bin', HOME: home, USER: 'agent', ...env },
    encoding: 'latin1',
  });
  if (error !== undefined) throw error;
  return readAnswer(stdout);
}

describe('a shell that reads commands as they are written is verified', () => {
  test.each([[['bash'], 'bash'] as const, [['dash'], 'sh'] as const])('%j', (shell, kind) => {
    expect(ask(shell)).toEqual({ kind, reason: '', home, user: 'agent' });
  });

  test('a start-up file that only sets harmless variables changes nothing', () => {
    expect(ask(['bash'], 'export LANG=C.UTF-8 EDITORIAL=1; umask 027').kind).toBe('bash');
  });
});

describe('one that a start-up file changed is not', () => {
  test.each([
    ['a function in the place of a program', 'ls() { command rm -rf "$@"; }', 'functions'],
    ['a function in the place of a builtin', 'cd() { builtin cd "$@"; }', 'functions'],
    ['an alias', 'shopt -s expand_aliases; alias ls="rm -rf"', 'aliases'],
    ['a trap before every command', 'trap "rm -rf /tmp/x" DEBUG', 'traps'],
    ['an option', 'set -f', 'options'],
    ['a variable that bash obeys', 'export BASH_ENV=/tmp/x', 'environment'],
    ['a library for every program', 'export LD_LIBRARY_PATH=/tmp/x', 'environment'],
    ['another directory', 'cd /', 'home'],
    ['something printed', 'echo Welcome', 'unexpected_output'],
    ['something printed that could be a fact', 'echo welcome=1', 'unexpected_output'],
    ['an answer of its own', "printf 'sallyport=1\\nshell=bash\\nend=1\\n'; exit", 'unknown_shell'],
  ])('%s', (_title, startup, reason) => {
    expect(ask(['bash'], startup)).toMatchObject({ kind: 'unverified', reason });
  });

  test('an inherited variable that a loader obeys', () => {
    expect(ask(['bash'], '', { PERL5LIB: '/tmp/x' })).toMatchObject({ kind: 'unverified', reason: 'environment' });
  });
});

test.each([
  ['nothing', ''],
  ['a message of the host', 'This account is currently not available.\n'],
  ['half an answer', 'sallyport=1\nshell=bash\n'],
  ['an answer with something behind', `sallyport=1\nend=1\nmore\n`],
  ['the same fact twice', 'sallyport=1\nhome=/a\nhome=/b\nend=1\n'],
])('%s is no answer', (_title, text) => {
  expect(readAnswer(text).kind).toBe('unverified');
});

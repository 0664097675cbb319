import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { isHarmlessVariable } from '../../../../proxy/protocols/ssh/environment.ts';
import { refusalLine, refusalText } from '../../../../proxy/protocols/ssh/refuse.ts';
import { commandText, contextOf, quoted } from '../../../../proxy/protocols/ssh/run.ts';
import type { SshTarget } from '../../../../proxy/protocols/ssh/target.ts';
import { findTarget, requestedTarget, type SshUpstream } from '../../../../proxy/protocols/ssh/target.ts';

const upstream: SshUpstream = {
  name: 'web1',
  host: 'web1.internal',
  port: 22,
  hostKeys: ['ssh-ed25519 AAAA'],
  hostAuthorities: [],
  commandPath: '/usr/bin:/bin',
  logins: new Map([['agent', { user: 'svc', password: 'never seen' }]]),
};
const target: SshTarget = { upstream, login: 'agent', credentials: { user: 'svc', password: 'never seen' } };

describe('what the login shell is given', () => {
  const canonical = "'printf' '%s|%s\\n' 'a b' 'it'\\''s'";
  const place = (shell: 'bash' | 'sh' | 'unverified') => ({ target, shell });

  test.each(['bash', 'sh'] as const)('a verified %s reads the canonical text itself', (shell) => {
    const text = commandText({ text: 'ignored', classification: { canonical }, place: place(shell) });
    expect(text).toBe(`PATH='/usr/bin:/bin'; export PATH; ${canonical}`);
  });

  test('another one only hands it on', () => {
    const text = commandText({ text: 'ignored', classification: { canonical }, place: place('unverified') });
    expect(text).toMatch(/^exec \/bin\/sh -c '/);
    expect(execFileSync('bash', ['-c', text], { encoding: 'utf8' })).toBe("a b|it's\n");
  });

  test('what is not complete goes out as written, to the bash it was parsed for', () => {
    const text = commandText({ text: "echo $'a\\'b'", classification: { canonical: undefined }, place: place('sh') });
    expect(execFileSync('sh', ['-c', text], { encoding: 'utf8' })).toBe("a'b\n");
  });

  test('a directory that is gone ends the command before it begins', () => {
    const command = { text: '', classification: { canonical }, place: place('bash'), cwd: '/nonexistent/$(id)' };
    expect(() => execFileSync('sh', ['-c', commandText(command)], { stdio: 'pipe' })).toThrow(/can't cd|No such/i);
  });

  test('quotes mean nothing inside of quotes', () => {
    const nasty = `'"$(id)\`id\`\\'\n!!${'\u00a0'}`;
    expect(execFileSync('sh', ['-c', `printf %s ${quoted(nasty)}`], { encoding: 'utf8' })).toBe(nasty);
  });
});

test('words are resolved with what the login shell was found to have, and with nothing else', () => {
  const verified = contextOf({ kind: 'bash', reason: '', home: '/srv/app', user: 'app' }, '/bin', {
    parameters: ['x'],
  });
  expect([...verified.variables]).toEqual([
    ['PATH', '/bin'],
    ['HOME', '/srv/app'],
    ['USER', 'app'],
    ['LOGNAME', 'app'],
  ]);
  expect(verified.cwd).toBe('/srv/app');
  const unverified = contextOf({ kind: 'unverified', reason: 'x', home: undefined, user: undefined }, '/bin', {
    parameters: [],
  });
  expect([...unverified.variables.keys()]).toEqual(['PATH']);
  expect(unverified.cwd).toBeUndefined();
});

describe('user names', () => {
  test('name a login and an upstream', () => {
    expect(findTarget([upstream], 'agent+web1', undefined)).toMatchObject({
      login: 'agent',
      upstream: { name: 'web1' },
    });
    expect(requestedTarget('a+b+c', undefined)).toEqual({ login: 'a', upstream: 'b+c' });
  });

  test('name only a login inside a tunnel, which leads nowhere else', () => {
    expect(findTarget([upstream], 'agent', 'web1')).toMatchObject({ login: 'agent' });
    expect(findTarget([upstream], 'agent+web1', 'web1')).toMatchObject({ login: 'agent' });
    expect(findTarget([upstream], 'agent+web1', 'other')).toHaveProperty('fault.code', 'upstream_unknown');
  });

  test.each(['agent', 'agent+', '+web1', 'agent+web2', 'root+web1', 'AGENT+web1', 'agent+web1 ', ''])(
    '%j is nobody',
    (user) => {
      expect(findTarget([upstream], user, undefined)).toHaveProperty('fault.code', 'upstream_unknown');
    },
  );
});

describe('variables of the client', () => {
  test.each([
    ['LANG', 'de_DE.UTF-8'],
    ['LC_ALL', 'C'],
    ['GIT_PROTOCOL', 'version=2'],
    ['NO_COLOR', ''],
  ])('%s=%s is handed on', (name, value) => expect(isHarmlessVariable(name, value)).toBe(true));

  test.each([
    ['LD_PRELOAD', '/tmp/x.so'],
    ['PATH', '/tmp'],
    ['BASH_ENV', '/tmp/x'],
    ['LANG', '../../tmp/x'],
    ['LANG', '..'],
    ['LANG', '/tmp/x'],
    ['LC_ALL', '/tmp/x'],
    ['LC_ALL', 'C\nLD_PRELOAD=x'],
    ['LC_EVIL', 'C'],
    ['GIT_PROTOCOL', 'version=2:x'],
    ['GIT_SSH_COMMAND', 'sh'],
    ['constructor', 'x'],
  ])('%s=%j is not', (name, value) => expect(isHarmlessVariable(name, value)).toBe(false));
});

describe('a refusal', () => {
  const refusal = {
    decisionId: '01.2',
    code: 'ddl_refused',
    policy: 'changes',
    message: 'No \u001b[31mred\u001b[0m\r\nlines.',
    hint: 'Ask.',
    reasons: [],
    endSession: false,
  };

  test('says what, who, and what to do, and moves nobody’s cursor', () => {
    expect(refusalText(refusal)).toBe(
      'sallyport: refused: No  [31mred [0m lines. (changes/ddl_refused)\nsallyport: Ask.\nsallyport: decision 01.2\n',
    );
    expect(refusalText(refusal, true).split('\r\n')).toHaveLength(4);
    expect(refusalLine(refusal)).not.toMatch(/\p{Cc}/u);
  });
});

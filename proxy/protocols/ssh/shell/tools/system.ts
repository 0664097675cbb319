/** What a machine says about itself, and what stops or changes parts of it. */
import type { ToolSpec } from './spec.ts';

const units: ToolSpec = {
  flags:
    '-a -l -q -r --all --full --quiet --plain --recursive --no-legend --failed --now --no-block --wait --show-types',
  operands: 'text...',
};

const inspecting: Readonly<Record<string, ToolSpec>> = {
  date: {
    flags: '-u --utc --universal -R --rfc-email',
    values: {
      '-d --date -I? --iso-8601? --rfc-3339': 'text',
      '-f --file': 'read',
      '-r --reference': 'list',
    },
    operands: 'text?',
    parser: 'date',
  },
  cal: { flags: '-1 -3 -y -m', operands: 'number? number?' },
  whoami: {},
  id: { flags: '-u -g -G -n -r -z -Z', operands: 'text...' },
  groups: { operands: 'text...' },
  uname: {
    flags: '-a -s -n -r -v -m -p -i -o --all --kernel-name --nodename --kernel-release --machine --operating-system',
  },
  arch: {},
  nproc: { flags: '--all', values: { '--ignore': 'number' } },
  uptime: { flags: '-p -s --pretty --since' },
  hostname: { flags: '-a -A -d -f -i -I -s --fqdn --all-ip-addresses --short --ip-address' },
  hostnamectl: { subcommands: { status: {}, hostname: {} }, operands: '' },
  timedatectl: { flags: '--no-pager', subcommands: { status: {}, show: {} }, operands: '', pager: true },
  tty: { flags: '-s' },
  locale: { flags: '-a' },
  getconf: { flags: '-a', operands: 'text? list?' },
  who: { flags: '-a -b -d -H -l -m -q -r -s -t -T -u' },
  w: { flags: '-f -h -i -s -u', operands: 'text?' },
  users: {},
  last: {
    flags: '-a -d -F -i -n -R -w -x',
    values: { '-n -s -t': 'text', '-f': 'read' },
    digits: true,
    operands: 'text...',
  },
  getent: { operands: 'text text...', parser: 'getent', defaultPort: 53 },
  free: {
    flags: '-b -k -m -g -h -t -w -l --human --bytes --kilo --mega --giga --total --wide',
    values: { '-s -c': 'number' },
  },
  vmstat: { flags: '-a -d -D -m -n -s -t -w', values: { '-S': 'text' }, operands: 'number? number?' },
  iostat: { flags: '-c -d -h -k -m -N -t -x -y -z', values: { '-p': 'text' }, operands: 'text...' },
  mpstat: { flags: '-A -u', values: { '-P -I': 'text' }, operands: 'number? number?' },
  sar: {
    flags: '-A -b -B -d -q -r -S -u -W -w',
    values: { '-n -P': 'text', '-f': 'read' },
    operands: 'number? number?',
  },
  lscpu: { flags: '-a -b -c -e -J -p -x' },
  lsblk: {
    flags: '-a -b -d -D -f -i -J -l -m -n -p -r -S -t --json --fs --paths --list',
    values: { '-o --output -e -I -x --sort': 'text' },
    operands: 'list...',
  },
  lsmod: {},
  lspci: { flags: '-n -v -k -t' },
  lsusb: { flags: '-t -v' },
  blkid: { flags: '', operands: 'list...' },
  findmnt: { flags: '-a -D -l -n -r -J -R -A', values: { '-t -o -S -T': 'text' }, operands: 'text...' },
  ps: { parser: 'words' },
  pstree: { flags: '-a -A -c -g -h -l -n -p -s -t -u -U', operands: 'text?' },
  pgrep: { flags: '-a -c -f -i -l -n -o -v -w -x', values: { '-d -g -G -P -s -t -u -U': 'text' }, operands: 'text?' },
  pidof: { flags: '-s -x', operands: 'text...' },
  top: { flags: '-b -c -H -i -S', values: { '-n -d -p -u -U -o -w': 'text' }, incompleteWith: {}, parser: 'top' },
  lsof: {
    flags: '-n -P -l -t -b -h -U -a -R -V -w',
    values: { '-p -u -c -g -s? -d': 'text', '-i?': 'text' },
    operands: 'list...',
    parser: 'unmarked',
  },
  fuser: { flags: '-a -m -n -u -v', values: { '-n': 'text' }, operands: 'text...' },
  ss: {
    flags:
      '-a -e -h -H -i -l -m -n -o -O -p -r -s -t -T -u -w -x -Z -4 -6 -0 --all --listening --numeric --processes --tcp --udp --summary --extended --no-header',
    operands: 'text...',
  },
  netstat: {
    flags:
      '-a -c -e -g -i -l -n -N -o -p -r -s -t -u -v -W -w -x -4 -6 --all --listening --numeric --program --tcp --udp --route --interfaces',
  },
  ip: { parser: 'ip' },
  ifconfig: { flags: '-a -s', operands: 'text?' },
  route: { flags: '-n -e -4 -6' },
  arp: { flags: '-a -n -e' },
  dmesg: {
    flags: '-e -k -T -t -u -w -x -L --ctime --kernel --userspace --decode --follow --nopager',
    values: { '-l --level -f --facility --since --until --time-format': 'text', '--color?': 'text' },
    pager: true,
  },
  sysctl: { flags: '-a -n -e -N --all --values', parser: 'sysctl' },
  journalctl: {
    flags:
      '-a -b -e -f -k -l -m -q -r -x --all --boot --catalog --dmesg --disk-usage --follow --full --list-boots --no-full --no-hostname --no-pager --no-tail --pager-end --quiet --reverse --system --user --utc --verify --header --merge',
    values: {
      '-n --lines -u --unit -t --identifier -p --priority -S --since -U --until -g --grep -o --output --output-fields -F --field -c --cursor --after-cursor --user-unit --facility':
        'text',
      '-b? --boot? --lines?': 'text',
      '-D --directory --file': 'read',
    },
    operands: 'text...',
    tree: '-D --directory',
    pager: true,
    parser: 'journalctl',
  },
  systemctl: {
    flags:
      '-a -l -q -r -t --all --full --quiet --plain --recursive --no-legend --no-pager --failed --user --system --now --no-block --no-ask-password --wait',
    values: { '-p --property --type --state -n --lines -o --output -t --job-mode': 'text' },
    subcommands: Object.fromEntries(
      'status show is-active is-enabled is-failed is-system-running list-units list-unit-files list-timers list-sockets list-dependencies list-jobs cat get-default start stop restart reload try-restart reload-or-restart enable disable mask unmask kill reset-failed daemon-reload daemon-reexec reboot poweroff halt suspend hibernate rescue emergency isolate'
        .split(' ')
        .map((name) => [
          name,
          {
            ...units,
            values: { '-p --property --type -t --state -n --lines -o --output -s --signal --kill-who': 'text' },
            flags: `${units.flags} --no-pager --value`,
          },
        ]),
    ),
    operands: '',
    pager: true,
    parser: 'names',
  },
  service: { flags: '--status-all', operands: 'text? text?', parser: 'names' },
  loginctl: { flags: '--no-pager', subcommands: { 'list-sessions': {}, 'list-users': {} }, operands: '', pager: true },
  type: { flags: '-a -t -p', operands: 'text...' },
  which: { flags: '-a', operands: 'text...' },
  whereis: { flags: '-b -m -s', operands: 'text...' },
  env: { parser: 'env' },
  printenv: { flags: '-0', operands: 'text...' },
};

/** Known for what they are, so that policy can speak of them; none of them is harmless. */
const stopping: Readonly<Record<string, ToolSpec>> = {
  kill: { flags: '-l -L', values: { '-s -n': 'text' }, parser: 'kill' },
  pkill: {
    flags: '-f -x -n -o -e -i -v',
    values: { '-u -U -g -G -P -t --signal': 'text' },
    operands: 'text?',
    parser: 'pkill',
  },
  killall: { flags: '-e -g -I -i -q -v -w', values: { '-s -u': 'text' }, operands: 'text...', parser: 'pkill' },
  reboot: { flags: '-f -p -w -d -n', operands: '' },
  poweroff: { flags: '-f -p -w -d -n', operands: '' },
  halt: { flags: '-f -p -w -d -n', operands: '' },
  shutdown: { flags: '-h -r -P -H -k -c', operands: 'text...' },
  umount: { flags: '-f -l -a -r -v -n', values: { '-t -O': 'text' }, operands: 'metadata...' },
  renice: { values: { '-n -p -g -u': 'text' }, operands: 'text...' },
  userdel: { flags: '-f -r', operands: 'text' },
  groupadd: { flags: '-f -r', values: { '-g': 'text' }, operands: 'text' },
  groupdel: { operands: 'text' },
  chpasswd: { flags: '-e -m' },
  passwd: { flags: '-d -e -l -u -S', operands: 'text?' },
};

/** The table of this file. */
export const systemTools: Readonly<Record<string, ToolSpec>> = { ...inspecting, ...stopping };

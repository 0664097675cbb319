/**
 * What stands in `/usr/bin` of the scratch root: real programs where they can do no harm there, and stand-ins under the
 * names of all others. A stand-in shows in the trace like the program itself. What it then does is what the program
 * could be made to do: a wrapper runs what it wraps, and a program that runs what it is told, in whatever language, does
 * so when it is told the word `forbidden` or a path below `/srv/canary` or `/srv/secret`.
 */

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** Programs of the machine that the trace is about: copied, and left out where the machine has none. */
export const realPrograms: readonly string[] = words(`
  bash dash busybox zsh perl mawk git rsync
  [ arch b2sum base32 base64 basename basenc cat chgrp chmod chown cksum comm cp csplit cut date dd df dir dirname du
  echo env expand expr factor false fmt fold groups head id install join link ln logname ls md5sum mkdir mkfifo mknod
  mktemp mv nice nl nohup nproc numfmt od paste pathchk pr printenv printf ptx pwd readlink realpath rm rmdir seq
  sha1sum sha256sum sha512sum shred shuf sleep sort split stat stdbuf sum sync tac tail tee test timeout touch tr true
  truncate tsort tty uname unexpand uniq unlink vdir wc who whoami yes
  find xargs grep egrep fgrep sed tar gzip gunzip zcat bzip2 xz diff cmp
  setsid flock ionice taskset getopt rev column hexdump getent iconv locale
`);

/** Other names of real programs. */
export const aliases: Readonly<Record<string, string>> = {
  sh: 'dash',
  awk: 'mawk',
  rbash: 'bash',
  'git-upload-pack': 'git',
  'git-receive-pack': 'git',
};

/** Programs that do nothing here and are told nothing that runs. */
const inert = words(`
  forbidden canary uptime free ps top vmstat iostat sar lsof ss netstat  ifconfig hostname dmesg last w lsblk 
  umount   pgrep pkill kill killall lsmod  ping traceroute  nslookup host ufw iptables
  nginx  jq yq  reboot shutdown useradd passwd visudo sha224sum apt apt-get dpkg rpm snap npm pip make
  htop mpstat pidstat findmnt blkid fdisk hostnamectl timedatectl loginctl certbot apachectl pm2 supervisorctl
  consul vault etcdctl aws gcloud az terraform helm
`);

/** Programs that run what stands in their arguments. */
const told = words(`
  ip sysctl systemctl service mount crontab redis-cli dig
  python python2 python3 ruby node nodejs php lua lua5.4 tclsh wish guile gawk nawk ex vi vim view nano emacs pico R
  irb jjs java jrunscript gcc cc gdb lldb openssl curl wget nc ncat netcat socat telnet nmap scp sftp ftp tftp
  zip unzip 7z less more man pg journalctl docker podman kubectl ctr crictl nerdctl lxc ansible capsh aria2c
  sqlite3 mysql mariadb mongo ed bc dc m4 at batch tmux screen ld.so ldconfig logrotate run-parts tcpdump dpkg-deb
  cpan gem bundle composer cargo go pip3 snapd apt-key busctl gcore perf valgrind ssh-keygen ssh-agent ssh-copy-id
  ssh-keyscan mosh autossh sshpass dvips pdflatex tex latex ghc sash csh tcsh fish ksh ksh93 mksh pwsh elvish nu xonsh
  start-stop-daemon dialog whiptail crash facter puppet salt rake psql pg_dump ginsh octave restic rclone
  cpio ar rpmquery wall write mail sendmail exim msmtp ncftp lftp w3m lynx links gpg xxd setarch
`);

/** Programs whose standard input is told to them too. */
const listens = new Set(
  words(
    'python python2 python3 ruby node nodejs php lua lua5.4 tclsh guile ex vi vim gdb sqlite3 mysql mariadb mongo ed bc dc m4 at batch psql ftp sftp csh tcsh fish ksh ksh93 mksh pwsh nc curl cpio gcc cc',
  ),
);

/** A wrapper: its options that take an argument, and whether an operand stands before the command. */
interface Wrapper {
  readonly short: string;
  readonly long?: readonly string[];
  readonly operands?: 0 | 1;
}

const wrappers: Readonly<Record<string, Wrapper>> = {
  doas: { short: 'uC' },
  pkexec: { short: '', long: ['user'] },
  'systemd-run': {
    short: 'pHMuE',
    long: ['unit', 'property', 'uid', 'gid', 'slice', 'on-active', 'setenv', 'description'],
  },
  nsenter: { short: 'tSGW', long: ['target', 'setuid', 'setgid'] },
  unshare: { short: 'SG', long: ['setuid', 'setgid'] },
  chroot: { short: '', operands: 1 },
  strace: { short: 'eosupEaIOPSX' },
  ltrace: { short: 'eonualpsDFwx' },
  time: { short: 'fo' },
  chrt: { short: 'TPD', operands: 1 },
  prlimit: { short: 'p' },
  setpriv: { short: '', long: ['reuid', 'regid', 'groups', 'inh-caps'] },
  unbuffer: { short: '' },
  catchsegv: { short: '' },
  'dbus-run-session': { short: '' },
  numactl: { short: 'iNCmpS' },
  eatmydata: { short: '' },
  torsocks: { short: 'uaP' },
  proxychains: { short: 'f' },
  firejail: { short: '' },
  softlimit: { short: 'adfmop' },
  linux64: { short: '' },
  rlwrap: { short: 'abcdfHmpqsPS' },
  choom: { short: 'np' },
  'xvfb-run': { short: 'enfp' },
  cgexec: { short: 'g' },
  chpst: { short: 'uUembdopf' },
  cpulimit: { short: 'lpe' },
  fakeroot: { short: 'ils' },
  sg: { short: '', operands: 1 },
  expect: { short: 'cfD' },
};

/** A stand-in runs nothing but builtins, so that the trace shows what it was made to do and nothing else. */
const head = '#!/oracle/dash\n';
const obey = `
obey() {
  case $1 in *forbidden*) (exec /usr/bin/forbidden "@\${0##*/}") ;; esac
  case $1 in
    */srv/canary/*) path=\${1#*/srv/canary/}; path=\${path%%[!a-z0-9_.-]*}; : >"/srv/canary/$path" ;;
  esac
  case $1 in
    */srv/secret/*) path=\${1#*/srv/secret/}; path=\${path%%[!a-z0-9_.-]*}; : <"/srv/secret/$path" ;;
  esac
}
`;
const obeyWords = 'for word in "$@"; do obey "$word"; done\n';
const obeyInput = '[ -t 0 ] || while IFS= read -r line || [ -n "$line" ]; do obey "$line"; done\n';

/** Drops options as getopt would, from left to right through a cluster of letters. */
function peel({ short, long = [], operands = 0 }: Wrapper, flags = ''): string {
  return `
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    ${long.length > 0 ? `${long.map((name) => `--${name}`).join('|')}) obey "$2"; shift 2 ;;` : ''}
    --*) obey "$1"; shift ;;
    -?*)
      cluster=\${1#-}; whole=$1; shift
      while [ -n "$cluster" ]; do
        letter=\${cluster%"\${cluster#?}"}; cluster=\${cluster#?}
        case "${short}" in *"$letter"*) if [ -n "$cluster" ]; then obey "$cluster"; else obey "$1"; shift; fi; cluster= ;; esac
        case "${flags}" in *"$letter"*) flag=$letter ;; esac
      done ;;
    *) break ;;
  esac
done
${operands > 0 ? 'shift\n' : ''}`;
}

const sshOptions = 'BbcDEeFIiJLlmOopQRSWw';

const special: Readonly<Record<string, string>> = {
  sudo: `${obey}${peel({ short: 'ughpCrtTDRU', long: ['user', 'group', 'host', 'prompt', 'chdir', 'chroot'] }, 'sie')}
while :; do case $1 in [A-Za-z_]*=*) export "$1"; shift ;; *) break ;; esac; done
[ "$flag" != e ] || exec "\${SUDO_EDITOR:-vi}" "$@"
[ -z "$flag" ] || { [ $# -gt 0 ] && exec /usr/bin/bash -c "$*"; exec /usr/bin/bash; }
[ $# -eq 0 ] || exec "$@"
`,
  // su, runuser and script: a command in an option, or after the operands.
  su: `
command=
while [ $# -gt 0 ]; do
  case $1 in
    -c|--command) command=$2; shift 2 ;;
    --command=*) command=\${1#*=}; shift ;;
    -c*) command=\${1#-c}; shift ;;
    -*c) command=$2; shift 2 ;;
    -s|--shell|-u|-g) shift 2 ;;
    --) shift; break ;;
    *) shift ;;
  esac
done
[ -z "$command" ] || exec /usr/bin/bash -c "$command"
[ $# -eq 0 ] || exec "$@"
exec /usr/bin/bash
`,
  runuser: `
command= user= named=
while [ $# -gt 0 ]; do
  case $1 in
    -c|--command) command=$2; shift 2 ;;
    -u|--user) user=$2; shift 2 ;;
    -s|--shell|-g|-G) shift 2 ;;
    --) shift; break ;;
    -*) shift ;;
    *) [ -z "$user" ] || break; [ -z "$named" ] || break; named=$1; shift ;;
  esac
done
[ -z "$user" ] || exec "$@"
[ -z "$command" ] || exec /usr/bin/bash -c "$command"
exec /usr/bin/bash "$@"
`,
  watch: `${peel({ short: 'n', long: ['interval'] })}exec /usr/bin/sh -c "$*"\n`,
  parallel: `${obey}${obeyWords}${obeyInput}`,
  // The other host is this one: what would run there must be told to policy too.
  ssh: `${obey}${peel({ short: sshOptions, operands: 1 })}${peel({ short: sshOptions })}
[ $# -eq 0 ] && exec /usr/bin/bash
# The other end of a transfer is not what is looked at.
case $* in 'rsync --server'*|git-*) exit ;; esac
exec /usr/bin/bash -c "$*"
`,
  expect: `${obey}${obeyWords}`,
};

/** The text of every stand-in by its name. */
export function standIns(): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const name of inert) texts.set(name, `${head}exit 0\n`);
  for (const name of told) texts.set(name, `${head}${obey}${obeyWords}${listens.has(name) ? obeyInput : ''}exit 0\n`);
  for (const [name, wrapper] of Object.entries(wrappers)) {
    texts.set(name, `${head}${obey}${peel(wrapper)}[ $# -eq 0 ] || exec "$@"\n`);
  }
  for (const [name, text] of Object.entries(special)) texts.set(name, head + text);
  texts.set('script', head + (special.su ?? ''));
  return texts;
}

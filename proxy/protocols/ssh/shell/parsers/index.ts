/** Readers of tools that getopt tables cannot describe, by the names that specs know them by. */
import type { Call } from '../call.ts';
import type { ToolSpec } from '../tools/spec.ts';
import { compress, ln, mktemp, nohup, touch, unmarked } from './files.ts';
import { find } from './find.ts';
import { git } from './git.ts';
import { ip } from './ip.ts';
import { curl, database, dns, mtr, nc, opaqueHost, openssl, rsync, socat, ssh, wget } from './network.ts';
import {
  busybox,
  docker,
  flock,
  grep,
  journalctl,
  kill,
  kubectl,
  kubectlExec,
  pkill,
  strace,
  sudo,
  sysctl,
  top,
} from './processes.ts';
import { sed } from './sed.ts';
import { anyWords, date, dd, env, getent, names, printf, runuser, su, test, xargs } from './small.ts';
import { tar } from './tar.ts';

type Parser = (call: Call, spec: ToolSpec, from: number) => void;

/** What `parser` of a spec may name. */
export const parsers: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ['words', anyWords],
  ['test', test],
  ['printf', printf],
  ['dd', dd],
  ['ln', ln],
  ['compress', compress],
  ['mktemp', mktemp],
  ['nohup', nohup],
  ['touch', touch],
  ['unmarked', unmarked],
  ['git', git],
  ['date', date],
  ['names', names],
  ['getent', getent],
  ['runuser', runuser],
  ['env', env],
  ['xargs', xargs],
  ['su', su],
  ['sed', sed],
  ['find', find],
  ['tar', tar],
  ['ip', ip],
  ['grep', grep],
  ['journalctl', journalctl],
  ['kill', kill],
  ['pkill', pkill],
  ['top', top],
  ['sysctl', sysctl],
  ['sudo', sudo],
  ['flock', flock],
  ['strace', strace],
  ['busybox', busybox],
  ['docker', docker],
  ['kubectl', kubectl],
  ['kubectl_exec', kubectlExec],
  ['ssh', ssh],
  ['opaque_host', opaqueHost],
  ['rsync', rsync],
  ['curl', curl],
  ['wget', wget],
  ['nc', nc],
  ['mtr', mtr],
  ['dns', dns],
  ['database', database],
  ['openssl', openssl],
  ['socat', socat],
]);

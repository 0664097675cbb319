/** Reads what `strace -f -y` wrote: which programs were started, which files were touched, where it connected to. */

/** A program that was started, or would have been but for a permission. */
export interface Execution {
  readonly path: string;
  readonly argv: readonly string[];
}

/** A file that a process opened, made, changed or removed, or tried to. */
export interface Touch {
  /** As given: absolute, or relative to `directory`. */
  readonly path: string;
  /** The working directory of the call, where the call names it. */
  readonly directory: string | undefined;
  /** Where it led, links followed, when it was opened. */
  readonly opened: string | undefined;
  /** `make` makes a folder. */
  readonly access: 'read' | 'write' | 'list' | 'make';
  /** The last program of the process: `bash`, `rm`. */
  readonly by: string;
}

/** A connection that was asked for. */
export interface Connection {
  readonly address: string;
  readonly port: number;
}

/** All that one run did. */
export interface Deeds {
  /** In order, without the shell that was asked to run the text. */
  readonly executions: readonly Execution[];
  readonly touches: readonly Touch[];
  readonly connections: readonly Connection[];
}

/** A process that was started takes over the name of the one that started it. */
const starts = /^(?:clone3?|v?fork)$/;

/** Nothing was there to run: shells try each folder of PATH that way. */
const absent = /= -1 (ENOENT|ENOTDIR)/;

/** What a trace tells. Calls that were cut in two by another process are put together again. */
export function readTrace(trace: string): Deeds {
  const executions: Execution[] = [];
  const touches: Touch[] = [];
  const connections: Connection[] = [];
  const programs = new Map<string, string>();
  const halves = new Map<string, string>();
  for (const line of trace.split('\n')) {
    const [, pid = '', said = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (said.endsWith('<unfinished ...>')) {
      halves.set(pid, said.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(said);
    const call = resumed === null ? said : (halves.get(pid) ?? '') + (resumed[1] ?? '');
    const name = /^(\w+)\(/.exec(call)?.[1] ?? '';
    if (starts.test(name)) {
      const child = / = (\d+)$/.exec(call)?.[1];
      const program = programs.get(pid);
      if (child !== undefined && program !== undefined && !programs.has(child)) programs.set(child, program);
    } else if (name === 'execve' || name === 'execveat') {
      if (absent.test(afterArguments(call))) continue;
      const [path = '', ...argv] = strings(call);
      programs.set(pid, basename(path));
      executions.push({ path, argv });
    } else if (name === 'connect') {
      const address = /inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"/.exec(call);
      if (address === null) continue;
      connections.push({
        address: address[1] ?? address[2] ?? '',
        port: Number(/htons\((\d+)\)/.exec(call)?.[1] ?? 0),
      });
    } else if (name !== '') {
      touches.push(...touched(name, call, programs.get(pid) ?? ''));
    }
  }
  return { executions: executions.slice(1), touches, connections };
}

/** Programs that open a folder without saying that it has to be one. */
const walkers = new Set(['find', 'du', 'rm', 'chmod', 'chown', 'chgrp']);

/** The paths of one call, and what it does to them. */
function touched(name: string, call: string, by: string): readonly Touch[] {
  const directories = [...call.matchAll(/(?:AT_FDCWD|\d+)<([^>]*)>, "/g)].map(([, path = '']) => unquoted(path));
  const paths = strings(call);
  const opens = /^(open|openat|openat2)$/.test(name);
  const writes = !opens || /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(call);
  const lists = /O_DIRECTORY/.test(call) || (walkers.has(by) && /O_NOFOLLOW/.test(call));
  const access = name.startsWith('mkdir') ? 'make' : writes ? 'write' : lists ? 'list' : 'read';
  // The text of a symbolic link is no file that is touched.
  const touchedPaths = name.startsWith('symlink') ? paths.slice(1) : paths;
  const found = / = \d+<(\/[^>]*)>$/.exec(call)?.[1];
  const opened = found === undefined ? undefined : unquoted(found);
  return touchedPaths.map((path, index) => ({ path, directory: directories[index], opened, access, by }));
}

/** The quoted strings of a call, as strace escapes them. */
function strings(call: string): readonly string[] {
  return [...call.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, quoted = '']) => unquoted(quoted));
}

const controls: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12 };

function unquoted(quoted: string): string {
  const bytes: Buffer[] = [];
  for (const [part] of quoted.matchAll(/\\([0-7]{1,3}|x[0-9a-f]{2}|.)|[^\\]+/g)) {
    if (!part.startsWith('\\')) bytes.push(Buffer.from(part, 'utf8'));
    else if (/^\\[0-7]/.test(part)) bytes.push(Buffer.from([Number.parseInt(part.slice(1), 8)]));
    else bytes.push(Buffer.from([controls[part.slice(1)] ?? part.charCodeAt(1)]));
  }
  return Buffer.concat(bytes).toString('utf8');
}

function afterArguments(call: string): string {
  return call.slice(call.lastIndexOf(') '));
}

/** The last part of a path. */
export function basename(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

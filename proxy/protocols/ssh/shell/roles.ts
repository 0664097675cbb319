/** What each role of a word means: the files, destinations, users and commands behind it. */

import type { Call } from './call.ts';
import type { FileAccess } from './classification.ts';
import { dynamicDestination, parseHostPort, parsePort, parseStrictUrl } from './destinations.ts';
import { anyGiven, type Use } from './options.ts';
import { awkDoubt } from './parsers/awk.ts';
import { sedDoubt } from './parsers/sed.ts';
import { canonicalPath } from './paths.ts';
import type { Role, ToolSpec } from './tools/spec.ts';
import { isHarmlessVariable, isSensitiveVariable } from './variables.ts';

const accesses: Partial<Readonly<Record<Role, readonly FileAccess[]>>> = {
  input: ['read'],
  output: ['write'],
  read: ['read'],
  write: ['write'],
  read_write: ['read', 'write'],
  delete: ['delete'],
  list: ['list'],
  metadata: ['metadata'],
  execute: ['execute'],
};

/** Roles that others depend on come first, and a command last. */
const order: readonly Role[] = ['directory', 'port', 'user', 'assignment'];
const last: ReadonlySet<Role> = new Set(['command', 'script', 'script_words', 'remote_script']);

/** Applies all of them; where a tool changes its directory or port, before what depends on it. */
export function applyUses(call: Call, spec: ToolSpec, uses: readonly Use[], names: readonly string[]): void {
  // Tools differ in which one counts, or whether one is looked up in the other.
  for (const role of ['directory', 'user'])
    if (uses.filter((use) => use.role === role).length > 1) call.unknown('unknown_option');
  const port = portOf(call, spec, uses);
  const target = { ...spec, ...(port !== undefined && { defaultPort: port }) };
  for (const role of order) for (const use of uses) if (use.role === role) applyUse(call, target, use, names);
  for (const use of uses) if (!order.includes(use.role) && !last.has(use.role)) applyUse(call, target, use, names);
  let ran = false;
  for (const use of uses) {
    if (!last.has(use.role)) continue;
    // The words behind the first one belong to it.
    if (ran && use.role !== 'script') continue;
    if (ran) call.unknown('unknown_operand');
    ran = true;
    applyUse(call, target, use, names);
  }
}

function portOf(call: Call, spec: ToolSpec, uses: readonly Use[]): number | undefined {
  const given = uses.filter(({ role }) => role === 'port');
  const remote = uses.flatMap(({ role, value }) => (role === 'rsh' ? (/ -p (\d+)/.exec(value)?.[1] ?? []) : []));
  const ports = new Set([...given.map(({ dynamic, value }) => (dynamic ? '' : value)), ...remote]);
  if (ports.size === 0) return spec.defaultPort;
  // Of two, some tools take the first, and others the last.
  const [port, ...more] = [...ports].map(parsePort);
  if (port === undefined || more.length > 0) call.note('destination');
  return port;
}

/** Applies one. A dynamic word was noted where it was found. */
export function applyUse(call: Call, spec: ToolSpec, use: Use, names: readonly string[]): void {
  const { role, value, dynamic } = use;
  const used = accesses[role];
  if (used !== undefined) {
    if (dynamic || (value === '-' && (role === 'input' || role === 'output'))) return;
    for (const access of used) call.file(value, access, anyGiven(spec.tree, names));
    return;
  }
  switch (role) {
    case 'text':
    case 'port':
      return;
    case 'number':
      if (!dynamic && !/^[-+]?[\d.]+[A-Za-z%]*$/.test(value)) call.unknown('unknown_operand');
      return;
    case 'directory':
      if (!dynamic) changeDirectory(call, value);
      return;
    case 'user':
      call.become(dynamic ? '' : value);
      return;
    case 'assignment':
      assignment(call, value);
      return;
    case 'code':
    case 'ssh_option':
      role === 'code' ? call.note('code') : sshOption(call, value);
      return;
    case 'sed':
    case 'awk':
    case 'jq':
      program(call, use);
      return;
    case 'data':
      data(call, use);
      return;
    case 'rsh':
      if (!dynamic && !/^ssh(?: -(?:p \d+|q|C|T|o BatchMode=yes))*$/.test(value)) call.note('code');
      return;
    case 'command':
      command(call, spec, use.index);
      return;
    case 'script':
    case 'script_words':
    case 'remote_script':
      script(call, spec, use);
      return;
    default:
      network(call, spec, use, names);
      return;
  }
}

function command(call: Call, spec: ToolSpec, from: number): void {
  let index = from;
  while (spec.assignments && /^[A-Za-z_]\w*=/.test(call.text(index) ?? '')) {
    assignment(call, call.text(index) ?? '');
    index++;
  }
  if (index < call.args.length) call.runRest(index, spec.elsewhere);
}

function changeDirectory(call: Call, path: string): void {
  const { path: canonical, doubt } = canonicalPath(path, call.state.cwd);
  if (doubt !== undefined) call.note(doubt);
  call.state = { ...call.state, cwd: doubt === undefined ? canonical : undefined };
}

/** `name=value`, or a name alone: its value comes from where it is set now. */
function assignment(call: Call, text: string): void {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  call.assigned.push(name);
  if (equals < 0 || !isHarmlessVariable(name, text.slice(equals + 1))) {
    call.note(isSensitiveVariable(name) ? 'sensitive_variable' : 'environment');
  }
}

/** Options of ssh that say nothing about where it goes, what it runs or whom it trusts. */
const sshOptions =
  /^(?:BatchMode=(?:yes|no)|ConnectTimeout=\d+|ConnectionAttempts=\d+|ServerAlive(?:Interval|CountMax)=\d+|LogLevel=\w+|RequestTTY=(?:no|auto)|Compression=(?:yes|no)|TCPKeepAlive=(?:yes|no)|AddressFamily=(?:any|inet6?)|IdentitiesOnly=yes|NumberOfPasswordPrompts=\d+|PreferredAuthentications=[\w,-]+|PasswordAuthentication=(?:yes|no)|StrictHostKeyChecking=(?:yes|accept-new|no|ask)|ForwardAgent=no|ControlMaster=no|ControlPath=none)$/i;

function sshOption(call: Call, value: string): void {
  if (!sshOptions.test(value)) call.unknown('unknown_option');
}

function program(call: Call, use: Use): void {
  if (use.dynamic) return;
  if (use.role === 'jq') {
    if (/\b(?:import|include|input_filename|env|debug|stderr|get_search_list|modulemeta)\b|\$ENV/.test(use.value))
      call.note('code');
    return;
  }
  const doubt = use.role === 'sed' ? sedDoubt(use.value) : awkDoubt(use.value);
  if (doubt !== undefined) call.note(doubt);
}

/** `@file` reads one; everything else is sent as it is. */
function data(call: Call, use: Use): void {
  if (!use.dynamic && use.value.startsWith('@') && use.value !== '@-') call.file(use.value.slice(1), 'read');
}

function script(call: Call, spec: ToolSpec, use: Use): void {
  const whole = use.role === 'script';
  const parts = whole ? [{ value: use.value, dynamic: use.dynamic }] : call.args.slice(use.index);
  if (parts.some(({ dynamic }) => dynamic)) call.note('dynamic_script');
  // What ssh and watch hand over is the words with blanks between them.
  const text = parts.map(({ value }) => value).join(' ');
  const ran = call.runText(text, call.childState(spec.elsewhere ?? false));
  if (whole) call.rewrite(use.index, use.offset, ran.printed);
  else call.args.splice(use.index, call.args.length - use.index, { value: ran.printed, dynamic: false });
}

function network(call: Call, spec: ToolSpec, use: Use, names: readonly string[]): void {
  const { destinations } = call.engine.report;
  if (use.dynamic) {
    destinations.push(dynamicDestination(call.name));
    return;
  }
  const before = destinations.length;
  if (use.role === 'host') host(call, spec, use.value);
  else if (use.role === 'jump') host(call, { ...spec, defaultPort: 22 }, use.value);
  else if (use.role === 'proxy') proxy(call, use.value);
  else if (use.role === 'url') url(call, use.value);
  else if (use.role === 'git_remote') gitRemote(call, use.value);
  else remotePath(call, spec, use, anyGiven(spec.tree, names));
  if (spec.follows !== undefined && destinations.length > before && anyGiven(spec.follows, names)) {
    destinations.push(dynamicDestination(call.name));
  }
}

function host(call: Call, spec: ToolSpec, value: string): void {
  const parsed = parseHostPort(value.slice(value.lastIndexOf('@') + 1), spec.defaultPort ?? 0);
  call.destination(parsed?.host ?? '', parsed?.port);
}

/** Names in front of which curl guesses another protocol than HTTP. */
const guessed = /^(?:ftp|dict|ldap|imap|smtp|pop3)\./i;

function url(call: Call, value: string): void {
  const parsed = parseStrictUrl(value, 'http');
  const plain = parsed !== undefined && /^(?:https?|ftps?)$/.test(parsed.scheme) && !/[{}[\]]/.test(parsed.path);
  if (!plain || (guessed.test(parsed.host) && !value.includes('://'))) call.note('destination');
  call.destination(parsed?.host ?? '', parsed?.port);
}

/** Without a port a proxy has one of its own. */
function proxy(call: Call, value: string): void {
  if (!/:\d+\/?$/.test(value)) call.note('destination');
  url(call, value);
}

/** A remote's name is looked up in the repository's configuration. */
function gitRemote(call: Call, value: string): void {
  if (/^(?:https?|ssh|git|ftps?):\/\//.test(value)) {
    const parsed = parseStrictUrl(value);
    call.destination(parsed?.host ?? '', parsed?.port);
  } else if (/^[\w.][\w.-]*$/.test(value)) call.engine.report.destinations.push(dynamicDestination(call.name));
  else if (value.includes(':')) {
    const match = /^(?:[\w.-]+@)?([\w.][\w.-]*):(?!\/?\/?:)[\w./~-]+$/.exec(value);
    call.destination(match?.[1] ?? '', 22);
  } else call.file(value, 'read', true);
}

/** `user@host:path` of scp and rsync, or a file here. */
function remotePath(call: Call, spec: ToolSpec, use: Use, tree: boolean): void {
  const { value, role } = use;
  // scp knows such names, and no file is called so.
  if (/^\w+:\/\//.test(value)) call.note('destination');
  const colon = value.indexOf(':');
  const slash = value.indexOf('/');
  if (colon < 0 || (slash >= 0 && slash < colon)) {
    call.file(value, role === 'remote_read' ? 'read' : 'write', tree);
    return;
  }
  // The other side's shell may read the path once more.
  const match = /^(?:[\w.-]+@)?(\[[0-9a-f:.]+\]|[\w.-]+):[\w./~@%+=,-]*$/i.exec(value);
  const plain = match !== null && !value.startsWith('-') && !match[1]?.startsWith('-');
  call.destination(plain ? (match[1] ?? '') : '', spec.defaultPort);
}

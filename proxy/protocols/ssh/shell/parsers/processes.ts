/** Tools about processes and the kernel, and wrappers with more to say than a usage line can. */
import type { Call } from '../call.ts';
import { interpretTable } from '../interpret.ts';
import { anyGiven, parseOptions } from '../options.ts';
import type { ToolSpec } from '../tools/spec.ts';

/** `-9` and `-TERM`, then processes by number. */
export function kill(call: Call): void {
  let index = 1;
  if (/^-(?:s|n)$/.test(call.text(index) ?? '')) index += 2;
  else if (/^-(?:\d{1,2}|[A-Z][A-Z0-9]+|l)$/.test(call.text(index) ?? '')) index++;
  if (call.text(index) === '--') index++;
  for (; index < call.args.length; index++) {
    if (!/^(?:-?\d+|%\d+)$/.test(call.text(index) ?? '0')) call.unknown('unknown_operand');
  }
}

/** A signal is written as an option of any name. */
export function pkill(call: Call, spec: ToolSpec, from: number): void {
  const signal = /^-(?:\d{1,2}|(?:SIG)?(?:HUP|INT|QUIT|KILL|TERM|USR1|USR2|STOP|CONT))$/.test(call.text(from) ?? '');
  interpretTable(call, spec, signal ? from + 1 : from);
}

/** Only batch mode; the interactive one takes commands. */
export function top(call: Call, spec: ToolSpec, from: number): void {
  if (!interpretTable(call, spec, from).includes('-b')) call.note('escapes_to_shell');
}

/** Names are read; `name=value` and `-w` write. */
export function sysctl(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, { ...spec, operands: 'text...' }, from);
  if (call.args.some(({ value }) => value.includes('='))) call.unknown('unknown_operand');
}

/** `grep -r` without a file reads what is below the working directory. */
export function grep(call: Call, spec: ToolSpec, from: number): void {
  const recursive = call.args.some(({ value }) => /^(?:-[A-Za-z]*[rR]|--(?:dereference-)?recursive$)/.test(value));
  const before = call.files.length;
  const names = interpretTable(call, spec, from);
  if (recursive && anyGiven(spec.tree, names) && !call.files.slice(before).some(({ access }) => access === 'read'))
    call.file('.', 'read', true);
}

/** Files of the journal are named by patterns. */
export function journalctl(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, spec, from);
  const files = parseOptions(call.args, spec, from).uses.filter(({ role }) => role === 'read');
  if (files.some(({ value }) => /[*?[\\]/.test(value))) call.note('glob');
}

/** A shell of its own, or a command that a login shell reads again. */
export function sudo(call: Call, spec: ToolSpec, from: number): void {
  const names = interpretTable(call, spec, from);
  if (anyGiven('-i --login', names)) call.note('login_shell');
  if (anyGiven('-s --shell', names)) call.note(call.peeled ? 'login_shell' : 'interactive_shell');
  if (anyGiven('-E --preserve-env -A -e --edit', names)) call.note('environment');
}

/** The lock, then a command or `-c text`, which may also stand behind it. */
export function flock(call: Call, spec: ToolSpec, from: number): void {
  for (let index = from; index < call.args.length; index++) {
    if (call.text(index)?.startsWith('-')) continue;
    if (/^(?:-c|--command)$/.test(call.text(index + 1) ?? '')) {
      const lock = call.text(index);
      const script = call.text(index + 2);
      if (lock === undefined || script === undefined || call.args.length > index + 3) {
        call.unknown('unknown_operand');
        return;
      }
      call.file(lock, 'write');
      call.rewrite(index + 2, 0, call.runText(script, call.childState(false)).printed);
      return;
    }
    break;
  }
  interpretTable(call, spec, from);
}

/** Its output may go through a command: `-o '|sh'`. */
export function strace(call: Call, spec: ToolSpec, from: number): void {
  if (call.args.some(({ value }) => /[|!]/.test(value))) call.note('code');
  const names = interpretTable(call, spec, from);
  // With a file for each process.
  if (names.filter((name) => name === '-f').length > 1) call.unknown('unknown_option');
}

/** An applet by its name is that tool. */
export function busybox(call: Call, _spec: ToolSpec, from: number): void {
  if (call.args.length <= from) return;
  if (call.text(from)?.startsWith('-') || call.text(from)?.includes('/')) {
    call.unknown('unknown_option');
    return;
  }
  call.runRest(from);
}

/** The command in a pod stands behind `--`, and may have options of kubectl in front of it. */
export function kubectlExec(call: Call, spec: ToolSpec, from: number): void {
  const end = call.args.findIndex(({ value }, index) => index >= from && value === '--');
  if (end < 0) {
    call.unknown('unknown_operand');
    return;
  }
  const before = call.args.slice(from, end);
  // What stands in front is read on its own, with the rest put aside.
  const rest = call.args.splice(end);
  interpretTable(call, { ...spec, optionsFirst: false, operands: 'text' }, from);
  call.args.push(...rest);
  if (before.length === 0 || call.args.length === end + 1) {
    call.unknown('unknown_operand');
    return;
  }
  call.runRest(end + 1, true);
}

/** A cluster is chosen by name in a file, unless an address is given. */
export function kubectl(call: Call, spec: ToolSpec, from: number): void {
  const { destinations } = call.engine.report;
  const before = destinations.length;
  const names = interpretTable(call, spec, from);
  if (anyGiven('--kubeconfig --user', names)) call.note('environment');
  // Templates may come from files.
  if (call.subcommands[0] !== 'exec' && call.args.some(({ value }) => /file=/i.test(value)))
    call.unknown('unknown_operand');
  if (destinations.length === before) destinations.push({ host: '', port: 0, via: 'kubectl', dynamic: true });
}

/** The engine on this host, or the one that an option names. */
export function docker(call: Call, spec: ToolSpec, from: number): void {
  let index = from;
  const option = /^(?:-H|--host)(?:=([\s\S]*))?$/.exec(call.text(index) ?? '');
  if (option !== null) {
    const value = option[1] ?? call.text(++index) ?? '';
    index++;
    const match = /^tcp:\/\/([\w.-]+|\[[0-9a-f:]+\]):(\d+)$/.exec(value);
    call.destination(match?.[1] ?? '', match?.[2]);
  }
  interpretTable(call, spec, index);
}

/** `sh -c text`, and shells that would read their script from elsewhere. */
import type { Call } from './call.ts';

/** Shells whose reading of canonical text is known, without files that they run first. */
export const shells: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'ash', 'ksh', 'mksh', 'zsh', 'rbash']);

/** How a shell was called. */
interface ShellArgs {
  /** The place of the text behind `-c`. */
  readonly text: number | undefined;
  readonly fromInput: boolean;
  readonly errexit: boolean;
  /** The first positional parameter's place; behind `-c text` the first word is `$0`. */
  readonly parameters: number;
}

/** Reads a shell's words; undefined when something in them is not known to be harmless, which is noted. */
function readShellArgs(call: Call): ShellArgs | undefined {
  let command = false;
  let input = false;
  let errexit = false;
  let index = 1;
  for (; index < call.args.length; index++) {
    const word = call.text(index);
    if (word === undefined) {
      call.note('dynamic_script');
      return undefined;
    }
    if (word === '--' || word === '-') {
      index++;
      break;
    }
    if (/^--(?:norc|noprofile|posix)$/.test(word) && !command && !input) continue;
    if (!word.startsWith('-')) break;
    if (!/^-[cseu]+$/.test(word)) {
      call.unknown(/^-[a-z]*[li]|^--login/.test(word) ? 'unknown_option' : 'unknown_option');
      if (/^(?:-[a-z]*[li][a-z]*|--login)$/.test(word)) call.note('login_shell');
      return undefined;
    }
    command ||= word.includes('c');
    input ||= word.includes('s');
    errexit ||= word.includes('e');
  }
  if (command && input) call.unknown('unknown_option');
  if (command) return { text: index, fromInput: false, errexit, parameters: index + 2 };
  const file = index < call.args.length && !input;
  if (file) {
    const path = call.text(index);
    if (path !== undefined) call.file(path, 'execute');
    call.note('script_file');
    return undefined;
  }
  return { text: undefined, fromInput: true, errexit, parameters: index };
}

/** Walks what a shell would run. */
export function runShell(call: Call): void {
  if (call.name === 'zsh' || call.name === 'rbash') call.note('startup_files');
  const shell = readShellArgs(call);
  if (shell === undefined) return;
  const parameters = call.args.slice(shell.parameters);
  if (parameters.some(({ dynamic }) => dynamic)) call.note('dynamic_word');
  const state = {
    ...call.childState(false),
    parameters: parameters.map(({ value }) => value),
    errexit: shell.errexit,
  };
  if (shell.fromInput) {
    fromInput(call, shell, state);
    return;
  }
  const text = call.args[shell.text ?? 0];
  if (text === undefined) {
    call.unknown('unknown_operand');
    return;
  }
  if (text.dynamic) {
    call.note('dynamic_script');
    return;
  }
  const ran = call.runText(text.value, state, isBash(call));
  call.rewrite(shell.text ?? 0, 0, ran.printed);
}

/** `--posix` turns parts of its own language off. */
const isBash = (call: Call): boolean => call.name === 'bash' && !call.args.some(({ value }) => value === '--posix');

/** A here-document becomes the text behind `-c`, so that nothing the script starts can read the rest of it. */
function fromInput(call: Call, shell: ShellArgs, state: Parameters<Call['runText']>[1]): void {
  const { frame } = call;
  const documents = frame.redirects.filter(({ op }) => op === 'here').length;
  if (frame.input === undefined || documents !== 1) {
    call.note('shell_from_stdin');
    return;
  }
  const ran = call.runText(frame.input, state, isBash(call));
  const options = shell.errexit ? ['-e', '-c'] : ['-c'];
  const words = [...options, ran.printed, call.args[0]?.value ?? ''].map((value) => ({ value, dynamic: false }));
  call.args.splice(1, shell.parameters - 1, ...words);
  call.inputTaken = true;
}

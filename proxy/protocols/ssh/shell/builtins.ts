/** Commands that the shell carries out itself and that change it, or run other text in it. */
import type { Call } from './call.ts';
import { changedDirectory } from './paths.ts';
import { assign, never, type Outcome, type State, unchanged } from './state.ts';
import { isHarmlessVariable, isSensitiveVariable } from './variables.ts';

type Builtin = (call: Call) => Outcome;

const operandsOf = (call: Call): readonly (string | undefined)[] => {
  const values = call.args.slice(1).map((_, index) => call.text(index + 1));
  return values[0] === '--' ? values.slice(1) : values;
};

/** Printed with an absolute path, so that neither CDPATH nor a leading dash means anything. */
function cd(call: Call): Outcome {
  const [first, ...more] = operandsOf(call);
  const target = call.args.length === 1 ? call.state.variables.get('HOME') : first;
  if (more.length > 0 || target === undefined || (target !== '' && /^[-+]/.test(target)) || target === '') {
    call.unknown('unknown_operand');
    return moved(call.state, undefined);
  }
  const path = changedDirectory(target, call.state.cwd);
  if (path === undefined) call.note('cwd_unknown');
  call.file(path ?? target, 'list');
  call.args.splice(1, call.args.length - 1, { value: path ?? target, dynamic: false });
  return moved(call.state, path);
}

const moved = (state: State, cwd: string | undefined): Outcome => ({ ok: { ...state, cwd }, fail: state });

function exportVariables(call: Call): Outcome {
  let { state } = call;
  for (const word of operandsOf(call)) {
    const match = /^([A-Za-z_]\w*)=([\s\S]*)$/.exec(word ?? '');
    const [, name = '', value = ''] = match ?? [];
    if (match === null || !isHarmlessVariable(name, value)) {
      call.note(isSensitiveVariable(name) ? 'sensitive_variable' : 'environment');
    }
    call.assigned.push(name);
    state = assign(state, name, word === undefined ? undefined : value);
  }
  return unchanged(state);
}

/** `set -eu` and `set -o pipefail`; where a shell lacks the latter it stops. */
function set(call: Call): Outcome {
  let { errexit } = call.state;
  const words = operandsOf(call);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (!/^[-+][euf]*o?$/.test(word) || word.length < 2) {
      call.unknown('unknown_option');
      break;
    }
    if (word.includes('e')) errexit = word.startsWith('-');
    if (word.endsWith('o') && words[++index] !== 'pipefail') call.unknown('unknown_option');
  }
  if (words.length === 0) call.unknown('unknown_option');
  return unchanged({ ...call.state, errexit });
}

const numberOnly =
  (ends: boolean): Builtin =>
  (call) => {
    const words = operandsOf(call);
    if (words.length > 1 || words.some((word) => word === undefined || !/^\d{1,3}$/.test(word))) {
      call.unknown('unknown_operand');
    }
    return ends ? { ok: never, fail: never } : unchanged(call.state);
  };

/** Loops that are printed as the commands they run have nothing to break out of. */
const leaveLoop: Builtin = (call) => {
  if (call.args.length > 1 || call.frame.loop !== 'printed') call.note('loop_control');
  return { ok: never, fail: never };
};

function evaluate(call: Call): Outcome {
  const parts = call.args.slice(1);
  if (parts[0]?.value === '--') parts.shift();
  if (parts.some(({ dynamic }) => dynamic)) call.note('dynamic_script');
  const ran = call.runText(parts.map(({ value }) => value).join(' '), call.state, call.frame.bash);
  call.args.splice(1, call.args.length - 1, { value: ran.printed, dynamic: false });
  return ran.outcome;
}

function command(call: Call): Outcome {
  const first = call.text(1);
  if (first === '-v' || first === '-V') {
    for (let index = 2; index < call.args.length; index++) {
      const name = call.text(index);
      if (name !== undefined && !/^[\w./+-]+$/.test(name)) call.unknown('unknown_operand');
    }
    return unchanged(call.state);
  }
  if (first?.startsWith('-') && first !== '--') {
    call.unknown('unknown_option');
    return unchanged(call.state);
  }
  const start = first === '--' ? 2 : 1;
  // zsh looks for a program here even where the shell has a command of its own.
  return call.args.length > start ? call.runRest(start) : unchanged(call.state);
}

function execute(call: Call): Outcome {
  const first = call.text(1);
  if (call.args.length === 1) {
    call.note('exec_redirect');
    return unchanged(call.state);
  }
  if (first?.startsWith('-') && first !== '--') {
    call.unknown('unknown_option');
    return { ok: never, fail: never };
  }
  call.runRest(first === '--' ? 2 : 1);
  return { ok: never, fail: never };
}

const signals = /^(?:0|EXIT|(?:SIG)?(?:HUP|INT|QUIT|TERM|USR1|USR2|PIPE|ALRM|WINCH|CHLD)|[1-9]|1[0-5])$/;

/** The action runs who knows when, and where: nothing is known there, and it may change nothing. */
function trap(call: Call): Outcome {
  const start = call.text(1) === '--' ? 2 : 1;
  const action = call.text(start);
  const names = call.args.slice(start + 1).map((_, index) => call.text(start + 1 + index));
  if (names.length === 0 || names.some((name) => name === undefined || !signals.test(name)))
    call.unknown('unknown_operand');
  if (action === undefined) call.note('dynamic_script');
  else if (action !== '-' && action !== '') {
    const state: State = { cwd: undefined, variables: new Map(), parameters: [], errexit: false };
    const ran = call.runText(action, state, call.frame.bash);
    if (
      (ran.outcome.ok !== state && ran.outcome.ok !== never) ||
      (ran.outcome.fail !== state && ran.outcome.fail !== never)
    ) {
      call.note('shell_state');
    }
    call.rewrite(start, 0, ran.printed);
  }
  return unchanged(call.state);
}

/** Text only: `wait -p` and names of jobs stay outside. */
const numbers: Builtin = (call) => {
  for (const word of operandsOf(call)) {
    if (word === undefined || !/^%?\d+$/.test(word)) call.unknown('unknown_operand');
  }
  return unchanged(call.state);
};

const nothing: Builtin = (call) => unchanged(call.state);

const umask: Builtin = (call) => {
  const words = operandsOf(call);
  if (words.length > 1 || words.some((word) => word === undefined || !/^[0-7]{1,4}$/.test(word)))
    call.unknown('unknown_operand');
  return unchanged(call.state);
};

/** They define or redefine what words mean, or read what comes into them. */
const shellState: Builtin = (call) => {
  call.unknown('unknown_command');
  call.note('shell_state');
  return unchanged({ cwd: undefined, variables: new Map(), parameters: [], errexit: false });
};

const stateful =
  '. source alias unalias enable hash shopt declare typeset local readonly let getopts mapfile readarray read pushd popd dirs bind complete compgen compopt caller fc history logout suspend disown fg bg jobs ulimit shift return unset builtin coproc select function noglob nocorrect setopt unsetopt emulate zmodload autoload functions integer float print zparseopts sched';

/** The shell's own commands by their names. Those that are only programs built in are in the tables of tools. */
export const builtins: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  [':', nothing],
  ['cd', cd],
  ['export', exportVariables],
  ['set', set],
  ['exit', numberOnly(true)],
  ['break', leaveLoop],
  ['continue', leaveLoop],
  ['eval', evaluate],
  ['command', command],
  ['exec', execute],
  ['trap', trap],
  ['wait', numbers],
  ['umask', umask],
  ['times', nothing],
  ...stateful.split(' ').map((name): [string, Builtin] => [name, shellState]),
]);

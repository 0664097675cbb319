/** Tools whose words follow no getopt. */
import type { Call } from '../call.ts';
import { interpretTable } from '../interpret.ts';
import { anyGiven, parseOptions } from '../options.ts';
import type { ToolSpec } from '../tools/spec.ts';
import { isHarmlessVariable, isSensitiveVariable } from '../variables.ts';

/** Every word is text, whatever it looks like: `echo`, `ps`. */
export function anyWords(): void {}

const unary = /^-[bcdefghkpLrsStuwxOGNnz]$/;
const strings = /^(?:=|==|!=|<|>)$/;
const numeric = /^-(?:eq|ne|lt|le|gt|ge)$/;
const files = /^-(?:nt|ot|ef)$/;

/** `test` and `[`: shells of all kinds evaluate what they take for arithmetic, so that must be numbers. */
export function test(call: Call): void {
  const words = call.args.slice(1).map((_, index) => call.text(index + 1) ?? '0');
  if (call.name === '[' && words.pop() !== ']') call.unknown('unknown_operand');
  for (const expression of splitWords(words, (word) => /^-[ao]$/.test(word))) {
    if (
      !one(
        call,
        expression.filter((word, index) => index > 0 || word !== '!'),
      )
    )
      call.unknown('unknown_operand');
  }
}

function one(call: Call, words: readonly string[]): boolean {
  const [first = '', second = '', third = ''] = words;
  if (words.length <= 1) return true;
  if (words.length === 2) {
    if (!unary.test(first)) return false;
    if (first === '-t') return /^\d$/.test(second);
    if (!/^-[nz]$/.test(first)) call.file(second, 'list');
    return true;
  }
  if (words.length !== 3) return false;
  if (numeric.test(second)) return /^-?\d+$/.test(first) && /^-?\d+$/.test(third);
  if (files.test(second)) {
    for (const path of [first, third]) call.file(path, 'list');
    return true;
  }
  return strings.test(second) && /^[=!]/.test(second);
}

function splitWords(words: readonly string[], separates: (word: string) => boolean): string[][] {
  const lists: string[][] = [[]];
  for (const word of words) {
    if (separates(word)) lists.push([]);
    else lists.at(-1)?.push(word);
  }
  return lists;
}

/** Conversions to numbers evaluate their arguments in some shells, and `%n` assigns. */
export function printf(call: Call): void {
  const format = call.text(1);
  if (format === undefined) {
    call.args.length < 2 ? call.unknown('unknown_operand') : undefined;
    return;
  }
  if (format.startsWith('-') && format !== '--') {
    call.unknown('unknown_option');
    return;
  }
  const start = format === '--' ? 2 : 1;
  const conversions = [...(call.text(start) ?? '').matchAll(/%(?:%|[-+ #0]*\d*(?:\.\d+)?(.)?)/gs)].map(
    ([, kind]) => kind,
  );
  if (conversions.some((kind) => kind !== undefined && !/[sbcdiouxXeEfgG]/.test(kind))) call.unknown('unknown_operand');
  if ((call.text(start) ?? '').includes('*')) call.unknown('unknown_operand');
  if (conversions.every((kind) => kind === undefined || /[sbc]/.test(kind))) return;
  const rest = call.args.slice(start + 1);
  if (rest.some(({ value }) => !/^[\w.,:/@%+ -]*$/.test(value))) call.unknown('unknown_operand');
}

/** `dd if=… of=…`. */
export function dd(call: Call): void {
  for (let index = 1; index < call.args.length; index++) {
    const [, key = '', value = ''] = /^(\w+)=([\s\S]*)$/.exec(call.text(index) ?? '') ?? [];
    if (key === 'if') call.file(value, 'read');
    else if (key === 'of') call.file(value, 'write');
    else if (!/^(?:bs|ibs|obs|cbs|count|skip|seek|iseek|oseek|conv|iflag|oflag|status)$/.test(key))
      call.unknown('unknown_operand');
  }
}

/** `env`: variables, then a command; `-S` splits a text into both by rules of its own. */
export function env(call: Call): void {
  let index = 1;
  for (; index < call.args.length; index++) {
    const word = call.text(index);
    if (word === undefined) break;
    if (/^(?:-|-i|--ignore-environment|-0|--null)$/.test(word)) {
      if (!word.includes('0') && !word.includes('null')) call.clears = true;
    } else if (word === '-u') {
      index++;
      unsets(call, call.text(index) ?? '');
    } else if (word.startsWith('--unset=')) unsets(call, word.slice(8));
    else if (word === '--') {
      index++;
      break;
    } else if (word.startsWith('-')) {
      call.unknown('unknown_option');
      return;
    } else break;
  }
  for (; /^[^=]+=/.test(call.text(index) ?? ''); index++) {
    const [, name = '', value = ''] = /^([^=]+)=([\s\S]*)$/.exec(call.text(index) ?? '') ?? [];
    call.assigned.push(name);
    if (!isHarmlessVariable(name, value)) call.note(isSensitiveVariable(name) ? 'sensitive_variable' : 'environment');
  }
  if (index < call.args.length) call.runRest(index);
}

/** A variable taken away may be one that kept a program harmless. */
function unsets(call: Call, name: string): void {
  call.assigned.push(name);
  call.note(isSensitiveVariable(name) ? 'sensitive_variable' : 'environment');
}

/** `xargs command`: the rest of the words comes from standard input. */
export function xargs(call: Call): void {
  call.note('dynamic_arguments');
  let index = 1;
  for (; index < call.args.length; index++) {
    const word = call.text(index);
    if (word === undefined || !word.startsWith('-')) break;
    if (/^-[IELnPsd]$/.test(word)) index++;
    else if (
      !/^(?:-[0rtxp]+|-[IEnLPsd].+|-i.*|--null|--no-run-if-empty|--verbose|--(?:max-args|max-procs|max-lines|delimiter|replace)=.*)$/.test(
        word,
      )
    ) {
      call.unknown('unknown_option');
      return;
    }
  }
  if (index < call.args.length) call.runRest(index);
}

/** `su [-] [user] [-c text]`: the text runs in the shell of that user. */
export function su(call: Call): void {
  call.runAs = 'root';
  let text: number | undefined;
  let login = false;
  let named = false;
  for (let index = 1; index < call.args.length; index++) {
    const word = call.text(index);
    if (word === undefined) continue;
    if (/^(?:-|-l|--login)$/.test(word)) login = true;
    else if (/^(?:-c|--command)$/.test(word)) text = ++index;
    else if (word.startsWith('-') || named) call.unknown('unknown_option');
    else {
      call.become(word);
      named = true;
    }
  }
  if (login) call.note('login_shell');
  if (text === undefined) {
    call.note('interactive_shell');
    return;
  }
  const script = call.text(text);
  if (script === undefined) {
    call.note('dynamic_script');
    return;
  }
  call.rewrite(text, 0, call.runText(script, call.childState(login)).printed);
}

/** A format is text; any other operand sets the clock. A date may begin with a time zone, which is a file. */
export function date(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, spec, from);
  const parsed = parseOptions(call.args, spec, from);
  const zoned = call.args.some(({ value }) => value.includes('TZ='));
  if (zoned || parsed.operands.some((index) => !call.text(index)?.startsWith('+'))) call.unknown('unknown_operand');
}

/** Names of services: a path would be a unit, or a script, of the caller's own. */
export function names(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, spec, from);
  if (call.args.slice(1).some(({ value }) => value.includes('/'))) call.unknown('unknown_operand');
}

/** Hosts are looked up at the resolver; other databases are files here. */
export function getent(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, spec, from);
  const database = call.text(from) ?? '';
  if (/^(?:passwd|group|shadow|gshadow|services|protocols|networks|netgroup|rpc|initgroups)$/.test(database)) return;
  if (!/^a?hosts(?:v[46])?$/.test(database)) call.unknown('unknown_operand');
  for (let index = from + 1; index < call.args.length; index++) call.destination(call.text(index) ?? '', '53');
}

/** Without `-u` the first word is a user, and what follows is for that user's shell. */
export function runuser(call: Call, spec: ToolSpec, from: number): void {
  const given = interpretTable(call, spec, from);
  if (!anyGiven('-u --user', given)) call.unknown('unknown_option');
}

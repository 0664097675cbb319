/** sed: scripts that only edit what passes through, and `-i`. */
import type { Call } from '../call.ts';
import { applyOptions, useAt } from '../interpret.ts';
import { parseOptions, type Use } from '../options.ts';
import { applyUses } from '../roles.ts';
import type { ToolSpec } from '../tools/spec.ts';
import { hasPlainBrackets } from './brackets.ts';

const address = /^(?:\d+(?:~\d+)?|\$)/;

/**
 * @param script the text of a sed script
 * @returns `code` unless it is made of the commands that touch no file and run nothing
 */
export function sedDoubt(script: string): string | undefined {
  let rest = script;
  for (;;) {
    rest = rest.replace(/^[\s;{}]+/, '');
    if (rest === '') return undefined;
    const afterAddress = skipAddresses(rest);
    const afterCommand = afterAddress === undefined ? undefined : skipCommand(afterAddress);
    if (afterCommand === undefined || !/^(?:$|[ \t]*[;}\n])/.test(afterCommand)) {
      // A block opens without anything between it and its first command.
      if (afterAddress?.startsWith('{')) rest = afterAddress.slice(1);
      else return 'code';
    } else rest = afterCommand;
  }
}

function skipAddresses(text: string): string | undefined {
  let rest = skipAddress(text);
  if (rest !== undefined && rest !== text && /^\s*,/.test(rest)) {
    const second = rest.replace(/^\s*,\s*/, '');
    rest = second.replace(/^[+~]\d+/, '');
    if (rest === second) rest = skipAddress(second);
    if (rest === second) return undefined;
  }
  return rest?.replace(/^[ \t]*!?[ \t]*/, '');
}

function skipAddress(text: string): string | undefined {
  const simple = address.exec(text);
  if (simple !== null) return text.slice(simple[0].length);
  if (!text.startsWith('/')) return text;
  const end = delimited(text, 1, '/');
  return end === undefined ? undefined : text.slice(end).replace(/^[IM]+/, '');
}

function skipCommand(text: string): string | undefined {
  const [command = ''] = text;
  if ('pdDPnNgGhHx='.includes(command)) return text.slice(1);
  if (command === 'q' || command === 'Q') return text.slice(1).replace(/^ *\d+/, '');
  if ('bt:'.includes(command))
    return /^[bt:] *[A-Za-z]\w*(?=$|[;}\n])/.test(text)
      ? text.replace(/^[bt:] *\w+/, '')
      : text.length === 1 && command !== ':'
        ? ''
        : undefined;
  if (command !== 's' && command !== 'y') return undefined;
  const [, mark = ''] = text;
  if (!/[/|,#:@!%+_=~]/.test(mark)) return undefined;
  const middle = delimited(text, 2, mark);
  const end = middle === undefined ? undefined : delimited(text, middle, mark);
  if (end === undefined) return undefined;
  const rest = text.slice(end);
  return command === 's' ? rest.replace(/^[gpiI\d]+/, '') : rest;
}

/** Behind the next delimiter; undefined where versions of sed disagree which one that is. */
function delimited(text: string, from: number, mark: string): number | undefined {
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === '\n') return undefined;
    if (char === '\\') at++;
    else if (char === mark) return hasPlainBrackets(text.slice(from, at)) ? at + 1 : undefined;
  }
  return undefined;
}

/** The first operand is the script unless an option is; `-i` writes the files that are otherwise read. */
export function sed(call: Call, spec: ToolSpec, from: number): void {
  const parsed = parseOptions(call.args, spec, from);
  applyOptions(call, spec, parsed);
  const scripted = parsed.names.some((name) => name === '-e' || name === '--expression');
  const inPlace = parsed.names.some((name) => name === '-i' || name === '--in-place');
  const operands = parsed.operands.map((index, place) =>
    useAt(call, index, place === 0 && !scripted ? 'sed' : inPlace ? 'read_write' : 'input'),
  );
  const [suffix, ...more] = parsed.uses.filter(({ role }) => role === 'text').map(({ value }) => value);
  // It may lead into another directory, or stand in front.
  if (more.length > 0 || /[/*]/.test(suffix ?? '')) call.unknown('unknown_option');
  else if (suffix !== undefined) keep(call, suffix, operands);
  if (operands.length === 0 && !scripted) call.unknown('unknown_operand');
  applyUses(call, spec, [...parsed.uses, ...operands], parsed.names);
}

/** What it was before stays under a longer name. */
function keep(call: Call, suffix: string, operands: readonly Use[]): void {
  for (const { dynamic, role, value } of operands) {
    if (role === 'read_write' && !dynamic) call.file(value + suffix, 'write');
  }
}

/** A command by its words: the shell's own, a shell, or a tool of the tables. */
import { builtins } from './builtins.ts';
import { Call } from './call.ts';
import type { Arg, Engine, Frame, PrintedCommand, Ran } from './engine.ts';
import { anyGiven, operandRoles, type ParsedOptions, parseOptions, type Use } from './options.ts';
import { parsers } from './parsers/index.ts';
import { applyUse, applyUses } from './roles.ts';
import { runShell, shells } from './shells.ts';
import { type State, unchanged } from './state.ts';
import type { Role, ToolSpec } from './tools/spec.ts';
import { transferOf } from './transfer.ts';

/** Understands one command, records it or what it starts, and prints its words again. */
export function runArgs(args: readonly Arg[], state: State, frame: Frame, engine: Engine): Ran<PrintedCommand> {
  engine.report.step();
  const call = new Call(args, state, frame, engine);
  if (call.name === '') {
    call.known = false;
    return call.done(unchanged(state));
  }
  const builtin = call.inShell ? builtins.get(call.name) : undefined;
  if (builtin !== undefined) return call.done(builtin(call));
  const transfer = frame.wrappers.length === 0 ? transferOf(call) : undefined;
  if (transfer !== undefined) engine.report.transfer = transfer;
  else if (shells.has(call.name)) runShell(call);
  else {
    const spec = engine.tools.get(call.name);
    if (spec === undefined) call.unknown('unknown_command');
    else interpret(call, spec, 1);
  }
  return call.done(unchanged(state));
}

/**
 * Reads options and operands by a spec and applies what they mean.
 *
 * @param from the first word behind the tool's name, or its subcommand's
 */
export function interpret(call: Call, spec: ToolSpec, from: number): void {
  if (spec.incomplete !== undefined) call.note(spec.incomplete);
  if (spec.runAs !== undefined) call.runAs = spec.runAs;
  if (spec.parser === undefined) {
    interpretTable(call, spec, from);
    return;
  }
  const parser = parsers.get(spec.parser);
  if (parser === undefined) {
    call.unknown('unknown_command');
    return;
  }
  parser(call, spec, from);
}

/** As {@link interpret}, by options and operands alone. */
export function interpretTable(call: Call, spec: ToolSpec, from: number): readonly string[] {
  const parsed = parseOptions(call.args, spec, from);
  applyOptions(call, spec, parsed);
  if (spec.subcommands !== undefined && parsed.operands.length > 0) subcommand(call, spec, parsed);
  else if (spec.subcommands !== undefined && spec.operands === undefined) call.unknown('unknown_subcommand');
  else applyOperands(call, spec, parsed, operandUses(call, spec, parsed));
  return parsed.names;
}

/** What options alone decide. */
export function applyOptions(call: Call, spec: ToolSpec, parsed: ParsedOptions): void {
  if (parsed.unknown) call.unknown('unknown_option');
  for (const [names, word] of Object.entries(spec.incompleteWith ?? {})) {
    if (anyGiven(names, parsed.names)) call.note(word);
  }
  if (spec.pager && call.frame.pty && !parsed.names.includes('--no-pager')) call.note('escapes_to_shell');
}

function subcommand(call: Call, spec: ToolSpec, parsed: ParsedOptions): void {
  applyUses(call, spec, parsed.uses, parsed.names);
  const [index = 0] = parsed.operands;
  const name = call.text(index);
  const found =
    name !== undefined && Object.hasOwn(spec.subcommands ?? {}, name) ? spec.subcommands?.[name] : undefined;
  if (name === undefined || found === undefined) {
    call.unknown('unknown_subcommand');
    return;
  }
  call.subcommands.push(name);
  interpret(call, found, index + 1);
}

/** Operands with the roles that the usage line for the given options has for them. */
function operandUses(call: Call, spec: ToolSpec, parsed: ParsedOptions): readonly Use[] {
  const lines = Object.entries(spec.operandsWith ?? {}).filter(([names]) => anyGiven(names, parsed.names));
  const [first] = lines;
  if (lines.length > 1 && lines.some(([, line]) => line !== first?.[1])) call.unknown('unknown_operand');
  const roles = operandRoles(first?.[1] ?? spec.operands ?? '', parsed.operands.length);
  if (roles === undefined) {
    call.unknown('unknown_operand');
    return [];
  }
  return parsed.operands.map((index, place) => useAt(call, index, roles[place] ?? 'text'));
}

/** A whole word in a role. */
export function useAt(call: Call, index: number, role: Role): Use {
  const arg = call.args[index];
  return { role, index, offset: 0, value: arg?.value ?? '', dynamic: arg?.dynamic ?? true };
}

function applyOperands(call: Call, spec: ToolSpec, parsed: ParsedOptions, operands: readonly Use[]): void {
  if (operands.length === 0 && spec.here !== undefined && parsed.operands.length === 0) {
    applyUse(call, spec, { role: spec.here, index: 0, offset: 0, value: '.', dynamic: false }, parsed.names);
  }
  applyUses(call, spec, [...parsed.uses, ...operands], parsed.names);
  if (spec.shellWithout && !call.peeled) call.note('interactive_shell');
}

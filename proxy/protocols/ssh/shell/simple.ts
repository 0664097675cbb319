/** One simple command of the syntax tree: its words, assignments and redirections. */
import type { Assignment, Command, CommandArgument } from 'unbash';
import { limits } from '../../../core/limits.ts';
import type { Arg, Frame, PrintedCommand, Ran } from './engine.ts';
import { quote } from './quote.ts';
import { resolveRedirections } from './redirects.ts';
import { assign, type State, unchanged } from './state.ts';
import { isHarmlessVariable, isSensitiveVariable } from './variables.ts';
import { type Walk, wordContext } from './walk.ts';
import { resolveFields, resolveValue, type WordContext } from './words.ts';

const nothing: readonly Arg[] = [{ value: 'true', dynamic: false }];

/** Walks a simple command: expansions first, from left to right, then the command as the tables know it. */
export function runSimple(node: Command, state: State, frame: Frame, walk: Walk): Ran<string> {
  walk.report.step();
  const context = wordContext(state, frame, walk);
  const args = commandArgs(node, context);
  const assignments = node.prefix.filter((item) => item.type === 'Assignment');
  const own = resolveRedirections(node.redirects, context, walk.report, walk.bodies);
  const after = args.length === 0 ? assignAll(assignments, state, frame, walk) : state;
  const environment = args.length === 0 ? undefined : environmentOf(assignments, context, walk);
  const inner: Frame = {
    ...frame,
    redirects: [...frame.redirects, ...own.redirects],
    files: [...frame.files, ...own.files],
    assigned: environment?.names ?? [],
    dynamic: frame.dynamic || own.dynamic || (environment?.dynamic ?? false),
    input: own.input,
  };
  const ran = walk.engine.runArgs(args.length === 0 ? nothing : args, state, inner);
  const printed = printCommand(environment?.printed ?? [], ran.printed, own.printed);
  if (ran.printed.inputTaken) takeBody(own.printed, walk);
  return { printed, outcome: args.length === 0 ? unchanged(after) : ran.outcome };
}

/** What stands for a command that does nothing: it is recorded, so that the redirections around it are seen. */
export function recordTrue(frame: Frame, walk: Walk): string {
  walk.engine.runArgs(nothing, { cwd: undefined, variables: new Map(), parameters: [], errexit: false }, frame);
  return `'true'`;
}

function printCommand(
  assignments: readonly string[],
  command: PrintedCommand,
  redirections: readonly string[],
): string {
  const kept = command.inputTaken
    ? [...redirections.filter((text) => !text.startsWith('0<<')), '0</dev/null']
    : redirections;
  return [...assignments, ...command.args.map(({ value }) => quote(value)), ...kept].join(' ');
}

/** The here-document became a script: its body, the last one that was printed, is not printed again. */
function takeBody(printed: readonly string[], walk: Walk): void {
  walk.bodies.length -= printed.filter((text) => /^\d<</.test(text)).length;
}

function commandArgs(node: Command, context: WordContext): readonly Arg[] {
  if (node.name === undefined) return [];
  const args = [...wordArgs(node.name, context)];
  for (const word of node.args) {
    args.push(...argumentArgs(word, context));
    if (args.length > limits.shellWordsMax) {
      context.note('too_much');
      break;
    }
  }
  return args;
}

function wordArgs(word: Parameters<typeof resolveFields>[0], context: WordContext): readonly Arg[] {
  const fields = resolveFields(word, context);
  if (fields === undefined) {
    context.note('dynamic_word');
    return [{ value: word.text, dynamic: true }];
  }
  return fields.map((value) => ({ value, dynamic: false }));
}

/** `export x=y`: the parser takes such words for assignments, and shells differ in how they expand them. */
function argumentArgs(argument: CommandArgument, context: WordContext): readonly Arg[] {
  if (argument.type === 'Word') return wordArgs(argument, context);
  const value = assignedValue(argument, context);
  if (value === undefined) {
    context.note('dynamic_word');
    return [{ value: argument.text, dynamic: true }];
  }
  return [{ value: `${argument.name}=${value}`, dynamic: false }];
}

/** The value of a plain `name=word`; undefined, noted, for arrays, `+=` and what is dynamic. */
function assignedValue(assignment: Assignment, context: WordContext): string | undefined {
  const { append, index, value } = assignment;
  if (append || index !== undefined || value.type === 'ArrayValue') {
    context.note('bash_only');
    if (value.type === 'Word') resolveValue(value, context);
    else for (const element of value.elements) resolveFields(element, context);
    if (index !== undefined) resolveFields(index, context);
    return undefined;
  }
  return resolveValue(value, context);
}

/** Assignments without a command: known to what follows, and not printed, since nothing there reads them again. */
function assignAll(assignments: readonly Assignment[], state: State, frame: Frame, walk: Walk): State {
  let after = state;
  for (const assignment of assignments) {
    const { name } = assignment;
    // A later value may use an earlier one.
    const value = assignedValue(assignment, wordContext(after, frame, walk));
    if (isSensitiveVariable(name)) walk.report.note('sensitive_variable');
    after = assign(after, name, value);
  }
  return after;
}

/** Assignments in front of a command: its environment. */
function environmentOf(assignments: readonly Assignment[], context: WordContext, walk: Walk) {
  const names: string[] = [];
  const printed: string[] = [];
  let dynamic = false;
  for (const assignment of assignments) {
    const { name } = assignment;
    const value = assignedValue(assignment, context);
    names.push(name);
    if (value === undefined) dynamic = true;
    else if (!isHarmlessVariable(name, value))
      walk.report.note(isSensitiveVariable(name) ? 'sensitive_variable' : 'environment');
    printed.push(`${name}=${quote(value ?? '')}`);
  }
  if (dynamic) walk.report.note('environment');
  return { names, printed, dynamic };
}

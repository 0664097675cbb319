/**
 * The shell classifier: what a command text would run, touch and reach, and the same operation in a form that does
 * not depend on who reads it. Pure and synchronous. README.md says what it claims and what it cannot see.
 */
import { parse } from 'unbash';
import { limits } from '../../../core/limits.ts';
import { isDeceptive, textFault } from './check-text.ts';
import type { ShellClassification, ShellContext, ShellFault } from './classification.ts';
import { isAccountedFor } from './coverage.ts';
import type { Engine, Frame, Ran } from './engine.ts';
import { runArgs } from './interpret.ts';
import { Report } from './report.ts';
import { scriptFromInput } from './script.ts';
import { type State, unchanged } from './state.ts';
import { builtinTools } from './tools/index.ts';
import type { ToolSpec } from './tools/spec.ts';
import { type Walk, walkList } from './walk.ts';

export type {
  Destination,
  FileAccess,
  FileUse,
  Redirect,
  ShellClassification,
  ShellCommand,
  ShellContext,
  ShellFault,
  Transfer,
} from './classification.ts';
export { readToolSpecs } from './tools/check.ts';
export type { Role, ToolSpec } from './tools/spec.ts';

/** What classifies texts, with the tables it was made with. */
export interface ShellClassifier {
  /**
   * @param text of a command or script, as it would be handed to the login shell
   * @param context where it would run, as far as that was verified
   * @returns what became of it; or a fault, for a text that is not looked at further
   */
  classify(text: string, context: ShellContext): ShellClassification | { readonly fault: ShellFault };
}

const outermost: Frame = {
  wrappers: [],
  runAs: undefined,
  redirects: [],
  files: [],
  assigned: [],
  dynamic: false,
  external: false,
  guarded: false,
  loop: 'none',
  input: undefined,
  depth: 0,
  pty: false,
  // The canonical text takes its place, whichever shell reads that.
  bash: true,
};

/**
 * @param options.tools an author's tables, checked by {@link readToolSpecs}; they take the place of built-in ones
 */
export function createShellClassifier(
  options: { readonly tools?: ReadonlyMap<string, ToolSpec> } = {},
): ShellClassifier {
  const tools = options.tools === undefined ? builtinTools : new Map([...builtinTools, ...options.tools]);
  return { classify: (text, context) => classify(text, context, tools) };
}

function classify(
  text: string,
  context: ShellContext,
  tools: ReadonlyMap<string, ToolSpec>,
): ShellClassification | { readonly fault: ShellFault } {
  const fault = textFault(text);
  if (fault !== undefined) return { fault };
  try {
    return classifyParsed(parse(text), text, context, tools);
  } catch (error) {
    // Only running out of stack is expected here, and only of texts that nobody types.
    if (error instanceof RangeError) return { fault: tooNested };
    throw error;
  }
}

const tooNested: ShellFault = {
  code: 'operation_too_large',
  message: 'The command is nested more deeply than the gateway reads.',
};

function classifyParsed(
  tree: ReturnType<typeof parse>,
  text: string,
  context: ShellContext,
  tools: ReadonlyMap<string, ToolSpec>,
): ShellClassification | { readonly fault: ShellFault } {
  if ((tree.errors?.length ?? 0) > 0 || !isAccountedFor(text, tree)) {
    return { fault: { code: 'operation_unparseable', message: 'The command is not valid shell syntax.' } };
  }
  if (tree.commands.length === 0) {
    return { fault: { code: 'operation_unparseable', message: 'There is no command.' } };
  }
  const report = new Report();
  if (isDeceptive(text)) report.note('deceptive_characters');
  const engine = createEngine(report, tools, context);
  const state: State = {
    cwd: context.cwd,
    variables: context.variables,
    parameters: context.parameters,
    errexit: false,
  };
  const frame = { ...outermost, pty: context.pty ?? false };
  const { printed } = walkText(tree.commands, state, frame, engine);
  report.noteLinks();
  return {
    commands: report.commands,
    destinations: report.destinations,
    incomplete: report.incomplete,
    canonical: report.complete ? printed : undefined,
    script: context.pty ? undefined : scriptFromInput(tree.commands, report),
    transfer: report.complete && report.commands.length === 1 ? report.transfer : undefined,
  };
}

function createEngine(report: Report, tools: ReadonlyMap<string, ToolSpec>, context: ShellContext): Engine {
  const engine: Engine = {
    report,
    tools,
    environment: context.variables,
    runArgs: (args, state, frame) => runArgs(args, state, frame, engine),
    runText: (text, state, frame) => runText(text, state, frame, engine),
  };
  return engine;
}

/** A text inside the text, held to the same rules. */
function runText(text: string, state: State, frame: Frame, engine: Engine): Ran<string> {
  const { report } = engine;
  const nothing = { printed: '', outcome: unchanged(state) };
  if (textFault(text) !== undefined) {
    report.note('syntax');
    return nothing;
  }
  const tree = parse(text);
  if ((tree.errors?.length ?? 0) > 0 || tree.commands.length === 0 || !isAccountedFor(text, tree)) {
    report.note('syntax');
  }
  return walkText(tree.commands, state, frame, engine);
}

/** Walks a whole text and prints it, the bodies of its here-documents behind it. */
function walkText(statements: Parameters<typeof walkList>[0], state: State, frame: Frame, engine: Engine): Ran<string> {
  const walk: Walk = { engine, report: engine.report, bodies: [] };
  const { outcome, printed: line } = walkList(statements, state, frame, walk);
  const printed = walk.bodies.length === 0 ? line : `${line}\n${walk.bodies.join('')}`;
  if (printed.length > limits.shellWordLengthMax) {
    engine.report.note('too_much');
    return { printed: '', outcome };
  }
  return { printed, outcome };
}

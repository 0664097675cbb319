/**
 * The walk over the syntax tree: control flow, the state along it, and each construct again in canonical form.
 * What every shell has is printed; what only bash has is rewritten or noted.
 */
import type { AndOr, CommandNode, CompoundList, Pipeline, Redirected, Script, Statement } from 'unbash';
import type { Engine, Frame, Ran } from './engine.ts';
import { type Bodies, resolveRedirections } from './redirects.ts';
import type { Report } from './report.ts';
import { runSimple } from './simple.ts';
import { either, merge, type Outcome, type State, unchanged } from './state.ts';
import { walkCase, walkFor, walkIf, walkWhile } from './structures.ts';
import { visitAll, type WordContext } from './words.ts';

/** What is shared by all parts of one text. */
export interface Walk {
  readonly engine: Engine;
  readonly report: Report;
  /** Bodies of the here-documents on the one line that the text is printed on. */
  readonly bodies: Bodies;
}

/** Walks the statements of a script or of a compound command, one after the other. */
export function walkList(statements: readonly Statement[], state: State, frame: Frame, walk: Walk): Ran<string> {
  let outcome = unchanged(state);
  let printed = '';
  let previous: Statement | undefined;
  for (const statement of statements) {
    if (!walk.report.step()) break;
    const before = previous === undefined ? state : afterStatement(previous, outcome, frame);
    const ran = walkStatement(statement, before, frame, walk);
    if (previous !== undefined) printed += previous.background ? ' ' : '; ';
    printed += ran.printed;
    outcome = ran.outcome;
    previous = statement;
  }
  return { printed, outcome };
}

/** What holds when the next statement begins: after a failure `set -e` lets none begin. */
function afterStatement(statement: Statement, outcome: Outcome, frame: Frame): State {
  const ends = outcome.ok.errexit && !frame.guarded && statement.command.type === 'Command' && !statement.background;
  return ends ? outcome.ok : either(outcome);
}

function walkStatement(statement: Statement, state: State, frame: Frame, walk: Walk): Ran<string> {
  const ran = walkNode(statement.command, state, frame, walk);
  return statement.background ? { printed: `${ran.printed} &`, outcome: unchanged(state) } : ran;
}

function walkNode(node: Statement['command'], state: State, frame: Frame, walk: Walk): Ran<string> {
  if (node.type === 'AndOr') return walkAndOr(node, state, frame, walk);
  if (node.type === 'Pipeline') return walkPipeline(node, state, frame, walk);
  return walkCommand(node, state, frame, walk);
}

function walkAndOr(node: AndOr, state: State, frame: Frame, walk: Walk): Ran<string> {
  const guarded = { ...frame, guarded: true };
  let outcome = unchanged(state);
  let printed = '';
  for (const [index, each] of node.commands.entries()) {
    if (!walk.report.step()) break;
    const operator = index === 0 ? '' : (node.operators[index - 1] ?? '&&');
    const last = index === node.commands.length - 1;
    const before = operator === '||' ? outcome.fail : outcome.ok;
    const ran = walkNode(each, before, last ? frame : guarded, walk);
    if (operator === '') outcome = ran.outcome;
    else if (operator === '&&') outcome = { ok: ran.outcome.ok, fail: merge(outcome.fail, ran.outcome.fail) };
    else outcome = { ok: merge(outcome.ok, ran.outcome.ok), fail: ran.outcome.fail };
    printed += operator === '' ? ran.printed : ` ${operator} ${ran.printed}`;
  }
  return { printed, outcome };
}

function walkPipeline(node: Pipeline, state: State, frame: Frame, walk: Walk): Ran<string> {
  if (node.prefixes.some(({ type }) => type === 'Time')) walk.report.note('bash_only');
  const negations = node.prefixes.filter(({ type }) => type === 'Negation').length;
  if (!frame.bash && (negations > 1 || node.operators.includes('|&'))) walk.report.note('bash_only');
  const negated = negations % 2 === 1;
  const inner = negated || node.commands.length > 1 ? { ...frame, guarded: frame.guarded || negated } : frame;
  const parts: string[] = [];
  let last = unchanged(state);
  for (const [index, command] of node.commands.entries()) {
    if (!walk.report.step()) break;
    const ran = walkCommand(command, state, inner, walk);
    parts.push(node.operators[index] === '|&' ? `${ran.printed} 2>&1` : ran.printed);
    last = ran.outcome;
  }
  // The last command of a pipeline changes the shell in zsh, and does not in bash.
  const outcome = node.commands.length > 1 ? unchanged(merge(state, either(last))) : last;
  const text = parts.join(' | ');
  if (!negated) return { printed: text, outcome };
  return { printed: `! ${text}`, outcome: { ok: outcome.fail, fail: outcome.ok } };
}

/** One command of a pipeline. */
export function walkCommand(node: CommandNode, state: State, frame: Frame, walk: Walk): Ran<string> {
  switch (node.type) {
    case 'Command':
      return runSimple(node, state, frame, walk);
    case 'Redirected':
      return walkRedirected(node, state, frame, walk);
    case 'Subshell': {
      const inner = walkList(node.body.commands, state, { ...frame, loop: 'none' }, walk);
      return { printed: `( ${inner.printed} )`, outcome: unchanged(state) };
    }
    case 'BraceGroup':
      return walkGroup(node.body, state, frame, walk);
    case 'If':
      return walkIf(node, state, frame, walk);
    case 'While':
      return walkWhile(node, state, frame, walk);
    case 'For':
      return walkFor(node, state, frame, walk);
    case 'Case':
      return walkCase(node, state, frame, walk);
    default:
      return walkUnprintable(node, state, frame, walk);
  }
}

/** `{ …; }`, in the shell itself. */
export function walkGroup(body: CompoundList, state: State, frame: Frame, walk: Walk): Ran<string> {
  const inner = walkList(body.commands, state, frame, walk);
  return { printed: group(inner.printed), outcome: inner.outcome };
}

/** A list of commands as one command. */
export const group = (list: string): string => `{ ${terminated(list)} }`;

/** A list with what must stand between it and the next reserved word. */
export const terminated = (list: string): string => (list.endsWith('&') ? list : `${list};`);

/** Redirections of a compound command are those of every command in it. */
function walkRedirected(node: Redirected, state: State, frame: Frame, walk: Walk): Ran<string> {
  const context = wordContext(state, frame, walk);
  // Its here-documents stand behind those of the commands in it.
  const bodies: string[] = [];
  const own = resolveRedirections(node.redirects, context, walk.report, bodies);
  const inner = walkCommand(
    node.command,
    state,
    {
      ...frame,
      redirects: [...frame.redirects, ...own.redirects],
      files: [...frame.files, ...own.files],
      dynamic: frame.dynamic || own.dynamic,
      input: undefined,
    },
    walk,
  );
  walk.bodies.push(...bodies);
  return { printed: `${inner.printed} ${own.printed.join(' ')}`, outcome: inner.outcome };
}

/** What only bash has: walked for the commands in it. */
function walkUnprintable(
  node: Extract<
    CommandNode,
    { type: 'Function' | 'Coproc' | 'Select' | 'ArithmeticFor' | 'TestCommand' | 'ArithmeticCommand' }
  >,
  state: State,
  frame: Frame,
  walk: Walk,
): Ran<string> {
  walk.report.note(node.type === 'Function' ? 'function' : 'bash_only');
  if (node.type === 'TestCommand' || node.type === 'ArithmeticCommand') visitAll(node, wordContext(state, frame, walk));
  else if (node.body.type === 'CompoundList') walkList(node.body.commands, state, frame, walk);
  else walkCommand(node.body, state, frame, walk);
  return { printed: '', outcome: unchanged(state) };
}

/** What words need of the walk: their substitutions are walked for their commands. */
export function wordContext(state: State, frame: Frame, walk: Walk): WordContext {
  return {
    state,
    bash: frame.bash,
    note: (reason) => walk.report.note(reason),
    nested: (script: Script & { readonly errors?: readonly unknown[] | undefined }) => {
      if ((script.errors?.length ?? 0) > 0) walk.report.note('syntax');
      walkList(script.commands, state, { ...frame, loop: 'none', input: undefined }, { ...walk, bodies: [] });
    },
  };
}

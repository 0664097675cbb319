/** `if`, `while`, `until`, `for` and `case`. */
import { type Case, type For, forEachChild, type If, type SyntaxNode, type While } from 'unbash';
import type { Frame, Ran } from './engine.ts';
import { quote } from './quote.ts';
import { recordTrue } from './simple.ts';
import { assign, either, merge, never, type Outcome, type State, unchanged } from './state.ts';
import { isSensitiveVariable } from './variables.ts';
import { terminated, type Walk, walkList, wordContext } from './walk.ts';
import { resolveFields, resolveValue } from './words.ts';

/** Branches begin where the conditions before them left, and end in what all of them agree on. */
export function walkIf(node: If, state: State, frame: Frame, walk: Walk): Ran<string> {
  const guarded = { ...frame, guarded: true };
  let before = state;
  let printed = '';
  const ends: Outcome[] = [];
  for (const branch of [node, ...node.elif]) {
    const condition = walkList(branch.clause.commands, before, guarded, walk);
    const then = walkList(branch.then.commands, condition.outcome.ok, frame, walk);
    printed += `${printed === '' ? 'if' : ' elif'} ${terminated(condition.printed)} then ${terminated(then.printed)}`;
    ends.push(then.outcome);
    before = condition.outcome.fail;
  }
  if (node.else === undefined) ends.push({ ok: before, fail: never });
  else {
    const otherwise = walkList(node.else.commands, before, frame, walk);
    printed += ` else ${terminated(otherwise.printed)}`;
    ends.push(otherwise.outcome);
  }
  return { printed: `${printed} fi`, outcome: mergeAll(ends) };
}

const mergeAll = (outcomes: readonly Outcome[]): Outcome => ({
  ok: outcomes.map(({ ok }) => ok).reduce(merge, never),
  fail: outcomes.map(({ fail }) => fail).reduce(merge, never),
});

/** What its rounds may change is unknown in all of them, and after them. */
export function walkWhile(node: While, state: State, frame: Frame, walk: Walk): Ran<string> {
  const inside = forgetting(state, node);
  const condition = walkList(node.clause.commands, inside, { ...frame, guarded: true, loop: 'printed' }, walk);
  const begins = node.kind === 'while' ? condition.outcome.ok : condition.outcome.fail;
  const body = walkList(node.body.commands, begins, { ...frame, loop: 'printed' }, walk);
  const printed = `${node.kind} ${terminated(condition.printed)} do ${terminated(body.printed)} done`;
  return { printed, outcome: unchanged(inside) };
}

/** Commands that change the shell in ways that only running them in order shows. */
const changing = new Set(['cd', 'set', 'unset', 'export', 'eval', 'command', 'builtin', 'exec', 'trap']);

/** The state without everything that a piece of text assigns somewhere. */
function forgetting(state: State, loop: SyntaxNode): State {
  const names = new Set<string>();
  let everything = false;
  const visit = (node: SyntaxNode): void => {
    if (node.type === 'Assignment') names.add(node.name);
    else if (node.type === 'For') names.add(node.name.value);
    else if (node.type === 'Command' && node.name !== undefined) {
      if (node.name.parts !== undefined || changing.has(node.name.value)) everything = true;
    }
    forEachChild(node, visit);
  };
  visit(loop);
  if (everything) return { ...state, cwd: undefined, variables: new Map(), errexit: false };
  const variables = new Map([...state.variables].filter(([name]) => !names.has(name)));
  return { ...state, variables };
}

/** A loop over words that are known is the commands it would run, one round after the other. */
export function walkFor(node: For, state: State, frame: Frame, walk: Walk): Ran<string> {
  const name = node.name.value;
  if (node.name.parts !== undefined || !/^[A-Za-z_]\w*$/.test(name) || isSensitiveVariable(name)) {
    walk.report.note('sensitive_variable');
  }
  const context = wordContext(state, frame, walk);
  const fields = node.wordlist?.map((word) => resolveFields(word, context)) ?? [state.parameters];
  const body = (value: string | undefined, before: State): Ran<string> =>
    walkList(node.body.commands, assign(before, name, value), { ...frame, loop: 'unrolled' }, walk);
  if (fields.includes(undefined)) {
    walk.report.note('dynamic_word');
    return { printed: '', outcome: body(undefined, forgetting(state, node)).outcome };
  }
  const rounds: string[] = [];
  let outcome = unchanged(state);
  for (const value of fields.flatMap((words) => words ?? [])) {
    if (!walk.report.step()) break;
    const round = body(value, either(outcome));
    rounds.push(terminated(round.printed));
    outcome = round.outcome;
  }
  if (rounds.length === 0) {
    // Never run, but read: what is in it has to be what it seems.
    body(undefined, forgetting(state, node));
    return { printed: recordTrue(frame, walk), outcome };
  }
  return { printed: `{ ${rounds.join(' ')} }`, outcome };
}

/** Any branch may be the one, or none. Patterns are words or `*`. */
export function walkCase(node: Case, state: State, frame: Frame, walk: Walk): Ran<string> {
  const context = wordContext(state, frame, walk);
  const subject = resolveValue(node.word, context);
  const ends: Outcome[] = [{ ok: state, fail: never }];
  let printed = `case ${quote(subject ?? '')} in`;
  for (const item of node.items) {
    if (item.terminator !== undefined && item.terminator !== ';;') walk.report.note('bash_only');
    const patterns = item.pattern.map((word) => {
      if (word.text === '*') return '*';
      const value = resolveValue(word, context);
      return quote(value ?? '');
    });
    const body = walkList(item.body.commands, state, frame, walk);
    const list = body.printed === '' ? '' : ` ${body.printed}`;
    printed += ` (${patterns.join('|')})${list} ;;`;
    ends.push(body.outcome);
  }
  if (node.items.every(({ body }) => body.commands.length === 0)) recordTrue(frame, walk);
  return { printed: `${printed} esac`, outcome: mergeAll(ends) };
}

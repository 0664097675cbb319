/** Judges one entry: classifies it, and unless it is refused runs what it was and what the gateway would make of it. */
import type {
  ShellClassification,
  ShellClassifier,
  ShellContext,
  ShellFault,
  ToolSpec,
} from '../../../proxy/protocols/ssh/shell/index.ts';
import type { Entry } from './corpus.ts';
import { directory, environment, type Run, type Scratch } from './scratch.ts';
import { ran, reaches, undone, unsaid } from './verdict.ts';

/** What the classifier is asked. */
export type Classify = ShellClassifier['classify'];

type Said = ShellClassification | { readonly fault: ShellFault };

/** What came of it. */
export type Judgement =
  | { readonly outcome: 'resolved' }
  | { readonly outcome: 'refused'; readonly words: readonly string[] }
  | { readonly outcome: 'wrong'; readonly said: ShellClassification; readonly faults: readonly string[] };

/** The payload as a tool that the classifier knows, so that nothing is refused for the sake of its name alone. */
export const payloadTool: ToolSpec = { flags: '-a --a --all --help', operands: 'text...' };

const context: ShellContext = { variables: new Map(Object.entries(environment)), cwd: directory, parameters: [] };

/** What counts, and whether it is the script that a shell would read from its standard input. */
function classified({ text, input }: Entry, classify: Classify) {
  const said = classify(text, context);
  if ('fault' in said || said.script === undefined) return { said, script: false };
  return { said: classify(input ?? '', { ...context, parameters: said.script.parameters }), script: true };
}

function wordsOf(said: Said): readonly string[] | undefined {
  if ('fault' in said) return [said.fault.code];
  return said.incomplete.length > 0 ? said.incomplete : undefined;
}

/** Why an entry would be refused, whatever policy says; undefined when it is complete. */
export function refusal(entry: Entry, classify: Classify): readonly string[] | undefined {
  return wordsOf(classified(entry, classify).said);
}

/**
 * Classifies and, when nothing is refused, holds it against the text as it was sent (`original` in bash) and against its
 * canonical form in every shell: what ran must have been said, what was said must have run, and both must run the same.
 */
export async function judge(
  entry: Entry,
  classify: Classify,
  scratch: Scratch,
  original: Run | undefined,
): Promise<Judgement> {
  const { said, script } = classified(entry, classify);
  if ('fault' in said || said.incomplete.length > 0) return { outcome: 'refused', words: wordsOf(said) ?? [] };
  if (said.canonical === undefined) return { outcome: 'wrong', said, faults: ['complete, and no canonical form'] };
  const faults = new Set<string>();
  const { kind, what } = entry.payload;
  if (kind === 'reaches' && !reaches(said, what))
    faults.add(`it goes to ${what}, not to ${JSON.stringify(said.destinations)}`);
  const hold = (where: string, run: Run) => {
    if (run.cut) faults.add(`${where}: it did not end`);
    for (const fault of unsaid(said, run)) faults.add(`${where}: ${fault}`);
  };
  // A shell that reads a script is never run as it was sent: the script is, in its place, and with nothing to read.
  const input = script ? '' : (entry.input ?? '');
  const sent = script || entry.reissued ? undefined : (original ?? (await scratch.run('bash', entry.text, input)));
  if (sent !== undefined) hold('as sent', sent);
  const runs: Run[] = sent === undefined ? [] : [sent];
  for (const [shell, run] of await scratch.runAll(said.canonical, input)) {
    runs.push(run);
    hold(shell, run);
    if (sent === undefined) continue;
    const [one, other] = [ran(said, run).join(' '), ran(said, sent).join(' ')];
    if (one !== other) faults.add(`${shell}: the canonical text ran ${one}, the text itself ${other}`);
  }
  for (const { name, argv } of undone(said, runs)) {
    if (!entry.untaken.includes(name)) faults.add(`nothing ran ${JSON.stringify(argv)}`);
  }
  return faults.size === 0 ? { outcome: 'resolved' } : { outcome: 'wrong', said, faults: [...faults] };
}

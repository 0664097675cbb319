/**
 * The corpus: one file a class in `corpus/`, so that a shell text stands there as an agent would send it.
 *
 *     == id | directive; directive
 *     the text, as many lines as it has
 *     --
 *     standard input, only with the directive `stdin`
 *
 * Directives say what the payload is (`runs NAME`, `writes PATH`, `reads PATH`, `connects HOST`, and
 * `reaches HOST` for what no stand-in goes to: it must be among the destinations; without one it runs `forbidden`), how the text is to be read (`escaped`: as the inside of a JSON string), in which shell it comes to that
 * (`in SHELL`; bash without one), and, with `never REASON`, that it cannot come to it in the scratch root. Of what is legitimate,
 * `unresolved` says that the classifier refuses it; `reissued`, that a shell would read its script while it runs, and is run
 * with all of it instead; `untaken NAME NAME`, that these are on a branch that is not taken.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Shell, shells } from './scratch.ts';

/** What an entry tries to bring about. */
export interface Payload {
  readonly kind: 'runs' | 'writes' | 'reads' | 'connects' | 'reaches';
  /** The program, the path or the host. */
  readonly what: string;
}

/** One entry of the corpus. */
export interface Entry {
  /** Of its class: `quoting/ansi-c-hex`. */
  readonly id: string;
  readonly class: string;
  readonly text: string;
  /** What the command is fed with; undefined when the entry has no standard input. */
  readonly input: string | undefined;
  readonly payload: Payload;
  readonly shell: Shell;
  /** Why the payload cannot come about in the scratch root, undefined when it does. */
  readonly never: string | undefined;
  readonly unresolved: boolean;
  /** It reads its script while it runs, and is made one that does not: the two are not to do the same. */
  readonly reissued: boolean;
  /** Programs on a branch that is not taken. */
  readonly untaken: readonly string[];
}

const folder = join(import.meta.dirname, 'corpus');

/** All entries of all classes, in the order of the files. */
export function readCorpus(): readonly Entry[] {
  const entries = readdirSync(folder)
    .toSorted()
    .flatMap((file) => readClass(file.replace(/\.txt$/, ''), readFileSync(join(folder, file), 'utf8')));
  const ids = entries.map(({ id }) => id);
  const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
  if (twice.length > 0) throw new Error(`two entries have one name: ${twice.join(', ')}`);
  return entries;
}

function readClass(name: string, content: string): readonly Entry[] {
  const [before, ...blocks] = content.split(/^== /m);
  if (before !== '') throw new Error(`${name}: text before the first entry`);
  return blocks.map((block) => readEntry(name, block));
}

function readEntry(of: string, block: string): Entry {
  const end = block.indexOf('\n');
  const [name = '', said = ''] = block.slice(0, end).split(' | ');
  const directives = said.split(';').map((directive) => directive.trim());
  let payload: Payload = { kind: 'runs', what: 'forbidden' };
  let shell: Shell = 'bash';
  let never: string | undefined;
  let untaken: readonly string[] = [];
  const flags = new Set<string>();
  for (const directive of directives) {
    const [word = '', ...rest] = directive.split(' ');
    const what = rest.join(' ');
    if (isKind(word)) payload = { kind: word, what };
    else if (word === 'in' && isShell(what)) shell = what;
    else if (word === 'untaken') untaken = rest;
    else if (word === 'never' && what !== '') never = what;
    else if (/^(|escaped|stdin|unresolved|reissued)$/.test(directive)) flags.add(directive);
    else throw new Error(`${of}/${name}: no such directive: ${directive}`);
  }
  const body = block.slice(end + 1).replace(/\n$/, '');
  const [text = '', input] = flags.has('stdin') ? body.split('\n--\n') : [body];
  return {
    id: `${of}/${name}`,
    class: of,
    text: flags.has('escaped') ? unescaped(text) : text,
    input: input === undefined ? undefined : `${input}\n`,
    payload,
    shell,
    never,
    unresolved: flags.has('unresolved'),
    reissued: flags.has('reissued'),
    untaken,
  };
}

/** The escapes of a JSON string; all else stands for itself. */
function unescaped(text: string): string {
  return text.replace(/\\(?:u[0-9a-f]{4}|[bfnrt])/g, (sequence) => String(JSON.parse(`"${sequence}"`)));
}

function isKind(word: string): word is Payload['kind'] {
  return /^(runs|writes|reads|connects|reaches)$/.test(word);
}

function isShell(name: string): name is Shell {
  return shells.some((shell) => shell === name);
}

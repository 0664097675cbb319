// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the shell's own
/** What was judged is what runs: canonical texts in the real shells of this machine, against what was classified. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { createShellClassifier, type ShellClassification } from '../../../../../proxy/protocols/ssh/shell/index.ts';
import { realShells, Stage } from './shells.ts';

const stubs = ['ls', 'cat', 'grep', 'rm', 'cp', 'wc', 'sort', 'head', 'tail', 'id', 'date', 'sed', 'awk', 'stat', 'du'];
const stage = new Stage(stubs, ['sh', 'bash', 'env', 'nohup', 'timeout', 'nice', 'setsid', 'stdbuf']);
afterAll(() => stage.remove());

const classifier = createShellClassifier();
const context = { variables: new Map([['HOME', stage.home]]), cwd: stage.home, parameters: [] };

function classify(text: string): ShellClassification {
  const result = classifier.classify(text, context);
  if ('fault' in result) throw new Error(`${result.fault.code}: ${text}`);
  return result;
}

const inOrder = (lists: readonly (readonly string[])[]) => lists.map((list) => JSON.stringify(list)).sort();
const traced = (result: ShellClassification) =>
  inOrder(result.commands.filter(({ name }) => stubs.includes(name)).map(({ name, argv }) => [name, ...argv.slice(1)]));

/** Everything in them runs, because every stand-in succeeds. */
const written: readonly string[] = [
  'ls',
  `ls 'a b' "c d" e\\ f`,
  `ls "it's" 'say "hi"' '\\' "\\\\" '\\n' "\\n"`,
  `ls 'a'\\''b' "'"'"'"'"`,
  `ls '$HOME' "\\$HOME" \\$HOME "$HOME" $HOME ~ ~/x`,
  'ls "a\\`b\\`"',
  `ls $'a\\tb' $'it\\'s' $'\\x41\\101'`,
  `ls {a,b}{1,2} x{1..3}y {a,b{c,d}}e`,
  `ls '*' "?" \\[a\\] '{a,b}' '~' "!" '!!' '#x' a#b`,
  `ls -- -rf '--'`,
  `grep '' x '--'`,
  `ls é 日本 '😀'`,
  `ls 'a\nb' "c\nd"`,
  `ls a\\\nb`,
  `ls "a\\\nb"`,
  'ls; cat; wc',
  'ls && cat && wc',
  'ls | cat | wc -l',
  'ls & cat',
  '{ ls; cat; } | wc',
  '(ls; cat) && (cd / && wc)',
  '! ls a | grep b; cat',
  'if ls; then cat; fi',
  'if ls; then cat; else rm x; fi | wc',
  'for i in a "b c" \'d*\'; do ls "$i"; done',
  'for i in 1 2; do for j in a b; do ls $i$j; done; done',
  'case abc in abc) ls;; *) rm x;; esac',
  'case "a b" in x|"a b") ls;; esac',
  'X="a b"; ls $X "$X" ${X} "${X}c" ${X:-z} ${X:+y}',
  'X= ; ls a$X"$X"b $X; grep "$X"',
  'X=1 Y=$X; ls $X',
  'LANG=C ls; TZ=UTC LC_ALL=C date',
  'set -e; ls; cat',
  `sh -c 'ls "$1" "$@"' 'n 0' 'a b' c`,
  `bash -c "sh -c 'ls '\\''x y'\\'''"`,
  `env LANG=C ls 'a b'`,
  `nohup timeout 5 nice -n 5 setsid -w ls "q'q"`,
  `eval 'ls "a b"' '; cat'`,
  `eval ls a\\ b`,
  'command ls x; exec cat y',
  `trap 'ls /trapped' EXIT; cat`,
  'cat <<E\nplain $HOME \\$x\nE',
  "cat <<'E'\nplain $HOME \\$x `q`\nE",
  'cat <<-E\n\ttabs\n\tE',
  'cat <<A | wc\nEOF0\nA',
  'cat <<A; cat <<B\none\nA\ntwo\nB',
  `cat <<A 'x\ny'\nbody\nA`,
  'cat <<< "here $HOME"',
  'if cat <<A; then ls; fi\nbody\nA',
  'for i in a b; do cat <<A; done\nit is $i\nA',
  `bash <<'A'\nls "a b"\ncat <<B\nin $HOME\nB\nA`,
  '{ cat <<A; cat; } <<B\nin\nA\nout\nB',
  'cat <<A | { cat; cat <<B; } <<C\n1\nA\n2\nB\n3\nC',
  'cat <<E\n"q" \'s\' \\\\ \\` \\a\nE',
  'ls ${1}0 x',
  `sh -s x 'y z' <<'A'\nls "$2" $1\nA`,
  `sh -c 'cat <<A\nin there\nA'`,
  'ls >out 2>&1; ls >>out; cat <out; ls 2>/dev/null; ls >&2; ls &>both; ls 1>&-',
  'ls |& cat',
  '{ ls; cat <<A\nx\nA\n} > out',
  'while false; do rm x; done; ls',
  'until true; do rm x; done; ls',
  'if false; then :; elif true; then ls; fi',
  '\'ls\' "cat" && l\\s',
  'cd / && ls x',
];

/** A generator of the same words in every run (mulberry32). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const atoms = [
  'a',
  'B',
  '7',
  ' ',
  "'",
  '"',
  '\\',
  '$',
  '`',
  '*',
  '?',
  '[',
  ']',
  '{',
  '}',
  ',',
  '~',
  '!',
  '#',
  ';',
  '&',
  '|',
  '<',
  '>',
  '(',
  ')',
  '=',
  '-',
  '\n',
  '\t',
  '%',
  '^',
  'é',
  '😀',
  '$x',
  '$(',
  '..',
  '\\n',
  '//',
];

/** One string in one of the ways to write it. */
function spell(value: string, style: number): string {
  if (style === 0) return `'${value.replaceAll("'", `'"'"'`)}'`;
  if (style === 1) return `"${value.replaceAll(/[\\"$`]/g, '\\$&')}"`;
  if (style === 2) return value === '' ? "''" : value.replaceAll(/[^\w\n]/gu, '\\$&').replaceAll('\n', `'\n'`);
  return `$'${value.replaceAll(/[\\']/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\t', '\\t')}'`;
}

function generated(seed: number): string {
  const next = generator(seed);
  const pick = <Item>(list: readonly Item[]): Item => list[next(list.length)] as Item;
  const word = () => {
    const pieces = Array.from({ length: 1 + next(3) }, () => {
      const value = Array.from({ length: next(6) }, () => pick(atoms)).join('');
      return spell(value, next(4));
    });
    return pieces.join('');
  };
  const command = (depth: number): string => {
    const kind = depth > 2 ? 0 : next(10);
    if (kind < 5) return `ls -- ${Array.from({ length: 1 + next(3) }, word).join(' ')}`;
    if (kind === 5) return `{ ${command(depth + 1)}; }`;
    if (kind === 6) return `( ${command(depth + 1)} )`;
    if (kind === 7) return `bash -c ${spell(command(depth + 1), next(4))}`;
    if (kind === 8) return `for v in ${word()} ${word()}; do ls -- "$v"; done`;
    return `${command(depth + 1)} ${pick(['|', '&&', ';'])} ${command(depth + 1)}`;
  };
  return command(0);
}

const texts = [...written, ...Array.from({ length: 200 }, (_, seed) => generated(seed + 1))];
const complete = texts
  .map((text) => ({ text, result: classify(text) }))
  .filter(({ result }) => result.incomplete.length === 0);

test('at least one real shell is there to be asked', () => {
  expect(realShells.length).toBeGreaterThanOrEqual(1);
});

test('the written commands are complete, and most of the generated ones', () => {
  const incomplete = written.filter((text) => classify(text).incomplete.length > 0);
  expect(incomplete.map((text) => [text, classify(text).incomplete])).toEqual([]);
  expect(complete.length).toBeGreaterThan(220);
});

describe.each(realShells)('in $name', (shell) => {
  const executed = stage.run(
    shell,
    complete.map(({ result }) => result.canonical ?? ''),
  );

  test('canonical texts execute exactly the commands that were classified', () => {
    const differences = complete.flatMap(({ text, result }, index) => {
      const ran = inOrder((executed[index] ?? []).map(({ argv }) => argv));
      // Branches not taken run nothing.
      const judged = traced(result).filter((command) => !command.startsWith('["rm"'));
      return JSON.stringify(ran) === JSON.stringify(judged) ? [] : [{ text, canonical: result.canonical, ran, judged }];
    });
    expect(differences).toEqual([]);
  });

  test('here-documents arrive as they were written', () => {
    const inputs = (text: string) =>
      (executed[complete.findIndex((each) => each.text === text)] ?? [])
        .flatMap(({ input }) => input ?? [])
        .filter(Boolean);
    expect(inputs('cat <<E\nplain $HOME \\$x\nE')).toEqual([`plain ${stage.home} $x\n`]);
    expect(inputs("cat <<'E'\nplain $HOME \\$x `q`\nE")).toEqual(['plain $HOME \\$x `q`\n']);
    expect(inputs('cat <<-E\n\ttabs\n\tE')).toEqual(['tabs\n']);
    expect(inputs('cat <<A | wc\nEOF0\nA')).toEqual(['EOF0\n']);
    expect(inputs(`cat <<A 'x\ny'\nbody\nA`)).toEqual(['body\n']);
    expect(inputs('cat <<< "here $HOME"')).toEqual([`here ${stage.home}\n`]);
    expect(inputs('{ cat <<A; cat; } <<B\nin\nA\nout\nB').toSorted()).toEqual(['in\n', 'out\n']);
    expect(inputs('cat <<E\n"q" \'s\' \\\\ \\` \\a\nE')).toEqual(['"q" \'s\' \\ ` \\a\n']);
    expect(inputs('for i in a b; do cat <<A; done\nit is $i\nA').toSorted()).toEqual(['it is a\n', 'it is b\n']);
  });
});

const bash = realShells.find(({ name }) => name === 'bash');
(bash === undefined ? test.skip : test)('a text and its canonical form execute the same in bash', () => {
  if (bash === undefined) return;
  const asWritten = stage.run(
    bash,
    complete.map(({ text }) => text),
  );
  const canonical = stage.run(
    bash,
    complete.map(({ result }) => result.canonical ?? ''),
  );
  const differences = complete.flatMap(({ text }, index) =>
    JSON.stringify(asWritten[index]) === JSON.stringify(canonical[index])
      ? []
      : [{ text, written: asWritten[index], canonical: canonical[index] }],
  );
  expect(differences).toEqual([]);
});

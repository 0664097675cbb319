/** Texts made to cost more than they are long: each ends, within the work that a text may cost. */
import { expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import { createShellClassifier } from '../../../../../proxy/protocols/ssh/shell/index.ts';
import { Report } from '../../../../../proxy/protocols/ssh/shell/report.ts';
import { place } from './support.ts';

const length = limits.shellTextBytesMax;
const fill = (piece: string, before = '', after = '') =>
  before + piece.repeat(Math.floor((length - before.length - after.length) / piece.length)) + after;
const nest = (open: string, close: string, depth: number, middle = 'x') =>
  `${open.repeat(depth)}${middle}${close.repeat(depth)}`;

const texts: Readonly<Record<string, string>> = {
  words: fill('a '),
  commands: fill('a;'),
  pipeline: fill('a|', '', 'a'),
  conditions: fill('a&&', '', 'a'),
  background: fill('a & '),
  'quoted parts': fill("'a'", 'ls '),
  'double quotes': fill('"$a"', 'ls '),
  variables: fill('$HOME ', 'ls '),
  'variables that grow': fill('X=$X$X;', 'X=aaaa;'),
  substitutions: `ls ${nest(`$(${'a '.repeat(350)}`, ')', limits.shellNestingMax)}`,
  'substitutions in quotes': `ls ${nest(`"$(${'a '.repeat(350)}`, ')"', limits.shellNestingMax)}`,
  defaults: `ls ${nest('${a:-', '}', limits.shellNestingMax)}`,
  braces: fill('{a,b}', 'ls '),
  'many braces': fill('{1..64} ', 'ls '),
  'nested braces': `ls ${nest('{a,', '}', limits.shellNestingMax)}`,
  brackets: fill('[', 'ls '),
  globs: fill('*', 'ls '),
  'extended globs': fill('@(a) ', 'ls '),
  arithmetic: `ls $((${fill('1+').slice(0, length - 20)}1))`,
  assignments: fill('a=1 '),
  redirections: fill('>a ', 'ls '),
  'here-documents': fill('cat <<E\nx\nE\n'),
  'one here-document': `cat <<E\n${'$x '.repeat(5_000)}\nE\n`,
  'unrolled loops': `${'for a in 1 2 3 4 5 6 7 8; do '.repeat(18)}ls;${' done;'.repeat(18)}`,
  'a loop over much': `for i in ${'a '.repeat(3_000)}; do ls $i; done`,
  'loops in loops': `${'while a; do '.repeat(200)}b;${' done;'.repeat(200)}`,
  cases: `case x in ${'a) b;; '.repeat(2_000)}esac`,
  conditionals: fill('if a; then b; fi; '),
  wrappers: fill('sudo ', '', 'ls'),
  evaluations: fill('eval ', '', 'ls'),
  functions: fill('f() { :; }; '),
  'broken functions': fill('ff ( ) '),
  'awk program': `awk '${fill('a/b ').slice(0, length - 20)}'`,
  'awk expressions': `awk '${fill('/[').slice(0, length - 20)}'`,
  'sed script': `sed '${fill('s/a/b/;').slice(0, length - 20)}'`,
  'sed blocks': `sed '${fill('{').slice(0, length - 20)}'`,
  'sed brackets': `sed 's/${fill('[[:a:]').slice(0, length - 20)}/'`,
  host: `ping ${fill('a-').slice(0, length - 20)}`,
  labels: `ping ${fill('a.').slice(0, length - 20)}`,
  url: `curl http://${fill('a@').slice(0, length - 20)}`,
  options: fill('-a ', 'ls '),
  cluster: `ls -${fill('l').slice(0, length - 20)}`,
  expression: fill('-name a ', 'find / '),
  'commands of find': fill('-exec a \\; ', 'find / '),
  test: fill('-a ', 'test '),
  format: `printf '${fill('%0').slice(0, length - 20)}'`,
  backslashes: fill('\\\\', 'ls '),
  newlines: fill('\n', 'ls'),
  tildes: fill('~ ', 'ls '),
  'links and uses of them': fill('ln /a /b;ls /c;'),
  'suffixes of sed': `sed ${'-i.b '.repeat(1_500)} s/a/b/ ${'a '.repeat(3_500)}`,
  'folders of tar': fill('-C a b ', 'tar xf x '),
  'comments and newlines': fill('#(\n', 'ls\n'),
};

test.each(Object.entries(texts))('%s', (_, text) => {
  const result = createShellClassifier().classify(text, place);
  if ('fault' in result) expect(result.fault.message).not.toBe('');
  else {
    expect(result.commands.length).toBeLessThanOrEqual(limits.shellStepsMax);
    expect(result.canonical?.length ?? 0).toBeLessThanOrEqual(limits.shellWordLengthMax);
  }
});

test('work that is used up makes a text incomplete, and ends it', () => {
  const result = createShellClassifier().classify(texts['unrolled loops'] ?? '', place);
  expect(result).toMatchObject({ incomplete: ['too_much'], canonical: undefined });
  const report = new Report();
  while (report.step());
  expect(report.steps).toBe(limits.shellStepsMax + 1);
  expect(report.incomplete).toEqual(['too_much']);
});

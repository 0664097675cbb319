/** Filters of text, and commands that only say something. */
import type { ToolSpec } from './spec.ts';

const grep: ToolSpec = {
  flags: `-a -b -c -E -F -G -h -H -i -I -l -L -n -o -P -q -r -R -s -T -U -v -V -w -x -y -z -Z --count --extended-regexp
    --fixed-strings --basic-regexp --perl-regexp --ignore-case --no-ignore-case --invert-match --word-regexp --line-regexp
    --files-with-matches --files-without-match --line-number --with-filename --no-filename --only-matching --quiet
    --silent --no-messages --recursive --dereference-recursive --text --byte-offset --line-buffered --null --null-data`,
  values: {
    '-A -B -C -m --after-context --before-context --context --max-count': 'number',
    '-e --regexp --include --exclude --exclude-dir --label -D --binary-files --devices': 'text',
    '-f --file --exclude-from': 'input',
    '--color? --colour?': 'text',
  },
  digits: true,
  operands: 'text input...',
  operandsWith: { '-e --regexp -f --file': 'input...' },
  tree: '-r -R --recursive --dereference-recursive',
};

/** `grep -r word` without a file reads below the working directory. */
const searching: ToolSpec = { ...grep, parser: 'grep' };

/** The table of this file. */
export const textTools: Readonly<Record<string, ToolSpec>> = {
  grep: searching,
  egrep: searching,
  fgrep: searching,
  sort: {
    flags:
      '-b -c -C -d -f -g -h -i -m -M -n -r -R -s -u -V -z --ignore-leading-blanks --dictionary-order --ignore-case --general-numeric-sort --human-numeric-sort --month-sort --numeric-sort --random-sort --reverse --version-sort --unique --stable --merge --zero-terminated --check',
    values: {
      '-k --key -t --field-separator -S --buffer-size --parallel --sort --batch-size': 'text',
      '-o --output -T --temporary-directory': 'write',
      '--random-source': 'read',
      '--check?': 'text',
    },
    operands: 'input...',
  },
  uniq: {
    flags: '-c -d -D -i -u -z --count --repeated --ignore-case --unique',
    values: { '-f -s -w --skip-fields --skip-chars --check-chars': 'number' },
    operands: 'input? output?',
  },
  cut: {
    flags: '-n -s -z --complement --only-delimited',
    values: { '-b -c -d -f --bytes --characters --delimiter --fields --output-delimiter': 'text' },
    operands: 'input...',
  },
  tr: { flags: '-c -C -d -s -t --complement --delete --squeeze-repeats --truncate-set1', operands: 'text text?' },
  rev: { operands: 'read...' },
  fold: { flags: '-b -s', values: { '-w --width': 'number' }, operands: 'input...' },
  fmt: { flags: '-c -s -t -u', values: { '-w -p -g': 'text' }, operands: 'input...' },
  expand: { values: { '-t': 'text' }, flags: '-i', operands: 'input...' },
  unexpand: { values: { '-t': 'text' }, flags: '-a', operands: 'input...' },
  paste: { flags: '-s -z --serial', values: { '-d --delimiters': 'text' }, operands: 'input...' },
  join: { flags: '-i -z', values: { '-a -e -j -o -t -v -1 -2': 'text' }, operands: 'input input' },
  column: {
    flags: '-t -x -n -e --table',
    values: { '-s -c -o -N -R --separator --output-separator --columns': 'text' },
    operands: 'read...',
  },
  shuf: {
    flags: '-e -r -z',
    values: { '-n -i': 'text', '-o --output': 'write', '--random-source': 'read' },
    operands: 'input?',
    operandsWith: { '-e': 'text...' },
  },
  seq: { flags: '-w', values: { '-s -f': 'text' }, operands: 'number number? number?' },
  awk: {
    flags: '--posix --re-interval',
    values: { '-F --field-separator -v --assign': 'text', '-f --file -e --source': 'code' },
    operands: 'awk input...',
    optionsFirst: true,
  },
  gawk: { values: { '-F -v': 'text', '-f': 'code' }, operands: 'awk input...', optionsFirst: true },
  mawk: { values: { '-F -v': 'text', '-f': 'code' }, operands: 'awk input...', optionsFirst: true },
  jq: {
    flags:
      '-r -c -e -s -S -n -R -j -a -M -C --raw-output --compact-output --exit-status --slurp --sort-keys --null-input --raw-input --join-output --ascii-output --monochrome-output --color-output --tab',
    values: { '--indent': 'number', '-f --from-file -L': 'code' },
    operands: 'jq input...',
  },
  echo: { parser: 'words' },
  printf: { parser: 'printf' },
  true: { operands: 'text...' },
  false: { operands: 'text...' },
  yes: { operands: 'text...' },
  sleep: { operands: 'number...' },
  expr: { operands: 'text...' },
};

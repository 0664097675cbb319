/** Files and directories: coreutils, findutils and archives, as on GNU systems. */
import type { ToolSpec } from './spec.ts';

const help = '--help --version';

/** Tools that look at files. */
const looking: Readonly<Record<string, ToolSpec>> = {
  ls: {
    flags: `-a -A -b -B -c -C -d -f -F -g -G -h -H -i -k -l -L -m -n -N -o -p -q -Q -r -R -s -S -t -u -U -v -x -X -Z -1
      --all --almost-all --directory --human-readable --inode --size --reverse --recursive --numeric-uid-gid --full-time
      --group-directories-first --no-group --si --dereference --classify --file-type --escape --literal --quote-name ${help}`,
    values: {
      '-w --width -I --ignore -T --tabsize --hide --block-size --sort --time --format --time-style --quoting-style --indicator-style':
        'text',
      '--color? --hyperlink? --classify?': 'text',
    },
    operands: 'list...',
    here: 'list',
    tree: '-R --recursive',
  },
  cat: {
    flags: `-A -b -e -E -n -s -t -T -u -v --number --number-nonblank --show-all --show-ends --show-tabs --show-nonprinting --squeeze-blank ${help}`,
    operands: 'input...',
  },
  tac: { flags: `-b -r ${help}`, values: { '-s --separator': 'text' }, operands: 'input...' },
  head: {
    flags: `-q -v -z --quiet --silent --verbose ${help}`,
    values: { '-n --lines -c --bytes': 'number' },
    digits: true,
    operands: 'input...',
  },
  tail: {
    flags: `-f -F -q -v -z --follow --retry --quiet --silent --verbose ${help}`,
    values: { '-n --lines -c --bytes -s --sleep-interval --pid --max-unchanged-stats': 'number', '--follow?': 'text' },
    digits: true,
    operands: 'input...',
  },
  wc: { flags: `-c -m -l -L -w --bytes --chars --lines --max-line-length --words ${help}`, operands: 'input...' },
  nl: { flags: '-p', values: { '-b -d -f -h -i -l -n -s -v -w': 'text' }, operands: 'input...' },
  stat: {
    flags: `-L -f -t --dereference --file-system --terse ${help}`,
    values: { '-c --format --printf --cached': 'text' },
    operands: 'list...',
  },
  du: {
    flags: `-a -b -c -D -h -H -k -l -L -m -P -s -S -x -0 --all --apparent-size --bytes --total --human-readable --summarize --separate-dirs --one-file-system --si --time ${help}`,
    values: {
      '-d --max-depth -B --block-size -t --threshold --exclude --time-style': 'text',
      '-X --exclude-from': 'read',
      '--time?': 'text',
    },
    operands: 'list...',
    here: 'list',
    tree: '*',
  },
  df: {
    flags: `-a -h -H -i -k -l -P -T --all --human-readable --inodes --local --portability --print-type --total --si ${help}`,
    values: { '-B --block-size -t --type -x --exclude-type': 'text', '--output?': 'text' },
    operands: 'list...',
  },
  file: {
    flags: '-b -i -L -h -k -s --brief --mime --mime-type --mime-encoding --dereference',
    values: { '-F --separator': 'text' },
    operands: 'read...',
  },
  tree: {
    flags:
      '-a -d -f -i -l -x -p -s -h -u -g -D -F -q -N -Q -r -t -c -U -C -n -J -X --noreport --dirsfirst --du --prune',
    values: { '-L -I -P --filelimit --charset --timefmt --sort': 'text' },
    operands: 'list...',
    here: 'list',
    tree: '*',
  },
  basename: { flags: `-a -z --multiple --zero ${help}`, values: { '-s --suffix': 'text' }, operands: 'text...' },
  dirname: { flags: `-z --zero ${help}`, operands: 'text...' },
  realpath: {
    flags: `-e -m -L -P -q -s -z --canonicalize-existing --canonicalize-missing --no-symlinks --quiet ${help}`,
    operands: 'list...',
  },
  readlink: {
    flags: `-f -e -m -n -q -s -v -z --canonicalize --canonicalize-existing --canonicalize-missing --no-newline ${help}`,
    operands: 'list...',
  },
  md5sum: { flags: '-b -t -z --tag --binary --text', operands: 'input...' },
  sha1sum: { flags: '-b -t -z --tag --binary --text', operands: 'input...' },
  sha256sum: { flags: '-b -t -z --tag --binary --text', operands: 'input...' },
  sha512sum: { flags: '-b -t -z --tag --binary --text', operands: 'input...' },
  cksum: { operands: 'input...' },
  sum: { flags: '-r -s', operands: 'input...' },
  diff: {
    flags: `-a -b -B -c -d -e -E -i -n -N -p -q -r -s -t -T -u -w -y -Z --brief --recursive --unified --new-file --side-by-side --ignore-case --ignore-all-space --ignore-blank-lines --report-identical-files --suppress-common-lines --no-dereference ${help}`,
    values: {
      '-U -C -I -L -W -x -F --label --exclude --width --ignore-matching-lines': 'text',
      '-X --exclude-from': 'read',
      '--color? --unified? --context?': 'text',
    },
    operands: 'input input',
    // Of two folders it reads what is in them, also without being told.
    tree: '*',
  },
  cmp: {
    flags: '-b -l -s --silent --quiet --verbose --print-bytes',
    values: { '-i --ignore-initial -n --bytes': 'text' },
    operands: 'input input? number? number?',
  },
  comm: {
    flags: '-1 -2 -3 -z --check-order --nocheck-order --total',
    values: { '--output-delimiter': 'text' },
    operands: 'input input',
  },
  strings: {
    flags: '-a -f -w --all',
    values: { '-n -t -e --bytes --radix': 'text' },
    operands: 'read...',
    parser: 'unmarked',
  },
  od: {
    flags: '-b -c -d -o -s -x -v -a -i -l',
    values: { '-A -t -N -j -S': 'text', '-w?': 'text' },
    operands: 'input...',
  },
  hexdump: { flags: '-b -c -C -d -o -v -x', values: { '-n -s': 'text' }, operands: 'read...' },
  xxd: { flags: '-a -b -E -i -p -ps -u', values: { '-c -g -l -s': 'text' }, operands: 'input?', singleDash: true },
  base64: { flags: '-d -i --decode --ignore-garbage', values: { '-w --wrap': 'number' }, operands: 'input?' },
  zcat: { flags: '-f', parser: 'compress' },
  bzcat: { operands: 'input...' },
  xzcat: { operands: 'input...' },
  pwd: { flags: '-L -P' },
  test: { parser: 'test' },
  '[': { parser: 'test' },
  find: { parser: 'find' },
};

/** Tools that change files. */
const changing: Readonly<Record<string, ToolSpec>> = {
  tee: { flags: `-a -i -p --append --ignore-interrupts ${help}`, operands: 'write...' },
  touch: {
    flags: '-a -c -f -h -m --no-create --no-dereference',
    values: { '-d --date -t --time': 'text', '-r --reference': 'list' },
    operands: 'write...',
    parser: 'touch',
  },
  mkdir: { flags: '-p -v --parents --verbose', values: { '-m --mode': 'text' }, operands: 'write...' },
  rmdir: { flags: '-v --ignore-fail-on-non-empty --verbose', operands: 'delete...' },
  rm: {
    flags:
      '-f -i -I -r -R -d -v --force --recursive --dir --verbose --one-file-system --preserve-root --no-preserve-root',
    values: { '--interactive?': 'text' },
    operands: 'delete...',
    tree: '-r -R --recursive',
  },
  unlink: { operands: 'delete' },
  shred: {
    flags: '-f -u -v -x -z --force --verbose --exact --zero',
    values: { '-n --iterations -s --size': 'number', '--remove?': 'text' },
    operands: 'write...',
  },
  truncate: {
    flags: '-c -o --no-create',
    values: { '-s --size': 'text', '-r --reference': 'list' },
    operands: 'write...',
  },
  cp: {
    flags:
      '-a -d -f -H -i -L -n -p -P -r -R -u -v -x -T -Z --archive --force --interactive --dereference --no-clobber --no-dereference --recursive --update --verbose --parents --one-file-system --no-target-directory --remove-destination --attributes-only',
    values: {
      '--no-preserve --sparse': 'text',
      '-t --target-directory': 'write',
      '--preserve? --reflink? --update?': 'text',
    },
    operands: 'read... write',
    operandsWith: { '-t --target-directory': 'read...' },
    tree: '-a -r -R --archive --recursive --parents',
  },
  mv: {
    flags: '-f -i -n -u -v -T -Z --force --interactive --no-clobber --update --verbose --no-target-directory',
    values: { '-t --target-directory': 'write', '--update?': 'text' },
    operands: 'delete... write',
    operandsWith: { '-t --target-directory': 'delete...' },
    tree: '*',
  },
  ln: {
    flags:
      '-f -i -L -n -P -r -s -v -T --force --interactive --no-dereference --relative --symbolic --verbose --no-target-directory --logical --physical',
    values: { '-t --target-directory': 'write' },
    parser: 'ln',
  },
  link: { parser: 'ln' },
  install: {
    flags: '-c -C -d -D -p -v -T --compare --directory --preserve-timestamps --verbose --no-target-directory',
    values: { '-m --mode -o --owner -g --group': 'text', '-t --target-directory': 'write' },
    operands: 'read... write',
    operandsWith: { '-t --target-directory': 'read...', '-d --directory': 'write...' },
  },
  chmod: {
    flags: '-c -f -v -R --changes --silent --quiet --verbose --recursive --preserve-root',
    values: { '--reference': 'list' },
    operands: 'text metadata...',
    operandsWith: { '--reference': 'metadata...' },
    tree: '-R --recursive',
  },
  chown: {
    flags:
      '-c -f -h -v -R -H -L -P --changes --silent --quiet --verbose --recursive --no-dereference --dereference --preserve-root',
    values: { '--reference': 'list', '--from': 'text' },
    operands: 'text metadata...',
    operandsWith: { '--reference': 'metadata...' },
    tree: '-R --recursive',
  },
  chgrp: {
    flags:
      '-c -f -h -v -R -H -L -P --changes --silent --quiet --verbose --recursive --no-dereference --dereference --preserve-root',
    values: { '--reference': 'list' },
    operands: 'text metadata...',
    operandsWith: { '--reference': 'metadata...' },
    tree: '-R --recursive',
  },
  gzip: {
    flags:
      '-c -d -f -k -n -q -t -l -v -1 -2 -3 -4 -5 -6 -7 -8 -9 --stdout --decompress --force --keep --list --quiet --test --verbose --fast --best',
    parser: 'compress',
  },
  gunzip: {
    flags: '-c -f -k -n -q -t -l -v --stdout --force --keep --list --quiet --test --verbose',
    parser: 'compress',
  },
  bzip2: { flags: '-c -d -f -k -q -t -v', parser: 'compress' },
  bunzip2: { flags: '-c -f -k -q -t -v', parser: 'compress' },
  xz: {
    flags: '-c -d -f -k -q -t -l -v -0 -1 -2 -3 -4 -5 -6 -7 -8 -9 --stdout --decompress --keep --list --test',
    values: { '-T --threads': 'number' },
    parser: 'compress',
  },
  unxz: { flags: '-c -f -k -q -t -l -v', parser: 'compress' },
  tar: { parser: 'tar' },
  dd: { parser: 'dd' },
  mktemp: {
    flags: '-d -q -u -t --directory --dry-run --quiet',
    values: { '-p': 'write', '--suffix': 'text' },
    parser: 'mktemp',
  },
  sync: { operands: '' },
  sed: {
    flags:
      '-n -E -r -s -u -z --quiet --silent --regexp-extended --separate --unbuffered --null-data --posix --sandbox --debug',
    values: { '-e --expression': 'sed', '-f --file': 'code', '-i? --in-place?': 'text', '-l --line-length': 'number' },
    parser: 'sed',
  },
};

/** The table of this file. */
export const fileTools: Readonly<Record<string, ToolSpec>> = { ...looking, ...changing };

/** git. A repository's own configuration may run programs, which no command line shows: README.md. */
import type { ToolSpec } from './spec.ts';

const diffFlags =
  '-p -u -s -a -b -w -z -R --patch --no-patch --stat --numstat --shortstat --name-only --name-status --summary --cached --staged --oneline --graph --all --decorate --no-decorate --merges --no-merges --reverse --first-parent --follow --no-color --no-ext-diff --no-textconv --raw --word-diff --abbrev-commit --no-renames --branches --tags --remotes --date-order --topo-order --quiet --exit-code --check --ignore-all-space --ignore-space-change --left-right --cherry-pick';
const history: ToolSpec = {
  flags: diffFlags,
  values: {
    '-n --max-count -S -G -L --since --after --until --before --author --committer --grep --date --diff-filter --skip -U --unified':
      'text',
    '--pretty? --format? --stat? --abbrev? --color? --decorate? -M? -C?': 'text',
  },
  digits: true,
  operands: 'text...',
};

const change: ToolSpec = { incomplete: 'runs_code', parser: 'words' };

/** The table of this file. */
export const gitTools: Readonly<Record<string, ToolSpec>> = {
  git: {
    flags: '--no-pager -P --no-optional-locks --literal-pathspecs --version',
    values: { '-C': 'directory' },
    operands: '',
    pager: true,
    parser: 'git',
    subcommands: {
      status: {
        flags: '-s -b -u --short --branch --porcelain --long --ignored --show-stash',
        values: { '--porcelain? --untracked-files? -u? --ignored?': 'text' },
        operands: 'text...',
      },
      log: history,
      diff: { ...history, operands: 'read...' },
      show: history,
      shortlog: { ...history, flags: `${diffFlags} -e -c` },
      blame: { flags: '-w -s -e -l -t', values: { '-L --since': 'text' }, operands: 'text...' },
      'rev-parse': {
        flags:
          '--short --abbrev-ref --show-toplevel --verify --is-inside-work-tree --git-dir --symbolic-full-name -q --quiet --all',
        values: { '--short? --abbrev-ref?': 'text' },
        operands: 'text...',
      },
      'rev-list': { ...history, flags: `${diffFlags} --count --objects` },
      'ls-files': {
        flags:
          '-c -d -m -o -i -s -u -z --cached --deleted --modified --others --stage --exclude-standard --error-unmatch',
        operands: 'text...',
      },
      'ls-tree': { flags: '-r -d -t -l -z --name-only --long --full-tree', operands: 'text...' },
      'cat-file': { flags: '-t -s -e -p', operands: 'text...' },
      describe: {
        flags: '--tags --always --all --long --dirty',
        values: { '--abbrev --match': 'text' },
        operands: 'text...',
      },
      branch: {
        flags: '-a -r -v --all --remotes --list --show-current --merged --no-merged',
        values: { '--contains --format --sort': 'text' },
        operands: '',
      },
      tag: {
        flags: '-l --list',
        values: { '-n? --sort --contains --format': 'text' },
        operands: '',
        operandsWith: { '-l --list': 'text...' },
      },
      remote: {
        flags: '-v --verbose',
        operands: '',
        subcommands: { show: change, 'get-url': { flags: '--all --push', operands: 'text' } },
      },
      stash: { subcommands: { list: {} } },
      'for-each-ref': { values: { '--format --sort --count --contains': 'text' }, operands: 'text...' },
      'name-rev': { flags: '--name-only --tags', operands: 'text...' },
      'merge-base': { flags: '--is-ancestor -a --all', operands: 'text...' },
      'count-objects': { flags: '-v -H' },
      version: {},
      fetch: {
        incomplete: 'runs_code',
        flags: '-q -v -p -a -t --quiet --verbose --prune --all --tags --depth --force --dry-run',
        values: { '--depth': 'number' },
        operands: 'git_remote? text...',
      },
      pull: {
        incomplete: 'runs_code',
        flags: '-q -v -r --quiet --verbose --rebase --ff-only --no-rebase --all --tags',
        operands: 'git_remote? text...',
      },
      push: {
        incomplete: 'runs_code',
        flags: '-q -v -u -f -n --quiet --verbose --set-upstream --force --tags --all --dry-run --force-with-lease',
        operands: 'git_remote? text...',
      },
      'ls-remote': {
        incomplete: 'runs_code',
        flags: '-h -t -q --heads --tags --refs --quiet',
        operands: 'git_remote? text...',
      },
      clone: {
        incomplete: 'runs_code',
        flags: '-q -v -n -l --quiet --verbose --no-checkout --bare --mirror --single-branch --no-tags --recursive',
        values: { '-b --branch --depth -o --origin': 'text' },
        operands: 'git_remote write?',
      },
      ...Object.fromEntries(
        'add commit merge rebase cherry-pick revert reset checkout switch restore rm mv clean gc init config submodule worktree bisect am apply archive bundle filter-branch notes reflog grep maintenance difftool mergetool hook'
          .split(' ')
          .map((name) => [name, change]),
      ),
    },
  },
};

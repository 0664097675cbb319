/** Programs that speak a transfer protocol over the channel, known by the exact shape in which clients start them. */

import type { Call } from './call.ts';
import type { Transfer } from './classification.ts';
import { canonicalPath } from './paths.ts';

/** @returns the transfer that a command is, its files noted; undefined for everything else */
export function transferOf(call: Call): Transfer | undefined {
  if (call.args.some(({ dynamic }) => dynamic)) return undefined;
  const words = call.args.map(({ value }) => value);
  const transfer = shapes.get(call.name)?.(words);
  if (transfer === undefined) return undefined;
  const upload = transfer.direction === 'upload';
  for (const path of transfer.paths) {
    // Its own reading of a tilde, in which no shell had a part.
    if (path.startsWith('~')) call.note('tilde');
    call.file(path, upload ? 'write' : 'read', call.name !== 'scp' || words.includes('-r'));
    if (transfer.protocol === 'git' && upload) call.file(path, 'read', true);
  }
  return { ...transfer, paths: transfer.paths.map((path) => canonicalPath(path, call.state.cwd).path) };
}

type Shape = (words: readonly string[]) => Transfer | undefined;

const gitDirections: ReadonlyMap<string, Transfer['direction']> = new Map([
  ['upload-pack', 'download'],
  ['upload-archive', 'download'],
  ['receive-pack', 'upload'],
]);

const shapes: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ['scp', scp],
  ['rsync', rsync],
  ...[...gitDirections].map(([name, direction]): [string, Shape] => [
    `git-${name}`,
    (words) => git(words.slice(1), direction),
  ]),
  [
    'git',
    (words) => {
      const direction = gitDirections.get(words[1] ?? '');
      return direction && git(words.slice(2), direction);
    },
  ],
]);

/** `scp [-r -p -d -v] -t path` takes files, `-f path…` gives them. */
function scp(words: readonly string[]): Transfer | undefined {
  let mode: string | undefined;
  let index = 1;
  for (; /^-[rpdvtfq]+$/.test(words[index] ?? ''); index++) {
    for (const letter of (words[index] ?? '').slice(1)) {
      if (letter !== 't' && letter !== 'f') continue;
      if (mode !== undefined) return undefined;
      mode = letter;
    }
  }
  if (words[index] === '--') index++;
  const paths = words.slice(index);
  if (mode === undefined || paths.length === 0 || (mode === 't' && paths.length > 1)) return undefined;
  if (index === 1 || (words[index - 1] !== '--' && paths.some((path) => path.startsWith('-')))) return undefined;
  return { protocol: 'scp', direction: mode === 't' ? 'upload' : 'download', paths };
}

/** Letters of rsync's options that choose what is copied and how; then the capabilities behind `e.`. */
const letters = /^-[vlogDtprzLkKWHAXRCcnmxOJNUyESibduqIhP0-9]*(?:e\d*\.?[A-Za-z]*)?$/;
const longOptions =
  /^--(?:delete(?:-before|-during|-after|-delay|-excluded)?|numeric-ids|existing|ignore-existing|inplace|partial|size-only|list-only|safe-links|stats|force|ignore-errors|append|append-verify|checksum-seed=\d+|timeout=\d+|bwlimit=\d+|max-size=\w+|min-size=\w+|max-delete=\d+|modify-window=\d+|compress-level=\d+|compress-choice=\w+|checksum-choice=\w+|omit-dir-times|no-implied-dirs|delay-updates|fuzzy|log-format=[%\w]*|out-format=[%\w]*|preallocate|mkpath|old-args|no-r|no-W|no-inc-recursive)$/;

/** `rsync --server [--sender] options . path…`. */
function rsync(words: readonly string[]): Transfer | undefined {
  if (words[1] !== '--server') return undefined;
  const sender = words[2] === '--sender';
  let index = sender ? 3 : 2;
  for (; index < words.length && words[index] !== '.'; index++) {
    const word = words[index] ?? '';
    if (!letters.test(word) && !longOptions.test(word)) return undefined;
  }
  const paths = words.slice(index + 1);
  if (words[index] !== '.' || paths.length === 0 || paths.some((path) => path.startsWith('-') || path === ''))
    return undefined;
  if (!sender && paths.length > 1) return undefined;
  return { protocol: 'rsync', direction: sender ? 'download' : 'upload', paths };
}

function git(words: readonly string[], direction: Transfer['direction']): Transfer | undefined {
  const [path = '', ...more] = words[0] === '--strict' ? words.slice(1) : words;
  if (more.length > 0 || path === '' || path.startsWith('-')) return undefined;
  return { protocol: 'git', direction, paths: [path] };
}

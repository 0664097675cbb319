/** find: what it looks at, deletes, writes and runs. */
import type { Call } from '../call.ts';

const valued = new Set(
  '-name -iname -path -ipath -wholename -iwholename -regex -iregex -type -xtype -size -mtime -atime -ctime -mmin -amin -cmin -user -group -uid -gid -perm -links -inum -fstype -maxdepth -mindepth -regextype -printf -used'.split(
    ' ',
  ),
);
const plain = new Set(
  '-print -print0 -ls -prune -quit -empty -executable -readable -writable -nouser -nogroup -depth -d -mount -xdev -noleaf -true -false -daystart -ignore_readdir_race -a -and -o -or -not ! ( ) ,'.split(
    ' ',
  ),
);
const references = /^-(?:newer(?:[aBcm][aBcmt])?|anewer|cnewer|samefile)$/;
const running = new Set(['-exec', '-execdir', '-ok', '-okdir']);

/** Roots come first, then an expression in which every word is known. */
export function find(call: Call): void {
  let index = 1;
  while (/^-[HLP]$/.test(call.text(index) ?? '')) index++;
  const roots: string[] = [];
  for (; index < call.args.length; index++) {
    const word = call.text(index);
    if (word === undefined) continue;
    if (/^[-(),!]/.test(word)) break;
    roots.push(word);
  }
  if (roots.length === 0) roots.push('.');
  for (const root of roots) call.file(root, 'list', true);
  while (index < call.args.length) index = expression(call, index, roots);
  // It is a command of its own besides those that it runs.
  if (call.peeled) call.record();
}

/** One primary; the place behind it. */
function expression(call: Call, index: number, roots: readonly string[]): number {
  const word = call.text(index);
  if (word === undefined) return index + 1;
  if (plain.has(word)) return index + 1;
  if (valued.has(word)) {
    if (index + 1 >= call.args.length) call.unknown('unknown_option');
    return index + 2;
  }
  if (word === '-delete') {
    for (const root of roots) call.file(root, 'delete', true);
    return index + 1;
  }
  if (references.test(word)) {
    const path = call.text(index + 1);
    // A date may begin with a time zone, which is a file.
    if (path === undefined || (word.endsWith('t') && path.includes('TZ='))) call.unknown('unknown_option');
    else if (!word.endsWith('t')) call.file(path, 'list');
    return index + 2;
  }
  if (running.has(word)) return runs(call, word, index);
  if (/^-f(?:print0?|ls|printf)$/.test(word)) {
    const path = call.text(index + 1);
    if (path !== undefined) call.file(path, 'write');
    return index + (word === '-fprintf' ? 3 : 2);
  }
  call.unknown('unknown_option');
  return index + 1;
}

/** `-exec command ;`, of which `{}` is known only when it runs. */
function runs(call: Call, word: string, index: number): number {
  let end = index + 1;
  while (end < call.args.length && call.text(end) !== ';' && !(call.text(end) === '+' && call.text(end - 1) === '{}'))
    end++;
  if (end >= call.args.length) {
    call.unknown('unknown_option');
    return end;
  }
  const command = call.args.slice(index + 1, end);
  if (command.some(({ value }) => value.includes('{}'))) call.note('dynamic_arguments');
  if (word.endsWith('dir')) call.note('cwd_unknown');
  const args = command.map(({ value, dynamic }) => ({ value, dynamic: dynamic || value.includes('{}') }));
  call.runBetween(index + 1, end, args);
  return end + 1;
}

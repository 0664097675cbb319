/** tar: the archive, what goes in and what comes out. Extraction writes names that only the archive knows. */
import type { Call } from '../call.ts';

const modes: Readonly<Record<string, 'create' | 'extract' | 'list'>> = {
  c: 'create',
  x: 'extract',
  t: 'list',
  create: 'create',
  extract: 'extract',
  get: 'extract',
  list: 'list',
};
const plainLetters = 'vzjJkpmSWhaUo';
const plainLong =
  /^--(?:verbose|gzip|bzip2|xz|zstd|keep-old-files|preserve-permissions|same-permissions|no-same-owner|no-same-permissions|to-stdout|sparse|dereference|auto-compress|numeric-owner|wildcards|no-recursion|one-file-system|ignore-failed-read|no-overwrite-dir|skip-old-files|totals|gunzip|exclude=[^=]*|strip-components=\d+|owner=\w+|group=\w+|mode=[\w=+,-]+|sort=\w+|mtime=[\w:. @-]+|format=\w+)$/;

interface Tar {
  mode: 'create' | 'extract' | 'list' | undefined;
  archive: string | undefined;
  readonly members: { readonly path: string; readonly directory: string | undefined }[];
  directory: string | undefined;
  toStdout: boolean;
}

/** Reads `tar -xzf f`, `tar xzf f` and long options; any other option is unknown. */
export function tar(call: Call): void {
  const read: Tar = { mode: undefined, archive: undefined, members: [], directory: undefined, toStdout: false };
  let index = 1;
  const next = (): string | undefined => call.text(++index);
  const letters = (cluster: string, bundled: boolean): void => {
    for (let at = 0; at < cluster.length; at++) {
      const letter = cluster[at] ?? '';
      if (modes[letter] !== undefined) setMode(call, read, modes[letter]);
      else if (letter === 'f' || letter === 'C' || letter === 'X' || letter === 'T') {
        const attached = cluster.slice(at + 1);
        const value = attached !== '' && !bundled ? attached : next();
        valued(call, read, letter, value);
        if (attached !== '' && !bundled) return;
      } else if (letter === 'O') read.toStdout = true;
      else if (!plainLetters.includes(letter)) call.unknown('unknown_option');
    }
  };
  for (; index < call.args.length; index++) {
    const word = call.text(index);
    if (word === undefined) continue;
    if (index === 1 && !word.startsWith('-')) letters(word, true);
    else if (word.startsWith('--')) longOption(call, read, word, next);
    else if (word.startsWith('-') && word !== '-') letters(word.slice(1), false);
    else read.members.push({ path: word, directory: read.directory });
  }
  apply(call, read);
}

function setMode(call: Call, read: Tar, mode: Tar['mode']): void {
  if (read.mode !== undefined && read.mode !== mode) call.unknown('unknown_option');
  read.mode = mode;
}

function longOption(call: Call, read: Tar, word: string, next: () => string | undefined): void {
  const [, name = '', attached] = /^--([\w-]+)(?:=([\s\S]*))?$/.exec(word) ?? [];
  if (Object.hasOwn(modes, name) && name.length > 1 && attached === undefined) {
    setMode(call, read, modes[name]);
    return;
  }
  const letter = name === 'file' ? 'f' : name === 'directory' ? 'C' : undefined;
  if (letter !== undefined) {
    valued(call, read, letter, attached ?? next());
    return;
  }
  if (word === '--to-stdout') read.toStdout = true;
  else if (!plainLong.test(word)) call.unknown('unknown_option');
}

function valued(call: Call, read: Tar, letter: string, value: string | undefined): void {
  if (value === undefined) {
    call.unknown('unknown_option');
    return;
  }
  if (letter === 'f') {
    if (read.archive !== undefined) call.unknown('unknown_option');
    read.archive = value;
  } else if (letter === 'C') {
    // One below another one: long chains of them grow out of bounds.
    if (read.directory !== undefined && !value.startsWith('/')) call.unknown('unknown_option');
    else read.directory = value;
  } else if (letter === 'X') call.file(value, 'read');
  // A list of names that is a file itself.
  else call.note('dynamic_arguments');
}

function apply(call: Call, read: Tar): void {
  const { archive, members, mode, toStdout } = read;
  if (mode === undefined) {
    call.unknown('unknown_option');
    return;
  }
  if (archive === undefined) call.note('unknown_operand');
  // A colon makes it a file on another host, reached by rsh.
  else if (archive.includes(':')) call.note('destination');
  else if (archive !== '-') call.file(archive, mode === 'create' ? 'write' : 'read');
  if (mode === 'list') return;
  if (mode === 'create') {
    for (const { path, directory } of members) {
      if (path.startsWith('@')) call.unknown('unknown_operand');
      call.file(directory === undefined || path.startsWith('/') ? path : `${directory}/${path}`, 'read', true);
    }
    if (members.length === 0) call.unknown('unknown_operand');
  } else if (!toStdout) {
    const directories = new Set([...members.map(({ directory }) => directory), read.directory]);
    for (const directory of directories) call.file(directory ?? '.', 'write', true);
  }
}

/**
 * Paths as POSIX reads them, without asking a host: absolute, and without `.`, `..`, doubled or trailing slashes.
 * What a symbolic link makes of such a path only the host knows; `resolve.ts` asks it.
 */

/** Makes `path` absolute against `home`, which is canonical, and takes out what means nothing. Linear in its length. */
export function canonicalPath(path: string, home: string): string {
  return rooted(walk(path, path.startsWith('/') ? [] : parts(home)));
}

/** True for what {@link canonicalPath} makes: the form in which a host must name a path for it to be believed. */
export function isCanonical(path: string): boolean {
  return path.startsWith('/') && canonicalPath(path, '/') === path;
}

/** The folder that a canonical path is in; `/` is in itself. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** The last part of a canonical path; empty for `/`. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** `name` in the folder `parent`, which is canonical. */
export function childOf(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`;
}

/**
 * What a symbolic link is to contain. A relative target stays relative, because that is what the link is for: its `..`
 * are moved to its beginning, where they are steps up from a folder that the host has resolved, and nothing else.
 */
export function canonicalTarget(target: string): string {
  if (target.startsWith('/')) return canonicalPath(target, '/');
  const up: string[] = [];
  const names: string[] = [];
  for (const part of parts(target)) {
    if (part === '.') continue;
    if (part !== '..') names.push(part);
    else if (names.pop() === undefined) up.push('..');
  }
  return [...up, ...names].join('/') || '.';
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

function walk(path: string, from: string[]): string[] {
  for (const part of parts(path)) {
    if (part === '..') from.pop();
    else if (part !== '.') from.push(part);
  }
  return from;
}

function rooted(names: readonly string[]): string {
  return `/${names.join('/')}`;
}

/** Names of files as policies judge them: absolute, without `.`, `..` and doubled slashes. */

/** A path that was made canonical, and what keeps it from being the whole truth. */
export interface CanonicalPath {
  readonly path: string;
  /** `cwd_unknown`, `parent_path` or `linked_path`; undefined when the path says which file it is. */
  readonly doubt: string | undefined;
}

/** Entries of `/proc` and `/dev` that the kernel resolves to other places. */
const linked = /^\/(?:proc\/(?:[^/]+|thread-self)\/(?:root|cwd|exe|fd|task|map_files)(?:\/|$)|dev\/fd(?:\/|$))/;

/**
 * Follows no links, and therefore trusts no `..` behind a name: `/var/run/../x` is `/x` where `/var/run` is a link
 * to `/run`.
 *
 * @param path as a command names it
 * @param cwd where it stands; undefined when that is not known
 */
export function canonicalPath(path: string, cwd: string | undefined): CanonicalPath {
  if (!path.startsWith('/') && cwd === undefined) return { path, doubt: 'cwd_unknown' };
  const parts: string[] = [];
  let doubt: string | undefined;
  const whole = path.startsWith('/') ? path : `${cwd}/${path}`;
  for (const part of whole.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() !== undefined) doubt = 'parent_path';
  }
  const canonical = `/${parts.join('/')}`;
  return { path: canonical, doubt: doubt ?? (linked.test(canonical) ? 'linked_path' : undefined) };
}

/**
 * Where `cd` leads. Shells take `..` off the name they hold, so that links do not matter here.
 *
 * @returns undefined when it cannot be said
 */
export function changedDirectory(path: string, cwd: string | undefined): string | undefined {
  const { path: canonical, doubt } = canonicalPath(path, cwd);
  return doubt === undefined || doubt === 'parent_path' ? canonical : undefined;
}

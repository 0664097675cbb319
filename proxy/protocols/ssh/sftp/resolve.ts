import { statusCodes } from './packet-types.ts';
import { childOf, isCanonical, nameOf, parentOf } from './paths.ts';

/** What the gateway asks of a host about paths, with requests of its own. */
export interface HostPaths {
  /** REALPATH: the path, or the code of the STATUS that came instead. */
  realPath(path: string): Promise<string | number>;
  /** LSTAT: `ok`, or the code of the STATUS. */
  entry(path: string): Promise<number>;
}

/**
 * Where a canonical path leads on a host once every symbolic link in it is followed. What does not exist yet is named
 * from the nearest folder that does. Undefined when the host cannot say, or when something is there that it cannot
 * follow: a dangling link would be followed by an open that creates.
 *
 * Relies on the host's REALPATH following links, as OpenSSH's does; from an SFTP server that only tidies paths up, links
 * cannot be seen. Asks at most twice for each of `depthMax` folders that do not exist.
 */
export async function followed(host: HostPaths, path: string, depthMax: number): Promise<string | undefined> {
  const missing: string[] = [];
  let at = path;
  for (let depth = 0; depth <= depthMax; depth++) {
    const answer = await host.realPath(at);
    if (typeof answer === 'string') {
      if (!isCanonical(answer)) return undefined;
      const [first] = missing;
      if (first === undefined) return answer;
      const absent = (await host.entry(childOf(answer, first))) === statusCodes.noSuchFile;
      return absent ? missing.reduce((parent, name) => childOf(parent, name), answer) : undefined;
    }
    if (answer !== statusCodes.noSuchFile || at === '/') return undefined;
    missing.unshift(nameOf(at));
    at = parentOf(at);
  }
  return undefined;
}

/** The same for what acts on the last part of a path itself: only the folder that it is in is followed. */
export async function entryOf(host: HostPaths, path: string, depthMax: number): Promise<string | undefined> {
  if (path === '/') return path;
  const parent = await followed(host, parentOf(path), depthMax);
  return parent === undefined ? undefined : childOf(parent, nameOf(path));
}

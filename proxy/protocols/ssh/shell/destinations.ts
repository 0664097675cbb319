/** Where commands would go next from the host. Whatever is not plainly one host is dynamic. */
import { isIP } from 'node:net';
import type { Destination } from './classification.ts';

/** A host and a port as some tool writes them, before it is a {@link Destination}. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

const name = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?$/;

/**
 * A host's one spelling: lower case, no brackets, no dot at the end. Addresses in other notations than four decimal
 * numbers (`0x7f.1`, `2130706433`, `010.0.0.1`), which resolvers read differently, are none.
 *
 * @returns undefined when it is not plainly a host
 */
export function canonicalHost(text: string): string | undefined {
  const host = text.toLowerCase();
  if (host.startsWith('[') && host.endsWith(']')) {
    const address = host.slice(1, -1);
    return isIP(address) === 6 ? canonicalIpv6(address) : undefined;
  }
  if (isIP(host) === 4) return host;
  if (isIP(host) === 6) return canonicalIpv6(host);
  if (!name.test(host)) return undefined;
  const bare = host.endsWith('.') ? host.slice(0, -1) : host;
  const last = bare.slice(bare.lastIndexOf('.') + 1);
  return /^(?:\d+|0x[0-9a-f]*)$/.test(last) ? undefined : bare;
}

/** The shortest form; an IPv4 address inside one is what it is. */
function canonicalIpv6(address: string): string | undefined {
  if (address.includes('%')) return undefined;
  const shortest = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(shortest);
  if (mapped === null) return shortest;
  const [high, low] = [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** A destination that is known only when the command runs. */
export const dynamicDestination = (via: string): Destination => ({ host: '', port: 0, via, dynamic: true });

/** A destination by its host and port as written; dynamic when either is not plain. */
export function destination(host: string, port: number | undefined, via: string): Destination {
  const canonical = canonicalHost(host);
  if (canonical === undefined || port === undefined) return dynamicDestination(via);
  return { host: canonical, port, via, dynamic: false };
}

/** @returns the port that decimal digits name; undefined for anything else */
export function parsePort(text: string): number | undefined {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

/** `host`, `host:port`, `[v6]:port`. */
export function parseHostPort(text: string, defaultPort: number): HostAndPort | undefined {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(text);
  if (match === null) return isIP(text) === 6 ? { host: text, port: defaultPort } : undefined;
  const port = match[2] === undefined ? defaultPort : parsePort(match[2]);
  return port === undefined ? undefined : { host: match[1] ?? '', port };
}

const ports: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['https', 443],
  ['ftp', 21],
  ['ftps', 990],
  ['ssh', 22],
  ['git+ssh', 22],
  ['sftp', 22],
  ['scp', 22],
  ['git', 9418],
  ['rsync', 873],
  ['ws', 80],
  ['wss', 443],
  ['tcp', 0],
  ['telnet', 23],
  ['redis', 6379],
  ['postgres', 5432],
  ['postgresql', 5432],
  ['mongodb', 27017],
  ['mysql', 3306],
  ['ldap', 389],
  ['ldaps', 636],
  ['smtp', 25],
  ['imap', 143],
]);

/** A URL taken apart as strictly as no client reads it. */
export interface StrictUrl extends HostAndPort {
  readonly scheme: string;
  readonly path: string;
}

/**
 * Reads only URLs on which all clients agree: one `@` at most, no backslash, no blank, no percent sign or anything
 * beyond ASCII in front of the path.
 *
 * @param defaultScheme for texts without one, where the tool has one
 */
export function parseStrictUrl(text: string, defaultScheme?: string): StrictUrl | undefined {
  const full =
    /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || defaultScheme === undefined ? text : `${defaultScheme}://${text}`;
  const match =
    /^([a-z][a-z0-9+.-]*):\/\/(?:[\w.~!$&'()*+,;=:-]*@)?(\[[0-9a-f:.]+\]|[\w.-]+)(?::(\d+))?(?=$|[/?#])/i.exec(full);
  if (match === null || /[\s\\]/.test(full)) return undefined;
  const scheme = (match[1] ?? '').toLowerCase();
  const port = match[3] === undefined ? ports.get(scheme) : parsePort(match[3]);
  if (port === undefined) return undefined;
  return { scheme, host: match[2] ?? '', port, path: full.slice(match[0].length) };
}

/** What bash makes of `/dev/tcp/host/port`; undefined for every other path. */
export function socketDestination(path: string, dynamic: boolean): Destination | undefined {
  const match = /^\/dev\/(tcp|udp)(?:\/|$)(?:([^/]*)(?:\/([^/]*))?)?/.exec(path);
  if (match === null) return undefined;
  const via = `/dev/${match[1]}`;
  return dynamic ? dynamicDestination(via) : destination(match[2] ?? '', parsePort(match[3] ?? ''), via);
}

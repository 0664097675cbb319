import { isIPv4, isIPv6 } from 'node:net';

/** Where a `Host` header or a CONNECT leads. */
export interface Authority {
  /** Lower case, without a trailing dot; an IPv6 address in brackets and in its one short form. */
  readonly host: string;
  readonly port: number | undefined;
}

const label = /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/;

/**
 * Reads `host` or `host:port`, by a grammar narrower than RFC 3986's: letters, digits and hyphens in labels as in
 * DNS, or an address. No user, no escapes, no other spellings of an address (`0x7f.1`). `undefined` for anything else.
 */
export function parseAuthority(text: string): Authority | undefined {
  const [, name, digits] = /^([a-z\d.-]{1,254}|\[[\da-f:.]{2,45}\])(?::([1-9]\d{0,4}))?$/i.exec(text) ?? [];
  if (name === undefined) return undefined;
  const host = name.startsWith('[') ? address(name) : domain(name.toLowerCase());
  const port = digits === undefined ? undefined : Number(digits);
  return host === undefined || (port !== undefined && port > 65_535) ? undefined : { host, port };
}

function address(bracketed: string): string | undefined {
  return isIPv6(bracketed.slice(1, -1)) ? new URL(`http://${bracketed}/`).hostname : undefined;
}

function domain(text: string): string | undefined {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  const labels = name.split('.');
  if (!labels.every((one) => label.test(one))) return undefined;
  // What ends in a number is an address to URL parsers, in any of its spellings; only one of them is let through.
  return /^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? '') && !isIPv4(name) ? undefined : name;
}

/**
 * The host of a request as one of those that may be asked for: `host` for any port, `host:port` for that port alone.
 *
 * @param hosts - as {@link parseAuthority} writes them
 * @returns without the default ports 80 and 443; `undefined` when it is none of them
 */
export function findHost({ host, port }: Authority, hosts: readonly string[]): string | undefined {
  const named = port === undefined ? host : `${host}:${port}`;
  if (!hosts.includes(host) && !hosts.includes(named)) return undefined;
  return port === 80 || port === 443 ? host : named;
}

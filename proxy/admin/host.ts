import { isIP } from 'node:net';

/**
 * Whether a request for this Host may be answered. A web page can be made to send requests to a loopback or internal
 * address by pointing a name of its own there (DNS rebinding); the request then carries that name. An IP address cannot
 * be pointed anywhere, `localhost` is not a page's to point, and every other name has to be configured.
 *
 * @param host - the Host header: a name or address, with or without a port.
 * @param allowed - further host names, without port; letter case does not matter.
 */
export function hostAllowed(host: string, allowed: readonly string[]): boolean {
  const name = hostname(host);
  if (name === undefined) return false;
  return name === 'localhost' || isIP(name) !== 0 || allowed.some((one) => one.toLowerCase() === name);
}

/** `name:port`, `1.2.3.4:port` or `[::1]:port` without the port; `undefined` for anything else. */
function hostname(host: string): string | undefined {
  const match = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/iu.exec(host);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

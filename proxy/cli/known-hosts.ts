/**
 * The keys of a gateway that a client pins. There is no trust on first use: a key that was not given beforehand, by
 * `--host-key` or in a file of known hosts, is refused.
 *
 * @see https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT
 */
import { createHmac } from 'node:crypto';
import { limits } from '../core/limits.ts';
import { type PublicKey, parsePublicKeyLine, publicKeyLine } from '../protocols/ssh/public-key.ts';

/** The name of every gateway in files of known hosts (`HostKeyAlias`), wherever it listens. */
export const hostKeyAlias = 'sallyport';

/** Where a gateway listens. */
export interface GatewayAddress {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT` or `[IPv6]:PORT`; undefined for anything else. */
export function parseGatewayAddress(text: string): GatewayAddress | undefined {
  const [, bracketed, name, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? name ?? '';
  const port = Number(digits);
  return host === '' || host.startsWith('-') || !(port >= 1 && port <= 65_535) ? undefined : { host, port };
}

/**
 * The keys that a file of known hosts has for a gateway, under {@link hostKeyAlias} or its address. A revoked key is
 * none, wherever it stands; names may be hashed; patterns and authorities are not looked at.
 */
export function knownKeys(text: string, { host, port }: GatewayAddress): readonly PublicKey[] {
  if (text.length > limits.sshKnownHostsBytesMax) return [];
  const names = [hostKeyAlias, `[${host}]:${port}`, ...(port === 22 ? [host] : [])];
  const known: PublicKey[] = [];
  const revoked: PublicKey[] = [];
  for (const line of text.split('\n')) {
    const [, marker = '', hosts = '', rest = ''] =
      /^(?:(@[a-z-]+)[ \t]+)?([^\s@#]\S*)[ \t]+(.*)$/.exec(line.trim()) ?? [];
    const key = hosts.split(',').some((pattern) => matches(pattern, names)) ? parsePublicKeyLine(rest) : undefined;
    if (key === undefined) continue;
    if (marker === '@revoked') revoked.push(key);
    else if (marker === '') known.push(key);
  }
  return known.filter((key) => !revoked.some(({ blob }) => blob.equals(key.blob)));
}

/** A name as it is, or as OpenSSH hashes it: `|1|salt|HMAC-SHA1`, both in base64. */
function matches(pattern: string, names: readonly string[]): boolean {
  const [, salt, digest] = /^\|1\|([^|]+)\|([^|]+)$/.exec(pattern) ?? [];
  if (salt === undefined) return names.includes(pattern);
  const key = Buffer.from(salt, 'base64');
  return names.some((name) => createHmac('sha1', key).update(name).digest('base64') === digest);
}

/** The lines that pin keys for every gateway that is reached under {@link hostKeyAlias}. */
export function knownHostsLines(keys: readonly PublicKey[]): readonly string[] {
  return keys.map(({ type, blob }) => `${hostKeyAlias} ${publicKeyLine(type, blob)}`);
}

/** A file of known hosts with these keys, and no other ones, under {@link hostKeyAlias}. Other lines stay as they are. */
export function withKnownKeys(text: string, keys: readonly PublicKey[]): string {
  const others = text.split('\n').filter((line) => line !== '' && !line.startsWith(`${hostKeyAlias} `));
  return `${[...others, ...knownHostsLines(keys)].join('\n')}\n`;
}

import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { limits } from '../core/limits.ts';
import { type Io, UsageError } from './io.ts';
import { isLoopback } from './mint.ts';

/** How the command line proves who it is at the API. */
export interface TokenOptions {
  readonly tokenFile: string | undefined;
  readonly tokenCommand: string | undefined;
}

/** What the API says about itself to everybody. */
export interface About {
  readonly issuer: string;
  readonly audience: string;
  readonly deviceClientId: string | undefined;
}

/** A token of less life than this is fetched anew. */
const renewalMs = 30_000;

/**
 * An access token for the API: from the environment variable `SALLYPORT_API_TOKEN`, a file (`-` is standard input), the
 * output of a command, or by device authorization (RFC 8628), which asks the person to confirm in a browser and is
 * remembered until the token ends.
 * @throws Error when none of them gives one.
 */
export async function apiToken(options: TokenOptions, io: Io, about: () => Promise<About>): Promise<string> {
  if (io.env.SALLYPORT_API_TOKEN) return checked(io.env.SALLYPORT_API_TOKEN);
  const { tokenFile, tokenCommand } = options;
  if (tokenFile !== undefined && tokenCommand !== undefined)
    throw new UsageError('--token-file and --token-command exclude each other');
  if (tokenFile !== undefined)
    return checked(await (tokenFile === '-' ? text(process.stdin) : readFile(tokenFile, 'utf8')));
  if (tokenCommand !== undefined) {
    const { stdout } = await promisify(execFile)('sh', ['-c', tokenCommand], { maxBuffer: limits.tokenBytesMax });
    return checked(stdout);
  }
  return await deviceToken(await about(), io);
}

function checked(written: string): string {
  const token = written.trim();
  if (token === '' || token.length > limits.tokenBytesMax || /\s/.test(token))
    throw new Error('there is no token, or too much of it');
  return token;
}

async function deviceToken({ issuer, audience, deviceClientId }: About, io: Io): Promise<string> {
  if (deviceClientId === undefined)
    throw new UsageError('a token is needed: SALLYPORT_API_TOKEN, --token-file or --token-command');
  const file = cacheFile(io, JSON.stringify([issuer, audience, deviceClientId]));
  const known = Object(await readFile(file, 'utf8').then(JSON.parse, () => undefined));
  if (typeof known.token === 'string' && known.expires_at_ms > Date.now() + renewalMs) return checked(known.token);
  // Only now, because most commands need no new token.
  const client = await import('openid-client');
  const url = new URL(issuer);
  // In clear only to this machine itself, which is where the demo's provider is.
  const execute = url.protocol === 'http:' && isLoopback(url.hostname) ? [client.allowInsecureRequests] : [];
  const configuration = await client.discovery(url, deviceClientId, undefined, client.None(), { execute });
  const asked = await client.initiateDeviceAuthorization(configuration, { scope: 'openid', resource: audience });
  io.stderr.write(`Sign in at ${asked.verification_uri_complete ?? asked.verification_uri}\n`);
  io.stderr.write(`and confirm the code ${asked.user_code}\n`);
  const tokens = await client.pollDeviceAuthorizationGrant(configuration, asked, { resource: audience });
  const token = checked(tokens.access_token);
  await remember(file, { token, expires_at_ms: Date.now() + (tokens.expiresIn() ?? 0) * 1000 });
  return token;
}

function cacheFile(io: Io, source: string): string {
  const folder = io.env.XDG_CACHE_HOME || join(io.env.HOME || homedir(), '.cache');
  return join(folder, 'sallyport', `api-${hash('sha256', source, 'hex').slice(0, 16)}.json`);
}

/** For its owner's eyes; whole, or not there. */
async function remember(file: string, content: { token: string; expires_at_ms: number }): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, JSON.stringify(content), { mode: 0o600 });
  await rename(draft, file);
}

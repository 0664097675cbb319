import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { resolveSecret } from '../core/secret-ref.ts';
import { type Io, UsageError } from './io.ts';

/** What a token is asked with. */
export interface TokenRequest {
  readonly issuer: string;
  readonly audience: string;
  readonly clientId: string;
  /** A reference. */
  readonly secret: string;
}

/** The issuer of a profile, its audience, and its agents with references to their secrets. */
export interface Profile {
  readonly issuer: string;
  readonly audience: string;
  readonly agents: ReadonlyMap<string, string>;
}

/** Gets an access token from its issuer (client credentials). @throws when the issuer refuses or cannot be reached. */
export async function mint(request: TokenRequest): Promise<string> {
  // Only now, because most logins need no token.
  const { allowInsecureRequests, ClientSecretBasic, clientCredentialsGrant, discovery } = await import('openid-client');
  const url = new URL(request.issuer);
  const secret = await resolveSecret(request.secret);
  // In clear only to this machine itself, which is where the demo's provider is.
  const execute = url.protocol === 'http:' && isLoopback(url.hostname) ? [allowInsecureRequests] : [];
  const issuer = await discovery(url, request.clientId, undefined, ClientSecretBasic(text(secret)), { execute });
  const tokens = await clientCredentialsGrant(issuer, { resource: request.audience });
  return tokens.access_token;
}

/** Whether a host of a URL is this machine itself. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

function text(secret: string | Uint8Array): string {
  return (typeof secret === 'string' ? secret : Buffer.from(secret).toString('utf8')).trim();
}

/** What an agent of a profile asks for its token with. @throws UsageError when the profile has no such agent. */
export function requestOf({ issuer, audience, agents }: Profile, agent: string): TokenRequest {
  const secret = agents.get(agent);
  if (secret === undefined) throw new UsageError(`the profile has no agent called ${JSON.stringify(agent)}`);
  return { issuer, audience, clientId: agent, secret };
}

/**
 * Reads a profile: the file that is named, or that of `SALLYPORT_PROFILE`, or the demo's.
 * @throws Error when it is not there or not a profile.
 */
export async function readProfile(named: string | undefined, io: Io): Promise<Profile> {
  const file = named ?? io.env.SALLYPORT_PROFILE ?? '.demo/agents.json';
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new Error(`the profile ${file} cannot be read (is the demo running?)`, { cause });
  }
  const { issuer, audience, agents } = record(parsed);
  if (typeof issuer !== 'string' || typeof audience !== 'string') throw new Error(`${file} is not a profile`);
  const directory = dirname(resolve(file));
  const secrets = Object.entries(record(agents)).map(([name, reference]) => {
    const written = String(reference);
    const absolute = written.startsWith('file:') ? `file:${resolve(directory, written.slice(5))}` : written;
    return [name, absolute] as const;
  });
  return { issuer, audience, agents: new Map(secrets) };
}

function record(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === 'object' ? { ...value } : {};
}

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { allowInsecureRequests, ClientSecretBasic, clientCredentialsGrant, discovery } from 'openid-client';
import { resolveSecret } from '../core/secret-ref.ts';
import { type Command, type Io, UsageError } from './io.ts';

const help = `sallyport token [AGENT] [--profile FILE]
sallyport token --issuer URL --client-id ID --client-secret REF --audience URI

Prints an access token (client credentials) for an agent, to be used as a password:
  PGPASSWORD=$(sallyport token support-agent) psql ...
A profile is the JSON file the demo writes (.demo/agents.json unless --profile or SALLYPORT_PROFILE says otherwise);
without AGENT its agents are listed. REF is env:NAME or file:PATH: a secret never stands on a command line.
`;

/** What a token is asked with. */
interface Request {
  readonly issuer: string;
  readonly audience: string;
  readonly clientId: string;
  /** A reference. */
  readonly secret: string;
}

/** `sallyport token`: one line on standard output, the token. */
export const run: Command = async (args, io) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      profile: { type: 'string' },
      issuer: { type: 'string' },
      'client-id': { type: 'string' },
      'client-secret': { type: 'string' },
      audience: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    io.stdout.write(help);
    return 0;
  }
  if (values.issuer !== undefined) {
    const { issuer, 'client-id': clientId, 'client-secret': secret, audience } = values;
    if (clientId === undefined || secret === undefined || audience === undefined) throw new UsageError(help);
    io.stdout.write(`${await mint({ issuer, clientId, secret, audience })}\n`);
    return 0;
  }
  const profile = await readProfile(values.profile ?? io.env.SALLYPORT_PROFILE ?? '.demo/agents.json');
  const [agent] = positionals;
  if (agent === undefined) return list(profile, io);
  const secret = profile.agents.get(agent);
  if (secret === undefined) throw new UsageError(`the profile has no agent called ${JSON.stringify(agent)}`);
  io.stdout.write(`${await mint({ issuer: profile.issuer, audience: profile.audience, clientId: agent, secret })}\n`);
  return 0;
};

function list(profile: Profile, io: Io): number {
  io.stdout.write(`${[...profile.agents.keys()].join('\n')}\n`);
  return 0;
}

async function mint(request: Request): Promise<string> {
  const url = new URL(request.issuer);
  const secret = await resolveSecret(request.secret);
  // In clear only to this machine itself, which is where the demo's provider is.
  const execute = url.protocol === 'http:' && isLoopback(url.hostname) ? [allowInsecureRequests] : [];
  const issuer = await discovery(url, request.clientId, undefined, ClientSecretBasic(text(secret)), { execute });
  const tokens = await clientCredentialsGrant(issuer, { resource: request.audience });
  return tokens.access_token;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

function text(secret: string | Uint8Array): string {
  return (typeof secret === 'string' ? secret : Buffer.from(secret).toString('utf8')).trim();
}

/** The issuer of a profile, its audience, and its agents with references to their secrets. */
interface Profile {
  readonly issuer: string;
  readonly audience: string;
  readonly agents: ReadonlyMap<string, string>;
}

async function readProfile(file: string): Promise<Profile> {
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

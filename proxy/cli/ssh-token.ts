import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { limits } from '../core/limits.ts';
import { type Io, UsageError } from './io.ts';
import { mint, readProfile, requestOf } from './mint.ts';

/** Where a token comes from. */
export interface TokenSource {
  /** Tells one source from another without telling its secret: the same token, or the same agent of the same issuer. */
  readonly name: string;
  /** Whether `get` gives the same token each time. */
  readonly fixed: boolean;
  get(): Promise<string>;
}

/**
 * The first of: the environment variable `SALLYPORT_TOKEN`, a file (`-` is standard input), an agent of a profile.
 * @throws UsageError when nothing says which agent.
 */
export async function tokenSource(
  { tokenFile, profile, agent }: { tokenFile?: string; profile?: string; agent?: string },
  io: Io,
): Promise<TokenSource> {
  if (io.env.SALLYPORT_TOKEN) return fixed(io.env.SALLYPORT_TOKEN);
  if (tokenFile !== undefined)
    return fixed(await (tokenFile === '-' ? text(process.stdin) : readFile(tokenFile, 'utf8')));
  const found = await readProfile(profile, io);
  const [first, ...others] = found.agents.keys();
  const name = agent ?? (others.length === 0 ? first : undefined);
  if (name === undefined) throw new UsageError('say which agent of the profile, by --agent NAME');
  const request = requestOf(found, name);
  return {
    name: hash('sha256', JSON.stringify([request.issuer, request.audience, name]), 'base64url'),
    fixed: false,
    get: () => mint(request),
  };
}

function fixed(written: string): TokenSource {
  const token = written.trim();
  if (token === '' || token.length > limits.tokenBytesMax) throw new Error('there is no token, or too much of it');
  return { name: hash('sha256', token, 'base64url'), fixed: true, get: async () => token };
}

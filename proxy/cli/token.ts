import { parseArgs } from 'node:util';
import { type Command, type Io, UsageError } from './io.ts';
import { mint, type Profile, readProfile, requestOf } from './mint.ts';

const help = `sallyport token [AGENT] [--profile FILE]
sallyport token --issuer URL --client-id ID --client-secret REF --audience URI

Prints an access token (client credentials) for an agent, to be used as a password:
  PGPASSWORD=$(sallyport token support-agent) psql ...
A profile is the JSON file the demo writes (.demo/agents.json unless --profile or SALLYPORT_PROFILE says otherwise);
without AGENT its agents are listed. REF is env:NAME or file:PATH: a secret never stands on a command line.
`;

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
  const profile = await readProfile(values.profile, io);
  const [agent] = positionals;
  if (agent === undefined) return list(profile, io);
  io.stdout.write(`${await mint(requestOf(profile, agent))}\n`);
  return 0;
};

function list(profile: Profile, io: Io): number {
  io.stdout.write(`${[...profile.agents.keys()].join('\n')}\n`);
  return 0;
}

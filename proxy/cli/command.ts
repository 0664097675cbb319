import { readFile } from 'node:fs/promises';
import { types } from 'node:util';
import type { Command, Io } from './io.ts';

const help = `sallyport: a gateway between AI agents and what they reach

  sallyport serve --config FILE     run the gateway (SIGTERM drains, SIGHUP activates bundle, data and certificates)
  sallyport check --config FILE     say whether the configuration, its secrets and its bundle hold
  sallyport token AGENT             an access token from the profile of the demo (--help for other issuers)
  sallyport ssh login               a certificate that ssh logs in with at the gateway (--help)
  sallyport ssh-config              what ssh needs to know about the gateway and its hosts (--help)
  sallyport audit SUBCOMMAND        verify, head, tail or query the audit trail (--help)
  sallyport evidence export|verify  one archive for an auditor (--help)
  sallyport replay FILE|--list      a recording, or which there are (--help)
  sallyport approvals list|show|approve|deny
                                    what waits for a person's word (--help)
  sallyport sessions list|watch|end open sessions (--help)
  sallyport --version
`;

const commands: Readonly<Record<string, () => Promise<{ run: Command }>>> = {
  serve: () => import('./serve.ts'),
  check: () => import('./check.ts'),
  token: () => import('./token.ts'),
  ssh: () => import('./ssh.ts'),
  'ssh-config': () => import('./ssh-config.ts'),
  audit: () => import('./audit.ts'),
  evidence: () => import('./evidence.ts'),
  replay: () => import('./replay.ts'),
  approvals: () => import('./approvals.ts'),
  sessions: () => import('./sessions.ts'),
};

/** Runs one subcommand. Never throws: what goes wrong is a line on standard error and a code. */
export const run: Command = async (args, io) => {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    (name === undefined ? io.stderr : io.stdout).write(help);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    io.stdout.write(`${await version()}\n`);
    return 0;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    io.stderr.write(`sallyport: there is no subcommand called ${JSON.stringify(name)}\n\n${help}`);
    return 2;
  }
  try {
    return await (await load()).run(rest, io);
  } catch (error) {
    return complain(error, io);
  }
};

function complain(error: unknown, io: Io): number {
  if (!types.isNativeError(error)) {
    io.stderr.write(`sallyport: ${String(error)}\n`);
    return 1;
  }
  io.stderr.write(`sallyport: ${error.message}\n`);
  return error.name === 'UsageError' || ('code' in error && isParseArgsCode(error.code)) ? 2 : 1;
}

/** `parseArgs` of node:util throws a TypeError with one of these codes. */
function isParseArgsCode(code: unknown): boolean {
  return typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_');
}

async function version(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  const found = manifest !== null && typeof manifest === 'object' && 'version' in manifest ? manifest.version : '';
  return String(found);
}

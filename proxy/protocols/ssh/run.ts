/** How a permitted command reaches the host: the text that its login shell is given. */
import { GatewayError } from '../../core/errors.ts';
import type { Place } from './facts.ts';
import type { LoginShell } from './login-shell.ts';
import { exitOf, watchEnd } from './remote-end.ts';
import type { ShellClassification, ShellContext } from './shell/index.ts';
import type { ClientChannel } from './ssh2.ts';
import type { SshLink } from './upstream.ts';

/** A client's terminal, as `pty-req` describes it (RFC 4254 section 6.2). */
export interface Terminal {
  readonly term: string;
  readonly cols: number;
  readonly rows: number;
  readonly width: number;
  readonly height: number;
  readonly modes: unknown;
}

/** A command about to run. */
export interface Command {
  readonly text: string;
  readonly classification: Pick<ShellClassification, 'canonical'>;
  readonly place: Pick<Place, 'shell' | 'target'>;
  readonly terminal: Terminal | undefined;
  readonly variables: ReadonlyMap<string, string>;
  /** Where it runs, if not where a login begins. */
  readonly cwd?: string | undefined;
  /** Asks where it has led, once it succeeded. */
  readonly asks?: 'pwd' | undefined;
}

/**
 * The text for the login shell. A complete operation goes out in its canonical form, which every POSIX shell reads as it
 * was judged; a verified login shell reads it itself, another one only hands it to `sh`. An incomplete one, should
 * policy allow it, goes out as it was written, to the bash it was parsed for.
 */
export function commandText(command: Omit<Command, 'terminal' | 'variables'>): string {
  const { text, classification, place, cwd, asks } = command;
  const directory = cwd === undefined ? '' : `cd -- ${quoted(cwd)} || exit; `;
  const before = `PATH=${quoted(place.target.upstream.commandPath)}; export PATH; ${directory}`;
  const { canonical } = classification;
  if (canonical === undefined) return `exec /bin/bash --noprofile --norc -p -c ${quoted(before + text)} bash`;
  const whole = before + canonical + (asks === 'pwd' ? ' && pwd -P' : '');
  return place.shell === 'unverified' ? `exec /bin/sh -c ${quoted(whole)} sh` : whole;
}

/** Opens the command's channel at the host. @throws GatewayError `upstream_unavailable` */
export function openCommand(link: SshLink, command: Command): Promise<ClientChannel> {
  const { terminal, variables } = command;
  return open((done) =>
    link.client.exec(commandText(command), { ...pty(terminal), env: Object.fromEntries(variables) }, done),
  );
}

/** Opens the login shell itself, on a terminal. @throws GatewayError `upstream_unavailable` */
export function openShell(
  link: SshLink,
  terminal: Terminal,
  variables: ReadonlyMap<string, string>,
): Promise<ClientChannel> {
  return open((done) => link.client.shell(pty(terminal).pty ?? false, { env: Object.fromEntries(variables) }, done));
}

/** Opens a subsystem. @throws GatewayError `upstream_unavailable` */
export function openSubsystem(link: SshLink, name: string): Promise<ClientChannel> {
  return open((done) => link.client.subsys(name, done));
}

/** All that a short command says, up to a bound for each stream; past it the command is ended. */
export function collect(
  channel: ClientChannel,
  bytesMax: number,
): Promise<{ readonly stdout: string; readonly stderr: string; readonly code: number | null }> {
  return new Promise((resolve) => {
    const text = { stdout: '', stderr: '' };
    const gather = (name: 'stdout' | 'stderr') => (chunk: Buffer) => {
      text[name] += chunk.toString('latin1');
      if (text[name].length > bytesMax) channel.close();
    };
    channel.on('data', gather('stdout'));
    channel.stderr.on('data', gather('stderr'));
    channel.once('close', () => resolve({ ...text, code: exitOf(channel).code }));
    channel.end();
  });
}

/** Single quotes: what is in them means itself, in every shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** What of a login shell the classifier may resolve words with. */
export function contextOf(
  shell: LoginShell,
  commandPath: string,
  where: {
    readonly parameters?: readonly string[];
    readonly cwd?: string | undefined;
    readonly pty?: boolean | undefined;
  },
): ShellContext {
  const { home, user } = shell;
  const variables = new Map([['PATH', commandPath]]);
  if (home !== undefined) variables.set('HOME', home);
  if (user !== undefined && user !== '') variables.set('USER', user).set('LOGNAME', user);
  const { parameters = [], cwd = home, pty = false } = where;
  return { variables, cwd, parameters, pty };
}

function pty(terminal: Terminal | undefined): { pty?: object } {
  if (terminal === undefined) return {};
  const { term, cols, rows, width, height, modes } = terminal;
  return { pty: { term, cols, rows, width, height, ...(isObject(modes) && { modes }) } };
}

function isObject(value: unknown): value is object {
  return value !== null && typeof value === 'object';
}

async function open(
  start: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    const failed = (cause: unknown) =>
      reject(new GatewayError('upstream_unavailable', 'The host did not open a channel.', { cause }));
    try {
      start((error, channel) => {
        if (error !== undefined) return failed(error);
        watchEnd(channel);
        resolve(channel);
      });
    } catch (thrown) {
      failed(thrown);
    }
  });
}

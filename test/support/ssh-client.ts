/**
 * An SSH client for what programs do not do: it holds channels open, reads slowly, and asks in the wrong order. It
 * logs in with a token. Uses no test framework.
 */
import { Client, type ClientChannel } from '../../proxy/protocols/ssh/ssh2.ts';

/** Where and as whom to log in. */
export interface SshClientOptions {
  readonly host: string;
  readonly port: number;
  /** Default `agent+web1`. */
  readonly user?: string;
  readonly token: string;
}

/** What a command left behind. */
export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit status; null when none was said. */
  readonly code: number | null;
  readonly signal: string | undefined;
}

/** Logs in. The client is the caller's to end; what goes wrong later is told by its `close`. */
export function connectSsh({ host, port, user = 'agent+web1', token }: SshClientOptions): Promise<Client> {
  const client = new Client();
  return new Promise((resolve, reject) => {
    client.on('error', reject);
    client.once('close', () => reject(new Error('the connection was closed during the login')));
    client.once('ready', () => resolve(client));
    client.connect({ host, port, username: user, password: token, keepaliveInterval: 0 });
  });
}

/** Settles when the connection is gone. */
export function closed(client: Client): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()));
}

/** Everything of a channel up to its end, from now on: the exit status may come with the channel itself. */
export function finished(channel: ClientChannel): Promise<Ran> {
  const text = { stdout: '', stderr: '' };
  let exit: { code: number | null; signal: string | undefined } = { code: null, signal: undefined };
  channel.on('data', (chunk: Buffer) => {
    text.stdout += chunk.toString('utf8');
  });
  channel.stderr.on('data', (chunk: Buffer) => {
    text.stderr += chunk.toString('utf8');
  });
  channel.on('exit', (code: number | null, signal?: string) => {
    exit = { code, signal };
  });
  return new Promise((resolve) => channel.once('close', () => resolve({ ...text, ...exit })));
}

/** Starts a command. What it leaves behind is gathered; its standard input is the caller's. */
export function startSsh(
  client: Client,
  command: string,
  options: object = {},
): Promise<{ readonly channel: ClientChannel; readonly ended: Promise<Ran> }> {
  return new Promise((resolve, reject) => {
    client.exec(command, options, (error, channel) => {
      if (error === undefined) resolve({ channel, ended: finished(channel) });
      else reject(error);
    });
  });
}

/** Runs a command to its end, with this on its standard input. */
export async function runSsh(client: Client, command: string, input = '', options: object = {}): Promise<Ran> {
  const { channel, ended } = await startSsh(client, command, options);
  channel.end(input);
  return await ended;
}

/** Requests of SSH as no program sends them: in any order, of any content, each with the answer it got. No test framework. */
import type { Client, ClientChannel } from '../../proxy/protocols/ssh/ssh2.ts';

/** What the package keeps to itself: the messages of a client. */
interface Messages {
  session(channel: number, window: number, packetSize: number): void;
  exec(channel: number, command: string | Buffer, wantReply: boolean): void;
  shell(channel: number, wantReply: boolean): void;
  subsystem(channel: number, name: string, wantReply: boolean): void;
  env(channel: number, name: string, value: string, wantReply: boolean): void;
  pty(channel: number, rows: number, cols: number, h: number, w: number, term: string, modes: null, ask: boolean): void;
  openssh_agentForward(channel: number, wantReply: boolean): void;
  openssh_noMoreSessions(wantReply: boolean): void;
  openssh_hostKeysProve(keys: readonly unknown[]): void;
  openssh_streamLocalForward(path: string, wantReply: boolean): void;
  channelData(channel: number, data: Buffer): void;
}

/** One message on a channel, which wants a reply. */
export type Ask = (messages: Messages, channel: number) => void;

/** The messages of a client that is logged in. */
export function messagesOf(client: Client): Messages {
  return Reflect.get(client, '_protocol') as Messages;
}

/** Opens a session channel in which nothing is started yet; rejects with the server's words. */
export function openSession(client: Client): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    const opened = (error: Error | undefined, channel: ClientChannel) => (error ? reject(error) : resolve(channel));
    const manager = Reflect.get(client, '_chanMgr') as { add(opened: unknown): number };
    const id = manager.add(Object.assign(opened, { type: 'session' }));
    messagesOf(client).session(id, 2 * 1024 * 1024, 32 * 1024);
  });
}

/** Asks on a channel. @returns whether it was granted; false also when the channel closed instead. */
export function ask(client: Client, channel: ClientChannel, message: Ask): Promise<boolean> {
  return new Promise((resolve) => {
    const { _callbacks: callbacks, outgoing } = channel as unknown as {
      readonly _callbacks: ((failed: boolean) => void)[];
      readonly outgoing: { readonly id: number };
    };
    callbacks.push((failed) => resolve(!failed));
    channel.once('close', () => resolve(false));
    message(messagesOf(client), outgoing.id);
  });
}

/** Asks on the connection. @returns whether it was granted. */
export function askGlobally(client: Client, message: (messages: Messages) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const callbacks = Reflect.get(client, '_callbacks') as ((failed: boolean) => void)[];
    callbacks.push((failed) => resolve(!failed));
    message(messagesOf(client));
  });
}

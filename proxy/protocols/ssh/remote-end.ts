import type { Limits } from '../../core/limits.ts';
import type { ClientChannel } from './ssh2.ts';

/** How a command ended; all of it absent while it has not, or when nobody said. */
export interface Exit {
  readonly code: number | null;
  readonly signal?: string | undefined;
  readonly core?: boolean | undefined;
}

interface Watched {
  exit: Exit;
  readonly closed: Promise<void>;
}

const watched = new WeakMap<ClientChannel, Watched>();

/**
 * Takes note of how a channel of the host ends. To be called in the callback that brings the channel: the exit status of
 * a short command comes in the same packet as the channel itself, and is told to whoever listens by then.
 */
export function watchEnd(channel: ClientChannel): void {
  const closed = new Promise<void>((resolve) => channel.once('close', () => resolve()));
  const noted: Watched = { exit: { code: null }, closed };
  channel.on('exit', (code: number | null, signal?: string, core?: boolean) => {
    noted.exit = { code, signal, core };
  });
  watched.set(channel, noted);
}

/** How a watched channel ended, as far as it was said by the time of the call. */
export function exitOf(channel: ClientChannel): Exit {
  return watchedOf(channel).exit;
}

function watchedOf(channel: ClientChannel): Watched {
  const noted = watched.get(channel);
  if (noted === undefined) throw new Error('nobody has watched this channel');
  return noted;
}

/**
 * The end of a channel at the host: when it is closed or, once it was told to end, when the host had time to. A server
 * that takes no signals (OpenSSH before 9.8 takes none for logins as root) keeps a channel for as long as its command
 * runs, and nobody waits for that.
 */
export class RemoteEnd {
  /** Settles then. Never rejects. */
  readonly reached: Promise<void>;
  readonly #channel: ClientChannel;
  readonly #patienceMs: number;
  #settle = () => {};
  #timer: NodeJS.Timeout | undefined;

  constructor(channel: ClientChannel, { sshEndPatienceMs }: Pick<Limits, 'sshEndPatienceMs'>) {
    this.#channel = channel;
    this.#patienceMs = sshEndPatienceMs;
    this.reached = new Promise((resolve) => {
      this.#settle = () => {
        clearTimeout(this.#timer);
        resolve();
      };
      void watchedOf(channel).closed.then(this.#settle);
    });
  }

  /** Ends what runs there. `HUP` is what a lost terminal says; a program may have been started to outlive it. */
  end(signal: 'KILL' | 'HUP'): void {
    this.#channel.signal(signal);
    this.#channel.close();
    this.#timer ??= setTimeout(this.#settle, this.#patienceMs);
  }
}

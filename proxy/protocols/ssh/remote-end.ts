import type { Limits } from '../../core/limits.ts';
import type { ClientChannel } from './ssh2.ts';

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
      channel.once('close', this.#settle);
    });
  }

  /** Ends what runs there. `HUP` is what a lost terminal says; a program may have been started to outlive it. */
  end(signal: 'KILL' | 'HUP'): void {
    this.#channel.signal(signal);
    this.#channel.close();
    this.#timer ??= setTimeout(this.#settle, this.#patienceMs);
  }
}

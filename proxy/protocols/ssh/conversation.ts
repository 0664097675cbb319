/** One logged-in client: its channels, its forwards, and the session at the host they share. */
import type { Limits } from '../../core/limits.ts';
import type { Clock, Gateway, SessionHandle } from '../../core/ports.ts';
import type { Fault, Outcome, Refusal } from '../../core/types.ts';
import type { Place } from './facts.ts';
import { Forwards } from './forward.ts';
import type { LoginShell } from './login-shell.ts';
import { SessionChannel } from './session-channel.ts';
import type { ShellClassification } from './shell/index.ts';
import type { ServerConnection } from './ssh2.ts';
import type { SshTarget } from './target.ts';
import type { SshLink } from './upstream.ts';

/** What a permitted session has to work with. */
export interface Opened {
  readonly session: SessionHandle;
  readonly target: SshTarget;
  /** The connection to the host; rejects with a GatewayError when there is none. */
  readonly link: Promise<SshLink>;
  /** What the login shell is; never rejects. */
  readonly shell: Promise<LoginShell>;
  /** Where operations run, with the labels that are active now. */
  place(): Promise<Place>;
  /** Reads a command, or a script with its parameters, as it would run there; in the home directory unless said. */
  classify(
    text: string,
    shell: LoginShell,
    where?: {
      readonly parameters?: readonly string[];
      readonly cwd?: string | undefined;
      readonly pty?: boolean | undefined;
    },
  ): ShellClassification | { readonly fault: Fault };
}

/** What a conversation is made of. */
export interface ConversationOptions {
  readonly client: ServerConnection;
  /** The session, or why there is none: each channel is then told so. */
  readonly opened: Promise<Opened | { readonly refusal: Refusal }>;
  readonly gateway: Gateway;
  readonly clientAddress: string;
  readonly clock: Clock;
  readonly limits: Limits;
}

/** Serves a client from its login to its end. Make it before anything the client sent can be read. */
export class Conversation {
  readonly opened: ConversationOptions['opened'];
  readonly clock: Clock;
  readonly limits: Limits;
  readonly gateway: Gateway;
  readonly clientAddress: string;
  readonly #client: ServerConnection;
  #held = 0;
  #free: (() => void) | undefined;

  constructor(options: ConversationOptions) {
    const { client, opened, gateway, clientAddress, clock, limits } = options;
    this.clock = clock;
    this.#client = client;
    this.opened = opened;
    this.gateway = gateway;
    this.clientAddress = clientAddress;
    this.limits = limits;
    client.on('session', (accept, reject) => {
      if (this.#held >= limits.sshChannelsMax) reject();
      else new SessionChannel(accept(), this);
    });
    new Forwards(client, this);
  }

  /** True when one more channel would be too many. */
  get full(): boolean {
    return this.#held >= this.limits.sshChannelsMax;
  }

  /** Keeps the connection until what is returned is called: something is being served on it. */
  hold(): () => void {
    this.#held += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#held -= 1;
      if (this.#held === 0) this.#free?.();
    };
  }

  /** Settles when the client is gone and everything that it had running has ended. Never rejects. */
  async run(): Promise<Outcome> {
    const gone = new Promise<void>((resolve) => this.#client.once('close', resolve));
    const opened = await this.opened;
    if ('refusal' in opened) {
      await gone;
      return { status: 'error', code: opened.refusal.code };
    }
    const { session } = opened;
    // What runs is told in its own channel; then the connection ends.
    const end = () => void this.#settled().then(() => this.#client.end());
    if (session.signal.aborted) end();
    else session.signal.addEventListener('abort', end, { once: true });
    const lost = opened.link
      .then((link) => link.closed.then(() => this.#idle()))
      .then(
        () => this.#client.end(),
        () => {},
      );
    await gone;
    await this.#settled();
    session.signal.removeEventListener('abort', end);
    await opened.link.then(
      (link) => link.end(),
      () => {},
    );
    void lost;
    return session.signal.aborted ? { status: 'aborted' } : { status: 'ok' };
  }

  /** Until everything that runs has ended and said so, or had the time for it. */
  async #settled(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, 2 * this.limits.sshEndPatienceMs);
    });
    await Promise.race([this.#idle(), late]);
    clearTimeout(timer);
  }

  async #idle(): Promise<void> {
    if (this.#held === 0) return;
    await new Promise<void>((resolve) => {
      const earlier = this.#free;
      this.#free = () => {
        earlier?.();
        resolve();
      };
    });
  }
}

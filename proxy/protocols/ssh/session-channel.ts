/**
 * One `session` channel of a client: its terminal and variables, then the one thing it runs. The channel is accepted at
 * once and left unread while its operation is judged; a refusal is text on standard error and exit status 126.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4254#section-6
 */
import { asGatewayError } from '../../core/errors.ts';
import type { Permit } from '../../core/permit.ts';
import type { Fault, OperationFacts, Outcome, Refusal } from '../../core/types.ts';
import type { Conversation, Opened } from './conversation.ts';
import { isHarmlessVariable } from './environment.ts';
import { commandFacts, faultFacts, forwardFacts } from './facts.ts';
import { holdTerms } from './hold.ts';
import type { OperationPlan } from './plan.ts';
import { redactCommand } from './redact.ts';
import { refusalText, refusedStatus } from './refuse.ts';
import { endChannel, relayCommand } from './relay.ts';
import { openCommand, openShell, openSubsystem, type Terminal } from './run.ts';
import { serveSftp } from './sftp-channel.ts';
import type { ShellClassification, Transfer } from './shell/index.ts';
import { serveShell } from './shell-channel.ts';
import type { ClientChannel, ServerChannel, Session } from './ssh2.ts';
import { serveTransfer } from './transfer-channel.ts';
import type { SshLink } from './upstream.ts';

/** A permitted operation of a channel, about to run. */
interface Running {
  readonly opened: Opened;
  readonly channel: ServerChannel;
  readonly permit: Permit<OperationPlan>;
  readonly input: 'client' | 'none';
  readonly transfer: Transfer | undefined;
}

/** Serves the channel from its first request to its end. */
export class SessionChannel {
  readonly #conversation: Conversation;
  readonly #variables = new Map<string, string>();
  #terminal: Terminal | undefined;
  /** What comes from now on would be run with, and was not judged. */
  #started = false;
  #running: ClientChannel | undefined;
  #decisionId: string | undefined;

  constructor(session: Session, conversation: Conversation) {
    this.#conversation = conversation;
    session.on('pty', (accept, reject, { term, cols, rows, width, height, modes }) => {
      if (!this.#started) this.#terminal = { term, cols, rows, width, height, modes };
      (this.#started ? reject : accept)?.();
    });
    session.on('window-change', (accept, _reject, { cols, rows, width, height }) => {
      accept?.();
      this.#resize({ cols, rows, width, height });
    });
    session.on('env', (accept, reject, { key, val }) => {
      const granted = !this.#started && isHarmlessVariable(key, val);
      if (granted) this.#variables.set(key, val);
      (granted ? accept : reject)?.();
    });
    session.on('signal', (accept, _reject, { name }) => {
      accept?.();
      this.#running?.signal(name);
    });
    session.on('auth-agent', (_accept, reject) => void this.#refuseForward('agent').then(() => reject?.()));
    session.on('x11', (_accept, reject) => void this.#refuseForward('x11').then(() => reject?.()));
    session.on('exec', (accept, _reject, { command }) =>
      this.#start(accept(), { action: 'exec', text: command }, (one) => this.#exec(one, command)),
    );
    session.on('shell', (accept) => this.#start(accept(), { action: 'shell', text: '' }, (one) => this.#shell(one)));
    session.on('subsystem', (accept, reject, { name }) => {
      if (name === 'sftp') this.#start(accept(), { action: 'sftp', text: '' }, (one) => this.#sftp(one));
      else reject?.();
    });
  }

  /** Runs one of the three, whatever happens: a channel that was accepted is answered and ended. */
  #start(
    channel: ServerChannel,
    what: { readonly action: string; readonly text: string },
    run: (opened: Opened & { channel: ServerChannel }) => Promise<void>,
  ): void {
    this.#started = true;
    channel.on('error', () => {});
    const closed = new Promise<void>((resolve) => channel.once('close', () => resolve()));
    const release = this.#conversation.hold();
    void (async () => {
      const opened = await this.#conversation.opened;
      if ('refusal' in opened) return await this.#refuse(channel, opened.refusal);
      const unreachable = await unreachableHost(opened);
      if (unreachable === undefined) return await run({ ...opened, channel });
      const facts = faultFacts({ ...what, fault: unreachable }, await opened.place());
      const answer = await opened.session.authorize({ facts });
      if ('refusal' in answer) await this.#refuse(channel, answer.refusal, opened, what.text);
    })()
      .catch(async (thrown: unknown) => {
        const { message, code } = asGatewayError(thrown, 'internal_error', 'The command could not be served.');
        await this.#fail(channel, `sallyport: ${message} (${code})\n`);
      })
      // Not free before the client has heard of the end: the connection may be closed as soon as nothing is held.
      .finally(() => void closed.then(release));
  }

  async #exec({ channel, ...opened }: Opened & { channel: ServerChannel }, command: string): Promise<void> {
    const place = await opened.place();
    const judged = await this.#classify(channel, opened, command, undefined);
    if ('refusal' in judged) return await this.#refuse(channel, judged.refusal, opened);
    const { text, classification, input } = judged;
    const pty = this.#terminal !== undefined;
    const facts = commandFacts(
      { name: 'exec', text, classification, pty, environment: [...this.#variables.keys()] },
      place,
    );
    const permit = await this.#authorize(channel, opened, facts, text);
    if (permit === undefined) return;
    const { transfer } = classification;
    await this.#relay({ opened, channel, permit, input, transfer }, (link) =>
      openCommand(link, { text, classification, place, terminal: this.#terminal, variables: this.#variables }),
    );
  }

  /**
   * A command, or the script in its place when it is a shell that would read one: read whole, judged, and run with
   * nothing on its standard input, because what a command read of the script would not be there for the shell.
   */
  async #classify(
    channel: ServerChannel,
    opened: Opened,
    command: string,
    parameters: readonly string[] | undefined,
  ): Promise<
    | { readonly refusal: Refusal }
    | { readonly text: string; readonly classification: ShellClassification; readonly input: 'client' | 'none' }
  > {
    const script = parameters !== undefined;
    const result = opened.classify(command, await opened.shell, {
      parameters: parameters ?? [],
      pty: this.#terminal !== undefined,
    });
    if ('fault' in result) {
      const facts = faultFacts({ action: 'exec', text: command, fault: result.fault }, await opened.place());
      const answer = await opened.session.authorize({ facts });
      if ('refusal' in answer) return answer;
      throw new Error('a fault was permitted');
    }
    if (result.script === undefined || script) {
      return { text: command, classification: result, input: script ? 'none' : 'client' };
    }
    const text = await this.#readScript(channel, opened.session.signal);
    if (typeof text !== 'string') {
      const facts = faultFacts({ action: 'exec', text: command, fault: text }, await opened.place());
      const answer = await opened.session.authorize({ facts });
      if ('refusal' in answer) return answer;
      throw new Error('a fault was permitted');
    }
    return this.#classify(channel, opened, text, result.script.parameters);
  }

  /** Standard input up to its end (or that of the session, in which nothing is permitted any more); a fault past the bound. */
  #readScript(channel: ServerChannel, signal: AbortSignal): Promise<string | Fault> {
    const { sshScriptBytesMax } = this.#conversation.limits;
    return new Promise((resolve) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      const tooLarge = {
        code: 'operation_too_large',
        message: 'The script on standard input is too long to be judged.',
      };
      channel.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= sshScriptBytesMax) pieces.push(chunk);
        else resolve(tooLarge);
      });
      const done = () => resolve(Buffer.concat(pieces).toString('utf8'));
      channel.once('end', done);
      channel.once('close', done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }

  async #shell({ channel, ...opened }: Opened & { channel: ServerChannel }): Promise<void> {
    // Without a terminal it is a script on standard input: `ssh host < script`.
    if (this.#terminal === undefined) return await this.#exec({ channel, ...opened }, 'sh');
    const place = await opened.place();
    const nothing: ShellClassification = {
      commands: [],
      destinations: [],
      incomplete: [],
      canonical: undefined,
      script: undefined,
      transfer: undefined,
    };
    const environment = [...this.#variables.keys()];
    const facts = commandFacts({ name: 'shell', text: '', classification: nothing, pty: true, environment }, place);
    const permit = await this.#authorize(channel, opened, facts, '');
    if (permit === undefined) return;
    const terminal = this.#terminal;
    if (permit.plan.shellMode === 'recorded') {
      await this.#relay({ opened, channel, permit, input: 'client', transfer: undefined }, (link) =>
        openShell(link, terminal, this.#variables),
      );
      return;
    }
    const outcome = await serveShell({
      ...{ opened, channel, permit, variables: this.#variables },
      ...{ clock: this.#conversation.clock, limits: this.#conversation.limits },
      terminal: () => this.#terminal,
      running: (remote, decisionId) => {
        this.#running = remote;
        this.#decisionId = decisionId;
      },
    });
    permit.complete(outcome);
  }

  async #sftp({ channel, ...opened }: Opened & { channel: ServerChannel }): Promise<void> {
    const upstream = await openSubsystem(await opened.link, 'sftp');
    const place = await opened.place();
    const { limits } = this.#conversation;
    await serveSftp({ client: channel, upstream, session: opened.session, place, limits });
  }

  async #relay(about: Running, open: (link: SshLink) => Promise<ClientChannel>): Promise<void> {
    const { opened, channel: client, permit, input, transfer } = about;
    let outcome: Outcome = { status: 'error', code: 'upstream_unavailable' };
    try {
      const upstream = await open(await opened.link);
      this.#running = upstream;
      this.#decisionId = permit.decisionId;
      const { clock, limits } = this.#conversation;
      const { session } = opened;
      const terminal = this.#terminal !== undefined;
      outcome =
        transfer === undefined
          ? await relayCommand({ session, permit, client, upstream, terminal, input, clock, limits, ends: true })
          : await serveTransfer({ session, permit, transfer, client, upstream, limits });
    } finally {
      this.#running = undefined;
      permit.complete(outcome);
    }
  }

  /** The permit, or undefined when the channel was told of the refusal. */
  async #authorize(
    channel: ServerChannel,
    opened: Opened,
    facts: OperationFacts<OperationPlan>,
    text: string,
  ): Promise<Permit<OperationPlan> | undefined> {
    const answer = await opened.session.authorize({
      facts,
      hold: () => holdTerms(channel, this.#terminal !== undefined),
    });
    if ('refusal' in answer) {
      await this.#refuse(channel, answer.refusal, opened, text);
      return undefined;
    }
    const terminal = this.#terminal;
    opened.session.record({
      decisionId: answer.permit.decisionId,
      kind: 'command',
      data: {
        kind: facts.action.name,
        text: redactCommand(text, answer.permit.plan.masks),
        pty: terminal === undefined ? null : { cols: terminal.cols, rows: terminal.rows, term: terminal.term },
      },
    });
    return answer.permit;
  }

  async #refuse(channel: ServerChannel, refusal: Refusal, opened?: Opened, text = ''): Promise<void> {
    const { decisionId, code, policy, message } = refusal;
    if (text !== '') {
      opened?.session.record({
        decisionId,
        kind: 'command',
        data: { kind: 'exec', text: redactCommand(text), pty: null },
      });
    }
    opened?.session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message } });
    await this.#fail(channel, refusalText(refusal, this.#terminal !== undefined));
  }

  async #fail(channel: ServerChannel, text: string): Promise<void> {
    channel.resume();
    if (channel.stderr.writable) channel.stderr.write(text);
    await endChannel(channel, { code: refusedStatus });
  }

  async #refuseForward(kind: 'agent' | 'x11'): Promise<void> {
    const opened = await this.#conversation.opened;
    if ('refusal' in opened) return;
    await opened.session.authorize({ facts: forwardFacts({ kind }, await opened.place()) });
  }

  #resize(size: Pick<Terminal, 'cols' | 'rows' | 'width' | 'height'>): void {
    if (this.#terminal !== undefined) this.#terminal = { ...this.#terminal, ...size };
    this.#running?.setWindow(size.rows, size.cols, size.height, size.width);
    const decisionId = this.#decisionId;
    if (decisionId === undefined) return;
    void this.#conversation.opened.then((opened) => {
      if ('refusal' in opened) return;
      opened.session.record({ decisionId, kind: 'resize', data: { cols: size.cols, rows: size.rows } });
    });
  }
}

/** Why nothing can run: judged as a fault of the operation, which else would be refused for what is not known of the host. */
async function unreachableHost({ link }: Opened): Promise<Fault | undefined> {
  return await link.then(
    () => undefined,
    (thrown: unknown) => {
      const { code, message } = asGatewayError(thrown, 'upstream_unavailable', 'The host could not be reached.');
      return { code, message };
    },
  );
}

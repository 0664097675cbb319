/**
 * A shell whose every line is judged before it runs. The gateway edits the line, holds the working directory, and runs
 * each line as a command of its own: nothing that was not judged reaches a shell at the host. There are no jobs, and
 * a variable or a `cd` inside a longer line ends with that line.
 */
import type { Limits } from '../../core/limits.ts';
import type { Permit } from '../../core/permit.ts';
import type { Clock } from '../../core/ports.ts';
import type { Outcome, Refusal } from '../../core/types.ts';
import type { Opened } from './conversation.ts';
import { commandFacts, faultFacts } from './facts.ts';
import { LineEditor } from './line-editor.ts';
import type { OperationPlan } from './plan.ts';
import { redactCommand } from './redact.ts';
import { refusalText } from './refuse.ts';
import { endChannel, relayCommand } from './relay.ts';
import { collect, openCommand, type Terminal } from './run.ts';
import type { ShellClassification } from './shell/index.ts';
import type { ClientChannel, ServerChannel } from './ssh2.ts';

/** What a judged shell is made of. */
export interface ShellOptions {
  readonly opened: Opened;
  readonly channel: ServerChannel;
  /** Of the shell itself; each line has one of its own. */
  readonly permit: Permit<OperationPlan>;
  readonly terminal: () => Terminal | undefined;
  readonly variables: ReadonlyMap<string, string>;
  /** Told of what runs, for signals and sizes. */
  readonly running: (remote: ClientChannel | undefined, decisionId: string) => void;
  readonly clock: Clock;
  readonly limits: Limits;
}

const greeting = 'sallyport: every line is judged and run by itself; `cd` alone on a line is kept, `exit` leaves.\r\n';

/** Serves the shell until the client leaves it. Never rejects. */
export function serveShell(options: ShellOptions): Promise<Outcome> {
  return new JudgedShell(options).run();
}

class JudgedShell {
  readonly #options: ShellOptions;
  readonly #editor: LineEditor;
  /** Keys that came while nobody could read them. */
  #keys: Buffer = Buffer.alloc(0);
  #cwd: string | undefined;
  #status = 0;

  constructor(options: ShellOptions) {
    this.#options = options;
    const { sshLineLengthMax: lengthMax, sshLineHistoryMax: historyMax } = options.limits;
    this.#editor = new LineEditor({ lengthMax, historyMax });
  }

  async run(): Promise<Outcome> {
    const { channel, opened } = this.#options;
    const { session } = opened;
    this.#cwd = (await opened.shell).home;
    channel.write(greeting);
    while (channel.writable && !session.signal.aborted) {
      channel.write(this.#prompt());
      const line = await this.#readLine();
      if (line === undefined || /^\s*(exit|logout)\s*$/.test(line)) break;
      if (line.trim() !== '') await this.#runLine(line);
    }
    if (session.signal.aborted && channel.stderr.writable) {
      channel.stderr.write(refusalText(session.signal.reason as Refusal, true));
    }
    if (channel.writable) await endChannel(channel, { code: this.#status });
    return { status: session.signal.aborted ? 'aborted' : 'ok' };
  }

  #prompt(): string {
    const { upstream, login } = this.#options.opened.target;
    return `${login}@${upstream.name}:${this.#cwd ?? '?'}$ `;
  }

  /** The next line, or undefined when there is none to come. */
  #readLine(): Promise<string | undefined> {
    const { channel, opened } = this.#options;
    return new Promise((resolve) => {
      const settle = (line: string | undefined) => {
        channel.removeListener('data', take);
        channel.removeListener('end', gone);
        channel.removeListener('close', gone);
        opened.session.signal.removeEventListener('abort', gone);
        channel.pause();
        resolve(line);
      };
      const gone = () => settle(undefined);
      const take = (keys: Buffer) => {
        const { show, event, rest } = this.#editor.push(keys);
        if (show !== '') channel.write(show);
        if (event === undefined) return;
        this.#keys = Buffer.from(rest);
        settle(event.kind === 'line' ? event.text : event.kind === 'interrupt' ? '' : undefined);
      };
      channel.on('end', gone);
      channel.on('close', gone);
      opened.session.signal.addEventListener('abort', gone, { once: true });
      const waiting = this.#keys;
      this.#keys = Buffer.alloc(0);
      channel.on('data', take);
      if (waiting.length > 0) take(waiting);
      if (this.#keys.length === 0 && channel.listenerCount('data') > 0) channel.resume();
    });
  }

  async #runLine(line: string): Promise<void> {
    const { opened, channel, variables, clock, limits, running } = this.#options;
    const { session } = opened;
    const shell = await opened.shell;
    const place = await opened.place();
    const result = opened.classify(line, shell, { cwd: this.#cwd, pty: true });
    const facts =
      'fault' in result
        ? faultFacts({ action: 'exec', text: line, fault: result.fault }, place)
        : commandFacts(
            { name: 'exec', text: line, classification: result, pty: true, environment: [...variables.keys()] },
            place,
          );
    const answer = await session.authorize({ facts });
    if ('refusal' in answer || 'fault' in result) {
      if ('refusal' in answer) this.#refuse(line, answer.refusal);
      return;
    }
    const { permit } = answer;
    session.record({
      decisionId: permit.decisionId,
      kind: 'command',
      data: { kind: 'exec', text: redactCommand(line, permit.plan.masks), pty: size(this.#options.terminal()) },
    });
    let outcome: Outcome = { status: 'error', code: 'upstream_unavailable' };
    try {
      const link = await opened.link;
      const command = { text: line, classification: result, place, cwd: this.#cwd, variables };
      if (isChange(result)) {
        outcome = await this.#changeDirectory(
          await openCommand(link, { ...command, terminal: undefined, asks: 'pwd' }),
        );
        return;
      }
      const upstream = await openCommand(link, { ...command, terminal: this.#options.terminal() });
      running(upstream, permit.decisionId);
      outcome = await relayCommand({
        ...{ session, permit, client: channel, upstream, clock, limits },
        ...{ terminal: true, input: 'client', ends: false },
      });
      this.#status = Number(outcome.code) || 0;
    } catch {
      channel.stderr.write('sallyport: the host did not run the command (upstream_unavailable)\r\n');
    } finally {
      running(undefined, permit.decisionId);
      permit.complete(outcome);
    }
  }

  #refuse(line: string, refusal: Refusal): void {
    const { opened, channel } = this.#options;
    const { decisionId, code, policy, message } = refusal;
    opened.session.record({
      decisionId,
      kind: 'command',
      data: { kind: 'exec', text: redactCommand(line), pty: null },
    });
    opened.session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message } });
    if (channel.stderr.writable) channel.stderr.write(refusalText(refusal, true));
    this.#status = 126;
  }

  /** Where the host says that `cd` led; links are followed, so that the next line's paths are what they seem. */
  async #changeDirectory(remote: ClientChannel): Promise<Outcome> {
    const { stdout, stderr, code } = await collect(remote, this.#options.limits.sshShellProbeBytesMax);
    const directory = stdout.replace(/\n$/, '');
    this.#status = code ?? 1;
    if (code === 0 && directory.startsWith('/') && !directory.includes('\n')) {
      this.#cwd = directory;
      return { status: 'ok', code: '0' };
    }
    this.#options.channel.stderr.write(stderr.replace(/\r?\n/g, '\r\n'));
    return { status: 'error', code: String(code) };
  }
}

/** `cd` and nothing else. */
function isChange({ commands, canonical }: ShellClassification): boolean {
  const [only, ...others] = commands;
  return only?.name === 'cd' && others.length === 0 && only.wrappers.length === 0 && canonical !== undefined;
}

function size(terminal: Terminal | undefined) {
  return terminal === undefined ? null : { cols: terminal.cols, rows: terminal.rows, term: terminal.term };
}

/**
 * What a login's shell is, asked once in a while: whether it reads a command as it was judged. What its start-up files
 * did is in the answer: a function or alias would stand in the place of a program, an option change what words mean.
 */
import { GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Masker } from '../../core/masker.ts';
import type { Clock, Gateway } from '../../core/ports.ts';
import type { Identity } from '../../core/types.ts';
import { type Place, probeFacts } from './facts.ts';
import { supports } from './plan.ts';
import type { SshTarget } from './target.ts';
import type { SshLink } from './upstream.ts';

/** A login shell as it was found. */
export interface LoginShell {
  readonly kind: Place['shell'];
  /** Why it is not verified, as a stable word; empty when it is. */
  readonly reason: string;
  /** As the shell has them; absent when it is not verified. */
  readonly home: string | undefined;
  readonly user: string | undefined;
}

/** Who the gateway is when it asks a host something on its own behalf. */
export const gatewayIdentity: Identity = {
  type: 'gateway',
  issuer: 'sallyport',
  id: 'sallyport',
  groups: [],
  claims: {},
  chain: [],
  expiresAtMs: Number.POSITIVE_INFINITY,
};

/**
 * The question, in words that bash, dash, ash, ksh and zsh read alike: a line a fact. It names what could make a command
 * mean something else than it says: functions, aliases, traps, options, and variables that shells and loaders obey.
 */
export const probeText = [
  `printf 'sallyport=1\\n'`,
  `printf 'shell=%s\\n' "\${BASH_VERSION:+bash}\${ZSH_VERSION:+zsh}\${KSH_VERSION:+ksh}"`,
  `printf 'exe=%s\\n' "$(command -p readlink "/proc/$$/exe" 2>/dev/null)"`,
  `printf 'options=%s\\n' "$-"`,
  `printf 'home=%s\\n' "$HOME"`,
  `printf 'user=%s\\n' "\${USER:-}"`,
  `printf 'cwd=%s\\n' "$PWD"`,
  `printf 'functions=%s\\n' "$(typeset -F 2>/dev/null | command -p wc -l)"`,
  `printf 'aliases=%s\\n' "$(alias 2>/dev/null | command -p wc -l)"`,
  `printf 'traps=%s\\n' "$(trap | command -p wc -l)"`,
  `printf 'words=%s\\n' "$(for word in exec export printf command cd eval set unset trap '[' test true; do command -V "$word" 2>/dev/null; done | command -p grep -c -i function)"`,
  `command -p env | command -p sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/variable=\\1/p; s/^\\(BASH_FUNC_[^=]*\\)=.*/variable=\\1/p'`,
  `printf 'end=1\\n'`,
].join('; ');

/** The login shells of all targets, each looked at when it is first needed and again when that was long ago. */
export class LoginShells {
  readonly #options: { readonly clock: Clock; readonly limits: Limits; readonly masker: Masker };
  readonly #connect: (target: SshTarget) => Promise<SshLink>;
  /** By upstream and login, written as JSON so that no joined name can mean two things. */
  readonly #known = new Map<string, { readonly askedAtMs: number; readonly shell: Promise<LoginShell> }>();

  constructor(
    options: { readonly clock: Clock; readonly limits: Limits; readonly masker: Masker },
    connect: (target: SshTarget) => Promise<SshLink>,
  ) {
    this.#options = options;
    this.#connect = connect;
  }

  /** Never rejects: a shell that cannot be asked is not verified. */
  get(target: SshTarget, gateway: Gateway): Promise<LoginShell> {
    const { clock, limits } = this.#options;
    const key = JSON.stringify([target.upstream.name, target.login]);
    const known = this.#known.get(key);
    if (known !== undefined && clock.monotonicMs() - known.askedAtMs < limits.sshShellProbeMs) return known.shell;
    const shell = this.#ask(target, gateway).catch((): LoginShell => {
      // Not believed for long: the host may be back in a moment.
      this.#known.delete(key);
      return unverified('not_answered');
    });
    this.#known.set(key, { askedAtMs: clock.monotonicMs(), shell });
    return shell;
  }

  /** A session of the gateway's own, with one operation in it, judged and audited like everybody's. */
  async #ask(target: SshTarget, gateway: Gateway): Promise<LoginShell> {
    const { masker } = this.#options;
    const opened = await gateway.open({
      protocol: 'ssh',
      upstream: target.upstream.name,
      identity: gatewayIdentity,
      clientAddress: '',
      application: 'sallyport login shell',
      requested: { login: target.login, host: target.upstream.host },
      supports,
    });
    if ('refusal' in opened) throw new GatewayError('upstream_unavailable', opened.refusal.message);
    const { session } = opened;
    let link: SshLink | undefined;
    try {
      const { config } = session;
      const place: Place = { target, shell: 'unverified', config, masker, upstreamAt: () => undefined };
      const answer = await session.authorize({ facts: probeFacts(probeText, place) });
      if ('refusal' in answer) throw new GatewayError('upstream_unavailable', answer.refusal.message);
      try {
        link = await this.#connect(target);
        const shell = readAnswer(await this.#run(link));
        answer.permit.complete({ status: 'ok', code: shell.reason === '' ? shell.kind : shell.reason });
        return shell;
      } catch (thrown) {
        answer.permit.complete({ status: 'error' });
        throw thrown;
      }
    } finally {
      link?.end();
      await session.close({ status: 'ok' });
    }
  }

  #run(link: SshLink): Promise<string> {
    const { sshShellProbeTimeoutMs, sshShellProbeBytesMax } = this.#options.limits;
    return new Promise((resolve, reject) => {
      const fail = () => reject(new GatewayError('upstream_unavailable', 'The login shell did not answer.'));
      const timer = setTimeout(fail, sshShellProbeTimeoutMs);
      link.client.exec(probeText, (error, channel) => {
        if (error !== undefined) {
          clearTimeout(timer);
          fail();
          return;
        }
        let text = '';
        channel.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (text.length > sshShellProbeBytesMax) channel.close();
        });
        channel.stderr.resume();
        channel.once('close', () => {
          clearTimeout(timer);
          resolve(text);
        });
        channel.end();
      });
    });
  }
}

/** Variables that make a shell, a loader or an interpreter run or read something else than a command says. */
const obeyed =
  /^(BASH_ENV|ENV|BASH_FUNC_.*|SHELLOPTS|BASHOPTS|POSIXLY_CORRECT|IFS|CDPATH|GLOBIGNORE|PS4|PROMPT_COMMAND|LD_.*|GCONV_PATH|LOCPATH|NLSPATH|MALLOC_.*|PYTHON.*|PERL.*|RUBY.*|NODE_.*|GIT_.*|LESSOPEN|LESSCLOSE|PAGER|MANPAGER|EDITOR|VISUAL|TAR_OPTIONS|GREP_OPTIONS|RSYNC_.*|JAVA_TOOL_OPTIONS)$/;

/** Shells without functions, aliases or start-up files when they are given a command: nothing of theirs is listed. */
const plainShells: ReadonlySet<string> = new Set(['dash', 'busybox', 'sh']);

/** Reads an answer to {@link probeText}; whatever is not exactly one is not verified. */
export function readAnswer(text: string): LoginShell {
  const lines = text.split('\n');
  const facts = new Map<string, string>();
  const variables: string[] = [];
  for (const line of lines) {
    const equals = line.indexOf('=');
    const name = line.slice(0, Math.max(equals, 0));
    const value = line.slice(equals + 1);
    if (name === 'variable') variables.push(value);
    else if (facts.has(name)) return unverified('unexpected_output');
    else facts.set(name, value);
  }
  const [first] = lines;
  // What a start-up file prints comes first, and would be in every command's output.
  if (first !== 'sallyport=1' || lines.at(-2) !== 'end=1' || lines.at(-1) !== '')
    return unverified('unexpected_output');
  const fact = (name: string) => facts.get(name) ?? '';
  const exe = fact('exe').slice(fact('exe').lastIndexOf('/') + 1);
  const kind =
    fact('shell') === 'bash' && exe === 'bash' ? 'bash' : fact('shell') === '' && plainShells.has(exe) ? 'sh' : '';
  if (kind === '') return unverified('unknown_shell');
  if (count(fact('functions')) !== 0 || count(fact('words')) !== 0) return unverified('functions');
  if (count(fact('aliases')) !== 0) return unverified('aliases');
  if (count(fact('traps')) !== 0) return unverified('traps');
  // bash: hash commands, expand braces, -c; dash says nothing but -c at most.
  if (!/^[hBcs]*$/.test(fact('options'))) return unverified('options');
  if (variables.some((name) => obeyed.test(name))) return unverified('environment');
  const home = fact('home');
  if (!/^\/[^\0]*$/.test(home) || fact('cwd') !== home) return unverified('home');
  return { kind, reason: '', home, user: fact('user') };
}

function count(text: string): number {
  return /^\s*\d+\s*$/.test(text) ? Number(text) : Number.NaN;
}

function unverified(reason: string): LoginShell {
  return { kind: 'unverified', reason, home: undefined, user: undefined };
}

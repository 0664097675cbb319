/** One command while it is being understood: what its tool's table says is gathered here, and then recorded. */
import { limits } from '../../../core/limits.ts';
import type { FileAccess, FileUse } from './classification.ts';
import { destination, parsePort } from './destinations.ts';
import type { Arg, Engine, Frame, PrintedCommand, Ran } from './engine.ts';
import { canonicalPath } from './paths.ts';
import { agreeing, elsewhere, type Outcome, type State, unchanged } from './state.ts';

const standardDirectories = new Set(['/bin', '/usr/bin', '/sbin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin']);

/** Gathers the facts of one command. */
export class Call {
  readonly engine: Engine;
  readonly frame: Frame;
  /** Where it runs; `git -C` and its like change it. */
  state: State;
  /** The words to be printed; scripts in them are replaced by their canonical form. */
  readonly args: Arg[];
  /** Last part of the program's path; empty when dynamic. */
  readonly name: string;
  readonly files: FileUse[] = [];
  readonly subcommands: string[] = [];
  readonly assigned: string[] = [];
  runAs: string | undefined;
  /** Its command inherits no environment. */
  clears = false;
  known = true;
  /** Something it starts was recorded in its place. */
  peeled = false;
  /** Its here-document was its script. */
  inputTaken = false;

  constructor(args: readonly Arg[], state: State, frame: Frame, engine: Engine) {
    this.args = [...args];
    this.state = state;
    this.frame = frame;
    this.engine = engine;
    this.name = this.#programName();
  }

  #programName(): string {
    const program = this.args[0];
    if (program === undefined || program.dynamic) {
      this.note('dynamic_command');
      return '';
    }
    const { value: path } = program;
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const plain = /^(?:[A-Za-z0-9_][\w.+-]*|\[|:)$/.test(name);
    if (!plain || (slash >= 0 && !standardDirectories.has(path.slice(0, slash)))) this.note('program_path');
    return name;
  }

  /** Whether the shell itself may be what carries it out. */
  get inShell(): boolean {
    return !this.frame.external && this.args[0]?.value === this.name;
  }

  /** Something of it is not accounted for. */
  note(word: string): void {
    this.engine.report.note(word);
  }

  /** An option, operand or subcommand that the tables do not have. */
  unknown(word: 'unknown_option' | 'unknown_operand' | 'unknown_subcommand' | 'unknown_command'): void {
    this.known = false;
    this.note(word);
  }

  /** The word at a place, when it is there and not dynamic. */
  text(index: number): string | undefined {
    const arg = this.args[index];
    return arg === undefined || arg.dynamic ? undefined : arg.value;
  }

  /** What it starts runs as somebody: a name, or a number as docker and kubectl take it, with or without a group. */
  become(user: string): void {
    const [, name = user] = /^([^:]*):[\w.-]*$/.exec(user) ?? [];
    this.runAs = /^[#+]?0+$/.test(name) ? 'root' : name;
    if (name !== '' && !/^[\w][\w.-]*$/.test(name)) this.unknown('unknown_operand');
  }

  /** It touches a file; with `tree`, also everything below. */
  file(path: string, access: FileAccess, tree = false): void {
    const { path: canonical, doubt } = canonicalPath(path, this.state.cwd);
    if (doubt !== undefined) this.note(doubt);
    if (path === '') this.note('unknown_operand');
    // gawk opens these as sockets.
    if (/^\/inet[46]?(?:\/|$)/.test(canonical)) this.note('dev_tcp');
    this.files.push(tree ? { path: canonical, access, tree } : { path: canonical, access });
  }

  /** It makes a link of that name, or in a folder of that name. */
  link(path: string): void {
    this.engine.report.links.push(canonicalPath(path, this.state.cwd).path);
  }

  /** It goes to a host; which one must be said plainly. */
  destination(host: string, port: string | number | undefined, via = this.name): void {
    const number = typeof port === 'string' ? parsePort(port) : port;
    const found = destination(host, number, via);
    if (found.dynamic) this.note('destination');
    this.engine.report.destinations.push(found);
  }

  /** Replaces the end of a word by the canonical form of what it says. */
  rewrite(index: number, offset: number, value: string): void {
    const arg = this.args[index];
    if (arg !== undefined) this.args[index] = { value: arg.value.slice(0, offset) + value, dynamic: arg.dynamic };
  }

  /** The frame of what it starts. */
  inner(): Frame {
    this.peeled = true;
    const { frame } = this;
    return {
      ...frame,
      wrappers: [...frame.wrappers, this.name],
      runAs: this.runAs ?? frame.runAs,
      files: [...frame.files, ...this.files],
      assigned: [...frame.assigned, ...this.assigned],
      dynamic: frame.dynamic || (this.args[0]?.dynamic ?? true),
      external: true,
      loop: 'none',
      depth: frame.depth + 1,
    };
  }

  /** The state of a shell that it starts: only what is in the environment is known there. */
  childState(other: boolean): State {
    if (other) return elsewhere(this.state);
    const kept =
      this.runAs === undefined && !this.clears && this.assigned.length === 0 && this.frame.runAs === undefined;
    const variables = kept ? agreeing(this.engine.environment, this.state.variables) : new Map<string, string>();
    return { cwd: this.state.cwd, variables, parameters: [], errexit: false };
  }

  /** It runs another command, which begins at a place in its words. */
  runRest(index: number, other = false, external = true): Outcome {
    const state = other ? elsewhere(this.state) : this.state;
    if (!this.#mayGoDeeper()) return unchanged(this.state);
    const ran = this.engine.runArgs(this.args.slice(index), state, { ...this.inner(), external });
    this.args.splice(index, this.args.length - index, ...ran.printed.args);
    this.inputTaken = ran.printed.inputTaken;
    return ran.outcome;
  }

  /** It runs a command that stands somewhere between its own words, as many of them before as after. */
  runBetween(from: number, to: number, command: readonly Arg[]): void {
    if (!this.#mayGoDeeper()) return;
    const ran = this.engine.runArgs(command, this.state, { ...this.inner(), input: undefined });
    if (ran.printed.args.length !== to - from) this.note('too_much');
    else this.args.splice(from, to - from, ...ran.printed.args);
  }

  /** It hands a text to a shell; `bash` when it is certain that this one reads it. */
  runText(text: string, state: State, bash = false): Ran<string> {
    if (!this.#mayGoDeeper()) return { printed: '', outcome: unchanged(state) };
    return this.engine.runText(text, state, { ...this.inner(), external: false, input: undefined, bash });
  }

  #mayGoDeeper(): boolean {
    if (this.frame.depth < limits.shellDepthMax) return true;
    this.note('too_much');
    return false;
  }

  /** Ends it: it is recorded, unless what it started was. */
  done(outcome: Outcome = unchanged(this.state)): Ran<PrintedCommand> {
    if (!this.peeled) this.record();
    return { printed: { args: this.args, inputTaken: this.inputTaken }, outcome };
  }

  /** Puts it among the commands of the text. */
  record(): void {
    const { args, frame, name } = this;
    this.engine.report.commands.push({
      name,
      path: args[0]?.value ?? '',
      argv: args.map(({ value }) => value),
      dynamic: frame.dynamic || args.some(({ dynamic }) => dynamic),
      assigned: [...frame.assigned, ...this.assigned],
      redirects: frame.redirects,
      wrappers: frame.wrappers,
      runAs: this.runAs ?? frame.runAs,
      subcommands: this.subcommands,
      files: [...frame.files, ...this.files],
      known: this.known,
    });
  }
}

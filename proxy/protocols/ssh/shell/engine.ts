/** The parts of the walk that call each other in circles, by the one interface they know each other through. */
import type { FileUse, Redirect } from './classification.ts';
import type { Report } from './report.ts';
import type { Outcome, State } from './state.ts';
import type { ToolSpec } from './tools/spec.ts';

/** One word of a command after expansion; a dynamic one stands as it was written. */
export interface Arg {
  readonly value: string;
  readonly dynamic: boolean;
}

/** Where a command stands: what is around it. */
export interface Frame {
  readonly wrappers: readonly string[];
  readonly runAs: string | undefined;
  /** Redirections of the groups around it, and of itself. */
  readonly redirects: readonly Redirect[];
  /** Files that what is around it names. */
  readonly files: readonly FileUse[];
  /** Variables set for it alone. */
  readonly assigned: readonly string[];
  /** Something around it is known only when it runs. */
  readonly dynamic: boolean;
  /** It is started by another program, where a shell's own commands do not exist. */
  readonly external: boolean;
  /** Something asks whether it failed, so that `set -e` does not count. */
  readonly guarded: boolean;
  /** The innermost loop: one that is printed as a loop, or one that is printed as the commands it would run. */
  readonly loop: 'none' | 'printed' | 'unrolled';
  /** The text of a here-document on its standard input. */
  readonly input: string | undefined;
  /** Inside how many `sh -c`, `eval` and their like. */
  readonly depth: number;
  /** It talks to a terminal. */
  readonly pty: boolean;
  /** bash reads the text that it stands in. Of any other shell only what all of them read alike is known. */
  readonly bash: boolean;
}

/** What became of a command or a text. */
export interface Ran<Printed> {
  /** It again, in canonical form; of no meaning once something was noted. */
  readonly printed: Printed;
  readonly outcome: Outcome;
}

/** The words of a command as they are printed again, and what follows it there. */
export interface PrintedCommand {
  readonly args: readonly Arg[];
  /** Its standard input became its script: print `0</dev/null` in place of the here-document. */
  readonly inputTaken: boolean;
}

/** What every part may call. */
export interface Engine {
  readonly report: Report;
  readonly tools: ReadonlyMap<string, ToolSpec>;
  /** Variables that every command inherits, with their values. */
  readonly environment: ReadonlyMap<string, string>;
  /** Walks a shell text inside another one. */
  runText(text: string, state: State, frame: Frame): Ran<string>;
  /** Walks one command given by its words. */
  runArgs(args: readonly Arg[], state: State, frame: Frame): Ran<PrintedCommand>;
}

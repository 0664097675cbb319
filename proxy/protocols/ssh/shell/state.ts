/**
 * What is known of the shell while a text is walked: where it stands and what its variables hold. Values are
 * immutable; a branch takes the same one and what comes back is merged.
 */

/** Known facts at one point of a text. A variable that is absent may hold anything, or be unset. */
export interface State {
  readonly cwd: string | undefined;
  readonly variables: ReadonlyMap<string, string>;
  readonly parameters: readonly string[];
  /** `set -e`: a command that fails, where nothing asks whether it did, ends the shell. */
  readonly errexit: boolean;
}

/** The two ways out of a command: `cd /x && a || b` runs `a` in one directory and `b` perhaps in another. */
export interface Outcome {
  readonly ok: State;
  readonly fail: State;
}

/** Both ways out of a command that changes nothing of the shell. */
export const unchanged = (state: State): Outcome => ({ ok: state, fail: state });

/** The state behind `exit`: nothing runs there. */
export const never: State = { cwd: undefined, variables: new Map(), parameters: [], errexit: false };

/** What holds whichever of two states is the true one. */
export function merge(a: State, b: State): State {
  if (a === b || b === never) return a;
  if (a === never) return b;
  return {
    cwd: a.cwd === b.cwd ? a.cwd : undefined,
    variables: agreeing(a.variables, b.variables),
    parameters: a.parameters,
    errexit: a.errexit && b.errexit,
  };
}

/** What holds after a command, whether it succeeded or failed. */
export const either = (outcome: Outcome): State => merge(outcome.ok, outcome.fail);

/** The state of a command that runs elsewhere or as somebody else: nothing is known of its place. */
export const elsewhere = (state: State): State => ({
  cwd: undefined,
  variables: new Map(),
  parameters: state.parameters,
  errexit: false,
});

/** The state with one variable set, or forgotten when its value is undefined. */
export function assign(state: State, name: string, value: string | undefined): State {
  const variables = new Map(state.variables);
  if (value === undefined) variables.delete(name);
  else variables.set(name, value);
  return { ...state, variables };
}

/** Entries that two maps have alike. */
export function agreeing(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (a === b) return a;
  return new Map([...a].filter(([name, value]) => b.get(name) === value));
}

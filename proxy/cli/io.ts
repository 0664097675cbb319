/** What a subcommand reads and writes besides its arguments, so that tests can stand in for the terminal. */
export interface Io {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A subcommand. @returns its exit code: 0, 1 when it failed, 2 when it was called wrongly. */
export type Command = (args: readonly string[], io: Io) => Promise<number>;

/** Wrong arguments: the message says what was expected. The exit code is 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** One defence, and how to switch it off. */
export interface Mutant {
  /** What is lost without it, in a few words. Unique. */
  readonly name: string;
  /** Path from the repository's root. */
  readonly file: string;
  /** Must be in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Test files without extension: of `test/bypass/`, or with their folder below `test/`. The fastest that notices. */
  readonly tests: readonly string[];
  /** Which of their tests to run, as a regular expression: those that must notice, and some that must still pass. */
  readonly only?: string;
}

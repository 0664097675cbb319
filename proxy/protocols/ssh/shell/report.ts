/** What a walk over one text gathers. */
import { limits } from '../../../core/limits.ts';
import type { Destination, ShellCommand, Transfer } from './classification.ts';

/** Collects facts, counts work, and remembers everything that was not accounted for. */
export class Report {
  readonly commands: ShellCommand[] = [];
  readonly destinations: Destination[] = [];
  transfer: Transfer | undefined;
  readonly #incomplete = new Set<string>();
  #steps = 0;

  /** Something of the text is not accounted for; `word` is one of README.md's. */
  note(word: string): void {
    this.#incomplete.add(word);
  }

  get complete(): boolean {
    return this.#incomplete.size === 0;
  }

  /** The words noted so far, sorted. */
  get incomplete(): readonly string[] {
    return [...this.#incomplete].sort();
  }

  /**
   * Takes one step of the work that a text may cost.
   *
   * @returns false when there is none left, which is noted
   */
  step(): boolean {
    this.#steps++;
    if (this.#steps <= limits.shellStepsMax) return true;
    this.note('too_much');
    return false;
  }

  get steps(): number {
    return this.#steps;
  }
}

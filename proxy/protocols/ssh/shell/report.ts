/** What a walk over one text gathers. */
import { limits } from '../../../core/limits.ts';
import type { Destination, ShellCommand, Transfer } from './classification.ts';

/** Tools that make links. */
const makers = new Set(['ln', 'link']);

/** Collects facts, counts work, and remembers everything that was not accounted for. */
export class Report {
  readonly commands: ShellCommand[] = [];
  readonly destinations: Destination[] = [];
  transfer: Transfer | undefined;
  /** Names that the text makes for something else. */
  readonly links: string[] = [];
  readonly #incomplete = new Set<string>();
  #steps = 0;

  /** Something of the text is not accounted for; `word` is one of README.md's. */
  note(word: string): void {
    this.#incomplete.add(word);
  }

  /** Once all commands are there: what they find behind a link of the text's own is not what they name. */
  noteLinks(): void {
    if (this.links.length === 0) return;
    const links = new Set(this.links);
    const uses = this.commands.flatMap(({ name, files }) => files.map((use) => ({ ...use, makes: makers.has(name) })));
    // The name itself, as the one that makes it writes it, is no use of it.
    const used = uses.filter(({ access, makes, path }) => !(makes && access === 'write' && links.has(path)));
    const trees = new Set(used.flatMap(({ path, tree }) => (tree ? [path] : [])));
    const isBehind = isAtOrBelow(links);
    const isWithin = isAtOrBelow(trees);
    if (used.some(({ path }) => isBehind(path)) || this.links.some(isWithin)) this.note('linked_path');
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

/** Whether a path is one of some, or below one; in as many looks as those have different lengths. */
function isAtOrBelow(places: ReadonlySet<string>): (path: string) => boolean {
  const lengths = [...new Set([...places].map(({ length }) => length))];
  return (path) =>
    places.has('/') ||
    places.has(path) ||
    lengths.some((length) => path[length] === '/' && places.has(path.slice(0, length)));
}

/** The words of a command as options and operands, the way getopt reads them, by what a spec knows. */
import type { Arg } from './engine.ts';
import type { Role, ToolSpec } from './tools/spec.ts';

/** A part of a word that means something to the tool: where it stands, and what it is. */
export interface Use {
  readonly role: Role;
  /** The word it is in, by its place in argv. */
  readonly index: number;
  /** Characters of that word in front of it: `--file=` of `--file=x`. */
  readonly offset: number;
  readonly value: string;
  readonly dynamic: boolean;
}

/** What options and operands there are. */
export interface ParsedOptions {
  /** Names of the options that were given, as written. */
  readonly names: readonly string[];
  readonly uses: readonly Use[];
  /** Operands by their places in argv. */
  readonly operands: readonly number[];
  /** Some option is not in the spec, or lacks its value. */
  readonly unknown: boolean;
}

/** A spec's options in the form in which they are looked up. */
interface OptionTable {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, Role>;
  readonly attached: ReadonlyMap<string, Role>;
}

const tables = new WeakMap<ToolSpec, OptionTable>();

const words = (text: string | undefined): readonly string[] => text?.split(/\s+/).filter((word) => word !== '') ?? [];

function tableOf(spec: ToolSpec): OptionTable {
  const known = tables.get(spec);
  if (known !== undefined) return known;
  const values = new Map<string, Role>();
  const attached = new Map<string, Role>();
  for (const [names, role] of Object.entries(spec.values ?? {})) {
    for (const name of words(names)) {
      if (name.endsWith('?')) attached.set(name.slice(0, -1), role);
      else values.set(name, role);
    }
  }
  const table = { flags: new Set(words(spec.flags)), values, attached };
  tables.set(spec, table);
  return table;
}

class OptionReader {
  readonly names: string[] = [];
  readonly uses: Use[] = [];
  readonly operands: number[] = [];
  unknown = false;
  readonly #args: readonly Arg[];
  readonly #table: OptionTable;
  readonly #spec: ToolSpec;

  constructor(args: readonly Arg[], spec: ToolSpec) {
    this.#args = args;
    this.#spec = spec;
    this.#table = tableOf(spec);
  }

  read(from: number): void {
    for (let index = from; index < this.#args.length; index++) {
      const { value: word, dynamic } = this.#args[index] ?? { value: '', dynamic: true };
      if (word === '--') {
        this.#rest(index + 1);
        return;
      }
      if (dynamic || word === '-' || !word.startsWith('-')) {
        if (this.#spec.optionsFirst || this.#spec.subcommands !== undefined) {
          this.#rest(index);
          return;
        }
        this.operands.push(index);
      } else if (word.startsWith('--') || this.#spec.singleDash) index = this.#long(word, index);
      else index = this.#short(word, index);
    }
  }

  #rest(from: number): void {
    for (let index = from; index < this.#args.length; index++) this.operands.push(index);
  }

  #long(word: string, index: number): number {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const { flags, values, attached } = this.#table;
    this.names.push(name);
    const valued = values.get(name);
    const role = valued ?? attached.get(name);
    if (equals >= 0) {
      if (role === undefined) this.unknown = true;
      else this.#use(role, index, equals + 1);
      return index;
    }
    if (valued !== undefined) return this.#next(valued, index);
    if (!flags.has(name) && !attached.has(name)) this.unknown = true;
    return index;
  }

  #short(word: string, index: number): number {
    if (this.#spec.digits && /^-\d+$/.test(word)) return index;
    for (let at = 1; at < word.length; at++) {
      const name = `-${word[at]}`;
      const { flags, values, attached } = this.#table;
      this.names.push(name);
      const valued = values.get(name);
      const role = valued ?? attached.get(name);
      if (role !== undefined && at + 1 < word.length) {
        this.#use(role, index, at + 1);
        return index;
      }
      if (valued !== undefined) return this.#next(valued, index);
      if (!flags.has(name) && !attached.has(name)) {
        this.unknown = true;
        return index;
      }
    }
    return index;
  }

  #next(role: Role, index: number): number {
    if (index + 1 >= this.#args.length) this.unknown = true;
    else this.#use(role, index + 1, 0);
    return index + 1;
  }

  #use(role: Role, index: number, offset: number): void {
    const arg = this.#args[index];
    if (arg === undefined) return;
    this.uses.push({ role, index, offset, value: arg.value.slice(offset), dynamic: arg.dynamic });
  }
}

/**
 * @param args the words of a command, the program first
 * @param spec of the tool
 * @param from the first word that is not the tool's name or a subcommand's
 */
export function parseOptions(args: readonly Arg[], spec: ToolSpec, from: number): ParsedOptions {
  const reader = new OptionReader(args, spec);
  reader.read(from);
  return reader;
}

/**
 * Gives operands their roles by a usage line such as `text input...`.
 *
 * @param line of the spec; a word that ends in `...` stands for any number, `?` for one or none
 * @returns the roles in order; undefined when there are more or fewer operands than the line takes
 */
export function operandRoles(line: string, count: number): readonly Role[] | undefined {
  const usage = words(line);
  const repeated = usage.findIndex(
    (word) => word.endsWith('...') || word === 'command' || word === 'remote_script' || word === 'script_words',
  );
  const plain = (word: string) => word.replace(/\.\.\.$|\?$/, '') as Role;
  const required = usage.filter((word, index) => index !== repeated && !word.endsWith('?')).length;
  if (count < required) return undefined;
  if (repeated < 0) return count > usage.length ? undefined : usage.slice(0, count).map(plain);
  const after = usage.length - repeated - 1;
  const before = Math.min(repeated, count - after);
  const role = plain(usage[repeated] ?? '');
  return [
    ...usage.slice(0, before).map(plain),
    ...Array.from({ length: Math.max(0, count - before - after) }, () => role),
    ...usage.slice(usage.length - after).map(plain),
  ].slice(0, count);
}

/** @returns whether one of the options of a list such as `-r --recursive` was given; `*` always is */
export function anyGiven(list: string | undefined, names: readonly string[]): boolean {
  return list === '*' || words(list).some((name) => names.includes(name));
}

import type { Classification, ClassifiedStatement } from './classification.ts';
import type { FieldDescription, Format } from './codec.ts';
import type { Token } from './lineage/tokens.ts';
import type { StatementText } from './statement-text.ts';

/** A classification that is not a fault. */
export type Classified = Extract<Classification, { readonly fingerprint: string }>;

/** What a name prepared by Parse or by SQL PREPARE stands for. */
export interface PreparedStatement {
  /** The query string that was prepared: for SQL PREPARE, the whole PREPARE statement. */
  readonly text: Uint8Array;
  /**
   * What made it. `prepare`: its classification is that of the statement inside. `declare`: it is a cursor,
   * which the server has planned already and a changed catalog cannot change.
   */
  readonly by: 'parse' | 'prepare' | 'declare';
  classification: Classified;
  /** Where the constants of the text are; `undefined`: where the literals of the classification say. */
  places: readonly Token[] | undefined;
  /** The text in the form that may be kept, for executions under the same decision. */
  statementText: StatementText | undefined;
  /** The classifier's and the session's epoch when it was last judged. */
  catalogEpoch: number;
  sessionEpoch: number;
  /** Parameter types, from Parse or a ParameterDescription; 0 where unknown. */
  parameterTypes: readonly number[];
  /** The columns of its result, once the upstream described them. */
  fields: readonly FieldDescription[] | undefined;
  /** A Describe that will tell `fields` is under way. */
  describing: boolean;
  /** What it makes the gateway hold. */
  readonly bytes: number;
}

/** What a portal, made by Bind or by SQL DECLARE, stands for. */
export interface Portal {
  readonly prepared: PreparedStatement;
  readonly resultFormats: readonly Format[];
  /** What was bound, for the upstream alone. */
  readonly bound: BoundValues;
  /** Parameters as the recording keeps them: masked ones hashed. Made when first asked for. */
  readonly parameters: () => readonly RecordedParameter[];
  fields: readonly FieldDescription[] | undefined;
  describing: boolean;
  /** Rows that went to the client over all its executions. */
  rows: number;
  /** It outlives its transaction. */
  readonly hold: boolean;
  /** What it makes the gateway hold. */
  readonly bytes: number;
}

/** Values that come apart from the text of a statement. */
export interface BoundValues {
  readonly values: readonly (Buffer | null)[];
  /** None (all text), one for all, or one for each. */
  readonly formats: readonly Format[];
}

/** One bound value as a recording may keep it. */
export interface RecordedParameter {
  readonly type: number;
  readonly format: Format;
  readonly value: string | null;
  readonly hashed: boolean;
}

/** A definition under way: it counts once the upstream confirms it, and never when it does not. */
export interface Pending<T> {
  /** `undefined`: every name (DEALLOCATE ALL, DISCARD ALL). */
  readonly name: string | undefined;
  /** `undefined`: the name is being closed. */
  readonly value: T | undefined;
  readonly group: number;
}

/**
 * The names of one kind on one connection, as the upstream will see them. PostgreSQL has one namespace for
 * Parse and PREPARE, and one for Bind and DECLARE, so each is one of these.
 *
 * A message may use a name whose definition is still on its way. Within one group (up to the next Sync, or
 * one simple query) that is sound: when the definition fails, everything behind it is skipped. Across groups
 * it is not: the name may keep its old meaning. Such a name is unsettled until the replies are in.
 */
export class Names<T extends { readonly bytes: number }> {
  readonly #max: number;
  readonly #bytesMax: number;
  readonly #settled = new Map<string, T>();
  readonly #pending: Pending<T>[] = [];

  #bytes = 0;

  /**
   * @param max - how many names may exist at once
   * @param bytesMax - past this many bytes held by what they stand for, no further one may be defined
   */
  constructor(max: number, bytesMax: number) {
    this.#max = max;
    this.#bytesMax = bytesMax;
  }

  get full(): boolean {
    return this.#settled.size + this.#pending.length >= this.#max || this.#bytes >= this.#bytesMax;
  }

  /** Defines (or, with `undefined`, closes) a name in a group; settled by `confirm` or `discard`. */
  define(name: string | undefined, value: T | undefined, group: number): Pending<T> {
    const pending = { name, value, group };
    this.#pending.push(pending);
    this.#bytes += value?.bytes ?? 0;
    return pending;
  }

  /**
   * SQL that is on its way may define or remove a name: until `discard`, only the replies can tell what it means.
   * Not even the group of that SQL knows: its names are those of PREPARE and DECLARE, which settle one by one.
   */
  unsettle(name: string | undefined): Pending<T> {
    return this.define(name, undefined, noGroup);
  }

  confirm(pending: Pending<T>): void {
    this.discard(pending);
    if (pending.name === undefined) return;
    this.#bytes -= this.#settled.get(pending.name)?.bytes ?? 0;
    if (pending.value === undefined) this.#settled.delete(pending.name);
    else {
      this.#bytes += pending.value.bytes;
      this.#settled.set(pending.name, pending.value);
    }
  }

  discard(pending: Pending<T>): void {
    const at = this.#pending.indexOf(pending);
    if (at < 0) return;
    this.#pending.splice(at, 1);
    this.#bytes -= pending.value?.bytes ?? 0;
  }

  /** What a name means to a message of `group` sent now, or that only the replies can tell. */
  find(name: string, group: number): { readonly value: T | undefined } | 'unsettled' {
    const last = this.#pending.findLast((pending) => pending.name === name || pending.name === undefined);
    if (last === undefined) return { value: this.#settled.get(name) };
    return last.group === group ? { value: last.value } : 'unsettled';
  }

  clear(): void {
    this.keep(() => false);
  }

  /** Forgets the settled names that the upstream has forgotten. */
  keep(lasts: (value: T) => boolean): void {
    for (const [name, value] of this.#settled) {
      if (lasts(value)) continue;
      this.#settled.delete(name);
      this.#bytes -= value.bytes;
    }
  }
}

/** Of a definition that no message may take for granted. */
const noGroup = -1;

/** The single statement of a prepared statement, or `undefined` for an empty one. */
export function statementOf(prepared: PreparedStatement): ClassifiedStatement | undefined {
  return prepared.classification.statements[0];
}

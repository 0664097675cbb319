import type { Decision } from '../../core/types.ts';
import type { ClassifiedStatement } from './classification.ts';
import { isSensitive, type Target, truncated } from './facts.ts';
import type { Token } from './lineage/tokens.ts';
import { hiddenLiterals, literalsOf, redactText } from './redact.ts';

/** The text of one operation, and the form of it that may be kept. */
export class StatementText {
  readonly #text: Buffer;
  readonly #statements: readonly ClassifiedStatement[];
  /** Where the literals of the statements are in this text; `undefined`: where they say. */
  readonly #places: readonly Token[] | undefined;
  /** What it was made for: another one, after labels changed, needs another text. */
  readonly target: Target;
  #kept: { readonly decision: Decision | undefined; readonly text: string } | undefined;

  constructor(
    text: Uint8Array,
    statements: readonly ClassifiedStatement[],
    places: readonly Token[] | undefined,
    target: Target,
  ) {
    this.#text = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
    this.#statements = statements;
    this.#places = places;
    this.target = target;
  }

  /** As it came: for policies that read it, and nobody else. */
  get original(): string {
    return this.#text.toString('utf8');
  }

  /** With every literal hashed that meets a sensitive column; bounded. Worked out once per decision. */
  kept(decision: Decision | undefined): string {
    if (this.#kept !== undefined && this.#kept.decision === decision) return this.#kept.text;
    const hidden = this.#hidden(decision);
    const places = this.#places ?? this.#statements.flatMap(literalsOf);
    const text = truncated(redactText(this.#text, places, hidden, this.target.hash));
    this.#kept = { decision, text };
    return text;
  }

  /** Statements, labels and decision are the same objects as long as nothing changed: looked up by identity. */
  #hidden(decision: Decision | undefined): readonly boolean[] {
    const { labels } = this.target;
    const known = hiddenByStatements.get(this.#statements);
    if (known !== undefined && known.labels === labels && known.decision === decision) return known.hidden;
    const hidden = hiddenLiterals(this.#statements, (column) => isSensitive(column, labels, decision));
    hiddenByStatements.set(this.#statements, { labels, decision, hidden });
    return hidden;
  }
}

const hiddenByStatements = new WeakMap<
  readonly ClassifiedStatement[],
  { readonly labels: Target['labels']; readonly decision: Decision | undefined; readonly hidden: readonly boolean[] }
>();

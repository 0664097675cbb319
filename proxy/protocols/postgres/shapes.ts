import type { Classification } from './classification.ts';
import { constantTokens, type Token } from './lineage/tokens.ts';
import { literalsOf } from './redact.ts';

/** A classification, and where the constants of this text are when they are not where its own literals say. */
export interface Shaped {
  readonly classification: Classification;
  /** In the order of the literals of all statements; `undefined`: the literals know themselves. */
  readonly constants: readonly Token[] | undefined;
}

interface Shape {
  /** Which constants had a say in the classification: their text is part of the key. */
  readonly telling: readonly number[];
  readonly byTelling: Map<string, Classification>;
}

const quote = 0x27;
const mark = '\0';

/**
 * Classifications shared by texts that differ in the values of inert constants only (`WHERE id = 7`, `WHERE id = 8`).
 * Sound because a text is looked up by everything else: its bytes between the constants, the kind of each
 * constant, and the text of each one that had a say.
 */
export class Shapes {
  readonly #entriesMax: number;
  readonly #textBytesMax: number;
  #shapes = new Map<string, Shape>();
  #entries = 0;
  #epoch = -1;

  /**
   * @param entriesMax - classifications kept; past it all are forgotten
   * @param textBytesMax - longer texts are not looked at
   */
  constructor(entriesMax: number, textBytesMax: number) {
    this.#entriesMax = entriesMax;
    this.#textBytesMax = textBytesMax;
  }

  /** Finds or makes the classification of a text. @param epoch - the classifier's, as it is now */
  classify(
    text: Buffer,
    epoch: number,
    classify: (text: Uint8Array) => Classification | Promise<Classification>,
  ): Shaped | Promise<Shaped> {
    if (epoch !== this.#epoch) this.#forget(epoch);
    if (text.length > this.#textBytesMax) return alone(classify(text));
    const constants = constantTokens(text);
    const key = shapeKey(text, constants);
    const shape = this.#shapes.get(key);
    const known = shape?.byTelling.get(tellingKey(text, constants, shape.telling));
    if (known !== undefined) return { classification: known, constants };
    const made = classify(text);
    if (made instanceof Promise) return alone(made);
    this.#keep(key, text, constants, made);
    return { classification: made, constants: undefined };
  }

  #keep(key: string, text: Buffer, constants: readonly Token[], made: Classification): void {
    if ('fault' in made || constants.length === 0 || !isPlain(made) || !matches(made, constants)) return;
    const telling = constants.flatMap(({ start }, index) => (made.inertConstants.has(start) ? [] : [index]));
    // When every constant has a say, the classifier's own cache by text does as well.
    if (telling.length === constants.length) return;
    if (this.#entries >= this.#entriesMax) this.#forget(this.#epoch);
    this.#entries += 1;
    let shape = this.#shapes.get(key);
    if (shape === undefined || shape.telling.join() !== telling.join()) {
      shape = { telling, byTelling: new Map() };
      this.#shapes.set(key, shape);
    }
    shape.byTelling.set(tellingKey(text, constants, telling), made);
  }

  #forget(epoch: number): void {
    this.#shapes = new Map();
    this.#entries = 0;
    this.#epoch = epoch;
  }
}

/** What defines or uses names keeps its own text: it may have to be classified again. */
function isPlain({ statements }: Extract<Classification, { fingerprint: string }>): boolean {
  return statements.every(({ control }) => control.type === 'none');
}

/** Each constant of the text is a literal of the classification, at the same place. */
function matches(
  classification: Extract<Classification, { fingerprint: string }>,
  constants: readonly Token[],
): boolean {
  const literals = classification.statements.flatMap(literalsOf);
  return (
    literals.length === constants.length &&
    literals.every(({ start, end }, index) => constants[index]?.start === start && constants[index].end === end)
  );
}

/** The text with each constant replaced by its kind; one whose kind depends on its value stays. */
function shapeKey(text: Buffer, constants: readonly Token[]): string {
  let key = '';
  let at = 0;
  for (const { start, end } of constants) {
    key += text.toString('latin1', at, start) + mark + kindOf(text, start, end);
    at = end;
  }
  return key + text.toString('latin1', at, text.length);
}

function kindOf(text: Buffer, start: number, end: number): string {
  if (text[start] === quote) return 's';
  // Up to nine digits are an integer; more may be a bigint or a numeric, other characters another type.
  if (end - start > 9) return text.toString('latin1', start, end);
  for (let at = start; at < end; at++) {
    const byte = text[at] ?? 0;
    if (byte < 0x30 || byte > 0x39) return text.toString('latin1', start, end);
  }
  return 'i';
}

function tellingKey(text: Buffer, constants: readonly Token[], telling: readonly number[]): string {
  let key = '';
  for (const index of telling) {
    const constant = constants[index];
    if (constant !== undefined) key += text.toString('latin1', constant.start, constant.end) + mark;
  }
  return key;
}

function alone(classification: Classification | Promise<Classification>): Shaped | Promise<Shaped> {
  if (classification instanceof Promise)
    return classification.then((made) => ({ classification: made, constants: undefined }));
  return { classification, constants: undefined };
}

/** What masking JSON should come to, said another way: parse, mask, and compare values. Slow, and short enough to be believed. */
import { createByteMasker } from '../../../proxy/core/masker/bytes.ts';
import type { JsonPath, JsonStep } from '../../../proxy/core/masker/json-path.ts';
import type { CompiledMask } from '../../../proxy/core/masker.ts';

/** A value with the text of its numbers, which `JSON.parse` would change. */
type Tree = null | boolean | string | Source | Tree[] | Map<string, Tree>;

class Source {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Parses a text, or says that it is no JSON. */
export function parsed(text: string): { readonly tree: Tree } | undefined {
  const reviver = (_: string, value: unknown, { source }: { readonly source?: string } = {}): unknown => {
    if (typeof value === 'number') return new Source(source ?? '');
    if (typeof value !== 'object' || value === null || value instanceof Source || Array.isArray(value)) return value;
    return new Map(Object.entries(value).map(([name, member]) => [name, member]));
  };
  try {
    return { tree: JSON.parse(text, reviver as (key: string, value: unknown) => unknown) as Tree };
  } catch {
    return undefined;
  }
}

/** What paths and detectors make of a value. */
export interface Reference {
  readonly paths: readonly (readonly [JsonPath, CompiledMask])[];
  readonly text?: ReadonlyMap<string, CompiledMask>;
}

/** The masked value; numbers that stay are `Source`s. */
export function masked(tree: Tree, reference: Reference): Tree {
  const starts = reference.paths.map(([path, mask]) => ({ steps: path.steps, mask }));
  return maskedAt(tree, starts, reference.text ?? new Map(), '\n');
}

interface Rest {
  readonly steps: readonly JsonStep[];
  readonly mask: CompiledMask;
}

function maskedAt(tree: Tree, rests: readonly Rest[], text: Reference['text'], before: string): Tree {
  const masks = rests.filter(({ steps }) => steps.length === 0).map(({ mask }) => mask);
  const mask = masks.find(({ kind }) => kind === 'constant') ?? (new Set(masks).size > 1 ? stars : masks[0]);
  if (mask?.kind === 'constant') return mask.value;
  if (Array.isArray(tree)) {
    if (mask !== undefined) return mask.tooLong;
    return tree.map((element) => maskedAt(element, below(rests, undefined), text, '\n'));
  }
  if (tree instanceof Map) {
    if (mask !== undefined) return mask.tooLong;
    return new Map(
      [...tree].map(([name, member]) => [
        found(name, text, '\n"') ?? name,
        maskedAt(member, below(rests, name), text, `\n"${name}":`),
      ]),
    );
  }
  if (tree === null) return null;
  if (typeof tree === 'boolean') return mask === undefined ? tree : mask.apply(String(tree));
  const value = typeof tree === 'string' ? tree : tree.text;
  const looked = found(value, text, typeof tree === 'string' ? `${before}"` : before);
  if (mask !== undefined) return mask.apply(looked ?? value);
  return looked ?? tree;
}

const stars: CompiledMask = { kind: 'constant', value: '***' };

function below(rests: readonly Rest[], name: string | undefined): Rest[] {
  return rests.flatMap((rest) => {
    const [step, ...steps] = rest.steps;
    if (step === undefined) return [];
    const stays = step.descends ? [rest] : [];
    return step.name === undefined || step.name === name ? [...stays, { steps, mask: rest.mask }] : stays;
  });
}

/** What detectors make of a text, if they find anything. */
function found(value: string, text: Reference['text'], before: string): string | undefined {
  if (text === undefined || text.size === 0 || !value.isWellFormed()) return undefined;
  const made = createByteMasker(text, { clock: { monotonicMs: () => 0 }, before: Buffer.from(before) });
  if ('error' in made) throw new Error(made.error);
  const out = Buffer.concat([...made.masker.push(Buffer.from(value)), ...made.masker.finish()]);
  return made.masker.matches > 0 ? out.toString('utf8') : undefined;
}

import { limits } from '../limits.ts';
import type { CompiledMask, Masker } from '../masker.ts';
import type { MaskMethod } from '../types.ts';

const known = new WeakMap<Masker, Map<string, ReadonlyMap<string, CompiledMask>>>();
const none: ReadonlyMap<string, CompiledMask> = new Map();

/**
 * The masks of a decision, made ready. Decisions that say the same get the same object, for which a finder keeps what it
 * has prepared: that is what makes masking cheap where every decision is a new one.
 */
export function compiledMasks(
  methods: ReadonlyMap<string, MaskMethod>,
  masker: Masker,
): ReadonlyMap<string, CompiledMask> {
  if (methods.size === 0) return none;
  const sets = known.get(masker) ?? new Map<string, ReadonlyMap<string, CompiledMask>>();
  known.set(masker, sets);
  const key = JSON.stringify([...methods]);
  let masks = sets.get(key);
  if (masks === undefined) {
    masks = new Map([...methods].map(([name, method]) => [name, masker.compile(method)] as const));
    if (sets.size >= limits.maskSetsMax) sets.clear();
    sets.set(key, masks);
  }
  return masks;
}

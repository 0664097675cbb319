import { detectors } from '../../core/detectors.ts';
import { compiledMasks } from '../../core/masker/compiled.ts';
import type { CompiledMask, Masker } from '../../core/masker.ts';
import type { Decision, Fault } from '../../core/types.ts';

/** How an allowed operation is carried out: what `enforce` makes of a decision. */
export interface OperationPlan {
  /** By detector; none when the output passes untouched. */
  readonly masks: ReadonlyMap<string, CompiledMask>;
  /** More bytes of output than this end the operation. */
  readonly maxBytes: number;
  /** Longer than this and the operation is ended. */
  readonly timeoutMs: number;
  /** False when the decision asks for metadata only. */
  readonly recordOutput: boolean;
  /** How a granted shell is run: each line judged before it runs, or only recorded. */
  readonly shellMode: 'judged' | 'recorded';
}

/** What the SSH path can carry out; the gate refuses anything else. */
export const supports = {
  masks: ['text'],
  obligations: ['max_bytes', 'timeout_ms', 'record', 'shell_mode'],
} as const;

/**
 * Makes the plan of an allow, or says what of it cannot be carried out.
 *
 * @param carries - `text`: output that can be masked. `file`: content that goes through as it is or not at all.
 */
export function planOf(
  decision: Decision,
  carries: 'text' | 'file',
  masker: Masker,
): { plan: OperationPlan } | { fault: Fault } {
  const { text } = decision.masks;
  if (carries === 'file' && text.size > 0) {
    return { fault: { code: 'mask_unprovable', message: 'A mask cannot be applied to the content of a file.' } };
  }
  const masks = compiledMasks(text, masker);
  if (![...masks.keys()].every((name) => detectors.has(name))) {
    return { fault: { code: 'mask_unknown', message: 'The policy masks what no detector finds.' } };
  }
  let plan: OperationPlan = {
    masks,
    maxBytes: Number.POSITIVE_INFINITY,
    timeoutMs: Number.POSITIVE_INFINITY,
    recordOutput: true,
    // Recorded only when every policy that says anything of it says so.
    shellMode: decision.obligations.some(({ type }) => type === 'shell_mode') ? 'recorded' : 'judged',
  };
  for (const { type, properties } of decision.obligations) {
    const { value } = properties;
    // What is not this path's to honour is the gate's, which has refused what is nobody's.
    if (!(supports.obligations as readonly string[]).includes(type)) continue;
    const honoured = honour(plan, type, value);
    if (honoured === undefined) {
      return { fault: { code: 'obligation_unsupported', message: `The obligation ${type} has no usable value.` } };
    }
    plan = honoured;
  }
  return { plan };
}

/** The plan with one more obligation, the stricter of two of one type; undefined when its value means nothing here. */
function honour(plan: OperationPlan, type: string, value: unknown): OperationPlan | undefined {
  switch (type) {
    case 'record':
      if (value === 'full') return plan;
      return value === 'metadata' ? { ...plan, recordOutput: false } : undefined;
    case 'shell_mode':
      if (value === 'recorded') return plan;
      return value === 'judged' ? { ...plan, shellMode: value } : undefined;
    default: {
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) return undefined;
      const key = type === 'max_bytes' ? 'maxBytes' : 'timeoutMs';
      return { ...plan, [key]: Math.min(plan[key], value) };
    }
  }
}

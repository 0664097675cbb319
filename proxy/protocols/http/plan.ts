import { detectors } from '../../core/detectors.ts';
import { compiledMasks } from '../../core/masker/compiled.ts';
import type { CompiledMask, Masker } from '../../core/masker.ts';
import type { Decision, Fault } from '../../core/types.ts';
import { jsonPathError } from './mask/index.ts';

/** How an allowed request is carried out: what `enforce` makes of a decision. */
export interface OperationPlan {
  /** Masks of the answer: by JSON path, and by detector. None at all when it passes untouched. */
  readonly json: ReadonlyMap<string, CompiledMask>;
  readonly text: ReadonlyMap<string, CompiledMask>;
  /** More bytes of answer than this end it. */
  readonly maxBytes: number;
  readonly timeoutMs: number;
  /** False when the decision asks for metadata only. */
  readonly recordBodies: boolean;
  /** Of a WebSocket: each message of the client is an operation of its own. */
  readonly judgesMessages: boolean;
}

/** What the HTTP path can carry out; the gate refuses anything else. */
export const supports = {
  masks: ['json', 'text'],
  obligations: ['max_bytes', 'timeout_ms', 'record', 'messages'],
} as const;

/**
 * Makes the plan of an allow, or says what of it cannot be carried out.
 *
 * @param readable - false for what nobody can look into (a tunnel), or what has no answer: a mask is then a refusal
 * @param hasMessages - true for a WebSocket, whose messages may be operations of their own
 */
export function planOf(
  decision: Decision,
  masker: Masker,
  readable: boolean,
  hasMessages = false,
): { plan: OperationPlan } | { fault: Fault } {
  const { json, text } = decision.masks;
  if (!readable && json.size + text.size > 0) {
    return { fault: { code: 'mask_unprovable', message: 'A mask cannot be applied to what is not read.' } };
  }
  if ([...json.keys()].some((path) => jsonPathError(path) !== undefined)) {
    return { fault: { code: 'mask_unknown', message: 'The policy masks by a JSON path that is not understood.' } };
  }
  if (![...text.keys()].every((name) => detectors.has(name))) {
    return { fault: { code: 'mask_unknown', message: 'The policy masks what no detector finds.' } };
  }
  const bounds = { maxBytes: Number.POSITIVE_INFINITY, timeoutMs: Number.POSITIVE_INFINITY };
  let recordBodies = true;
  let judgesMessages = false;
  for (const { type, properties } of decision.obligations) {
    const { value } = properties;
    if (!(supports.obligations as readonly string[]).includes(type)) continue;
    if (type === 'record' && (value === 'full' || value === 'metadata')) {
      if (value === 'metadata') recordBodies = false;
    } else if (type === 'messages' && value === 'judged' && hasMessages) {
      judgesMessages = true;
    } else if (
      (type === 'max_bytes' || type === 'timeout_ms') &&
      typeof value === 'number' &&
      Number.isSafeInteger(value) &&
      value >= 0
    ) {
      const key = type === 'max_bytes' ? 'maxBytes' : 'timeoutMs';
      bounds[key] = Math.min(bounds[key], value);
    } else {
      return { fault: { code: 'obligation_unsupported', message: `The obligation ${type} has no usable value.` } };
    }
  }
  return {
    plan: {
      ...{ json: compiledMasks(json, masker), text: compiledMasks(text, masker) },
      ...{ recordBodies, judgesMessages, ...bounds },
    },
  };
}

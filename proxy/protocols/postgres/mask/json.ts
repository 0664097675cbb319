import type { CompiledMask } from '../../../core/masker.ts';
import type { MaskMethod } from '../../../core/types.ts';
import type { CellMask } from './cell.ts';

/**
 * A mask over a whole json or jsonb cell, whose result is JSON again. A replacement that is itself JSON is used as it
 * stands, anything else becomes a JSON string. `redact_pattern` is applied to the document's text, with needless
 * escapes resolved first (`\u0031` would otherwise hide a digit from the pattern); where that would break the document,
 * the whole of it becomes the result as a string. The binary format of jsonb begins with a version byte.
 */
export function jsonMask(compiled: CompiledMask, method: MaskMethod, versioned: boolean): CellMask {
  const version = versioned ? '\x01' : '';
  if (compiled.kind === 'constant') {
    return { kind: 'constant', bytes: Buffer.from(version + asJson(compiled.value ?? 'null')) };
  }
  const inPlace = method.method === 'redact_pattern';
  return {
    kind: 'value',
    apply: (cell) => {
      const text = versioned ? cell.slice(1) : cell;
      const masked = compiled.apply(inPlace ? resolveEscapes(text) : text);
      return version + (inPlace ? asJson(masked) : JSON.stringify(masked));
    },
    tooLong: Buffer.from(version + JSON.stringify(compiled.tooLong)),
  };
}

function asJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}

/** Writes characters that JSON lets one escape without need as themselves. One pass, no backtracking: two characters decide. */
function resolveEscapes(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|[\s\S])/g, (escaped, hex: string | undefined) => {
    if (escaped === '\\/') return '/';
    if (hex === undefined) return escaped;
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return char < ' ' || char === '"' || char === '\\' ? escaped : char;
  });
}

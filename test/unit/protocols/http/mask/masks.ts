import { detectors } from '../../../../../proxy/core/detectors.ts';
import { limits } from '../../../../../proxy/core/limits.ts';
import { type CompiledMask, createMasker } from '../../../../../proxy/core/masker.ts';
import type { MaskMethod } from '../../../../../proxy/core/types.ts';
import type { ContentMasks } from '../../../../../proxy/protocols/http/mask/index.ts';
import type { ResponseMaskOptions } from '../../../../../proxy/protocols/http/mask/response.ts';

const masker = createMasker({ key: Buffer.alloc(32, 7) });
const hidden: CompiledMask = { kind: 'constant', value: '#' };

/** Masks of some paths, and of what some detectors (or all) find, which becomes `#`. */
export function masks(json: Readonly<Record<string, MaskMethod>>, text: readonly string[] | 'all' = []): ContentMasks {
  const names = text === 'all' ? [...detectors.keys()] : text;
  return {
    json: new Map(Object.entries(json).map(([path, method]) => [path, masker.compile(method)] as const)),
    text: new Map(names.map((name) => [name, hidden])),
  };
}

/** An answer of a type, as the relay would describe it. */
export function answer(contentType: string | undefined, some: Partial<ResponseMaskOptions>): ResponseMaskOptions {
  return {
    contentType,
    contentEncoding: undefined,
    partial: false,
    bodiless: false,
    masks: masks({}, 'all'),
    clock: { monotonicMs: () => 0 },
    limits,
    ...some,
  };
}

/** Hides a value. */
export const stars: MaskMethod = { method: 'replace', value: '***' };

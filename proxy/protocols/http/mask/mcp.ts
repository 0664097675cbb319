import { GatewayError } from '../../../core/errors.ts';
import { createJsonMasker, createTextMasker, JsonPaths } from '../../../core/masker.ts';
import type { Fault, Json, JsonObject } from '../../../core/types.ts';
import { parseWithDigits } from '../bodies/digits.ts';
import { type ContentMasks, prepareMasks, type ReadyMasks } from './content.ts';

/**
 * Masks the `result` of an MCP answer (tools/call, resources/read, prompts/get, …). What tools answer is JSON inside of a text as
 * often as not, so paths begin at the root of `structuredContent`, and at that of every text that is JSON; other texts,
 * and everything else in the result, are looked through by detectors. Pictures and sounds pass; anything else that is
 * binary, and a kind of content that is not known, is a fault.
 *
 * What it cannot see: JSON that stands in the middle of a text, or in a string of a JSON document.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
 */
export function maskMcpResult(
  result: Json,
  masks: ContentMasks,
): { readonly result: Json; readonly matches: number } | { readonly fault: Fault } {
  const ready = prepareMasks(masks);
  if (ready === undefined)
    return { fault: { code: 'mask_unknown', message: 'The policy names a mask that is not known.' } };
  const one = new ResultMask(ready);
  try {
    return { result: one.result(result), matches: one.matches };
  } catch (error) {
    if (error instanceof GatewayError) return { fault: { code: error.code, message: error.message } };
    throw error;
  }
}

class ResultMask {
  matches = 0;
  readonly #masks: ReadyMasks;

  constructor(masks: ReadyMasks) {
    this.#masks = masks;
  }

  result(result: Json): Json {
    if (!isObject(result)) return this.#json(result);
    const { structuredContent, content, contents, messages, ...rest } = result;
    return {
      ...this.#found(rest),
      ...(content !== undefined && { content: this.#each(content, (block) => this.#block(block)) }),
      ...(contents !== undefined && { contents: this.#each(contents, (resource) => this.#resource(resource)) }),
      ...(messages !== undefined && { messages: this.#each(messages, (message) => this.#message(message)) }),
      ...(structuredContent !== undefined && { structuredContent: this.#json(structuredContent) }),
    };
  }

  #each(list: Json, mask: (item: JsonObject) => Json): Json {
    const items = Array.isArray(list) ? (list as readonly Json[]) : [list];
    const masked = items.map((item) => {
      if (!isObject(item)) throw unknown();
      return mask(item);
    });
    return Array.isArray(list) ? masked : (masked[0] ?? null);
  }

  #message(message: JsonObject): Json {
    const { content, ...rest } = message;
    return {
      ...this.#found(rest),
      ...(content !== undefined && { content: this.#each(content, (block) => this.#block(block)) }),
    };
  }

  #block(block: JsonObject): Json {
    const { text, data, resource, ...rest } = block;
    switch (block.type) {
      case 'text':
        if (typeof text !== 'string' || data !== undefined || resource !== undefined) break;
        return { ...this.#found(rest), text: this.#text(text) };
      case 'image':
      case 'audio':
        if (typeof data !== 'string' || !isMedia(block.mimeType) || text !== undefined || resource !== undefined) break;
        return { ...this.#found(rest), data };
      case 'resource':
        if (resource === undefined || text !== undefined || data !== undefined) break;
        return { ...this.#found(rest), resource: this.#each(resource, (one) => this.#resource(one)) };
      case 'resource_link':
        return this.#found(block);
    }
    throw unknown();
  }

  #resource(resource: JsonObject): Json {
    const { text, blob, ...rest } = resource;
    if (blob !== undefined && !isMedia(rest.mimeType)) {
      throw new GatewayError('mask_unprovable', 'A mask cannot be applied to a binary resource.');
    }
    if (text !== undefined && typeof text !== 'string') throw unknown();
    return {
      ...this.#found(rest),
      ...(blob !== undefined && { blob }),
      ...(text !== undefined && { text: this.#text(text) }),
    };
  }

  #text(text: string): string {
    try {
      return this.#document(text, this.#masks);
    } catch (error) {
      // Neither is a fault: what is no JSON, and what looks like it for a while.
      if (!(error instanceof GatewayError) || error.code !== 'mask_unprovable') throw error;
    }
    if (this.#masks.text === undefined) return text;
    const made = createTextMasker(this.#masks.text);
    if ('error' in made) throw new GatewayError('mask_unknown', made.error);
    const masked = made.masker.push(text) + made.masker.finish();
    this.matches += made.masker.matches;
    return masked;
  }

  /** A value that paths lead into. */
  #json(value: Json): Json {
    return parseWithDigits(this.#document(JSON.stringify(value), this.#masks));
  }

  /** A value that only detectors look through. */
  #found(value: JsonObject): JsonObject {
    if (this.#masks.text === undefined) return value;
    const masked = parseWithDigits(this.#document(JSON.stringify(value), { paths: noPaths, text: this.#masks.text }));
    if (!isObject(masked)) throw unknown();
    return masked;
  }

  #document(text: string, masks: Pick<ReadyMasks, 'paths' | 'text'>): string {
    const masker = createJsonMasker(masks);
    const masked = Buffer.concat([...masker.push(Buffer.from(text)), ...masker.finish()]).toString('utf8');
    this.matches += masker.matches;
    return masked;
  }
}

const noPaths = new JsonPaths([]);

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

/** What no text is in for a machine to read. */
function isMedia(type: Json | undefined): boolean {
  return typeof type === 'string' && /^(?:image\/(?!svg)|audio\/|video\/)/i.test(type);
}

function unknown(): GatewayError {
  return new GatewayError('mask_unprovable', 'The result has content of a kind that masks cannot be applied to.');
}

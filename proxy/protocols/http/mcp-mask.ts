import { GatewayError } from '../../core/errors.ts';
import type { Json, JsonObject } from '../../core/types.ts';
import { type ContentMasks, maskMcpResult } from './mask/index.ts';

/** Masks what an MCP server says to one message of a client, and counts. */
export class MessageMask {
  readonly #masks: ContentMasks;
  /** Values masked so far. */
  matches = 0;

  constructor(masks: ContentMasks) {
    this.#masks = masks;
  }

  /**
   * Results by their shape; whatever else a message says (errors, progress, log lines) as one document.
   *
   * @throws GatewayError when it cannot be masked
   */
  readonly apply = (message: JsonObject): JsonObject => {
    const { json, text } = this.#masks;
    if (json.size + text.size === 0) return message;
    const { result, error, params } = message;
    return {
      ...message,
      ...(result !== undefined && { result: this.#masked(result) }),
      ...(error !== undefined && { error: this.#document(error) }),
      ...(params !== undefined && { params: this.#document(params) }),
    };
  };

  #document(value: Json): Json {
    return (this.#masked({ structuredContent: value }) as JsonObject).structuredContent ?? null;
  }

  #masked(result: Json): Json {
    const made = maskMcpResult(result, this.#masks);
    if ('fault' in made) throw new GatewayError('mask_unprovable', made.fault.message);
    this.matches += made.matches;
    return made.result;
  }
}

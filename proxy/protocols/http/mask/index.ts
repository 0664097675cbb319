/** Masks of answers: what the relay and the MCP part need of them. */
import { compileJsonPath } from '../../../core/masker.ts';

export { type ContentMasks, prepareMasks } from './content.ts';
export { maskedRequestHeaders } from './headers.ts';
export { maskMcpResult } from './mcp.ts';
export { MessageMask } from './message.ts';
export { createResponseMask, isLive, type ResponseMask, type ResponseMaskOptions } from './response.ts';

/** What is wrong with a JSON path, in a sentence for the policy's author; undefined when it is understood. */
export function jsonPathError(path: string): string | undefined {
  const made = compileJsonPath(path);
  return 'error' in made ? made.error : undefined;
}

import { limits } from '../../../core/limits.ts';
import type { BodyResult, Header } from '../contract.ts';
import { parseMediaType } from '../media-type.ts';
import { overridesMethod } from '../parameters.ts';
import { malformed, refused } from '../refused.ts';
import { parseForm } from './form.ts';
import { parseGraphql } from './graphql.ts';
import { parseJson } from './json.ts';
import { isJsonType, isUtf8Type } from './json-type.ts';
import { parseMultipart } from './multipart.ts';

/** What is known of where a body goes. */
export interface BodyOptions {
  /** To a GraphQL endpoint: then it is a GraphQL request or refused, and a request without a body is one in its query. */
  readonly graphql?: boolean | undefined;
  /** The parameters of the target, where a GraphQL request may be. */
  readonly query?: readonly Header[] | undefined;
}

/**
 * Reads a body that was received whole and is not compressed. What has no known type is opaque; what has one and is not
 * what it says, or could be read in two ways, is refused.
 *
 * @param contentType - as the request has it, with parameters; empty for none
 * @param bytes - at most `limits.httpJudgedBodyBytesMax`
 */
export function parseBody(contentType: string, bytes: Uint8Array, options: BodyOptions = {}): BodyResult {
  if (bytes.length > limits.httpJudgedBodyBytesMax) {
    return refused(
      413,
      'operation_too_large',
      `A body that is judged has at most ${limits.httpJudgedBodyBytesMax} bytes.`,
    );
  }
  const media = contentType === '' ? undefined : parseMediaType(contentType);
  if (contentType !== '' && media === undefined) return malformed('Content-Type is not one media type.');
  if (options.graphql || media?.type === 'application/graphql') return parseGraphql(media, bytes, options.query ?? []);
  if (bytes.length === 0) return { kind: 'none' };
  if (media === undefined) return { kind: 'opaque', bytes: bytes.length };
  const { type } = media;
  if (type === 'multipart/form-data') return parseMultipart(media, bytes);
  const read = type === 'application/x-www-form-urlencoded' ? parseForm : isJsonType(type) ? parseJsonBody : undefined;
  if (read === undefined) return { kind: 'opaque', bytes: bytes.length };
  return isUtf8Type(media)
    ? read(bytes)
    : refused(415, 'operation_unsupported', 'A body that is judged must be UTF-8.');
}

function parseJsonBody(bytes: Uint8Array): BodyResult {
  const parsed = parseJson(bytes);
  if ('fault' in parsed) return parsed;
  const { value } = parsed;
  // Laravel takes it from JSON as it does from a form.
  if (
    value !== null &&
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.keys(value).some(overridesMethod)
  ) {
    return malformed('The JSON has a member that overrides the method of the request.');
  }
  return { kind: 'json', value };
}

/**
 * GraphQL over HTTP: which operation of a request would run, and what it asks for.
 *
 * @see https://graphql.github.io/graphql-over-http/draft/
 */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../../../core/types.ts';
import type { BodyResult, Header, Refused } from '../contract.ts';
import type { MediaType } from '../media-type.ts';
import { malformed, refused } from '../refused.ts';
import { readDocument } from './graphql-document.ts';
import { parseJson, parseJsonText } from './json.ts';
import { isUtf8Type } from './json-type.ts';

/** What a request may consist of. Anything else (`id`, `documentId`) would have the server look its document up. */
const members: ReadonlySet<string> = new Set(['query', 'operationName', 'variables', 'extensions']);

/**
 * Reads a request: JSON in the body, a bare document (`application/graphql`), or the parameters of the query of a
 * request without a body. Never both, since servers differ on which counts.
 */
export function parseGraphql(media: MediaType | undefined, bytes: Uint8Array, query: readonly Header[]): BodyResult {
  const inQuery = query.filter(([name]) => members.has(name) || name === 'id' || name === 'documentId');
  if (bytes.length > 0 && inQuery.length > 0) {
    return malformed('A GraphQL request is in the body or in the query of the target, not in both.');
  }
  const request = bytes.length === 0 ? fromQuery(inQuery) : fromBody(media, bytes);
  return 'fault' in request ? request : readRequest(request.value);
}

type Read = { readonly value: Json } | Refused<400 | 413 | 415>;

function fromQuery(parameters: readonly Header[]): Read {
  const value: Record<string, Json> = {};
  for (const [name, text] of parameters) {
    if (Object.hasOwn(value, name)) return malformed(`The GraphQL request has ${name} twice.`);
    const isJson = name === 'variables' || name === 'extensions';
    const parsed = isJson ? parseJsonText(text) : { value: text };
    if ('fault' in parsed) return parsed;
    value[name] = parsed.value;
  }
  return { value };
}

function fromBody(media: MediaType | undefined, bytes: Uint8Array): Read {
  if (media !== undefined && isUtf8Type(media)) {
    if (media.type === 'application/json') return parseJson(bytes);
    if (media.type === 'application/graphql') {
      if (!isUtf8(bytes)) return malformed('The GraphQL document is not UTF-8.');
      return { value: { query: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8') } };
    }
  }
  return refused(
    415,
    'operation_unsupported',
    'A GraphQL request is application/json or application/graphql, in UTF-8.',
  );
}

function readRequest(value: Json): BodyResult {
  if (Array.isArray(value)) return refused(400, 'operation_unsupported', 'Send GraphQL operations one by one.');
  if (!isObject(value)) return malformed('A GraphQL request is a JSON object.');
  if (Object.keys(value).some((name) => !members.has(name))) {
    return refused(400, 'operation_unsupported', 'The GraphQL request has a member that is none of the specification.');
  }
  const { query, operationName = null, variables = null, extensions = null } = value;
  if (typeof query !== 'string' || query === '') {
    return refused(400, 'operation_unsupported', 'The GraphQL request has no document; send the query itself.');
  }
  if (operationName !== null && typeof operationName !== 'string') return malformed('operationName is no text.');
  if (variables !== null && !isObject(variables)) return malformed('variables is no object.');
  if (extensions !== null && !isObject(extensions)) return malformed('extensions is no object.');
  if (!isOwnHash(extensions?.persistedQuery, query)) {
    return refused(400, 'operation_unsupported', 'The hash of the persisted query is not the hash of the query.');
  }
  const read = readDocument(query, operationName ?? '', variables ?? {});
  return 'fault' in read ? read : { kind: 'graphql', value, operations: [read.operation] };
}

/** Whether a persisted query is none, or the very query beside it, so that a server that looks it up finds the same. */
function isOwnHash(persisted: Json | undefined, query: string): boolean {
  if (persisted === undefined || persisted === null) return true;
  return isObject(persisted) && persisted.sha256Hash === createHash('sha256').update(query).digest('hex');
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

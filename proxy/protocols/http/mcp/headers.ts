/** The headers of MCP repeat what the body says, for those who route without reading it. They must agree with it. */
import type { Json, JsonObject } from '../../../core/types.ts';
import type { CanonicalRequest, Header } from '../contract.ts';
import { isObject } from './json-rpc.ts';
import { metaNames } from './versions.ts';

/** The headers of MCP as a client sent them. */
export interface McpHeaders {
  readonly version: string | undefined;
  readonly method: string | undefined;
  readonly name: string | undefined;
  readonly sessionId: string | undefined;
  readonly lastEventId: string | undefined;
  readonly params: readonly Header[];
}

const known = ['mcp-protocol-version', 'mcp-method', 'mcp-name', 'mcp-session-id', 'last-event-id'];
const paramPrefix = 'mcp-param-';
const sessionIdGrammar = /^[\x21-\x7e]{1,256}$/;
const eventIdGrammar = /^[\x21-\x7e]{1,4096}$/;

/** Reads the headers of MCP; a sentence when one is there twice, is not known, or is not written as it must be. */
export function readHeaders({ headers }: CanonicalRequest): McpHeaders | string {
  const values = new Map<string, string>();
  for (const [name, value] of headers) {
    if (!name.startsWith('mcp-') && name !== 'last-event-id') continue;
    if (!known.includes(name) && !name.startsWith(paramPrefix)) return 'A header of MCP is not known.';
    if (values.has(name)) return `The header ${known.includes(name) ? name : paramPrefix} is there twice.`;
    values.set(name, value.replaceAll(/^[ \t]+|[ \t]+$/g, ''));
  }
  const sessionId = values.get('mcp-session-id');
  const lastEventId = values.get('last-event-id');
  if (sessionId !== undefined && !sessionIdGrammar.test(sessionId)) return 'The session id is not one.';
  if (lastEventId !== undefined && !eventIdGrammar.test(lastEventId)) return 'The event id is not one.';
  return {
    version: values.get('mcp-protocol-version'),
    method: values.get('mcp-method'),
    name: values.get('mcp-name'),
    sessionId,
    lastEventId,
    params: [...values].filter(([name]) => name.startsWith(paramPrefix)),
  };
}

/**
 * Compares the headers with the message they came with.
 *
 * @param required - in the stateless era the headers must be there; before it, they must agree if they are.
 * @returns a sentence that names the header which disagrees.
 */
export function headerProblem(
  headers: McpHeaders,
  body: { readonly version: string | undefined; readonly method: string; readonly name: string | undefined },
  required: boolean,
): string | undefined {
  if (required && headers.version === undefined) return 'MCP-Protocol-Version is missing.';
  if (body.version !== undefined && headers.version !== body.version) {
    return 'MCP-Protocol-Version disagrees with the body.';
  }
  if (headers.method === undefined ? required : headers.method !== body.method) {
    return headers.method === undefined ? 'Mcp-Method is missing.' : 'Mcp-Method disagrees with the body.';
  }
  if (headers.name === undefined) {
    return required && body.name !== undefined ? 'Mcp-Name is missing.' : undefined;
  }
  return decodeValue(headers.name) === body.name ? undefined : 'Mcp-Name disagrees with the body.';
}

const sentinel = /^=\?base64\?(.*)\?=$/s;
const canonicalBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** A header value, out of its base64 where it is in it (SEP-2243); undefined when that is not base64 or not UTF-8. */
export function decodeValue(value: string): string | undefined {
  const [, encoded] = sentinel.exec(value) ?? [];
  if (encoded === undefined) return value;
  if (!canonicalBase64.test(encoded)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}

/** A value as a header carries it: as it is, or in base64 when it could not be told apart or transported. */
export function encodeValue(value: string): string {
  const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !sentinel.test(value);
  return plain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

/**
 * Compares `Mcp-Param-*` with the arguments of a tool call: what the schema declares by `x-mcp-header` must be there and
 * agree, and nothing else may be.
 *
 * @returns a sentence, or undefined when they agree.
 */
export function paramHeaderProblem(
  headers: readonly Header[],
  callArguments: JsonObject,
  inputSchema: Json | undefined,
): string | undefined {
  const left = new Map(headers);
  for (const { header, path } of declaredHeaders(inputSchema)) {
    const value = valueAt(callArguments, path);
    const given = left.get(header);
    if (value === undefined || value === null) continue;
    left.delete(header);
    if (given === undefined) return `The header ${header} is missing.`;
    const decoded = decodeValue(given);
    const agrees = typeof value === 'number' ? sameNumber(decoded, value) : decoded === String(value);
    if (typeof value === 'object' || !agrees) return `The header ${header} disagrees with the arguments.`;
  }
  return left.size === 0 ? undefined : 'A header Mcp-Param-… stands for no argument.';
}

function sameNumber(text: string | undefined, value: number): boolean {
  return text !== undefined && /^-?\d+(\.\d+)?$/.test(text) && Number(text) === value;
}

/** Declarations that are reached over `properties` alone; others are not valid, and nobody sends them. */
function declaredHeaders(
  schema: Json | undefined,
  path: readonly string[] = [],
): readonly { readonly header: string; readonly path: readonly string[] }[] {
  if (!isObject(schema) || !isObject(schema.properties)) return [];
  return Object.entries(schema.properties).flatMap(([name, property]) => {
    const here = [...path, name];
    const declared = isObject(property) ? property['x-mcp-header'] : undefined;
    const own = typeof declared === 'string' ? [{ header: `${paramPrefix}${declared.toLowerCase()}`, path: here }] : [];
    return [...own, ...declaredHeaders(property, here)];
  });
}

function valueAt(root: JsonObject, path: readonly string[]): Json | undefined {
  let value: Json | undefined = root;
  for (const name of path) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}

/** The revision that a message claims in its body, whatever it is. */
export function claimedVersion(params: JsonObject | undefined): Json | undefined {
  const meta = params?._meta;
  return isObject(meta) ? meta[metaNames.protocolVersion] : undefined;
}

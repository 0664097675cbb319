/** JSON-RPC 2.0 as MCP speaks it: one message at a time, parameters and results are objects, ids are text or integers. */
import type { Json, JsonObject } from '../../../core/types.ts';

/** The id of a request. */
export type RequestId = string | number;

/** What an error says. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: Json | undefined;
}

/** A message whose form is right. */
export type RpcMessage =
  | {
      readonly kind: 'request';
      readonly id: RequestId;
      readonly method: string;
      readonly params: JsonObject | undefined;
    }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject | undefined }
  | { readonly kind: 'result'; readonly id: RequestId; readonly result: JsonObject }
  /** Without an id it answers what could not be read. */
  | { readonly kind: 'error'; readonly id: RequestId | null; readonly error: RpcError };

/** The codes of errors that the gateway answers with. */
export const rpcCodes = {
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  /** What a policy, or the gateway itself, refuses: an error of the implementation (-32000 to -32099). */
  refused: -32000,
  sessionNotFound: -32001,
  /** MCP 2026-07-28: a header says something else than the body. */
  headerMismatch: -32020,
  unsupportedVersion: -32022,
  /** MCP 2025-11-25: the answer is a page that the person must visit first. */
  urlElicitationRequired: -32042,
} as const;

const idLengthMax = 256;
const methodLengthMax = 128;

/**
 * Reads one message, strictly: a member that JSON-RPC does not know is refused, for another reader may obey it.
 *
 * @returns the message, or a sentence that says what is wrong with it.
 * @see https://www.jsonrpc.org/specification
 */
export function parseRpc(value: Json | undefined): RpcMessage | string {
  if (Array.isArray(value)) return 'Batches are not accepted.';
  if (!isObject(value)) return 'The body is not a JSON-RPC message.';
  if (value.jsonrpc !== '2.0') return 'The message is not JSON-RPC 2.0.';
  if ('method' in value) return parseCall(value);
  if ('result' in value) return parseResult(value);
  return 'error' in value ? parseError(value) : 'The message is neither a request nor an answer.';
}

function parseCall(value: JsonObject): RpcMessage | string {
  const { id, method, params } = value;
  if (!only(value, ['jsonrpc', 'id', 'method', 'params'])) return 'The message has a member that is not known.';
  if (!isText(method, methodLengthMax)) return 'The method is not a name.';
  if (params !== undefined && !isObject(params)) return 'The parameters are not an object.';
  if (!('id' in value)) return { kind: 'notification', method, params };
  return isId(id) ? { kind: 'request', id, method, params } : 'The id is neither a string nor an integer.';
}

function parseResult(value: JsonObject): RpcMessage | string {
  const { id, result } = value;
  if (!only(value, ['jsonrpc', 'id', 'result'])) return 'The answer has a member that is not known.';
  if (!isId(id)) return 'The id is neither a string nor an integer.';
  return isObject(result) ? { kind: 'result', id, result } : 'The result is not an object.';
}

function parseError(value: JsonObject): RpcMessage | string {
  const { id = null, error } = value;
  if (!only(value, ['jsonrpc', 'id', 'error'])) return 'The answer has a member that is not known.';
  if (id !== null && !isId(id)) return 'The id is neither a string nor an integer.';
  if (!isObject(error) || !only(error, ['code', 'message', 'data'])) return 'The error is not one of JSON-RPC.';
  const { code, message, data } = error;
  if (!Number.isSafeInteger(code) || typeof message !== 'string') return 'The error is not one of JSON-RPC.';
  return { kind: 'error', id, error: { code: Number(code), message, ...(data !== undefined && { data }) } };
}

/** Tells `1` and `"1"` apart, which JSON-RPC does too. */
export function idKey(id: RequestId): string {
  return typeof id === 'number' ? `#${id}` : `"${id}`;
}

/** Is this the id of a request? */
export function isId(value: Json | undefined): value is RequestId {
  return typeof value === 'number' ? Number.isSafeInteger(value) : isText(value, idLengthMax);
}

/** A JSON object, no array, and no number that kept its digits (`bodies/digits.ts`). */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

/** Text of 1 to `lengthMax` code units, without control characters, invisible ones and halves of pairs. */
export function isText(value: Json | undefined, lengthMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= lengthMax && !/\p{C}/u.test(value);
}

/** Has the object no other members? */
export function only(value: JsonObject, members: readonly string[]): boolean {
  return Object.keys(value).every((name) => members.includes(name));
}

/** A result, as a message. */
export function resultMessage(id: RequestId, result: JsonObject): JsonObject {
  return { jsonrpc: '2.0', id, result };
}

/** An error, as a message. */
export function errorMessage(id: RequestId | null, error: RpcError): JsonObject {
  const { code, message, data } = error;
  return { jsonrpc: '2.0', id, error: { code, message, ...(data !== undefined && { data }) } };
}

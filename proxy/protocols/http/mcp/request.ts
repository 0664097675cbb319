/** From an HTTP request and its parsed body to a message of MCP, or to what is wrong with it. Pure. */
import type { RefusalCode } from '../../../core/errors.ts';
import { limits } from '../../../core/limits.ts';
import type { Json, JsonObject } from '../../../core/types.ts';
import type { CanonicalRequest, Header } from '../contract.ts';
import { claimedVersion, encodeValue, headerProblem, type McpHeaders, readHeaders } from './headers.ts';
import { isObject, parseRpc, type RequestId, type RpcMessage, rpcCodes } from './json-rpc.ts';
import type { McpFault, McpMessage, McpTarget } from './message.ts';
import { methodRules, paramsProblem, type ServerRequest } from './methods.ts';
import { outgoing } from './outgoing.ts';
import { uriProblem, uriTemplateProblem } from './resource-uri.ts';
import { type Era, eraOf, metaNames, sessionVersions, statelessVersions } from './versions.ts';

type Call = Extract<RpcMessage, { kind: 'request' | 'notification' }>;
type Result = { readonly message: McpMessage } | McpFault;

/** What a client may be asked by its server; nothing, unless somebody said so. */
export interface ReadOptions {
  readonly serverRequests?: ReadonlySet<ServerRequest> | undefined;
}

/**
 * Reads a request to an MCP endpoint. The body alone says what it is; the headers are compared with it afterwards.
 *
 * @param body - the parsed body, undefined when there was none. Its parser has refused keys that occur twice.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
 */
export function readMcpRequest(
  request: CanonicalRequest,
  body: Json | undefined,
  { serverRequests = new Set() }: ReadOptions = {},
): Result {
  const headers = readHeaders(request);
  if (typeof headers === 'string') return malformed(headers);
  if (request.queryText !== '') return malformed('The endpoint takes no query.');
  if (request.method !== 'POST') return readWithoutBody(request.method, headers);
  if (request.contentType !== 'application/json') {
    return { ...malformed('The body must be application/json.'), status: 415 };
  }
  const parsed = parseRpc(body);
  if (typeof parsed === 'string') return malformed(parsed);
  return parsed.kind === 'request' || parsed.kind === 'notification'
    ? readCall(parsed, headers, serverRequests)
    : readAnswer(parsed, headers);
}

/** The stream and the end of a session, which the stateless era has not. */
function readWithoutBody(method: string, headers: McpHeaders): Result {
  const stateless = headers.version !== undefined && eraOf(headers.version) === 'stateless';
  if ((method !== 'GET' && method !== 'DELETE') || stateless) {
    return { ...fault('operation_unsupported', rpcCodes.refused, 'Only POST is answered here.', null), status: 405 };
  }
  const version = sessionVersion(headers);
  if (typeof version !== 'string' && version !== undefined) return version;
  const common = { era: 'session', version, sessionId: headers.sessionId } as const;
  if (method === 'GET') {
    const upstream: Header[] = [['accept', 'text/event-stream'], ...versionHeader(version)];
    return { message: { kind: 'stream', ...common, lastEventId: headers.lastEventId, headers: upstream } };
  }
  if (headers.sessionId === undefined) return malformed('There is no session to end.');
  return { message: { kind: 'end', ...common, headers: versionHeader(version) } };
}

function readAnswer(answer: Extract<RpcMessage, { kind: 'result' | 'error' }>, headers: McpHeaders): Result {
  if (answer.id === null) return malformed('The answer has no id.');
  const version = sessionVersion(headers);
  if (typeof version !== 'string' && version !== undefined) return version;
  const { id } = answer;
  const content = answer.kind === 'result' ? { result: answer.result } : { error: answer.error };
  const { code = 0, message = '', data } = answer.kind === 'error' ? answer.error : {};
  return {
    message: {
      kind: 'response',
      ...{ era: 'session', version, sessionId: headers.sessionId, headers: postHeaders(versionHeader(version)) },
      ...{ id, answer: content },
      value: {
        ...{ jsonrpc: '2.0', id },
        ...(answer.kind === 'result'
          ? { result: answer.result }
          : { error: { code, message, ...(data !== undefined && { data }) } }),
      },
    },
  };
}

function readCall(call: Call, headers: McpHeaders, serverRequests: ReadonlySet<ServerRequest>): Result {
  const id = call.kind === 'request' ? call.id : null;
  const revision = revisionOf(call, headers);
  if ('fault' in revision) return revision;
  const { era, version } = revision;
  const rules = methodRules(call.kind, call.method, era);
  if (rules === undefined) return unknownMethod(id, era);
  const { params = {} } = call;
  const problem = paramsProblem(call.kind, call.method, params, era);
  if (problem !== undefined) return invalid(id, problem);
  const named = rules.named && params[rules.named];
  const name = typeof named === 'string' ? named : undefined;
  const stateless = era === 'stateless';
  const body = { version: stateless ? version : undefined, method: call.method, name };
  const disagreement = headerProblem(headers, body, stateless && call.kind === 'request');
  if (disagreement !== undefined) return headerMismatch(id, disagreement);
  if (!stateless && headers.params.length > 0) return headerMismatch(id, 'Mcp-Param-… belongs to a later revision.');

  const common = {
    era,
    version,
    sessionId: stateless ? undefined : headers.sessionId,
    headers: postHeaders([...versionHeader(version), ...(stateless ? repeated(call.method, name) : [])]),
  };
  if (call.kind === 'notification') {
    if (call.method === 'notifications/roots/list_changed' && !serverRequests.has('roots/list')) {
      return unknownMethod(null, era);
    }
    return {
      message: { kind: 'notification', method: call.method, ...common, value: outgoing(call, serverRequests) },
    };
  }
  const target = targetOf(call.method, params);
  if (typeof target === 'string') return invalid(id, target);
  const subscriptions = subscriptionsOf(params);
  if (typeof subscriptions === 'string') return invalid(id, subscriptions);
  return {
    message: {
      ...{ kind: 'request', id: call.id, method: call.method, ...common, target, subscriptions },
      ...{ paramHeaders: headers.params, value: outgoing(call, serverRequests) },
    },
  };
}

/** The era of a call, from its body; the header has a say only where the body has none. */
function revisionOf(
  call: Call,
  headers: McpHeaders,
): { readonly era: Era; readonly version: string | undefined } | McpFault {
  const id = call.kind === 'request' ? call.id : null;
  const claimed = claimedVersion(call.params);
  if (claimed === undefined) {
    if (headers.version === undefined || eraOf(headers.version) !== 'stateless') {
      const version = sessionVersion(headers, id);
      return typeof version === 'string' || version === undefined ? { era: 'session', version } : version;
    }
    // A notification carries no envelope of its own.
    if (call.kind === 'notification') return { era: 'stateless', version: headers.version };
    const data = { envelope: { missing: [metaNames.protocolVersion] } };
    return { ...invalid(id, 'The request does not carry its protocol version.', data), status: 400 };
  }
  if (typeof claimed !== 'string' || !statelessVersions.includes(claimed)) return unsupported(id, claimed);
  const meta = call.params?._meta;
  if (call.kind === 'request' && !(isObject(meta) && isObject(meta[metaNames.clientCapabilities]))) {
    const data = { envelope: { missing: [metaNames.clientCapabilities] } };
    return { ...invalid(id, 'The request does not carry the capabilities of its client.', data), status: 400 };
  }
  return { era: 'stateless', version: claimed };
}

/** The version that a header names; undefined without one, as in the first request and with older clients. */
function sessionVersion({ version }: McpHeaders, id: RequestId | null = null): string | undefined | McpFault {
  return version === undefined || sessionVersions.includes(version) ? version : unsupported(id, version);
}

function targetOf(method: string, params: JsonObject): McpTarget | string {
  const { name, uri, ref, argument, context } = params;
  const callArguments = isObject(params.arguments) ? params.arguments : {};
  if (method === 'tools/call') return { tool: String(name), arguments: callArguments };
  if (method === 'prompts/get') return { prompt: String(name), arguments: callArguments };
  if (typeof uri === 'string') return uriProblem(uri) ?? { resourceUri: uri };
  if (!isObject(ref) || !isObject(argument)) return {};
  const given = isObject(context) && isObject(context.arguments) ? context.arguments : {};
  const completed = { arguments: { ...given, [String(argument.name)]: argument.value ?? null } };
  if (ref.type === 'ref/prompt') return { prompt: String(ref.name), ...completed };
  return uriTemplateProblem(String(ref.uri)) ?? { resourceUri: String(ref.uri), ...completed };
}

function subscriptionsOf({ notifications }: JsonObject): readonly string[] | string {
  const wanted = isObject(notifications) ? notifications.resourceSubscriptions : undefined;
  if (!Array.isArray(wanted)) return [];
  if (wanted.length > limits.mcpSubscriptionsMax) return 'That are more subscriptions than the gateway follows.';
  const uris = [...new Set(wanted.map(String))];
  return uris.map(uriProblem).find((problem) => problem !== undefined) ?? uris;
}

function versionHeader(version: string | undefined): Header[] {
  return version === undefined ? [] : [['mcp-protocol-version', version]];
}

function repeated(method: string, name: string | undefined): Header[] {
  return [['mcp-method', method], ...(name === undefined ? [] : [['mcp-name', encodeValue(name)] as const])];
}

function postHeaders(more: readonly Header[]): Header[] {
  return [['content-type', 'application/json'], ['accept', 'application/json, text/event-stream'], ...more];
}

function fault(code: RefusalCode, rpc: number, message: string, id: RequestId | null, data?: Json): McpFault {
  return { fault: { code, message }, status: 200, rpc: { code: rpc, message, ...(data && { data }) }, id };
}

function malformed(message: string): McpFault {
  return { ...fault('operation_malformed', rpcCodes.invalidRequest, message, null), status: 400 };
}

function invalid(id: RequestId | null, message: string, data?: Json): McpFault {
  const found = fault('operation_malformed', rpcCodes.invalidParams, message, id, data);
  return id === null ? { ...found, status: 400 } : found;
}

/** A request whose headers say something else than its body. */
export function headerMismatch(id: RequestId | null, message: string): McpFault {
  return { ...fault('operation_malformed', rpcCodes.headerMismatch, message, id), status: 400 };
}

function unsupported(id: RequestId | null, requested: Json): McpFault {
  const data = {
    supported: [...statelessVersions, ...sessionVersions],
    ...(typeof requested === 'string' && requested.length <= 64 && { requested }),
  };
  const message = 'The protocol version is not one that the gateway understands.';
  return { ...fault('operation_unsupported', rpcCodes.unsupportedVersion, message, id, data), status: 400 };
}

/** HTTP has its own word for it in the stateless era only. */
function unknownMethod(id: RequestId | null, era: Era): McpFault {
  const found = fault('operation_unsupported', rpcCodes.methodNotFound, 'The method does not pass the gateway.', id);
  return { ...found, status: era === 'stateless' ? 404 : id === null ? 400 : 200 };
}

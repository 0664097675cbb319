/** Refusals in MCP's own words. Pure. */
import { refusalOf } from '../../../core/refusal.ts';
import type { Fault, JsonObject, Refusal } from '../../../core/types.ts';
import { errorMessage, type RequestId, resultMessage, rpcCodes } from './json-rpc.ts';
import type { McpFault, McpMessage } from './message.ts';

/** An answer that the gateway gives itself, as application/json. */
export interface McpAnswer {
  readonly status: number;
  readonly body: JsonObject;
}

/**
 * A refusal as the client is told it: the result of a tool call that failed, which its model reads; an error for any other
 * request; and for what has no answer of its own, HTTP's.
 *
 * @param status - HTTP's word for it, where JSON-RPC has no request to answer.
 */
export function refuseMessage(message: McpMessage, refusal: Refusal, status = 403): McpAnswer {
  if (message.kind !== 'request') return { status, body: refusedError(null, refusal) };
  return { status: 200, body: refusedRequest(message.id, message.method, message.era === 'stateless', refusal) };
}

/** The answer to a request that is refused. */
export function refusedRequest(id: RequestId | null, method: string, stateless: boolean, refusal: Refusal): JsonObject {
  if (method !== 'tools/call' || id === null) return refusedError(id, refusal);
  return resultMessage(id, {
    ...(stateless && { resultType: 'complete' }),
    isError: true,
    content: [{ type: 'text', text: textOf(refusal) }],
    _meta: { 'sallyport/refusal': documentOf(refusal) },
  });
}

/** A fault found before any policy was asked, with the number under which it was audited. */
export function refuseFault({ fault, status, rpc, id }: McpFault, decisionId: string): McpAnswer {
  const refusal = refusalOf(decisionId, fault, [], false);
  const data = { ...(typeof rpc.data === 'object' && rpc.data !== null && { ...rpc.data }), ...documentOf(refusal) };
  return { status, body: errorMessage(id, { code: rpc.code, message: rpc.message, data }) };
}

/** A session that is over, or was never this client's: MCP has it begin another one. */
export function sessionUnknown(message: McpMessage): McpAnswer {
  const id = message.kind === 'request' ? message.id : null;
  const error = { code: rpcCodes.sessionNotFound, message: 'There is no such session. Begin another one.' };
  return { status: 404, body: errorMessage(id, error) };
}

/** What a server is told that asked the client for something it may not. */
export function refusedServerRequest(id: RequestId, { message }: Fault): JsonObject {
  return errorMessage(id, { code: rpcCodes.methodNotFound, message });
}

function refusedError(id: RequestId | null, refusal: Refusal): JsonObject {
  return errorMessage(id, { code: rpcCodes.refused, message: textOf(refusal), data: documentOf(refusal) });
}

function textOf({ code, message, hint, decisionId }: Refusal): string {
  return `Refused by the gateway (${code}): ${message} ${hint}${decisionId === '' ? '' : ` Decision ${decisionId}.`}`;
}

function documentOf({ code, policy, message, hint, decisionId, approval }: Refusal): JsonObject {
  return {
    ...{ code, policy: policy ?? null, message, hint, decision_id: decisionId },
    ...(approval !== undefined && { approval }),
  };
}

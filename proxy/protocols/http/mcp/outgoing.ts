/** A client's message as it goes upstream: only members that were understood, and no offer that nobody would keep. */
import type { Json, JsonObject } from '../../../core/types.ts';
import { isId, isObject, isText, type RequestId } from './json-rpc.ts';
import { type ServerRequest, serverRequestOf } from './methods.ts';
import { metaNames } from './versions.ts';

/** Writes a request or notification anew. What the client offered and the gateway would refuse is taken out. */
export function outgoing(
  message: { readonly id?: RequestId; readonly method: string; readonly params: JsonObject | undefined },
  allowed: ReadonlySet<ServerRequest>,
): JsonObject & { readonly params?: JsonObject } {
  const { id, method, params } = message;
  return {
    jsonrpc: '2.0',
    ...(id !== undefined && { id }),
    method,
    ...(params && { params: outgoingParams(params, allowed) }),
  };
}

function outgoingParams({ _meta, ...params }: JsonObject, allowed: ReadonlySet<ServerRequest>): JsonObject {
  return {
    ...params,
    ...(isObject(params.capabilities) && { capabilities: offered(params.capabilities, allowed) }),
    ...(isObject(params.clientInfo) && { clientInfo: implementation(params.clientInfo) }),
    ...(isObject(_meta) && { _meta: outgoingMeta(_meta, allowed) }),
  };
}

function outgoingMeta(meta: JsonObject, allowed: ReadonlySet<ServerRequest>): JsonObject {
  const { progressToken, traceparent, tracestate } = meta;
  const version = meta[metaNames.protocolVersion];
  const info = meta[metaNames.clientInfo];
  const offer = meta[metaNames.clientCapabilities];
  const level = meta[metaNames.logLevel];
  return {
    ...(isId(progressToken) && { progressToken }),
    ...(isText(version, 64) && { [metaNames.protocolVersion]: version }),
    ...(isObject(info) && { [metaNames.clientInfo]: implementation(info) }),
    ...(isObject(offer) && { [metaNames.clientCapabilities]: offered(offer, allowed) }),
    ...(isText(level, 64) && { [metaNames.logLevel]: level }),
    // W3C trace context. Baggage carries anything, and is not handed on.
    ...(isText(traceparent, 128) && { traceparent }),
    ...(isText(tracestate, 512) && { tracestate }),
  };
}

function offered(offer: JsonObject, allowed: ReadonlySet<ServerRequest>): JsonObject {
  return Object.fromEntries(
    Object.entries(offer).filter(([name]) => {
      const asked = Object.hasOwn(serverRequestOf, name) ? serverRequestOf[name] : undefined;
      return asked !== undefined && allowed.has(asked);
    }),
  );
}

function implementation(info: JsonObject): JsonObject {
  const kept = (name: string): [string, Json][] => {
    const value = info[name];
    return isText(value, 256) ? [[name, value]] : [];
  };
  return Object.fromEntries(['name', 'title', 'version'].flatMap(kept));
}

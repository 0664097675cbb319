/** What policy is told of a message of MCP. Pure. */
import type { Fault, JsonObject } from '../../../core/types.ts';
import { paramHeaderProblem } from './headers.ts';
import { actionName, type McpFault, type McpMessage, type McpRequest, type McpTarget } from './message.ts';
import { headerMismatch } from './request.ts';
import type { ListedItem } from './results.ts';
import { statusFault } from './results.ts';
import { argumentsProblem } from './tool-arguments.ts';
import type { ToolStatus } from './tool-pins.ts';
import type { Era } from './versions.ts';

/** Where a message goes, as policy sees it. */
export interface McpPlace {
  readonly upstream: string;
  readonly labels: JsonObject;
  /** How the tool of a `tools/call` stands. */
  readonly tool?: ToolStatus | undefined;
}

/** The parts of `OperationFacts` that MCP decides. */
export interface McpOperation {
  readonly action: { readonly name: string; readonly properties: JsonObject };
  readonly resource: { readonly type: string; readonly id: string; readonly properties: JsonObject };
  readonly complete: boolean;
  readonly fault: Fault | undefined;
}

/**
 * The operations that a message stands for. Every one of them must be allowed before it is forwarded; it is one, but for
 * `subscriptions/listen`, which is a `resources/subscribe` for each resource as well.
 */
export function mcpOperations(message: McpMessage, place: McpPlace): readonly [McpOperation, ...McpOperation[]] {
  if (message.kind !== 'request') return [operation(actionName(message), message.era, {}, place, undefined)];
  const { era, method, target, subscriptions } = message;
  return [
    operation(method, era, target, place, place.tool),
    ...subscriptions.map((resourceUri) => operation('resources/subscribe', era, { resourceUri }, place, undefined)),
  ];
}

/** The question whether one item of a list may be shown: the list's own method, on the item. */
export function listOperation({ era, method, target, status }: ListedItem, place: McpPlace): McpOperation {
  const name = method === 'resources/templates/list' ? 'resources/list' : method;
  return operation(name, era, target, place, status);
}

/** Compares `Mcp-Param-*` with the arguments, once it is known what the tool declares. */
export function checkToolCall(message: McpRequest, tool: ToolStatus | undefined): McpFault | undefined {
  if (message.method !== 'tools/call' && message.paramHeaders.length === 0) return undefined;
  if (message.era !== 'stateless' || (tool?.definition === undefined && message.method === 'tools/call')) {
    return undefined;
  }
  const schema = tool?.definition?.inputSchema;
  const problem = paramHeaderProblem(message.paramHeaders, message.target.arguments ?? {}, schema);
  return problem === undefined ? undefined : headerMismatch(message.id, problem);
}

function operation(
  name: string,
  era: Era,
  target: McpTarget,
  place: McpPlace,
  status: ToolStatus | undefined,
): McpOperation {
  const { tool, prompt, resourceUri } = target;
  const incomplete = tool !== undefined && (status?.state ?? 'unknown') === 'unknown' ? ['tool_unknown'] : [];
  return {
    action: {
      name,
      properties: {
        ...{ protocol: 'mcp', era, incomplete },
        ...(tool !== undefined && {
          tool,
          tool_sha256: status?.sha256 ?? '',
          tool_changed: status?.state === 'changed',
        }),
        ...(prompt !== undefined && { prompt }),
        ...(resourceUri !== undefined && { resource_uri: resourceUri }),
        ...(target.arguments && { arguments: target.arguments }),
      },
    },
    resource: resourceOf(target, place),
    complete: incomplete.length === 0,
    fault: tool === undefined ? undefined : toolFault(target.arguments, status),
  };
}

function resourceOf({ tool, prompt, resourceUri }: McpTarget, { upstream, labels }: McpPlace) {
  const [type, name] =
    tool !== undefined
      ? ['tool', tool]
      : prompt !== undefined
        ? ['prompt', prompt]
        : resourceUri !== undefined
          ? ['resource', resourceUri]
          : ['mcp_server', undefined];
  return { type, id: name === undefined ? upstream : `${upstream}/${name}`, properties: { upstream, labels } };
}

function toolFault(callArguments: JsonObject | undefined, status: ToolStatus | undefined): Fault | undefined {
  if (status === undefined || status.state === 'unknown') return undefined;
  const problem = callArguments && argumentsProblem(callArguments, status);
  return statusFault(status) ?? (problem === undefined ? undefined : { code: 'operation_malformed', message: problem });
}

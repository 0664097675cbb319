/** The facts of HTTP requests for policy, and how their decisions are carried out. Pure. */
import { upstreamLabels } from '../../core/documents.ts';
import { redactSecrets } from '../../core/masker/secrets.ts';
import type { Masker } from '../../core/masker.ts';
import type { Fault, Json, JsonObject, OperationFacts } from '../../core/types.ts';
import type { CanonicalRequest, Header, ParsedBody, RouteMatch } from './contract.ts';
import type { McpOperation } from './mcp/index.ts';
import { type OperationPlan, planOf } from './plan.ts';
import type { HttpUpstream } from './upstreams.ts';

/** Where a request would go, as policy sees it. */
export interface Place {
  readonly upstream: HttpUpstream;
  /** `data.config` as active. */
  readonly config: JsonObject;
  readonly masker: Masker;
}

/** One request, read. */
export interface RequestOperation {
  readonly request: CanonicalRequest;
  /** The path and segments behind the upstream's prefix. */
  readonly path: string;
  readonly segments: readonly string[];
  readonly route: RouteMatch;
  /** False when the upstream has no routes: then nothing is unknown. */
  readonly routed: boolean;
  readonly body: ParsedBody;
  readonly upgrade?: 'websocket' | undefined;
}

/** The facts of a request. */
export function requestFacts(operation: RequestOperation, place: Place): OperationFacts<OperationPlan> {
  const { request, route, body, upgrade } = operation;
  const incomplete = [
    ...(operation.routed && route.template === '' ? ['unknown_route'] : []),
    ...(body.kind === 'opaque' ? ['body_opaque'] : []),
  ];
  return {
    action: {
      name: request.method,
      properties: {
        protocol: 'http',
        segments: operation.segments,
        query: grouped(request.query),
        headers: Object.fromEntries(request.headers),
        content_type: request.contentType,
        ...bodyDocument(body),
        ...(upgrade && { upgrade }),
        incomplete,
      },
    },
    resource: routeResource(operation, place),
    complete: incomplete.length === 0,
    enforce: (decision) => planOf(decision, place.masker, true, upgrade !== undefined),
    describe: () => ({
      method: request.method,
      path: redactSecrets(operation.path),
      route: route.template,
      ...(request.query.length > 0 && { query: redactSecrets(request.queryText) }),
      ...(body.kind !== 'none' && { body: body.kind }),
      ...(incomplete.length > 0 && { incomplete }),
    }),
  };
}

/** The facts of a request that the gateway refuses whatever policy says. */
export function faultFacts(
  request: CanonicalRequest,
  path: string,
  fault: Fault,
  place: Place,
): OperationFacts<OperationPlan> {
  return {
    action: { name: request.method, properties: { protocol: 'http' } },
    resource: {
      type: 'route',
      id: place.upstream.name,
      properties: { upstream: place.upstream.name, labels: upstreamLabels(place.config, place.upstream.name) },
    },
    complete: false,
    fault,
    enforce: () => ({ fault }),
    describe: () => ({ method: request.method, path: redactSecrets(path) }),
  };
}

function routeResource(
  { request, path, route }: RequestOperation,
  { upstream, config }: Place,
): OperationFacts['resource'] {
  return {
    type: 'route',
    id: `${upstream.name} ${route.template}`,
    properties: {
      upstream: upstream.name,
      host: request.host,
      path,
      template: route.template,
      parameters: { ...route.parameters },
      operation_id: route.operationId ?? '',
      tags: route.tags,
      labels: upstreamLabels(config, upstream.name),
    },
  };
}

function bodyDocument(body: ParsedBody): JsonObject {
  switch (body.kind) {
    case 'none':
      return {};
    case 'json':
      return { body: body.value };
    case 'form':
      return { body: grouped(body.fields) };
    case 'multipart':
      return {
        parts: body.parts.map(({ name, bytes, contentType }) => ({ name, bytes, content_type: contentType })),
      };
    case 'graphql':
      return {
        graphql: body.operations.map(({ type, name, fields }) => ({
          ...{ type, name },
          fields: fields.map((field) => ({ path: field.path, arguments: field.arguments })),
        })),
      };
    case 'opaque':
      return body.bytes === undefined ? {} : { body_bytes: body.bytes };
  }
}

/** Names to their values, in their order. */
function grouped(pairs: readonly Header[]): JsonObject {
  const groups = new Map<string, Json[]>();
  for (const [name, value] of pairs) {
    const values = groups.get(name);
    if (values === undefined) groups.set(name, [value]);
    else values.push(value);
  }
  return Object.fromEntries(groups);
}

/** The facts of a message of MCP, or of an item that one lists. */
export function messageFacts(operation: McpOperation, masker: Masker): OperationFacts<OperationPlan> {
  const { action, resource, complete, fault } = operation;
  return {
    ...{ action, resource, complete, fault },
    enforce: (decision) => planOf(decision, masker, true),
    describe: () => ({ method: action.name, resource: resource.id }),
  };
}

/** What clients and servers may ask and tell each other. What is not in these tables does not pass. */
import type { Json, JsonObject } from '../../../core/types.ts';
import { isId, isObject, isText, only } from './json-rpc.ts';
import type { Era } from './versions.ts';

/** What a server may ask a client for, where the gateway is told to let it. */
export type ServerRequest = 'sampling/createMessage' | 'elicitation/create' | 'roots/list';

type Check = (value: Json | undefined) => boolean;

interface Method {
  readonly eras: readonly Era[];
  /** Members of `params` besides `_meta`: one that is not named here is refused, for policy would not see it. */
  readonly members: Readonly<Record<string, Check>>;
  readonly required?: readonly string[];
  /** The member that `Mcp-Name` repeats. */
  readonly named?: 'name' | 'uri';
}

const both: readonly Era[] = ['session', 'stateless'];
const session: readonly Era[] = ['session'];
const stateless: readonly Era[] = ['stateless'];

const nameLengthMax = 256;
const uriLengthMax = 4_096;
const opaqueLengthMax = 64 * 1024;

const name: Check = (value) => isText(value, nameLengthMax);
const uri: Check = (value) => isText(value, uriLengthMax);
/** A cursor or a state: the server's own, whatever is in it. */
const opaque: Check = (value) => typeof value === 'string' && value.length <= opaqueLengthMax;
const texts: Check = (value) => isObject(value) && Object.values(value).every((item) => typeof item === 'string');
const object: Check = isObject;
const number: Check = (value) => typeof value === 'number';
const text: Check = (value) => typeof value === 'string';

/** The second leg of a request that was answered with `input_required`. */
const retry = { inputResponses: object, requestState: opaque };
const page = { cursor: opaque };

const requestMethods: Readonly<Record<string, Method>> = {
  initialize: {
    eras: session,
    members: { protocolVersion: name, capabilities: object, clientInfo: object },
    required: ['protocolVersion', 'capabilities', 'clientInfo'],
  },
  ping: { eras: session, members: {} },
  'server/discover': { eras: stateless, members: {} },
  'tools/list': { eras: both, members: page },
  'tools/call': { eras: both, members: { name, arguments: object, ...retry }, required: ['name'], named: 'name' },
  'resources/list': { eras: both, members: page },
  'resources/templates/list': { eras: both, members: page },
  'resources/read': { eras: both, members: { uri, ...retry }, required: ['uri'], named: 'uri' },
  'resources/subscribe': { eras: session, members: { uri }, required: ['uri'] },
  'resources/unsubscribe': { eras: session, members: { uri }, required: ['uri'] },
  'prompts/list': { eras: both, members: page },
  'prompts/get': { eras: both, members: { name, arguments: texts, ...retry }, required: ['name'], named: 'name' },
  'completion/complete': {
    eras: both,
    members: { ref: isReference, argument: isArgument, context: isContext },
    required: ['ref', 'argument'],
  },
  'logging/setLevel': { eras: session, members: { level: name }, required: ['level'] },
  'subscriptions/listen': { eras: stateless, members: { notifications: isFilter }, required: ['notifications'] },
};

const clientNotifications: Readonly<Record<string, Method>> = {
  'notifications/initialized': { eras: session, members: {} },
  'notifications/cancelled': { eras: both, members: { requestId: isId, reason: text }, required: ['requestId'] },
  'notifications/progress': {
    eras: session,
    members: { progressToken: isId, progress: number, total: number, message: text },
    required: ['progressToken', 'progress'],
  },
  'notifications/roots/list_changed': { eras: session, members: {} },
};

/** What a server may tell. */
export const serverNotifications: ReadonlySet<string> = new Set([
  'notifications/cancelled',
  'notifications/message',
  'notifications/progress',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
  'notifications/resources/updated',
  'notifications/subscriptions/acknowledged',
  'notifications/tools/list_changed',
]);

/** Is this something that a server may only ask where it was allowed? */
export function isServerRequest(method: string): method is ServerRequest {
  return method === 'sampling/createMessage' || method === 'elicitation/create' || method === 'roots/list';
}

/** What each capability of a client that may be allowed lets its server ask for. */
export const serverRequestOf: Readonly<Record<string, ServerRequest>> = {
  sampling: 'sampling/createMessage',
  elicitation: 'elicitation/create',
  roots: 'roots/list',
};

/**
 * What `data.config.mcp.upstreams.NAME.server_requests` lets a server ask of clients (`sampling`, `elicitation`, `roots`);
 * nothing without it, and nothing for a name that is not known.
 */
export function allowedServerRequests({ mcp }: JsonObject, upstream: string): ReadonlySet<ServerRequest> {
  const upstreams = isObject(mcp) && isObject(mcp.upstreams) ? mcp.upstreams : {};
  const own = Object.hasOwn(upstreams, upstream) ? upstreams[upstream] : undefined;
  const names = isObject(own) && Array.isArray(own.server_requests) ? (own.server_requests as readonly Json[]) : [];
  return new Set(
    names.flatMap((name) =>
      typeof name === 'string' && Object.hasOwn(serverRequestOf, name) ? (serverRequestOf[name] ?? []) : [],
    ),
  );
}

/** The rules of a method; undefined when it does not pass in that era. */
export function methodRules(
  kind: 'request' | 'notification',
  method: string,
  era: Era,
): { readonly named: 'name' | 'uri' | undefined } | undefined {
  const table = tableOf(kind);
  const rules = Object.hasOwn(table, method) ? table[method] : undefined;
  return rules?.eras.includes(era) ? { named: rules.named } : undefined;
}

/** What is wrong with the parameters of a method that passes; undefined when nothing is. */
export function paramsProblem(
  kind: 'request' | 'notification',
  method: string,
  params: JsonObject,
  era: Era,
): string | undefined {
  const { members = {}, required = [] } = tableOf(kind)[method] ?? {};
  for (const [member, value] of Object.entries(params)) {
    if (member === '_meta') continue;
    if (!Object.hasOwn(members, member)) return 'The parameters have a member that is not known.';
    if (era === 'session' && Object.hasOwn(retry, member)) return `${member} belongs to a later revision.`;
    if (members[member]?.(value) !== true) return `The parameter ${member} has the wrong form.`;
  }
  const missing = required.find((member) => !Object.hasOwn(params, member));
  return missing === undefined ? undefined : `The parameter ${missing} is missing.`;
}

function tableOf(kind: 'request' | 'notification'): Readonly<Record<string, Method>> {
  return kind === 'request' ? requestMethods : clientNotifications;
}

function isReference(value: Json | undefined): boolean {
  if (!isObject(value)) return false;
  if (value.type === 'ref/prompt') return only(value, ['type', 'name', 'title']) && name(value.name);
  return value.type === 'ref/resource' && only(value, ['type', 'uri']) && uri(value.uri);
}

function isArgument(value: Json | undefined): boolean {
  return isObject(value) && only(value, ['name', 'value']) && name(value.name) && typeof value.value === 'string';
}

function isContext(value: Json | undefined): boolean {
  return isObject(value) && only(value, ['arguments']) && (value.arguments === undefined || texts(value.arguments));
}

/** What a subscription asks to hear of; `resourceSubscriptionsMax` bounds how much of it. */
function isFilter(value: Json | undefined): boolean {
  if (!isObject(value)) return false;
  const { resourceSubscriptions = [], ...flags } = value;
  return (
    only(flags, ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged']) &&
    Object.values(flags).every((flag) => typeof flag === 'boolean') &&
    Array.isArray(resourceSubscriptions) &&
    resourceSubscriptions.every((item) => uri(item))
  );
}

/** What of a server's answers is changed before the client has them. Pure. */
import { limits } from '../../../core/limits.ts';
import type { Fault, Json, JsonObject } from '../../../core/types.ts';
import { isObject, isText } from './json-rpc.ts';
import type { McpTarget } from './message.ts';
import { uriProblem, uriTemplateProblem } from './resource-uri.ts';
import { type ToolStatus, toolNameLengthMax } from './tool-pins.ts';
import { type Era, sessionVersions, statelessVersions } from './versions.ts';

/** One tool, resource, template or prompt of a list: shown if policy says so. */
export interface ListedItem {
  readonly era: Era;
  /** The method that listed it. */
  readonly method: string;
  readonly target: McpTarget;
  /** As the client would be shown it. */
  readonly definition: JsonObject;
  /** How a tool stands; it is accepted, or it would not be here. */
  readonly status: ToolStatus | undefined;
}

/** An item that is not shown whatever policy says. */
export interface WithheldItem {
  readonly name: string;
  readonly fault: Fault;
  /** Of a tool's definition as it is now: what would have to be named for it to be accepted. */
  readonly sha256?: string | undefined;
}

/** A list, taken apart. */
export interface ReadList {
  readonly items: readonly ListedItem[];
  readonly withheld: readonly WithheldItem[];
  /** The result with those items alone, in their order. */
  keep(kept: ReadonlySet<ListedItem>): JsonObject;
}

const lists: Readonly<Record<string, { readonly member: string; readonly name: string }>> = {
  'tools/list': { member: 'tools', name: 'name' },
  'resources/list': { member: 'resources', name: 'uri' },
  'resources/templates/list': { member: 'resourceTemplates', name: 'uriTemplate' },
  'prompts/list': { member: 'prompts', name: 'name' },
};

/** Does this method answer with a list? */
export function isListMethod(method: string): boolean {
  return Object.hasOwn(lists, method);
}

/**
 * Takes a list apart.
 *
 * @param see - takes note of a tool's definition, and says how the tool stands.
 */
export function readList(
  method: string,
  era: Era,
  result: JsonObject,
  see: (definition: JsonObject) => ToolStatus,
): ReadList | { readonly fault: Fault } {
  const { member = '', name: nameMember = '' } = lists[method] ?? {};
  const listed = result[member];
  if (!Array.isArray(listed)) return unreadable('The server answered with something else than a list.');
  if (listed.length > limits.mcpListItemsMax) {
    return {
      fault: { code: 'operation_too_large', message: 'The server listed more than the gateway reads at once.' },
    };
  }
  const items: ListedItem[] = [];
  const withheld: WithheldItem[] = [];
  const seen = new Set<string>();
  for (const entry of listed as readonly Json[]) {
    const name = isObject(entry) ? entry[nameMember] : undefined;
    if (!isObject(entry) || typeof name !== 'string') return unreadable('The server listed something without a name.');
    if (seen.has(name)) return unreadable('The server listed two things of the same name.');
    seen.add(name);
    const problem = nameProblem(method, name);
    if (problem !== undefined) {
      withheld.push({
        name: name.slice(0, toolNameLengthMax),
        fault: { code: 'operation_malformed', message: problem },
      });
      continue;
    }
    const definition = method === 'tools/list' ? withoutTasks(entry) : entry;
    const status = method === 'tools/list' ? see(definition) : undefined;
    const fault = status && statusFault(status);
    if (fault !== undefined) withheld.push({ name, fault, sha256: status?.sha256 });
    else items.push({ era, method, target: targetOf(method, name), definition, status });
  }
  return {
    items,
    withheld,
    keep: (kept) => ({
      ...cached(result, era),
      [member]: items.filter((item) => kept.has(item)).map(({ definition }) => definition),
    }),
  };
}

/** Tasks do not pass, so that no tool may ask for one. */
function withoutTasks({ execution: _, ...definition }: JsonObject): JsonObject {
  return definition;
}

function nameProblem(method: string, name: string): string | undefined {
  if (method === 'resources/list') return uriProblem(name);
  if (method === 'resources/templates/list') return uriTemplateProblem(name);
  return isText(name, toolNameLengthMax) ? undefined : 'The name has invisible characters, or too many.';
}

function targetOf(method: string, name: string): McpTarget {
  if (method === 'tools/list') return { tool: name };
  return method === 'prompts/list' ? { prompt: name } : { resourceUri: name };
}

/** Why a tool is neither shown nor called, whatever policy says; undefined for an accepted one. */
export function statusFault({ state }: ToolStatus): Fault | undefined {
  if (state === 'changed') return { code: 'tool_changed', message: 'The tool changed since it was accepted.' };
  return state === 'accepted' ? undefined : { code: 'tool_unlisted', message: 'The tool was not accepted yet.' };
}

const cacheable: ReadonlySet<string> = new Set([...Object.keys(lists), 'resources/read', 'server/discover']);

/**
 * Rewrites the result of any other method.
 *
 * @returns the same object when there is nothing to change in it.
 */
export function rewriteResult(
  method: string,
  era: Era,
  result: JsonObject,
): { readonly result: JsonObject } | { readonly fault: Fault } {
  if (result.resultType !== undefined && result.resultType !== 'complete') {
    return unreadable('The server answered with a kind of result that is not known.');
  }
  if (method === 'initialize') {
    if (typeof result.protocolVersion !== 'string' || !sessionVersions.includes(result.protocolVersion)) {
      return unsupported('The server speaks a revision of MCP that the gateway does not understand.');
    }
    return { result: withCapabilities(result) };
  }
  if (method === 'server/discover') {
    const offered = Array.isArray(result.supportedVersions) ? (result.supportedVersions as readonly Json[]) : [];
    const supportedVersions = [...statelessVersions, ...sessionVersions].filter((version) => offered.includes(version));
    if (supportedVersions.length === 0) {
      return unsupported('The server speaks no revision of MCP that the gateway understands.');
    }
    return { result: { ...withCapabilities(cached(result, era)), supportedVersions } };
  }
  return { result: cacheable.has(method) ? cached(result, era) : result };
}

/** What clients may use of a server. Tasks, extensions and experiments do not pass. */
const passing: ReadonlySet<string> = new Set(['completions', 'logging', 'prompts', 'resources', 'tools']);

function withCapabilities(result: JsonObject): JsonObject {
  const { capabilities } = result;
  const kept = isObject(capabilities) ? Object.entries(capabilities).filter(([name]) => passing.has(name)) : [];
  return { ...result, capabilities: Object.fromEntries(kept) };
}

/** What one subject was shown is nobody else's, and not for long. */
function cached(result: JsonObject, era: Era): JsonObject {
  if (era === 'session') return result;
  const { ttlMs } = result;
  const bounded = typeof ttlMs === 'number' && ttlMs > 0 ? Math.min(Math.floor(ttlMs), limits.mcpCacheMsMax) : 0;
  return { ...result, cacheScope: 'private', ttlMs: bounded };
}

function unreadable(message: string): { readonly fault: Fault } {
  return { fault: { code: 'operation_unparseable', message } };
}

function unsupported(message: string): { readonly fault: Fault } {
  return { fault: { code: 'operation_unsupported', message } };
}

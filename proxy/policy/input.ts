import type { Clock, PolicyQuery } from '../core/ports.ts';
import type { Json, JsonObject } from '../core/types.ts';

/** What a policy reads of `input`: a tree of keys; `true` where it reads everything below. */
export type Reads = true | ReadonlyMap<string, Reads>;

/** The reads, and what of them can differ between two evaluations of the same facts. */
export interface Projection {
  readonly subject: Reads | undefined;
  readonly action: Reads | undefined;
  readonly resource: Reads | undefined;
  readonly complete: boolean;
  readonly session: Reads | undefined;
  readonly history: Reads | undefined;
  readonly approval: Reads | undefined;
  /** `context.time`, `time_ms`, `weekday` and `hour_utc`, those that are read. */
  readonly time: ReadonlySet<string>;
  /** The policy reads action properties that differ between executions of the same facts. */
  readonly variable: boolean;
  /** Nothing it reads can change while subject, session and facts are the same objects. */
  readonly stable: boolean;
}

/** Action properties that differ between executions of the same facts. */
const variableProperties = ['parameters', 'text'] as const;
const timeFields = ['time', 'time_ms', 'weekday', 'hour_utc'] as const;
const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

/** @param paths - as `opa deps` lists them, without the leading `input`; `[[]]` means all of it. */
export function projectionOf(paths: readonly (readonly string[])[]): Projection {
  const tree = treeOf(paths);
  const context = at(tree, 'context');
  const properties = at(at(tree, 'action'), 'properties');
  const history = at(context, 'history');
  const time = new Set(timeFields.filter((field) => at(context, field) !== undefined));
  return {
    subject: at(tree, 'subject'),
    action: at(tree, 'action'),
    resource: at(tree, 'resource'),
    complete: at(context, 'complete') !== undefined,
    session: at(context, 'session'),
    history,
    approval: at(context, 'approval'),
    time,
    variable: variableProperties.some((name) => at(properties, name) !== undefined),
    stable: history === undefined && time.size === 0,
  };
}

function treeOf(paths: readonly (readonly string[])[]): Reads | undefined {
  if (paths.length === 0) return undefined;
  if (paths.some((path) => path.length === 0)) return true;
  const heads = new Map<string, (readonly string[])[]>();
  for (const [head = '', ...rest] of paths) heads.set(head, [...(heads.get(head) ?? []), rest]);
  return new Map(
    [...heads].flatMap(([head, rests]) => {
      const below = treeOf(rests);
      return below === undefined ? [] : [[head, below] as const];
    }),
  );
}

function at(reads: Reads | undefined, key: string): Reads | undefined {
  return reads === undefined || reads === true ? reads : reads.get(key);
}

/**
 * The input document of one evaluation: only what the policy reads, so that JSON stays small.
 * Keys that the facts do not have stay absent. The shape is `rego/schemas/input.json`.
 */
export function inputOf(query: PolicyQuery, projection: Projection, clock: Clock): JsonObject {
  const { facts } = query;
  const input: Record<string, Json> = {};
  if (projection.subject !== undefined) input.subject = project(query.subject, projection.subject);
  if (projection.action !== undefined) {
    const properties =
      projection.variable && query.variable !== undefined
        ? { ...facts.action.properties, ...query.variable() }
        : facts.action.properties;
    input.action = project({ name: facts.action.name, properties }, projection.action);
  }
  if (projection.resource !== undefined) input.resource = project({ ...facts.resource }, projection.resource);
  const context = contextOf(query, projection, clock);
  if (Object.keys(context).length > 0) input.context = context;
  return input;
}

function contextOf(query: PolicyQuery, projection: Projection, clock: Clock): JsonObject {
  const context: Record<string, Json> = {};
  if (projection.complete) context.complete = query.facts.complete;
  if (projection.session !== undefined) context.session = project(query.session, projection.session);
  if (projection.history !== undefined) context.history = project(query.history(), projection.history);
  if (projection.approval !== undefined && query.approval !== undefined) {
    context.approval = project(query.approval, projection.approval);
  }
  if (projection.time.size > 0) {
    const ms = clock.nowMs();
    const now = new Date(ms);
    const values: Record<string, Json> = {
      time: now.toISOString(),
      time_ms: ms,
      weekday: weekdays[now.getUTCDay()] ?? '',
      hour_utc: now.getUTCHours(),
    };
    for (const field of projection.time) context[field] = values[field] ?? null;
  }
  return context;
}

function project(value: Json, reads: Reads): Json {
  if (reads === true || typeof value !== 'object' || value === null) return value;
  // A policy that goes below an array does so by index: it reads the array.
  if (Array.isArray(value)) return value;
  const projected: Record<string, Json> = {};
  for (const [key, below] of reads) {
    if (!Object.hasOwn(value, key)) continue;
    const child = (value as JsonObject)[key];
    // `__proto__` must become a key, not a prototype.
    if (child !== undefined) Object.defineProperty(projected, key, { value: project(child, below), enumerable: true });
  }
  return projected;
}

/**
 * Checks what WebAssembly would trap on or misread: lone surrogates, numbers past 2^53 or not finite, depth.
 *
 * @returns what is wrong, or `undefined`.
 */
export function inputProblem(value: Json | undefined, depthMax: number): string | undefined {
  if (depthMax < 0) return 'nested too deeply';
  if (typeof value === 'string') return value.isWellFormed() ? undefined : 'a string is not well-formed Unicode';
  if (typeof value === 'number') {
    return Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER
      ? undefined
      : 'a number is out of range';
  }
  if (typeof value === 'boolean' || value === null) return undefined;
  if (typeof value !== 'object') return 'a value is not JSON';
  if (Array.isArray(value)) {
    for (const item of value as readonly Json[]) {
      const problem = inputProblem(item, depthMax - 1);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
  for (const [key, child] of Object.entries(value as JsonObject)) {
    const problem = key.isWellFormed() ? inputProblem(child, depthMax - 1) : 'a key is not well-formed Unicode';
    if (problem !== undefined) return problem;
  }
  return undefined;
}

import { limits } from '../../core/limits.ts';
import type { JsonObject } from '../../core/types.ts';
import type { RouteMatch } from './contract.ts';
import { openapiTemplates } from './openapi.ts';
import { decodePercent } from './percent.ts';

/** A route as a configuration lists it. */
export interface RouteTemplate {
  /** Upper case; every method without. */
  readonly method?: string;
  /** `/users/{id}`, `/reports/{name}.csv`: at most one parameter in a segment, and it is never empty. */
  readonly path: string;
  readonly operation_id?: string;
  readonly tags?: readonly string[];
}

/** What an upstream serves, as far as it is known. */
export interface RoutesConfig {
  readonly templates?: readonly RouteTemplate[];
  /** A parsed OpenAPI 3.0 or 3.1 document. */
  readonly openapi?: JsonObject;
}

/** Finds the route of a request. */
export interface Routes {
  /**
   * The most specific template of the path: from the left, what is written out goes before a parameter. It must have the
   * method; a less specific one does not stand in, since servers differ on whether it would. Case and a trailing slash
   * matter. No step is taken twice: it takes at most as many as the routes have segments, whatever the path.
   *
   * @returns with an empty template when the route is unknown
   */
  match(method: string, segments: readonly string[]): RouteMatch;
}

/** The routes of a configuration, or where in it something is wrong. Templates that match the same requests are wrong. */
export function createRoutes(config: RoutesConfig): { readonly routes: Routes } | { readonly error: string } {
  const described = config.openapi === undefined ? [] : openapiTemplates(config.openapi);
  if ('error' in described) return described;
  const templates = [...(config.templates ?? []), ...described];
  if (templates.length > limits.httpRoutesMax) return { error: `there are more than ${limits.httpRoutesMax} routes` };
  const root = new Step();
  for (const template of templates) {
    const problem = addTemplate(root, template);
    if (problem !== undefined) return { error: `route ${JSON.stringify(template.path)}: ${problem}` };
  }
  return { routes: { match: (method, segments) => findRoute(root, method, segments) } };
}

/** What a template ends in, for one method. */
interface Route {
  readonly template: string;
  /** Names of the parameters, from the left. */
  readonly names: readonly string[];
  readonly operationId: string | undefined;
  readonly tags: readonly string[];
}

/** One segment that may follow. */
interface Partial {
  readonly before: string;
  readonly after: string;
  readonly next: Step;
}

/** A place in the tree of templates. */
class Step {
  readonly literals = new Map<string, Step>();
  /** Segments with a parameter, those with the most text around it first; the last may be a parameter alone. */
  readonly partials: Partial[] = [];
  /** By method; `*` for all. Empty where no template ends. */
  readonly routes = new Map<string, Route>();

  literal(text: string): Step {
    const next = this.literals.get(text) ?? new Step();
    this.literals.set(text, next);
    return next;
  }

  partial(before: string, after: string): Step {
    const known = this.partials.find((one) => one.before === before && one.after === after);
    if (known !== undefined) return known.next;
    const next = new Step();
    this.partials.push({ before, after, next });
    const weight = (one: Partial) => one.before.length + one.after.length;
    this.partials.sort((a, b) => weight(b) - weight(a) || (a.before < b.before ? -1 : 1));
    return next;
  }
}

const methods = 'GET HEAD POST PUT PATCH DELETE OPTIONS';

function addTemplate(root: Step, { method = '*', path, operation_id, tags = [] }: RouteTemplate): string | undefined {
  if (method !== '*' && !methods.split(' ').includes(method)) return `the method must be one of ${methods}`;
  if (!path.startsWith('/')) return 'the path must begin with a slash';
  const pieces = path.slice(1).split('/');
  if (pieces.length > limits.httpSegmentsMax) return `the path has more than ${limits.httpSegmentsMax} segments`;
  const names: string[] = [];
  let step = root;
  for (const [index, piece] of pieces.entries()) {
    if (piece === '' && index < pieces.length - 1) return 'the path has an empty segment, which no request has';
    const segment = readSegment(piece);
    if (typeof segment === 'string') return segment;
    if (segment.name === undefined) {
      step = step.literal(segment.before);
      continue;
    }
    if (names.includes(segment.name)) return `the parameter ${segment.name} comes twice`;
    names.push(segment.name);
    step = step.partial(segment.before, segment.after);
  }
  const known = step.routes.get(method);
  if (known !== undefined) return `it matches the same requests as ${JSON.stringify(known.template)}`;
  step.routes.set(method, { template: path, names, operationId: operation_id, tags });
  return undefined;
}

/** A segment of a template, decoded; without a name it is written out. A sentence when it is neither. */
function readSegment(
  piece: string,
): { readonly before: string; readonly name: string | undefined; readonly after: string } | string {
  const open = piece.indexOf('{');
  const close = piece.indexOf('}');
  const whole = open < 0 && close < 0;
  const name = whole ? undefined : piece.slice(open + 1, close);
  if (name !== undefined && (open < 0 || close < open || !/^[\w.~-]{1,128}$/.test(name))) {
    return 'a brace does not enclose the name of a parameter';
  }
  const before = whole ? piece : piece.slice(0, open);
  const after = whole ? '' : piece.slice(close + 1);
  if (/[{}]/.test(before + after)) return 'a segment has more than one parameter, which cannot be told apart';
  if (/[?#\\]/.test(before + after)) return 'the path has a query, a fragment or a backslash';
  const decoded = [decodePercent(before), decodePercent(after)] as const;
  if (decoded[0] === undefined || decoded[1] === undefined) return 'the path has an escape that is not one';
  if (decoded[0] === '.' || decoded[0] === '..') return 'the path has a segment that no request has';
  return { before: decoded[0], name, after: decoded[1] };
}

const unknownRoute: RouteMatch = { template: '', parameters: {}, operationId: undefined, tags: [] };

function findRoute(root: Step, method: string, segments: readonly string[]): RouteMatch {
  const values: string[] = [];
  const step = findStep(root, segments, 0, values);
  const route = step?.routes.get(method) ?? step?.routes.get('*');
  if (route === undefined) return unknownRoute;
  const parameters = Object.fromEntries(route.names.map((name, index) => [name, values[index] ?? '']));
  return { template: route.template, parameters, operationId: route.operationId, tags: route.tags };
}

/** Goes down the tree; every step of it is looked at once at most. `values` has the parameters on the way that led there. */
function findStep(step: Step, segments: readonly string[], at: number, values: string[]): Step | undefined {
  const segment = segments[at];
  if (segment === undefined) return step.routes.size > 0 ? step : undefined;
  const literal = step.literals.get(segment);
  const found = literal && findStep(literal, segments, at + 1, values);
  if (found !== undefined) return found;
  for (const { before, after, next } of step.partials) {
    if (segment.length <= before.length + after.length) continue;
    if (!segment.startsWith(before) || !segment.endsWith(after)) continue;
    values.push(segment.slice(before.length, segment.length - after.length));
    const deeper = findStep(next, segments, at + 1, values);
    if (deeper !== undefined) return deeper;
    values.pop();
  }
  return undefined;
}

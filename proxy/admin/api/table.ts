import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Json, JsonObject } from '../../core/types.ts';
import { segmentPattern } from './openapi.ts';
import { Problem } from './problem.ts';
import type { Route } from './route.ts';
import { components } from './schemas.ts';

/** A route, ready to be asked. */
export interface Entry {
  readonly route: Route;
  readonly segments: readonly string[];
  readonly query: ValidateFunction<Record<string, string>>;
  readonly body: ValidateFunction<JsonObject> | undefined;
}

/** The routes by method and path, with their schemas compiled. */
export class Table {
  readonly #entries: readonly Entry[];

  constructor(routes: readonly Route[]) {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    this.#entries = routes.map((route) => ({
      route,
      segments: route.path.split('/'),
      query: ajv.compile<Record<string, string>>({
        type: 'object',
        properties: route.query ?? {},
        additionalProperties: false,
      }),
      // References inside of it are those of the OpenAPI document.
      body: route.body && ajv.compile<JsonObject>({ ...route.body, components: { schemas: components } }),
    }));
  }

  /** The route of a request. @throws Problem 404, or 405 with the methods that there are. */
  find(method: string, path: string): { readonly entry: Entry; readonly parameters: Readonly<Record<string, string>> } {
    const segments = path.split('/');
    const found = this.#entries.flatMap((entry) => {
      const parameters = matched(entry.segments, segments);
      return parameters === undefined ? [] : [{ entry, parameters }];
    });
    if (found.length === 0) throw new Problem(404, 'route_unknown', 'There is nothing here.');
    const [chosen] = found.filter(({ entry }) => entry.route.method === method);
    if (chosen !== undefined) return chosen;
    const allow = found.map(({ entry }) => entry.route.method).join(', ');
    throw new Problem(405, 'method_unknown', `There is ${allow} here.`, { allow });
  }
}

function matched(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    const [, name] = /^\{(\w+)\}$/.exec(part) ?? [];
    if (name === undefined ? part !== segment : !segmentPattern.test(segment)) return undefined;
    if (name !== undefined) parameters[name] = segment;
  }
  return parameters;
}

/** The parameters of a query, when they are what the route takes, each once. @throws Problem 400 */
export function queryOf(entry: Entry, search: string): Readonly<Record<string, string>> {
  const given = new URLSearchParams(search);
  const query: Record<string, string> = Object.fromEntries(given);
  if (Object.keys(query).length !== given.size || !entry.query(query)) {
    throw new Problem(
      400,
      'query_invalid',
      'A parameter of the query is unknown, given twice, or not what it should be.',
    );
  }
  return query;
}

/** The body, when it is what the route takes. @throws Problem 400 */
export function bodyOf(entry: Entry, text: string): JsonObject {
  if (entry.body === undefined) return {};
  let body: Json;
  try {
    body = JSON.parse(text === '' ? '{}' : text);
  } catch {
    throw new Problem(400, 'body_invalid', 'The body is not JSON.');
  }
  if (!entry.body(body)) throw new Problem(400, 'body_invalid', 'The body is not what this operation takes.');
  return body;
}

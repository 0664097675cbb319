/**
 * The routes that an OpenAPI document describes. Schemas are not read: only paths, methods, names and tags, and the
 * base paths of servers.
 *
 * @see https://spec.openapis.org/oas/v3.1.0
 */
import { limits } from '../../core/limits.ts';
import type { Json, JsonObject } from '../../core/types.ts';
import type { RouteTemplate } from './routes.ts';

const methods = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'] as const;

/** Something in a document that is not as it must be, and where. */
class Misfit extends Error {}

/**
 * A template for every operation and base path, or a sentence that names the place where the document is wrong.
 * TRACE operations are left out: no request has that method here.
 */
export function openapiTemplates(document: JsonObject): readonly RouteTemplate[] | { readonly error: string } {
  try {
    return readDocument(document);
  } catch (error) {
    if (error instanceof Misfit) return { error: `OpenAPI document: ${error.message}` };
    throw error;
  }
}

function readDocument(document: JsonObject): readonly RouteTemplate[] {
  const version = document.openapi;
  if (typeof version !== 'string' || !/^3\.[01]\.\d+$/.test(version))
    throw new Misfit('openapi must be 3.0.x or 3.1.x');
  const paths = object(document.paths, 'paths');
  const servers = basePaths(document.servers, 'servers') ?? [''];
  const templates: RouteTemplate[] = [];
  for (const [path, given] of Object.entries(paths)) {
    if (path.startsWith('x-')) continue;
    const place = `paths[${JSON.stringify(path)}]`;
    if (!path.startsWith('/')) throw new Misfit(`${place} must begin with a slash`);
    const item = resolve(document, object(given, place), place);
    const itemServers = basePaths(item.servers, `${place}.servers`) ?? servers;
    for (const method of methods) {
      if (item[method] === undefined) continue;
      const operation = object(item[method], `${place}.${method}`);
      const bases = basePaths(operation.servers, `${place}.${method}.servers`) ?? itemServers;
      for (const base of bases) {
        templates.push({ method: method.toUpperCase(), path: base + path, ...names(operation, `${place}.${method}`) });
      }
      if (templates.length > limits.httpRoutesMax) throw new Misfit(`paths come to more than ${limits.httpRoutesMax}`);
    }
  }
  return templates;
}

function names(operation: JsonObject, place: string): Pick<RouteTemplate, 'operation_id' | 'tags'> {
  const { operationId, tags } = operation;
  if (operationId !== undefined && typeof operationId !== 'string')
    throw new Misfit(`${place}.operationId must be text`);
  const list = tags === undefined ? [] : array(tags, `${place}.tags`);
  const texts = list.filter((tag) => typeof tag === 'string');
  if (texts.length !== list.length) throw new Misfit(`${place}.tags must be texts`);
  return { ...(operationId !== undefined && { operation_id: operationId }), tags: texts };
}

/** A path item, which may be elsewhere in the document. References to references and to other documents are not followed. */
function resolve(document: JsonObject, item: JsonObject, place: string): JsonObject {
  const reference = item.$ref;
  if (reference === undefined) return item;
  if (typeof reference !== 'string' || !reference.startsWith('#/')) {
    throw new Misfit(`${place}.$ref must be in this document`);
  }
  if (Object.keys(item).length > 1) throw new Misfit(`${place} has more than its $ref`);
  let found: Json | undefined = document;
  // A JSON pointer as a URI fragment (RFC 6901 section 6).
  for (const piece of reference.slice(2).split('/')) {
    const key = decodeFragment(piece, place).replaceAll('~1', '/').replaceAll('~0', '~');
    found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  }
  const target = object(found, `${place}.$ref`);
  if (target.$ref !== undefined) throw new Misfit(`${place}.$ref leads to another reference`);
  return target;
}

function decodeFragment(text: string, place: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Misfit(`${place}.$ref has an escape that is not one`);
  }
}

/** The paths of a list of servers, each once, without a slash at the end. `undefined` when there are none. */
function basePaths(given: Json | undefined, place: string): readonly string[] | undefined {
  if (given === undefined) return undefined;
  const servers = array(given, place);
  if (servers.length === 0) return undefined;
  const bases = new Set<string>();
  for (const [index, entry] of servers.entries()) {
    const at = `${place}[${index}]`;
    const server = object(entry, at);
    if (typeof server.url !== 'string') throw new Misfit(`${at}.url must be text`);
    for (const path of substituted(pathOf(server.url, at), server.variables, at)) {
      bases.add(path.endsWith('/') ? path.slice(0, -1) : path);
      if (bases.size > limits.httpBasePathsMax) throw new Misfit(`${place} has too many base paths`);
    }
  }
  return [...bases];
}

/** What follows the host. A URL relative to where the document was is not known here. */
function pathOf(url: string, place: string): string {
  if (/[?#]/.test(url)) throw new Misfit(`${place}.url has a query or a fragment`);
  if (url.startsWith('/') && !url.startsWith('//')) return url;
  const [, path] = /^(?:[a-z][a-z\d+.-]*:)?\/\/[^/]+(.*)$/is.exec(url) ?? [];
  if (path === undefined) throw new Misfit(`${place}.url must be absolute or begin with a slash`);
  return path;
}

/** With every value that each variable in it may have. */
function substituted(path: string, variables: Json | undefined, place: string): readonly string[] {
  let paths: readonly string[] = [path];
  for (const [written, name = ''] of path.matchAll(/\{([^{}]*)\}/g)) {
    const at = `${place}.variables[${JSON.stringify(name)}]`;
    const known = variables === undefined ? {} : object(variables, `${place}.variables`);
    const variable = object(Object.hasOwn(known, name) ? known[name] : undefined, at);
    const values = new Set(variable.enum === undefined ? [] : array(variable.enum, `${at}.enum`));
    if (variable.default !== undefined) values.add(variable.default);
    paths = paths.flatMap((one) =>
      [...values].map((value) => {
        if (typeof value !== 'string' || /[{}?#]/.test(value)) throw new Misfit(`${at} has a value that is no text`);
        return one.replace(written, () => value);
      }),
    );
    if (paths.length === 0) throw new Misfit(`${at} has no value`);
    if (paths.length > limits.httpBasePathsMax) throw new Misfit(`${place}.url has too many values`);
  }
  return paths;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function object(value: Json | undefined, place: string): JsonObject {
  if (!isObject(value)) throw new Misfit(`${place} must be an object`);
  return value;
}

function array(value: Json, place: string): readonly Json[] {
  if (!Array.isArray(value)) throw new Misfit(`${place} must be a list`);
  return value;
}

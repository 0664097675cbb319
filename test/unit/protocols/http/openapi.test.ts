import { describe, expect, test } from '@jest/globals';
import type { Json, JsonObject } from '../../../../proxy/core/types.ts';
import { openapiTemplates } from '../../../../proxy/protocols/http/openapi.ts';
import { createRoutes } from '../../../../proxy/protocols/http/routes.ts';

function documentOf(paths: Json, more: JsonObject = {}): JsonObject {
  return { openapi: '3.1.0', info: { title: 'x', version: '1' }, paths, ...more };
}

function paths(document: JsonObject) {
  const templates = openapiTemplates(document);
  if ('error' in templates) throw new Error(templates.error);
  return templates.map(({ method, path }) => `${method} ${path}`);
}

const get = { get: { responses: {} } };

describe('the routes of an OpenAPI document', () => {
  test('are its operations, with their names and tags', () => {
    const document = documentOf({
      '/users/{id}': {
        summary: 'x',
        parameters: [],
        get: { operationId: 'getUser', tags: ['users'], responses: {} },
        delete: { tags: ['users', 'admin'] },
        trace: {},
      },
      'x-internal': {},
    });
    expect(openapiTemplates(document)).toEqual([
      { method: 'GET', path: '/users/{id}', operation_id: 'getUser', tags: ['users'] },
      { method: 'DELETE', path: '/users/{id}', tags: ['users', 'admin'] },
    ]);
    const made = createRoutes({ openapi: document, templates: [{ path: '/health' }] });
    if ('error' in made) throw new Error(made.error);
    expect(made.routes.match('GET', ['users', '1'])).toMatchObject({ operationId: 'getUser', parameters: { id: '1' } });
    expect(made.routes.match('TRACE', ['users', '1'])).toMatchObject({ template: '' });
    expect(made.routes.match('GET', ['health'])).toMatchObject({ template: '/health' });
  });

  test.each(['3.0.0', '3.0.4', '3.1.1'])('are read from version %s', (openapi) => {
    expect(paths({ ...documentOf({ '/a': get }), openapi })).toEqual(['GET /a']);
  });

  test.each<[string, Json, readonly string[]]>([
    ['no servers', [], ['GET /a']],
    ['the root of a host', [{ url: 'https://api.example' }, { url: 'https://api.example/' }], ['GET /a']],
    ['a base path', [{ url: 'https://api.example:8443/v1/' }], ['GET /v1/a']],
    ['a relative base path', [{ url: '/v1' }], ['GET /v1/a']],
    ['a host without a scheme', [{ url: '//api.example/v1' }], ['GET /v1/a']],
    ['two base paths', [{ url: '/v1' }, { url: 'http://h/v2' }, { url: '/v1/' }], ['GET /v1/a', 'GET /v2/a']],
    [
      'a variable of the host',
      [{ url: 'https://{region}.example/v1', variables: { region: { default: 'eu' } } }],
      ['GET /v1/a'],
    ],
    [
      'variables of the path',
      [{ url: '/{x}/{y}', variables: { x: { enum: ['v1', 'v2'], default: 'v1' }, y: { default: 'api' } } }],
      ['GET /v1/api/a', 'GET /v2/api/a'],
    ],
  ])('begin with %s', (_, servers, expected) => {
    expect(paths(documentOf({ '/a': get }, { servers }))).toEqual(expected);
  });

  test('begin with the servers of the path or the operation where these have their own', () => {
    const servers = (url: string) => ({ servers: [{ url }] });
    const item = { ...servers('/path'), get: {}, put: servers('/operation') };
    expect(paths(documentOf({ '/a': item, '/b': get }, servers('/v1')))).toEqual([
      'GET /path/a',
      'PUT /operation/a',
      'GET /v1/b',
    ]);
  });

  test('may be elsewhere in the document', () => {
    const document = documentOf(
      { '/a': { $ref: '#/components/pathItems/a~1b%20c' } },
      { components: { pathItems: { 'a/b c': get } } },
    );
    expect(paths(document)).toEqual(['GET /a']);
  });
});

describe('an OpenAPI document is refused', () => {
  const servers = (...list: Json[]) => documentOf({ '/a': get }, { servers: list });

  test.each<[string, JsonObject, RegExp]>([
    ['of version 2', { swagger: '2.0', paths: {} }, /openapi must be/],
    ['of version 3.2', { ...documentOf({}), openapi: '3.2.0' }, /openapi must be/],
    ['with a number for a version', { ...documentOf({}), openapi: 3.1 }, /openapi must be/],
    ['without paths', { openapi: '3.1.0' }, /paths must be an object/],
    ['with a list of paths', documentOf([]), /paths must be an object/],
    ['with a path that does not begin with a slash', documentOf({ a: get }), /paths\["a"\] must begin/],
    ['with a path that is nothing', documentOf({ '/a': null }), /paths\["\/a"\] must be an object/],
    ['with an operation that is none', documentOf({ '/a': { get: true } }), /paths\["\/a"\]\.get must be/],
    ['with an operationId that is no text', documentOf({ '/a': { get: { operationId: 1 } } }), /get\.operationId/],
    ['with tags that are none', documentOf({ '/a': { get: { tags: 'x' } } }), /get\.tags/],
    ['with a tag that is none', documentOf({ '/a': { get: { tags: [1] } } }), /get\.tags/],
    ['with a reference to another document', documentOf({ '/a': { $ref: 'other.yaml#/a' } }), /\$ref must be in this/],
    ['with a reference to nothing', documentOf({ '/a': { $ref: '#/x' } }), /\$ref must be an object/],
    ['with a reference to what all objects have', documentOf({ '/a': { $ref: '#/constructor' } }), /\$ref must be/],
    ['with a reference and more', documentOf({ '/a': { $ref: '#/paths', get: {} } }), /more than its \$ref/],
    ['with a reference to itself', documentOf({ '/a': { $ref: '#/paths/~1a' } }), /another reference/],
    ['with servers that are none', documentOf({}, { servers: 'x' }), /servers must be a list/],
    ['with a server that is none', servers('x'), /servers\[0\] must be an object/],
    ['with a server without a URL', servers({ url: '/a' }, {}), /servers\[1\]\.url must be text/],
    ['with a server relative to somewhere', servers({ url: 'v1' }), /servers\[0\]\.url must be absolute/],
    ['with a server that has a query', servers({ url: '/v1?x' }), /query/],
    ['with a variable that is not there', servers({ url: '/{v}' }), /variables\["v"\]/],
    ['with a variable without a value', servers({ url: '/{v}', variables: { v: {} } }), /no value/],
    ['with a variable that is no text', servers({ url: '/{v}', variables: { v: { default: 1 } } }), /no text/],
    ['with a variable of all objects', servers({ url: '/{constructor}', variables: {} }), /variables\["constructor"\]/],
    ['with servers without end', servers(...Array.from({ length: 65 }, (_, at) => ({ url: `/${at}` }))), /too many/],
    [
      'with a product of variables without end',
      servers({
        url: '/{a}{b}{c}',
        variables: Object.fromEntries('abc'.split('').map((name) => [name, { enum: [...'0123456789'] }])),
      }),
      /too many/,
    ],
  ])('%s', (_, document, message) => {
    expect(openapiTemplates(document)).toEqual({ error: expect.stringMatching(message) });
    expect(createRoutes({ openapi: document })).toEqual({ error: expect.stringMatching(message) });
  });

  test('with paths that match the same requests, when routes are made of it', () => {
    expect(createRoutes({ openapi: documentOf({ '/a/{x}': get, '/a/{y}': get }) })).toEqual({
      error: expect.stringContaining('"/a/{y}": it matches the same requests as "/a/{x}"'),
    });
    expect(createRoutes({ openapi: documentOf({ '/a': get }, { servers: [{ url: '/v1//x' }] }) })).toEqual({
      error: expect.stringContaining('empty segment'),
    });
  });
});

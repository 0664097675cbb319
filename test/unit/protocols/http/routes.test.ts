import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { createRoutes, type RoutesConfig, type RouteTemplate } from '../../../../proxy/protocols/http/routes.ts';
import { randomFrom } from './random.ts';

function routesOf(...templates: (string | RouteTemplate)[]) {
  return routesIn({ templates: templates.map((one) => (typeof one === 'string' ? { path: one } : one)) });
}

function routesIn(config: RoutesConfig) {
  const made = createRoutes(config);
  if ('error' in made) throw new Error(made.error);
  return (method: string, path: string) => made.routes.match(method, path.slice(1).split('/'));
}

describe('a route', () => {
  test('is a template, with the parameters in it, its name and its tags', () => {
    const match = routesOf({
      method: 'GET',
      path: '/users/{id}/posts/{post}',
      operation_id: 'getPost',
      tags: ['blog'],
    });
    expect(match('GET', '/users/42/posts/a b')).toEqual({
      template: '/users/{id}/posts/{post}',
      parameters: { id: '42', post: 'a b' },
      operationId: 'getPost',
      tags: ['blog'],
    });
  });

  test('is unknown when nothing matches, and has an empty template then', () => {
    const match = routesOf({ method: 'GET', path: '/users/{id}' }, '/health');
    const unknown = { template: '', parameters: {}, operationId: undefined, tags: [] };
    for (const path of [
      '/',
      '/users',
      '/users/',
      '/users/1/',
      '/users/1/x',
      '/uSERS/1',
      '/health/',
      '/HEALTH',
      '/users//',
    ]) {
      expect({ path, ...match('GET', path) }).toEqual({ path, ...unknown });
    }
    expect(match('POST', '/users/1')).toEqual(unknown);
    expect(match('*', '/users/1')).toEqual(unknown);
    expect(match('DELETE', '/health')).toMatchObject({ template: '/health' });
  });

  test('that is written out goes before one with a parameter, from the left', () => {
    const match = routesOf('/users/{id}', '/users/me', '/{any}/me', '/users/{id}/x', '/{any}/{other}/y');
    expect(match('GET', '/users/me')).toMatchObject({ template: '/users/me', parameters: {} });
    expect(match('GET', '/users/you')).toMatchObject({ template: '/users/{id}', parameters: { id: 'you' } });
    expect(match('GET', '/others/me')).toMatchObject({ template: '/{any}/me', parameters: { any: 'others' } });
    expect(match('GET', '/users/me/x')).toMatchObject({ template: '/users/{id}/x', parameters: { id: 'me' } });
    expect(match('GET', '/users/me/y')).toMatchObject({
      template: '/{any}/{other}/y',
      parameters: { any: 'users', other: 'me' },
    });
  });

  test('must have the method; a less specific one does not stand in', () => {
    const match = routesOf({ method: 'GET', path: '/users/me' }, { method: 'DELETE', path: '/users/{id}' });
    expect(match('DELETE', '/users/1')).toMatchObject({ template: '/users/{id}' });
    expect(match('DELETE', '/users/me')).toMatchObject({ template: '' });
  });

  test('for a method goes before the same one for all', () => {
    const match = routesOf({ path: '/x', operation_id: 'any' }, { method: 'PUT', path: '/x', operation_id: 'put' });
    expect(match('PUT', '/x').operationId).toBe('put');
    expect(match('GET', '/x').operationId).toBe('any');
  });

  test('may have text around a parameter, and the most text goes first', () => {
    const match = routesOf('/r/{name}.csv', '/r/{name}', '/r/all-{name}.csv', '/v1/things:count', '/v1/{thing}:drop');
    expect(match('GET', '/r/a.csv')).toMatchObject({ template: '/r/{name}.csv', parameters: { name: 'a' } });
    expect(match('GET', '/r/all-a.csv')).toMatchObject({ template: '/r/all-{name}.csv', parameters: { name: 'a' } });
    expect(match('GET', '/r/.csv')).toMatchObject({ template: '/r/{name}', parameters: { name: '.csv' } });
    expect(match('GET', '/r/a.CSV')).toMatchObject({ template: '/r/{name}' });
    expect(match('GET', '/v1/things:count')).toMatchObject({ template: '/v1/things:count' });
    expect(match('GET', '/v1/a:b:drop')).toMatchObject({ parameters: { thing: 'a:b' } });
  });

  test('compares what is decoded, without regular expressions', () => {
    const match = routesOf('/caf%C3%A9/{x}', '/a.c/[b]*', '/(x+)+$');
    expect(match('GET', '/café/1')).toMatchObject({ template: '/caf%C3%A9/{x}' });
    expect(match('GET', '/abc/[b]*')).toMatchObject({ template: '' });
    expect(match('GET', '/a.c/[b]*')).toMatchObject({ template: '/a.c/[b]*' });
    expect(match('GET', `/${'x'.repeat(50_000)}`)).toMatchObject({ template: '' });
  });

  test('may be the root, or end in a slash', () => {
    const match = routesOf('/', '/users/', '/users');
    expect(match('GET', '/')).toMatchObject({ template: '/' });
    expect(match('GET', '/users/')).toMatchObject({ template: '/users/' });
    expect(match('GET', '/users')).toMatchObject({ template: '/users' });
  });

  test('can have any name for a parameter without becoming something else', () => {
    const match = routesOf('/{__proto__}/{constructor}', '/toString');
    expect(Object.entries(match('GET', '/a/b').parameters)).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
    expect(match('GET', '/hasOwnProperty')).toMatchObject({ template: '' });
  });

  test('a parameter has no empty value', () => {
    expect(routesOf('/{a}')('GET', '/')).toMatchObject({ template: '' });
  });
});

describe('a configuration of routes is refused', () => {
  test.each<[string, readonly RouteTemplate[], RegExp]>([
    ['for a path without a slash', [{ path: 'users' }], /"users": the path must begin with a slash/],
    ['for an empty segment', [{ path: '/a//b' }], /empty segment/],
    ['for a dot', [{ path: '/a/../b' }], /no request has/],
    ['for a query', [{ path: '/a?b={c}' }], /query/],
    ['for a brace that is left open', [{ path: '/{a' }], /brace/],
    ['for a brace that closes nothing', [{ path: '/a}' }], /brace/],
    ['for braces the wrong way round', [{ path: '/}a{' }], /brace/],
    ['for a parameter without a name', [{ path: '/{}' }], /brace/],
    ['for a wildcard', [{ path: '/{path*}' }], /brace/],
    ['for a slash in a parameter', [{ path: '/{a/b}' }], /brace/],
    ['for two parameters in one segment', [{ path: '/{a}-{b}' }], /more than one parameter/],
    ['for a name that comes twice', [{ path: '/{a}/{a}' }], /comes twice/],
    ['for an escape that is none', [{ path: '/%zz' }], /escape/],
    ['for a method that no request has', [{ method: 'get', path: '/' }], /method/],
    ['for the same route twice', [{ path: '/a' }, { path: '/a' }], /same requests as "\/a"/],
    ['for two names of one parameter', [{ path: '/{a}' }, { path: '/{b}' }], /same requests as "\/\{a\}"/],
    ['for too many', Array.from({ length: limits.httpRoutesMax + 1 }, (_, at) => ({ path: `/${at}` })), /more than/],
    ['for too many segments', [{ path: '/a'.repeat(limits.httpSegmentsMax + 1) }], /more than/],
  ])('%s', (_, templates, message) => {
    expect(createRoutes({ templates })).toEqual({ error: expect.stringMatching(message) });
  });
});

describe('matching', () => {
  /** The first template by the rule as it is stated: compared from the left, text before parameters. */
  function reference(paths: readonly string[], segments: readonly string[]): string {
    const matching = paths
      .map((path) => path.slice(1).split('/'))
      .filter((pieces) => pieces.length === segments.length)
      .filter((pieces) =>
        pieces.every((piece, at) => (piece === '{p}' ? segments[at] !== '' : piece === segments[at])),
      );
    matching.sort((a, b) => {
      const at = a.findIndex((piece, index) => piece !== b[index]);
      return at < 0 ? 0 : a[at] === '{p}' ? 1 : -1;
    });
    return matching[0] === undefined ? '' : `/${matching[0].join('/')}`;
  }

  test('agrees with the rule, on tables made at random', () => {
    const random = randomFrom(7);
    let matched = 0;
    for (let round = 0; round < 2_000; round++) {
      const piece = () => ['a', 'b', '{p}'][random(3)];
      const path = () => `/${Array.from({ length: 1 + random(4) }, piece).join('/')}`;
      const paths = [...new Set(Array.from({ length: random(8) }, path))];
      const made = createRoutes({
        // Names have to differ within a template; the rule does not look at them.
        templates: paths.map((one) => ({ path: numbered(one), operation_id: one })),
      });
      if ('error' in made) throw new Error(made.error);
      const segments = Array.from({ length: 1 + random(4) }, () => ['a', 'b', 'c', ''][random(4)] ?? '');
      const found = made.routes.match('GET', segments).operationId ?? '';
      expect(found).toBe(reference(paths, segments));
      if (found !== '') matched++;
    }
    expect(matched).toBeGreaterThan(200);
  });

  function numbered(path: string): string {
    let count = 0;
    return path.replaceAll('{p}', () => `{p${count++}}`);
  }

  test('takes no more steps than there are, on a table made to be walked again and again', () => {
    // Each level has both ways, so a walk that went back over the same ground would take 2^12 times as long for each end.
    const templates = Array.from({ length: 2 ** 12 }, (_, at) => ({
      path: numbered(
        `/${[...at.toString(2).padStart(12, '0')].map((bit) => (bit === '0' ? 'a' : '{p}')).join('/')}/end`,
      ),
    }));
    const match = routesIn({ templates });
    const started = process.cpuUsage();
    for (let round = 0; round < 20; round++) expect(match('GET', `${'/a'.repeat(12)}/nowhere`).template).toBe('');
    expect(process.cpuUsage(started).user / 1_000).toBeLessThan(5_000);
  });
});

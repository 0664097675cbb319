import type { Json } from '../../core/types.ts';
import type { Media, OpenDocument, Route, Schema } from './route.ts';
import { components } from './schemas.ts';

/**
 * The API as an OpenAPI 3.1 document, made of the routes themselves.
 * @see https://spec.openapis.org/oas/v3.1.1.html
 */
export function openApi(routes: readonly Route[], open: readonly OpenDocument[]): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    path[route.method.toLowerCase()] = operation(route);
    paths[route.path] = path;
  }
  for (const { path, summary } of open) {
    const content = { 'application/json': { schema: { type: 'object' } } };
    paths[path] = { get: { summary, security: [], responses: { 200: { description: 'It.', content } } } };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Sallyport',
      version: '1',
      description:
        'The API under the console: approvals, sessions, recordings, decisions. Times are RFC 3339, ids are opaque. A refusal is an RFC 9457 problem document with a `code` for machines.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ token: [] }, { browser: [] }],
    paths,
    components: {
      schemas: components,
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token for the audience of the console.',
        },
        browser: {
          type: 'apiKey',
          in: 'cookie',
          name: 'sallyport',
          description:
            'A browser that is signed in (over https the name begins with __Host-). Writes need the header X-Sallyport-Console: 1.',
        },
      },
    },
  };
}

function operation({ path, role, summary, query = {}, body, answer, also }: Route): Json {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    ...{ name, in: 'path', required: true },
    schema: { type: 'string', pattern: segmentPattern.source },
  }));
  const inQuery = Object.entries(query).map(([name, schema]) => ({ name, in: 'query', required: false, schema }));
  const problem = {
    description: 'Refused.',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
  return {
    summary,
    description: `Needs the role ${role}.`,
    ...([...inPath, ...inQuery].length > 0 && { parameters: [...inPath, ...inQuery] }),
    ...(body && { requestBody: { content: { 'application/json': { schema: body } } } }),
    responses: {
      200: {
        description: isMedia(answer) ? answer.description : 'It.',
        content: {
          ...(isMedia(answer) ? { [answer.type]: {} } : { 'application/json': { schema: answer } }),
          ...(also && { [also.type]: {} }),
        },
      },
      default: problem,
    },
  };
}

function isMedia(answer: Schema | Media): answer is Media {
  return 'description' in answer && typeof answer.type === 'string' && answer.type.includes('/');
}

/** What may stand for `{name}` in a path. */
export const segmentPattern = /^[0-9A-Za-z_-]{1,64}$/;

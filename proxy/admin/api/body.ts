import type { IncomingMessage } from 'node:http';
import { limits } from '../../core/limits.ts';
import { Problem } from './problem.ts';

/** The body of a request, whole. @throws Problem 413 past `bytesMax` */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed when this gives up: the refusal goes over the same connection.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('expected bytes');
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Problem(413, 'body_too_large', 'The body is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * The text of a body that says that it is JSON: no form of another page can send that without asking first.
 * @throws Problem 413 or 415
 */
export async function readJsonText(request: IncomingMessage): Promise<string> {
  const body = await readBody(request, limits.consoleBodyBytesMax);
  if (body.length === 0) return '';
  const [type] = (request.headers['content-type'] ?? '').split(';', 1);
  if (type?.trim().toLowerCase() !== 'application/json') {
    throw new Problem(415, 'media_type_unknown', 'The body must be application/json.');
  }
  return body.toString('utf8');
}

/** How requests are held for an approval. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Fault, HoldTerms } from '../../core/types.ts';
import type { ReadBody } from './body.ts';

/**
 * The response is kept back, which HTTP has no keep-alive for: a client with a time limit of its own leaves, and sends
 * the request again. A body that is not read before it is forwarded cannot be bound to an approval.
 */
export function holdTerms(response: ServerResponse, body: ReadBody | { readonly fault: Fault }): HoldTerms {
  return { mayWait: true, signal: goneSignal(response), bound: () => boundBody(body) };
}

/** Aborted when the client left before it had its answer. */
function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}

/** All of the body: policy may see a part of it only, the parts of a form by their names. */
function boundBody(body: ReadBody | { readonly fault: Fault }) {
  if ('fault' in body) return undefined;
  const { content } = body;
  if (content === undefined) return {};
  return Buffer.isBuffer(content) ? { body_sha256: createHash('sha256').update(content).digest('hex') } : undefined;
}

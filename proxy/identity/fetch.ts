import { type IncomingMessage, request } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { limits } from '../core/limits.ts';
import { isLoopback } from './options.ts';

/** What the libraries hand to a `fetch` of one's own, as far as it matters for a GET. */
interface FetchInit {
  readonly method?: string;
  readonly headers?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A `fetch` for discovery documents and key sets, bounded where the global one is not: the answer is at most
 * `limits.identityResponseBytesMax`, takes at most `limits.identityRequestTimeoutMs` in all, a redirect is not
 * followed, and the server is verified against `ca` alone when there is one.
 *
 * @param closed - aborts what is under way when the gateway closes.
 */
export function boundedFetch(options: {
  readonly ca: string | undefined;
  readonly allowInsecureHttp: boolean;
  readonly closed: AbortSignal;
}): (url: string, init?: FetchInit) => Promise<Response> {
  return (url, init = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const target = new URL(url);
    if (init.method !== undefined && init.method !== 'GET') return Promise.reject(new Error('only GET is possible'));
    if (target.protocol !== 'https:' && !(options.allowInsecureHttp && isLoopback(target.hostname))) {
      return Promise.reject(new Error(`${target.origin} is not https`));
    }
    const signals = [options.closed, AbortSignal.timeout(limits.identityRequestTimeoutMs)];
    if (init.signal) signals.push(init.signal);
    const settings = {
      method: 'GET',
      headers: { accept: 'application/json', 'user-agent': 'sallyport' },
      agent: false as const,
      maxHeaderSize: 16 * 1024,
      signal: AbortSignal.any(signals),
    };
    const receive = (message: IncomingMessage) => readAll(message).then(resolve, reject);
    const sent =
      target.protocol === 'https:'
        ? tlsRequest(target, { ...settings, ...(options.ca === undefined ? {} : { ca: options.ca }) }, receive)
        : request(target, settings, receive);
    sent.on('error', reject);
    sent.end();
    return promise;
  };
}

async function readAll(message: IncomingMessage): Promise<Response> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of message) {
    const bytes = new Uint8Array(chunk);
    size += bytes.length;
    // Leaving the loop by throwing destroys the stream and with it the connection.
    if (size > limits.identityResponseBytesMax) throw new Error('the answer is too large');
    chunks.push(bytes);
  }
  const status = message.statusCode ?? 0;
  const type = message.headers['content-type'] ?? '';
  const bodyless = status === 204 || status === 205 || status === 304;
  return new Response(bodyless ? null : new Blob(chunks), { status, headers: { 'content-type': type } });
}

/** The body of a request: read for policy where its type can be looked into, or left for the upstream to read. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { GatewayError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Fault } from '../../core/types.ts';
import { isJsonType } from './bodies/json-type.ts';
import { parseBody } from './bodies/parse.ts';
import type { CanonicalRequest, Header, ParsedBody } from './contract.ts';

/** A body as policy sees it, and as it goes on. */
export interface ReadBody {
  readonly parsed: ParsedBody;
  readonly content: Buffer | Readable | undefined;
  /** What tells the upstream of it. */
  readonly headers: readonly Header[];
}

/** How a body is read. */
export interface BodyReading {
  /** The route takes GraphQL. */
  readonly graphql: boolean;
  readonly limits: Pick<Limits, 'httpJudgedBodyBytesMax' | 'httpRequestBytesMax'>;
}

/** Reads a body of a readable type, up to its bound, before anything of the request goes on. */
export async function bodyOf(
  request: CanonicalRequest,
  incoming: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
  { graphql, limits }: BodyReading,
): Promise<ReadBody | { readonly fault: Fault }> {
  const { contentLength } = request;
  if (contentLength === 0) return nothing(request, graphql);
  if (!graphql && !isReadable(request)) {
    const headers: Header[] = contentLength === undefined ? [] : [['content-length', String(contentLength)]];
    const content =
      contentLength === undefined ? Readable.from(bounded(incoming, limits.httpRequestBytesMax)) : incoming;
    return { parsed: { kind: 'opaque', bytes: contentLength }, content, headers };
  }
  if (contentLength !== undefined && contentLength > limits.httpJudgedBodyBytesMax) return { fault: tooLarge };
  if (expectsContinue) response.writeContinue();
  const bytes = await readAll(incoming, limits.httpJudgedBodyBytesMax);
  if (bytes === undefined) return { fault: tooLarge };
  if (bytes.length === 0) return nothing(request, graphql);
  const parsed = parseBody(request.contentTypeHeader, bytes, { graphql, query: request.query });
  return 'fault' in parsed ? parsed : { parsed, content: bytes, headers: [] };
}

/** Without a body, a query may still be GraphQL. */
function nothing({ query }: CanonicalRequest, graphql: boolean): ReadBody | { readonly fault: Fault } {
  const parsed = graphql ? parseBody('', Buffer.alloc(0), { graphql, query }) : ({ kind: 'none' } as const);
  return 'fault' in parsed ? parsed : { parsed, content: undefined, headers: [] };
}

/** A body that did not say how long it is. What is too long for the gateway never ends well for the upstream. */
async function* bounded(incoming: IncomingMessage, bytesMax: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += (chunk as Buffer).length;
    if (bytes > bytesMax) throw new GatewayError(tooLarge.code, tooLarge.message);
    yield chunk as Buffer;
  }
}

const readableTypes = /^(application\/(graphql|x-www-form-urlencoded)|multipart\/form-data)$/;

/** Whether policy can look into it. What is coded (`Content-Encoding`) cannot be. */
function isReadable({ contentType, headers }: CanonicalRequest): boolean {
  return (
    (isJsonType(contentType) || readableTypes.test(contentType)) &&
    !headers.some(([name]) => name === 'content-encoding')
  );
}

const tooLarge = { code: 'operation_too_large', message: 'The body is larger than the gateway reads.' } as const;

/** All bytes, or undefined past the bound or when the client left before the end. */
export function readAll(incoming: Readable, bytesMax: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) pieces.push(chunk);
      else resolve(undefined);
    });
    incoming.once('end', () => resolve(bytes <= bytesMax ? Buffer.concat(pieces) : undefined));
    incoming.once('close', () => resolve(undefined));
  });
}
